package clients_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// daemon runs a program until the test ends, and shows what it said if the test fails. It returns when the command ready
// succeeds.
func daemon(t *testing.T, ready []string, argv ...string) {
	t.Helper()
	log, err := os.Create(dir + "/" + argv[0] + ".log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			t.Errorf("%s does not end after SIGTERM", argv[0])
		}
		log.Close()
		if said, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("the end of what %s has said:\n%s", argv[0], said[max(0, len(said)-10000):])
		}
	})
	untilCode(t, 0, ready...)
}

// until repeats a command until its output has a text.
func until(t *testing.T, text string, argv ...string) {
	t.Helper()
	repeat(t, func(r result) bool { return strings.Contains(r.out, text) }, argv...)
}

// untilCode repeats a command until it ends with an exit status.
func untilCode(t *testing.T, code int, argv ...string) {
	t.Helper()
	repeat(t, func(r result) bool { return r.code == code }, argv...)
}

func repeat(t *testing.T, good func(result) bool, argv ...string) {
	t.Helper()
	last := time.Now().Add(time.Minute)
	for {
		r := call(t, argv...)
		if good(r) {
			return
		}
		if time.Now().After(last) {
			t.Fatalf("%s, after a minute: exit status %d: %s", r.argv, r.code, r.out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
