// Package openfiles tells callers that no further file can be opened at the moment.
package openfiles

import (
	"errors"
	"fmt"
	"syscall"

	"connectrpc.com/connect"
)

// Refusal returns the error for callers if berthd or its node has too many open files, and nil if `err` has another cause.
func Refusal(err error) *connect.Error {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return nil
	}
	refusal := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("no further file can be opened at the moment: %w", err))
	refusal.Meta().Set("berth-reason", "open-files") // callers distinguish this error from a full disk, which has the same code
	return refusal
}
