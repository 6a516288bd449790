// Package clients_test has engines run containers with locald-shim: podman, containerd by way of ctr, and dockerd, as
// Debian ships them. It is no part of make test, because it installs them. `make clients` (test/run-clients) runs it, in
// namespaces of its own on the host, and for dockerd in the guest.
package clients_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What engines keep, in the tests' own /run.
const (
	dir    = "/run/clients"
	rootfs = dir + "/rootfs"
)

// snippet is the first block of a language in a page of docs/how-to, with the path of the runtime under test in it.
func snippet(t *testing.T, page, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(os.Getenv("LOCALD_CLIENTS_SHIM")), page))
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```"+language+"\n")
	block, _, end := strings.Cut(block, "```")
	if !ok || !end || !strings.Contains(block, "/usr/local/libexec/locald-shim") {
		t.Fatalf("%s has no block of %s that names locald-shim", page, language)
	}
	return strings.ReplaceAll(block, "/usr/local/libexec/locald-shim", oci)
}

// oci is the runtime that engines are given: locald-shim, or, to see whether a test is right, what LOCALD_CLIENTS_RUNTIME
// names.
var oci = dir + "/locald-shim"

// TestMain makes what all tests need: the runtime, and the files of an image.
func TestMain(m *testing.M) {
	bin := os.Getenv("LOCALD_CLIENTS_SHIM")
	if bin == "" {
		fmt.Println("skipped: test/run-clients runs these tests, as root, in a place of their own")
		os.Exit(0)
	}
	if err := prepare(bin); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func prepare(bin string) error {
	if other := os.Getenv("LOCALD_CLIENTS_RUNTIME"); other != "" {
		path, err := exec.LookPath(other)
		if err != nil {
			return err
		}
		oci = path
	}
	const script = `set -e
mkdir -p "$1"/bin "$1"/etc "$1"/tmp "$1"/data; chmod 1777 "$1"/tmp
cp "$2" "$1"/../locald-shim
cp "$(command -v busybox)" "$1"/bin/busybox
for a in sh sleep cat echo id ps ls true false env hostname touch stty tty mount head rm test; do ln -s busybox "$1"/bin/$a; done
echo root:x:0:0:root:/root:/bin/sh >"$1"/etc/passwd
echo root:x:0: >"$1"/etc/group
echo kept >"$1"/data/file
tar -C "$1" -cf "$1"/../layer.tar .`
	if out, err := exec.Command("sh", "-c", script, "sh", rootfs, bin).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	os.Setenv("HOME", dir)
	os.Setenv("TMPDIR", dir)
	os.Unsetenv("XDG_RUNTIME_DIR")
	return nil
}

// kept fails the test unless the runtime keeps the state of so many containers, wherever engines have it do so: its own
// default, and what containerd's shim names by --root.
func kept(t *testing.T, want int) {
	t.Helper()
	if oci != dir+"/locald-shim" {
		return // others have other defaults
	}
	var all []string
	for _, root := range []string{"/run/locald/root/*", "/run/containerd/runc/*/*", "/run/docker/runtime-*/*/*", dir + "/docker/exec/runtime-*/*/*"} {
		found, _ := filepath.Glob(root)
		all = append(all, found...)
	}
	if len(all) != want {
		t.Errorf("the runtime keeps %v, want %d", all, want)
	}
}

// result is what a command said, and its exit status.
type result struct {
	argv string
	code int
	out  string // standard output and standard error
}

// call runs a command with a limit of time.
func call(t *testing.T, argv ...string) result {
	t.Helper()
	return finish(t, exec.Command(argv[0], argv[1:]...))
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out strings.Builder
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = &out, &out
	}
	cmd.WaitDelay = 5 * time.Second // a detached container may keep a pipe
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("%s does not end: %s", strings.Join(cmd.Args, " "), out.String())
	}
	return result{strings.Join(cmd.Args, " "), cmd.ProcessState.ExitCode(), out.String()}
}

// want fails the test unless the exit status is code and the output holds every text.
func (r result) want(t *testing.T, code int, texts ...string) result {
	t.Helper()
	if r.code != code {
		t.Errorf("%s\nexit status %d, want %d: %s", r.argv, r.code, code, r.out)
	}
	for _, text := range texts {
		if !strings.Contains(r.out, text) {
			t.Errorf("%s\n%q is not in what it says: %s", r.argv, text, r.out)
		}
	}
	return r
}

// needs skips where a program is missing; in CI that is a failure.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("needs " + p)
			}
			t.Skip("needs " + p)
		}
	}
}
