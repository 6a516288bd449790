package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// place is one of the places and what came of the tests there.
type place struct {
	name   string
	notRun string // why it was left out
	broken []string
	tests  map[test]*result
	took   time.Duration
}

func newPlace(name string) *place { return &place{name: name, tests: map[test]*result{}} }

// ran says whether the place can answer for the list of skips.
func (p *place) ran() bool { return p.notRun == "" && len(p.broken) == 0 }

func (p *place) breakf(format string, args ...any) {
	p.broken = append(p.broken, fmt.Sprintf(format, args...))
	fmt.Printf("%-10s  FAIL  %s\n", p.name, p.broken[len(p.broken)-1])
}

// runner runs the tests in their places.
type runner struct {
	scratch  *scratch
	packages []testPackage
	options  options
}

// runAll runs the tests in one place of the host after the other, and then in both guests at once: a guest
// hardly ever has work for more than one processor.
func (r *runner) runAll(ctx context.Context, all []*place) {
	var guests []*place
	for _, p := range all {
		switch {
		case !slices.Contains(r.options.only, p.name):
			p.notRun = "not asked for"
		case strings.HasPrefix(p.name, "guest-"):
			guests = append(guests, p)
		default:
			start := time.Now()
			r.host(ctx, p)
			p.took = time.Since(start)
		}
	}
	if len(guests) == 0 {
		return
	}
	start, err := time.Now(), haveGuest(ctx)
	var running sync.WaitGroup
	for _, p := range guests {
		running.Go(func() {
			r.guest(ctx, p, err)
			p.took = time.Since(start)
		})
	}
	running.Wait()
}

// host runs the tests on this machine. Whoever runs this program runs the unit tests, too.
func (r *runner) host(ctx context.Context, p *place) {
	who := strings.TrimPrefix(p.name, "host-")
	if (who == "root") == (os.Getuid() == 0) {
		r.unit(ctx, p)
	}
	sudo, err := asRoot()
	if err != nil {
		p.notRun = err.Error()
		fmt.Printf("%-10s  skipped: %v\n", p.name, err)
		return
	}
	r.binaries(ctx, p, hostLimit, sudo, "test/places/host", who)
}

// asRoot is what to put before a command that needs root: nothing, or sudo.
func asRoot() ([]string, error) {
	if os.Getuid() == 0 {
		return nil, nil
	}
	if exec.Command("sudo", "-n", "true").Run() == nil {
		return []string{"sudo"}, nil
	}
	if tty, err := os.Open("/dev/tty"); err == nil { // sudo can ask there
		tty.Close()
		if exec.Command("sudo", "-v").Run() == nil {
			return []string{"sudo"}, nil
		}
	}
	return nil, errors.New("needs root, and sudo does not give it")
}

// unit runs the packages that do not talk to the kernel.
func (r *runner) unit(ctx context.Context, p *place) {
	argv := []string{"go", "test", "-json", "-timeout", unitLimit.String()}
	var paths []string
	for _, pkg := range r.packages {
		if !pkg.kernel {
			paths = append(paths, pkg.path)
		}
	}
	r.events(ctx, p, unitLimit, paths, append(argv, paths...))
}

// binaries runs the test binaries by a script of test/places, started with prefix.
func (r *runner) binaries(ctx context.Context, p *place, limit time.Duration, prefix []string, script ...string) {
	var paths []string
	for _, pkg := range r.packages {
		if pkg.kernel {
			paths = append(paths, pkg.path)
		}
	}
	// A test binary that hangs ends before the place does and says where it hung.
	seconds := strconv.Itoa(int(limit.Seconds()) * 4 / 5)
	// timeout(1) signals the whole process group, whoever the processes in it belong to.
	argv := append(slices.Clone(prefix), "timeout", "--kill-after=10", strconv.Itoa(int(limit.Seconds())))
	r.events(ctx, p, limit+30*time.Second, paths, append(append(argv, script...), r.scratch.dir, seconds))
}

// guest runs the tests in a guest, unless there is none, for the reason missing.
func (r *runner) guest(ctx context.Context, p *place, missing error) {
	if missing != nil {
		p.notRun = missing.Error()
		if r.options.requireGuest {
			p.breakf("%v", missing)
		} else {
			fmt.Printf("%-10s  skipped: %v\n", p.name, missing)
		}
		return
	}
	who := strings.TrimPrefix(p.name, "guest-")
	r.binaries(ctx, p, guestLimit, nil, "test/guest/run", "--dir", r.scratch.dir, "--timeout", "3600", "--", r.scratch.dir+"/guest", who)
}

// haveGuest makes sure that a guest can be run, building its image if there is none yet.
func haveGuest(ctx context.Context) error {
	if runtime.GOARCH != "amd64" {
		return errors.New("the guest is an x86-64 machine, and these programs are for " + runtime.GOARCH)
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		return errors.New("there is no qemu-system-x86_64: apt-get install qemu-system-x86")
	}
	try := func(argv ...string) error {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		return cmd.Run()
	}
	err := try("test/guest/run", "--dir", "test/guest", "--timeout", "120", "--", "true")
	if err != nil && os.Getuid() != 0 {
		if sudo, e := asRoot(); e == nil && try(append(sudo, "test/guest/build")...) == nil {
			err = try("test/guest/run", "--dir", "test/guest", "--timeout", "120", "--", "true")
		}
	}
	if err != nil {
		return fmt.Errorf("the guest does not run: %w", err)
	}
	return nil
}

// events runs a command that writes the events of tests, and takes them down.
func (r *runner) events(ctx context.Context, p *place, limit time.Duration, paths, argv []string) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	// A polite signal first, so that timeout(1) and the scripts can clean up.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.breakf("%v", err)
		return
	}
	if err := cmd.Start(); err != nil {
		p.breakf("%v", err)
		return
	}
	p.read(out, paths)
	err = cmd.Wait()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		p.breakf("interrupted")
	case ctx.Err() != nil || exitCode(err) == 124: // timeout(1) says so with 124
		p.breakf("not done after %s", limit)
	case err != nil && !p.failed(): // go test exits with 1 for a failing test
		p.breakf("%s: %v", argv[0], err)
	}
}

// exitCode is the exit status of a command that ran and failed, else 0.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
