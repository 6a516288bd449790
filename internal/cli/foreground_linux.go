package cli

import (
	"errors"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/shim"
)

// shown lets other calls of locald see a container in the foreground, which is about to run in a bundle's directory.
// running and ended are to be called then.
func (a *app) shown(f *runFlags, helper shim.Helper, spec *specs.Spec, dir string) (running, ended func(int), err error) {
	r, err := f.record(spec, *f.own)
	if err != nil {
		return nil, nil, err
	}
	r.Ports = f.ports
	r.Helper = container.Helper{Path: helper.Path, StateHome: helper.StateHome}
	store, err := containers()
	if err != nil {
		return nil, nil, err
	}
	c, err := store.Register(r, dir)
	if err != nil {
		if errors.Is(err, container.ErrInUse) {
			return nil, nil, nameInUse(r.Name)
		}
		return nil, nil, &failure{id: idContainer, what: "the name of the container cannot be noted: " + reason(err)}
	}
	if f.cidFile != "" {
		if err := writeNew(f.cidFile, r.ID); err != nil {
			return nil, nil, err
		}
	}
	ran := false
	running = func(pid int) {
		ran = true
		if err := c.Runs(pid); err != nil {
			a.note("locald ps does not show the container: " + reason(err))
		}
	}
	return running, func(code int) {
		c.TellExit(&code)
		if !ran && f.cidFile != "" {
			os.Remove(f.cidFile)
		}
	}, nil
}

func nameInUse(name string) error {
	return &failure{id: idInUse, what: "the name " + name + " is in use by another container", try: []string{"locald rm " + name}}
}

// onItsOwnOnly refuses what a container in the foreground cannot do.
func onItsOwnOnly(c *container.Container, what string) error {
	if !c.Foreground {
		return nil
	}
	return &failure{id: idStatus, what: "the container " + c.Name + " is in the foreground of another locald: " + what}
}
