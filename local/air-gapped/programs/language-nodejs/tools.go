//go:build tools

// Package tools keeps Pulumi's language host for Node in go.mod, in the last version that Go's proxy has as a module.
package tools

import _ "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs"
