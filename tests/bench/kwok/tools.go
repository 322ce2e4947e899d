//go:build tools

// Package tools keeps KWOK in go.mod. KWOK simulates nodes on which pods run at once and use no resources.
package tools

import (
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
