package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/image"
	"github.com/locald/locald/internal/publish"
	"github.com/locald/locald/internal/shim"
)

// TestErrors are the errors that people meet most, word for word: what, why, and what can be typed next.
func TestErrors(t *testing.T) {
	c := newCall(t)
	store, err := image.Open(filepath.Join(c.dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	have, _ := image.ParseReference("alpine:3.22")
	if err := store.Add(have, image.Descriptor{MediaType: image.TypeManifest}); err != nil {
		t.Fatal(err)
	}
	pull := func(word, kind string) *failure {
		ref, err := image.ParseReference(word)
		if err != nil {
			t.Fatal(err)
		}
		return pullFailure(store, ref, word, answer{Error: "…", Kind: kind})
	}
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	foreign := func() *failure {
		out := &failure{}
		f := &runFlags{}
		f.made = "linux/" + other
		f.notExecutable(out, shim.Failure{Errno: "ENOEXEC"}, c.spec(t, "dir:rootfs", "node"))
		return out
	}
	for _, e := range []struct {
		failure *failure
		code    int
		want    string
	}{
		{asFailure(helperFailure(shim.ErrNotFound)), 125, "locald: this machine is not set up: locald-shim is not installed set-user-ID root. [LD001]\n" +
			"  try: sudo locald setup   (what it changes: locald setup --dry-run)\n"},
		{notFrom("/usr/local/libexec"), 125, "locald: /usr/local/libexec is mounted nosuid, so the shim cannot work from there. [LD003]\n" +
			"  try: sudo locald setup --shim-dir /usr/libexec/locald\n"},
		{pull("alpin", "not found"), 125, "locald: image \"alpin\" not found on docker.io. Local images with a similar name: alpine:3.22. [LD101]\n" +
			"  try: locald run alpine:3.22\n"},
		{pull("redis:7", "offline"), 125, "locald: no network, and \"redis:7\" is not on this machine. [LD102]\n  …\n" +
			"  try: locald load -i redis.tar   or connect and: locald pull redis:7\n"},
		{pull("redis:7", "too many"), 125, "locald: docker.io refuses more anonymous pulls for now (429). [LD103]\n" +
			"  try: locald login docker.io\n"},
		{asFailure(portFailure(&publish.Error{Port: publish.Port{Host: 80, Container: 80}, Err: unix.EACCES})), 125, "locald: cannot publish port 80: ports below " + firstPort() + " need permission on this machine. [LD201]\n" +
			"  try: -p 8080:80   or once: sudo locald setup --low-ports\n"},
		{foreign(), 126, "locald: \"node\" in the image is for linux/" + other + "; this machine is " + runtime.GOARCH + ". [LD401]\n" +
			"  try: locald run --platform linux/" + runtime.GOARCH + " …\n"},
	} {
		var b strings.Builder
		if e.failure.write(&b); b.String() != e.want {
			t.Errorf("%q, want %q", b.String(), e.want)
		}
		run, _, err := (&app{}).command().Find([]string{"run"})
		if code := e.failure.exitCode(run); err != nil || code != e.code && e.failure.id != idNotExecutable {
			t.Errorf("%s: exit code %d, want %d (%v)", e.failure.id, code, e.code, err)
		}
	}
}

// TestErrorsOfRun are those of a whole command line, with its exit code, and as JSON.
func TestErrorsOfRun(t *testing.T) {
	c := newCall(t)
	version := shim.Version
	defer func() { shim.Version = version }()
	shim.Version = "0.4"
	programs(t, "rootfs/bin/bash", "rootfs/bin/sh")
	if err := os.Mkdir("absent", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range []struct {
		version  string
		args     []string
		code     int
		want     string
		what     string
		why, fix []string
		id       string
	}{
		{
			version: "0.3.1", args: []string{"-e", "FAKE_EXIT=125", "dir:rootfs", "x"}, code: 125,
			want: "locald: locald-shim is 0.3.1 but this locald needs 0.4. [LD002]\n  try: sudo locald setup\n",
			id:   "LD002", what: "locald-shim is 0.3.1 but this locald needs 0.4", fix: []string{"sudo locald setup"},
		},
		{
			version: "0.4", args: []string{"-v", "/absent:/app", "dir:rootfs", "x"}, code: 125,
			want: "locald: /absent does not exist on this machine (from -v /absent:/app). [LD301]\n  try: mkdir -p /absent   or -v ./absent:/app\n",
			id:   "LD301", what: "/absent does not exist on this machine (from -v /absent:/app)", fix: []string{"mkdir -p /absent", "-v ./absent:/app"},
		},
		{
			version: "0.4", code: 127, args: []string{
				"-e", "PATH=/usr/local/bin:/usr/bin:/bin", "-e", "FAKE_EXIT=127",
				"-e", `FAKE_STATUS={"phase":"running","op":"execve","pointer":"/process/args/0","errno":"ENOENT","message":"executable file not found in $PATH","hint":""}`,
				"dir:rootfs", "bsh",
			},
			want: "locald: \"bsh\" was not found in the container's PATH (/usr/local/bin:/usr/bin:/bin). [LD402]\n  Found: /bin/bash, /bin/sh\n",
			id:   "LD402", what: "\"bsh\" was not found in the container's PATH (/usr/local/bin:/usr/bin:/bin)", why: []string{"Found: /bin/bash, /bin/sh"},
		},
	} {
		if err := os.WriteFile(filepath.Join(c.dir, "bin", "version"), []byte(e.version), 0o644); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"run", "--network", "host"}, e.args...)
		if code, stdout, stderr := c.locald(t, args...); code != e.code || stdout != "" || stderr != e.want {
			t.Errorf("%d, want %d; %q%q, want %q", code, e.code, stdout, stderr, e.want)
		}
		t.Setenv("LOCALD_ERRORS", "json")
		code, stdout, stderr := c.locald(t, args...)
		var v struct {
			Schema, Code int
			ID, What     string
			Why, Fix     []string
		}
		if err := json.Unmarshal([]byte(stderr), &v); err != nil || stdout != "" || code != e.code || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%d, %s%s: %v", code, stdout, stderr, err)
		}
		if v.Schema != 1 || v.Code != e.code || v.ID != e.id || v.What != e.what || !slices.Equal(v.Why, e.why) || !slices.Equal(v.Fix, e.fix) {
			t.Errorf("%+v, want %s %s %v %v", v, e.id, e.what, e.why, e.fix)
		}
		os.Unsetenv("LOCALD_ERRORS")
	}
}

// TestErrorsFormat: a command that answers in JSON complains in JSON.
func TestErrorsFormat(t *testing.T) {
	c := newCall(t)
	if err := os.WriteFile("file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOCALD_HOME", filepath.Join(c.dir, "file"))
	for args, isJSON := range map[string]bool{"images --format json": true, "images --format jsonl": true, "images": false} {
		code, stdout, stderr := c.locald(t, strings.Fields(args)...)
		if code != 1 || stdout != "" || strings.HasPrefix(stderr, `{"schema":1,"id":"LD106"`) != isJSON {
			t.Errorf("%s: %d, %s%s", args, code, stdout, stderr)
		}
	}
}

// TestPortUser reads tables as those of /proc: of a process that can be seen, of another user's, and of nobody's.
func TestPortUser(t *testing.T) {
	proc := t.TempDir()
	const table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n" +
		"   1: 0100007F:1539 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n" +
		"   0: 00000000000000000000000001000000:153A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 98765        0 4713 1 0 100 0 0 10 0\n"
	if err := os.MkdirAll(filepath.Join(proc, "811", "fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[4711]", filepath.Join(proc, "811", "fd", "5")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proc, "811", "comm"), []byte("postgres\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for port, want := range map[int]string{
		5432: " by postgres (pid 811, user root)",
		5433: "", // somebody's connection
		5434: " by a process of uid 98765",
		5435: "",
	} {
		if got := portUser(table, proc, port); got != want {
			t.Errorf("%d: %q, want %q", port, got, want)
		}
	}
}
