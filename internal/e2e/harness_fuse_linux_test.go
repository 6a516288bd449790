package e2e

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fuse is a file system of a caller's (fuse(4)), mounted as fusermount3(1) does it, and served by the test. It is a tree
// of files in memory that goes wrong at one request: see misbehave.
type fuse struct {
	dir    string
	fd     int
	uid    uint32
	nodes  []*fuseNode // nodeid is the index; 0 is none, 1 the root
	nth    int         // the request at which it goes wrong, counting from 1
	wrong  string      // "none", "stop": read no more requests; "hang": do not answer; "lie", "errno"
	errno  unix.Errno
	random *rand.Rand
	count  int
	hangs  chan int // somebody waits for an answer that does not come: the pid, or 0
	ended  chan struct{}
	gone   bool
	hung   bool // which was seen
}

type fuseNode struct {
	parent uint64
	name   string
	mode   uint32
	data   []byte // of a file, or where a link leads
}

// The operations of linux/fuse.h that are answered.
const (
	fuseLookup, fuseForget, fuseGetattr, fuseSetattr, fuseReadlink = 1, 2, 3, 4, 5
	fuseUnlink, fuseRename, fuseOpen, fuseRead, fuseWrite          = 10, 12, 14, 15, 16
	fuseStatfs, fuseRelease, fuseFlush, fuseInit, fuseOpendir      = 17, 18, 25, 26, 27
	fuseReaddir, fuseReleasedir, fuseAccess, fuseCreate            = 28, 29, 34, 35
	fuseInterrupt, fuseDestroy, fuseBatchForget, fuseRename2       = 36, 38, 42, 45
)

// endless is how often an error may be the answer before who asks again is said to do so for ever.
const endless = 500

// mountFuse mounts a file system of the files, by path, on a directory. A path that ends in a slash is a directory.
func mountFuse(t *testing.T, dir string, uid int, files map[string]string) *fuse {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, err)
	f := &fuse{dir: dir, fd: fd, uid: uint32(uid), nodes: []*fuseNode{nil, {mode: unix.S_IFDIR | 0o755}}, wrong: "none", hangs: make(chan int, 1), ended: make(chan struct{})}
	for name, text := range files {
		mode := uint32(unix.S_IFREG | 0o755)
		if strings.HasSuffix(name, "/") {
			mode = unix.S_IFDIR | 0o755
		}
		f.nodes[f.make(path.Clean(name), mode)].data = []byte(text)
	}
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", fd, uid, uid)
	must(t, unix.Mount("fuse", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, data))
	go f.serve()
	return f
}

// end ends the file system, as the end of its server does: whoever waits for it gets an error.
func (f *fuse) end(t *testing.T) {
	t.Helper()
	if f.gone {
		return
	}
	f.gone = true
	if err := unix.Unmount(f.dir, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
		t.Errorf("unmount %s: %v", f.dir, err)
	}
	<-f.ended
}

// make finds a node, and makes it and the directories above it where they are missing.
func (f *fuse) make(name string, mode uint32) uint64 {
	node := uint64(1)
	parts := strings.Split(name, "/")
	for i, part := range parts {
		next := f.find(node, part)
		if next == 0 {
			n := &fuseNode{parent: node, name: part, mode: unix.S_IFDIR | 0o755}
			if i == len(parts)-1 {
				n.mode = mode
			}
			f.nodes = append(f.nodes, n)
			next = uint64(len(f.nodes) - 1)
		}
		node = next
	}
	return node
}

func (f *fuse) find(parent uint64, name string) uint64 {
	for i := range f.nodes {
		if n := f.nodes[i]; n != nil && n.parent == parent && n.name == name {
			return uint64(i)
		}
	}
	return 0
}

func (f *fuse) serve() {
	defer close(f.ended)
	defer unix.Close(f.fd)
	buf := make([]byte, 1<<20)
	for {
		if f.wrong == "stop" && f.count+1 >= f.nth {
			f.stop()
			return
		}
		n, err := unix.Read(f.fd, buf)
		switch {
		case err == unix.EINTR || err == unix.ENOENT: // the request has gone
			continue
		case err != nil || n < 40:
			return
		}
		op, unique := binary.NativeEndian.Uint32(buf[4:]), binary.NativeEndian.Uint64(buf[8:])
		node, pid := binary.NativeEndian.Uint64(buf[16:]), binary.NativeEndian.Uint32(buf[32:])
		switch op {
		case fuseForget, fuseBatchForget, fuseInterrupt, fuseDestroy:
			continue
		}
		reply, errno := f.answer(op, node, buf[40:n])
		if op != fuseInit && op != fuseRelease && op != fuseReleasedir {
			f.count++
			if f.count >= f.nth && f.wrong != "none" && !f.misbehave(&reply, &errno, int(pid)) {
				continue
			}
		}
		if errno != 0 {
			reply = nil
		}
		out := binary.NativeEndian.AppendUint32(nil, uint32(16+len(reply)))
		out = binary.NativeEndian.AppendUint32(out, uint32(-int32(errno)))
		out = binary.NativeEndian.AppendUint64(out, unique)
		unix.Write(f.fd, append(out, reply...)) // a lie that the kernel does not believe is an I/O error of who asked
	}
}

// stop is a server that has been stopped: whoever wants something waits, and can be killed.
func (f *fuse) stop() {
	for told := false; ; {
		events := int16(unix.POLLIN)
		if told {
			events = 0
		}
		p := []unix.PollFd{{Fd: int32(f.fd), Events: events}}
		if _, err := unix.Poll(p, -1); err == nil && p[0].Revents&unix.POLLERR != 0 {
			return // unmounted
		}
		if p[0].Revents&unix.POLLIN != 0 {
			told = true
			f.hangs <- 0
		}
	}
}

// misbehave spoils an answer, or says that there is none.
func (f *fuse) misbehave(reply *[]byte, errno *unix.Errno, pid int) (answers bool) {
	switch f.wrong {
	case "hang":
		if f.count == f.nth {
			f.hangs <- pid
		}
		return false
	case "errno":
		*errno = f.errno
		if f.count == f.nth+endless {
			f.hangs <- pid
		}
	case "lie":
		if *errno == 0 && f.random.IntN(3) == 0 {
			*reply = f.lie(*reply)
		}
	}
	return true
}

// lie changes types, sizes, owners and nodes, the contents of files and where links lead.
func (f *fuse) lie(reply []byte) []byte {
	kinds := []uint32{unix.S_IFIFO, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFLNK, unix.S_IFSOCK, unix.S_IFREG, unix.S_IFDIR, 0}
	attr := 0 // where struct fuse_attr begins
	switch len(reply) {
	case 128, 144:
		attr = 40
	case 104:
		attr = 16
	default:
		other := []string{"", "/", "../../../../../../etc", "{}", strings.Repeat("A", 4095), "\x00\x00", `{"ociVersion":"1.3.0"}`}[f.random.IntN(7)]
		return []byte(other)[:min(len(other), max(len(reply), 1))]
	}
	switch f.random.IntN(5) {
	case 0:
		binary.NativeEndian.PutUint32(reply[attr+60:], kinds[f.random.IntN(len(kinds))]|0o6777)
	case 1:
		binary.NativeEndian.PutUint64(reply[attr+8:], []uint64{0, 1, 1 << 20, 1<<22 + 1, 1 << 40, 1<<63 - 1}[f.random.IntN(6)])
	case 2:
		binary.NativeEndian.PutUint32(reply[attr+68:], f.random.Uint32()&1*f.random.Uint32()) // uid
	case 3:
		binary.NativeEndian.PutUint32(reply[attr+76:], 1<<8|3) // rdev
		binary.NativeEndian.PutUint32(reply[attr+60:], unix.S_IFCHR|0o666)
	case 4:
		if attr == 40 {
			binary.NativeEndian.PutUint64(reply, uint64(f.random.IntN(len(f.nodes)+1)))
		}
	}
	return reply
}

// answer is what an honest file system says.
func (f *fuse) answer(op uint32, node uint64, in []byte) ([]byte, unix.Errno) {
	if node >= uint64(len(f.nodes)) || op != fuseInit && node == 0 {
		return nil, unix.ESTALE
	}
	word := func(skip int) string {
		name, _, _ := strings.Cut(string(in[min(skip, len(in)):]), "\x00")
		return name
	}
	switch op {
	case fuseInit:
		out := binary.NativeEndian.AppendUint32(nil, 7)
		out = binary.NativeEndian.AppendUint32(out, 31)
		out = append(out, make([]byte, 56)...)
		binary.NativeEndian.PutUint32(out[20:], 1<<16) // max_write
		return out, 0
	case fuseLookup:
		if n := f.find(node, word(0)); n != 0 {
			return f.entry(n), 0
		}
		return nil, unix.ENOENT
	case fuseGetattr, fuseSetattr:
		return append(make([]byte, 16), f.attr(node)...), 0
	case fuseReadlink:
		return f.nodes[node].data, 0
	case fuseOpen, fuseOpendir:
		return f.open(), 0
	case fuseCreate:
		n := f.find(node, word(16))
		if n == 0 {
			f.nodes = append(f.nodes, &fuseNode{parent: node, name: word(16), mode: unix.S_IFREG | 0o644})
			n = uint64(len(f.nodes) - 1)
		}
		return append(f.entry(n), f.open()...), 0
	case fuseUnlink:
		if n := f.find(node, word(0)); n != 0 {
			f.nodes[n].name = ""
		}
		return nil, 0
	case fuseRename, fuseRename2:
		skip := map[uint32]int{fuseRename: 8, fuseRename2: 16}[op]
		from := word(skip)
		if n := f.find(node, from); n != 0 {
			f.nodes[n].parent, f.nodes[n].name = binary.NativeEndian.Uint64(in), word(skip+len(from)+1)
		}
		return nil, 0
	case fuseRead:
		offset, size := binary.NativeEndian.Uint64(in[8:]), binary.NativeEndian.Uint32(in[16:])
		data := f.nodes[node].data
		data = data[min(offset, uint64(len(data))):]
		return data[:min(uint64(size), uint64(len(data)))], 0
	case fuseWrite:
		return append(append([]byte(nil), in[16:20]...), 0, 0, 0, 0), 0
	case fuseStatfs:
		return make([]byte, 80), 0
	case fuseReaddir, fuseAccess, fuseFlush, fuseRelease, fuseReleasedir:
		return nil, 0
	}
	return nil, unix.ENOSYS
}

// open is a struct fuse_open_out. A close waits for FUSE_FLUSH, and no signal ends that wait, whether the server has read
// the request or not: one that stops has asked for none.
func (f *fuse) open() []byte {
	const noFlush = 1 << 5
	out := make([]byte, 16)
	if f.wrong == "stop" {
		out[8] = noFlush
	}
	return out
}

func (f *fuse) entry(node uint64) []byte {
	return append(append(binary.NativeEndian.AppendUint64(nil, node), make([]byte, 32)...), f.attr(node)...)
}

// attr is a struct fuse_attr.
func (f *fuse) attr(node uint64) []byte {
	a := make([]byte, 88)
	binary.NativeEndian.PutUint64(a, node)
	binary.NativeEndian.PutUint64(a[8:], uint64(len(f.nodes[node].data)))
	for i, v := range []uint32{f.nodes[node].mode, 1, f.uid, f.uid, 0, 4096} {
		binary.NativeEndian.PutUint32(a[60+4*i:], v)
	}
	return a
}
