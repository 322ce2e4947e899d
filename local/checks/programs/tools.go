//go:build tools

// Package tools keeps the programs that check workflows and manifests in go.mod.
package tools

import (
	_ "github.com/rhysd/actionlint/cmd/actionlint"
	_ "github.com/zegl/kube-score/cmd/kube-score"
)
