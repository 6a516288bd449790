package files

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Change is one file that an overlay's upper directory makes different from what is below it.
type Change struct {
	Kind byte   // 'A' added, 'C' changed, 'D' deleted
	Path string // from "/" on
}

// Changes are those of an upper directory over a lower one, by path. A directory in which something has changed has
// changed itself (overlayfs.rst, "whiteouts and opaque directories").
func Changes(upper, lower string) ([]Change, error) {
	c := &comparison{upper: upper, lower: lower}
	err := c.dir("/", true)
	slices.SortFunc(c.list, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return c.list, err
}

type comparison struct {
	upper, lower string
	list         []Change
}

// dir compares a directory. Where nothing is below it, or no directory, all in it is new.
func (c *comparison) dir(name string, below bool) error {
	entries, err := os.ReadDir(filepath.Join(c.upper, name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		path := filepath.Join(name, e.Name())
		var was fs.FileInfo
		if below { // all that leads there are directories: no link is followed
			was, _ = os.Lstat(filepath.Join(c.lower, path))
		}
		switch {
		case !Whiteout(info):
		case was != nil:
			c.list = append(c.list, Change{'D', path})
			continue
		default:
			continue
		}
		kind := byte('A')
		if was != nil {
			kind = 'C'
		}
		c.list = append(c.list, Change{kind, path})
		if !info.IsDir() {
			continue
		}
		under := was != nil && was.IsDir()
		if err := c.dir(path, under); err != nil {
			return err
		}
		if under && Opaque(filepath.Join(c.upper, path)) {
			c.hidden(path)
		}
	}
	return nil
}

// hidden is what a directory that was deleted and made anew has no longer.
func (c *comparison) hidden(name string) {
	for _, gone := range Hidden(filepath.Join(c.upper, name), filepath.Join(c.lower, name)) {
		c.list = append(c.list, Change{'D', filepath.Join(name, gone)})
	}
}

// Whiteout reports whether a file of an upper directory says that there is none.
func Whiteout(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && st.Rdev == 0
}

// Opaque reports whether a directory of an upper one hides the whole directory below it.
func Opaque(dir string) bool {
	var value [1]byte
	n, err := unix.Lgetxattr(dir, "user.overlay.opaque", value[:])
	return err == nil && n == 1 && value[0] == 'y'
}

// Hidden are the names in a lower directory that an opaque one over it has not.
func Hidden(upper, lower string) []string {
	var names []string
	entries, _ := os.ReadDir(lower)
	for _, e := range entries {
		if _, err := os.Lstat(filepath.Join(upper, e.Name())); err != nil {
			names = append(names, e.Name())
		}
	}
	return names
}

// printChanges writes each change as its kind, its path and a null byte, which no path holds.
func printChanges(upper, lower string) error {
	list, err := Changes(upper, lower)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(os.Stdout)
	for _, c := range list {
		w.WriteByte(c.Kind)
		w.WriteString(c.Path)
		w.WriteByte(0)
	}
	return w.Flush()
}
