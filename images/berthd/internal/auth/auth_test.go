package auth

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyWhoHasAToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	handler := Require(TokenFile(file), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	status := func(authorization string) int {
		request := httptest.NewRequest(http.MethodPost, "/berth.v1.FileService/Stat", nil)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", authorization)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		return recorder.Code
	}
	for _, test := range []struct {
		tokens, authorization string
		want                  int
	}{
		{"", "Bearer ", 401},
		{"old\nnew\n", "Bearer new", 204},
		{"old\nnew\n", "bearer old", 204},
		{"old\nnew\n", "Bearer ne", 401},
		{"old\nnew\n", "Bearer newer", 401},
		{"old\nnew\n", "Bearer", 401},
		{"old\nnew\n", "Basic new", 401},
		{"old\nnew\n", "", 401},
		{"new\n", "Bearer old", 401}, // the old token was revoked
	} {
		if err := os.WriteFile(file, []byte(test.tokens), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := status(test.authorization); got != test.want {
			t.Errorf("%q with the tokens %q: got %d, want %d", test.authorization, test.tokens, got, test.want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := status("Bearer old"); got != 401 {
		t.Errorf("without a token file: got %d", got)
	}
}
