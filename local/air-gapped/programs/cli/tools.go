//go:build tools

// Package tools keeps Pulumi's command line in go.mod.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
