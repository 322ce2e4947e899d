//go:build tools

// Package tools keeps KWOK in go.mod: it plays nodes on which pods run at once and use nothing.
package tools

import (
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
