package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type doctorLine struct{ Check, Status, Detail, Fix string }

// doctor is what a user is told by locald doctor, with this directory for its data.
func (a *account) doctor(t *testing.T, home string) []doctorLine {
	t.Helper()
	cmd := a.command(filepath.Join(binDir, "locald"), "--shim", a.shim, "doctor", "--format", "json")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "LOCALD_HOME=" + home, "LOCALD_CACHE=" + home}
	out, err := cmd.Output()
	var report struct{ Checks []doctorLine }
	if _, failed := err.(*exec.ExitError); err != nil && !failed || json.Unmarshal(out, &report) != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return report.Checks
}

// TestLocaldDoctorFinds makes the machine, as far as this mount namespace goes, one on which something is missing. Doctor
// says so in one line, with one thing to do about it.
func TestLocaldDoctorFinds(t *testing.T) {
	seenOnHost(t)
	u, _ := accounts(t)
	own := func(t *testing.T, data string) string { // a file system of the user's
		dir := t.TempDir()
		must(t, os.Chmod(filepath.Dir(dir), 0o711))
		mountHere(t, "tmpfs", dir, "tmpfs", data+",mode=755,uid="+itoa(u.uid))
		return dir
	}
	plain := own(t, "size=2g")
	in := func(file, text string) func(t *testing.T) string { // another text of a file of the kernel's
		return func(t *testing.T) string {
			name := filepath.Join(t.TempDir(), "file")
			must(t, os.WriteFile(name, []byte(text+"\n"), 0o644))
			bindHere(t, name, file)
			return plain
		}
	}
	systemd := func(t *testing.T) {
		must(t, os.MkdirAll("/run/systemd/system", 0o755))
		t.Cleanup(func() { os.RemoveAll("/run/systemd") })
	}
	for _, c := range []struct {
		name                  string
		spoil                 func(t *testing.T) (home string)
		check, status, detail string
		fix                   string
	}{
		{"nothing is wrong", func(*testing.T) string { return plain }, "data", "ok", "(tmpfs), ", ""},
		{"data on an overlay", func(t *testing.T) string {
			dir := own(t, "size=1g")
			for _, name := range []string{"upper", "work", "home"} {
				must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
			}
			mountHere(t, "overlay", dir+"/home", "overlay", "lowerdir=/usr,upperdir="+dir+"/upper,workdir="+dir+"/work")
			must(t, os.Chown(dir+"/home", u.uid, u.uid))
			return dir + "/home"
		}, "data", "warn", "is on overlay, which cannot take", "export LOCALD_HOME="},
		{"data is not executed", func(t *testing.T) string {
			dir := own(t, "size=2g")
			must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOEXEC, ""))
			return dir
		}, "data", "warn", "noexec", "export LOCALD_HOME="},
		{"data is read-only", func(t *testing.T) string {
			dir := own(t, "size=2g")
			must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
			return dir
		}, "data", "warn", "cannot be written", "export LOCALD_HOME="},
		{"data is another's", func(t *testing.T) string { return "/root/locald" }, "data", "warn", "images and volumes have no place", "export LOCALD_HOME="},
		{"little space", func(t *testing.T) string { return own(t, "size=8m") }, "data", "warn", "MiB left", "locald system prune"},
		{"a file in its place", func(t *testing.T) string { return "/etc/passwd/locald" }, "data", "warn", "not a directory", "export LOCALD_HOME="},
		{"systemd", func(t *testing.T) string { systemd(t); return plain }, "logout", "warn", "may end when you log out", "loginctl enable-linger"},
		{"systemd, and lingering", func(t *testing.T) string {
			systemd(t)
			mountHere(t, "tmpfs", "/var/lib", "tmpfs", "")
			must(t, os.MkdirAll("/var/lib/systemd/linger", 0o755))
			must(t, os.WriteFile("/var/lib/systemd/linger/"+u.name, nil, 0o644))
			return plain
		}, "logout", "ok", "stay when you log out", ""},
		{"WSL", in("/proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2"), "wsl", "warn", "without systemd", "systemd=true"},
		{"cores", func(t *testing.T) string {
			in("/proc/sys/fs/suid_dumpable", "2")(t)
			return in("/proc/sys/kernel/core_pattern", "core")(t)
		}, "cores", "warn", "suid_dumpable 2", "sudo sysctl -w fs.suid_dumpable=0"},
		{"no user namespaces", in("/proc/sys/user/max_user_namespaces", "0"), "namespaces", "fail", "user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces="},
		{"AppArmor of Ubuntu", func(t *testing.T) string {
			mountHere(t, "tmpfs", "/proc/sys/kernel", "tmpfs", "mode=755")
			must(t, os.WriteFile("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", []byte("1\n"), 0o644))
			return plain
		}, "namespaces", "fail", "apparmor_restrict_unprivileged_userns=1", "sudo locald setup"},
		{"no server for names", func(t *testing.T) string {
			was := textOf(t, "/etc/resolv.conf")
			must(t, os.WriteFile("/etc/resolv.conf", nil, 0o644))
			t.Cleanup(func() { os.WriteFile("/etc/resolv.conf", []byte(was), 0o644) })
			return plain
		}, "dns", "warn", "names no server", "sudoedit /etc/resolv.conf"},
		{"no range of ids", func(t *testing.T) string {
			was := textOf(t, "/etc/subuid")
			must(t, os.WriteFile("/etc/subuid", nil, 0o644))
			t.Cleanup(func() { os.WriteFile("/etc/subuid", []byte(was), 0o644) })
			return plain
		}, "ids", "warn", "no range for " + u.name, "sudo locald setup"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := u.doctor(t, c.spoil(t))
			for _, line := range lines {
				if strings.Contains(line.Fix, "\n") || (line.Status == "ok") != (line.Fix == "") {
					t.Errorf("not one thing to do: %+v", line)
				}
			}
			i := slices.IndexFunc(lines, func(line doctorLine) bool { return line.Check == c.check })
			if i < 0 {
				t.Fatalf("nothing about %s: %+v", c.check, lines)
			}
			if got := lines[i]; got.Status != c.status || !strings.Contains(got.Detail, c.detail) || !strings.Contains(got.Fix, c.fix) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// bindHere shows a file in the place of another, in this mount namespace.
func bindHere(t *testing.T, source, target string) {
	t.Helper()
	must(t, unix.Mount(source, target, "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(target, unix.MNT_DETACH)) })
}
