// berthd is Berth's program in a session's pod.
//
//	berthd session                       runs a session; it is PID 1 of the agent's container
//	berthd vnc-proxy                     runs the VNC proxy in the sidecar
//	berthd copy FOLDER                   copies berthd into a volume, in an init container, for images without berthd
//	berthd hold                          waits for SIGTERM; as long as a container runs, its node keeps the container's image
//	berthd ready [PORT...]               waits up to 3 s until the session is ready and programs listen on these ports of its pod
//	berthd progress MESSAGE [PERCENT]    reports the agent's progress to users who watch the session
//
// The name berth-progress is short for `berthd progress`.
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
	// Collect garbage early, because low memory use is more important here than low CPU use.
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
	case mode == "hold" && len(arguments) == 1:
		<-ctx.Done()
		return 0, nil
	case mode == "ready":
		return askReady(ctx, arguments[1:])
	case mode == "progress" && (len(arguments) == 2 || len(arguments) == 3):
		return tellProgress(ctx, arguments[1:])
	case mode == "progress":
		return 1, errors.New("usage: berth-progress MESSAGE [PERCENT]")
	}
	return 2, errors.New("usage: berthd session | vnc-proxy | copy FOLDER | hold | ready [PORT...] | progress MESSAGE [PERCENT]")
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

// runProxy serves the VNC proxy. On SIGTERM it closes all connections and returns 0.
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

// readyTimeout is how long `berthd ready` waits for the session. It is shorter than the timeout of the startup probe.
const readyTimeout = 3 * time.Second

// readyInterval is the time between two checks of `berthd ready`.
const readyInterval = 25 * time.Millisecond

// askReady is the container's startup probe. It runs inside the container, so that no network policy has to let the kubelet
// reach the pod. It waits for the session, so that the kubelet learns at once that the session is ready, and not at its next
// probe. Starting the program for each check would also cost the node more than the wait.
func askReady(ctx context.Context, numbers []string) (int, error) {
	wanted := make([]uint16, len(numbers))
	for i, text := range numbers {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return 2, fmt.Errorf("PORT must be a whole number from 0 to 65535, but is '%s'", text)
		}
		wanted[i] = uint16(port)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	// This client ignores the proxy that the tenant may have set for its agents.
	client := http.Client{Transport: &http.Transport{}}
	interval := time.NewTicker(readyInterval)
	defer interval.Stop()
	for {
		missing := checkReady(ctx, &client, wanted)
		if missing == nil {
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return 1, missing
		case <-interval.C:
		}
	}
}

// checkReady returns an error that says what is missing, or nil if the session is ready and programs listen on the ports.
func checkReady(ctx context.Context, client *http.Client, wanted []uint16) error {
	for _, port := range wanted {
		if !ports.Listens(port) {
			return fmt.Errorf("nothing listens at port %d yet", port)
		}
	}
	url := "http://127.0.0.1:" + environment("BERTH_METRICS_PORT", "6081") + "/ready"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the session is not ready yet: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New("the session is not ready yet")
	}
	return nil
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
		return 1, errors.New("BERTH_URL is not set: progress can only be reported from a session of Berth")
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
