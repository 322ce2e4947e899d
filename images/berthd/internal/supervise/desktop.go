// Package supervise runs the session's desktop and the session's command.
package supervise

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"berth/berthd/internal/reap"
	"berth/berthd/internal/screen"
)

const (
	// filePollInterval is how often to check for a file that another program makes.
	filePollInterval = 20 * time.Millisecond
	// againAfter is the pause before an ended program is restarted.
	againAfter = 500 * time.Millisecond
)

// viewOnlyPassword is the password "berth-vw" in the format of VNC servers. It is not secret. The gateway uses this password for
// view-only connections, which get no clipboard and can send no input.
var viewOnlyPassword = []byte{0xe7, 0x89, 0xba, 0x45, 0xfe, 0x4b, 0x63, 0x20}

// Desktop is the X server with VNC, a window manager and a terminal. The window manager and the terminal are restarted when they
// end. If the X server ends, the desktop ends.
type Desktop struct {
	Reaper *reap.Reaper
	Log    *log.Logger
	Screen ScreenSize
	// Display is the name of the display, such as ":1".
	Display string
	// RuntimeDir is $XDG_RUNTIME_DIR, a folder that only the session's Linux user can read.
	RuntimeDir string
	// Env is the environment of the desktop's programs, including the variables of Environment.
	Env []string

	up chan struct{}
}

// ScreenSize is the size of the screen. ReadScreenSize checks its values.
type ScreenSize struct{ Width, Height, Depth, DPI int }

// ReadScreenSize reads SCREEN_WIDTH, SCREEN_HEIGHT, SCREEN_DEPTH and SCREEN_DPI.
func ReadScreenSize(getenv func(string) string) (size ScreenSize, err error) {
	var errs []error
	number := func(name string, lowest, highest int) int {
		value, err := strconv.Atoi(getenv(name))
		if err != nil || value < lowest || value > highest {
			errs = append(errs, fmt.Errorf("%s must be a whole number from %d to %d, but is '%s'", name, lowest, highest, getenv(name)))
		}
		return value
	}
	size = ScreenSize{
		Width: number("SCREEN_WIDTH", 320, 7680), Height: number("SCREEN_HEIGHT", 240, 4320), DPI: number("SCREEN_DPI", 48, 480),
	}
	switch getenv("SCREEN_DEPTH") {
	case "16":
		size.Depth = 16
	case "24":
		size.Depth = 24
	default:
		errs = append(errs, fmt.Errorf("SCREEN_DEPTH must be 16 or 24, but is '%s'", getenv("SCREEN_DEPTH")))
	}
	return size, errors.Join(errs...)
}

// Environment returns the variables that programs on the desktop need, as NAME=value. The folders for their files are in /tmp,
// because the home directory may be read-only.
func Environment(display, runtimeDir string) []string {
	return []string{
		"DISPLAY=" + display, "XDG_RUNTIME_DIR=" + runtimeDir, "XDG_CONFIG_HOME=/tmp/.config", "XDG_CACHE_HOME=/tmp/.cache",
		"XDG_DATA_HOME=/tmp/.local/share", "XDG_STATE_HOME=/tmp/.local/state",
	}
}

// NewDesktop returns a desktop that is not running yet.
func NewDesktop(reaper *reap.Reaper, logger *log.Logger, size ScreenSize, display, runtimeDir string, env []string) *Desktop {
	return &Desktop{reaper, logger, size, display, runtimeDir, env, make(chan struct{})}
}

// Up returns a channel that is closed when the X server accepts connections.
func (d *Desktop) Up() <-chan struct{} { return d.up }

// managed is the path of a file that the window manager makes when it runs.
func (d *Desktop) managed() string { return filepath.Join(d.RuntimeDir, "window-manager") }

// Shown returns whether the window manager has placed the first windows.
func (d *Desktop) Shown() bool { return exists(d.managed()) }

// Run runs the desktop until the context ends, and then returns nil, or until the X server ends, and then returns an error.
func (d *Desktop) Run(ctx context.Context) error {
	if err := d.prepare(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server, err := d.start("Xvnc", d.serverArguments()...)
	if err != nil {
		return fmt.Errorf("the X server did not start: %w", err)
	}
	go d.fill(ctx)
	select {
	case <-server.Done():
	case <-ctx.Done():
		_ = server.Signal(syscall.SIGTERM)
		<-server.Done()
		return nil
	}
	code, _ := server.ExitCode()
	return fmt.Errorf("the X server ended with code %d", code)
}

func (d *Desktop) serverArguments() []string {
	return []string{
		d.Display, "-geometry", fmt.Sprintf("%dx%d", d.Screen.Width, d.Screen.Height), "-depth", strconv.Itoa(d.Screen.Depth),
		"-dpi", strconv.Itoa(d.Screen.DPI), "-desktop", "Berth", "-rfbport", "5900", "-localhost",
		// VNC needs no password, because it listens on localhost only and the VNC proxy checks the token. All clients have the proxy's
		// address, so blocking an address after failed logins would block every client.
		"-SecurityTypes", "None,VncAuth", "-PasswordFile", d.passwords(), "-AlwaysShared", "-BlacklistThreshold", "1000000",
		"-nolisten", "tcp", "-br", "-Log", "*:stderr:0",
	}
}

func (d *Desktop) passwords() string { return filepath.Join(d.RuntimeDir, "vnc-passwords") }

// prepare makes the folders, removes files of an earlier run of this container, and writes the VNC passwords.
func (d *Desktop) prepare() error {
	socket := screen.SocketOf(d.Display)
	folders := []string{filepath.Dir(socket), d.RuntimeDir, "/tmp/.config", "/tmp/.cache", "/tmp/.local/share", "/tmp/.local/state"}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("/tmp must be writable: %w", err)
		}
	}
	lock := fmt.Sprintf("/tmp/.X%s-lock", filepath.Base(socket)[1:])
	for _, file := range []string{lock, socket, d.managed()} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	passwords := make([]byte, 8, 16)
	_, _ = rand.Read(passwords) // the first password is random, because no client uses it
	return os.WriteFile(d.passwords(), append(passwords, viewOnlyPassword...), 0o600)
}

// fill starts the programs of the desktop.
func (d *Desktop) fill(ctx context.Context) {
	if !waitForFile(ctx, screen.SocketOf(d.Display)) {
		return
	}
	close(d.up)
	if background, err := d.start("hsetroot", "-solid", "#20262e"); err == nil {
		select {
		case <-background.Done():
		case <-ctx.Done():
			return
		}
	}
	go d.keep(ctx, "openbox", "--startup", "touch "+d.managed())
	// The terminal starts after the window manager, which must place the window and give it the keyboard focus.
	if waitForFile(ctx, d.managed()) {
		d.keep(ctx, "berth-terminal")
	}
}

// keep runs a program, and restarts it whenever it ends.
func (d *Desktop) keep(ctx context.Context, name string, arguments ...string) {
	for {
		child, err := d.start(name, arguments...)
		if err != nil {
			d.Log.Printf("%s can't be started: %v", name, err)
			return
		}
		select {
		case <-child.Done():
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
			return
		}
	}
}

func (d *Desktop) start(name string, arguments ...string) (*reap.Child, error) {
	command := exec.Command(name, arguments...)
	command.Env = d.Env
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return d.Reaper.Start(command)
}

func waitForFile(ctx context.Context, name string) bool {
	ticker := time.NewTicker(filePollInterval)
	defer ticker.Stop()
	for !exists(name) {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
