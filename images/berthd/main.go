// berthd is the one program of Berth's in a session's pod.
//
//	berthd session                       in the agent's container, as PID 1
//	berthd vnc-proxy                     in the sidecar
//	berthd copy FOLDER                   in an init container: brings berthd into an image that does not have it
//	berthd ready [PORT...]               succeeds once the session can be used and these ports listen in its pod
//	berthd progress MESSAGE [PERCENT]    tells those who watch the session how far the agent is
//
// Under the name berth-progress it is `berthd progress`.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"berth/berthd/internal/auth"
	"berth/berthd/internal/channel"
	"berth/berthd/internal/install"
	"berth/berthd/internal/ports"
	"berth/berthd/internal/session"
	"berth/berthd/internal/vnc"
)

func main() {
	// Little memory counts for more than little CPU: the heap is small, and collected soon.
	debug.SetGCPercent(50)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	arguments := os.Args[1:]
	if filepath.Base(os.Args[0]) == install.ProgressLink {
		arguments = append([]string{"progress"}, arguments...)
	}
	code, err := run(ctx, arguments)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	}
	os.Exit(code)
}

func run(ctx context.Context, arguments []string) (int, error) {
	mode := ""
	if len(arguments) > 0 {
		mode = arguments[0]
	}
	switch {
	case mode == "session" && len(arguments) == 1:
		return runSession(ctx)
	case mode == "vnc-proxy" && len(arguments) == 1:
		return runProxy(ctx)
	case mode == "copy" && len(arguments) == 2:
		if err := install.Copy(arguments[1]); err != nil {
			return 1, err
		}
		return 0, nil
	case mode == "ready":
		return askReady(ctx, arguments[1:])
	case mode == "progress" && (len(arguments) == 2 || len(arguments) == 3):
		return tellProgress(ctx, arguments[1:])
	case mode == "progress":
		return 1, errors.New("usage: berth-progress MESSAGE [PERCENT]")
	}
	return 2, errors.New("usage: berthd session | vnc-proxy | copy FOLDER | ready [PORT...] | progress MESSAGE [PERCENT]")
}

func runSession(ctx context.Context) (int, error) {
	folder, err := os.Getwd()
	if err != nil {
		return 1, err
	}
	config, err := session.ReadConfig(os.Environ(), folder)
	if err != nil {
		return 1, err
	}
	return session.Run(ctx, config, log.New(os.Stderr, "berthd: ", 0))
}

// runProxy ends with 0 when it is told to; viewers that are there then are cut.
func runProxy(ctx context.Context) (int, error) {
	port := environment("BERTH_VNC_PROXY_PORT", "6080")
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return 1, err
	}
	logger := log.New(os.Stderr, "berth-vnc-proxy: ", 0)
	server := &http.Server{
		Handler:           &vnc.Proxy{TokensFile: environment("BERTH_VNC_TOKENS", "/etc/berth/tokens"), Log: logger},
		ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: logger,
	}
	logger.Printf("listens at %s", listener.Addr())
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return 1, err
	}
	return 0, nil
}

// readyTimeout is what the session may take to say whether it is ready.
const readyTimeout = 3 * time.Second

// askReady is the container's start probe: it asks from inside, so that no network policy has to let the kubelet in.
func askReady(ctx context.Context, numbers []string) (int, error) {
	for _, text := range numbers {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return 2, fmt.Errorf("PORT must be a whole number from 0 to 65535, but is '%s'", text)
		}
		if !ports.Listens(uint16(port)) {
			return 1, fmt.Errorf("nothing listens at port %d yet", port)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	url := "http://127.0.0.1:" + environment("BERTH_METRICS_PORT", "6081") + "/ready"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 1, err
	}
	// Whatever proxy the tenant gives its agents.
	client := http.Client{Transport: &http.Transport{}}
	response, err := client.Do(request)
	if err != nil {
		return 1, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 1, errors.New("the session is not ready yet")
	}
	return 0, nil
}

func tellProgress(ctx context.Context, arguments []string) (int, error) {
	var percent *float64
	if len(arguments) == 2 {
		number, err := strconv.ParseFloat(arguments[1], 64)
		if err != nil {
			return 1, fmt.Errorf("PERCENT must be a number from 0 to 100, but is '%s'", arguments[1])
		}
		percent = &number
	}
	url := os.Getenv("BERTH_URL")
	if url == "" {
		return 1, errors.New("BERTH_URL is not set: this is no session of Berth's")
	}
	tokens := auth.TokenFile(environment("BERTH_TOKEN_FILE", "/etc/berth/session/token"))
	client := channel.NewClient(url, tokens, log.New(os.Stderr, "berth-progress: ", 0))
	if err := client.Progress(ctx, arguments[0], percent); err != nil {
		return 1, err
	}
	return 0, nil
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
