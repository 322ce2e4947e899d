package ports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"berth/berthd/internal/activity"

	"connectrpc.com/connect"
)

// Headers between the gateway and berthd. None of them, nor any other that begins with ours, gets to a program or comes from one.
const (
	ours = "X-Berth-"
	// TokenHeader has the session's token, because Authorization belongs to the program.
	TokenHeader = ours + "Session-Token"
	// PortHeader names the port in a request, and in each answer that a program has given.
	PortHeader = ours + "Port"
	// errorHeader says in an answer of berthd's own why there is none of a program: nothing-listens, not-allowed or no-answer.
	errorHeader = ours + "Error"
)

// mostHeaderBytes of an answer. With what is added the gateway must be able to read it, which takes 16 KiB.
const mostHeaderBytes = 14 << 10

// fromGateway are the headers by which the gateway tells programs of the client.
var fromGateway = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"}

// Proxy is an HTTP handler: it brings requests with a PortHeader, WebSockets too, to the program that listens on that port of
// the session's loopback. Each request has a connection of its own, so nothing stays open behind it.
type Proxy struct {
	// hidden ports belong to the platform.
	hidden   []uint16
	activity *activity.Tracker
	proxy    httputil.ReverseProxy
}

// NewProxy returns a handler that never serves the hidden ports.
func NewProxy(hidden []uint16, tracker *activity.Tracker) *Proxy {
	p := &Proxy{hidden: hidden, activity: tracker}
	p.proxy = httputil.ReverseProxy{
		Transport: &http.Transport{
			DialContext: p.dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: mostHeaderBytes,
		},
		Rewrite: rewrite,
		ModifyResponse: func(response *http.Response) error {
			withoutOurs(response.Header)
			response.Header.Set(PortHeader, response.Request.URL.Port())
			return nil
		},
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, err error) { fail(w, err) },
		ErrorLog:      log.New(io.Discard, "", 0), // a program that breaks off is no news
	}
	return p
}

// ForPorts says whether the request is for a program, and not for a service of berthd's.
func ForPorts(r *http.Request) bool { return len(r.Header.Values(PortHeader)) > 0 }

// ServeHTTP answers with the program's answer, or says in the errorHeader why there is none.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	port, err := strconv.ParseUint(r.Header.Get(PortHeader), 10, 16)
	if err != nil || port == 0 {
		answer(w, http.StatusBadRequest, "not-allowed", "the port must be from 1 to 65535")
		return
	}
	if slices.Contains(p.hidden, uint16(port)) {
		answer(w, http.StatusForbidden, "not-allowed", fmt.Sprintf("port %d is the platform's", port))
		return
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		answer(w, http.StatusBadRequest, "not-allowed", "the request must be for a path")
		return
	}
	// A program may answer before it has read all of the request. HTTP/2 has no need of it.
	_ = http.NewResponseController(w).EnableFullDuplex()
	p.proxy.ServeHTTP(w, r)
}

func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = net.JoinHostPort("127.0.0.1", r.In.Header.Get(PortHeader))
	r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came, whatever it is
	withoutOurs(r.Out.Header)
	for _, name := range fromGateway {
		if values, given := r.In.Header[name]; given {
			r.Out.Header[name] = values
		}
	}
}

func withoutOurs(header http.Header) {
	for name := range header {
		if strings.HasPrefix(name, ours) {
			delete(header, name)
		}
	}
}

func (p *Proxy) dial(ctx context.Context, _, address string) (net.Conn, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	connection, err := dial(ctx, port)
	if err != nil {
		return nil, err
	}
	return &touching{connection, p.activity}, nil
}

// touching notes each use of the connection.
type touching struct {
	*net.TCPConn
	activity *activity.Tracker
}

func (t *touching) Read(b []byte) (int, error) {
	n, err := t.TCPConn.Read(b)
	if n > 0 {
		t.activity.Touch()
	}
	return n, err
}

func (t *touching) Write(b []byte) (int, error) {
	t.activity.Touch()
	return t.TCPConn.Write(b)
}

// fail says why the program gave no answer.
func fail(w http.ResponseWriter, err error) {
	var refused *connect.Error
	switch {
	case errors.As(err, &refused) && refused.Code() == connect.CodeUnavailable:
		answer(w, http.StatusBadGateway, "nothing-listens", refused.Message())
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		answer(w, http.StatusBadGateway, "no-answer", "the program closed the connection without an answer")
	default:
		answer(w, http.StatusBadGateway, "no-answer", "the program gave no answer in HTTP")
	}
}

// answer is one of berthd's own.
func answer(w http.ResponseWriter, status int, code, detail string) {
	body, _ := json.Marshal(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set(errorHeader, code)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
