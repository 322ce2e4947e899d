package session

import (
	"log"
	"net/http"
	"time"

	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/auth"
	"berth/berthd/internal/files"
	"berth/berthd/internal/ports"
	"berth/berthd/internal/process"
	"berth/berthd/internal/usage"

	"connectrpc.com/connect"
)

// mostMessageBytes is the largest message that a caller may send.
const mostMessageBytes = 4 << 20

// handler returns the handler of the services for the gateway. Callers need the session's token.
func (s *session) handler(roots *files.Roots, figures *usage.Service, platformPorts ...uint16) http.Handler {
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(mostMessageBytes),
		// Answers are not compressed, because compression costs the session's CPU and the network to the gateway is fast.
		connect.WithCompression("gzip", nil, nil),
	}
	s.process = &process.Service{
		Reaper: s.reaper, Workspace: s.config.Workspace, Environment: s.environmentOfPrograms, Activity: &s.activity,
	}
	hidden := append([]uint16{vncPort, vncProxyPort}, platformPorts...)
	mux := http.NewServeMux()
	path, processes := berthv1connect.NewProcessServiceHandler(s.process, options...)
	mux.Handle(path, joined(joinDelay, processes))
	service := &files.Service{Roots: roots, Activity: &s.activity}
	mux.Handle(berthv1connect.NewFileServiceHandler(service, options...))
	mux.Handle("/files", service.Bytes())
	mux.Handle("/archives", service.Bytes())
	mux.Handle(berthv1connect.NewPortServiceHandler(&ports.Service{Hidden: hidden, Activity: &s.activity}, options...))
	mux.Handle(berthv1connect.NewMetricsServiceHandler(figures, options...))
	return forPortsOr(
		auth.RequireHeader(s.config.Tokens, ports.TokenHeader, ports.NewProxy(hidden, &s.activity)),
		auth.Require(s.config.Tokens, mux),
	)
}

// forPortsOr sends requests for the session's programs to one handler, and calls of berthd's services to another.
func forPortsOr(programs, services http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ports.ForPorts(r) {
			programs.ServeHTTP(w, r)
			return
		}
		services.ServeHTTP(w, r)
	})
}

// serviceServer returns a server for HTTP/1.1 and for HTTP/2 without TLS. The server sends pings, so that it detects a caller that
// disappeared without closing its connection.
func serviceServer(handler http.Handler, logger *log.Logger) *http.Server {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: logger,
		Protocols: new(http.Protocols),
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: 1000, SendPingTimeout: 20 * time.Second, PingTimeout: 20 * time.Second},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}
