//go:build tools

// Package tools imports a program of another module, so that go.mod keeps the requirement of this module.
package tools

import (
	_ "github.com/rancher/local-path-provisioner"
)
