package e2e

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestAppArmor: without AppArmor a profile is refused. With it, a profile that is not loaded stops the container,
// and "unconfined", which always is there, runs.
func TestAppArmor(t *testing.T) {
	enabled, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	with := func(name string) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Process.ApparmorProfile = name }
	}
	p := newBundle(t, with("locald-e2e-not-loaded")).run(t).problem(t, "/process/apparmorProfile")
	if !strings.HasPrefix(string(enabled), "Y") {
		if !strings.Contains(p.Message, "AppArmor is not enabled") {
			t.Errorf("%+v", p)
		}
		return
	}
	if p.Errno != "ENOENT" || !strings.Contains(p.Hint, "loaded") {
		t.Errorf("%+v", p)
	}
	const file = "read /proc/self/attr/apparmor/current"
	if got := strings.TrimSpace(newBundle(t, with("unconfined")).do(file).run(t).ok(t).value(t, file)); got != "unconfined" {
		t.Errorf("the profile is %q", got)
	}
}

// TestSELinux: without SELinux a label is refused; with it, one that no policy knows.
func TestSELinux(t *testing.T) {
	p := newBundle(t, func(s *specs.Spec) { s.Process.SelinuxLabel = "locald_e2e:no:such:label" }).run(t).problem(t, "/process/selinuxLabel")
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err == nil {
		if p.Errno != "EINVAL" {
			t.Errorf("%+v", p)
		}
	} else if !strings.Contains(p.Message, "SELinux is not enabled") {
		t.Errorf("%+v", p)
	}
}
