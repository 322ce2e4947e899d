// Package supervise runs what a session consists of: its desktop and its command.
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
	// lookEvery is how often a file is looked for that another program makes.
	lookEvery = 20 * time.Millisecond
	// againAfter is the pause before a program that ended is started again.
	againAfter = 500 * time.Millisecond
)

// viewOnlyPassword is "berth-vw" as VNC servers keep it. It is no secret: by it the gateway asks for a connection that gets no
// clipboard and can't touch anything.
var viewOnlyPassword = []byte{0xe7, 0x89, 0xba, 0x45, 0xfe, 0x4b, 0x63, 0x20}

// Desktop is the X server with VNC, its window manager and a terminal. The two are started again whenever they end; without
// the X server there is no desktop.
type Desktop struct {
	Reaper *reap.Reaper
	Log    *log.Logger
	Screen ScreenSize
	// Display is such as ":1".
	Display string
	// RuntimeDir is $XDG_RUNTIME_DIR, a folder that only this user reads.
	RuntimeDir string
	// Env is the environment of the desktop's programs, with the variables of Environment.
	Env []string

	up chan struct{}
}

// ScreenSize is checked by its reader.
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

// Environment is what programs on the desktop need to know, as NAME=value. The home directory may be read-only, so what they
// keep goes to /tmp.
func Environment(display, runtimeDir string) []string {
	return []string{
		"DISPLAY=" + display, "XDG_RUNTIME_DIR=" + runtimeDir, "XDG_CONFIG_HOME=/tmp/.config", "XDG_CACHE_HOME=/tmp/.cache",
		"XDG_DATA_HOME=/tmp/.local/share", "XDG_STATE_HOME=/tmp/.local/state",
	}
}

// NewDesktop prepares a desktop; Run runs it.
func NewDesktop(reaper *reap.Reaper, logger *log.Logger, size ScreenSize, display, runtimeDir string, env []string) *Desktop {
	return &Desktop{reaper, logger, size, display, runtimeDir, env, make(chan struct{})}
}

// Up is closed once the X server takes connections.
func (d *Desktop) Up() <-chan struct{} { return d.up }

// managed is made by the window manager once it runs.
func (d *Desktop) managed() string { return filepath.Join(d.RuntimeDir, "window-manager") }

// Shown says whether a window manager has placed the first windows.
func (d *Desktop) Shown() bool { return exists(d.managed()) }

// Run runs the desktop until the context ends, then without an error, or until the X server ends.
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
		// Without a password, but on localhost only: the proxy asks for the token. All clients come from the proxy, so to lock
		// out an address after failures would lock out everybody.
		"-SecurityTypes", "None,VncAuth", "-PasswordFile", d.passwords(), "-AlwaysShared", "-BlacklistThreshold", "1000000",
		"-nolisten", "tcp", "-br", "-Log", "*:stderr:0",
	}
}

func (d *Desktop) passwords() string { return filepath.Join(d.RuntimeDir, "vnc-passwords") }

// prepare makes the folders, removes what an earlier life of this container left, and writes the VNC passwords.
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
	_, _ = rand.Read(passwords) // nobody uses the first one
	return os.WriteFile(d.passwords(), append(passwords, viewOnlyPassword...), 0o600)
}

// fill puts onto the screen what belongs there.
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
	// The first window only once there is a window manager to place it and give it the keyboard.
	if waitForFile(ctx, d.managed()) {
		d.keep(ctx, "berth-terminal")
	}
}

// keep runs a program again and again.
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
	ticker := time.NewTicker(lookEvery)
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
