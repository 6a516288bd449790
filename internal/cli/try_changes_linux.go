package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/files"
)

// change is something that is thrown away: A added, C changed, D deleted.
type change struct {
	kind byte
	path string // on the machine
	file string // where it is now; "" when it is nowhere
	mode fs.FileMode
}

// settle says what was changed, and saves it where that was asked for.
func (a *app) settle(v *hostView, kept *os.Root) error {
	changes, err := v.changes()
	if err != nil {
		return &failure{id: idHostView, what: "what the program changed cannot be told: " + err.Error()}
	}
	if v.flags.diff {
		var b strings.Builder
		for _, c := range changes {
			b.WriteString(string(c.kind) + " " + quoted(c.path) + "\n")
		}
		if _, err := a.stdout.WriteString(b.String()); err != nil {
			return err
		}
	}
	if kept != nil {
		if err := keepChanges(kept, changes); err != nil {
			return &failure{id: idHostView, what: "what the program changed cannot be saved: " + err.Error()}
		}
	}
	files := 0
	for _, c := range changes {
		if !c.mode.IsDir() {
			files++
		}
	}
	if files > 0 && !a.quiet && !v.flags.diff && kept == nil {
		s := " files"
		if files == 1 {
			s = " file"
		}
		a.stderr.WriteString("locald: thrown away: " + strconv.Itoa(files) + s + " outside " + v.outside() + "   (--diff lists them, --keep DIR saves them)\n")
	}
	return nil
}

func (v *hostView) outside() string {
	if v.project == v.cwd {
		return "this directory"
	}
	return "what can be written to"
}

// quoted quotes a name that a terminal would obey, or that looks like two lines.
func quoted(s string) string {
	if q := strconv.Quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

func (v *hostView) changes() ([]change, error) {
	var list []change
	covers := v.Covered
	if v.who.Root() && len(v.Binds) > 0 && v.Binds[0].Destination == v.realHome {
		covers = []bundle.Cover{{Path: v.realHome, Upper: v.Binds[0].Source}}
	}
	for _, c := range covers {
		err := filepath.WalkDir(c.Upper, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || path == c.Upper {
				return err
			}
			found, err := v.changed(&c, path, entry)
			list = append(list, found...)
			return err
		})
		if err != nil {
			return list, err
		}
	}
	return list, nil
}

// changed is what one entry of an upper directory means (overlayfs.rst, "whiteouts and opaque directories").
func (v *hostView) changed(c *bundle.Cover, path string, entry fs.DirEntry) ([]change, error) {
	name := strings.TrimPrefix(path, c.Upper)
	info, err := entry.Info()
	if err != nil {
		return nil, err
	}
	one := change{'A', c.Path + name, path, info.Mode()}
	if files.Whiteout(info) {
		one.kind, one.file = 'D', ""
		return []change{one}, nil
	}
	if c.Work == "" { // nothing is below
		if info.IsDir() && v.mountPoint(one.path) {
			return nil, nil
		}
		return []change{one}, nil
	}
	was, err := os.Lstat(one.path)
	switch {
	case err != nil:
		return []change{one}, nil
	case info.IsDir() && was.IsDir():
		return hiddenBy(path, one.path), nil
	}
	one.kind = 'C'
	return []change{one}, nil
}

// mountPoint reports whether a directory is there because something is mounted in it.
func (v *hostView) mountPoint(path string) bool {
	for _, p := range v.Projects {
		if bundle.Within(p.Path, path) {
			return true
		}
	}
	for _, m := range v.Own {
		if bundle.Within(m.Destination, path) {
			return true
		}
	}
	return false
}

// hiddenBy is what a directory that was deleted and made anew no longer has.
func hiddenBy(upper, lower string) []change {
	if !files.Opaque(upper) {
		return nil
	}
	var list []change
	for _, name := range files.Hidden(upper, lower) {
		list = append(list, change{kind: 'D', path: filepath.Join(lower, name)})
	}
	return list
}

// openKept is the directory of --keep, opened before anything runs: what the program does to its path means nothing then.
func openKept(dir string) (*os.Root, error) {
	if dir == "" {
		return nil, nil
	}
	fail := func(err error) error {
		return &failure{id: idVolume, what: "--keep " + dir + " cannot be used: " + reason(err)}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fail(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fail(err)
	}
	f, err := root.Open(".")
	if err == nil {
		_, err = f.Readdirnames(1)
		f.Close()
		if err == nil {
			err = errors.New("it is not empty")
		} else if errors.Is(err, io.EOF) {
			return root, nil
		}
	}
	root.Close()
	return nil, fail(err)
}

// deletedList is the file of a kept directory that names what was deleted, one path a line, quoted where it needs to be.
const deletedList = "deleted"

// keepChanges copies what was added and changed to its path below the directory. What the program left in the
// directory meanwhile is in the way and not followed: every file is new.
func keepChanges(kept *os.Root, changes []change) error {
	var deleted strings.Builder
	for _, c := range changes {
		name := "files" + c.path
		switch {
		case c.kind == 'D':
			deleted.WriteString(quoted(c.path) + "\n")
			continue
		case c.mode.IsDir():
			if err := kept.MkdirAll(name, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := kept.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := keepFile(kept, name, c); err != nil {
			return err
		}
	}
	if deleted.Len() == 0 {
		return nil
	}
	f, err := kept.OpenFile(deletedList, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(deleted.String())
	return errors.Join(err, f.Close())
}

func keepFile(kept *os.Root, name string, c change) error {
	if c.mode&fs.ModeSymlink != 0 {
		target, err := os.Readlink(c.file)
		if err != nil {
			return err
		}
		return kept.Symlink(target, name)
	}
	if !c.mode.IsRegular() {
		return nil // a socket or a FIFO is nothing to keep
	}
	if c.mode&0o400 == 0 {
		os.Chmod(c.file, 0o600)
	}
	from, err := os.OpenFile(c.file, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := kept.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, c.mode.Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
