package libcontainer

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestHomeOf(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\n\n# a comment\nshort:x:7\nbad:x:seven:7::/bad:\nweb:x:33:33:Web:/srv/web:/bin/sh\nother:x:33:33::/second:/bin/sh\n" +
		"empty:x:40:40:::/bin/sh\nrelative:x:41:41::srv:/bin/sh\nnul:x:42:42::/a\x00b:\nbig:x:4294967294:1::/big:\nlast:x:50:50::/last:"
	for uid, want := range map[uint32]string{0: "/root", 33: "/srv/web", 7: "/", 40: "/", 41: "/", 42: "/", 4294967294: "/big", 50: "/last", 99: "/"} {
		if got := homeOf(passwd, uid); got != want {
			t.Errorf("uid %d: %q, want %q", uid, got, want)
		}
	}
}

func TestWithHome(t *testing.T) {
	for _, tt := range []struct{ env, home, want string }{
		{"A=1", "/h", "A=1 HOME=/h"}, {"", "/h", "HOME=/h"}, {"A=1", "", "A=1"}, {"HOME=/x A=1", "/h", "HOME=/x A=1"}, {"HOME= A=1", "/h", "A=1 HOME=/h"}, {"HOMES=1", "/h", "HOMES=1 HOME=/h"},
	} {
		if got := strings.Join(withHome(strings.Fields(tt.env), tt.home), " "); got != tt.want {
			t.Errorf("%q with %q: %q, want %q", tt.env, tt.home, got, tt.want)
		}
	}
}

// TestPasswdPlaces: the last mount that covers the file says where it comes from.
func TestPasswdPlaces(t *testing.T) {
	bind := func(dest, source string) specs.Mount { return mount(dest, "bind", source) }
	tests := []struct {
		name   string
		mounts []specs.Mount
		want   []passwdPlace
	}{
		{"rootfs", []specs.Mount{bind("/etc/hosts", "h"), bind("/etcetera", "e")}, []passwdPlace{{"rootfs", "etc/passwd"}}},
		{"file", []specs.Mount{bind("/etc/passwd", "p")}, []passwdPlace{{"p", ""}}},
		{"directory", []specs.Mount{bind("/etc/passwd", "p"), bind("/etc/", "/srv/etc")}, []passwdPlace{{"/srv/etc", "passwd"}}},
		{"overlay", []specs.Mount{mount("/", "overlay", "", "lowerdir=a:b", "upperdir=u", "workdir=w")}, []passwdPlace{{"u", "etc/passwd"}, {"a", "etc/passwd"}, {"b", "etc/passwd"}}},
		{"tmpfs", []specs.Mount{mount("/etc", "tmpfs", "")}, nil},
		{"bind in a tmpfs", []specs.Mount{mount("/etc", "tmpfs", ""), bind("/etc/passwd", "p")}, []passwdPlace{{"p", ""}}},
	}
	for _, tt := range tests {
		if got := passwdPlaces(&specs.Spec{Root: &specs.Root{Path: "rootfs"}, Mounts: tt.mounts}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
