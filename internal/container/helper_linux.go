package container

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// Command is a call of the helper for this container: verb, its flags, the id, and what follows it.
func (c *Container) Command(verb string, flags []string, rest ...string) *exec.Cmd {
	cmd := exec.Command(c.Helper.Path, append(append([]string{verb}, flags...), append([]string{c.ID}, rest...)...)...)
	cmd.Args[0] = "locald-shim"
	cmd.Env = []string{}
	if c.Helper.StateHome != "" {
		cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+c.Helper.StateHome)
	}
	return cmd
}

// call runs a verb that prints nothing but errors, which are the error.
func (c *Container) call(verb string, flags []string, rest ...string) error {
	cmd := c.Command(verb, flags, rest...)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return helperError(string(text), err)
	}
	return err
}

func helperError(text string, err error) error {
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "locald-shim: "))
	if text == "" {
		return errors.New("locald-shim: " + err.Error())
	}
	return errors.New(text)
}

// Kill sends a signal, by name or number, to the first process.
func (c *Container) Kill(signal string) error { return c.call("kill", nil, signal) }

// create makes the container, with these for its standard input, output and error.
func (c *Container) create(stdin, stdout, stderr *os.File, flags ...string) (pid int, err error) {
	log, pidFile := filepath.Join(c.Dir, "create.log"), filepath.Join(c.Dir, "pid")
	os.Remove(log)
	cmd := c.Command("create", append(flags, "--bundle", c.Dir, "--pid-file", pidFile))
	// Global flags come before the verb. What goes wrong is read from the log: standard error is the container's.
	cmd.Args = append([]string{cmd.Args[0], "--log", log, "--log-format", "json"}, cmd.Args[1:]...)
	cmd.Dir = c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log)
		return 0, helperError(lastError(string(text)), err)
	}
	os.Remove(log)
	return pid, readJSON(c.Dir, "pid", &pid)
}

// lastError is the message of the last line that tells of an error.
func lastError(log string) string {
	message := ""
	for line := range strings.Lines(log) {
		var l struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Level == "error" {
			message = l.Msg
		}
	}
	return message
}

// Exec runs one more process in the container with these for its standard input, output and error, and returns its exit
// code. message is why it did not run, which the helper has said on stderr.
func (c *Container) Exec(log string, flags, command []string, stdin, stdout, stderr *os.File) (code int, message string, err error) {
	cmd := c.Command("exec", flags, command...)
	cmd.Args = append([]string{cmd.Args[0], "--log", log, "--log-format", "json"}, cmd.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, "", err
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				// The terminal sends its own to the whole foreground group.
				if s != syscall.SIGINT && s != syscall.SIGQUIT {
					cmd.Process.Signal(s)
				}
			case <-done:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(done)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, "", err
	}
	code = cmd.ProcessState.ExitCode()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	text, _ := os.ReadFile(log)
	return code, lastError(string(text)), nil
}
