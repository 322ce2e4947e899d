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

// Headers between the gateway and berthd. No header that begins with the prefix x-berth- is passed to a program or accepted
// from a program.
const (
	ours = "X-Berth-"
	// TokenHeader is the header with the session's token. The token is not in the header Authorization, because berthd passes
	// that header to the program that listens on the port.
	TokenHeader = ours + "Session-Token"
	// PortHeader is the header with the port, in each request and in each answer that comes from a program.
	PortHeader = ours + "Port"
	// errorHeader is the header that says why the answer comes from berthd and not from a program: nothing-listens,
	// not-allowed or no-answer.
	errorHeader = ours + "Error"
)

// mostHeaderBytes is the highest size of an answer's headers. With berthd's headers it must be below 16 KiB, the gateway's
// limit.
const mostHeaderBytes = 14 << 10

// fromGateway are the headers with which the gateway describes the client to programs.
var fromGateway = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"}

// Proxy is an HTTP handler. It forwards requests with a PortHeader, also WebSockets, to the program that listens on that
// port of the session's loopback address. Each request uses a new connection, so no connection stays open after a request.
type Proxy struct {
	// hidden are the platform's ports, to which requests are refused.
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
		ErrorLog:      log.New(io.Discard, "", 0), // it is normal that a program closes a connection early
	}
	return p
}

// ForPorts returns whether the request is for a program and not for one of berthd's services.
func ForPorts(r *http.Request) bool { return len(r.Header.Values(PortHeader)) > 0 }

// ServeHTTP answers with the program's answer, or with an error and the reason in the errorHeader.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	port, err := strconv.ParseUint(r.Header.Get(PortHeader), 10, 16)
	if err != nil || port == 0 {
		answer(w, http.StatusBadRequest, "not-allowed", "the port must be from 1 to 65535")
		return
	}
	if slices.Contains(p.hidden, uint16(port)) {
		answer(w, http.StatusForbidden, "not-allowed", fmt.Sprintf("port %d belongs to the platform", port))
		return
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		answer(w, http.StatusBadRequest, "not-allowed", "the request must be for a path")
		return
	}
	// A program may answer before it has read the whole request. HTTP/2 always allows this, but HTTP/1.1 needs this setting.
	_ = http.NewResponseController(w).EnableFullDuplex()
	p.proxy.ServeHTTP(w, r)
}

func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = net.JoinHostPort("127.0.0.1", r.In.Header.Get(PortHeader))
	r.Out.URL.RawQuery = r.In.URL.RawQuery // the query is passed on unchanged, even if it is invalid
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

// touching is a connection that records each use.
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

// fail answers with the reason why the program gave no answer.
func fail(w http.ResponseWriter, err error) {
	var refused *connect.Error
	switch {
	case errors.As(err, &refused) && refused.Code() == connect.CodeUnavailable:
		answer(w, http.StatusBadGateway, "nothing-listens", refused.Message())
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		answer(w, http.StatusBadGateway, "no-answer", "the program closed the connection without an answer")
	default:
		answer(w, http.StatusBadGateway, "no-answer", "the program's answer is not valid HTTP")
	}
}

// answer sends an answer of berthd itself.
func answer(w http.ResponseWriter, status int, code, detail string) {
	body, _ := json.Marshal(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set(errorHeader, code)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
