// Command runc-embed runs an OCI bundle with runc's libcontainer linked in: the
// road locald did not take, kept so that the decision can be checked again.
//
//	runc-embed BUNDLE ID
//
// It does what a runtime that embeds that library has to do and no more: read
// config.json, convert it, create and run the container, wait, destroy. It needs
// cgo (the library's nsenter constructor is C) and is re-executed as "runc-embed
// init" for the library's own first process in the container. It is built without
// the seccomp tag, so libseccomp is not linked.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	_ "github.com/opencontainers/runc/libcontainer/nsenter"
	"github.com/opencontainers/runc/libcontainer/specconv"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// stateDir holds the library's state.json; /run is where runc itself keeps it.
const stateDir = "/run/runc-embed"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "init" {
		libcontainer.Init() // execs the container's program: does not return
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: runc-embed BUNDLE ID")
		os.Exit(125)
	}
	code, err := run(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "runc-embed:", err)
		os.Exit(125)
	}
	os.Exit(code)
}

// run returns the exit code of the container's first process.
func run(bundle, id string) (code int, err error) {
	// The library resolves root.path against the working directory.
	if err := os.Chdir(bundle); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		return 0, err
	}
	var spec specs.Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return 0, err
	}
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: id, Spec: &spec})
	if err != nil {
		return 0, err
	}
	// The bundle has no device rules. The library's own defaults would still need a
	// device program in the cgroup, which crun and locald-shim do not load here.
	config.Cgroups.Resources.Devices = nil

	container, err := libcontainer.Create(stateDir, id, config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, container.Destroy()) }()

	process, err := newProcess(spec.Process)
	if err != nil {
		return 0, err
	}
	if err := container.Run(process); err != nil {
		return 0, err
	}
	state, err := process.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}

// newProcess converts what runc's own (internal) newProcess converts, as far as
// the benchmark's bundle goes.
func newProcess(p *specs.Process) (*libcontainer.Process, error) {
	lp := &libcontainer.Process{
		Init:            true,
		Args:            p.Args,
		Env:             p.Env,
		UID:             int(p.User.UID),
		GID:             int(p.User.GID),
		Cwd:             p.Cwd,
		NoNewPrivileges: &p.NoNewPrivileges,
		Stdin:           os.Stdin,
		Stdout:          os.Stdout,
		Stderr:          os.Stderr,
	}
	if c := p.Capabilities; c != nil {
		lp.Capabilities = &configs.Capabilities{
			Bounding:    c.Bounding,
			Effective:   c.Effective,
			Inheritable: c.Inheritable,
			Permitted:   c.Permitted,
			Ambient:     c.Ambient,
		}
	}
	for _, r := range p.Rlimits {
		if r.Type != "RLIMIT_NOFILE" {
			return nil, fmt.Errorf("%s: only RLIMIT_NOFILE is converted here", r.Type)
		}
		lp.Rlimits = append(lp.Rlimits, configs.Rlimit{Type: unix.RLIMIT_NOFILE, Soft: r.Soft, Hard: r.Hard})
	}
	return lp, nil
}
