package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// crowd makes n containers with each runtime and lets them live. done ends them.
func crowd(n int) (results []crowdResult, states, lists []candidate, done func() error, err error) {
	type made struct {
		command, root string
		ids           []string
	}
	var all []made
	done = func() (err error) {
		for _, m := range all {
			for _, id := range m.ids {
				err = errors.Join(err, call(m.command, "kill", id, "KILL"), callUntil(m.command, "delete", id))
			}
			err = errors.Join(err, os.RemoveAll(m.root))
		}
		return err
	}
	for i, r := range engineRuntimes() {
		if r.name == runcRoot {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %d containers alive: %s\n", n, r.name)
		m := made{root: "/run/crowd-" + fmt.Sprint(i)}
		m.command = r.command + " --root " + m.root
		command := m.command
		var took []time.Duration
		for k := range n {
			dir, e := crowdBundle(i, k)
			if e != nil {
				err = errors.Join(err, e)
				break
			}
			id := fmt.Sprintf("crowd-%d", k)
			start := time.Now()
			e = errors.Join(call(command, "create", "--bundle", dir, id), call(command, "start", id))
			took = append(took, time.Since(start))
			if e != nil {
				err = errors.Join(err, e)
				break
			}
			m.ids = append(m.ids, id)
		}
		all = append(all, m)
		if len(m.ids) < n {
			continue
		}
		few := max(1, n/50)
		results = append(results, crowdResult{r.name, n, medianOf(took[:few]), medianOf(took[n-few:]), processesOf(strings.Fields(r.command)[0])})
		argv := strings.Fields(command)
		states = append(states, candidate{name: r.name + crowdStateSuffix, argv: append(slices.Clone(argv), "state", m.ids[n/2])})
		lists = append(lists, candidate{name: r.name + crowdListSuffix, argv: append(slices.Clone(argv), "list")})
	}
	return results, states, lists, done, err
}

// crowdBundle writes the bundle of one of them. They share a root file system.
func crowdBundle(runtime, k int) (string, error) {
	dir := filepath.Join(workDir, "crowd", fmt.Sprint(runtime), fmt.Sprint(k))
	spec, err := newSpec(rootCaller, 1000+k)
	if err != nil {
		return "", err
	}
	spec.Linux.CgroupsPath = fmt.Sprintf("/locald/crowd-%d-%d", runtime, k)
	spec.Process.Args = []string{"/bin/pause"}
	spec.Root = &specs.Root{Path: filepath.Join(workDir, "crowd/rootfs"), Readonly: true}
	if k > 0 || runtime > 0 {
		return dir, writeConfig(dir, spec)
	}
	pause, err := os.ReadFile(bin("pause"))
	if err != nil {
		return "", err
	}
	shared := filepath.Join(workDir, "crowd")
	return dir, errors.Join(writeBundle(shared, spec, bin("true")), os.WriteFile(filepath.Join(shared, "rootfs/bin/pause"), pause, 0o755), writeConfig(dir, spec))
}

func medianOf(times []time.Duration) time.Duration {
	return quantile(slices.Sorted(slices.Values(times)), 0.5)
}

// processesOf counts the processes that execute a file.
func processesOf(file string) int {
	n := 0
	want, err := exec.LookPath(file)
	if err != nil {
		return -1
	}
	entries, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, e := range entries {
		if to, err := os.Readlink(e); err == nil && to == want {
			n++
		}
	}
	return n
}
