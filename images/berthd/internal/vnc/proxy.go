// Package vnc serves the desktop's VNC as a WebSocket: ws://POD:6080/websockify?token=TOKEN
package vnc

import (
	"bufio"
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// bufferBytes is how many bytes are read from the desktop at a time. Each viewer needs this buffer, a smaller one, the
	// WebSocket's own buffers and two goroutines.
	bufferBytes = 16 << 10
	dialTimeout = 10 * time.Second
)

// Proxy is an HTTP handler that forwards WebSockets to VNC servers.
type Proxy struct {
	// TokensFile is the path of a file with lines of the form `TOKEN: HOST:PORT`. The file is read for each viewer, because
	// Kubernetes may replace it.
	TokensFile string
	// Log gets messages that never contain a token.
	Log *log.Logger

	viewers sync.WaitGroup
}

// ServeHTTP opens a WebSocket for a viewer with a valid token, and answers other requests with 403.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	if r.URL.Path != "/websockify" {
		http.NotFound(w, r)
		return
	}
	target, found := p.target(r.URL.Query().Get("token"))
	if !found {
		p.Log.Printf("%s: refused: no token or an unknown one", from)
		http.Error(w, "the token is missing or unknown", http.StatusForbidden)
		return
	}
	desktop, err := net.DialTimeout("tcp", target, dialTimeout)
	if err != nil {
		p.Log.Printf("%s: the desktop does not answer: %v", from, err)
		http.Error(w, "the desktop does not answer", http.StatusBadGateway)
		return
	}
	defer desktop.Close()
	viewer, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"binary"},
		InsecureSkipVerify: true, // the origin is not checked, because the token is checked and the caller is the gateway, not a browser
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		p.Log.Printf("%s: no WebSocket: %v", from, err)
		return
	}
	p.viewers.Add(1)
	defer p.viewers.Done()
	defer viewer.CloseNow()
	viewer.SetReadLimit(-1) // messages may have any size, because their bytes are passed on at once and never collected
	p.Log.Printf("%s: opened", from)
	defer p.Log.Printf("%s: closed", from)
	join(r.Context(), viewer, desktop)
}

// Wait waits until all viewers have disconnected.
func (p *Proxy) Wait() { p.viewers.Wait() }

// target returns the address that belongs to the token.
func (p *Proxy) target(token string) (string, bool) {
	if token == "" {
		return "", false
	}
	file, err := os.Open(p.TokensFile)
	if err != nil {
		p.Log.Printf("the tokens can't be read: %v", err)
		return "", false
	}
	defer file.Close()
	target, found := "", false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		one, address, whole := strings.Cut(lines.Text(), ": ")
		if whole && !strings.HasPrefix(one, "#") && subtle.ConstantTimeCompare([]byte(strings.TrimSpace(one)), []byte(token)) == 1 {
			target, found = strings.TrimSpace(address), true
		}
	}
	return target, found
}

// join copies bytes in both directions until one direction ends.
func join(ctx context.Context, viewer *websocket.Conn, desktop net.Conn) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var reading sync.WaitGroup
	reading.Go(func() {
		defer stop()
		defer desktop.Close()
		_ = toDesktop(ctx, viewer, desktop)
	})
	if errors.Is(toViewer(ctx, viewer, desktop), io.EOF) {
		_ = viewer.Close(websocket.StatusNormalClosure, "the desktop has ended")
	}
	stop()
	reading.Wait()
}

func toViewer(ctx context.Context, viewer *websocket.Conn, desktop net.Conn) error {
	defer context.AfterFunc(ctx, func() { desktop.Close() })()
	buffer := make([]byte, bufferBytes)
	for {
		n, err := desktop.Read(buffer)
		if n > 0 {
			if err := viewer.Write(ctx, websocket.MessageBinary, buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

func toDesktop(ctx context.Context, viewer *websocket.Conn, desktop net.Conn) error {
	buffer := make([]byte, bufferBytes/4)
	for {
		kind, message, err := viewer.Reader(ctx)
		if err != nil {
			return err
		}
		if kind != websocket.MessageBinary {
			return viewer.Close(websocket.StatusUnsupportedData, "VNC is binary")
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{desktop}, message, buffer); err != nil {
			return err
		}
	}
}
