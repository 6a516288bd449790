package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Main is the program on the container's side, as
//
//	ROOT pack FLAGS PATH     writes the tar stream of a path to standard output
//	ROOT unpack FLAGS PATH   reads one from standard input; prints how many entries it has left out
//	ROOT changes UPPER LOWER prints the changes that an overlay's upper directory holds
//
// ROOT is the directory with the container's root file system. FLAGS are letters: L has a link mean what it leads to; c
// is Contents, t Archive and a keeps owners and bits. What goes wrong is said in one line on standard error.
func Main(args []string) int {
	err := errors.New("usage: ROOT pack|unpack|changes …")
	unix.Umask(0)
	if len(args) == 4 {
		if err = enter(args[0]); err == nil {
			err = work(args[1], args[2], args[3])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(describe(err), "\n", " "))
		return 1
	}
	return 0
}

func enter(root string) error {
	if root == "/" {
		return nil
	}
	return errors.Join(os.NewSyscallError("chroot", unix.Chroot(root)), os.Chdir("/"))
}

func work(verb, flags, path string) error {
	has := func(flag string) bool { return strings.Contains(flags, flag) }
	switch verb {
	case "pack":
		return Pack(os.Stdout, path, has("L"), nil)
	case "unpack":
		how := Into{Archive: has("t"), Contents: has("c"), SetID: has("a") || has("t")}
		if how.SetID && !singleID() {
			how.Owner = func(uid, gid int) (int, int) { return uid, gid }
		}
		left, err := Unpack(os.Stdin, path, how)
		if err == nil {
			_, err = fmt.Println(left)
		}
		return err
	case "changes":
		return printChanges(flags, path)
	}
	return errors.New("there is no verb " + strconv.Quote(verb))
}

// describe is the path and the reason.
func describe(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return strconv.Quote(e.Path) + ": " + e.Err.Error()
	}
	return err.Error()
}

// singleID reports whether the user namespace has one id only.
func singleID() bool {
	text, _ := os.ReadFile("/proc/self/uid_map")
	field := strings.Fields(string(text))
	return len(field) == 3 && field[2] == "1"
}
