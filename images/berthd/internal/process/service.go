package process

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/activity"
	"berth/berthd/internal/reap"

	"connectrpc.com/connect"
	"github.com/creack/pty"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// mostRunning is the highest number of programs of the API that run at the same time.
	mostRunning = 512
	// Callers can get the last mostEnded programs that have ended, for this long after their end.
	endedFor  = 5 * time.Minute
	mostEnded = 100
	// quiet is how long no program must have ended before berthd gives memory back.
	quiet = 5 * time.Second
)

// Service implements the ProcessService.
type Service struct {
	Reaper *reap.Reaper
	// Workspace is the folder in which programs start.
	Workspace string
	// Environment returns the variables that programs get in addition to their own, as NAME=value.
	Environment func() []string
	Activity    *activity.Tracker

	mu       sync.Mutex
	lastID   uint64
	programs map[uint64]*program
	budget   budget
	tidying  *time.Timer // nil before the end of the first program
}

var _ berthv1connect.ProcessServiceHandler = (*Service)(nil)

// Start implements ProcessService.
func (s *Service) Start(ctx context.Context, request *v1.StartRequest, stream *connect.ServerStream[v1.ProcessEvent]) error {
	options, err := s.optionsOf(request)
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	p, err := s.begin(options)
	if err != nil {
		return err
	}
	at := &cursor{}
	if request.WaitForReader {
		defer p.output.pace(at)()
	}
	return s.follow(ctx, p, at, stream)
}

func (s *Service) begin(options options) (*program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetOld()
	running := 0
	for _, p := range s.programs {
		if !p.hasEnded() {
			running++
		}
	}
	if running >= mostRunning {
		return nil, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%d programs already run, which is the limit", running))
	}
	end := s.Activity.Begin()
	p, err := start(s.Reaper, s.lastID+1, options, &s.budget, func() {
		end()
		s.tidyAfter(quiet)
	})
	if err != nil {
		end()
		return nil, startError(err, options.cwd)
	}
	s.lastID++
	if s.programs == nil {
		s.programs = map[uint64]*program{}
	}
	s.programs[p.id] = p
	return p, nil
}

// tidyAfter makes `tidy` run after the time, and not earlier.
func (s *Service) tidyAfter(wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tidying == nil {
		s.tidying = time.AfterFunc(wait, s.tidy)
		return
	}
	s.tidying.Reset(wait)
}

// tidy forgets old programs and gives unused memory back to the node, which Go itself would keep. This takes some milliseconds of a
// CPU, so it never happens between programs that run one after the other.
func (s *Service) tidy() {
	s.mu.Lock()
	oldest := s.forgetOld()
	s.mu.Unlock()
	if !oldest.IsZero() {
		s.tidyAfter(max(quiet, time.Until(oldest.Add(endedFor))))
	}
	runtime.GC() // after this, the collection of the next line can also free what pools and closed files held
	debug.FreeOSMemory()
}

// forgetOld removes programs that ended long ago, and the oldest ended programs if there are too many. It returns when the oldest
// of the other programs ended; the zero time if none has ended.
func (s *Service) forgetOld() (oldest time.Time) {
	var ended []*program
	for _, p := range s.programs {
		if p.hasEnded() {
			ended = append(ended, p)
		}
	}
	slices.SortFunc(ended, func(a, b *program) int { return a.endedAt.Compare(b.endedAt) })
	for index, p := range ended {
		if len(ended)-index > mostEnded || time.Since(p.endedAt) >= endedFor {
			p.output.forget()
			delete(s.programs, p.id)
		} else if oldest.IsZero() {
			oldest = p.endedAt
		}
	}
	return oldest
}

// End sends SIGTERM to all running programs. The end of the container ends the remaining ones.
func (s *Service) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.programs {
		_ = p.child.Signal(syscall.SIGTERM)
	}
}

func (s *Service) optionsOf(request *v1.StartRequest) (options, error) {
	if len(request.Command) == 0 || request.Command[0] == "" {
		return options{}, errors.New("command must name a program")
	}
	if len(request.Tag) > 200 {
		return options{}, errors.New("tag must have at most 200 bytes")
	}
	cwd := request.Cwd
	if !filepath.IsAbs(cwd) {
		cwd = filepath.Join(s.Workspace, cwd)
	}
	env := s.Environment()
	for name, value := range request.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return options{}, fmt.Errorf("env has the entry %q, which is not a valid environment variable", name)
		}
		env = append(env, name+"="+value)
	}
	timeout := request.Timeout.AsDuration()
	if request.Timeout != nil && timeout <= 0 {
		return options{}, errors.New("timeout must be positive")
	}
	size, err := sizeOf(request.Pty)
	if err != nil {
		return options{}, err
	}
	return options{request.Command, cwd, env, request.Stdin, request.KeepStdin, size, timeout, request.OutputLimit, request.Tag}, nil
}

func sizeOf(size *v1.PtySize) (*pty.Winsize, error) {
	if size == nil {
		return nil, nil
	}
	if size.Columns < 1 || size.Columns > 1000 || size.Rows < 1 || size.Rows > 1000 {
		return nil, errors.New("a terminal must have 1 to 1000 columns and rows")
	}
	return &pty.Winsize{Cols: uint16(size.Columns), Rows: uint16(size.Rows)}, nil
}

// Attach implements ProcessService.
func (s *Service) Attach(ctx context.Context, request *v1.AttachRequest, stream *connect.ServerStream[v1.ProcessEvent]) error {
	p, err := s.find(request.Id)
	if err != nil {
		return err
	}
	return s.follow(ctx, p, &cursor{request.Offset}, stream)
}

func (s *Service) find(id uint64) (*program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.programs[id]; p != nil {
		return p, nil
	}
	return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("there is no program with the id %d, or it ended long ago", id))
}

// List implements ProcessService.
func (s *Service) List(context.Context, *v1.ListProcessesRequest) (*v1.ListProcessesResponse, error) {
	s.mu.Lock()
	s.forgetOld()
	programs := make([]*program, 0, len(s.programs))
	for _, p := range s.programs {
		programs = append(programs, p)
	}
	s.mu.Unlock()
	slices.SortFunc(programs, func(a, b *program) int { return int(int64(a.id) - int64(b.id)) })
	response := &v1.ListProcessesResponse{}
	for _, p := range programs {
		written, _, oldest := p.output.figures()
		process := &v1.Process{
			Id: p.id, Pid: uint32(p.child.Pid), Command: p.options.command, Cwd: p.options.cwd, Tag: p.options.tag,
			Pty: p.terminal != nil, StartedAt: timestamppb.New(p.startedAt), OutputBytes: written, OldestOffset: oldest,
		}
		if p.hasEnded() {
			process.Ended = p.end()
		}
		response.Processes = append(response.Processes, process)
	}
	return response, nil
}

// SendInput implements ProcessService.
func (s *Service) SendInput(ctx context.Context, request *v1.SendInputRequest) (*v1.SendInputResponse, error) {
	p, err := s.find(request.Id)
	if err != nil {
		return nil, err
	}
	s.Activity.Touch()
	return &v1.SendInputResponse{}, inputError(p.writeInput(ctx, request.Data))
}

// CloseStdin implements ProcessService.
func (s *Service) CloseStdin(ctx context.Context, request *v1.CloseStdinRequest) (*v1.CloseStdinResponse, error) {
	p, err := s.find(request.Id)
	if err != nil {
		return nil, err
	}
	return &v1.CloseStdinResponse{}, inputError(p.closeInput(ctx))
}

func inputError(err error) error {
	if errors.Is(err, errNoStdin) {
		return connect.NewError(connect.CodeFailedPrecondition, err)
	}
	return err
}

// Signal implements ProcessService.
func (s *Service) Signal(_ context.Context, request *v1.SignalRequest) (*v1.SignalResponse, error) {
	p, err := s.find(request.Id)
	if err != nil {
		return nil, err
	}
	if request.Signal < 1 || request.Signal > 64 {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("signal must be from 1 to 64"))
	}
	if err := p.child.Signal(syscall.Signal(request.Signal)); err != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	return &v1.SignalResponse{}, nil
}

// Resize implements ProcessService.
func (s *Service) Resize(_ context.Context, request *v1.ResizeRequest) (*v1.ResizeResponse, error) {
	p, err := s.find(request.Id)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(request.Size)
	if err != nil || size == nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.Join(errors.New("size is required"), err))
	}
	if p.terminal == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("the program has no terminal"))
	}
	if err := pty.Setsize(p.terminal, size); err != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, reap.ErrEnded)
	}
	return &v1.ResizeResponse{}, nil
}
