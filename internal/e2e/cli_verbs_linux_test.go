package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLocaldReadsNoStderr: locald is told by the status alone. Whatever a shim prints beside it is passed on and
// changes nothing.
func TestLocaldReadsNoStderr(t *testing.T) {
	c := newCaller(t)
	reached := `{"phase":"opened"}` + "\n" + `{"phase":"validated"}` + "\n" + `{"phase":"compiled"}` + "\n"
	ran := reached + `{"phase":"cloned","pid":4711}` + "\n" + `{"phase":"limited"}` + "\n" + `{"phase":"running"}` + "\n"
	noises := []string{
		"", "locald-shim: permission denied\n", "exec: \"x\": executable file not found in $PATH\n", `{"phase":"exited","code":0}` + "\n", "panic: runtime error\n", strings.Repeat("x", 100000) + "\n",
	}
	for _, k := range []struct {
		name, status string
		exit, code   int
		says         string
	}{
		{"ran", ran + `{"phase":"exited","code":3}` + "\n", 3, 3, ""},
		{"refused", `{"phase":"opened"}` + "\n" + `{"phase":"opened","op":"","pointer":"/process/cwd","errno":"","message":"no good","hint":"do better"}` + "\n", 125, 125, "no good"},
		{"not found", reached + `{"phase":"compiled","op":"find \"x\" in PATH","pointer":"/process/args/0","errno":"ENOENT","message":"exec: \"x\": executable file not found in $PATH","hint":""}` + "\n", 127, 127, "was not found in the container's PATH"},
		{"kernel", reached + `{"phase":"limited","op":"mount tmpfs on /x","pointer":"/mounts/0","errno":"ENOSPC","message":"mount tmpfs on /x (config.json /mounts/0): no space left on device","hint":""}` + "\n", 125, 125, "mount tmpfs on /x: no space left on device"},
		{"silent", "", 1, 125, "did not say why"},
	} {
		t.Run(k.name, func(t *testing.T) {
			plain := ""
			for i, noise := range noises {
				c.put(t, "status", k.status, 0o644)
				c.put(t, "noise", noise, 0o644)
				c.shim = filepath.Join(c.dir, "fake-"+k.name+itoa(i))
				c.put(t, filepath.Base(c.shim), "#!/bin/sh\ncat "+c.dir+"/noise >&2\ncat "+c.dir+"/status >&3\nexit "+itoa(k.exit)+"\n", 0o755)
				res := c.locald(t, "run", "--network", "none", "dir:rootfs", "x")
				said, passed := strings.CutPrefix(res.stderr, noise)
				if i == 0 {
					plain = said
				}
				if !passed || said != plain || res.code != k.code || !strings.Contains(said, k.says) || res.stdout != "" {
					t.Errorf("with %.80q on standard error: exit code %d, want %d; locald says %q, without noise %q", noise, res.code, k.code, said, plain)
				}
			}
		})
	}
}

// TestLocaldWithoutShim: with no shim to use, the error says what to do.
func TestLocaldWithoutShim(t *testing.T) {
	c := newCaller(t)
	c.shim = filepath.Join(c.dir, "nowhere")
	c.probe(t, []string{"--network", "none"}, "look").failed(t, 125, "nowhere")
	c.put(t, "notes", "x", 0o644)
	c.shim = filepath.Join(c.dir, "notes")
	c.probe(t, []string{"--network", "none"}, "look").failed(t, 125, "locald-shim cannot be started")
}

// TestLocaldVersion: both programs are of the same version.
func TestLocaldVersion(t *testing.T) {
	c := newCaller(t)
	res := c.locald(t, "version").ok(t)
	words := strings.Fields(res.stdout)
	if len(words) < 3 || words[0] != "locald" || words[1] != "version" {
		t.Fatal(res)
	}
	if got := shim(t, "--version"); got.code != 0 || !strings.HasPrefix(got.stdout, "locald-shim version "+words[2]+"\ncommit: ") || got.stderr != "" {
		t.Errorf("locald is %s; %s", words[2], got)
	}
	var v struct {
		Schema                int
		Version, Go, OS, Arch string
	}
	if err := json.Unmarshal([]byte(c.locald(t, "version", "--format", "json").ok(t).stdout), &v); err != nil || v.Schema != 1 || v.Version != words[2] || v.OS != "linux" {
		t.Errorf("%+v, %v", v, err)
	}
	if res := c.locald(t, "version", "--format", "yaml"); res.code != 2 {
		t.Error(res)
	}
}

// TestLocaldDoctor: on a machine where the tests run, containers do.
func TestLocaldDoctor(t *testing.T) {
	c := newCaller(t)
	res := c.locald(t, "doctor")
	if res.code != 0 || strings.Contains(res.stdout, "fail") || !strings.Contains(res.stdout, "builtin:hello ran in ") {
		t.Error(res)
	}
	var report struct {
		Schema int
		OK     bool
		Checks []struct{ Check, Status, Detail, Fix string }
	}
	if err := json.Unmarshal([]byte(c.locald(t, "doctor", "--format", "json").stdout), &report); err != nil || report.Schema != 1 || !report.OK {
		t.Errorf("%+v, %v", report, err)
	}
	var names []string
	for _, check := range report.Checks {
		names = append(names, check.Check)
		if !slices.Contains([]string{"ok", "warn", "fail"}, check.Status) || check.Detail == "" {
			t.Errorf("%+v", check)
		}
	}
	for _, want := range []string{"kernel", "shim", "namespaces", "cgroups", "ids", "owner", "container"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	c.shim = filepath.Join(c.dir, "nowhere")
	if res := c.locald(t, "doctor"); res.code != 1 || !strings.Contains(res.stdout, "fail") || !strings.Contains(res.stdout, "fix: ") {
		t.Errorf("without a shim: %s", res)
	}
}

// TestLocaldSetupDryRun: everything that would be changed is said, and nothing is.
func TestLocaldSetupDryRun(t *testing.T) {
	c := newCaller(t)
	before := etc(t)
	const target = "/usr/lib/locald-e2e" // a place that only root can write, or it is refused
	res := c.locald(t, "setup", "--dry-run", "--shim-dir", target).ok(t)
	for _, want := range []string{"write /var/lib/locald/setup.json", "create " + target + " (root:root 0755)", "install " + target + "/locald-shim (root:root 4755"} {
		if !strings.Contains(res.stdout, want) {
			t.Errorf("%q is not said: %s", want, res)
		}
	}
	if _, err := os.Stat(target); err == nil {
		t.Errorf("%s was made", target)
	}
	compareDescribed(t, before, etc(t))
	if !here.root {
		if res := c.locald(t, "setup"); res.code != 1 || !strings.Contains(res.stderr, "[LD701]") || !strings.Contains(res.stderr, "try: sudo locald setup") {
			t.Errorf("setup as a user: %s", res)
		}
	}
}

// TestLocaldSetup installs, and takes it back.
func TestLocaldSetup(t *testing.T) {
	needs(t, here.guest && here.root, "changes files of root's, on a machine of its own")
	c := newCaller(t)
	before := etc(t)
	const dir = "/opt/locald-e2e/libexec"
	flags := []string{"--shim-dir", dir, "--user", "other"}
	for range 2 { // once more changes nothing
		c.locald(t, append([]string{"setup"}, flags...)...).ok(t)
		info, err := os.Stat(dir + "/locald-shim")
		must(t, err)
		if got := info.Mode().String() + owner(info); got != "urwxr-xr-x 0:0" {
			t.Errorf("the shim is %s", got)
		}
	}
	c.shim = dir + "/locald-shim"
	c.locald(t, "doctor").ok(t)
	c.locald(t, "setup", "--undo").ok(t)
	if _, err := os.Stat("/opt/locald-e2e"); err == nil {
		t.Error("/opt/locald-e2e is still there")
	}
	after := etc(t)
	for _, name := range []string{"subuid", "subgid"} {
		if before[name] == "" {
			delete(after, name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("/etc has %d files, had %d", len(after), len(before))
	}
}

// TestLocaldUsage: a mistake is told with what to type instead; verbs that run no container exit with 2.
func TestLocaldUsage(t *testing.T) {
	c := newCaller(t)
	if res := c.locald(t); res.code != 0 || !strings.Contains(res.stdout, "locald run builtin:hello") {
		t.Error(res)
	}
	if res := c.locald(t, "rum", "builtin:hello"); res.code != 2 || !strings.Contains(res.stderr, "try: locald run") || res.stdout != "" {
		t.Error(res)
	}
	if res := c.locald(t, "run", "--help"); res.code != 0 || !strings.Contains(res.stdout, "--pids-limit") || res.stderr != "" {
		t.Error(res)
	}
	if res := c.locald(t, "doctor", "now"); res.code != 2 {
		t.Error(res)
	}
}
