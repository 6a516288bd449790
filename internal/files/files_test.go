package files

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// stream is a tar stream of these entries; the text of a link is where it leads to.
func stream(t *testing.T, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text = "hostile"
			h.Size = int64(len(text))
		}
		h.Mode |= 0o755
		must(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	must(t, w.Close())
	return &b
}

// TestUnpackHostile: nothing of a stream comes to lie beside what is copied, by no name and by no link; what is there
// and is replaced is not written to.
func TestUnpackHostile(t *testing.T) {
	dir := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	hard := func(name, to string) tar.Header { return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to} }
	for name, entries := range map[string][]tar.Header{
		"a link for a directory":          {link("x", ".ssh"), file("x/keys")},
		"a link for a directory, once":    {link("x", ".ssh"), dir("x"), file("x/keys")},
		"a directory after a link":        {dir("x"), link("x/l", "../.ssh"), file("x/l/keys")},
		"a directory over a link":         {dir("x"), link("x/l", "../.ssh"), dir("x/l"), file("x/l/keys")},
		"an absolute link":                {dir("x"), link("x/l", "/TOP/.ssh"), file("x/l/keys")},
		"dots":                            {dir("x"), file("x/../.ssh/keys")},
		"dots first":                      {dir("../.ssh"), file("../.ssh/keys")},
		"dots first, and a file":          {file("../.ssh/keys")},
		"an absolute name":                {dir("x"), file("/TOP/.ssh/keys")},
		"another name":                    {dir("x"), file(".ssh/keys")},
		"a name that begins like it":      {file(".ss"), file(".ssh/keys")},
		"a hard link to what is outside":  {dir("x"), hard("x/l", "../.ssh/keys"), file("x/l")},
		"a hard link to another":          {dir("x"), hard("x/l", ".ssh/keys")},
		"a hard link through a link":      {dir("x"), link("x/s", "../.ssh"), hard("x/l", "x/s/keys")},
		"a link in place of what is made": {dir("x"), dir("x/d"), link("x/d", "../.ssh"), file("x/d/keys")},
	} {
		for _, to := range []string{"", "/new", "/x"} {
			top := filepath.Join(t.TempDir(), "home")
			put(t, filepath.Join(top, ".ssh/keys"), "mine")
			put(t, filepath.Join(top, "kept"), "mine")
			for i := range entries {
				entries[i].Name = strings.Replace(entries[i].Name, "/TOP", top, 1)
				entries[i].Linkname = strings.Replace(entries[i].Linkname, "/TOP", top, 1)
			}
			_, err := Unpack(stream(t, entries...), top+to, Into{Name: "x"})
			if got := textOf(t, filepath.Join(top, ".ssh/keys")); got != "mine" {
				t.Errorf("%s, to %q: the file beside it is %q: %v", name, to, got, err)
			}
			for _, name := range []string{".ssh", "."} {
				for _, e := range dirOf(t, filepath.Join(top, name)) {
					if e != "keys" && e != ".ssh" && e != "kept" && e != "x" && e != "new" && e != ".ss" {
						t.Errorf("%s, to %q: %s is new: %v", name, to, e, err)
					}
				}
			}
		}
	}
}

func dirOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestUnpackReplaces: a file takes the place of another one, and what shares that one's content keeps it.
func TestUnpackReplaces(t *testing.T) {
	top := t.TempDir()
	put(t, top+"/mine", "mine")
	put(t, top+"/dir/other", "mine")
	must(t, os.Link(top+"/mine", top+"/hard"))
	must(t, os.Symlink("mine", top+"/soft"))
	for name, want := range map[string]string{"hard": "", "soft": "a directory cannot take the place of a file", "dir": ""} {
		entry := tar.Header{Typeflag: tar.TypeReg, Name: "hard"}
		if name == "soft" {
			entry.Typeflag = tar.TypeDir
		}
		_, err := Unpack(stream(t, entry), filepath.Join(top, name), Into{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := textOf(t, top+"/mine"); got != "mine" {
		t.Errorf("it was written through a hard link: %q", got)
	}
	if got := textOf(t, top+"/hard") + textOf(t, top+"/dir/hard"); got != "hostilehostile" {
		t.Errorf("%q", got)
	}
}

// TestUnpackPlaces: what lies where after a copy, by what was there, as cp -r and docker cp do it.
func TestUnpackPlaces(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"file", "new", "new"},
		{"file", "new/", "!no such file or directory"},
		{"file", "dir", "dir/file"},
		{"file", "dir/", "dir/file"},
		{"file", "old", "old"},
		{"file", "old/", "!not a directory"},
		{"file", "missing/new", "!no such file or directory"},
		{"file", "alias", "dir/file"}, // a link to dir
		{"file", "soft", "old"},       // a link to old
		{"tree", "new", "new/sub/deep"},
		{"tree", "new/", "new/sub/deep"},
		{"tree", "dir", "dir/tree/sub/deep"},
		{"tree/", "dir", "dir/tree/sub/deep"},
		{"tree/.", "dir", "dir/sub/deep"},
		{"tree/.", "new", "new/sub/deep"},
		{"tree", "old", "!a directory cannot take the place of a file"},
		{"tree/", "missing/new", "!no such file or directory"},
		{"missing", "new", "!no such file or directory"},
		{"toward", "new", "new@tree"},      // a link
		{"toward/", "new", "new/sub/deep"}, // what it leads to
		{"toward/.", "dir", "dir/sub/deep"},
	} {
		from, to := t.TempDir(), t.TempDir()
		put(t, from+"/file", "new")
		put(t, from+"/tree/sub/deep", "new")
		must(t, os.Symlink("tree", from+"/toward"))
		put(t, to+"/old", "old")
		must(t, os.Mkdir(to+"/dir", 0o755))
		must(t, os.Symlink("dir", to+"/alias"))
		must(t, os.Symlink("old", to+"/soft"))
		var b bytes.Buffer
		err := Pack(&b, from+"/"+c.from, false, nil)
		if err == nil {
			_, err = Unpack(&b, to+"/"+c.to, Into{Contents: Last(c.from) == "."})
		}
		if why, fails := strings.CutPrefix(c.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s to %s: %v, not %q", c.from, c.to, err, why)
			}
			continue
		}
		want, target, isLink := strings.Cut(c.want, "@")
		if isLink {
			if got, _ := os.Readlink(to + "/" + want); got != target {
				t.Errorf("%s to %s: the link leads to %q: %v", c.from, c.to, got, err)
			}
			continue
		}
		if got, _ := os.ReadFile(to + "/" + want); string(got) != "new" || err != nil {
			t.Errorf("%s to %s: %s is %q: %v", c.from, c.to, want, got, err)
		}
	}
}

// TestUnpackKeeps: modes and times are kept, but for the bits by which a program runs as its owner; a directory that
// nobody can write to is filled all the same.
func TestUnpackKeeps(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	put(t, from+"/tree/closed/file", "x")
	put(t, from+"/tree/suid", "x")
	then := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	must(t, os.Chmod(from+"/tree/suid", 0o755|os.ModeSetuid))
	must(t, os.Chtimes(from+"/tree/closed/file", then, then))
	must(t, os.Chtimes(from+"/tree/closed", then, then))
	must(t, os.Chmod(from+"/tree/closed", 0o500))
	t.Cleanup(func() {
		os.Chmod(from+"/tree/closed", 0o700)
		os.Chmod(to+"/tree/closed", 0o700)
		os.Chmod(to+"/again/closed", 0o700)
	})
	for name, set := range map[string]bool{"tree": false, "again": true} {
		var b bytes.Buffer
		must(t, Pack(&b, from+"/tree", false, nil))
		if _, err := Unpack(&b, to+"/"+name, Into{SetID: set}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(to + "/" + name + "/closed")
		must(t, err)
		if info.Mode() != os.ModeDir|0o500 || !info.ModTime().Equal(then) {
			t.Errorf("%s %s", info.Mode(), info.ModTime())
		}
		info, err = os.Stat(to + "/" + name + "/closed/file")
		must(t, err)
		if info.Mode() != 0o644 || !info.ModTime().Equal(then) {
			t.Errorf("%s %s", info.Mode(), info.ModTime())
		}
		info, err = os.Stat(to + "/" + name + "/suid")
		must(t, err)
		if got := info.Mode()&os.ModeSetuid != 0; got != set {
			t.Errorf("%s: %s", name, info.Mode())
		}
	}
}
