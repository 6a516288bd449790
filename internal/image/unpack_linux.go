package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// UnpackMain is the program in the container that writes and removes the files of layers, as
//
//	unpack extract DIR COMPRESSION BYTES   writes the layer on standard input to DIR/fs; prints its diff id
//	unpack copy PATH DIR                   copies a directory of the image that is mounted on /tmp; prints "copied" if it did
//	unpack remove DIR...                   removes directories
//
// in the directory that is mounted on /layers. The container's user namespace gives it the ids, and nothing else of the
// machine is there.
func UnpackMain(args []string, decompress Decompressor) int {
	var err error
	switch {
	case len(args) == 4 && args[0] == "extract":
		err = unpackLayer(args[1], args[2], args[3], decompress)
	case len(args) == 3 && args[0] == "copy":
		err = copyMain(args[1], args[2])
	case len(args) > 1 && args[0] == "remove":
		for _, name := range args[1:] {
			if err = removeTree(filepath.Join("/layers", filepath.Base(name))); err != nil {
				break
			}
		}
	default:
		err = fmt.Errorf("usage: unpack extract DIR COMPRESSION BYTES, unpack copy PATH DIR, or unpack remove DIR")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(err.Error(), "\n", " "))
		return 1
	}
	return 0
}

func unpackLayer(name, compression, limit string, decompress Decompressor) error {
	left, err := strconv.ParseInt(limit, 10, 64)
	if err != nil {
		return err
	}
	x := &extractor{left: left, single: singleID()}
	dir := filepath.Join("/layers", filepath.Base(name))
	unix.Umask(0)
	if err := os.Mkdir(filepath.Join(dir, "fs"), 0o755); err != nil {
		return err
	}
	if err := unix.Chroot(filepath.Join(dir, "fs")); err != nil {
		return os.NewSyscallError("chroot", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	digest, err := x.extractAll(os.Stdin, compression, decompress)
	if err != nil {
		return err
	}
	_, err = fmt.Println(digest, x.devices)
	return err
}

// singleID reports whether the user namespace has one id only.
func singleID() bool {
	text, _ := os.ReadFile("/proc/self/uid_map")
	field := strings.Fields(string(text))
	return len(field) == 3 && field[2] == "1"
}

// removeTree removes a directory; the capabilities of the container's root reach into every directory of its ids.
func removeTree(dir string) error { return os.RemoveAll(dir) }
