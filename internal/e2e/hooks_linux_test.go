package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var hookKinds = []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

// hookList is a list of hooks of a bundle, by its name.
func (b *bundle) hookList(kind string) *[]specs.Hook {
	if b.spec.Hooks == nil {
		b.spec.Hooks = &specs.Hooks{}
	}
	f := reflect.ValueOf(b.spec.Hooks).Elem().FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, kind) })
	return f.Addr().Interface().(*[]specs.Hook)
}

// addHook adds a hook that does the actions; it is a probe as well.
func (b *bundle) addHook(kind string, actions ...string) *specs.Hook {
	path := probeExe
	if kind == "startContainer" {
		path = "/" + probe.Name
	}
	list := b.hookList(kind)
	*list = append(*list, specs.Hook{Path: path, Args: append([]string{probe.Name}, actions...), Env: []string{"HOOK=" + kind}})
	return &(*list)[len(*list)-1]
}

// hookLog is a directory in which hooks write, at the same place in the container.
func (b *bundle) hookLog(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o777))
	addMount(b.spec, dir, "bind", dir, "rbind")
	return dir
}

// order is what was noted, line by line.
func order(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "order"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// saved is an answer that a hook has saved.
func saved(t *testing.T, file string) probe.Answer {
	t.Helper()
	a := savedAny(t, file)
	if a.Errno != "" {
		t.Errorf("%s: %s", file, a.Errno)
	}
	return a
}

// savedAny is one that may have failed.
func savedAny(t *testing.T, file string) (a probe.Answer) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, json.Unmarshal(text, &a))
	return a
}

// TestHooks: every kind is run, in the order of the specification, each with the state on its standard input that
// the container has at that time, and with nothing else that is not its own.
func TestHooks(t *testing.T) {
	b := newBundle(t)
	b.spec.Annotations = map[string]string{"one": "1", "quote\"": strings.Repeat("ü\n", 1<<16)} // more than a pipe holds
	dir := b.hookLog(t)
	for _, kind := range hookKinds {
		file := filepath.Join(dir, kind)
		b.addHook(kind, "save "+file+".look look", "save "+file+".state input", "note "+dir+"/order "+kind)
		b.addHook(kind, "note "+dir+"/order "+kind+"2")
	}
	b.addHook("createContainer", "save "+dir+"/rootfs list rootfs")
	b.addHook("startContainer", "save "+dir+"/root list /")
	b.addHook("poststop", "save "+dir+"/after read "+dir+"/program")
	run := b.do("look", "read "+dir+"/order", "note "+dir+"/program done").start(t, nil)
	pid := run.await("cloned").Pid
	program := run.wait().ok(t).look(t)

	var want []string
	for _, kind := range hookKinds {
		want = append(want, kind, kind+"2")
	}
	if got := order(t, dir); !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
	if got := strings.Fields(run.result.value(t, "read "+dir+"/order")); len(got) < 8 || !slices.Equal(got[:8], want[:8]) {
		t.Errorf("before the program were %v", got)
	}
	if got := saved(t, dir+"/after").Value; got != "done\n" {
		t.Errorf("poststop found %q of the program", got)
	}
	for _, name := range []string{"rootfs", "root"} { // the mounts are made, also where the root is not yet changed
		if got := saved(t, filepath.Join(dir, name)).Value; !slices.Contains(strings.Fields(got), "probe") {
			t.Errorf("%s holds %s", name, got)
		}
	}
	status := map[string]specs.ContainerState{"startContainer": "created", "poststart": "running", "poststop": "stopped"}
	for _, kind := range hookKinds {
		var state specs.State
		must(t, json.Unmarshal([]byte(saved(t, filepath.Join(dir, kind+".state")).Value), &state))
		want := specs.State{Version: specs.Version, ID: b.id, Status: "creating", Pid: pid, Bundle: b.dir, Annotations: b.spec.Annotations}
		if s := status[kind]; s != "" {
			want.Status = s
		}
		switch kind {
		case "createContainer", "startContainer":
			want.Pid = 1
		case "poststop":
			want.Pid = 0
		}
		if !reflect.DeepEqual(state, want) {
			state.Annotations, want.Annotations = nil, nil
			t.Errorf("%s: the state is %+v, want %+v, or annotations differ", kind, state, want)
		}
		checkHook(t, b, kind, saved(t, filepath.Join(dir, kind+".look")).Look, program)
	}
}

// checkHook compares what a hook saw with what the program saw, or with this process.
func checkHook(t *testing.T, b *bundle, kind string, got, program *probe.Report) {
	t.Helper()
	hook := (*b.hookList(kind))[0]
	if !slices.Equal(got.Args, hook.Args) || !slices.Equal(got.Env, hook.Env) {
		t.Errorf("%s: args %q, env %q", kind, got.Args, got.Env)
	}
	if fds := slices.Sorted(maps.Keys(got.Fds)); !slices.Equal(fds, []string{"0", "1", "2"}) {
		t.Errorf("%s: descriptors %v", kind, got.Fds)
	}
	for _, set := range []string{"SigBlk", "SigIgn"} {
		if got.Status[set] != program.Status[set] {
			t.Errorf("%s: %s is %s, the program's is %s", kind, set, got.Status[set], program.Status[set])
		}
	}
	inside := kind == "createContainer" || kind == "startContainer"
	for _, ns := range allNamespaces {
		want := ownNamespace(t, ns)
		if inside {
			want = program.Namespaces[nsFile(ns)]
		}
		if link := got.Namespaces[nsFile(ns)]; link != want {
			t.Errorf("%s: %s namespace %s, want %s", kind, ns, link, want)
		}
	}
	wantCwd := b.dir
	if kind == "startContainer" {
		wantCwd = "/"
		if got.Caps != program.Caps || got.Uid != program.Uid || got.Status["NoNewPrivs"] != program.Status["NoNewPrivs"] {
			t.Errorf("startContainer: it has other rights than the program: %+v", got)
		}
	}
	if got.Cwd != wantCwd {
		t.Errorf("%s: working directory %s, want %s", kind, got.Cwd, wantCwd)
	}
	if inside && !slices.Equal(got.Cgroup, program.Cgroup) {
		t.Errorf("%s: cgroup %v, want %v", kind, got.Cgroup, program.Cgroup)
	}
	if u := os.Getuid(); !inside && (got.Uid != [3]int{u, u, u} || !here.root && got.Caps.Permitted != 0) {
		t.Errorf("%s: uid %v, capabilities %+v", kind, got.Uid, got.Caps)
	}
}

// TestHookFails: a hook that fails ends the container, and what comes after a container comes all the same.
func TestHookFails(t *testing.T) {
	for i, kind := range hookKinds[:5] {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t)
			dir := b.hookLog(t)
			for _, k := range hookKinds[:5] {
				b.addHook(k, "note "+dir+"/order "+k)
			}
			b.addHook(kind, "say bad luck", "say again", "exit 3")
			b.addHook(kind, "note "+dir+"/order never")
			b.addHook("poststop", "note "+dir+"/order poststop")
			r := b.do("forever").run(t)
			s := r.problem(t, "/hooks/"+kind+"/1")
			if !strings.Contains(s.Message, "exit status 3: bad luck; again") {
				t.Errorf("the message is %q", s.Message)
			}
			if got, want := order(t, dir), append(slices.Clone(hookKinds[:i+1]), "poststop"); !slices.Equal(got, want) {
				t.Errorf("what was run is %v, want %v", got, want)
			}
		})
	}
	t.Run("poststop", func(t *testing.T) {
		b := newBundle(t)
		dir := b.hookLog(t)
		b.addHook("poststop", "say bad luck", "raise TERM")
		(*b.hookList("poststop"))[0].Path = "/nowhere/hook"
		b.addHook("poststop", "say bad luck", "raise KILL")
		b.addHook("poststop", "note "+dir+"/order poststop")
		r := b.do("exit 4").run(t)
		var warnings []string
		for _, s := range r.status {
			if s.Warning != "" {
				warnings = append(warnings, s.Warning)
			}
		}
		if r.code != 4 || len(warnings) != 2 || !strings.Contains(warnings[0], "/hooks/poststop/0") || !strings.Contains(warnings[1], "ended by signal 9: bad luck") {
			t.Errorf("warnings are %q: %s", warnings, r)
		}
		if got := order(t, dir); !slices.Equal(got, []string{"poststop"}) {
			t.Errorf("what was run is %v", got)
		}
	})
}

// TestPoststopWithoutHooks: a program that is not there ends a container that was made.
func TestPoststopWithoutHooks(t *testing.T) {
	b := newBundle(t)
	dir := b.hookLog(t)
	b.addHook("poststop", "note "+dir+"/order poststop")
	b.spec.Process.Args = []string{"/nowhere"}
	if r := b.run(t); r.code != 127 || len(order(t, dir)) != 1 {
		t.Errorf("%v: %s", order(t, dir), r)
	}
	b.spec.Process.Args = []string{"/probe"}
	addMount(b.spec, "/x", "bind", "/nowhere", "bind")
	if r := b.run(t); r.code != 125 || len(order(t, dir)) != 1 {
		t.Errorf("a container that was never made: %v: %s", order(t, dir), r)
	}
}

// TestHookMissing: what cannot be executed.
func TestHookMissing(t *testing.T) {
	for _, kind := range hookKinds[:5] {
		for _, tt := range []struct{ name, errno string }{{"missing", "ENOENT"}, {"data", "EACCES"}, {"dir", "EACCES"}, {"data/x", "ENOTDIR"}} {
			t.Run(kind+" "+tt.name, func(t *testing.T) {
				b := newBundle(t)
				dir := b.hookLog(t)
				must(t, os.WriteFile(filepath.Join(dir, "data"), []byte("#!/bin/sh\n"), 0o644))
				must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
				b.addHook(kind)
				(*b.hookList(kind))[0].Path = filepath.Join(dir, tt.name)
				if s := b.do("forever").run(t).problem(t, "/hooks/"+kind+"/0"); s.Errno != tt.errno {
					t.Errorf("got %+v", s)
				}
			})
		}
	}
}

// TestHookTimeout: a hook that is late is killed, and with it what it has started.
func TestHookTimeout(t *testing.T) {
	for _, kind := range hookKinds[:5] {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t)
			dir := b.hookLog(t)
			b.addHook(kind, "say slow", "spawn child", "forever").Timeout = ptr(1)
			b.addHook("poststop", "note "+dir+"/order poststop")
			s := b.do("forever").run(t).problem(t, "/hooks/"+kind+"/0")
			if !strings.Contains(s.Message, "within 1 s: slow") {
				t.Errorf("the message is %q", s.Message)
			}
			if got := order(t, dir); !slices.Equal(got, []string{"poststop"}) {
				t.Errorf("what was run is %v", got)
			}
			settle(t)
		})
	}
}

// TestHookTalks: much on standard error, and a process that is left behind with it, keep nobody waiting; the end of
// it is told.
func TestHookTalks(t *testing.T) {
	for _, kind := range hookKinds[:5] {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t)
			b.addHook(kind, "shout 20000", "say the end", "exit 1")
			s := b.do("forever").run(t).problem(t, "/hooks/"+kind+"/0")
			if !strings.HasSuffix(s.Message, "the end") || len(s.Message) > 2000 {
				t.Errorf("the message has %d bytes and ends with %q", len(s.Message), s.Message[max(0, len(s.Message)-20):])
			}
		})
	}
	t.Run("to the end", func(t *testing.T) {
		b := newBundle(t)
		b.addHook("createContainer", "shout 20000", "spawn session")
		b.addHook("startContainer", "shout 20000", "spawn session")
		b.do("exit 5")
		if r := b.run(t); r.code != 5 {
			t.Error(r)
		}
	})
}

// TestHookFiles: annotations name files for what hooks write; of root's, since they are a word to the runtime.
func TestHookFiles(t *testing.T) {
	b := newBundle(t)
	dir := b.hookLog(t)
	b.spec.Annotations = map[string]string{"run.oci.hooks.stdout": dir + "/out", "run.oci.hooks.stderr": dir + "/err"}
	for _, kind := range hookKinds {
		b.addHook(kind, "say "+kind)
	}
	r := b.do("exit 0").run(t)
	if !here.root {
		r.problem(t, "/annotations/run.oci.hooks.stdout")
		r.problem(t, "/annotations/run.oci.hooks.stderr")
		return
	}
	r.ok(t)
	out, err := os.ReadFile(dir + "/out")
	must(t, err)
	errors, err := os.ReadFile(dir + "/err")
	must(t, err)
	if got := strings.Fields(string(errors)); !slices.Equal(got, hookKinds) || strings.Count(string(out), `"did":"say `) != len(hookKinds) {
		t.Errorf("errors %q, output %q", errors, out)
	}
	b.spec.Annotations["run.oci.hooks.stderr"] = "/nowhere/err"
	b.run(t).problem(t, "/annotations/run.oci.hooks.stderr")
}

// TestHookKillsRuntime: a hook that kills its parent ends the container with it.
func TestHookKillsRuntime(t *testing.T) {
	for _, kind := range []string{"createRuntime", "poststart"} { // in the container, the parent is not the runtime
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t)
			b.addHook(kind, "kill-parent KILL", "forever")
			r := b.do("forever").run(t)
			if r.signal != unix.SIGKILL {
				t.Error(r)
			}
			settle(t)
			b.spec.Hooks = nil
			if r := b.do("exit 8").run(t); r.code != 8 {
				t.Errorf("the call after: %s", r)
			}
		})
	}
}
