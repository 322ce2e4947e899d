package vnc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"berth/berthd/internal/testservice"

	"github.com/coder/websocket"
)

const token = "0123456789abcdef"

type fixture struct {
	url string
	log *safeBuffer
	ctx context.Context
}

type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(data)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func open(t *testing.T, desktop func(net.Conn)) fixture {
	testservice.NoLeak(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				desktop(connection)
			}()
		}
	}()
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte(fmt.Sprintf("# comment: 1.1.1.1:1\n%s: %s\n", token, listener.Addr())), 0o600); err != nil {
		t.Fatal(err)
	}
	f := fixture{log: &safeBuffer{}, ctx: testservice.Context(t)}
	server := httptest.NewServer(&Proxy{TokensFile: tokens, Log: log.New(f.log, "", 0)})
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f fixture) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	viewer, _, err := websocket.Dial(f.ctx, f.url+"/websockify?token="+token, &websocket.DialOptions{Subprotocols: []string{"binary"}})
	if err != nil {
		t.Fatal(err)
	}
	viewer.SetReadLimit(-1)
	t.Cleanup(func() { viewer.CloseNow() })
	return viewer
}

func TestBringsBytesBothWaysAndLogsNoToken(t *testing.T) {
	f := open(t, func(c net.Conn) {
		_, _ = c.Write([]byte("RFB 003.008\n"))
		_, _ = io.CopyN(c, c, 3<<20)
	})
	viewer := f.dial(t)
	desktop := websocket.NetConn(f.ctx, viewer, websocket.MessageBinary)
	hello := make([]byte, 12)
	if _, err := io.ReadFull(desktop, hello); err != nil || string(hello) != "RFB 003.008\n" {
		t.Fatalf("%q, %v", hello, err)
	}
	sent := bytes.Repeat([]byte("0123456789abcde"), 3<<20/15+1)[:3<<20]
	go func() { _, _ = desktop.Write(sent) }() // one message that is larger than all buffers
	got, err := io.ReadAll(desktop)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	testservice.Until(t, "the log says that the connection is closed", func() bool { return strings.Contains(f.log.String(), "127.0.0.1: closed") })
	if said := f.log.String(); strings.Contains(said, token) || !strings.Contains(said, "127.0.0.1: opened") {
		t.Errorf("the log says %q", said)
	}
}

func TestAViewerWhoGoesClosesTheDesktopsConnection(t *testing.T) {
	closed := make(chan struct{})
	f := open(t, func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		close(closed)
	})
	f.dial(t).CloseNow()
	<-closed
}

func TestRefusesWhoHasNoToken(t *testing.T) {
	f := open(t, func(net.Conn) { t.Error("a refused request has reached the desktop") })
	for query, want := range map[string]int{
		"/websockify": 403, "/websockify?token=": 403, "/websockify?token=0123456789abcdee": 403, "/websockify?token=%23%20comment": 403,
		"/": 404, "/websockify/?token=" + token: 404,
	} {
		_, response, err := websocket.Dial(f.ctx, f.url+query, nil)
		if err == nil || response.StatusCode != want {
			t.Errorf("%s: got %v, want %d", query, err, want)
		}
	}
	if said := f.log.String(); strings.Contains(said, "0123456789abcde") || !strings.Contains(said, "refused: no token or an unknown one") {
		t.Errorf("the log says %q", said)
	}
}
