//go:build tools

// Package tools keeps the program that is built from another module in go.mod.
package tools

import (
	_ "github.com/rancher/local-path-provisioner"
)
