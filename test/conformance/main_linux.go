// Command conformance runs the validation suite of opencontainers/runtime-tools against locald-shim and, to compare, the
// runtimes of the machine, and writes a table of the results. It fails when locald-shim fails a line that another runtime
// passes, unless reasons.txt says why, and when a reason there excuses nothing.
//
//	conformance -private FILE -programs DIR -suite DIR -shim FILE [-write FILE] [TEST...]
//
// Each program of the suite runs in namespaces and a cgroup of its own (test/places/private), and with a limit of time.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limit bounds one program of the suite: some wait for their containers by sleeping.
const limit = time.Minute

// script runs the program $1 in a directory with what it expects there: the module's archives and the program
// runtimetest, which it puts into its containers.
const script = `set -e
mkdir /run/suite
cp "$2"/rootfs-*.tar.gz "$(dirname "$1")/runtimetest" /run/suite/
chmod -R u+w /run/suite
cd /run/suite
TMPDIR=/run/suite exec "$1"`

// runtimeUnderTest is a column of the table.
type runtimeUnderTest struct{ name, path string }

// outcome is what one program of the suite came to.
type outcome struct {
	passed, failed map[string]bool // the tests' numbers and words
	exit           string
}

// suite is where the programs of the suite and what they need lie.
type suite struct{ private, programs, module string }

func main() {
	runtime.LockOSThread() // what it starts gets a signal when this thread ends
	var s suite
	flag.StringVar(&s.private, "private", "", "`path` of test/places/private")
	flag.StringVar(&s.programs, "programs", "", "`directory` with the built programs of the suite")
	flag.StringVar(&s.module, "suite", "", "`directory` of the module opencontainers/runtime-tools")
	shim := flag.String("shim", "", "`path` of locald-shim")
	write := flag.String("write", "", "`file` for the table")
	flag.Parse()
	bad, err := s.run(*shim, *write, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
	for _, line := range bad {
		fmt.Println("FAIL", line)
	}
	if len(bad) > 0 {
		os.Exit(1)
	}
}

func (s suite) run(shim, write string, tests []string) (bad []string, err error) {
	runtimes := []runtimeUnderTest{{"locald-shim", shim}}
	for _, name := range []string{"runc", "crun"} {
		if path, err := exec.LookPath(name); err == nil {
			runtimes = append(runtimes, runtimeUnderTest{name, path})
		}
	}
	if len(tests) == 0 {
		entries, err := os.ReadDir(s.programs)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Name() != "runtimetest" {
				tests = append(tests, e.Name())
			}
		}
	}
	excuses, err := readReasons()
	if err != nil {
		return nil, err
	}
	table := &table{runtimes: runtimes}
	for _, test := range tests {
		var all []outcome
		for _, r := range runtimes {
			o, err := s.runOne(test, r.path)
			if err != nil {
				return nil, fmt.Errorf("%s with %s: %w", test, r.name, err)
			}
			all = append(all, o)
		}
		unexcused, why := excuses.apply(test, worse(runtimes, all))
		bad = append(bad, unexcused...)
		fmt.Println(table.add(test, all, why))
	}
	fmt.Println(table.total())
	if write != "" {
		err = os.WriteFile(write, []byte(table.markdown()), 0o644)
	}
	return bad, err
}

// worse are the lines that another runtime passes and the first does not, and who passes them. A program that ends before
// it has said anything passes nothing.
func worse(runtimes []runtimeUnderTest, all []outcome) map[string]string {
	lines := map[string]string{}
	for i := 1; i < len(all); i++ {
		for what := range all[i].passed {
			if !all[0].passed[what] && !all[i].failed[what] {
				lines[what] = runtimes[i].name
			}
		}
	}
	return lines
}

// runOne runs one program of the suite.
func (s suite) runOne(test, runtimePath string) (outcome, error) {
	paths := [...]string{filepath.Join(s.programs, test), s.module, runtimePath}
	for i := range paths {
		var err error
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return outcome{}, err
		}
	}
	cmd := exec.Command(s.private, "conformance", "sh", "-c", script, "sh", paths[0], paths[1])
	cmd.Env = append(os.Environ(), "RUNTIME="+paths[2])
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return outcome{}, err
	}
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	timer := time.AfterFunc(limit, func() { cmd.Process.Signal(unix.SIGTERM) })
	defer timer.Stop()
	o := outcome{passed: map[string]bool{}, failed: map[string]bool{}}
	in := bufio.NewScanner(out)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if what, ok := strings.CutPrefix(in.Text(), "not ok "); ok {
			o.failed[words(what)] = true
		} else if what, ok := strings.CutPrefix(in.Text(), "ok "); ok {
			o.passed[words(what)] = true
		}
	}
	err = cmd.Wait()
	o.exit = strconv.Itoa(cmd.ProcessState.ExitCode())
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return o, err
	}
	return o, nil
}

// words is a line of a test without what differs from one run to the next: the numbers come out of order where a program
// tests several things at once, and names are made up.
func words(line string) string {
	what, _, _ := strings.Cut(line, " # ")
	_, what, _ = strings.Cut(what, " - ")
	return what
}
