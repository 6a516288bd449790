package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The racer exchanges names for as long as its standard input is open: what a caller does who wants a verb to look at
// one thing and to use another. It is the test binary with these arguments, as the caller:
//
//	locald-racer NAME OTHER [NAME OTHER...]
//
// An empty OTHER means a directory that is made and removed. It writes an empty line when it has begun, and at the end,
// when each thing is back at its own name, how many exchanges there were.
const racerName = "locald-racer"

type exchange struct{ name, other string }

func racerMain() {
	var all []exchange
	for i := 1; i+1 < len(os.Args); i += 2 {
		all = append(all, exchange{os.Args[i], os.Args[i+1]})
	}
	counts := make([]int, len(all))
	for n := 0; ; n++ {
		if n%8 == 0 {
			if got, err := unix.Poll([]unix.PollFd{{Fd: 0, Events: unix.POLLIN}}, 0); err == nil && got > 0 {
				break
			}
		}
		if n == 64 {
			fmt.Println()
		}
		i := rand.IntN(len(all))
		if all[i].do() == nil {
			counts[i]++
		}
		dwell()
	}
	sum := 0
	for i, n := range slices.Backward(counts) { // what lies in another comes behind it
		sum += n
		if all[i].other == "" {
			os.Remove(all[i].name)
		} else if n%2 == 1 {
			all[i].do()
		}
	}
	fmt.Println(sum)
	os.Exit(0)
}

// dwell leaves things as they are for less than one system call, or for a few, or for a whole verb.
func dwell() {
	switch rand.IntN(4) {
	case 0:
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	case 1:
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

func (e exchange) do() error {
	if e.other != "" {
		return unix.Renameat2(unix.AT_FDCWD, e.name, unix.AT_FDCWD, e.other, unix.RENAME_EXCHANGE)
	}
	if err := unix.Rmdir(e.name); err == nil {
		return nil
	}
	return unix.Mkdir(e.name, 0o755)
}

// racer is a racer of a caller's that runs.
type racer struct {
	pid  int
	stop *os.File
	out  *bufio.Reader
}

// race starts a racer as the caller, and comes back when it races.
func (o *torturer) race(t *testing.T, all []exchange) *racer {
	t.Helper()
	argv := []string{racerName}
	for _, e := range all {
		argv = append(argv, e.name, e.other)
	}
	in, stop, err := os.Pipe()
	must(t, err)
	out, told, err := os.Pipe()
	must(t, err)
	pid := o.fork(t, "/proc/self/exe", argv, o.credential(), in, told, os.Stderr)
	in.Close()
	told.Close()
	r := &racer{pid, stop, bufio.NewReader(out)}
	t.Cleanup(func() { stop.Close(); out.Close() })
	if _, err := r.out.ReadString('\n'); err != nil {
		t.Fatalf("the racer does not begin: %v", err)
	}
	return r
}

// end ends a racer, and says how many exchanges there were.
func (o *torturer) end(t *testing.T, r *racer) int {
	t.Helper()
	r.stop.Close()
	line, err := r.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the racer says nothing: %v", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	awaitEnd(r.pid, limit())
	if _, ok := o.reaped(r.pid); !ok {
		t.Fatalf("the racer does not end")
	}
	return n
}
