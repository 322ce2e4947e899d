// Package process runs programs in the session's container and keeps the last of their output for whoever asks.
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

// killGrace is how long a program that ran out of time has between SIGTERM and SIGKILL.
const killGrace = 5 * time.Second

// options say what to run and how.
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

// program is one that was started; it may have ended.
type program struct {
	id        uint64
	options   options
	startedAt time.Time
	child     *reap.Child
	output    *output

	stdin    *os.File      // nil without
	terminal *os.File      // nil without
	input    chan struct{} // whoever put something in may write to stdin or the terminal

	timedOut bool
	endedAt  time.Time
	// ended is closed once the program has ended and all its output is in `output`.
	ended chan struct{}
}

// start starts a program.
func start(reaper *reap.Reaper, id uint64, options options, budget *budget) (*program, error) {
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
	go p.run(sources)
	return p, nil
}

// source is where a stream of the program's output is read.
type source struct {
	stream v1.OutputStream
	file   *os.File
}

// streams gives the command its standard streams. The first files returned are the program's, to be closed here.
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

// run copies the program's output until it has ended.
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
		p.stdin.Close() // wakes a writer
	}
	if p.terminal != nil {
		_ = p.terminal.SetWriteDeadline(time.Now())
	}
	for _, source := range sources {
		_ = source.file.SetReadDeadline(time.Now()) // what is left is read without waiting, see copyOutput
	}
	copies.Wait()
	for _, source := range sources {
		source.file.Close()
	}
	p.options.stdin = nil
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

// buffers are what programs' output is read into.
var buffers = sync.Pool{New: func() any { return new([partBytes]byte) }}

// copyOutput reads one stream to its end, or, since others may hold the stream open after the program's end, to what was
// in the pipe then.
func (p *program) copyOutput(from source) {
	for {
		// A buffer is borrowed for one read only: an idle program costs no memory.
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

// drain reads what the pipe holds now, which is no more than the kernel lets it hold.
func (p *program) drain(from source) {
	_ = from.file.SetReadDeadline(time.Time{})
	const mostPipeBytes = 1 << 20
	buffer := buffers.Get().(*[partBytes]byte)
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

// writeInput writes to the terminal or to stdin, after those who came before.
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

// closeInput closes stdin after what was written before; of a terminal it sends the end-of-file character, as a person would.
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

// end says how the program ended. Only after `ended`.
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
