package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFlagsNotTaken: what other runtimes have and this one has not is refused, never ignored.
func TestFlagsNotTaken(t *testing.T) {
	for _, tt := range []struct {
		code int
		want string
		args []string
	}{
		{1, "--systemd-cgroup is not supported", []string{"--systemd-cgroup", "create", "flags"}},
		{1, "--config is not supported", []string{"create", "--config", "other.json", "flags"}},
		{1, "--config is not supported", []string{"run", "-f", "other.json", "flags"}},
		{1, "--pidfd-socket is not supported", []string{"create", "--pidfd-socket", "sock", "flags"}},
		{255, "--pidfd-socket is not supported", []string{"exec", "--pidfd-socket", "sock", "flags", "true"}},
		{255, "--cgroup is not supported", []string{"exec", "--cgroup", "/sub", "flags", "true"}},
		{1, "checkpoint is not supported", []string{"checkpoint", "flags"}},
		{1, "restore is not supported", []string{"restore", "flags"}},
		{1, "spec is not supported", []string{"spec"}},
		{1, "does not exist", []string{"--systemd-cgroup=false", "state", "flags"}}, // as if it were not there
	} {
		fails(t, tt.code, tt.want, tt.args...)
	}
}

// TestUnknownMemberLogged: a misspelt member of config.json is ignored, and --debug tells.
func TestUnknownMemberLogged(t *testing.T) {
	b := newBundle(t)
	b.write(t)
	file := filepath.Join(b.dir, "config.json")
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, []byte(strings.Replace(string(text), "{", `{"hostnam":"x",`, 1)), 0o600))
	for _, debug := range []bool{true, false} {
		log := filepath.Join(t.TempDir(), "log")
		args := []string{"--log", log, "run", "--bundle", b.dir, b.id}
		if debug {
			args = append([]string{"--debug"}, args...)
		}
		shim(t, args...).ok(t)
		text, err := os.ReadFile(log)
		must(t, err)
		if strings.Contains(string(text), "level=debug") != debug || debug && !strings.Contains(string(text), "/hostnam:") {
			t.Errorf("with debug %v the log is %s", debug, text)
		}
	}
}
