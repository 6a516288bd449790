package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// candidate is one command line to measure. "{slot}" and "{seq}" in its arguments
// are filled in by the spawn program.
type candidate struct {
	name string
	as   caller
	argv []string
	env  []string
	dir  string // where it starts; "" is "/"
	// before, when set, is called before each run, outside of what is measured.
	before func()
}

// limit bounds one start of the spawn program, so that a candidate that hangs ends
// the benchmark instead of stopping it.
const limit = 2 * time.Minute

// pause lets the kernel finish what the candidate before left to its workers (the
// network namespace and the cgroup are taken down after the process is gone), so
// that it is not charged to the next.
const pause = 10 * time.Millisecond

// spawn runs a candidate total times, parallel at a time, and returns the runs and
// the time of all together. A run that does not exit with 0 is an error.
func (c candidate) spawn(program string, total, parallel int) (series, time.Duration, error) {
	args := append([]string{"-n", strconv.Itoa(total), "-j", strconv.Itoa(parallel)}, c.argv...)
	report, w, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer report.Close()
	var stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Dir = cmp.Or(c.dir, "/")
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"}, c.env...)
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Credential: &syscall.Credential{Uid: uint32(c.as.uid), Gid: uint32(c.as.gid)},
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return nil, 0, err
	}
	timer := time.AfterFunc(limit, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	text, readErr := io.ReadAll(report)
	err = errors.Join(readErr, cmd.Wait())
	if !timer.Stop() {
		err = fmt.Errorf("not done after %s", limit)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w: %s", c.name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	runs, all, err := parseReport(string(text))
	if err == nil && len(runs) != total {
		err = fmt.Errorf("%d runs reported, not %d", len(runs), total)
	}
	for _, r := range runs {
		if err == nil && r.status != 0 {
			err = fmt.Errorf("wait status %#x: %s", r.status, bytes.TrimSpace(stderr.Bytes()))
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", c.name, err)
	}
	return runs, all, nil
}

// parseReport reads what spawn writes (spawn/spawn.c says the format).
func parseReport(text string) (series, time.Duration, error) {
	var runs series
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "total "); ok {
			ns, err := strconv.ParseInt(rest, 10, 64)
			return runs, time.Duration(ns), err
		}
		var s sample
		var wall, cpu int64
		_, err := fmt.Sscan(line, &wall, &s.status, &s.peakKB, &s.minorFaults, &cpu)
		if err != nil {
			return nil, 0, fmt.Errorf("report line %q: %w", line, err)
		}
		s.wall, s.cpu = time.Duration(wall), time.Duration(cpu)*time.Microsecond
		runs = append(runs, s)
	}
	return nil, 0, errors.New("the report has no total")
}

// rounds measures the candidates round-robin: each round runs every one of them
// once, in an order drawn anew, so that drift of the machine and what one
// candidate leaves to the next fall on all alike. A candidate that fails is not
// measured at all.
func rounds(program string, candidates []candidate, n int) (runs map[string]series, failed []error) {
	runs = make(map[string]series, len(candidates))
	broken := make([]bool, len(candidates))
	rng := rand.New(rand.NewPCG(1, 2))
	for range n {
		for _, i := range rng.Perm(len(candidates)) {
			if broken[i] {
				continue
			}
			c := candidates[i]
			time.Sleep(pause)
			if c.before != nil {
				c.before()
			}
			one, _, err := c.spawn(program, 1, 1)
			if err != nil {
				broken[i] = true
				failed = append(failed, fmt.Errorf("after %d runs: %w", len(runs[c.name]), err))
				delete(runs, c.name)
				continue
			}
			runs[c.name] = append(runs[c.name], one...)
		}
	}
	return runs, failed
}
