package bundle

import (
	"math"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestParseUlimit(t *testing.T) {
	for _, c := range []struct {
		in, reason string
		want       specs.POSIXRlimit
	}{
		{in: "nofile=1024", want: specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 1024}},
		{in: "nofile=1024:4096", want: specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 4096}},
		{in: "core=-1", want: specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: math.MaxUint64, Hard: math.MaxUint64}},
		{in: "core=0:-1", want: specs.POSIXRlimit{Type: "RLIMIT_CORE", Hard: math.MaxUint64}},
		{in: "nofile", reason: "NAME=SOFT"},
		{in: "files=1", reason: "NAME=SOFT"},
		{in: "nofile=", reason: "is no number"},
		{in: "nofile=1:", reason: "is no number"},
		{in: "nofile=-2", reason: "is no number"},
		{in: "nofile=2:1", reason: "above the hard one"},
		{in: "nofile=-1:1", reason: "above the hard one"},
	} {
		got, err := ParseUlimit(c.in)
		if c.reason == "" && (err != nil || got != c.want) || c.reason != "" && (err == nil || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%q: %+v, %v", c.in, got, err)
		}
	}
}

func TestParseDevice(t *testing.T) {
	for _, c := range []struct {
		in, reason string
		want       Device
	}{
		{in: "/dev/fuse", want: Device{Source: "/dev/fuse", Path: "/dev/fuse", Access: "rwm"}},
		{in: "/dev/fuse:r", want: Device{Source: "/dev/fuse", Path: "/dev/fuse", Access: "r"}},
		{in: "/dev/a:/dev/b", want: Device{Source: "/dev/a", Path: "/dev/b", Access: "rwm"}},
		{in: "/dev/a:/dev/../dev/b:rw", want: Device{Source: "/dev/a", Path: "/dev/b", Access: "rw"}},
		{in: "dev/a", reason: "by its path"},
		{in: "/dev/a:x", reason: "r, w and m"},
		{in: "/dev/a:/dev/b:", reason: "r, w and m"},
		{in: "/dev/a:/dev", reason: "nothing of yours"},
		{in: "/dev/a:/b:r:w", reason: "is written"},
		{in: "", reason: "by its path"},
	} {
		got, err := ParseDevice(c.in)
		if c.reason == "" && (err != nil || got != c.want) || c.reason != "" && (err == nil || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%q: %+v, %v", c.in, got, err)
		}
	}
}

func TestParseSwap(t *testing.T) {
	for _, c := range []struct {
		in     string
		memory int64
		want   int64
		reason string
	}{
		{in: "-1", memory: 1 << 20, want: -1},
		{in: "64m", memory: 64 << 20, want: 64 << 20},
		{in: "128m", memory: 64 << 20, want: 128 << 20},
		{in: "64m", memory: 128 << 20, reason: "at least --memory"},
		{in: "64m", reason: "needs a limit of memory"},
		{in: "x", memory: 1 << 20, reason: "--memory-swap x: a size is"},
	} {
		got, err := ParseSwap(c.in, c.memory)
		if c.reason == "" && (err != nil || got != c.want) || c.reason != "" && (err == nil || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%q: %d, %v", c.in, got, err)
		}
	}
}

func TestParseCPUSet(t *testing.T) {
	for in, ok := range map[string]bool{
		"0": true, "0-3": true, "0-2,7": true, "": false, "a": false, "3-1": false, "0,": false, "-1": false, "0 1": false, "99999999": false,
	} {
		if err := ParseCPUSet(in); (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestDevices: root's containers have nodes of their own, those of users mounts of the machine's.
func TestDevices(t *testing.T) {
	k := Kernel{Devices: []Device{{Source: "/dev/a", Path: "/dev/b", Access: "r", Type: "c", Major: 10, Minor: 3}}}
	for _, uid := range []uint32{0, 1000} {
		spec, err := Generate(Options{
			Rootfs: "/r", ID: "box", Process: Process{Args: []string{"x"}}, Network: NetworkHost, Kernel: k, Caller: Caller{UID: uid, GID: uid},
		})
		if err != nil {
			t.Fatal(err)
		}
		last := spec.Mounts[len(spec.Mounts)-1]
		mounted := last.Source == "/dev/a" && last.Destination == "/dev/b" && strings.Contains(strings.Join(last.Options, " "), "ro")
		made := len(spec.Linux.Devices) == 1 && spec.Linux.Devices[0].Path == "/dev/b" && spec.Linux.Resources.Devices[0].Access == "r"
		if mounted == (uid == 0) || made == (uid != 0) {
			t.Errorf("uid %d: mounted %v, made %v", uid, mounted, made)
		}
	}
}
