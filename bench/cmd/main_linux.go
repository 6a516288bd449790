// Command bench compares locald-shim with other ways to run a container: crun and
// runc, a C program with the same system calls built in, and a program that links
// runc's libcontainer. bench/run builds what it needs and starts it as root.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// options is the command line.
type options struct {
	built       string
	parts       string
	rounds      int
	many, crowd int
	write       bool
	file        string // the report's, absolute: the inner process may be elsewhere
	trace       bool
	shell       string
	inside      string // set in the process that runs inside the namespaces: its cgroup
}

func main() {
	var o options
	flag.StringVar(&o.built, "built", "bench/.build", "directory of the built binaries")
	flag.StringVar(&o.parts, "parts", "runtime,caller", "what to measure: runtime (locald-shim against other runtimes), caller (locald run and try), big (images, streams and many containers)")
	flag.IntVar(&o.rounds, "rounds", 60, "rounds; each runs every candidate once")
	flag.IntVar(&o.many, "many", 200, "containers to start 8 at a time; 0 leaves it out")
	flag.IntVar(&o.crowd, "crowd", 1000, "containers of each runtime to be alive at once; 0 leaves it out")
	flag.BoolVar(&o.write, "write", false, "write the report to bench/results.md as well")
	flag.BoolVar(&o.trace, "trace", false, "also say where locald-shim's time goes")
	flag.StringVar(&o.shell, "shell", "", "measure nothing: run this command where the candidates would run, to look closer with strace or perf")
	flag.StringVar(&o.inside, "inside", "", "used by the program itself")
	flag.StringVar(&o.file, "file", "bench/results.md", "where -write writes")
	bundle := flag.String("bundle", "", "only write the bundle of a root caller to this directory")
	floor := flag.Bool("floor", false, "only turn the listing on standard input into the floor's program.h")
	flag.Parse()
	run := outside
	switch {
	case *bundle != "":
		run = func(o options) error {
			spec, err := newSpec(rootCaller, 0)
			if err != nil {
				return err
			}
			return writeBundle(*bundle, spec, filepath.Join(o.built, "true"))
		}
	case *floor:
		run = func(options) error {
			listing, err := io.ReadAll(os.Stdin)
			return errors.Join(err, writeFloor(os.Stdout, string(listing)))
		}
	case o.inside != "":
		run = inside
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

// has reports whether a part is to be measured.
func (o *options) has(part string) bool { return slices.Contains(strings.Split(o.parts, ","), part) }

// outside prepares, starts the process that measures in its namespaces, and
// removes everything when that is gone.
func outside(o options) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: namespaces, cgroups and a set-user-ID copy of locald-shim are made for the time of the run")
	}
	// The inner process is killed when the thread that started it is gone, and so is the
	// whole tree of its cgroup when this one cleans up after it; only that one ends on
	// a signal.
	runtime.LockOSThread()
	// Caught, not ignored: an ignored signal would stay ignored in the inner process.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	lock, err := os.Create(workDir + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	defer os.Remove(lock.Name())
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s: another run holds it: %w", lock.Name(), err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(workDir)) }()
	if err := install(o.built); err != nil {
		return err
	}
	cgroup, err := makeCgroup()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeCgroup(cgroup)) }()
	dir, err := os.Open(cgroup)
	if err != nil {
		return err
	}
	defer dir.Close()

	if o.file, err = filepath.Abs(o.file); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", append(os.Args[1:], "-inside", cgroup, "-file", o.file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// unshare(2) after the child is in its cgroup, so that this is the root of the
	// new cgroup namespace; the package then makes every mount private.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		UseCgroupFD:  true,
		CgroupFD:     int(dir.Fd()),
		Unshareflags: syscall.CLONE_NEWNS | unix.CLONE_NEWCGROUP,
		Pdeathsig:    syscall.SIGKILL,
	}
	return cmd.Run()
}

// inside measures and prints.
func inside(o options) error {
	if err := enter(o.inside); err != nil {
		return err
	}
	if err := errors.Join(makeRuntimeDirs(), protect(bin("locald-shim"))); err != nil {
		return err
	}
	if o.shell != "" {
		cmd := exec.Command("/bin/sh", "-c", o.shell)
		cmd.Dir = workDir
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return cmd.Run()
	}
	r, err := measure(o)
	if err != nil {
		return err
	}
	text := r.markdown()
	fmt.Print(text)
	if o.write {
		err = os.WriteFile(o.file, []byte(text), 0o644)
	}
	if len(r.skipped) > 0 {
		err = errors.Join(err, fmt.Errorf("%d candidates were not measured, see the report", len(r.skipped)))
	}
	if len(r.leftovers) > 0 {
		err = errors.Join(err, fmt.Errorf("%d things left behind, see the report", len(r.leftovers)))
	}
	return err
}
