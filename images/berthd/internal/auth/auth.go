// Package auth checks that callers have the session's token.
package auth

import (
	"crypto/subtle"
	"net/http"
	"os"
	"strings"

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

// Holds returns whether the file contains the token. The comparison takes the same time wherever two tokens differ.
func (f TokenFile) Holds(token string) bool {
	tokens, err := f.Tokens()
	if err != nil || token == "" {
		return false
	}
	found := 0
	for _, one := range tokens {
		found |= subtle.ConstantTimeCompare([]byte(one), []byte(token))
	}
	return found == 1
}

// Require returns a handler that accepts calls with the header `Authorization: Bearer <token>` and answers other calls with the
// code unauthenticated.
func Require(tokens TokenFile, next http.Handler) http.Handler {
	errors := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !tokens.Holds(strings.TrimSpace(token)) {
			err := connect.NewError(connect.CodeUnauthenticated, errNoToken)
			if !errors.IsSupported(r) {
				http.Error(w, errNoToken.Error(), http.StatusUnauthorized)
				return
			}
			_ = errors.Write(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// RequireHeader returns a handler that accepts requests whose header `name` contains a valid token, and answers other requests
// with 401.
func RequireHeader(tokens TokenFile, name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !tokens.Holds(r.Header.Get(name)) {
			http.Error(w, "the session's token is needed: "+name, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type constantError string

func (e constantError) Error() string { return string(e) }

const errNoToken = constantError("the session's token is needed: Authorization: Bearer <token>")
