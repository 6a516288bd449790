package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestExitCodes: the container's is the shim's.
func TestExitCodes(t *testing.T) {
	b := newBundle(t)
	codes := []int{0, 1, 125, 127, 137, 255}
	if !here.guest { // slow, and no other machine in this
		codes = codes[:0]
		for code := range 256 {
			codes = append(codes, code)
		}
	}
	for _, code := range codes {
		r := b.do("exit " + strconv.Itoa(code)).run(t)
		last := r.status[len(r.status)-1]
		if r.code != code || last.Phase != "exited" || last.Code == nil || *last.Code != code || last.Signal != 0 {
			t.Errorf("exit %d came out as %s %+v", code, r, last)
		}
	}
}

// TestEndBySignal: 128 and the signal's number. In a pid namespace of its own the first process ignores
// signals of its own without a handler, so there is none here.
func TestEndBySignal(t *testing.T) {
	b := newBundle(t, noPIDNamespace)
	b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}}
	signals := []syscall.Signal{unix.SIGHUP, unix.SIGKILL, unix.SIGSEGV, 64, unix.SIGINT, unix.SIGQUIT, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS,
		unix.SIGFPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE, unix.SIGALRM, unix.SIGTERM, unix.SIGSYS, 34}
	if here.guest {
		signals = signals[:4]
	}
	for _, s := range signals {
		r := b.do("raise " + strconv.Itoa(int(s))).run(t)
		last := r.status[len(r.status)-1]
		if want := 128 + int(s); r.code != want || last.Code == nil || *last.Code != want || last.Signal != int(s) {
			t.Errorf("signal %d came out as %s %+v", s, r, last)
		}
	}
}

// noPIDNamespace also leaves /proc away, which a user can mount in a new pid namespace only.
func noPIDNamespace(s *specs.Spec) {
	dropNamespace(s, specs.PIDNamespace)
	dropMount(s, "/proc")
}

// TestPhases come in their order, and cloned says which process it is.
func TestPhases(t *testing.T) {
	b := newBundle(t).do("look")
	r := b.run(t).ok(t)
	var phases []string
	for _, s := range r.status {
		phases = append(phases, s.Phase)
		if (s.Phase == "cloned") != (s.Pid != 0) {
			t.Errorf("%s has pid %d", s.Phase, s.Pid)
		}
	}
	if want := []string{"opened", "validated", "compiled", "cloned", "limited", "running", "exited"}; !slices.Equal(phases, want) {
		t.Errorf("phases are %v, want %v", phases, want)
	}
}

// TestForwardedSignals: what the shim is sent, the container gets.
func TestForwardedSignals(t *testing.T) {
	signals := []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH}
	run := newBundle(t).do("trap "+strconv.Itoa(len(signals)), "exit 5").start(t, nil)
	run.answer("ready")
	for _, s := range signals {
		run.send(s)
		run.answer("signal " + unix.SignalName(s))
	}
	if r := run.wait(); r.code != 5 {
		t.Error(r)
	}
}

// TestSignalWithoutHandler: as the first of its pid namespace the process ignores TERM; KILL of the shim is what ends it.
func TestSignalWithoutHandler(t *testing.T) {
	run := newBundle(t).do("look", "forever").start(t, nil)
	run.answer("look")
	run.send(unix.SIGTERM)
	run.send(unix.SIGINT)
	must(t, unix.Kill(run.await("cloned").Pid, unix.SIGKILL))
	if r := run.wait(); r.code != 137 {
		t.Error(r)
	}
}

// TestStandardStreams: five megabytes go in and come out as they are.
func TestStandardStreams(t *testing.T) {
	data := make([]byte, 5_000_000)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(data)
	b := newBundle(t).do("say on the other stream", "cat")
	b.write(t)
	cmd := exec.Command(shimPath, "bundle", "run", "--bundle", b.dir, "--id", b.id)
	cmd.Stdin = bytes.NewReader(data)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatal(err, errs.String())
	}
	answer, got, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	if !bytes.Contains(answer, []byte(`"did":"say`)) || sha256.Sum256(got) != sha256.Sum256(data) {
		t.Errorf("%d bytes came out, or others than went in", len(got))
	}
	if errs.String() != "on the other stream\n" {
		t.Errorf("standard error is %q", errs.String())
	}
}

// TestStandardInput: a line that is written later, and the end of input.
func TestStandardInput(t *testing.T) {
	run := newBundle(t).do("look", "line", "cat").start(t, nil)
	run.answer("look")
	run.say("a line")
	if got := run.answer("line").Value; got != "a line\n" {
		t.Errorf("the container read %q", got)
	}
	run.stdin.Close()
	run.wait().ok(t)
}

// TestPidFile holds the pid that the status said, and is left to its caller.
func TestPidFile(t *testing.T) {
	file := t.TempDir() + "/pid"
	run := newBundle(t).do("look", "line").start(t, nil, "--pid-file", file)
	run.answer("look")
	pid := run.await("cloned").Pid
	// The file is there when the shim waits for the container.
	run.say("")
	run.wait().ok(t)
	text, err := os.ReadFile(file)
	if err != nil || string(text) != strconv.Itoa(pid) {
		t.Errorf("the file holds %q, %v; want %d", text, err, pid)
	}
	info, err := os.Stat(file)
	must(t, err)
	if got, want := owner(info), fmt.Sprintf(" %d:%d", os.Getuid(), os.Getgid()); got != want {
		t.Errorf("the file belongs to %s, want %s", got, want)
	}
}

// TestDryRun prints the Program and starts nothing.
func TestDryRun(t *testing.T) {
	b := newBundle(t)
	r := b.run(t, "--dry-run").ok(t)
	for _, word := range []string{"pivot_root", "execve", "/probe"} {
		if !strings.Contains(r.stdout, word) {
			t.Errorf("the listing has no %s: %s", word, r.stdout)
		}
	}
	for _, s := range r.status {
		if s.Phase == "cloned" {
			t.Error("something was started")
		}
	}
}

// TestIDInUse: the second call is refused and the first is not disturbed.
func TestIDInUse(t *testing.T) {
	b := newBundle(t).do("look", "line", "exit 4")
	first := b.start(t, nil)
	first.answer("look")
	r := b.run(t)
	if last := r.status[len(r.status)-1]; r.code != 125 || !strings.Contains(last.Message, "in use") || !strings.Contains(last.Message, b.id) {
		t.Errorf("the second call: %s", r)
	}
	first.say("")
	if r := first.wait(); r.code != 4 {
		t.Errorf("the first call: %s", r)
	}
	if r := b.do("exit 6").run(t); r.code != 6 {
		t.Errorf("the call after: %s", r)
	}
}

// TestTwentyAtOnce are all there at the same time, each with its own id, cgroup and output.
func TestTwentyAtOnce(t *testing.T) {
	const n = 20
	runs := make([]*running, n)
	for i := range runs {
		runs[i] = newBundle(t).do("look", "line", "exit "+strconv.Itoa(i)).start(t, nil)
	}
	seen := map[string]bool{}
	for _, run := range runs {
		seen[run.answer("look").Look.Namespaces["pid"]] = true
	}
	if len(seen) != n {
		t.Errorf("%d pid namespaces, want %d", len(seen), n)
	}
	for _, run := range runs {
		run.say("")
	}
	for i, run := range runs {
		if r := run.wait(); r.code != i {
			t.Errorf("container %d: %s", i, r)
		}
	}
}

// TestSameIDAtOnce: of many calls with one id at the same moment, some run, one after the other, and the
// others are told.
func TestSameIDAtOnce(t *testing.T) {
	b := newBundle(t).do("exit 0")
	b.write(t)
	var wg sync.WaitGroup
	codes := make([]string, 8)
	for i := range codes {
		wg.Go(func() {
			cmd := exec.Command(shimPath, "bundle", "run", "--bundle", b.dir, "--id", b.id)
			var errs bytes.Buffer
			cmd.Stderr, cmd.Stdout = &errs, io.Discard
			err := cmd.Run()
			codes[i] = fmt.Sprint(err, " ", errs.String())
		})
	}
	wg.Wait()
	ran := 0
	for _, c := range codes {
		switch {
		case c == "<nil> ":
			ran++
		case strings.Contains(c, "exit status 125") && strings.Contains(c, "in use"):
		default:
			t.Errorf("a call came to %s", c)
		}
	}
	if ran == 0 {
		t.Error("none of them ran")
	}
}
