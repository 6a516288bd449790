package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/bundle"
)

// profile is a file with a seccomp filter: linux.seccomp of the runtime specification, or Docker's form of it, whose
// rules hold for some capabilities, architectures and kernels only.
type profile struct {
	specs.LinuxSeccomp
	ArchMap []struct {
		Architecture     specs.Arch   `json:"architecture"`
		SubArchitectures []specs.Arch `json:"subArchitectures"`
	} `json:"archMap"`
	Syscalls []struct {
		specs.LinuxSyscall
		Name     string    `json:"name"` // of old profiles
		Includes condition `json:"includes"`
		Excludes condition `json:"excludes"`
	} `json:"syscalls"`
}

// condition is met when one of each kind that it names is there; the caps must all be.
type condition struct {
	Arches    []string `json:"arches"` // as GOARCH
	Caps      []string `json:"caps"`
	MinKernel string   `json:"minKernel"` // "4.8"
}

// readProfile reads the file, for a container with the capabilities that the flags give it.
func (f *runFlags) readProfile(name string) (*specs.LinuxSeccomp, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var p profile
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("it is no seccomp profile: %w", err)
	}
	if p.DefaultAction == "" {
		return nil, errors.New("it is no seccomp profile: it has no defaultAction")
	}
	bound, err := (bundle.Capabilities{Add: f.capAdd, Drop: f.capDrop}).Bound()
	if err != nil {
		return nil, err
	}
	out := p.LinuxSeccomp
	out.Syscalls = nil
	for _, of := range p.ArchMap {
		if slices.Contains(bundle.Architectures(runtime.GOARCH), of.Architecture) && len(out.Architectures) == 0 {
			out.Architectures = append([]specs.Arch{of.Architecture}, of.SubArchitectures...)
		}
	}
	for _, rule := range p.Syscalls {
		if !rule.Includes.all(bound) || rule.Excludes.any(bound) {
			continue
		}
		if rule.Name != "" {
			rule.Names = append(rule.Names, rule.Name)
		}
		out.Syscalls = append(out.Syscalls, rule.LinuxSyscall)
	}
	return &out, nil
}

// all reports whether a rule that includes this holds.
func (c *condition) all(bound []string) bool {
	return (len(c.Arches) == 0 || slices.Contains(c.Arches, runtime.GOARCH)) &&
		!slices.ContainsFunc(c.Caps, func(name string) bool { return !slices.Contains(bound, name) }) &&
		(c.MinKernel == "" || kernelAtLeast(c.MinKernel))
}

// any reports whether a rule that excludes this does not hold.
func (c *condition) any(bound []string) bool {
	return slices.Contains(c.Arches, runtime.GOARCH) ||
		slices.ContainsFunc(c.Caps, func(name string) bool { return slices.Contains(bound, name) }) ||
		c.MinKernel != "" && kernelAtLeast(c.MinKernel)
}

// kernelAtLeast compares the first two numbers.
func kernelAtLeast(version string) bool {
	var have, want [2]int
	fmt.Sscanf(release(), "%d.%d", &have[0], &have[1])
	fmt.Sscanf(version, "%d.%d", &want[0], &want[1])
	return slices.Compare(have[:], want[:]) >= 0
}
