package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What engines ask of a runtime: create, start and delete; exec; state. The command lines are the same for all.

// engineRuntimes are the runtimes by the name of their row, with the flags before the verb.
func engineRuntimes() []struct{ name, command string } {
	return []struct{ name, command string }{
		{shimRoot, bin("locald-shim")},
		{crunRoot, peer("crun") + " --cgroup-manager=cgroupfs"},
		{runcRoot, peer("runc")},
	}
}

// lives are candidates that create, start and delete a container that runs true. A shell calls the three, the same for
// all; delete is refused until true has ended, and is called again then.
func lives() []candidate {
	var list []candidate
	for _, r := range engineRuntimes() {
		script := fmt.Sprintf("%[1]s create --bundle %[2]s life-{slot} && %[1]s start life-{slot} && until %[1]s delete life-{slot} 2>/dev/null; do :; done",
			r.command, bundleDir(rootCaller, "{slot}"))
		list = append(list, candidate{name: r.name + lifeSuffix, argv: []string{"/bin/sh", "-c", script}})
	}
	return list
}

// profiled are candidates that run true under the profile that Docker ships, as far as it looks at no arguments. crun
// keeps what it has compiled; cold it has to compile it.
func profiled() ([]candidate, error) {
	names, err := os.ReadFile(bin("profile"))
	if err != nil {
		return nil, err
	}
	spec, err := newSpec(rootCaller, slots+8)
	if err != nil {
		return nil, err
	}
	spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
		{Names: append(strings.Fields(string(names)), "clone", "socket"), Action: specs.ActAllow},
	}}
	dir := filepath.Join(workDir, "profiled")
	if err := writeBundle(dir, spec, bin("true")); err != nil {
		return nil, err
	}
	const coldRoot = "/run/crun-cold"
	list := []candidate{{name: crunRoot + profileSuffix + coldSuffix, argv: []string{peer("crun"), "--cgroup-manager=cgroupfs", "--root", coldRoot, "run", "--bundle", dir, "profiled"},
		before: func() { os.RemoveAll(coldRoot) }}}
	for _, r := range engineRuntimes() {
		list = append(list, candidate{name: r.name + profileSuffix, argv: append(strings.Fields(r.command), "run", "--bundle", dir, "profiled")})
	}
	return list, nil
}

// joiners are candidates that run true in a container which is there, and that ask for its state. done ends the
// containers.
func joiners() (execs, states []candidate, done func() error, err error) {
	var ids [][]string
	done = func() (err error) {
		for _, id := range ids {
			err = errors.Join(err, call(id[0], "kill", id[1], "KILL"), callUntil(id[0], "delete", id[1]))
		}
		return err
	}
	for i, r := range engineRuntimes() {
		dir := filepath.Join(workDir, "joined", fmt.Sprint(i))
		spec, e := newSpec(rootCaller, slots+i)
		if e != nil {
			return nil, nil, done, e
		}
		spec.Process.Args = []string{"/bin/pause"}
		id := fmt.Sprintf("joined-%d", i)
		pause, e := os.ReadFile(bin("pause"))
		if e = errors.Join(e, writeBundle(dir, spec, bin("true")), os.WriteFile(filepath.Join(dir, "rootfs/bin/pause"), pause, 0o755)); e != nil {
			return nil, nil, done, e
		}
		if e := errors.Join(call(r.command, "create", "--bundle", dir, id), call(r.command, "start", id)); e != nil {
			err = errors.Join(err, e)
			continue
		}
		ids = append(ids, []string{r.command, id})
		execs = append(execs, candidate{name: r.name + execSuffix, argv: append(strings.Fields(r.command), "exec", id, "/bin/true")})
		states = append(states, candidate{name: r.name + stateSuffix, argv: append(strings.Fields(r.command), "state", id)})
	}
	return execs, states, done, err
}

// call runs one verb. The container must not inherit a pipe: whoever reads it would wait for the container's end.
func call(command string, args ...string) error {
	argv := append(strings.Fields(command), args...)
	if err := exec.Command(argv[0], argv[1:]...).Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return nil
}

// callUntil calls until it works, a thousand times at most.
func callUntil(command string, args ...string) (err error) {
	for range 1000 {
		if err = call(command, args...); err == nil {
			return nil
		}
	}
	return err
}
