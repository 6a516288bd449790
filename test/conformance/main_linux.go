// Command conformance runs the validation suite of opencontainers/runtime-tools against locald-shim and, to compare, the
// runtimes of the machine, and writes a table of the results. It fails when locald-shim fails a test that another runtime
// passes, unless reasons.txt says why.
//
//	conformance -programs DIR -suite DIR -shim FILE [-write FILE] [TEST...]
//
// Each program of the suite runs in a mount namespace with a /run and a /dev of its own, and with a limit of time.
package main

import (
	"bufio"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limit bounds one program of the suite: some wait for their containers by sleeping.
const limit = time.Minute

const insideVar = "LOCALD_CONFORMANCE_INSIDE"

//go:embed reasons.txt
var reasonsText string

// runtimeUnderTest is a column of the table.
type runtimeUnderTest struct{ name, path string }

// outcome is what one program of the suite came to.
type outcome struct {
	passed, failed map[string]bool // the tests' numbers and words
	exit           string
}

func main() {
	if dir := os.Getenv(insideVar); dir != "" {
		fmt.Fprintln(os.Stderr, "conformance:", inside(dir, os.Args[1]))
		os.Exit(1)
	}
	programs := flag.String("programs", "", "`directory` with the built programs of the suite")
	suite := flag.String("suite", "", "`directory` of the module opencontainers/runtime-tools")
	shim := flag.String("shim", "", "`path` of locald-shim")
	write := flag.String("write", "", "`file` for the table")
	flag.Parse()
	bad, err := run(*programs, *suite, *shim, *write, flag.Args())
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

func run(programs, suite, shim, write string, tests []string) (bad []string, err error) {
	runtimes := []runtimeUnderTest{{"locald-shim", shim}}
	for _, name := range []string{"runc", "crun"} {
		if path, err := exec.LookPath(name); err == nil {
			runtimes = append(runtimes, runtimeUnderTest{name, path})
		}
	}
	if len(tests) == 0 {
		entries, err := os.ReadDir(programs)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Name() != "runtimetest" {
				tests = append(tests, e.Name())
			}
		}
	}
	reasons := readReasons()
	table := &table{runtimes: runtimes}
	for _, test := range tests {
		var all []outcome
		for _, r := range runtimes {
			o, err := runOne(programs, suite, test, r.path)
			if err != nil {
				return nil, fmt.Errorf("%s with %s: %w", test, r.name, err)
			}
			all = append(all, o)
		}
		row := table.add(test, all, reasons[test])
		fmt.Println(row)
		if reasons[test] == "" {
			bad = append(bad, worse(test, runtimes, all)...)
		}
	}
	fmt.Println(table.total())
	if write != "" {
		err = os.WriteFile(write, []byte(table.markdown()), 0o644)
	}
	return bad, err
}

// worse are the tests that another runtime passes and the first does not. A program that ends before it has said
// anything passes nothing.
func worse(test string, runtimes []runtimeUnderTest, all []outcome) (list []string) {
	for i := 1; i < len(all); i++ {
		for what := range all[i].passed {
			if !all[0].passed[what] && !all[i].failed[what] {
				list = append(list, test+": "+what+", which "+runtimes[i].name+" passes")
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// readReasons are the lines "test: reason".
func readReasons() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(reasonsText) {
		if test, why, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(line, "#") {
			m[test] = why
		}
	}
	return m
}

// runOne runs one program of the suite in namespaces of its own.
func runOne(programs, suite, test, runtimePath string) (outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return outcome{}, err
	}
	program, err := filepath.Abs(filepath.Join(programs, test))
	if err != nil {
		return outcome{}, err
	}
	cmd := exec.Command(self, program)
	runtimePath, err = filepath.Abs(runtimePath)
	if err != nil {
		return outcome{}, err
	}
	cmd.Env = append(os.Environ(), insideVar+"="+suite, "RUNTIME="+runtimePath)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL, Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return outcome{}, err
	}
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	timer := time.AfterFunc(limit, func() { unix.Kill(-cmd.Process.Pid, unix.SIGKILL) })
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

// inside sets the mount namespace up and becomes the program.
func inside(suite, program string) error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	const script = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/dev /run/work
mount -t tmpfs -o mode=755 tmpfs /run/dev
for n in null zero full random urandom tty; do cp -a /dev/$n /run/dev/; done
mkdir /run/dev/pts /run/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /run/dev/pts
ln -s pts/ptmx /run/dev/ptmx; ln -s /proc/self/fd /run/dev/fd
mount --move /run/dev /dev
cp "$1"/rootfs-*.tar.gz "$2" /run/work/
chmod -R u+w /run/work`
	cmd := exec.Command("sh", "-c", script, "sh", suite, filepath.Join(filepath.Dir(program), "runtimetest"))
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	if err := os.Chdir("/run/work"); err != nil {
		return err
	}
	os.Setenv("TMPDIR", "/run/work")
	return unix.Exec(program, []string{program}, os.Environ())
}
