package ports

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"berth/berthd/internal/activity"
	"berth/berthd/internal/testservice"

	"github.com/coder/websocket"
)

// openProxy serves a Proxy over HTTP/1.1, because the gateway uses HTTP/1.1.
func openProxy(t *testing.T, hidden ...uint16) (*url.URL, *activity.Tracker) {
	testservice.NoLeak(t)
	tracker := &activity.Tracker{}
	server := httptest.NewServer(NewProxy(hidden, tracker))
	t.Cleanup(server.Close)
	return must(url.Parse(server.URL)), tracker
}

// program starts an HTTP server on a loopback address and returns its port.
func program(t *testing.T, address string, handler http.HandlerFunc) uint16 {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("%s: %v", address, err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return uint16(listener.Addr().(*net.TCPAddr).Port)
}

func ask(t *testing.T, proxy *url.URL, port, method, target string, body io.Reader, headers map[string]string) (*http.Response, string) {
	t.Helper()
	request := must(http.NewRequestWithContext(testservice.Context(t), method, proxy.String()+target, body))
	request.Header.Set(PortHeader, port)
	for name, value := range headers {
		request.Header.Set(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response, string(must(io.ReadAll(response.Body)))
}

func TestAProgramGetsTheRequestAsItWas(t *testing.T) {
	proxy, tracker := openProxy(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			var got *http.Request
			port := program(t, address, func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ := io.ReadAll(r.Body)
				w.Header().Set("X-Berth-Error", "nothing-listens")
				w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
				w.WriteHeader(http.StatusTeapot)
				_, _ = w.Write(append([]byte("got "), body...))
			})
			response, body := ask(t, proxy, strconv.Itoa(int(port)), "POST", "//a%2Fb/../c?x=1;y&z=%zz", strings.NewReader("hello"), map[string]string{
				"Host": "8080-x.example", "Authorization": "Basic abc", TokenHeader: "secret", "X-Berth-Token": "key",
				"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Forwarded": "for=1",
			})
			if response.StatusCode != http.StatusTeapot || body != "got hello" {
				t.Errorf("got %d %q", response.StatusCode, body)
			}
			if got.Method != "POST" || got.RequestURI != "//a%2Fb/../c?x=1;y&z=%zz" || got.Host != "8080-x.example" {
				t.Errorf("the program got %s %s of %s", got.Method, got.RequestURI, got.Host)
			}
			for name, want := range map[string]string{
				"Authorization": "Basic abc", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https",
				TokenHeader: "", PortHeader: "", "X-Berth-Token": "", "Forwarded": "",
			} {
				if got.Header.Get(name) != want {
					t.Errorf("%s: got %q, want %q", name, got.Header.Get(name), want)
				}
			}
			if response.Header.Get(PortHeader) != strconv.Itoa(int(port)) || response.Header.Get(errorHeader) != "" {
				t.Errorf("the headers of the response are %v", response.Header)
			}
			if cookies := response.Header.Values("Set-Cookie"); len(cookies) != 2 {
				t.Errorf("the cookies are %v", cookies)
			}
		})
	}
	if tracker.Last().IsZero() {
		t.Error("the proxy did not record the request as use of the session")
	}
}

func TestSaysWhyThereIsNoAnswer(t *testing.T) {
	silent := listen(t, "127.0.0.1:0", func(*net.TCPConn) {})
	other := listen(t, "127.0.0.1:0", func(c *net.TCPConn) { _, _ = c.Write([]byte("SSH-2.0\r\n")) })
	large := program(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 20<<10))
	})
	free := must(net.Listen("tcp", "127.0.0.1:0"))
	free.Close()
	text := func(port any) string { return fmt.Sprint(port) }
	proxy, _ := openProxy(t, 5900)
	for port, want := range map[string]string{
		"0": "400 not-allowed", "65536": "400 not-allowed", "-1": "400 not-allowed", "": "400 not-allowed", "80x": "400 not-allowed",
		"5900": "403 not-allowed", text(free.Addr().(*net.TCPAddr).Port): "502 nothing-listens",
		text(silent): "502 no-answer", text(other): "502 no-answer", text(large): "502 no-answer",
	} {
		response, body := ask(t, proxy, port, "GET", "/", nil, nil)
		if got := fmt.Sprintf("%d %s", response.StatusCode, response.Header.Get(errorHeader)); got != want {
			t.Errorf("port %q: got %s, want %s (%s)", port, got, want, body)
		}
		if response.Header.Get(PortHeader) != "" {
			t.Errorf("port %q: berthd's own response looks like the response of a program", port)
		}
	}
}

func TestAnswersComeAsTheyAreWritten(t *testing.T) {
	proxy, _ := openProxy(t)
	next := make(chan struct{})
	port := program(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		for range 3 {
			_, _ = w.Write([]byte("line\n"))
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})
	request := must(http.NewRequestWithContext(testservice.Context(t), "GET", proxy.String()+"/", nil))
	request.Header.Set(PortHeader, strconv.Itoa(int(port)))
	response := must(http.DefaultTransport.RoundTrip(request))
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for range 3 {
		if line, err := lines.ReadString('\n'); line != "line\n" || err != nil {
			t.Fatalf("got %q, %v", line, err)
		}
		next <- struct{}{}
	}
}

func TestAWebSocketGoesThroughAndEndsWithItsClient(t *testing.T) {
	proxy, _ := openProxy(t)
	ended := make(chan struct{})
	port := program(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: []string{"echo"}})
		if err != nil {
			return
		}
		defer close(ended)
		defer socket.CloseNow()
		for {
			kind, data, err := socket.Read(context.Background())
			if err != nil {
				return
			}
			_ = socket.Write(context.Background(), kind, data)
		}
	})
	ctx := testservice.Context(t)
	socket, response, err := websocket.Dial(ctx, strings.Replace(proxy.String(), "http", "ws", 1)+"/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{PortHeader: {strconv.Itoa(int(port))}}, Subprotocols: []string{"echo"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if response.Header.Get(PortHeader) == "" || socket.Subprotocol() != "echo" {
		t.Errorf("headers %v, subprotocol %q", response.Header, socket.Subprotocol())
	}
	if err := socket.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := socket.Read(ctx); string(data) != "hello" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
	socket.CloseNow()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the connection to the program is still open")
	}
}

func TestAClientThatGoesClosesTheProgramsConnection(t *testing.T) {
	proxy, _ := openProxy(t)
	gone := make(chan struct{})
	port := program(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(testservice.Context(t))
	request := must(http.NewRequestWithContext(ctx, "GET", proxy.String()+"/", nil))
	request.Header.Set(PortHeader, strconv.Itoa(int(port)))
	response := must((&http.Transport{DisableKeepAlives: true}).RoundTrip(request))
	cancel()
	response.Body.Close()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the connection to the program is still open")
	}
}
