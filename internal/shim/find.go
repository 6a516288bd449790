package shim

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Name is the file name of the helper.
const Name = "locald-shim"

// Version is the version of locald, and the one that the helper must have. The linker sets it in a release.
var Version = "0.1.0-dev"

// InstallDir is where locald setup puts the helper unless it is told otherwise.
const InstallDir = "/usr/local/libexec"

// Dirs is where an installed helper is looked for, in this order. Only root can write any of them.
func Dirs() []string { return []string{InstallDir, "/usr/libexec/locald", "/usr/lib/locald"} }

// ErrNotFound says that there is no helper anywhere.
var ErrNotFound = errors.New("locald-shim is not installed")

// Helper is a locald-shim on this machine.
type Helper struct {
	Path      string
	Installed bool   // in one of Dirs, not an override and not one beside the locald binary
	Setuid    bool   // executing it gives it root's power: the bit is there, and nothing makes the kernel ignore it
	StateHome string // XDG_RUNTIME_DIR for it, below which it keeps its state when it has no more power than its caller
}

// Find is the helper to use: the override when one is given, else an installed one, else one that lies beside
// the locald executable, as in a build directory. That last one runs with no more power than its caller.
func Find(override string) (Helper, error) {
	if override != "" {
		path, err := filepath.Abs(override)
		if err != nil {
			return Helper{}, err
		}
		if _, err := os.Stat(path); err != nil {
			return Helper{}, err
		}
		return Helper{Path: path, Setuid: effectiveSetuid(path)}, nil
	}
	for _, dir := range Dirs() {
		path := filepath.Join(dir, Name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return Helper{Path: path, Installed: true, Setuid: effectiveSetuid(path)}, nil
		}
	}
	if path, err := Beside(); err == nil {
		return Helper{Path: path, Setuid: effectiveSetuid(path)}, nil
	}
	return Helper{}, ErrNotFound
}

// Beside is the helper in the directory of the running executable.
func Beside() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), Name)
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(path + ": not a regular file")
	}
	return path, err
}

// parseVersion reads the first line of locald-shim --version.
func parseVersion(output string) (string, error) {
	first, _, _ := strings.Cut(output, "\n")
	version, ok := strings.CutPrefix(strings.TrimSpace(first), Name+" version ")
	if !ok || version == "" {
		return "", errors.New("the first line of its answer to --version is not \"" + Name + " version …\"")
	}
	return version, nil
}
