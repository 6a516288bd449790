package cli

import (
	"runtime"

	"github.com/locald/locald/internal/bundle"
)

// initProgram is what --init puts first: this very program, as builtin:hello has it.
func (f *runFlags) initProgram() (string, error) {
	if !f.init || f.noInit {
		if f.init {
			return "", &failure{id: idUsage, what: "--init and --no-init contradict each other"}
		}
		return "", nil
	}
	if runtime.GOOS != "linux" {
		return "", &failure{id: idUsage, what: "--init can be had on Linux only"}
	}
	rootfs, err := helloRootfs()
	if err != nil {
		return "", &failure{id: idBundle, what: "the first process of --init cannot be made: " + err.Error()}
	}
	return rootfs + bundle.HelloPath, nil
}
