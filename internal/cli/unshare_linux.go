package cli

import (
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/bundle"
)

// unshare runs a program with the caller's own view of the machine, in a user namespace with the ids of containers.
func (a *app) unshare(command []string) error {
	helper, err := a.helper()
	if err != nil {
		return helperFailure(err)
	}
	v := &hostView{app: a, flags: &hostFlags{}, who: caller(helper.Setuid)}
	if v.who.Root() {
		return &failure{id: idUsage, what: "root has every id already"}
	}
	if !v.who.Subordinate() {
		return &failure{id: idUser, what: "you have no subordinate ids that could be used", try: []string{"sudo locald setup"}}
	}
	if len(command) == 0 {
		command = []string{shellOf(os.Getenv("SHELL"))}
	}
	f := &runFlags{terminal: isTerminal(a.stdin) && isTerminal(a.stdout)}
	f.network = string(bundle.NetworkHost)
	o, err := a.unshareOptions(f, v, command)
	if err != nil {
		return err
	}
	s, err := a.newHostScratch(helper, o.ID, v)
	if err != nil {
		return err
	}
	defer s.remove()
	o.Rootfs = filepath.Join(s.path, "root")
	spec, err := bundle.Generate(o)
	if err != nil {
		return err
	}
	return a.execute(f, helper, spec, o.ID)
}

func shellOf(shell string) string {
	if filepath.IsAbs(shell) {
		return shell
	}
	return "/bin/sh"
}

// unshareOptions are everything in "/" where it is, and the caller's environment.
func (a *app) unshareOptions(f *runFlags, v *hostView, command []string) (o bundle.Options, err error) {
	cwd, err := os.Getwd()
	if err == nil {
		err = v.lookTop()
	}
	if err != nil {
		return o, &failure{id: idHostView, what: "this machine's files cannot be told: " + reason(err)}
	}
	host, _ := os.Hostname()
	o = bundle.Options{
		ID: "unshare-" + randomID(), Hostname: host, ReadOnly: true, Network: bundle.NetworkHost, Caller: v.who,
		Process: bundle.Process{Args: command, Cwd: cwd, Env: os.Environ(), User: bundle.User{Home: os.Getenv("HOME")}},
	}
	for _, path := range append(v.Shown, "/tmp", "/run") {
		if _, err := os.Stat(path); err == nil {
			o.Mounts = append(o.Mounts, specs.Mount{Destination: path, Type: "bind", Source: path, Options: []string{"rbind", "rprivate"}})
		}
	}
	a.terminal(f, &o.Process)
	return o, nil
}
