package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestHooksOfVerbs: create, start and delete run the hooks that are theirs.
func TestHooksOfVerbs(t *testing.T) {
	b := newBundle(t)
	dir := b.hookLog(t)
	var all []string
	for _, kind := range hookKinds {
		for _, name := range []string{kind, kind + "2"} {
			b.addHook(kind, "note "+dir+"/order "+name)
			all = append(all, name)
		}
	}
	b.do("look", "line")
	r := b.create(t)
	if got := order(t, dir); !slices.Equal(got, all[:6]) {
		t.Errorf("create has run %v, want %v", got, all[:6])
	}
	b.wantStatus(t, "created")
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	if got := order(t, dir); !slices.Equal(got, all[:10]) {
		t.Errorf("by the end of start %v have run, want %v", got, all[:10])
	}
	r.say("go")
	r.closed()
	b.awaitStopped(t)
	if got := order(t, dir); !slices.Equal(got, all[:10]) {
		t.Errorf("by the container's end %v have run, want %v", got, all[:10])
	}
	shim(t, "delete", b.id).ok(t)
	if got := order(t, dir); !slices.Equal(got, all) {
		t.Errorf("by the end of delete %v have run, want %v", got, all)
	}
}

// TestFailingHooksOfVerbs: a hook that fails ends the container. One of create leaves none.
func TestFailingHooksOfVerbs(t *testing.T) {
	for _, kind := range hookKinds {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t)
			dir := b.hookLog(t)
			b.addHook(kind, "say bad luck", "exit 3")
			b.addHook("poststop", "note "+dir+"/order after")
			b.do("line")
			verb, of := "create", "/hooks/"+kind+"/0): exit status 3: bad luck"
			switch kind {
			case "startContainer", "poststart":
				verb = "start"
			case "poststop":
				verb = "delete"
			}
			r := b.creates(t, nil, "create")
			if code := r.returned(); code != map[bool]int{true: 1, false: 0}[verb == "create"] {
				t.Fatalf("create: exit status %d", code)
			}
			if verb == "create" {
				if res := r.closed(); !strings.Contains(res.stderr, of) {
					t.Errorf("create does not name %s: %s", of, res)
				}
				fails(t, 1, "does not exist", "state", b.id)
			} else {
				if verb == "start" {
					fails(t, 1, of, "start", b.id)
					b.awaitStopped(t)
				} else {
					shim(t, "start", b.id).ok(t)
					shim(t, "kill", b.id, "KILL").ok(t)
					b.awaitStopped(t)
				}
				r.closed()
				res := shim(t, "delete", b.id).ok(t)
				if warned := strings.Contains(res.stderr, of); warned != (kind == "poststop") {
					t.Errorf("delete: %s", res)
				}
			}
			if got := order(t, dir); !slices.Equal(got, []string{"after"}) {
				t.Errorf("poststop came to %v", got)
			}
		})
	}
}

// runOrStart runs the bundle in the foreground, or creates and starts it.
func (b *bundle) runOrStart(t *testing.T, verbs bool) *result {
	t.Helper()
	if !verbs {
		return b.run(t)
	}
	r := b.create(t)
	res := shim(t, "start", b.id)
	b.awaitStopped(t)
	r.closed()
	shim(t, "delete", b.id).ok(t)
	return res
}

// TestHooksInImage: a startContainer hook is a program of the image's. Each reads the state from its beginning, sees no
// descriptor of the runtime's, is under the filter of the user's program, and cannot look into the process that waits
// for it.
func TestHooksInImage(t *testing.T) {
	for _, verbs := range []bool{false, true} {
		t.Run(map[bool]string{false: "run", true: "start"}[verbs], func(t *testing.T) {
			b := newBundle(t, filtered(rule(specs.ActErrno, ptr(uint(unix.EXDEV)), "getsid")))
			b.spec.Process.NoNewPrivileges = false // then the filter takes a capability, which the process keeps until it is loaded
			dir := b.hookLog(t)
			for _, name := range []string{"one", "two"} {
				file := filepath.Join(dir, name)
				b.addHook("startContainer", "save "+file+".look look", "save "+file+".state input", "save "+file+".filtered "+getsid, "save "+file+".parent readlink /proc/1/exe")
			}
			b.do("save "+dir+"/program look").runOrStart(t, verbs).ok(t)
			program := saved(t, dir+"/program").Look
			for _, name := range []string{"one", "two"} {
				file := filepath.Join(dir, name)
				if state := saved(t, file+".state").Value; !strings.Contains(state, `"status":"created","pid":1,`) || !strings.HasSuffix(state, "}") {
					t.Errorf("%s: the state is %q", name, state)
				}
				look := saved(t, file+".look").Look
				if len(look.Fds) != 3 || look.Caps != program.Caps || look.Status["Seccomp"] != "2" {
					t.Errorf("%s: descriptors %v, capabilities %+v, Seccomp %s", name, look.Fds, look.Caps, look.Status["Seccomp"])
				}
				for what, want := range map[string]string{".filtered": "EXDEV", ".parent": "EACCES"} {
					if got := savedAny(t, file+what); got.Errno != want {
						t.Errorf("%s: %s: %+v, want %s", name, got.Did, got, want)
					}
				}
			}
		})
	}
}

// TestHookPathOfDescriptor: the path of a startContainer hook that is a link of the image's leads out by no descriptor
// that the shim still had open (CVE-2024-21626).
func TestHookPathOfDescriptor(t *testing.T) {
	for _, verbs := range []bool{false, true} {
		for _, fd := range thin([]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}) {
			b := newBundle(t)
			dir := b.hookLog(t)
			must(t, os.Symlink("/proc/self/fd/"+itoa(fd)+strings.Repeat("/..", 12)+probeExe, filepath.Join(b.rootfs, "out")))
			b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/out", Args: []string{probe.Name, "note " + dir + "/order out"}}}}
			if r := b.do("exit 0").runOrStart(t, verbs); r.code == 0 || len(order(t, dir)) > 0 {
				t.Errorf("descriptor %d led out: %s", fd, r)
			}
		}
	}
}
