// Package auth checks that callers have the session's token.
package auth

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"os"
	"strings"

	"berth/berthd/internal/openfiles"

	"connectrpc.com/connect"
)

// TokenFile is the path of a file with one token per line. Each of the tokens is valid, so that old and new tokens work during a
// rotation. The file is read at each call, because Kubernetes replaces the file while the session runs.
type TokenFile string

// Tokens returns the tokens in the file.
func (f TokenFile) Tokens() ([]string, error) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}

// check returns nil if the file contains the token, and otherwise an error for the caller. The comparison takes the same time
// wherever two tokens differ.
func (f TokenFile) check(token, header string) *connect.Error {
	tokens, err := f.Tokens()
	if refusal := openfiles.Refusal(err); refusal != nil {
		return refusal
	}
	found := 0
	for _, one := range tokens {
		found |= subtle.ConstantTimeCompare([]byte(one), []byte(token))
	}
	if err != nil || token == "" || found == 0 {
		return connect.NewError(connect.CodeUnauthenticated, errors.New("the session's token is needed: "+header))
	}
	return nil
}

// Require returns a handler that accepts calls with the header `Authorization: Bearer <token>` and answers other calls with the
// code unauthenticated. If the tokens can't be read now, the error is that of package openfiles.
func Require(tokens TokenFile, next http.Handler) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			token = ""
		}
		if err := tokens.check(strings.TrimSpace(token), "Authorization: Bearer <token>"); err != nil {
			_ = writer.Write(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// RequireHeader returns a handler that accepts requests whose header `name` contains a valid token, and answers other requests
// with 401.
func RequireHeader(tokens TokenFile, name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := tokens.check(r.Header.Get(name), name); err != nil {
			http.Error(w, err.Message(), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
