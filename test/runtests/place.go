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

// runner runs the tests in one place after the other: two at once would only slow each other down.
type runner struct {
	scratch  *scratch
	packages []testPackage
	options  options
	noGuest  string // why there is no guest, once asked
	asked    bool
}

func (r *runner) run(ctx context.Context, p *place) {
	if !slices.Contains(r.options.only, p.name) {
		p.notRun = "not asked for"
		return
	}
	fmt.Printf("\n%s\n", p.name)
	who, root := strings.TrimPrefix(p.name, "host-"), os.Getuid() == 0
	if who == p.name {
		r.guest(ctx, p)
		return
	}
	if (who == "root") == root {
		r.unit(ctx, p)
	}
	sudo, err := asRoot()
	if err != nil {
		p.notRun = err.Error()
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
	seconds := strconv.Itoa(int(limit.Seconds()) * 2 / 3)
	// timeout(1) signals the whole process group, whoever the processes in it belong to.
	argv := append(slices.Clone(prefix), "timeout", "--kill-after=10", strconv.Itoa(int(limit.Seconds())))
	r.events(ctx, p, limit+30*time.Second, paths, append(append(argv, script...), r.scratch.dir, seconds))
}

func (r *runner) guest(ctx context.Context, p *place) {
	if !r.asked {
		r.asked = true
		if err := haveGuest(ctx); err != nil {
			r.noGuest = err.Error()
		}
	}
	if r.noGuest != "" {
		if r.options.requireGuest {
			p.breakf("%s", r.noGuest)
		}
		p.notRun = r.noGuest
		fmt.Printf("%-10s  skipped: %s\n", p.name, r.noGuest)
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
