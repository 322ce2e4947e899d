//go:build tools

// Package tools keeps prometheus-adapter in go.mod. It has a module of its own, as its graph is that of Kubernetes
// 0.30 and doesn't compile against the 0.34 of the cluster's programs.
package tools

import (
	_ "sigs.k8s.io/prometheus-adapter/cmd/adapter"
)
