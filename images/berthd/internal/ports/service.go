package ports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/activity"

	"connectrpc.com/connect"
)

const (
	dialTimeout = 5 * time.Second
	chunkBytes  = 32 << 10
)

// Service implements the PortService.
type Service struct {
	// Hidden are the platform's ports, which are neither listed nor dialled.
	Hidden   []uint16
	Activity *activity.Tracker
}

var _ berthv1connect.PortServiceHandler = (*Service)(nil)

// List implements PortService.
func (s *Service) List(context.Context, *v1.ListPortsRequest) (*v1.ListPortsResponse, error) {
	ports, err := listeningPorts(s.Hidden)
	if err != nil {
		return nil, err
	}
	return &v1.ListPortsResponse{Ports: ports}, nil
}

// Dial implements PortService.
func (s *Service) Dial(ctx context.Context, stream *connect.BidiStream[v1.DialRequest, v1.DialResponse]) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	if first.Port < 1 || first.Port > 65535 {
		return connect.NewError(connect.CodeInvalidArgument, errors.New("port must be from 1 to 65535"))
	}
	if slices.Contains(s.Hidden, uint16(first.Port)) {
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("port %d belongs to the platform", first.Port))
	}
	connection, err := dial(ctx, int(first.Port))
	if err != nil {
		return err
	}
	defer connection.Close()
	// If the caller disconnects, both directions end.
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	if err := stream.Send(&v1.DialResponse{}); err != nil {
		return err
	}
	go s.toPort(stream, first.Data, connection)
	return s.fromPort(stream, connection)
}

// dial connects to the port on one of the two loopback addresses, because some programs listen on only one of them.
func dial(ctx context.Context, port int) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	var err error
	for _, host := range []string{"127.0.0.1", "::1"} {
		var connection net.Conn
		connection, err = dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return connection.(*net.TCPConn), nil
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		err = fmt.Errorf("nothing listens on port %d", port)
	}
	return nil, connect.NewError(connect.CodeUnavailable, err)
}

// toPort sends the caller's bytes to the port until the caller's stream ends or the handler returns.
func (s *Service) toPort(stream *connect.BidiStream[v1.DialRequest, v1.DialResponse], data []byte, connection *net.TCPConn) {
	for {
		if len(data) > 0 {
			s.Activity.Touch()
			if _, err := connection.Write(data); err != nil {
				return
			}
		}
		request, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			_ = connection.CloseWrite()
			return
		}
		if err != nil {
			_ = connection.Close()
			return
		}
		data = request.Data
	}
}

func (s *Service) fromPort(stream *connect.BidiStream[v1.DialRequest, v1.DialResponse], connection *net.TCPConn) error {
	buffer := make([]byte, chunkBytes)
	for {
		n, err := connection.Read(buffer)
		if n > 0 {
			s.Activity.Touch()
			if err := stream.Send(&v1.DialResponse{Data: buffer[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return connect.NewError(connect.CodeAborted, err)
		}
	}
}
