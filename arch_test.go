// Package locald holds no code: only the rules of the house, as tests.
package locald

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/locald/locald"

// goFiles are the paths of all Go files of this module, tests included.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." {
			if strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin" {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
				return filepath.SkipDir // a module of its own
			}
		}
		if strings.HasSuffix(p, ".go") {
			files = append(files, filepath.ToSlash(p))
		}
		return nil
	})
	if err != nil || len(files) < 30 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	return files
}

// deps are the packages that a package is built from on Linux, by import path.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", pkg)
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// TestShimImports holds what the set-user-ID program is made of to the list in testdata/shim-packages.txt: a package that
// is not on it has to be argued for. What the toolchain's own packages are made of is theirs. That the program cannot
// write a config.json, nor make a bundle, follows: nothing in it encodes JSON, and none of the packages that generate is
// linked.
func TestShimImports(t *testing.T) {
	const file = "testdata/shim-packages.txt"
	all := slices.DeleteFunc(deps(t, "./cmd/locald-shim"), func(d string) bool {
		return strings.HasPrefix(d, "vendor/") || !strings.HasPrefix(d, module) && slices.Contains(strings.Split(d, "/"), "internal")
	})
	slices.Sort(all)
	if text := strings.Join(all, "\n") + "\n"; *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	listed := strings.Fields(string(text))
	for _, d := range all {
		if !slices.Contains(listed, d) {
			t.Errorf("locald-shim is built from %s, which is not in %s", d, file)
		}
	}
	for _, d := range listed {
		if !slices.Contains(all, d) {
			t.Errorf("locald-shim is not built from %s any more, which is in %s", d, file)
		}
	}
	denied := []string{"net", "crypto", "encoding/json", "encoding/xml", "encoding/gob", "os/exec", "os/user", "plugin", "regexp", "log", "text/template", "flag", "testing", "runtime/cgo", "os/signal", "io/ioutil"}
	for _, d := range deps(t, "./cmd/locald-shim") {
		for _, no := range denied {
			if d == no || strings.HasPrefix(d, no+"/") {
				t.Errorf("locald-shim is built from %s", d)
			}
		}
	}
}

// TestCallerImports keeps out of locald what takes time to start: what reads compressed data and what speaks with
// registries is in locald-registry, which is started when it is needed.
func TestCallerImports(t *testing.T) {
	for _, d := range deps(t, "./cmd/locald") {
		for _, no := range []string{"github.com/klauspost", "github.com/google", "github.com/docker", "compress/gzip", "crypto/tls", "net/http", "math/big"} {
			if d == no || strings.HasPrefix(d, no+"/") {
				t.Errorf("locald is built from %s", d)
			}
		}
	}
}

// TestImportArrows holds the direction of imports between our packages (ARCHITECTURE.md).
func TestImportArrows(t *testing.T) {
	may := map[string][]string{
		"libcontainer":                  {"internal/jsontext", "libcontainer/internal/cgroup", "libcontainer/internal/config", "libcontainer/internal/netlink", "libcontainer/internal/nofile", "libcontainer/internal/seccomp", "libcontainer/internal/sys", "libcontainer/internal/systemd"},
		"libcontainer/internal/cgroup":  {},
		"libcontainer/internal/config":  {},
		"libcontainer/internal/netlink": {},
		"libcontainer/internal/nofile":  {},
		"libcontainer/internal/seccomp": {},
		"libcontainer/internal/sys":     {},
		"libcontainer/internal/systemd": {},
		"internal/policy":               {"libcontainer"},
		"internal/privilege":            {"internal/policy", "internal/audit", "libcontainer"},
		"internal/audit":                {},
		"internal/forward":              {},
		"internal/console":              {},
		"internal/jsontext":             {},
		"internal/stack":                {},
		"cmd/locald-shim":               {"libcontainer", "internal/policy", "internal/privilege", "internal/audit", "internal/forward", "internal/jsontext", "internal/console", "internal/stack"},
		"internal/bundle":               {"internal/first", "internal/policy", "libcontainer"},
		"internal/compress":             {},
		"internal/image":                {},
		"internal/registry":             {"internal/image"},
		"cmd/locald-registry":           {"internal/bundle", "internal/compress", "internal/image", "internal/registry"},
		"internal/shim":                 {"libcontainer"},
		"internal/hello":                {"internal/hello/clock", "internal/bundle", "internal/mountinfo"},
		"internal/mountinfo":            {},
		"internal/hello/clock":          {},
		"internal/container":            {"internal/console", "internal/publish"},
		"internal/publish":              {},
		"internal/cli":                  {"internal/bundle", "internal/container", "internal/files", "internal/image", "internal/shim", "internal/hello", "internal/hello/clock", "internal/mountinfo", "internal/policy", "internal/publish", "libcontainer"},
		"internal/files":                {},
		"internal/first":                {},
		"cmd/locald":                    {"internal/cli", "internal/files", "internal/first", "internal/hello", "internal/hello/clock", "internal/stack"},
	}
	for _, file := range goFiles(t) {
		dir := filepath.ToSlash(filepath.Dir(file))
		allowed, known := may[dir]
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		if !known {
			if strings.HasPrefix(dir, "internal") || strings.HasPrefix(dir, "libcontainer") || strings.HasPrefix(dir, "cmd") {
				if !strings.HasPrefix(dir, "internal/e2e") {
					t.Errorf("%s is in no row of this test", dir)
				}
			}
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range f.Imports {
			p, ours := strings.CutPrefix(strings.Trim(im.Path.Value, `"`), module+"/")
			if ours && !slices.Contains(allowed, p) {
				t.Errorf("%s imports %s: the arrow points the wrong way", file, p)
			}
		}
	}
}

// TestUnsafe holds unsafe, linkname and assembly in a few places that a reviewer knows.
func TestUnsafe(t *testing.T) {
	for _, file := range goFiles(t) {
		if strings.HasPrefix(file, "libcontainer/internal/sys/") || strings.HasSuffix(file, "_unsafe_linux.go") || strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range f.Imports {
			if im.Path.Value == `"unsafe"` {
				t.Errorf("%s imports unsafe and is not called *_unsafe_linux.go", file)
			}
		}
		for _, g := range f.Comments {
			for _, c := range g.List {
				if strings.HasPrefix(c.Text, "//go:linkname") {
					t.Errorf("%s uses linkname and is not called *_unsafe_linux.go", file)
				}
			}
		}
	}
}

// TestSizes holds files to 500 lines, functions to 60 and structs to 15 fields. What is longer is one idea
// that cannot be cut, and is named here.
func TestSizes(t *testing.T) {
	long := map[string]bool{
		"probe.processVerbs": true, // tables of what a test can ask for
		"probe.kernelVerbs":  true,
	}
	wide := map[string]bool{
		"libcontainer.Program":  true, // the whole of a run, by design a plain value without parts
		"libcontainer.compiler": true,
		"libcontainer.Host":     true, // the facts that Compile asks for
		"cli.runFlags":          true, // one field for each flag of run
		"probe.Report":          true, // what a test sees from inside
	}
	for _, file := range goFiles(t) {
		test := strings.HasSuffix(file, "_test.go")
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := set.Position(f.FileEnd).Line; n > 500 && !test {
			t.Errorf("%s has %d lines", file, n)
		}
		if test {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if lines := set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1; lines > 60 && !long[f.Name.Name+"."+n.Name.Name] {
					t.Errorf("%s: %s has %d lines", file, n.Name.Name, lines)
				}
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok && s.Fields.NumFields() > 15 && !wide[f.Name.Name+"."+n.Name.Name] {
					t.Errorf("%s: %s has %d fields", file, n.Name.Name, s.Fields.NumFields())
				}
			}
			return true
		})
	}
}

// TestPackageDocs: every package says what it is, once.
func TestPackageDocs(t *testing.T) {
	docs := map[string]int{}
	for _, file := range goFiles(t) {
		dir := filepath.Dir(file)
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		docs[dir] += 0
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil && !strings.HasPrefix(f.Doc.Text(), "go:") {
			docs[dir]++
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s has %d package comments", dir, n)
		}
	}
}

// TestParentMakesNoMounts: the set-user-ID program itself mounts nothing, makes no node and executes
// nothing: all of that is the child's, by Program. What is named here are the x/sys functions that would do it.
func TestParentMakesNoMounts(t *testing.T) {
	forbidden := []string{"Mount", "Unmount", "MoveMount", "OpenTree", "Fsopen", "Fsmount", "Fsconfig", "MountSetattr", "Mknod", "Mknodat", "Chmod", "Fchmodat", "PivotRoot", "Chroot", "Exec", "ForkExec", "Unshare"}
	for _, file := range goFiles(t) {
		if strings.HasSuffix(file, "_test.go") || !(strings.HasPrefix(file, "libcontainer/") || strings.HasPrefix(file, "cmd/locald-shim/") || strings.HasPrefix(file, "internal/console/") || strings.HasPrefix(file, "internal/privilege/") || strings.HasPrefix(file, "internal/policy/")) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				// A root caller on a host that has cgroup v1 only needs the cgroup2 tree, which is mounted nowhere there: a
				// detached mount of it, which the kernel refuses to anybody else.
				if file == "libcontainer/internal/cgroup/create_linux.go" && (sel.Sel.Name == "Fsopen" || sel.Sel.Name == "Fsmount") {
					return true
				}
				// Ids of a detached mount that the child has opened, to ids of the caller's: testdata/privileged-calls.txt.
				if file == "libcontainer/idmap_gate_linux.go" && sel.Sel.Name == "MountSetattr" {
					return true
				}
				// Not for callers by whom it runs set-user-ID; what it executes is itself (CVE-2019-5736).
				if file == "cmd/locald-shim/seal_linux.go" && slices.Contains([]string{"OpenTree", "MountSetattr", "Exec"}, sel.Sel.Name) {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "unix" || x.Name == "syscall") && slices.Contains(forbidden, sel.Sel.Name) {
					t.Errorf("%s calls %s.%s", file, x.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestDocsNameTests: a test that a document gives as its witness exists. "TestDecode*" stands for all of a name.
func TestDocsNameTests(t *testing.T) {
	var names []string
	for _, file := range goFiles(t) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names = append(names, fn.Name.Name)
			}
		}
	}
	cited := 0
	for _, doc := range []string{"docs/features.md", "docs/rfc-0098.md", "docs/security-tests.md", "SECURITY.md"} {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune("` ,;:.()|\n", r) }) {
			start, all := strings.CutSuffix(word, "*")
			if !strings.HasPrefix(start, "Test") || len(start) < 5 {
				continue
			}
			cited++
			if !slices.ContainsFunc(names, func(n string) bool { return n == start || all && strings.HasPrefix(n, start) }) {
				t.Errorf("%s names %s, which is no test", doc, word)
			}
		}
	}
	if cited < 100 {
		t.Errorf("only %d tests are named", cited)
	}
}
