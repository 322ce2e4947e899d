// Package auth lets in who has the session's token.
package auth

import (
	"crypto/subtle"
	"net/http"
	"os"
	"strings"

	"connectrpc.com/connect"
)

// TokenFile is a file with one token a line. Any of them is right, so that a new one can be handed out before the old one goes.
// The file is read at each call, because Kubernetes replaces it while the session runs.
type TokenFile string

// Tokens are the file's tokens.
func (f TokenFile) Tokens() ([]string, error) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}

// Holds says whether the token is one of the file's, in a time that does not depend on where they differ.
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

// Require passes on the calls that have the header `Authorization: Bearer <token>` and answers the others with unauthenticated.
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

// RequireHeader passes on the calls whose header of that name is one of the tokens, and answers the others with 401.
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
