package files

import (
	"bytes"
	"net"
	"os"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

// TestChanges: a whiteout means something where there is something below it, and no link of a lower directory is followed.
func TestChanges(t *testing.T) {
	upper, lower := t.TempDir(), t.TempDir()
	put(t, lower+"/etc/passwd", "old")
	put(t, lower+"/gone/inner", "old")
	put(t, lower+"/file", "old")
	put(t, lower+"/secret/name", "old")
	must(t, os.Symlink("secret", lower+"/link"))
	put(t, upper+"/etc/passwd", "new")
	put(t, upper+"/etc/new", "new")
	put(t, upper+"/file/now/dir", "new")
	put(t, upper+"/link/name", "new")
	for _, name := range []string{"/gone", "/etc/never", "/link/other"} { // anybody may make one (Linux 5.8)
		must(t, unix.Mknod(upper+name, unix.S_IFCHR, 0))
	}
	got, err := Changes(upper, lower)
	must(t, err)
	want := []Change{
		{'C', "/etc"}, {'A', "/etc/new"}, {'C', "/etc/passwd"}, {'C', "/file"}, {'A', "/file/now"}, {'A', "/file/now/dir"},
		{'D', "/gone"}, {'C', "/link"}, {'A', "/link/name"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestPackSpecial: a FIFO keeps nobody waiting and is left out, as is a socket.
func TestPackSpecial(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	must(t, os.Mkdir(from+"/d", 0o755))
	must(t, unix.Mkfifo(from+"/d/fifo", 0o600))
	l, err := net.Listen("unix", from+"/d/socket")
	must(t, err)
	defer l.Close()
	put(t, from+"/d/file", "x")
	var b bytes.Buffer
	must(t, Pack(&b, from+"/d", false, nil))
	left, err := Unpack(&b, to, Into{})
	if names := dirOf(t, to+"/d"); err != nil || left != 1 || len(names) != 1 {
		t.Errorf("%v, %d left out: %v", names, left, err)
	}
}
