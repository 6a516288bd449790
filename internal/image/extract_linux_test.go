package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/compress"
)

// TestMain lets the test binary stand for the program in the container: in a user namespace, with the layer's directory
// as its root.
func TestMain(m *testing.M) {
	if dir := os.Getenv("EXTRACT_TO"); dir != "" {
		left, _ := strconv.ParseInt(os.Getenv("EXTRACT_BYTES"), 10, 64)
		unix.Umask(0)
		if err := errors.Join(unix.Chroot(dir), os.Chdir("/")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		x := &extractor{left: left, single: true}
		digest, err := x.extractAll(os.Stdin, os.Getenv("EXTRACT_FROM"), compress.Reader)
		if err != nil {
			fmt.Fprint(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Print(digest, " ", x.devices)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// extracted writes a layer into a directory beside which another one lies.
func extracted(t *testing.T, data []byte, compression string, limit int64) (dir, stdout string, err error) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "fs")
	t.Cleanup(func() { // who is not root removes nothing below a directory of mode 0
		filepath.WalkDir(top, func(path string, e fs.DirEntry, _ error) error {
			if e != nil && e.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(filepath.Join(top, "beside"), 0o755), os.WriteFile(filepath.Join(top, "secret"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"EXTRACT_TO=" + dir, "EXTRACT_FROM=" + compression, "EXTRACT_BYTES=" + strconv.FormatInt(limit, 10)}
	cmd.Stdin = bytes.NewReader(data)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err = cmd.Run(); err != nil {
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Fatal(err, complaint.String())
		}
		err = errors.New(complaint.String())
	}
	beside, _ := os.ReadDir(filepath.Join(top, "beside"))
	all, _ := os.ReadDir(top)
	if len(beside) != 0 || len(all) != 3 {
		t.Errorf("something was written outside: %v, %v", all, beside)
	}
	return dir, out.String(), err
}

func of(typ byte, name, link string) file {
	return file{tar.Header{Typeflag: typ, Name: name, Linkname: link, Mode: 0o755}, ""}
}

func xattr(t *testing.T, path, name string) string {
	t.Helper()
	value := make([]byte, 100)
	n, err := unix.Lgetxattr(path, name, value)
	if err != nil {
		return err.Error()
	}
	return string(value[:n])
}

func whited(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

// TestExtract is what a layer becomes, compressed in each way.
func TestExtract(t *testing.T) {
	if unix.Setxattr(t.TempDir(), "user.locald", nil, 0) != nil {
		t.Skip("needs a file system with extended attributes of users")
	}
	marked := text("usr/bin/tool", "x")
	marked.Mode = 0o4755
	marked.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "kept", "SCHILY.xattr.user.overlay.redirect": "/etc", "SCHILY.xattr.security.selinux": "label", "SCHILY.xattr.trusted.overlay.opaque": "y"}
	data := tarOf(t,
		of(tar.TypeDir, "beside/", ""), of(tar.TypeDir, "etc/", ""), text("etc/a", "first"), text("etc/a", "second"), of(tar.TypeLink, "etc/b", "etc/a"),
		of(tar.TypeSymlink, "etc/out", "../../beside"), text("etc/out/in", "inside"), text("name\nwith newline", "x"), marked,
		text("gone/.wh.file", ""), text("opaque/.wh..wh..opq", ""), text("opaque/new", "x"),
		text("both/f", "stays"), text("both/.wh.f", ""), text("back/.wh.dir", ""), of(tar.TypeDir, "back/dir/", ""), of(tar.TypeDir, "over/d/", ""), text("over/.wh.d", ""),
		of(tar.TypeFifo, "fifo", ""), of(tar.TypeBlock, "dev/sda", ""), of(tar.TypeDir, "file/", ""), text("/abs", "x"), text("./dot", "x"),
		text("link/x", "x"),
	)
	for compression, layer := range map[string][]byte{"": data, "gzip": gzipped(t, data), "zstd": zstded(t, data)} {
		dir, out, err := extracted(t, layer, compression, 1<<20)
		if err != nil || out != string(digestOf(data))+" 1" {
			t.Fatal(compression, out, err)
		}
		in := func(name string) string { return filepath.Join(dir, name) }
		for name, want := range map[string]string{"etc/a": "second", "etc/b": "second", "both/f": "stays", "name\nwith newline": "x", "abs": "x", "dot": "x", "beside/in": "inside"} {
			if got, err := os.ReadFile(in(name)); string(got) != want {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if info, err := os.Stat(in("usr/bin/tool")); err != nil || info.Mode().Perm() != 0o755 || info.Mode()&os.ModeSetuid == 0 {
			t.Error(info, err)
		}
		if xattr(t, in("usr/bin/tool"), "user.note") != "kept" || xattr(t, in("usr/bin/tool"), "user.overlay.redirect") == "/etc" {
			t.Error("extended attributes:", xattr(t, in("usr/bin/tool"), "user.note"), xattr(t, in("usr/bin/tool"), "user.overlay.redirect"))
		}
		if !whited(in("gone/file")) || whited(in("both/f")) || whited(in("back/dir")) {
			t.Error("whiteouts")
		}
		for name, want := range map[string]string{"opaque": "y", "back/dir": "y", "over/d": "y", "etc": "no data available"} {
			if got := xattr(t, in(name), "user.overlay.opaque"); got != want {
				t.Errorf("%s: opaque is %q", name, got)
			}
		}
		if _, err := os.Lstat(in("dev/sda")); !errors.Is(err, os.ErrNotExist) {
			t.Error("a device was made:", err)
		}
	}
}

// TestCVE_2020_15229: names and links that lead out of the directory into which an image is unpacked.
func TestCVE_2020_15229(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		say  string
	}{
		"climbs":           {tarOf(t, text("../secret", "x")), "leads out"},
		"climbs within":    {tarOf(t, text("a/../../secret", "x")), "leads out"},
		"hard link out":    {tarOf(t, of(tar.TypeLink, "a", "../secret")), "leads out"},
		"hard link abroad": {tarOf(t, of(tar.TypeLink, "a", "/secret")), "no such file"},
		"link and through": {tarOf(t, of(tar.TypeSymlink, "a", "/etc/"), text("a/b", "x")), "a/b"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, out, err := extracted(t, c.data, "", 1<<20); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%s, %v is no error with %q", out, err, c.say)
			}
		})
	}
}

// TestExtractRefuses: what no honest layer holds stops it, with nothing outside its directory.
func TestExtractRefuses(t *testing.T) {
	good := tarOf(t, text("a", strings.Repeat("x", 5000)))
	for name, c := range map[string]struct {
		data        []byte
		compression string
		say         string
	}{
		"whiteout of ..": {tarOf(t, text("d/.wh...", "")), "", "whiteout of nothing"},
		"root is a file": {tarOf(t, text(".", "x")), "", ""},
		"file as parent": {tarOf(t, text("a", "x"), text("a/b", "x")), "", "is a file"},
		"bomb":           {tarOf(t, text("a", strings.Repeat("\x00", 1<<21))), "", "larger than"},
		"gzip bomb":      {gzipped(t, append(tarOf(t, text("a", "x")), make([]byte, 4<<20)...)), "gzip", "larger than"},
		"truncated":      {good[:2000], "", "unexpected EOF"},
		"truncated gzip": {gzipped(t, good)[:40], "gzip", "EOF"},
		"not gzip":       {good, "gzip", "gzip"},
		"not zstd":       {good, "zstd", ""},
		"no tar":         {[]byte(strings.Repeat("x", 2000)), "", "invalid tar header"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, out, err := extracted(t, c.data, c.compression, 1<<20); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%s, %v is no error with %q", out, err, c.say)
			}
		})
	}
}

// FuzzExtract: whatever the bytes are, nothing is written outside, and the program ends.
func FuzzExtract(f *testing.F) {
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, data []byte) { extracted(t, data, "", 1<<20) })
}

// FuzzLayer: so it is for a tar that is one, of names and kinds of entries that are told from the bytes: three for each.
func FuzzLayer(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 2, 0, 2, 3, 5})
	f.Add([]byte{2, 0, 4, 0, 1, 3, 3, 2, 5, 0, 6, 0, 0, 7, 0})
	f.Add([]byte{1, 0, 0, 0, 8, 0, 5, 9, 0, 4, 10, 0, 2, 0, 6, 0, 2, 0})
	kinds := []byte{tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo, tar.TypeChar, tar.TypeBlock, tar.TypeReg}
	names := []string{"a", "a/", "a/b", "a/b/c", "..", "../secret", "/secret", ".wh.a", "a/.wh.b", "a/.wh..wh..opq", ".wh..wh..opq", ".wh...", ".wh.", ".", "", "/proc/self/root", "a/../b", "beside", "../beside/x", ".wh..", "a//b", "b"}
	f.Fuzz(func(t *testing.T, data []byte) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for ; len(data) > 2 && b.Len() < 1<<16; data = data[3:] {
			h := tar.Header{Typeflag: kinds[int(data[0])%len(kinds)], Name: names[int(data[1])%len(names)], Linkname: names[int(data[2])%len(names)], Mode: int64(data[2]) << 4, Uid: int(data[0] >> 3)}
			if data[0]&0x80 != 0 && h.Typeflag != tar.TypeLink {
				h.PAXRecords = map[string]string{"SCHILY.xattr.user.overlay.redirect": "/secret"}
			}
			body := ""
			if h.Typeflag == tar.TypeReg {
				body, h.Linkname = "x", ""
			}
			h.Size = int64(len(body))
			if w.WriteHeader(&h) == nil {
				w.Write([]byte(body))
			}
		}
		w.Close()
		extracted(t, b.Bytes(), "", 1<<20)
	})
}
