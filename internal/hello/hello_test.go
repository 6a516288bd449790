package hello

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	v := &view{
		pid: 1, uid: 0, gid: 7, hostname: "web",
		uidMap:     "         0       1000          1\n         1     100000      65535\n",
		gidMap:     "0 1000 1\n1 100000 65535\n",
		status:     "Name:\thello\nNoNewPrivs:\t1\nSeccomp:\t2\nCapEff:\t0000020000000421\n",
		cgroup:     "4:memory:/x\n0::/\n",
		namespaces: []string{"pid:[4026532837]"},
		limits:     map[string]string{"memory.max": "67108864\n", "cpu.max": "50000 100000\n"},
		mounts: mountsOf("30 29 0:25 / / ro,relatime - ext4 /dev/vda rw\n" +
			"31 30 0:26 / /a\\040b rw,nosuid shared:3 - tmpfs tmpfs rw\n" +
			"32 30 0:27 / /sys rw - sysfs sysfs ro\n" + "broken\n"),
		startup: 12_340_000,
	}
	var b bytes.Buffer
	v.write(&b)
	for _, want := range []string{
		"  pid           1\n",
		"  uid           0 here, uid 1000 outside\n",
		"  gid           7 here, gid 100006 outside\n",
		"  host name     web\n",
		"  namespaces    pid:[4026532837]\n",
		"  cgroup        /\n",
		"  memory limit  64 MiB\n",
		"  cpu limit     0.5 CPUs\n",
		"  pids limit    unknown (pids.max cannot be seen from here)\n",
		"  capabilities  CHOWN KILL NET_BIND_SERVICE 41\n",
		"  no_new_privs  yes\n",
		"  seccomp       filter\n",
		"  mounts        3\n    ro  ext4      /\n    rw  tmpfs     /a b\n    ro  sysfs     /sys\n",
		"  start         12.3 ms from locald's first instruction to this program's first\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

func TestOutside(t *testing.T) {
	for _, c := range []struct {
		id   int
		text string
		want string
	}{
		{0, "0 1000 1\n", "0 here, uid 1000 outside (the only one there is)"},
		{0, "0 0 4294967295\n", "0 here, uid 0 outside"},
		{5, "0 1000 1\n1 100000 65535\n", "5 here, uid 100004 outside"},
		{5, "0 1000 1\n", "5 here, unknown outside"},
		{5, "", "5 here, unknown outside"},
		{5, "a b c\nd\n", "5 here, unknown outside"},
	} {
		if got := outside("uid", c.id, c.text); got != c.want {
			t.Errorf("%d in %q: %q, want %q", c.id, c.text, got, c.want)
		}
	}
}

func TestReportWithoutProc(t *testing.T) {
	var b bytes.Buffer
	(&view{pid: 5, uid: 1000}).write(&b)
	for _, want := range []string{
		"uid           1000 here, unknown outside\n", "cgroup        unknown\n", "capabilities  unknown\n",
		"no_new_privs  unknown\n", "seccomp       unknown\n", "mounts        0\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "start ") {
		t.Errorf("a start time was made up:\n%s", b.String())
	}
}

func TestLimitText(t *testing.T) {
	for _, c := range []struct{ file, value, want string }{
		{"memory.max", "max\n", "none"},
		{"memory.max", "1048577\n", "1048577 bytes"},
		{"memory.max", "1073741824\n", "1 GiB"},
		{"memory.max", "odd\n", "odd"},
		{"cpu.max", "max 100000\n", "none"},
		{"cpu.max", "200000 100000\n", "2 CPUs"},
		{"cpu.max", "200000 0\n", "200000 0"},
	} {
		text := bytesText
		if c.file == "cpu.max" {
			text = cpusText
		}
		v := &view{limits: map[string]string{c.file: c.value}}
		if got := v.limit(c.file, text); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.file, c.value, got, c.want)
		}
	}
}

func TestMainArguments(t *testing.T) {
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{nil, 0, ""},
		{[]string{"serve", "now"}, 2, "hello takes none, or serve"},
		{[]string{"--x"}, 2, `unknown argument "--x"`},
	} {
		var out, errs bytes.Buffer
		if code := Main(c.args, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.stderr) {
			t.Errorf("%v: %d, %q", c.args, code, errs.String())
		}
		if (c.code == 0) != (out.Len() > 0) {
			t.Errorf("%v: stdout %q", c.args, out.String())
		}
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add("30 29 0:25 / / ro,relatime - ext4 /dev/vda rw\n")
	f.Add(`31 30 0:26 / /a\040b\ rw - t`)
	f.Fuzz(func(t *testing.T, text string) { mountsOf(text) })
}
