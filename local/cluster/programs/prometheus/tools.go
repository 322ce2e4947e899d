//go:build tools

// Package tools keeps Prometheus in go.mod. Debian's can't find targets in Kubernetes, so it is built from its source, in a
// module of its own, as its graph is that of Kubernetes 0.35.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
