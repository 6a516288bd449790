package shim

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary stand for the helper, which is started under its own name, and for a locald
// that is to be killed.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == Name:
		os.Exit(fakeHelper())
	case os.Getenv("SHIM_TEST_CALLER") != "":
		result, err := testHelper().Run(Request{
			Bundle: os.Getenv("SHIM_TEST_CALLER"), ID: "x", Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		})
		if err != nil {
			os.Exit(100)
		}
		if os.Getenv("SHIM_TEST_LINGER") != "" {
			os.Stdout.WriteString("ended\n")
			select {}
		}
		os.Exit(result.ExitCode)
	}
	os.Exit(m.Run())
}

// fakeHelper does what the file "script" in the bundle says, a word and its argument a line.
func fakeHelper() int {
	if !slices.Contains(os.Args, "bundle") {
		os.Stdout.WriteString(Name + " version 9.9.9\nmore\n")
		return 0
	}
	at := slices.Index(os.Args, "--bundle")
	text, err := os.ReadFile(filepath.Join(os.Args[at+1], "script"))
	if err != nil {
		return 99
	}
	status := os.NewFile(statusFD, "status")
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded()...)
	for script := range strings.Lines(string(text)) {
		word, arg, _ := strings.Cut(strings.TrimSpace(script), " ")
		switch word {
		case "status":
			status.WriteString(arg + "\n")
		case "close":
			status.Close()
		case "pid":
			os.Stdout.WriteString(strconv.Itoa(os.Getpid()) + "\n")
		case "stderr":
			os.Stderr.WriteString(arg + "\n")
		case "args":
			os.Stdout.WriteString(strings.Join(os.Args, " ") + "\n")
		case "env":
			os.Stdout.WriteString(strings.Join(os.Environ(), " ") + "\n")
		case "group":
			os.Stdout.WriteString(strconv.FormatBool(syscall.Getpgrp() == os.Getpid()) + "\n")
		case "signal": // waits for one and says which
			s := (<-signals).(syscall.Signal)
			os.Stdout.WriteString(strconv.Itoa(int(s)) + "\n")
		case "gone": // waits for the status pipe to have no reader, saying each signal that comes meanwhile
			go func() {
				for s := range signals {
					os.Stdout.WriteString(strconv.Itoa(int(s.(syscall.Signal))) + "\n")
				}
			}()
			for {
				fds := []unix.PollFd{{Fd: statusFD}}
				if n, _ := unix.Poll(fds, -1); n == 1 && fds[0].Revents&unix.POLLERR != 0 {
					break
				}
			}
			os.Stdout.WriteString("gone\n")
		case "kill":
			n, _ := strconv.Atoi(arg)
			signal.Reset()
			syscall.Kill(os.Getpid(), syscall.Signal(n))
			select {}
		case "exit":
			n, _ := strconv.Atoi(arg)
			return n
		}
	}
	return 0
}

func testHelper() Helper {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Helper{Path: self}
}

func script(t *testing.T, lines ...string) (bundle string) {
	t.Helper()
	bundle = t.TempDir()
	if err := os.WriteFile(filepath.Join(bundle, "script"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return bundle
}

// request is one with its standard output in a pipe.
func request(t *testing.T, bundle string) (Request, *bufio.Reader) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close(); null.Close() })
	return Request{Bundle: bundle, ID: "id", Stdin: null, Stdout: w, Stderr: null}, bufio.NewReader(r)
}

func TestRun(t *testing.T) {
	t.Setenv("GODEBUG", "madvdontneed=0")
	for _, c := range []struct {
		name   string
		dryRun bool
		lines  []string
		code   int
		ended  int
		stdout string
	}{
		{name: "code", lines: []string{`status {"phase":"exited","code":7}`, "exit 7"}, code: 7},
		{name: "signal of the program", lines: []string{`status {"phase":"exited","code":137,"signal":9}`, "exit 137"}, code: 137},
		{name: "refused", lines: []string{"stderr ignore me", `status {"phase":"running","message":"not there"}`, "exit 127"}, code: 127},
		{name: "helper killed", lines: []string{`status {"phase":"running"}`, "kill 9"}, code: 137, ended: 9},
		{name: "arguments", lines: []string{"args"}, stdout: "locald-shim bundle run --bundle %s --id id --status-fd 3\n"},
		{name: "dry run", dryRun: true, lines: []string{"args"}, stdout: "locald-shim bundle run --bundle %s --id id --status-fd 3 --dry-run\n"},
		{name: "environment", lines: []string{"env"}, stdout: "XDG_RUNTIME_DIR=/run/user/7\n"},
		{name: "process group", lines: []string{"group"}, stdout: "true\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bundle := script(t, c.lines...)
			r, out := request(t, bundle)
			r.DryRun = c.dryRun
			h := testHelper()
			h.StateHome = "/run/user/7"
			result, err := h.Run(r)
			if err != nil {
				t.Fatal(err)
			}
			result.Reap()
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
				t.Errorf("a helper is still there: %d, %v", pid, err)
			}
			if result.ExitCode != c.code || result.HelperSignal != c.ended {
				t.Errorf("code %d signal %d, want %d and %d", result.ExitCode, result.HelperSignal, c.code, c.ended)
			}
			if c.stdout != "" {
				got, _ := out.ReadString('\n')
				if want := strings.Replace(c.stdout, "%s", bundle, 1); got != want {
					t.Errorf("the helper said %q, want %q", got, want)
				}
			}
		})
	}
}

// Once it is known how the program ended, Run does not wait for the end of the helper; Reap does.
func TestRunReap(t *testing.T) {
	r, out := request(t, script(t, "pid", `status {"phase":"exited","code":7}`, "close", "signal"))
	result, err := testHelper().Run(r)
	if err != nil || result.ExitCode != 7 {
		t.Fatalf("%+v, %v", result, err)
	}
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid != 0 || err != nil {
		t.Errorf("the helper has ended: %d, %v", pid, err)
	}
	said, _ := out.ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(said))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGTERM)
	result.Reap()
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Errorf("a helper is still there: %d, %v", pid, err)
	}
}

func TestRunForwards(t *testing.T) {
	for _, s := range forwarded() {
		number := s.(syscall.Signal)
		t.Run(number.String(), func(t *testing.T) {
			r, out := request(t, script(t, `status {"phase":"running"}`, "signal", "exit 5"))
			r.Running = func(int) { syscall.Kill(os.Getpid(), number) }
			result, err := testHelper().Run(r)
			if err != nil || result.ExitCode != 5 {
				t.Fatalf("%+v, %v", result, err)
			}
			if got, _ := out.ReadString('\n'); got != strconv.Itoa(int(number))+"\n" {
				t.Errorf("the helper got %q, want %d", got, number)
			}
		})
	}
}

// Two quick interrupts let go of the status pipe, which is how the helper is told to end the container.
func TestRunKills(t *testing.T) {
	own := make(chan os.Signal, 1) // the last interrupt may come when Run has ended
	Notify(own)
	defer signal.Stop(own)
	r, out := request(t, script(t, `status {"phase":"running"}`, "gone", "exit 137"))
	ended := make(chan Result, 1)
	started := make(chan struct{})
	r.Running = func(int) { close(started) }
	go func() {
		result, err := testHelper().Run(r)
		if err != nil {
			t.Error(err)
		}
		ended <- result
	}()
	<-started
	for {
		// Each interrupt is sent after the one before has arrived: two that are pending are one.
		syscall.Kill(os.Getpid(), syscall.SIGINT)
		said, err := out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if said == "gone\n" {
			break
		}
	}
	if result := <-ended; !result.Killed || result.ExitCode != 137 {
		t.Errorf("%+v", result)
	}
}

// When Run has ended, signals do again what they did before.
func TestRunLetsGo(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} { // the others end no Go program
		cmd := exec.Command(testHelper().Path)
		cmd.Env = append(os.Environ(), "SHIM_TEST_LINGER=1", "SHIM_TEST_CALLER="+script(t, "exit 0"))
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		hangs := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
		if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ended\n" {
			t.Errorf("%q, %v", line, err)
		}
		cmd.Process.Signal(s)
		cmd.Wait()
		hangs.Stop()
		// The Go runtime ends by SIGQUIT with exit code 2 and its goroutines.
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if status.Signal() != s && (s != syscall.SIGQUIT || status.ExitStatus() != 2) {
			t.Errorf("%v: %v", s, cmd.ProcessState)
		}
	}
}

// However locald dies, the helper notices.
func TestRunCallerKilled(t *testing.T) {
	bundle := script(t, "args", "gone")
	cmd := exec.Command(testHelper().Path)
	cmd.Env = append(os.Environ(), "SHIM_TEST_CALLER="+bundle)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	rest, err := io.ReadAll(out) // to the end: the helper has it open too
	if err != nil || !strings.HasSuffix(string(rest), "gone\n") {
		t.Errorf("%q, %v", rest, err)
	}
	cmd.Wait()
}

func TestRunWithoutHelper(t *testing.T) {
	r, _ := request(t, t.TempDir())
	for _, path := range []string{"/nonexistent/locald-shim", os.DevNull} {
		if _, err := (Helper{Path: path}).Run(r); err == nil {
			t.Errorf("%s ran", path)
		}
	}
}

func TestVersion(t *testing.T) {
	link := filepath.Join(t.TempDir(), Name)
	if err := os.Symlink(testHelper().Path, link); err != nil {
		t.Fatal(err)
	}
	version, err := Helper{Path: link}.Version()
	if err != nil || version != "9.9.9" {
		t.Errorf("%q, %v", version, err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "other-name")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := Find(path)
	if err != nil || h.Path != path || h.Installed || h.Setuid {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := Find(filepath.Join(dir, "missing")); err == nil {
		t.Errorf("found %+v", h)
	}
}

func TestUnsafeDir(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to make directories of root's")
	}
	base := t.TempDir() // below a directory that anybody may write
	if reason, err := UnsafeDir(base); err != nil || reason == "" {
		t.Errorf("%s was found safe (%v)", base, err)
	}
	if reason, err := UnsafeDir("/"); err != nil || reason != "" {
		t.Errorf("/: %q, %v", reason, err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink("/", link); err != nil {
		t.Fatal(err)
	}
	if reason, err := UnsafeDir(link); err != nil || reason == "" {
		t.Errorf("a link in %s was found safe (%v)", base, err)
	}
	if _, err := UnsafeDir(filepath.Join(base, "missing")); err == nil {
		t.Error("a missing directory was found safe")
	}
}

func TestInspect(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give files away")
	}
	base := t.TempDir()
	for _, c := range []struct {
		name   string
		change func(path string) error
		unsafe string
	}{
		{"owner", func(p string) error { return os.Chown(p, 1, 0) }, "does not belong to root"},
		{"mode", func(p string) error { return os.Chmod(p, 0o775) }, "can be written by others"},
		{"directory", func(string) error { return nil }, "can be written by others than root"},
		{"link", func(p string) error { os.Rename(p, p+"2"); return os.Symlink(p+"2", p) }, "is not a regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(base, c.name)
			if err := os.WriteFile(path, nil, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.change(path); err != nil {
				t.Fatal(err)
			}
			i, err := Inspect(path)
			if err != nil || !strings.Contains(i.Unsafe, c.unsafe) {
				t.Errorf("%+v, %v; want %q", i, err, c.unsafe)
			}
		})
	}
}
