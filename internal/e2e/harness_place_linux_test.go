package e2e

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/locald/locald/internal/e2e/probe"
	"golang.org/x/sys/unix"
)

// place is where the tests run.
type place struct {
	name  string
	root  bool // real root: no policy, no user namespace
	guest bool // cgroup v2 with all controllers, a machine of our own
}

var (
	here     place
	shimPath string // the locald-shim to test: for a user the installed one
	binDir   string // holds locald and locald-shim as they were built
	probeExe string // the probe, ready to be linked into a rootfs
	idPrefix string // of every container that this run makes
)

// limit bounds every wait of a test. The guest's machine is emulated and some ten times slower.
func limit() time.Duration {
	if here.guest {
		return 4 * time.Minute
	}
	return 30 * time.Second
}

// needs skips a test in places that cannot run it. The reason is compared with testdata/skips.txt.
func needs(t *testing.T, ok bool, why string) {
	t.Helper()
	if !ok {
		t.Skip(why)
	}
}

func needsRoot(t *testing.T, why string) { t.Helper(); needs(t, here.root, why) }
func needsUser(t *testing.T)             { t.Helper(); needs(t, !here.root, "is about callers who are not root") }
func needsControllers(t *testing.T) {
	t.Helper()
	needs(t, here.guest, "needs a cgroup2 tree with controllers")
}

func TestMain(m *testing.M) {
	if probe.Asked() {
		probe.Main()
	}
	switch filepath.Base(os.Args[0]) {
	case tracerName:
		tracerMain()
	case conditionsName:
		conditionsMain()
	case racerName:
		racerMain()
	}
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (int, error) {
	name := os.Getenv("LOCALD_TEST_PLACE")
	if name == "" {
		name = "host-user"
		if os.Getuid() == 0 {
			name = "host-root"
		}
	}
	switch name {
	case "host-root", "host-user", "guest-root", "guest-user":
	default:
		return 1, fmt.Errorf("LOCALD_TEST_PLACE=%s is not a place", name)
	}
	here = place{name, strings.HasSuffix(name, "-root"), strings.HasPrefix(name, "guest-")}
	binDir = os.Getenv("LOCALD_BIN_DIR")
	if os.Getenv(stageVar) == "inside" {
		return 1, enter() // does not come back
	}
	scratch, err := os.MkdirTemp("", "locald-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o755); err != nil { // a container's root is not always the owner
		return 1, err
	}
	if binDir == "" {
		if err := build(scratch); err != nil {
			return 1, err
		}
	}
	if outside, err := hostNamespace(); err != nil || outside {
		if err != nil {
			return 1, err
		}
		return again()
	}
	if here.root != (os.Getuid() == 0) {
		return 1, fmt.Errorf("uid %d is wrong for LOCALD_TEST_PLACE=%s", os.Getuid(), here.name)
	}
	if shimPath = os.Getenv("LOCALD_SHIM"); shimPath == "" {
		shimPath = filepath.Join(binDir, "locald-shim")
	}
	if here.root {
		if err := protect(shimPath); err != nil {
			return 1, err
		}
	}
	idPrefix = "e2e-" + strconv.Itoa(os.Getpid()) + "-"
	// What a killed shim leaves behind becomes a child of this process, which sees it and can wait for it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, err
	}
	if probeExe, err = makeProbe(scratch); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// protect puts a file on a mount that can only be read: the shim is not within reach of containers then, and does not
// execute itself once more for those of root's, as where setup has installed it.
func protect(file string) error {
	if err := unix.Mount(file, file, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", file, err)
	}
	return unix.Mount("", file, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
}

// build makes the programs in dir, for a test run by hand.
func build(dir string) error {
	for _, name := range []string{"locald-shim", "locald-registry", "locald"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "github.com/locald/locald/cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	binDir = dir
	return nil
}

// makeProbe copies this test binary, which must not need a file that a rootfs does not have.
func makeProbe(dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := elf.Open(self)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("%s is dynamically linked: build it with CGO_ENABLED=0", self)
		}
	}
	exe := filepath.Join(dir, probe.Name)
	return exe, copyFile(exe, self, 0o755)
}

func copyFile(to, from string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if e := out.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Chmod(to, mode) // also the bits that open(2) masks
	}
	return err
}
