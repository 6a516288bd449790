package container

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Health is how to find out whether a container does its work. The times are in nanoseconds in JSON, as in an image.
type Health struct {
	Command     []string      `json:"command"`
	Interval    time.Duration `json:"interval"`    // between the end of a check and the next
	Timeout     time.Duration `json:"timeout"`     // of a check, which is killed then
	StartPeriod time.Duration `json:"startPeriod"` // after the start, in which a failure does not count
	StartEvery  time.Duration `json:"startInterval"`
	Retries     int           `json:"retries"` // failures in a row that make it unhealthy
}

// The statuses of Healthiness.
const (
	Starting  = "starting"
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
)

// Healthiness is what the checks have found out since the start.
type Healthiness struct {
	Status  string  `json:"status"`
	Failing int     `json:"failing"` // in a row
	Checks  []Check `json:"checks"`  // the last ones, at most checksKept
}

// Check is one.
type Check struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	ExitCode int       `json:"exitCode"` // of the program; 255 when it could not be run, -1 when it took too long or its helper was killed
	Output   string    `json:"output"`   // the first outputKept bytes
}

const (
	checksKept = 5
	outputKept = 4096
)

// nurse runs the checks of a container while it runs. It alone touches its state meanwhile.
type nurse struct {
	quit, done chan struct{}
}

// newborn is the health of a container that starts.
func (c *Container) newborn() *Healthiness {
	if c.Health == nil {
		return nil
	}
	return &Healthiness{Status: Starting, Checks: []Check{}}
}

// watchOver starts the checks, if there are any.
func (m *monitor) watchOver() {
	if m.Health == nil {
		return
	}
	if m.State.Health == nil {
		m.State.Health = m.newborn()
	}
	n := &nurse{make(chan struct{}), make(chan struct{})}
	m.nurse = n
	go func() {
		defer close(n.done)
		m.endLeftover()
		for {
			select {
			case <-time.After(m.Health.pause(time.Since(m.State.Started), m.State.Health.Status)):
			case <-n.quit:
				return
			}
			c, counts := m.check()
			select {
			case <-n.quit:
				return // it ended with the container
			default:
			}
			if counts {
				m.State.Health.add(m.Health, c, c.Started.Sub(m.State.Started))
				m.save()
			}
		}
	}()
}

// leaveAlone ends the checks. One that is at it ends with the container.
func (m *monitor) leaveAlone() {
	if m.nurse != nil {
		close(m.nurse.quit)
		<-m.nurse.done
		m.nurse = nil
	}
}

// pause is the time until the next check of a container that has run for so long.
func (h *Health) pause(age time.Duration, status string) time.Duration {
	if status == Starting && age < h.StartPeriod {
		return min(h.StartEvery, h.Interval)
	}
	return h.Interval
}

// add counts a check that began so long after the container did.
func (s *Healthiness) add(h *Health, c Check, age time.Duration) {
	if s.Checks = append(s.Checks, c); len(s.Checks) > checksKept {
		s.Checks = s.Checks[len(s.Checks)-checksKept:]
	}
	switch {
	case c.ExitCode == 0:
		s.Status, s.Failing = Healthy, 0
	case s.Status == Starting && age < h.StartPeriod:
	default:
		if s.Failing++; s.Failing >= h.Retries {
			s.Status = Unhealthy
		}
	}
}

// Files of a check, in the container's directory.
const (
	checkPid = "health.pid"
	checkLog = "health.log"
)

// check runs the program in the container. One of a container that is paused, before it or meanwhile, does not count.
func (m *monitor) check() (c Check, counts bool) {
	c = Check{Started: time.Now().UTC(), ExitCode: -1}
	pidFile, log := filepath.Join(m.Dir, checkPid), filepath.Join(m.Dir, checkLog)
	defer os.Remove(pidFile)
	defer os.Remove(log)
	cmd := m.Command("exec", []string{"--pid-file", pidFile}, m.Health.Command...)
	cmd.Args = append([]string{cmd.Args[0], "--log", log, "--log-format", "json"}, cmd.Args[1:]...)
	out := &head{max: outputKept}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second // what the program has started may hold the pipe
	if err := cmd.Start(); err != nil {
		c.Finished, c.Output = time.Now().UTC(), err.Error()
		return c, true
	}
	helper := cmd.Process.Pid
	ended, killed := make(chan struct{}), make(chan bool, 1)
	late := time.AfterFunc(m.Health.Timeout, func() {
		paused := m.paused()
		m.killCheck(ended, func(parent int) bool { return parent == helper })
		killed <- paused
	})
	cmd.Wait()
	close(ended)
	if late.Stop() {
		text, _ := os.ReadFile(log)
		c.ExitCode, counts = cmd.ProcessState.ExitCode(), !strings.HasSuffix(lastError(string(text)), "is paused: resume it first")
	} else {
		counts = !<-killed
	}
	if cmd.ProcessState.ExitCode() < 0 {
		m.reap() // a helper that was killed has left its child to this process
	}
	c.Finished, c.Output = time.Now().UTC(), strings.ToValidUTF8(out.String(), "?")
	return c, counts
}

// paused asks the helper.
func (m *monitor) paused() bool {
	text, err := m.Command("state", nil).Output()
	var state struct{ Status string }
	return err == nil && json.Unmarshal(text, &state) == nil && state.Status == "paused"
}

// killCheck ends what a helper has run, by which the helper ends. Its parent says that the pid is still its own. The
// helper itself is never killed: its child would be an orphan, which nobody waits for, and without that the container
// has no end (pid_namespaces(7)). One that has not come so far is waited for.
func (m *monitor) killCheck(ended <-chan struct{}, parent func(pid int) bool) {
	for {
		var pid int
		if readJSON(m.Dir, checkPid, &pid) == nil && pid > 0 {
			if fd, err := unix.PidfdOpen(pid, 0); err == nil {
				if p, err := LookProcess(pid); err == nil && parent(p.Parent) {
					// It leads a process group, in which is what a shell has started. The number is not given out
					// again before all of that has ended.
					unix.Kill(-pid, unix.SIGKILL)
					unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
				}
				unix.Close(fd)
			}
		}
		select {
		case <-ended:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// endLeftover ends the check that was at work when the monitor before this one was killed: nobody counts its time.
func (m *monitor) endLeftover() {
	pidFile := filepath.Join(m.Dir, checkPid)
	ended := make(chan struct{})
	close(ended)
	m.killCheck(ended, func(parent int) bool {
		p, err := LookProcess(parent)
		return err == nil && slices.Contains(p.Command, pidFile)
	})
	os.Remove(pidFile)
}

// reap ends the check whose helper was killed, and waits for it, as nobody else would.
func (m *monitor) reap() {
	var pid int
	if readJSON(m.Dir, checkPid, &pid) == nil && pid > 0 && pid != m.State.PID {
		if p, err := LookProcess(pid); err == nil && p.Parent == os.Getpid() {
			unix.Kill(-pid, unix.SIGKILL)
			unix.Kill(pid, unix.SIGKILL)
			unix.Wait4(pid, nil, 0, nil)
		}
	}
}

// head keeps the first bytes that are written to it.
type head struct {
	bytes.Buffer
	max int
}

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), h.max-h.Len())])
	return len(p), nil
}
