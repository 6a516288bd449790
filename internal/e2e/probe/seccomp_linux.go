package probe

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// seccompVerbs make system calls by their number, with numbers for arguments: "syscall 39", "int80 20 0x100000001".
func seccompVerbs() []verb {
	return []verb{
		{"syscall", 1, func(w []string) (string, error) {
			n, err := registers(w)
			if err != nil {
				return "", err
			}
			r, _, e := syscall.RawSyscall6(n[0], n[1], n[2], n[3], n[4], n[5], 0)
			if e != 0 {
				return "", e
			}
			return strconv.Itoa(int(r)), nil
		}},
		{"int80", 1, func(w []string) (string, error) { // as a program of 32 bits makes it, with up to 3 arguments
			n, err := registers(w)
			if err != nil {
				return "", err
			}
			r := int80(n[0], n[1], n[2], n[3])
			if r < 0 {
				return "", unix.Errno(-r)
			}
			return strconv.Itoa(int(r)), nil
		}},
	}
}

func registers(words []string) (n [6]uintptr, err error) {
	for i := 0; i < len(words) && i < len(n) && err == nil; i++ {
		var v uint64
		v, err = strconv.ParseUint(words[i], 0, 64)
		n[i] = uintptr(v)
	}
	return n, err
}
