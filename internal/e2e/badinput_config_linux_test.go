package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBadConfigText: what is not the JSON of a bundle.
func TestBadConfigText(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 5000) + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + strings.Repeat("}", 5000)
	refuse(t, thin([]badInput{
		{name: "empty", make: badText(""), want: []wantError{{message: "empty"}}},
		{name: "white space", make: badText(" \n\t"), want: []wantError{{message: "empty"}}},
		{name: "array", make: badText("[]"), want: []wantError{{message: "an object is expected, found an array (byte 0)"}}},
		{name: "null", make: badText("null"), want: []wantError{{message: "an object is expected, found null"}}},
		{name: "no JSON", make: badText("ociVersion: 1.0.0"), want: []wantError{{message: "an object is expected"}}},
		{name: "two documents", make: badText(`{"ociVersion":"1.3.0"}{}`), want: []wantError{{message: "the end of the document is expected"}}},
		{name: "comment", make: badText("{} // mine"), want: []wantError{{message: "the end of the document is expected"}}},
		{name: "trailing comma", make: badText(`{"root":{"path":"rootfs",}}`), want: []wantError{{pointer: "/root", message: "a member's name"}}},
		{name: "5 MB", make: badText(`{"annotations":{"a":"` + strings.Repeat("x", 5<<20) + `"}}`), want: []wantError{{errno: "EFBIG", message: "read config.json"}}},
		{name: "10000 deep", make: badText(`{"x":` + deep + "}"), want: []wantError{{pointer: "/x" + strings.Repeat("/a", 63), message: "nested more than 64 deep"}}},
		{name: "10000 deep and cut off", make: badText(`{"mounts":` + strings.Repeat("[", 10000)), want: []wantError{{pointer: "/mounts/0", message: "an object is expected, found an array"}}},
		{name: "300000 values", make: badText(`{"x":[` + strings.Repeat("1,", 300000) + `1]}`), want: []wantError{{pointer: "/x", message: "more than 262144 values"}}},
		{name: "byte order mark", make: badText("\xef\xbb\xbf{}"), want: []wantError{{message: "byte order mark"}}},
		{name: "UTF-16", make: badText("{\x00}\x00"), want: []wantError{{message: "byte 0x00"}}},
		{name: "escape sequence in a name", make: badText(`{"\u001b[31mx": {"a": }}`), want: []wantError{{pointer: "/\x1b[31mx/a", message: "a value is expected"}}},
	}))
}

// TestBadConfigCutOff: the good text, cut off at points all over it.
func TestBadConfigCutOff(t *testing.T) {
	var rows []badInput
	for part := range 12 {
		rows = append(rows, badInput{name: strconv.Itoa(part) + " twelfths", more: true, make: func(t *testing.T, a *attempt) {
			good := a.good(t)
			badText(good[:len(good)*part/12])(t, a)
		}})
	}
	rows = append(rows, badInput{name: "all but one byte", want: []wantError{{message: "',' or '}' is expected, found the end of the document"}}, make: func(t *testing.T, a *attempt) {
		good := a.good(t)
		badText(good[:len(good)-1])(t, a)
	}})
	refuse(t, thin(rows))
}

// TestCVE_2017_12635: two readers of the same text must not understand it differently (CVE-2017-12635 was that).
func TestCVE_2017_12635(t *testing.T) {
	twice := []wantError{{pointer: "/root", message: "duplicate member"}}
	refuse(t, thin([]badInput{
		{name: "twice", make: instead(`"root":`, `"root":{"path":"/"},"root":`), want: twice},
		{name: "twice, once in disguise", make: instead(`"root":`, `"ro\u006ft":{"path":"/"},"root":`), want: twice},
		{name: "twice in an object", make: instead(`"cwd":`, `"cwd":"/tmp","cwd":`), want: []wantError{{pointer: "/process/cwd", message: "duplicate member"}}},
		{name: "twice and unknown", make: instead(`"root":`, `"x":1,"x":2,"root":`), want: []wantError{{pointer: "/x", message: "duplicate member"}}},
		{name: "twice in a map", make: instead(`"root":`, `"annotations":{"a":"1","a":"2"},"root":`), want: []wantError{{pointer: "/annotations/a", message: "duplicate member"}}},
		{name: "capital", make: instead(`"root":`, `"Root":`), want: []wantError{{pointer: "/Root", message: `differs from "root" only in case`}}},
		{name: "all capitals", make: instead(`"linux":`, `"LINUX":`), want: []wantError{{pointer: "/LINUX", message: `differs from "linux" only in case`}}},
		{name: "beside the real one", make: instead(`"noNewPrivileges":`, `"nonewprivileges":false,"noNewPrivileges":`), want: []wantError{{pointer: "/process/nonewprivileges", message: "only in case"}}},
		{name: "kelvin sign", make: instead(`"linux":{`, `"linux":{"mas\u212aedPaths":[],`), want: []wantError{{pointer: "/linux/mas\u212aedPaths", message: `"maskedPaths" only in case`}}},
		{name: "invalid UTF-8 in a value", make: instead(`"cwd":"/"`, "\"cwd\":\"/\xff\""), want: []wantError{{pointer: "/process/cwd", message: "UTF-8"}}},
		{name: "invalid UTF-8 in a name", make: instead(`"root":`, "\"x\xc3\":1,\"root\":"), want: []wantError{{message: "UTF-8"}}},
		{name: "overlong UTF-8", make: instead(`"cwd":"/"`, "\"cwd\":\"/\xc0\xaf\""), want: []wantError{{pointer: "/process/cwd", message: "UTF-8"}}},
		{name: "half a surrogate", make: instead(`"cwd":"/"`, `"cwd":"/\ud800"`), want: []wantError{{pointer: "/process/cwd", message: "surrogate"}}},
		{name: "control character", make: instead(`"cwd":"/"`, "\"cwd\":\"/\n\""), want: []wantError{{pointer: "/process/cwd", message: "control character"}}},
	}))
}

// TestBadConfigValues: JSON that says nothing which the specification allows.
func TestBadConfigValues(t *testing.T) {
	version := func(s string) func(*testing.T, *attempt) { return instead(`"ociVersion":"1.3.0"`, `"ociVersion":`+s) }
	refuse(t, thin([]badInput{
		{name: "no version", make: instead(`"ociVersion":"1.3.0",`, ""), want: []wantError{{pointer: "/ociVersion", message: "ociVersion is missing"}}},
		{name: "version 2", make: version(`"2.0.0"`), want: []wantError{{pointer: "/ociVersion", message: `version "2.0.0" is not supported`}}},
		{name: "version 0.2", make: version(`"0.2.0"`), want: []wantError{{pointer: "/ociVersion", message: "not supported"}}},
		{name: "version 1", make: version(`"1"`), want: []wantError{{pointer: "/ociVersion", message: "not supported"}}},
		{name: "version 10", make: version(`"10.0.0"`), want: []wantError{{pointer: "/ociVersion", message: "not supported"}}},
		{name: "version latest", make: version(`"latest"`), want: []wantError{{pointer: "/ociVersion", message: "not supported"}}},
		{name: "version 1.3", make: version(`1.3`), want: []wantError{{pointer: "/ociVersion", message: "a string is expected, found a number"}}},
		{name: "args is a string", make: instead(`"args":["/probe","look"]`, `"args":"/probe look"`), want: []wantError{{pointer: "/process/args", message: "an array is expected, found a string"}}},
		{name: "an argument is a number", make: instead(`"args":["/probe","look"]`, `"args":["/probe",7]`), want: []wantError{{pointer: "/process/args/1", message: "a string is expected, found a number"}}},
		{name: "cwd is a number", make: instead(`"cwd":"/"`, `"cwd":1`), want: []wantError{{pointer: "/process/cwd", message: "a string is expected, found a number"}}},
		{name: "root is an array", make: instead(`"root":{"path":"rootfs"}`, `"root":["rootfs"]`), want: []wantError{{pointer: "/root", message: "an object is expected, found an array"}}},
		{name: "readonly is a word", make: instead(`"path":"rootfs"`, `"path":"rootfs","readonly":"yes"`), want: []wantError{{pointer: "/root/readonly", message: "expected, found a string"}}},
		{name: "uid is negative", make: instead(`"uid":0`, `"uid":-1`), want: []wantError{{pointer: "/process/user/uid", message: "0 to 4294967295"}}},
		{name: "uid is too large", make: instead(`"uid":0`, `"uid":4294967296`), want: []wantError{{pointer: "/process/user/uid", message: "0 to 4294967295"}}},
		{name: "uid is a fraction", make: instead(`"uid":0`, `"uid":0.5`), want: []wantError{{pointer: "/process/user/uid", message: "integer"}}},
		{name: "uid is a word", make: instead(`"uid":0`, `"uid":"root"`), want: []wantError{{pointer: "/process/user/uid", message: "expected, found a string"}}},
		{name: "uid is no id", make: instead(`"uid":0`, `"uid":4294967295`), more: true, want: []wantError{{pointer: "/process/user", message: "4294967295 means no id"}}},
		{name: "no process", make: instead(`"process":`, `"x":`), more: true, want: []wantError{{pointer: "/process", message: "process is missing"}}},
		{name: "no root", make: instead(`"root":`, `"x":`), more: true, want: []wantError{{pointer: "/root", message: "root is missing"}}},
		{name: "another platform", make: instead(`"root":`, `"windows":{},"root":`), more: true, want: []wantError{{pointer: "/windows", message: "not a Linux bundle"}}},
	}))
}

// TestBadConfigFile: what lies at config.json is no file that can be read. The shim neither waits nor shows
// what is in it.
func TestBadConfigFile(t *testing.T) {
	place := func(how func(path string) error) func(*testing.T, *attempt) {
		return func(_ *testing.T, a *attempt) {
			a.config = func() error { return how(filepath.Join(a.dir, "config.json")) }
		}
	}
	link := func(to string) func(*testing.T, *attempt) {
		return place(func(path string) error { return os.Symlink(to, path) })
	}
	irregular := []wantError{{errno: "EINVAL", message: "read config.json"}}
	refuse(t, []badInput{
		{name: "none", make: place(func(string) error { return nil }), want: []wantError{{errno: "ENOENT", message: "read config.json"}}},
		{name: "FIFO", make: place(func(path string) error { return unix.Mkfifo(path, 0o666) }), want: irregular},
		{name: "directory", make: place(func(path string) error { return os.Mkdir(path, 0o755) }), want: irregular},
		{name: "device", make: link("/dev/zero"), want: irregular},
		{name: "terminal", make: func(t *testing.T, a *attempt) {
			link("/dev/tty")(t, a)
			// Where there is a controlling terminal /dev/tty can be opened.
			a.change = func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
		}, want: []wantError{{errno: "ENXIO", message: "read config.json"}}},
		{name: "standard input", make: link("/proc/self/fd/0"), want: irregular},
		{name: "socket", make: place(func(path string) error {
			return unix.Mknod(path, unix.S_IFSOCK|0o666, 0)
		}), want: []wantError{{errno: "ENXIO", message: "read config.json"}}},
		{name: "link to itself", make: link("config.json"), want: []wantError{{errno: "ELOOP", message: "read config.json"}}},
		{name: "dangling link", make: link("nowhere"), want: []wantError{{errno: "ENOENT", message: "read config.json"}}},
		{name: "longer than it says", make: link("/proc/self/status"), want: []wantError{{errno: "EAGAIN", message: "read config.json"}}},
		{name: "bundle is a file", make: func(t *testing.T, a *attempt) {
			a.args = []string{"--bundle", filepath.Join(a.dir, "config.json"), "--id", a.id}
		}, want: []wantError{{errno: "ENOTDIR", message: "open bundle"}}},
		{name: "bundle is missing", make: func(t *testing.T, a *attempt) {
			a.args = []string{"--bundle", filepath.Join(a.dir, "nowhere"), "--id", a.id}
		}, want: []wantError{{errno: "ENOENT", message: "open bundle"}}},
	})
}

// TestBadConfigSecret: config.json is a link to a file that its maker may not read, or to one that is no
// business of config.json's. Not a word of it is repeated.
func TestBadConfigSecret(t *testing.T) {
	secret, errno, message := "/etc/shadow", "EACCES", "read config.json"
	if here.root {
		errno, message = "", "an object is expected"
	}
	content := []string{"root:", ":::"}
	check := func(a *attempt) {
		a.config = func() error { return os.Symlink(secret, filepath.Join(a.dir, "config.json")) }
		a.after = func(t *testing.T) {
			for _, args := range [][]string{a.args, append(a.args, "--status-fd", "3")} {
				res := a.call(t, args...)
				for _, part := range content {
					if strings.Contains(res.stderr, part) || strings.Contains(res.String(), part) {
						t.Errorf("%q of %s is repeated: %s", part, secret, res)
					}
				}
			}
		}
	}
	refuse(t, []badInput{{name: "link", make: func(_ *testing.T, a *attempt) { check(a) }, want: []wantError{{errno: errno, message: message}}}})
}

// TestConfigGrows: a config.json that changes all the time is read as it was at one moment, or refused: for its
// growth, or for the zeros that a file may show where it is being cut off.
func TestConfigGrows(t *testing.T) {
	b := newBundle(t).do("exit 0")
	b.write(t)
	f, err := os.OpenFile(filepath.Join(b.dir, "config.json"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	size, err := f.Seek(0, 2)
	must(t, err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := int64(0); ; n++ {
			select {
			case <-stop:
				f.Truncate(size)
				return
			default:
			}
			f.WriteAt([]byte(strings.Repeat(" ", 1+int(n%4096))), size)
			f.Truncate(size)
		}
	}()
	a := &attempt{bundle: b}
	for range len(thin(make([]int, 24))) {
		res := a.call(t, "--bundle", b.dir, "--id", b.id, "--status-fd", "3")
		if res.code != 0 && (res.code != 125 || len(failuresOf(res)) != 1) {
			t.Errorf("neither run nor refused: %s", res)
		}
	}
	close(stop)
	<-stopped
}
