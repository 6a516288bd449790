package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// executable is a file that the lookup of args[0] may meet.
type executable struct {
	path string
	kind string // "probe", "plain" (not executable), "text" (executable, no format), "script", "dir", "elf" (of no machine)
}

func (p executable) put(t *testing.T, b *bundle) {
	t.Helper()
	switch p.kind {
	case "probe":
		must(t, os.MkdirAll(b.rootfs+p.path[:strings.LastIndexByte(p.path, '/')], 0o755))
		must(t, os.Link(probeExe, b.rootfs+p.path))
	case "plain":
		b.put(t, p.path, "", 0o644)
	case "text":
		b.put(t, p.path, "no program\n", 0o755)
	case "script":
		b.put(t, p.path, "#!/probe look\n", 0o755)
	case "dir":
		must(t, os.MkdirAll(b.rootfs+p.path, 0o755))
	case "elf":
		b.put(t, p.path, "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 9)+"\x02\x00\xff\x00\x01"+strings.Repeat("\x00", 100), 0o755)
	default:
		t.Fatal(p.kind)
	}
}

// TestLookup finds args[0] as execvp(3) does, in the container. A name is that of the probe, so that the
// program which was found knows its part.
func TestLookup(t *testing.T) {
	tests := []struct {
		name     string
		path     string // PATH; "-" for none
		arg      string
		programs []executable
		runs     string // the program that runs; else code and message
		code     int
		message  string
	}{
		{"first of two", "/a:/b", "probe", []executable{{"/a/probe", "probe"}, {"/b/probe", "probe"}}, "/a/probe", 0, ""},
		{"second of two", "/b:/a", "probe", []executable{{"/a/probe", "probe"}, {"/b/probe", "probe"}}, "/b/probe", 0, ""},
		{"slash at the end", "/a/", "probe", []executable{{"/a/probe", "probe"}}, "/a/probe", 0, ""},
		{"past what is not executable", "/a:/b", "probe", []executable{{"/a/probe", "plain"}, {"/b/probe", "probe"}}, "/b/probe", 0, ""},
		{"past a directory", "/a:/b", "probe", []executable{{"/a/probe", "dir"}, {"/b/probe", "probe"}}, "/b/probe", 0, ""},
		{"past a file in place of a directory", "/a:/b", "probe", []executable{{"/a", "plain"}, {"/b/probe", "probe"}}, "/b/probe", 0, ""},
		{"default PATH", "-", "probe", []executable{{"/usr/bin/probe", "probe"}}, "/usr/bin/probe", 0, ""},
		{"not in the working directory", ".:bin::/a", "probe", []executable{{"/here/probe", "probe"}, {"/a/probe", "probe"}}, "/a/probe", 0, ""},
		{"absolute", "/b", "/a/probe", []executable{{"/a/probe", "probe"}}, "/a/probe", 0, ""},
		{"relative to the working directory", "/b", "./probe", []executable{{"/here/probe", "probe"}}, "/here/probe", 0, ""},
		{"relative, deeper", "/b", "bin/probe", []executable{{"/here/bin/probe", "probe"}, {"/bin/probe", "text"}}, "/here/bin/probe", 0, ""},
		{"script", "/a", "tool", []executable{{"/a/tool", "script"}}, "/probe", 0, ""},
		{"nowhere", "/a:/b", "probe", []executable{{"/c/probe", "probe"}}, "", 127, "executable file not found in $PATH"},
		{"empty PATH", "", "probe", nil, "", 127, "executable file not found in $PATH"},
		{"only what is not executable", "/a:/b", "probe", []executable{{"/a/probe", "plain"}}, "", 126, "permission denied"},
		{"absolute and missing", "/a", "/a/none", nil, "", 127, "no such file or directory"},
		{"absolute and not executable", "/a", "/a/tool", []executable{{"/a/tool", "plain"}}, "", 126, "permission denied"},
		{"absolute directory", "/a", "/a", []executable{{"/a", "dir"}}, "", 126, "permission denied"},
		{"no format", "/a", "tool", []executable{{"/a/tool", "text"}, {"/b/tool", "probe"}}, "", 126, "exec format error"},
		{"another machine's", "/a", "/a/tool", []executable{{"/a/tool", "elf"}}, "", 126, "exec format error"},
		{"below a file", "/a", "/a/tool/probe", []executable{{"/a/tool", "plain"}}, "", 127, "not a directory"},
		{"script without its interpreter", "/a", "/a/tool", []executable{{"/a/tool", "script"}}, "", 127, "no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) {
				s.Process.Cwd = "/here"
				s.Process.Env = []string{"PATH=" + tt.path, "X=1"}
				if tt.path == "-" {
					s.Process.Env = nil
				}
				s.Process.Args = []string{tt.arg, "look", "readlink /proc/self/exe"}
			})
			must(t, os.Mkdir(b.rootfs+"/here", 0o755))
			if strings.Contains(tt.name, "without its interpreter") {
				must(t, os.Remove(b.rootfs+"/"+probe.Name))
			}
			for _, p := range tt.programs {
				p.put(t, b)
			}
			r := b.run(t)
			if tt.runs != "" {
				if got := r.ok(t).value(t, "readlink /proc/self/exe"); got != tt.runs {
					t.Errorf("%s ran, want %s", got, tt.runs)
				}
				return
			}
			last := statusLine{}
			if len(r.status) > 0 {
				last = r.status[len(r.status)-1]
			}
			if r.code != tt.code || !strings.Contains(last.Message, tt.message) || last.Pointer != "/process/args/0" {
				t.Errorf("want exit status %d and %q: %s", tt.code, tt.message, r)
			}
		})
	}
}
