//go:build tools

// Package tools keeps the programs that are built from other modules in go.mod.
package tools

import (
	_ "github.com/google/go-containerregistry/cmd/crane"
	_ "github.com/rancher/local-path-provisioner"
)
