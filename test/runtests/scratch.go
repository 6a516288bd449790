package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// testPackage is a package that has tests.
type testPackage struct {
	path   string // import path
	dir    string // relative to the module's root, with slashes
	kernel bool   // talks to the kernel: runs in every place
}

// listPackages finds the packages with tests.
func listPackages(ctx context.Context) ([]testPackage, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	out, err := output(ctx, "go", "list", "-f", `{{.ImportPath}} {{.Dir}} {{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}`, "./...")
	if err != nil {
		return nil, err
	}
	var list []testPackage
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.HasSuffix(fields[0], "/test/clients") || strings.HasSuffix(fields[0], "/test/systemd") { // which have commands of their own
			continue
		}
		dir, err := filepath.Rel(root, fields[1])
		if err != nil {
			return nil, err
		}
		p := testPackage{path: fields[0], dir: filepath.ToSlash(dir)}
		for _, file := range fields[2:] {
			p.kernel = p.kernel || strings.HasSuffix(file, "_linux_test.go")
		}
		list = append(list, p)
	}
	// e2e last: it takes longest, and what it finds is easier to read when what it builds on has been tested.
	slices.SortStableFunc(list, func(a, b testPackage) int {
		return cmp.Compare(strings.Count(a.dir, "internal/e2e"), strings.Count(b.dir, "internal/e2e"))
	})
	return list, nil
}

// scratch is a directory that every user can read and that the guest gets a copy of:
//
//	bin/       the programs as make builds them
//	src/       a copy of the tree, for testdata
//	N.test     test binaries, named in list
//	test2json  turns their output into events
//	each       runs them all (test/places/each)
//	tmp/       where the host's places mount their TMPDIR
type scratch struct{ dir string }

func newScratch() (*scratch, error) {
	// Not $TMPDIR: it may be closed to the user that the tests become.
	dir, err := os.MkdirTemp("/tmp", "locald-test-")
	if err != nil {
		return nil, err
	}
	s := &scratch{dir}
	for _, step := range []error{os.Chmod(dir, 0o755), os.Mkdir(dir+"/src", 0o755), os.Mkdir(dir+"/tmp", 0o755)} {
		if step != nil {
			s.remove()
			return nil, step
		}
	}
	return s, nil
}

func (s *scratch) remove() { os.RemoveAll(s.dir) }

// build fills the directory.
func (s *scratch) build(ctx context.Context, packages []testPackage) error {
	steps := [][]string{
		{"make", "-s", "build", "BIN=" + s.dir + "/bin"},
		{"go", "build", "-o", s.dir + "/test2json", "cmd/test2json"},
		{"cp", "test/places/each", "test/places/guest", s.dir},
		{"sh", "-c", `tar -c --exclude=./.git --exclude=./bin --exclude=./bench/.build . | tar -x -C "$0"/src && chmod -R a+rX "$0"`, s.dir},
	}
	var list strings.Builder
	for i, p := range packages {
		if !p.kernel {
			continue
		}
		binary := fmt.Sprintf("%s/%d-%s.test", s.dir, i, filepath.Base(p.dir))
		steps = append(steps, []string{"go", "test", "-c", "-o", binary, p.path})
		fmt.Fprintf(&list, "%s\t%s\t%s\n", p.path, p.dir, binary)
	}
	for _, step := range steps {
		if _, err := output(ctx, step...); err != nil {
			return err
		}
	}
	return os.WriteFile(s.dir+"/list", []byte(list.String()), 0o644)
}

// output runs a command with CGO_ENABLED=0, as all of the project is built, and returns its standard output.
func output(ctx context.Context, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return string(out), nil
}
