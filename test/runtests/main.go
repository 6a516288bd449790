// Runtests runs the project's tests wherever they mean something different, and answers for every test that
// was skipped.
//
// A package with a *_linux_test.go file talks to the kernel: its test binary is built once and runs in four
// places, host-root, host-user, guest-root and guest-user (see test/places and test/guest). All other packages
// run once, by go test. At the end stand a table, the list of skipped tests, and what in it differs from
// testdata/skips.txt. A skip that is not on that list fails the run, and so does an entry that is no longer true
// and a test that ran nowhere.
//
//	runtests [-require-guest] [-place NAME,…] [-keep]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The whole run ends within wholeLimit, each part within its own limit. The guest's machine is emulated and some
// ten times slower than the host.
const (
	wholeLimit = 19 * time.Minute
	unitLimit  = 15 * time.Minute
	hostLimit  = 15 * time.Minute
	guestLimit = 15 * time.Minute
)

var places = []string{"host-root", "host-user", "guest-root", "guest-user"}

type options struct {
	requireGuest, keep bool
	only               []string
}

func main() {
	var o options
	flag.BoolVar(&o.requireGuest, "require-guest", os.Getenv("CI") == "true", "fail where QEMU cannot be had (with CI=true the default)")
	flag.BoolVar(&o.keep, "keep", false, "leave the directory with what is tested behind, and say where it is")
	only := flag.String("place", strings.Join(places, ","), "run in these `places` only; the list of skips is then compared for them alone")
	flag.Parse()
	for name := range strings.SplitSeq(*only, ",") {
		if !slices.Contains(places, name) {
			fmt.Fprintf(os.Stderr, "runtests: %q is not a place: %s\n", name, strings.Join(places, ", "))
			os.Exit(2)
		}
		o.only = append(o.only, name)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, wholeLimit)
	failed, err := run(ctx, o)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runtests:", err)
	}
	if err != nil || failed > 0 {
		os.Exit(1)
	}
}

// run runs everything and reports. It returns the number of failures; the error is for what kept tests from
// running at all.
func run(ctx context.Context, o options) (int, error) {
	packages, err := listPackages(ctx)
	if err != nil {
		return 0, err
	}
	list, err := readSkips("testdata/skips.txt")
	if err != nil {
		return 0, err
	}
	s, err := newScratch()
	if err != nil {
		return 0, err
	}
	if o.keep {
		fmt.Println("what is tested lies in", s.dir)
	} else {
		defer s.remove()
	}
	if err := s.build(ctx, packages); err != nil {
		return 0, err
	}
	var results []*place
	for _, name := range places {
		results = append(results, newPlace(name))
	}
	r := runner{scratch: s, packages: packages, options: o}
	r.runAll(ctx, results)
	if errors.Is(ctx.Err(), context.Canceled) {
		return 0, errors.New("interrupted")
	}
	return report(os.Stdout, results, list), nil
}
