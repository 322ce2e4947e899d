// Package testservice serves handlers for tests over HTTP/2 without TLS, as the session's pod does.
package testservice

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Start serves the handler at the path until the test ends. It returns the server's URL, without the path, and an HTTP/2 client.
func Start(t testing.TB, path string, handler http.Handler) (string, *http.Client) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(path, handler)
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, Client(t)
}

// Client returns a client that speaks HTTP/2 without TLS.
func Client(t testing.TB) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// Until waits until the condition is true, at most for a minute, because the machines that run the tests are busy.
func Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting until %s", what)
		}
	}
}

// NoLeak fails the test if goroutines of this module still run after the test and its clean-up. Call it first in a test.
func NoLeak(t testing.TB) {
	t.Helper()
	before := ours()
	t.Cleanup(func() { Until(t, "no goroutine is left", func() bool { return ours() <= before }) })
}

// ours returns the number of goroutines that this module has started.
func ours() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "created by berth/berthd/") {
			count++
		}
	}
	return count
}

// Context returns a context that ends with the test, or after two minutes.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
