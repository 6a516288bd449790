package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/locald/locald/internal/e2e/probe"
	"golang.org/x/sys/unix"
)

// statusLine is one line of --status-fd: a phase that was reached, or an error.
type statusLine struct {
	Phase  string
	Pid    int  // of cloned
	Code   *int // of exited
	Signal int
	OOM    bool

	Op, Pointer, Errno, Message, Hint string // Message is set on errors only
	Warning                           string
}

// result is all that one call of the shim came to.
type result struct {
	code           int            // exit status; -1 when a signal ended the shim
	signal         syscall.Signal // that ended the shim
	stdout, stderr string
	status         []statusLine
}

// run runs the bundle to its end, with --status-fd and the flags.
func (b *bundle) run(t *testing.T, flags ...string) *result {
	t.Helper()
	return b.start(t, nil, flags...).wait()
}

// start starts the bundle with --status-fd and the flags, and lets a test change the command before.
func (b *bundle) start(t *testing.T, change func(*exec.Cmd), flags ...string) *running {
	t.Helper()
	b.write(t)
	args := append([]string{"bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "3"}, flags...)
	return launch(t, b, change, args...)
}

// shim runs locald-shim with any arguments, without a bundle of the harness's.
func shim(t *testing.T, args ...string) *result {
	t.Helper()
	return launch(t, nil, nil, args...).wait()
}

// running is a call of the shim that may not have ended. Descriptor 3 is the status pipe.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  *os.File // the shim's is the other end
	lines  chan probe.Answer
	phases chan statusLine
	result result
	status *os.File // our end of the status pipe
	timer  *time.Timer
	copies sync.WaitGroup
	output bytes.Buffer
	errors bytes.Buffer
	waited bool
}

func launch(t *testing.T, b *bundle, change func(*exec.Cmd), args ...string) *running {
	t.Helper()
	// The channels are never full: their readers come late, or not at all.
	r := &running{t: t, cmd: exec.Command(shimPath, args...), lines: make(chan probe.Answer, 4096), phases: make(chan statusLine, 4096)}
	stdinR, stdinW, err := os.Pipe()
	must(t, err)
	stdoutR, stdoutW, err := os.Pipe()
	must(t, err)
	stderrR, stderrW, err := os.Pipe()
	must(t, err)
	statusR, statusW, err := os.Pipe()
	must(t, err)
	r.stdin, r.status = stdinW, statusR
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr, r.cmd.ExtraFiles = stdinR, stdoutW, stderrW, []*os.File{statusW}
	if change != nil {
		change(r.cmd)
	}
	err = r.cmd.Start()
	for _, f := range []*os.File{stdinR, stdoutW, stderrW, statusW} {
		f.Close()
	}
	must(t, err)
	r.copies.Add(3)
	go r.read(stdoutR, &r.output, func(line []byte) {
		var a probe.Answer
		if json.Unmarshal(line, &a) == nil && a.Did != "" {
			r.lines <- a
		}
	}, func() { close(r.lines) })
	go r.read(stderrR, &r.errors, nil, nil)
	go r.read(statusR, nil, func(line []byte) {
		s := statusLine{}
		if err := json.Unmarshal(line, &s); err != nil {
			s.Phase, s.Message = "no JSON", string(line)
		}
		r.result.status = append(r.result.status, s)
		r.phases <- s
	}, func() { close(r.phases) })
	r.timer = time.AfterFunc(limit(), func() { r.kill(b) })
	t.Cleanup(func() {
		if !r.waited {
			r.kill(b)
			r.wait()
		}
	})
	return r
}

// kill ends a call that takes too long, and all that it started.
func (r *running) kill(b *bundle) {
	r.cmd.Process.Kill()
	if b != nil && b.spec.Linux != nil {
		for _, tree := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
			os.WriteFile(tree+b.spec.Linux.CgroupsPath+"/cgroup.kill", []byte("1"), 0)
		}
	}
}

// read reads a pipe to its end.
func (r *running) read(from *os.File, into *bytes.Buffer, line func([]byte), end func()) {
	defer r.copies.Done()
	defer from.Close()
	if end != nil {
		defer end()
	}
	in := bufio.NewReader(from)
	for {
		text, err := in.ReadBytes('\n')
		if into != nil {
			into.Write(text)
		}
		if line != nil && err == nil {
			line(text)
		}
		if err != nil {
			if err != io.EOF && !isClosed(err) {
				r.t.Error("read a pipe of the shim's:", err)
			}
			return
		}
	}
}

func isClosed(err error) bool { return strings.Contains(err.Error(), os.ErrClosed.Error()) }

// wait waits for the end of the shim and of its pipes: a process that was left behind holds them open.
func (r *running) wait() *result {
	r.t.Helper()
	if r.waited {
		return &r.result
	}
	r.waited = true
	r.stdin.Close()
	err := r.cmd.Wait()
	done := make(chan struct{})
	go func() { r.copies.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit()):
		r.t.Fatal("the shim has ended, and somebody still holds its pipes open")
	}
	if !r.timer.Stop() {
		r.t.Errorf("the shim did not end within %v", limit())
	}
	res := &r.result
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		r.t.Fatal(err)
	}
	ws, _ := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	res.code, res.stdout, res.stderr = r.cmd.ProcessState.ExitCode(), r.output.String(), r.errors.String()
	if ws.Signaled() {
		res.signal = ws.Signal()
	}
	return res
}

// await waits until the shim says that it has reached a phase.
func (r *running) await(phase string) statusLine {
	r.t.Helper()
	for s := range r.phases {
		if s.Phase == phase && s.Message == "" {
			return s
		}
	}
	r.t.Fatalf("the shim ended before it was %q: %s", phase, r.wait())
	return statusLine{}
}

// answer waits until the probe has done an action.
func (r *running) answer(did string) probe.Answer {
	r.t.Helper()
	for a := range r.lines {
		if a.Did == did {
			return a
		}
	}
	r.t.Fatalf("the container ended before it did %q: %s", did, r.wait())
	return probe.Answer{}
}

// say writes a line to the container's standard input.
func (r *running) say(line string) {
	r.t.Helper()
	_, err := r.stdin.WriteString(line + "\n")
	must(r.t, err)
}

// signal sends a signal to the shim.
func (r *running) send(s syscall.Signal) {
	r.t.Helper()
	must(r.t, unix.Kill(r.cmd.Process.Pid, s))
}

// String is for messages of tests.
func (r *result) String() string {
	var s strings.Builder
	enc := json.NewEncoder(&s)
	s.WriteString("exit status ")
	enc.Encode(r.code)
	if r.signal != 0 {
		s.WriteString("ended by " + unix.SignalName(r.signal) + "\n")
	}
	for _, line := range r.status {
		if line.Message != "" {
			s.WriteString("status: ")
			enc.Encode(line)
		}
	}
	return s.String() + "stderr: " + r.stderr + "\nstdout: " + r.stdout[:min(len(r.stdout), 2000)]
}

// answers are what the probe said.
func (r *result) answers() []probe.Answer {
	var all []probe.Answer
	for line := range strings.Lines(r.stdout) {
		var a probe.Answer
		if json.Unmarshal([]byte(line), &a) == nil && a.Did != "" {
			all = append(all, a)
		}
	}
	return all
}

// answer is what the probe said to an action, which it must have done.
func (r *result) answer(t *testing.T, did string) probe.Answer {
	t.Helper()
	all := r.answers()
	i := slices.IndexFunc(all, func(a probe.Answer) bool { return a.Did == did })
	if i < 0 {
		t.Fatalf("the probe did not do %q: %s", did, r)
	}
	return all[i]
}

// look is the report of the action "look".
func (r *result) look(t *testing.T) *probe.Report {
	t.Helper()
	return r.answer(t, "look").Look
}

// value is the value of an action that must have worked.
func (r *result) value(t *testing.T, did string) string {
	t.Helper()
	a := r.answer(t, did)
	if a.Errno != "" {
		t.Errorf("%s: %s", did, a.Errno)
	}
	return a.Value
}

// wantErrno checks that an action failed as it should; "" means that it worked.
func (r *result) wantErrno(t *testing.T, did, errno string) {
	t.Helper()
	if a := r.answer(t, did); a.Errno != errno {
		t.Errorf("%s: got errno %q, want %q", did, a.Errno, errno)
	}
}

// ok fails the test unless the container ran and exited with 0.
func (r *result) ok(t *testing.T) *result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("the container did not run to its end: %s", r)
	}
	return r
}

// problem is the error line for a JSON pointer; the call must have failed with 125.
func (r *result) problem(t *testing.T, pointer string) statusLine {
	t.Helper()
	for _, s := range r.status {
		if s.Message != "" && s.Pointer == pointer {
			if r.code != 125 {
				t.Errorf("exit status %d, want 125", r.code)
			}
			return s
		}
	}
	t.Fatalf("no error about %q: %s", pointer, r)
	return statusLine{}
}
