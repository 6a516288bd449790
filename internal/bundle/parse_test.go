package bundle

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestParseMemory(t *testing.T) {
	for _, c := range []struct {
		in     string
		want   int64
		reason string
		fix    string
	}{
		{in: "64m", want: 64 << 20},
		{in: "1g", want: 1 << 30},
		{in: "1.5G", want: 3 << 29},
		{in: "2048k", want: 2 << 20},
		{in: "1048576", want: 1 << 20},
		{in: "1048576b", want: 1 << 20},
		{in: "10MiB", want: 10 << 20},
		{in: "1t", want: 1 << 40},
		{in: "64", reason: "a number of bytes", fix: "--memory 64m"},
		{in: "100k", reason: "less than a program needs", fix: "--memory 64m"},
		{in: "0", reason: "less than a program needs"},
		{in: "-5m", reason: "a size is a number"},
		{in: "", reason: "a size is a number"},
		{in: "m", reason: "a size is a number"},
		{in: "12q", reason: "a size is a number"},
		{in: "1mm", reason: "a size is a number"},
		{in: "infm", reason: "a size is a number"},
		{in: "1e9", reason: "a size is a number"},
		{in: "0x10m", reason: "a size is a number"},
		{in: "99999999999t", reason: "more than the kernel can count"},
	} {
		got, err := ParseMemory(c.in)
		if c.reason == "" {
			if err != nil || got != c.want {
				t.Errorf("%q: %d, %v; want %d", c.in, got, err, c.want)
			}
			continue
		}
		wantError(t, err, "--memory", c.reason)
		if e := err.(*Error); c.fix != "" && e.Fix != c.fix {
			t.Errorf("%q: fix %q, want %q", c.in, e.Fix, c.fix)
		}
	}
}

func TestParseCPUs(t *testing.T) {
	for _, c := range []struct {
		in     string
		want   int64
		reason string
	}{
		{"1", 100_000, ""},
		{"0.5", 50_000, ""},
		{".25", 25_000, ""},
		{"1.333", 133_300, ""},
		{"0.01", 1000, ""},
		{"0.001", 0, "the least is 0.01"},
		{"0", 0, "the least is 0.01"},
		{"nan", 0, "is written 2 or 0.5"},
		{"-1", 0, "is written 2 or 0.5"},
		{"1,5", 0, "is written 2 or 0.5"},
		{"1.2.3", 0, "is written 2 or 0.5"},
		{"9999999", 0, "no machine has that many"},
	} {
		got, err := ParseCPUs(c.in)
		if c.reason != "" {
			wantError(t, err, "--cpus", c.reason)
		} else if err != nil || got != c.want {
			t.Errorf("%q: %d, %v; want %d", c.in, got, err, c.want)
		}
	}
}

func TestParseVolume(t *testing.T) {
	for _, c := range []struct {
		in, source, destination, options, reason string
	}{
		{in: "/a:/b", source: "/a", destination: "/b", options: "rbind rprivate"},
		{in: ".:/src/", source: ".", destination: "/src", options: "rbind rprivate"},
		{in: "./a:/b:ro", source: "./a", destination: "/b", options: "rbind rprivate ro"},
		{in: "a:/b:rw,rslave,noexec", source: "a", destination: "/b", options: "rbind rslave noexec"},
		{in: "a:/b/../c", source: "a", destination: "/c", options: "rbind rprivate"},
		{in: "/data/", destination: "/data", options: "rbind rprivate"},
		{in: "data", reason: "written SRC:DST"},
		{in: "/proc", reason: "mounted on /proc"},
		{in: "a:b:c:d", reason: "SRC:DST:ro"},
		{in: ":/b", reason: "the source is missing"},
		{in: "a:b", reason: "starts with /"},
		{in: "a:", reason: "starts with /"},
		{in: "a:/", reason: "mounted on /"},
		{in: "a:/x/..", reason: "mounted on /"},
		{in: "a:/proc/", reason: "mounted on /proc"},
		{in: "a:/dev", reason: "mounted on /dev"},
		{in: "a:/sys", reason: "mounted on /sys"},
		{in: "a:/b\x00c", reason: "NUL"},
		{in: "a:/b:z,ro", source: "a", destination: "/b", options: "rbind rprivate ro"},
		{in: "a:/b:Z", source: "a", destination: "/b", options: "rbind rprivate"},
		{in: "a:/b:", reason: "the options of a volume"},
		{in: "a:/b:owner=", reason: "the options of a volume"},
	} {
		m, err := ParseVolume(c.in)
		if c.reason != "" {
			wantError(t, err, "--volume", c.reason)
			continue
		}
		if err != nil || m.Type != "bind" || m.Source != c.source || m.Destination != c.destination || strings.Join(m.Options, " ") != c.options {
			t.Errorf("%q: %+v, %v", c.in, m, err)
		}
	}
}

func TestParseMount(t *testing.T) {
	for _, c := range []struct {
		in, kind, source, options, reason string
		volume                            bool
	}{
		{in: "type=bind,source=./a,target=/b/", kind: "bind", source: "./a", options: "rbind rprivate"},
		{in: "src=v,dst=/b,readonly", kind: "bind", source: "v", options: "rbind rprivate ro", volume: true},
		{in: "type=volume,src=V.1,destination=/b,ro=false,bind-propagation=rslave", kind: "bind", source: "V.1", options: "rbind rslave", volume: true},
		{in: "type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=700,ro", kind: "tmpfs", source: "tmpfs", options: "nosuid nodev size=1m mode=700 ro"},
		{in: "type=tmpfs,dst=/b,src=x", reason: "no source"},
		{in: "type=bind,dst=/b", reason: "source is missing"},
		{in: "src=a/b,dst=/b", reason: "the name of a volume"},
		{in: "src=K,dst=/b", reason: "the name of a volume"},
		{in: "type=bind,src=a,dst=b", reason: "starts with /"},
		{in: "type=bind,src=a,dst=/proc", reason: "mounted on /proc"},
		{in: "type=bind,src=a,dst=/b,ro=maybe", reason: "true or false"},
		{in: "type=bind,src=a,dst=/b,bind-propagation=shared", reason: "bind-propagation is"},
		{in: "type=nfs,src=a,dst=/b", reason: "type is"},
		{in: "type=bind,src=a,dst=/b,x", reason: "x is not supported"},
		{in: "", reason: " is not supported"},
	} {
		m, volume, err := ParseMount(c.in)
		if c.reason != "" {
			wantError(t, err, "--mount", c.reason)
			continue
		}
		if err != nil || m.Type != c.kind || m.Source != c.source || m.Destination != "/b" || strings.Join(m.Options, " ") != c.options || volume != c.volume {
			t.Errorf("%q: %+v %v, %v", c.in, m, volume, err)
		}
	}
}

func TestParseTmpfs(t *testing.T) {
	for _, c := range []struct{ in, destination, options, reason string }{
		{in: "/tmp", destination: "/tmp", options: "nosuid nodev mode=1777"},
		{in: "/run/:size=1m,nosuid,noexec", destination: "/run", options: "nosuid nodev mode=1777 size=1m noexec"},
		{in: "/x:mode=700,suid,dev", destination: "/x", options: "mode=700 suid dev"},
		{in: "tmp", reason: "starts with /"},
		{in: "", reason: "starts with /"},
		{in: "/proc", reason: "mounted on /proc"},
	} {
		m, err := ParseTmpfs(c.in)
		if c.reason != "" {
			wantError(t, err, "--tmpfs", c.reason)
			continue
		}
		if err != nil || m.Type != "tmpfs" || m.Destination != c.destination || strings.Join(m.Options, " ") != c.options {
			t.Errorf("%q: %+v, %v", c.in, m, err)
		}
	}
}

func TestParseEnvFile(t *testing.T) {
	lookup := func(name string) (string, bool) { return "host", name == "HAS" }
	got, err := ParseEnvFile("f", "# comment\n\nA=1\r\n  B=two words \nC='q'\nHAS\nHASNOT\nD=", lookup)
	want := []string{"A=1", "B=two words ", "C='q'", "HAS=host", "D="}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, text := range []string{"A=1\n=x\n", "A=1\nB C=x\n", "A=1\nb c\n"} {
		_, err := ParseEnvFile("f", text, lookup)
		wantError(t, err, "--env-file", "NAME=VALUE")
		if e := err.(*Error); e.Value != "f:2" {
			t.Errorf("%q: the place is %s, want f:2", text, e.Value)
		}
	}
}

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:y:z::\nnode:x:1000:1000::/home/node:/bin/sh\nbig:x:4294967295:0::/:/x\n12:x:7:7::/seven:\n"
	group  = "root:x:0:\nwheel:x:10:root,node\nnode:x:1000:\nvideo:x:44:node\nbad:x:nan:node\n"
)

func TestLookupUser(t *testing.T) {
	for _, c := range []struct {
		in     string
		want   User
		reason string
	}{
		{"", User{0, 0, []uint32{10}, "/root"}, ""},
		{"0", User{0, 0, []uint32{10}, "/root"}, ""},
		{"node", User{1000, 1000, []uint32{10, 44}, "/home/node"}, ""},
		{"1000", User{1000, 1000, []uint32{10, 44}, "/home/node"}, ""},
		{"node:video", User{1000, 44, nil, "/home/node"}, ""},
		{"node:0", User{1000, 0, nil, "/home/node"}, ""},
		{"1234", User{1234, 0, nil, ""}, ""},
		{"1234:5678", User{1234, 5678, nil, ""}, ""},
		{":44", User{0, 44, nil, "/root"}, ""},
		{"12", User{7, 7, nil, "/seven"}, ""}, // a name first, as Docker reads it
		{"nobody", User{}, `no user "nobody"`},
		{"big", User{}, `no user "big"`},
		{"4294967295", User{}, "no user"},
		{"-1", User{}, "no user"},
		{"+5", User{}, "no user"},
		{"0:none", User{}, `no group "none"`},
		{"0:", User{}, "no group"},
	} {
		got, err := LookupUser(c.in, passwd, group)
		if c.reason != "" {
			wantError(t, err, "--user", c.reason)
		} else if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v; want %+v", c.in, got, err, c.want)
		}
	}
	if got, err := LookupUser("", "", ""); err != nil || !reflect.DeepEqual(got, User{}) {
		t.Errorf("without files: %+v, %v", got, err)
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "0": true, "web-1.2_x": true, strings.Repeat("a", 128): true,
		"": false, ".": false, "..": false, "-a": false, "_a": false, ".a": false, "A": false, "a/b": false, "a b": false,
		"a\x00": false, "é": false, strings.Repeat("a", 129): false,
	} {
		if ValidID(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

func FuzzLookupUser(f *testing.F) {
	f.Add("node:video", passwd, group)
	f.Add(":", "::::::", ":::")
	f.Fuzz(func(t *testing.T, word, passwd, group string) {
		u, err := LookupUser(word, passwd, group)
		if err == nil && (u.UID > idMax || u.GID > idMax) {
			t.Errorf("%+v", u)
		}
	})
}

func FuzzParseMemory(f *testing.F) {
	f.Add("64m")
	f.Add("1.5GiB")
	f.Add("\xb7") // in lower case it is longer
	f.Fuzz(func(t *testing.T, word string) {
		if size, err := ParseMemory(word); err == nil && size < memoryMin {
			t.Errorf("%q is %d", word, size)
		}
	})
}

// FuzzVolume: what is taken has a destination that is absolute, and is taken for the same once more.
func FuzzVolume(f *testing.F) {
	for _, word := range []string{"/a:/b", "/a:/b:ro", "a:/b:rw,z", ":/b", "/a:b", "/a:/b:ro:rw", "/run:size=64m,mode=1777", "/x/../..:", "type=bind"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		for _, read := range []func(string) (specs.Mount, error){ParseVolume, ParseTmpfs} {
			m, err := read(word)
			if err != nil {
				continue
			}
			if !strings.HasPrefix(m.Destination, "/") || strings.Contains(m.Destination, "\x00") {
				t.Errorf("%q is %+v", word, m)
			}
			if again, err := read(word); err != nil || !reflect.DeepEqual(m, again) {
				t.Errorf("%q is %+v and then %+v, %v", word, m, again, err)
			}
		}
	})
}

// FuzzEnvFile: every entry that is read has a name, and no byte that ends a string.
func FuzzEnvFile(f *testing.F) {
	f.Add("A=1\n# no\nB\n\nC=a=b\r\n")
	f.Add("=\nA\x00=1\n A = 1")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseEnvFile("f", text, func(name string) (string, bool) { return "here", len(name)%2 == 0 })
		if err != nil {
			return
		}
		for _, entry := range all {
			if name, _, ok := strings.Cut(entry, "="); !ok || name == "" || strings.Contains(entry, "\x00") {
				t.Errorf("%q has the entry %q", text, entry)
			}
		}
	})
}
