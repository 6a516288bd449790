package libcontainer

import "golang.org/x/sys/unix"

// maxPasswd bounds the /etc/passwd that is looked at. What is larger has no entries.
const maxPasswd = 1 << 20

// lookHome is the HOME that a process gets; "" when it has one, or there is no process.
func lookHome(b *Bundle) string {
	p := b.Spec.Process
	if p == nil || hasHome(p.Env) {
		return ""
	}
	return homeAt(b.fd, passwdPlaces(b.Spec), p.User.UID)
}

// homeAt is the home directory of uid in the first of the places that has a file; relative ones are below dir. Of a
// container that runs the place is {"/proc/PID/root", "etc/passwd"}.
func homeAt(dir int, places []passwdPlace, uid uint32) string {
	for _, place := range places {
		fd, err := openPasswd(dir, place)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			break
		}
		text := readRegular(fd)
		unix.Close(fd)
		return homeOf(text, uid)
	}
	return "/"
}

// openPasswd holds the file without opening it: it may be a device or a pipe, which an open would reach.
func openPasswd(dir int, place passwdPlace) (int, error) {
	if place.below == "" {
		return unix.Openat(dir, place.from, unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	root, err := unix.Openat(dir, place.from, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	return unix.Openat2(root, place.below, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
}

// readRegular is the text of a regular file that an O_PATH descriptor holds; "" when it is none, or cannot be read.
func readRegular(held int) string {
	var st unix.Stat_t
	if unix.Fstat(held, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxPasswd {
		return ""
	}
	fd, err := unix.Open("/proc/self/fd/"+itoa(held), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	text := make([]byte, st.Size)
	n := 0
	for n < len(text) {
		k, err := unix.Read(fd, text[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			break
		}
		n += k
	}
	return string(text[:n])
}
