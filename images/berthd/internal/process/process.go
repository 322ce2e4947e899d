// Package process runs programs in the session's container and keeps the end of their output for callers.
package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/internal/reap"

	"github.com/creack/pty"
)

// killGrace is the time between SIGTERM and SIGKILL for a program that has exceeded its timeout.
const killGrace = 5 * time.Second

// options describe the program to run.
type options struct {
	command     []string
	cwd         string
	env         []string
	stdin       []byte
	keepStdin   bool
	size        *pty.Winsize // nil: no terminal
	timeout     time.Duration
	outputLimit uint64
	tag         string
}

// program is a program that was started. It may have ended.
type program struct {
	id        uint64
	options   options
	startedAt time.Time
	child     *reap.Child
	output    *output

	stdin    *os.File      // nil if the program has no stdin
	terminal *os.File      // nil if the program has no terminal
	input    chan struct{} // a lock: who has sent a value may write to stdin or the terminal

	timedOut bool
	endedAt  time.Time
	// ended is closed when the program has ended and `output` contains all of its output.
	ended chan struct{}
}

// start starts a program. `ended` is called after the program's end.
func start(reaper *reap.Reaper, id uint64, options options, budget *budget, ended func()) (*program, error) {
	p := &program{id: id, options: options, startedAt: time.Now(), ended: make(chan struct{})}
	p.input = make(chan struct{}, 1)
	p.output = newOutput(budget, options.outputLimit)
	command := exec.Command(options.command[0], options.command[1:]...)
	command.Dir = options.cwd
	command.Env = options.env

	theirs, sources, err := p.streams(command)
	if err != nil {
		return nil, err
	}
	p.child, err = reaper.Start(command)
	closeAll(theirs)
	if err != nil {
		for _, source := range sources {
			source.file.Close()
		}
		if p.stdin != nil {
			p.stdin.Close()
		}
		return nil, err
	}
	go func() { p.run(sources); ended() }()
	return p, nil
}

// source is an open file, berthd's end of a pipe or of a pseudo-terminal, from which berthd reads a stream of the program's output.
type source struct {
	stream v1.OutputStream
	file   *os.File
}

// streams sets the command's standard streams. theirs are the program's ends, which the caller must close after the start.
func (p *program) streams(command *exec.Cmd) (theirs []*os.File, sources []source, err error) {
	defer func() {
		if err != nil {
			closeAll(theirs)
			for _, source := range sources {
				source.file.Close()
			}
		}
	}()
	if p.options.size != nil {
		terminal, theirEnd, err := pty.Open()
		if err != nil {
			return nil, nil, err
		}
		theirs, sources = []*os.File{theirEnd}, []source{{v1.OutputStream_OUTPUT_STREAM_PTY, terminal}}
		if err := pty.Setsize(terminal, p.options.size); err != nil {
			return theirs, sources, err
		}
		command.Stdin, command.Stdout, command.Stderr = theirEnd, theirEnd, theirEnd
		command.SysProcAttr = &syscall.SysProcAttr{Setctty: true}
		p.terminal = terminal
		return theirs, sources, nil
	}
	for _, stream := range []v1.OutputStream{v1.OutputStream_OUTPUT_STREAM_STDOUT, v1.OutputStream_OUTPUT_STREAM_STDERR} {
		read, write, err := os.Pipe()
		if err != nil {
			return theirs, sources, err
		}
		theirs, sources = append(theirs, write), append(sources, source{stream, read})
	}
	command.Stdout, command.Stderr = theirs[0], theirs[1]
	if p.options.keepStdin || len(p.options.stdin) > 0 {
		read, write, err := os.Pipe()
		if err != nil {
			return theirs, sources, err
		}
		theirs = append(theirs, read)
		command.Stdin, p.stdin = read, write
	}
	return theirs, sources, nil
}

// run copies the program's output until the program has ended.
func (p *program) run(sources []source) {
	var copies sync.WaitGroup
	for _, source := range sources {
		copies.Go(func() { p.copyOutput(source) })
	}
	if len(p.options.stdin) > 0 {
		copies.Go(func() {
			_ = p.writeInput(context.Background(), p.options.stdin)
			if !p.options.keepStdin && p.terminal == nil {
				p.stdin.Close()
			}
		})
	}
	p.waitForEnd()
	if p.stdin != nil {
		p.stdin.Close() // this ends a blocked write
	}
	if p.terminal != nil {
		_ = p.terminal.SetWriteDeadline(time.Now())
	}
	for _, source := range sources {
		_ = source.file.SetReadDeadline(time.Now()) // copyOutput then reads the rest without waiting
	}
	copies.Wait()
	for _, source := range sources {
		source.file.Close()
	}
	p.options.stdin, p.options.env = nil, nil
	p.endedAt = time.Now()
	p.output.close()
	close(p.ended)
}

func (p *program) waitForEnd() {
	if p.options.timeout <= 0 {
		<-p.child.Done()
		return
	}
	timer := time.NewTimer(p.options.timeout)
	defer timer.Stop()
	select {
	case <-p.child.Done():
		return
	case <-timer.C:
	}
	p.timedOut = p.child.Signal(syscall.SIGTERM) == nil
	timer.Reset(killGrace)
	select {
	case <-p.child.Done():
	case <-timer.C:
		_ = p.child.Signal(syscall.SIGKILL)
		<-p.child.Done()
	}
}

// buffers are the buffers for reading programs' output.
var buffers = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// copyOutput reads one stream to its end. Other processes may hold the stream open after the program has ended. In that case
// copyOutput reads only the bytes that were in the pipe when the program ended.
func (p *program) copyOutput(from source) {
	for {
		// A buffer is used for one read only, so that an idle program needs no buffer.
		buffer, n, err := readWhenReady(from.file)
		if n > 0 {
			p.output.write(from.stream, buffer[:n])
		}
		if buffer != nil {
			buffers.Put(buffer)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.drain(from)
		}
		if err != nil || n <= 0 {
			return
		}
	}
}

// drain reads the bytes that are in the pipe now. Their number is limited by the size of a pipe.
func (p *program) drain(from source) {
	_ = from.file.SetReadDeadline(time.Time{})
	const mostPipeBytes = 1 << 20
	buffer := buffers.Get().(*[chunkBytes]byte)
	defer buffers.Put(buffer)
	for total := 0; total < mostPipeBytes; {
		n, err := readNow(from.file, buffer[:])
		if n > 0 {
			p.output.write(from.stream, buffer[:n])
			total += n
		}
		if err != nil || n <= 0 {
			return
		}
	}
}

var errNoStdin = errors.New("the program's stdin is closed")

// writeInput writes to the terminal or to stdin, after all earlier writes.
func (p *program) writeInput(ctx context.Context, data []byte) error {
	to := p.stdin
	if p.terminal != nil {
		to = p.terminal
	}
	if to == nil {
		return errNoStdin
	}
	select {
	case p.input <- struct{}{}:
		defer func() { <-p.input }()
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ended:
		return errNoStdin
	}
	stop := context.AfterFunc(ctx, func() { _ = to.SetWriteDeadline(time.Now()) })
	_, err := to.Write(data)
	if !stop() {
		_ = to.SetWriteDeadline(time.Time{})
		return ctx.Err()
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
		return errNoStdin
	}
	return err
}

// closeInput closes stdin after all earlier writes. For a terminal, it sends the end-of-file character, as a user would by Ctrl-D.
func (p *program) closeInput(ctx context.Context) error {
	if p.terminal != nil {
		return p.writeInput(ctx, []byte{4})
	}
	if p.stdin == nil {
		return nil
	}
	select {
	case p.input <- struct{}{}:
		defer func() { <-p.input }()
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ended:
	}
	p.stdin.Close()
	return nil
}

func (p *program) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// end returns how the program ended. Call it only after `ended` is closed.
func (p *program) end() *v1.ProcessEnded {
	code, number := p.child.ExitCode()
	written, discarded, _ := p.output.figures()
	return &v1.ProcessEnded{
		ExitCode: int32(code), Signal: uint32(number), TimedOut: p.timedOut, OutputBytes: written, DiscardedBytes: discarded,
	}
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}
