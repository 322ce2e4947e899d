package session

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// countingListener counts the writes of its connections.
type countingListener struct {
	net.Listener
	writes atomic.Int64
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	return countingConn{connection, &l.writes}, err
}

func (c countingConn) Write(data []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(data)
}

func TestAnAnswerThatIsFlushedOftenIsSentAtOnce(t *testing.T) {
	handler := joined(time.Hour, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "event")
			_ = http.NewResponseController(w).Flush()
		}
	}))
	server := httptest.NewUnstartedServer(handler)
	listener := &countingListener{Listener: server.Listener}
	server.Listener = listener
	server.Start()
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != "eventeventevent" {
		t.Errorf("%q, %v", body, err)
	}
	if writes := listener.writes.Load(); writes != 1 {
		t.Errorf("%d writes", writes)
	}
}

func TestAFlushedEventArrivesWhileTheAnswerGoesOn(t *testing.T) {
	seen := make(chan struct{})
	server := httptest.NewServer(joined(time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, event := range []string{"1", "2"} {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-seen:
			case <-r.Context().Done():
			}
		}
	})))
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for _, want := range []string{"1", "2"} {
		event := make([]byte, 1)
		if _, err := io.ReadFull(answer.Body, event); err != nil || string(event) != want {
			t.Fatalf("%q, %v", event, err)
		}
		seen <- struct{}{}
	}
}
