package session

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"berth/berthd/internal/activity"
	"berth/berthd/internal/channel"
	"berth/berthd/internal/files"
	"berth/berthd/internal/ports"
	"berth/berthd/internal/process"
	"berth/berthd/internal/reap"
	"berth/berthd/internal/screen"
	"berth/berthd/internal/status"
	"berth/berthd/internal/supervise"
	"berth/berthd/internal/usage"

	"golang.org/x/sys/unix"
)

const (
	vncPort      = 5900
	vncProxyPort = 6080
	// exitTerminated is the exit code after SIGTERM. It is not 0, because Kubernetes shows an evicted pod as succeeded if all of its
	// containers exit with 0.
	exitTerminated = 143
	exitFailed     = 1
)

// session is a running session.
type session struct {
	config   Config
	log      *log.Logger
	reaper   *reap.Reaper
	status   *status.Status
	activity activity.Tracker
	client   *channel.Client    // nil without a runtime
	desktop  *supervise.Desktop // nil without a desktop
	process  *process.Service

	mu   sync.Mutex
	task *channel.Task // nil until the task has arrived
}

// Run runs the session until its command, its X server or the context ends, and returns the container's exit code.
func Run(ctx context.Context, config Config, logger *log.Logger) (int, error) {
	// This process has the task's secrets in its memory, so programs of the same user must not be able to read the memory.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return exitFailed, fmt.Errorf("hide this process's memory: %w", err)
	}
	reaper, err := reap.New()
	if err != nil {
		return exitFailed, err
	}
	// The reaper ends last, because the other parts wait until their programs are reaped.
	reaping, stopReaping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReaping()
	go reaper.Run(reaping)
	defer reaper.KillAll()

	s := &session{config: config, log: logger, reaper: reaper, status: status.New()}
	if config.RuntimeURL != "" {
		s.client = channel.NewClient(config.RuntimeURL, config.Tokens, logger)
		defer s.client.Close()
	}
	if config.Desktop {
		s.desktop = supervise.NewDesktop(reaper, logger, config.Screen, config.Display, config.RuntimeDir, s.environment())
	}
	closeServers, err := s.serve()
	if err != nil {
		return exitFailed, err
	}
	defer closeServers()
	return s.run(ctx)
}

// run runs the desktop and the command at the same time.
func (s *session) run(ctx context.Context) (int, error) {
	// The desktop ends after the command, because the command may need its windows while it ends.
	desktopContext, stopDesktop := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDesktop()
	desktopEnded := make(chan error, 1)
	if s.desktop != nil {
		go func() { desktopEnded <- s.desktop.Run(desktopContext) }()
	}
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	if s.client != nil {
		go s.report(working)
	}
	commandEnded := make(chan int, 1)
	var work sync.WaitGroup
	work.Go(func() {
		if code, ended := s.work(working); ended {
			commandEnded <- code
		}
	})

	select {
	case err := <-desktopEnded:
		return exitFailed, err
	case code := <-commandEnded:
		return code, nil
	case <-ctx.Done():
	}
	s.process.End()
	work.Wait()
	if s.desktop != nil {
		stopDesktop()
		<-desktopEnded
	}
	return exitTerminated, nil
}

// work gets the task and runs its command. If the command ends by itself, work returns its exit code.
func (s *session) work(ctx context.Context) (code int, ended bool) {
	if s.client == nil {
		s.log.Print("BERTH_URL is not set: no task")
		s.status.SetCommand(status.None)
		return 0, false
	}
	task, err := s.client.Task(ctx)
	if err != nil {
		return 0, false
	}
	s.mu.Lock()
	s.task = task
	s.mu.Unlock()
	if len(task.Command) == 0 {
		s.status.SetCommand(status.None)
		return 0, false
	}
	if s.desktop != nil {
		select {
		case <-s.desktop.Up():
		case <-ctx.Done():
			return 0, false
		}
	}
	env := s.environment()
	for _, more := range []map[string]string{task.Env, task.Secrets} {
		for name, value := range more {
			env = append(env, name+"="+value)
		}
	}
	command, err := supervise.StartCommand(s.reaper, task.Command, env, s.config.Workspace)
	if err != nil {
		s.log.Printf("the command can't be started: %v", err)
		code = supervise.CodeOfError(err)
	} else {
		s.status.SetCommand(status.Running)
		select {
		case <-command.Done():
		case <-ctx.Done():
			supervise.End(command, s.config.Grace)
			return 0, false
		}
		code, _ = command.ExitCode()
		s.log.Printf("the command ended with code %d", code)
	}
	s.status.SetCommand(status.Ended)
	s.client.Ended(ctx, code)
	return code, true
}

// environment returns the container's environment with the desktop's variables. The variables of the task's `env` are added only
// for the command and for programs of the API, and the task's secrets only for the command.
func (s *session) environment() []string {
	env := slices.Clone(s.config.Environment)
	if s.config.Desktop {
		env = append(env, supervise.Environment(s.config.Display, s.config.RuntimeDir)...)
	}
	return env
}

func (s *session) environmentOfPrograms() []string {
	env := s.environment()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.task != nil {
		for _, name := range slices.Sorted(maps.Keys(s.task.Env)) {
			env = append(env, name+"="+s.task.Env[name])
		}
	}
	return env
}

// ready returns whether the desktop is ready: VNC listens, and a window manager runs. A session without a desktop is always ready.
func (s *session) ready() bool {
	return s.desktop == nil || (s.desktop.Shown() && ports.Listens(vncPort))
}

// report reports to the runtime that the session is ready, and then regularly when the session was last used.
func (s *session) report(ctx context.Context) {
	eyes := &eyes{session: s}
	defer eyes.close()
	if s.desktop != nil && !eyes.waitForScreen(ctx) {
		return
	}
	if s.client.Ready(ctx, s.desktop != nil) != nil {
		return
	}
	s.client.Report(ctx, s.status, eyes.noteUse, s.status.Changed())
}

// eyes find out when the session was last used.
type eyes struct {
	session *session
	screen  *screen.Screen
}

func (e *eyes) waitForScreen(ctx context.Context) bool {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !e.open() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

func (e *eyes) open() bool {
	if !e.session.desktop.Shown() {
		return false
	}
	var err error
	e.screen, err = screen.Open(e.session.config.Display)
	return err == nil
}

func (e *eyes) noteUse(context.Context) {
	e.session.status.Used(e.session.activity.Last())
	if e.session.desktop == nil || (e.screen == nil && !e.open()) {
		return
	}
	idle, err := e.screen.Idle()
	if err != nil {
		e.close()
		return
	}
	e.session.status.Used(time.Now().Add(-idle))
}

func (e *eyes) close() {
	if e.screen != nil {
		e.screen.Close()
		e.screen = nil
	}
}

// serve listens on the ports for metrics and services, and returns a function that ends both servers.
func (s *session) serve() (closeAll func(), err error) {
	metrics, err := net.Listen("tcp", fmt.Sprintf(":%d", s.config.MetricsPort))
	if err != nil {
		return nil, err
	}
	services, err := net.Listen("tcp", fmt.Sprintf(":%d", s.config.ServicePort))
	if err != nil {
		metrics.Close()
		return nil, err
	}
	roots, err := files.OpenRoots(s.config.Roots...)
	if err != nil {
		return nil, errors.Join(err, metrics.Close(), services.Close())
	}
	figures := &usage.Service{Paths: roots.Paths()}
	handler := s.handler(roots, figures, portOf(metrics), portOf(services))
	servers := []*http.Server{
		{Handler: s.status.Handler(s.ready, figures.Text), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, ErrorLog: s.log},
		serviceServer(handler, s.log),
	}
	for index, listener := range []net.Listener{metrics, services} {
		go func() {
			if err := servers[index].Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				s.log.Printf("%s: %v", listener.Addr(), err)
			}
		}()
	}
	s.log.Printf("metrics are at port %d, services at port %d", portOf(metrics), portOf(services))
	return func() {
		for _, server := range servers {
			server.Close()
		}
		roots.Close()
	}, nil
}

func portOf(listener net.Listener) uint16 { return uint16(listener.Addr().(*net.TCPAddr).Port) }
