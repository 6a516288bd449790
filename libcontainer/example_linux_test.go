package libcontainer_test

import (
	"fmt"
	"os"

	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The whole way from a bundle directory to an exit status.
func Example() {
	run := func(dir, id string) (libcontainer.Exit, error) {
		bundle, err := libcontainer.Open(dir)
		if err != nil {
			return libcontainer.Exit{}, err
		}
		defer bundle.Close()
		if problems := libcontainer.Validate(bundle.Spec); len(problems) > 0 {
			return libcontainer.Exit{}, &libcontainer.ProblemError{Problems: problems}
		}
		program, err := libcontainer.Compile(bundle.Spec, libcontainer.LookHost(bundle))
		if err != nil {
			return libcontainer.Exit{}, err
		}
		c := &libcontainer.Container{ID: id, Bundle: bundle, Program: program, StateDir: os.TempDir()}
		if err := c.Run(); err != nil {
			return libcontainer.Exit{}, err
		}
		return c.Wait()
	}
	_, err := run("/nonexistent", "example")
	fmt.Println(err)
	// Output: open bundle /nonexistent: no such file or directory
}

// Validate says everything at once.
func ExampleValidate() {
	spec := &specs.Spec{Version: "1.3.0", Root: &specs.Root{Path: "rootfs"}, Hostname: "web", Process: &specs.Process{Cwd: "/"},
		Mounts: []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}}}
	for _, p := range libcontainer.Validate(spec) {
		fmt.Println(p)
	}
	// Output:
	// config.json: /mounts: a container in the host's mount namespace has no mounts of its own; add {"type": "mount"} to linux.namespaces
	// config.json: /hostname: hostname needs a uts namespace; add {"type": "uts"} to linux.namespaces
	// config.json: /process/args: args is empty; name the program to run
}
