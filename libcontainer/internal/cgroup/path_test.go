package cgroup

import (
	"path"
	"strings"
	"testing"
)

func TestCheckPath(t *testing.T) {
	for p, want := range map[string]string{
		"/locald/web":                "",
		"/a":                         "",
		"/user.slice/x:y/...":        "",
		"/ ":                         "",
		"":                           "the cgroup path is not absolute",
		"locald/web":                 "the cgroup path is not absolute",
		"/":                          "the cgroup path has an empty component",
		"/a/":                        "the cgroup path has an empty component",
		"//a":                        "the cgroup path has an empty component",
		"/a//b":                      "the cgroup path has an empty component",
		"/.":                         "the cgroup path has the component .",
		"/a/..":                      "the cgroup path has the component ..",
		"/../a":                      "the cgroup path has the component ..",
		"/a\x00b":                    "the cgroup path has a NUL or a newline in it",
		"/a\nb":                      "the cgroup path has a NUL or a newline in it",
		"/a/cgroup.procs":            "the cgroup path has the component cgroup.procs, and names that start with cgroup. are the kernel's",
		"/" + pathOf(256):            "the cgroup path has a component of more than 255 bytes",
		"/" + pathOf(255):            "",
		strings.Repeat("/abc", 1025): "the cgroup path is too long",
	} {
		if got := CheckPath(p); got != want {
			t.Errorf("%.40q: %q, want %q", p, got, want)
		}
	}
}

func pathOf(n int) string { return strings.Repeat("a", n) }

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/locald/x", "/", "//", "/a/../b", "/./a", "/a\x00", "/a\n", "a", "/cgroup.procs", "/…"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		reason := CheckPath(p)
		if p != "" && len(p) < 4000 && (reason == "") != (CheckPath(p+"/b") == "") {
			t.Errorf("%q: %q, but with a child it is otherwise", p, reason)
		}
		if reason != "" {
			return
		}
		names, _ := split(p[1:])
		if path.Clean(p) != p || "/"+strings.Join(names, "/") != p {
			t.Errorf("%q is not what its names %q say", p, names)
		}
		for _, n := range names {
			if n == "" || n == "." || n == ".." || len(n) > 255 || strings.ContainsAny(n, "/\x00\n") || strings.HasPrefix(n, "cgroup.") {
				t.Errorf("%q has the name %q", p, n)
			}
		}
	})
}

func TestUnified(t *testing.T) {
	for _, test := range []struct{ key, value, controller, reason string }{
		{"memory.high", "1", "memory", ""},
		{"hugetlb.1GB.max", "1", "hugetlb", ""},
		{"cpuset.cpus.partition", "root", "cpuset", ""},
		{"misc.max", "sev 1", "misc", ""},
		{"memory.some-new_thing.2", "1", "memory", ""},
		{"pids.max", strings.Repeat("9", 4096), "pids", ""},
		{"memory.high", strings.Repeat("9", 4097), "", "the value is longer than 4096 bytes"},
		{"memory.high", "", "", "the value is empty"},
		{"memory.high", "\n\n", "", "the value is empty"},
		{"memory.high", "1\x00", "", "the value has a character that is not printable ASCII"},
		{"memory.high", "1\r\n", "", "the value has a character that is not printable ASCII"},
		{"memory.high", "\x1b[2J", "", "the value has a character that is not printable ASCII"},
		{"memory.high", "١", "", "the value has a character that is not printable ASCII"},
		{"cgroup.procs", "1", "", "the cgroup.* files are the runtime's"},
		{"cgroup.subtree_control", "+memory", "", "the cgroup.* files are the runtime's"},
		{"cgroup", "1", "", "it is not the name of a cgroup file"},
		{"memory", "1", "", "it is not the name of a cgroup file"},
		{"memory.", "1", "", "it is not the name of a cgroup file"},
		{".memory", "1", "", "it is not the name of a cgroup file"},
		{"", "1", "", "it is not the name of a cgroup file"},
		{"memory.a/../../cgroup.procs", "1", "", "it is not the name of a cgroup file"},
		{"../memory.max", "1", "", "it is not the name of a cgroup file"},
		{"memory.max\n", "1", "", "it is not the name of a cgroup file"},
		{"memory.max\x00", "1", "", "it is not the name of a cgroup file"},
		{"memory." + strings.Repeat("a", 249), "1", "", "it is not the name of a cgroup file"},
		{"dmem.max", "1", "", "the dmem controller is not available in cgroup v2"},
		{"Memory.max", "1", "", "the Memory controller is not available in cgroup v2"},
		{"blkio.weight", "1", "", "the blkio controller is not available in cgroup v2"},
	} {
		reason := ""
		c := compiler{layout: unifiedHost, report: func(_, r, _ string) { reason = r }}
		c.unified(map[string]string{test.key: test.value})
		if reason != test.reason {
			t.Errorf("%.40q = %.40q: reason %q, want %q", test.key, test.value, reason, test.reason)
		}
		if test.reason == "" && (len(c.writes) != 1 || c.writes[0].Controller != test.controller || c.writes[0].File != test.key || c.writes[0].Value != test.value) {
			t.Errorf("%.40q = %.40q: writes %v", test.key, test.value, c.writes)
		}
		if test.reason != "" && len(c.writes) != 0 {
			t.Errorf("%.40q = %.40q is refused and written: %v", test.key, test.value, c.writes)
		}
	}
}

func FuzzUnified(f *testing.F) {
	for _, kv := range [][2]string{{"memory.high", "1"}, {"io.max", "8:0 rbps=1\n8:1 rbps=2"}, {"cgroup.procs", "0"}, {"memory./x", "1"}, {"", ""}, {"pids.max", "\x00"}} {
		f.Add(kv[0], kv[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		reports := 0
		c := compiler{layout: unifiedHost, report: func(pointer, reason, _ string) {
			reports++
			if reason == "" || !strings.HasPrefix(pointer, "/linux/resources/unified/") || strings.Contains(pointer[25:], "/") {
				t.Errorf("report at %q: %q", pointer, reason)
			}
		}}
		c.unified(map[string]string{key: value})
		if (reports == 1) == (len(c.writes) > 0) || reports > 1 {
			t.Errorf("%q = %q: %d reports and %d writes", key, value, reports, len(c.writes))
		}
		var lines []string
		for _, w := range c.writes {
			if w.File != key || strings.ContainsAny(w.File, "/\x00\n") || strings.HasPrefix(w.File, "cgroup.") || !strings.HasPrefix(w.File, w.Controller+".") {
				t.Errorf("%q is written to %q of %s", key, w.File, w.Controller)
			}
			if w.Value == "" || len(w.Value) > 4096 || !printable(w.Value) {
				t.Errorf("%q = %q: writes %q", key, value, w.Value)
			}
			lines = append(lines, w.Value)
		}
		if len(lines) > 0 && strings.ReplaceAll(strings.Join(lines, ""), "\n", "") != strings.ReplaceAll(value, "\n", "") {
			t.Errorf("%q becomes %q", value, lines)
		}
	})
}
