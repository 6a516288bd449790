package container

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/publish"
)

// MonitorName is argv[0] of a monitor, whose arguments are the container's directory, "start" or "adopt", and
// "attached" when somebody is attached from the beginning.
const MonitorName = "locald-monitor"

// Descriptors of a monitor.
const (
	readyFD = 3
	seatFD  = 4 // with a third argument
)

// Start starts the container's program, with a monitor of its own.
func (c *Container) Start() error { return c.spawn("start", nil) }

// Attend sees that a container that is running has a monitor, and that one that is not is known to have ended. It reads
// the state again.
func (c *Container) Attend() error {
	err := c.Load()
	if err == nil && c.Foreground {
		return c.attendForeground()
	}
	if err == nil && c.State.Lives() && !c.monitored() {
		if err = c.spawn("adopt", nil); err == nil {
			err = c.Load()
		}
	}
	if err == ErrNotExist {
		return nil // it was to be removed at its end
	}
	return err
}

// spawn starts a monitor and waits until it has said how that went. It is in a session of its own, so that no terminal
// reaches it. seat is the monitor's end of somebody who is attached from the beginning; nil is nobody.
func (c *Container) spawn(how string, seat *os.File) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	cmd := exec.Command("/proc/self/exe", c.Dir, how)
	cmd.Args[0] = MonitorName
	cmd.Dir = "/"
	// One thread does for waiting, and the heap stays small.
	cmd.Env = []string{"GOMAXPROCS=1", "GOGC=20"}
	cmd.ExtraFiles = []*os.File{writer}
	if seat != nil {
		cmd.Args = append(cmd.Args, "attached")
		cmd.ExtraFiles = append(cmd.ExtraFiles, seat)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	writer.Close()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	if text := string(text); text != "ok" {
		cmd.Wait()
		if text == "" {
			text = "the container's monitor ended without an answer"
		}
		return errors.New(text)
	}
	return cmd.Process.Release()
}

// monitor is one at work.
type monitor struct {
	*Container
	log      *logWriter
	ready    *os.File // says once how the start went; nil afterwards
	pumps    sync.WaitGroup
	audience audience
	ports    *publish.Publisher
	nurse    *nurse // while there are health checks

	locked int // descriptor of the lock; -1 when it is let go
}

func (m *monitor) unlock() {
	if m.locked >= 0 {
		unix.Close(m.locked)
		m.locked = -1
	}
}

// Monitor is the program of a monitor, and returns its exit code.
func Monitor(args []string) int {
	ready := os.NewFile(readyFD, "ready")
	if len(args) < 2 || ready == nil {
		return 2
	}
	unix.CloseOnExec(readyFD)
	c, err := load(args[0])
	if err == nil {
		m := &monitor{Container: c, ready: ready}
		if len(args) > 2 {
			unix.CloseOnExec(seatFD)
			m.audience.admit(newSeat(seatFD))
		}
		err = m.run(args[1] == "adopt")
	}
	if err != nil {
		ready.WriteString(err.Error())
		return 1
	}
	return 0
}

// hold keeps the layers of the image, as long as this process lives.
func (m *monitor) hold() {
	for _, dir := range m.Layers {
		if fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
			unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB)
		}
	}
}

func (m *monitor) say() {
	if m.ready != nil {
		m.ready.WriteString("ok")
		m.ready.Close()
		m.ready = nil
	}
}

func (m *monitor) run(adopt bool) error {
	fd, err := m.lockSoon()
	if err == unix.EWOULDBLOCK {
		if adopt {
			m.say() // another one was faster
			return nil
		}
		return errors.New("the container runs already")
	}
	if err != nil {
		return err
	}
	m.locked = fd
	defer m.unlock()
	// The helper makes the container and ends: its orphan becomes this process's child, which can wait for it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_CHILD_SUBREAPER", err)
	}
	if err := m.Load(); err != nil {
		return err
	}
	m.hold()
	if err := m.listen(adopt); err != nil {
		return err
	}
	defer m.ports.Close()
	if m.log, err = openLog(m.Dir); err != nil {
		return err
	}
	m.log.live = m.audience.tell
	// The names of sockets are relative, because an address holds 107 bytes only (unix(7)).
	if err := errors.Join(os.Chdir(m.Dir), m.audience.open()); err != nil {
		return err
	}
	if adopt {
		if !m.State.Lives() {
			m.say()
			return nil
		}
		m.adopt()
	} else {
		os.Remove(filepath.Join(m.Dir, "stop"))
		m.State = State{Status: Created}
		if err := m.start(); err != nil {
			m.State.Error = err.Error()
			return errors.Join(err, m.save())
		}
		m.finish(m.await())
	}
	return m.restarts()
}

// listen begins to listen on the published ports. A monitor that takes over does so while the sockets of the dead one
// are closed; a container that runs goes on also without its ports.
func (m *monitor) listen(adopt bool) (err error) {
	m.ports, err = publish.Listen(m.Ports)
	for end := time.Now().Add(2 * time.Second); adopt && errors.Is(err, unix.EADDRINUSE) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		m.ports, err = publish.Listen(m.Ports)
	}
	if err != nil && adopt {
		m.State.Error = err.Error()
		m.ports, err = publish.Listen(nil)
	}
	return err
}

// serve hands the connections to published ports to the container.
func (m *monitor) serve(pid int) error {
	if len(m.Ports) == 0 {
		return nil
	}
	return m.ports.Serve(pid)
}

// restarts starts the program again as long as the policy says so.
func (m *monitor) restarts() error {
	for n := 0; m.State.Status == Waiting; n++ {
		m.say()
		if !m.idle(pause(n)) {
			m.State.Status = Exited
			break
		}
		m.State.Restarts++
		began := time.Now()
		if err := m.start(); err != nil {
			m.State.Status, m.State.Error, m.State.Finished = Exited, err.Error(), time.Now().UTC()
			break
		}
		m.finish(m.await())
		if time.Since(began) > 10*time.Second {
			n = -1
		}
	}
	m.State.Monitor = 0
	err := m.save()
	if m.Remove {
		err = m.leave()
	}
	m.say()
	return err
}

// leave removes the container. What it wrote on top of an image may belong to ids that only a container can act for,
// which is locald's to make.
func (m *monitor) leave() error {
	home := filepath.Dir(filepath.Dir(m.Dir))
	m.unlock()
	if _, err := os.Lstat(filepath.Join(m.Dir, "upper")); err != nil && len(m.Volumes) == 0 {
		return Open(home, "").Delete(m.Container, nil)
	}
	cmd := exec.Command("/proc/self/exe", "--quiet", "rm", m.ID)
	cmd.Args[0] = "locald"
	cmd.Env = []string{"LOCALD_HOME=" + home, "LOCALD_SHIM=" + m.Helper.Path, "XDG_RUNTIME_DIR=" + m.Helper.StateHome}
	return cmd.Run()
}

// start makes the container and starts its program.
func (m *monitor) start() error {
	m.call("delete", []string{"--force"}) // what a killed monitor left
	m.State.PID, m.State.ExitCode, m.State.Error, m.State.Monitor = 0, nil, "", os.Getpid()
	pid, err := m.make()
	if err != nil {
		return err
	}
	if m.State.Since, err = startTime(pid); err == nil {
		m.State.PID, m.State.Boot = pid, bootID()
		err = m.call("start", nil)
	}
	if err == nil {
		err = m.serve(pid)
	}
	if err != nil {
		m.call("delete", []string{"--force"})
		m.State.PID = 0
		m.save()
		return err
	}
	m.State.Status, m.State.Started, m.State.Finished, m.State.Health = Running, time.Now().UTC(), time.Time{}, m.newborn()
	err = m.save()
	m.say()
	m.watchOver()
	return err
}

// await waits for the first process, which is a child of this one.
func (m *monitor) await() *int {
	var status unix.WaitStatus
	_, err := unix.Wait4(m.State.PID, &status, 0, nil)
	for err == unix.EINTR {
		_, err = unix.Wait4(m.State.PID, &status, 0, nil)
	}
	if err != nil {
		return nil
	}
	return exitCode(status)
}

func exitCode(status unix.WaitStatus) *int {
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return &code
}

// adopt takes over from a monitor that is dead.
func (m *monitor) adopt() {
	m.State.Monitor = os.Getpid()
	if m.State.Boot != bootID() {
		// The machine was started anew: what ran then is not started by a look at it.
		if m.State.Status = Exited; m.State.PID != 0 {
			m.call("delete", []string{"--force"})
			m.State.PID, m.State.ExitCode, m.State.Finished = 0, nil, time.Now().UTC()
		}
		return
	}
	if m.State.Status == Waiting {
		return
	}
	pidfd, err := m.State.openPid()
	if err != nil {
		m.finish(nil)
		return
	}
	defer unix.Close(pidfd)
	if !m.Terminal {
		m.pump("stdout")
		m.pump("stderr")
		input := -1
		if m.Stdin == StdinOpen {
			input, _ = unix.Open("stdin", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		}
		m.audience.begin(input, false)
	}
	m.serve(m.State.PID)
	m.save()
	m.say()
	m.watchOver()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if n > 0 || err != nil && err != unix.EINTR {
			break
		}
	}
	if status, ok := exitStatus(pidfd); ok {
		m.finish(exitCode(status))
	} else {
		m.finish(nil)
	}
}

// finish notes the end of the program, and whether it is to be started again.
func (m *monitor) finish(code *int) {
	m.leaveAlone()
	m.drain()
	m.call("delete", []string{"--force"})
	m.State.PID, m.State.ExitCode, m.State.Finished, m.State.Status = 0, code, time.Now().UTC(), Exited
	if !m.asked() && m.Restart.after(code, m.State.Restarts) {
		m.State.Status = Waiting
	}
	m.save() // before anybody who is attached looks
	m.TellExit(code)
	m.audience.end(code)
}

// asked reports whether somebody wants the end.
func (m *monitor) asked() bool {
	_, err := os.Lstat(filepath.Join(m.Dir, "stop"))
	return err == nil
}

// idle waits before a restart; false says that somebody asked for the end.
func (m *monitor) idle(d time.Duration) bool {
	w, err := m.watch()
	if err != nil {
		return false
	}
	defer w.close()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if m.asked() || w.until(time.Until(end)) != nil {
			return false
		}
	}
	return !m.asked()
}

// Ask says that the container is to end and not to be started again.
func (c *Container) Ask() error {
	return os.WriteFile(filepath.Join(c.Dir, "stop"), nil, 0o600)
}

// EndStop sends the stop signal, and SIGKILL when the container has not ended in time. late is called after some time
// of waiting.
func (c *Container) EndStop(limit time.Duration, late func()) error {
	if err := c.Ask(); err != nil {
		return err
	}
	if c.State.Status != Running {
		_, err := c.Wait(-1)
		return err
	}
	if err := c.Kill(c.Stop.Signal); err != nil && !gone(err) {
		return err
	}
	const patience = 2 * time.Second
	done, err := c.Wait(min(limit, patience))
	if err == nil && !done && limit > patience {
		late()
		done, err = c.Wait(limit - patience)
	}
	if err != nil || done {
		return err
	}
	if err := c.Kill("KILL"); err != nil && !gone(err) {
		return err
	}
	_, err = c.Wait(-1)
	return err
}

// gone is what the helper says of a container that has ended meanwhile.
func gone(err error) bool {
	return strings.Contains(err.Error(), "not running") || strings.Contains(err.Error(), "does not exist")
}

// removePatience bounds the wait for another one who removes a container.
const removePatience = 30 * time.Second

// Delete takes away a container that does not run, and does not begin to meanwhile. What it wrote may belong to ids that
// only another container can act for: tree removes that first; nil is nothing to remove. ErrRunning says that the
// container runs after all.
func (s *Store) Delete(c *Container, tree func() error) error {
	fd, err := c.lockSoon()
	for end := time.Now().Add(removePatience); err == unix.EWOULDBLOCK && c.Load() == nil && !c.State.Lives() && time.Now().Before(end); {
		fd, err = c.lockSoon() // somebody else removes it
	}
	switch err {
	case nil:
		defer unix.Close(fd)
	case unix.ENOENT:
		return nil // somebody was faster
	case unix.EWOULDBLOCK:
		return ErrRunning
	default:
		return err
	}
	if c.Load() == nil && c.State.Lives() {
		return ErrRunning // its monitor was killed
	}
	c.call("delete", []string{"--force"})
	if tree != nil {
		if err := tree(); err != nil {
			return err
		}
	}
	return s.locked(c.remove)
}
