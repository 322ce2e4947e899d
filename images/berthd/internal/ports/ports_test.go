package ports

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/activity"
	"berth/berthd/internal/testservice"

	"connectrpc.com/connect"
)

type fixture struct {
	client berthv1connect.PortServiceClient
	http   *http.Client
	ctx    context.Context
}

func open(t *testing.T, hidden ...uint16) fixture {
	testservice.NoLeak(t)
	path, handler := berthv1connect.NewPortServiceHandler(&Service{Hidden: hidden, Activity: &activity.Tracker{}})
	url, http := testservice.Start(t, path, handler)
	return fixture{berthv1connect.NewPortServiceClient(http, url), http, testservice.Context(t)}
}

// listen accepts connections and serves each of them until the test ends.
func listen(t *testing.T, address string, serve func(*net.TCPConn)) uint32 {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("%s: %v", address, err)
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
				serve(connection.(*net.TCPConn))
			}()
		}
	}()
	return uint32(listener.Addr().(*net.TCPAddr).Port)
}

func TestListsWhatListens(t *testing.T) {
	hidden := listen(t, "127.0.0.1:0", func(*net.TCPConn) {})
	f := open(t, uint16(hidden))
	port := listen(t, "127.0.0.1:0", func(*net.TCPConn) {})
	list, err := f.client.List(f.ctx, &v1.ListPortsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, one := range list.Ports {
		if one.Port == hidden {
			t.Errorf("the list contains the hidden port %d", hidden)
		}
		if one.Port == port {
			found = one.Address == "127.0.0.1" && one.Pid == uint32(os.Getpid()) && one.Program != ""
		}
	}
	if !found {
		t.Errorf("port %d is not in %v", port, list.Ports)
	}
}

func TestBringsBytesInBothDirectionsAndTheirEnds(t *testing.T) {
	f := open(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			port := listen(t, address, func(c *net.TCPConn) {
				data, _ := io.ReadAll(c) // reads until the other side has closed its sending half
				_, _ = c.Write(bytes.ToUpper(data))
			})
			stream := must(f.client.Dial(f.ctx))
			for _, request := range []*v1.DialRequest{{Port: port, Data: []byte("one ")}, {Data: []byte("two")}} {
				if err := stream.Send(request); err != nil {
					t.Fatal(err)
				}
			}
			if err := stream.CloseRequest(); err != nil {
				t.Fatal(err)
			}
			var got []byte
			for {
				response, err := stream.Receive()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, response.Data...)
			}
			if string(got) != "ONE TWO" {
				t.Errorf("got %q", got)
			}
			_ = stream.CloseResponse()
		})
	}
}

// If the gateway's process dies, its TCP connection breaks, and no call is closed properly.
func TestACallerWhoGoesClosesTheConnection(t *testing.T) {
	f := open(t)
	closed := make(chan struct{})
	port := listen(t, "127.0.0.1:0", func(c *net.TCPConn) {
		_, _ = io.Copy(io.Discard, c)
		close(closed)
	})
	var gateway net.Conn
	f.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		gateway, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return gateway, err
	}
	stream := must(f.client.Dial(f.ctx))
	if err := stream.Send(&v1.DialRequest{Port: port}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Receive(); err != nil { // the first message says that the connection to the port is open
		t.Fatal(err)
	}
	gateway.Close()
	<-closed
	_ = stream.CloseRequest()
	_ = stream.CloseResponse()
}

func TestSaysWhyNothingCanBeReached(t *testing.T) {
	f := open(t, 5900)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for port, code := range map[uint32]connect.Code{
		0: connect.CodeInvalidArgument, 70000: connect.CodeInvalidArgument, 5900: connect.CodePermissionDenied,
		uint32(free.Addr().(*net.TCPAddr).Port): connect.CodeUnavailable,
	} {
		stream := must(f.client.Dial(f.ctx))
		_ = stream.Send(&v1.DialRequest{Port: port})
		if _, err := stream.Receive(); connect.CodeOf(err) != code {
			t.Errorf("port %d: got %v, want %v", port, err, code)
		}
		_ = stream.CloseRequest()
		_ = stream.CloseResponse()
	}
}

func TestReadsTheKernelsTable(t *testing.T) {
	table := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:170C 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 123 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000 10001        0 124 1 0 100 0 0 10 0
   2: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 125 1
   3: 0000000000000000FFFF00000100007F:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 126 1
`
	found, err := listeners(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range found {
		got = append(got, one.address.String()+" "+one.inode)
	}
	if want := "127.0.0.1:5900 123, [::1]:8081 125, 127.0.0.1:8082 126"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, not %s", got, want)
	}
}

func FuzzTable(f *testing.F) {
	f.Add("   0: 0100007F:170C 00000000:0000 0A 0 0 0 0 0 123 1")
	f.Fuzz(func(t *testing.T, table string) { _, _ = listeners(strings.NewReader(table)) })
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
