// Package session runs a session in its container. The process is PID 1: it runs the desktop and the session's command, calls the
// runtime, and serves the gateway.
package session

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"berth/berthd/internal/auth"
	"berth/berthd/internal/supervise"
)

// Config is the session's configuration, which comes from environment variables.
type Config struct {
	// RuntimeURL is the address of the runtime for sessions. If it is "", the session has no task and is only a desktop.
	RuntimeURL  string
	Tokens      auth.TokenFile
	MetricsPort int
	ServicePort int
	// Workspace is the folder in which programs start and to which paths are relative.
	Workspace string
	// Roots are the folders that the file service may access. The workspace is the first.
	Roots []string
	// Desktop is whether the image has a desktop.
	Desktop    bool
	Screen     supervise.ScreenSize // used only with a desktop
	Display    string
	RuntimeDir string
	// Environment is the container's environment with corrections that programs need in any image; see environment.go.
	Environment []string
	// Grace is the time that the command has to end after SIGTERM. It is shorter than the pod's 30 s, because the desktop must end
	// too.
	Grace time.Duration
}

// ReadConfig reads the configuration from the container's environment. An error has one line for each fault.
func ReadConfig(environment []string, workspace string) (Config, error) {
	var errs []error
	getenv := func(name string) string { return valueOf(environment, name) }
	text := func(name, otherwise string) string {
		if value := getenv(name); value != "" {
			return value
		}
		return otherwise
	}
	port := func(name, otherwise string) int {
		value, err := strconv.Atoi(text(name, otherwise))
		if err != nil || value < 0 || value > 65535 {
			errs = append(errs, fmt.Errorf("%s must be a port from 0 to 65535, but is '%s'", name, getenv(name)))
		}
		return value
	}
	config := Config{
		RuntimeURL:  getenv("BERTH_URL"),
		Tokens:      auth.TokenFile(text("BERTH_TOKEN_FILE", "/etc/berth/session/token")),
		MetricsPort: port("BERTH_METRICS_PORT", "6081"),
		ServicePort: port("BERTH_SERVICE_PORT", "6082"),
		Workspace:   text("BERTH_WORKSPACE", workspace),
		Display:     text("BERTH_DISPLAY", ":1"),
		RuntimeDir:  text("XDG_RUNTIME_DIR", "/tmp/.runtime"),
		Grace:       20 * time.Second,
	}
	program, err := os.Executable()
	errs = append(errs, err)
	config.Environment = programEnvironment(environment, config.Workspace, filepath.Dir(program), canUse)
	config.Roots = append([]string{config.Workspace}, filepath.SplitList(text("BERTH_ROOTS", "/tmp"))...)
	switch desktop := text("BERTH_DESKTOP", "auto"); desktop {
	case "auto":
		_, err := exec.LookPath("Xvnc")
		config.Desktop = err == nil
	case "yes", "no":
		config.Desktop = desktop == "yes"
	default:
		errs = append(errs, fmt.Errorf("BERTH_DESKTOP must be auto, yes or no, but is '%s'", desktop))
	}
	if config.Desktop {
		config.Screen, err = supervise.ReadScreenSize(getenv)
		errs = append(errs, err)
	}
	return config, errors.Join(errs...)
}
