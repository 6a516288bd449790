package libcontainer

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCopyUp bounds the files of one tmpcopyup: each is a handful of system calls of the Program.
const maxCopyUp = 4096

// lookTargets looks where mounts will go in the rootfs: a link there may lead to something that is missing, and a tmpfs
// takes over what it covers. It decides nothing that matters to safety: the child resolves every path again.
func lookTargets(b *Bundle) []Target {
	if b.Spec.Root == nil || len(b.Spec.Mounts) == 0 {
		return nil
	}
	root, err := unix.Openat(b.fd, b.Spec.Root.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(root)
	targets := make([]Target, len(b.Spec.Mounts))
	var earlier []coveredPath
	for i, m := range b.Spec.Mounts {
		o, dest := parseMountOptions(m.Type, m.Options), destination(m.Destination)
		if o.remount {
			continue
		}
		fresh := !o.bind && m.Type == "tmpfs"
		if !ownPlace(dest) {
			targets[i] = lookTarget(root, dest, earlier)
			if t := &targets[i]; fresh && o.copyUp && t.Found && t.Problem == "" {
				t.listCopies(root, dest)
			}
			if p := targets[i].Path; p != "" {
				dest = p
			}
		}
		earlier = append(earlier, coveredPath{dest, fresh})
	}
	return targets
}

// ownPlace says whether no link is followed to a destination, because the runtime itself fills what is mounted there.
func ownPlace(dest string) bool {
	return dest == "/" || dest == "/dev" || dest == "/dev/pts" || dest == "/proc" || dest == "/sys"
}

// coveredPath is the destination of an earlier mount. A fresh one is an empty tmpfs.
type coveredPath struct {
	dest  string
	fresh bool
}

// lookTarget follows links from component to component, inside the root.
func lookTarget(root int, dest string, earlier []coveredPath) Target {
	cur, rest, t := "", strings.Split(dest[1:], "/"), Target{Found: true}
	for links := 0; len(rest) > 0; {
		word := rest[0]
		rest = rest[1:]
		switch word {
		case "", ".":
			continue
		case "..":
			cur = strings.TrimSuffix(path.Dir("/"+strings.TrimPrefix(cur, "/")), "/")
			t.Found = true
			continue
		}
		p := cur + "/" + word
		if covered, fresh := coveredBy(p, earlier); covered {
			if !fresh {
				return Target{Problem: "an earlier mount covers it"}
			}
			cur, t.Found = p, false
			continue
		}
		fd, err := unix.Openat2(root, p[1:], &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
		if err == unix.ENOENT {
			cur, t.Found = p, false
			continue
		}
		if err != nil {
			return Target{Problem: errnoOf(err).Error()}
		}
		link := t.look(fd)
		unix.Close(fd)
		if link == "" {
			cur = p
			continue
		}
		if links++; links > 40 {
			return Target{Problem: errnoOf(unix.ELOOP).Error()}
		}
		if path.IsAbs(link) {
			cur = ""
		}
		rest = append(strings.Split(link, "/"), rest...)
	}
	if !t.Found && cur != dest && cur != "" {
		t.Path = cur
	}
	return t
}

// look takes down what an open file is, and answers where it leads when it is a link.
func (t *Target) look(fd int) (link string) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return ""
	}
	t.Found, t.Mode, t.UID, t.GID = true, st.Mode, st.Uid, st.Gid
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return readLink(fd, "")
	}
	return ""
}

func readLink(dir int, name string) string {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

func coveredBy(p string, earlier []coveredPath) (covered, fresh bool) {
	for _, e := range earlier {
		if e.dest == "/" || p == e.dest || strings.HasPrefix(p, e.dest+"/") {
			covered, fresh = true, e.fresh
		}
	}
	return covered, fresh
}

// listCopies lists what lies below a directory of the rootfs, each directory before what is in it.
func (t *Target) listCopies(root int, dest string) {
	dir, err := unix.Openat2(root, dest[1:], &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		t.Problem = errnoOf(err).Error()
		return
	}
	defer unix.Close(dir)
	t.listDirectory(dir, "")
}

func (t *Target) listDirectory(dir int, above string) {
	buf := make([]byte, 8192)
	for t.Problem == "" {
		n, err := unix.Getdents(dir, buf)
		if err != nil {
			t.Problem = errnoOf(err).Error()
		}
		if err != nil || n <= 0 {
			return
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			t.listFile(dir, name, above+name)
		}
	}
}

func (t *Target) listFile(dir int, name, rel string) {
	var st unix.Stat_t
	switch err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case t.Problem != "":
		return
	case err != nil:
		t.Problem = rel + ": " + errnoOf(err).Error()
		return
	case len(t.Copies) == maxCopyUp:
		t.Problem = "it holds more than " + itoa(maxCopyUp) + " files"
		return
	}
	f := CopiedFile{Path: rel, Mode: st.Mode, UID: st.Uid, GID: st.Gid, Size: uint64(st.Size)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR, unix.S_IFBLK:
		t.Problem = rel + " is a device"
		return
	case unix.S_IFLNK:
		f.Link = readLink(dir, name)
	}
	t.Copies = append(t.Copies, f)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		sub, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Problem = rel + ": " + errnoOf(err).Error()
			return
		}
		t.listDirectory(sub, rel+"/")
		unix.Close(sub)
	}
}
