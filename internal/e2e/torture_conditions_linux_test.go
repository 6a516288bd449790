package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// conditions are all those that a caller can make for the shim, one in a row.
func conditions() []string {
	all := []string{
		"close:0", "close:1", "close:2", "umask:0", "umask:511", "nice:19", "policy:3", "policy:5", "oom:1000", "processor:0", "ignore", "block",
		"cwd:0", "cwd:1", "cwd:2",
	}
	for which := range 3 {
		all = append(all, fmt.Sprintf("timer:%d:100", which), fmt.Sprintf("timer:%d:5000", which))
	}
	more := map[int][]int{
		unix.RLIMIT_NOFILE: {2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 64}, unix.RLIMIT_NPROC: {2, 3, 4, 5, 6, 8, 10},
		unix.RLIMIT_AS:    {1 << 20, 1 << 22, 16 << 20, 64 << 20, 128 << 20, 256 << 20, 1 << 30},
		unix.RLIMIT_DATA:  {1 << 20, 1 << 22, 16 << 20, 64 << 20, 256 << 20},
		unix.RLIMIT_STACK: {4096, 1 << 16, 1 << 17}, unix.RLIMIT_FSIZE: {2, 10, 50, 100, 1000, 4096}, unix.RLIMIT_SIGPENDING: {2, 20, 63, 64, 65},
	}
	for resource := range 16 {
		for _, value := range append([]int{0, 1}, more[resource]...) {
			all = append(all, fmt.Sprintf("rlimit:%d:%d", resource, value))
		}
	}
	return all
}

// gaveUp says whether a verb that failed has said so, or could not: the Go runtime and the kernel end a program that gets
// no memory, no thread or no time, or that a timer of its caller's ends before it can say anything.
func gaveUp(code int, said string, silent bool) bool {
	for _, text := range []string{"locald-shim: ", "runtime: ", "fatal error: ", "runtime/cgo: ", "conditions: "} {
		if strings.Contains(said, text) {
			return true
		}
	}
	return silent || slices.Contains([]unix.Signal{unix.SIGKILL, unix.SIGXCPU, unix.SIGXFSZ, unix.SIGSEGV, unix.SIGALRM, unix.SIGVTALRM, unix.SIGPROF}, unix.Signal(code-128))
}

// endures calls a verb under conditions, and says what is wrong after it: it has its effect or it has none.
func (o *torturer) endures(t *testing.T, verb string, under []string, before snapshot) (wrong []string) {
	t.Helper()
	problem := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	o.ready(t, verb)
	o.under = under
	code, said, _, _ := o.call(t, nil, nil, o.arguments(verb)...)
	o.under = nil
	silent := slices.ContainsFunc(under, func(c string) bool { // or what it says is cut off
		return c == "close:2" || strings.HasPrefix(c, fmt.Sprintf("rlimit:%d:", unix.RLIMIT_FSIZE))
	})
	if strings.HasPrefix(said, "does not end") || code != 0 && !gaveUp(code, said, silent) || strings.Contains(said, "goroutine ") {
		problem("exit status %d without an error: %s", code, said)
	}
	if made := code != 99; !made { // two limits, of which the caller may not have the second
		code = 1
	}
	stateCode, state, _, _ := o.call(t, nil, nil, "state", o.id)
	status := "missing"
	for _, is := range []string{"created", "running", "paused", "stopped"} {
		if stateCode == 0 && strings.Contains(state, `"`+is+`"`) {
			status = is
		}
	}
	if may := mayBe(verb, code); !slices.Contains(strings.Fields(may), status) {
		problem("exit status %d, and the container is %s, not %s: %s%s", code, status, may, said, state)
	}
	if code, said, _, _ := o.call(t, nil, nil, "delete", "--force", o.id); code != 0 {
		problem("delete --force: exit status %d: %s", code, said)
	}
	o.awaitEnds(t)
	after := lookCloser(t, o)
	wrong = append(wrong, before.compare(after)...)
	before.sweepUp(after)
	return wrong
}

// mayBe are the states of a container after a verb with this exit status. Its program has the same limits, and may not
// survive them; a verb that a signal has ended may have got anywhere.
func mayBe(verb string, code int) string {
	if code > 128 {
		return "missing created running paused stopped"
	}
	was := map[string]string{"create": "missing", "run": "missing", "start": "created stopped", "resume": "paused", "delete": "stopped"}[verb]
	becomes := map[string]string{"create": "created stopped", "pause": "paused", "kill": "running stopped", "delete": "missing", "delete-running": "missing"}[verb]
	if was == "" {
		was = "running"
	}
	if becomes == "" {
		becomes = "running stopped"
	}
	switch {
	case code == 0:
		return becomes
	case verb == "delete-running": // it kills first
		return was + " stopped"
	}
	return was
}

// TestConditions: whatever a caller makes the shim inherit, limits above all, a verb does what it should, or fails with
// an error and has done nothing; then delete --force leaves nothing. A run takes a few; make torture goes on as
// TestTorture does.
func TestConditions(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, _ := accounts(t)
	random := rand.New(rand.NewPCG(seedOf(t), 3))
	book := openLedger(t)
	both := torturers(t, u)
	for _, o := range both {
		o.put(t, "forever", tinyForever, 0o755)
		o.spec.Process.Args = []string{"/forever"}
		o.write(t)
		must(t, os.Chown(o.rootfs+"/forever", o.uid, o.uid))
		o.call(t, nil, nil, "list")
	}
	type row struct {
		o     *torturer
		verb  string
		under []string
	}
	var rows []row
	all := conditions()
	for _, o := range both {
		for _, verb := range []string{"create", "start", "run", "exec", "kill", "pause", "resume", "delete", "delete-running"} {
			for _, c := range all {
				rows = append(rows, row{o, verb, []string{c}}, row{o, verb, []string{c, all[random.IntN(len(all))]}})
			}
		}
	}
	random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	if only := os.Getenv("LOCALD_TORTURE_STEP"); only != "" {
		w := strings.Fields(only)
		rows = []row{{both[map[string]int{"user": 1}[w[0]]], w[1], w[2:]}}
	} else if !book.long() {
		rows = rows[:16]
	}
	before := lookCloser(t, both[0])
	for _, r := range rows {
		if slices.Contains(r.under, "close:2") && len(r.under) > 1 {
			continue // what goes wrong is not told
		}
		wrong := r.o.endures(t, r.verb, r.under, before)
		for _, w := range wrong {
			t.Errorf("%s %s %s: %s", r.o.name, r.verb, strings.Join(r.under, " "), w)
		}
		if len(wrong) > 0 {
			book.counts["leaks"]++
		}
		book.counts["conditions: verbs"]++
		if book.over() {
			break
		}
	}
	book.close(t)
}

// TestFewDescriptors: where root's descriptors do not suffice, a verb says so. The Go runtime ended it, with a trace, when
// a file was opened by package os, which wants an epoll set for it.
func TestFewDescriptors(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, _ := accounts(t)
	o := torturers(t, u)[0]
	o.do("forever").write(t)
	dir := t.TempDir()
	verbs := [][]string{{"run", "--detach", "--pid-file", dir + "/pid", "--bundle", o.dir, o.id}, {"exec", "--detach", o.id, "/probe", "exit 0"}, {"ps", o.id}}
	for _, verb := range verbs {
		works := false
		for n := 3; n < 200 && !works; n++ {
			switch n { // a container is made with numbers up to 100
			case 16:
				n = 64
			case 65:
				n = 199
			}
			if verb[0] != "run" {
				o.ready(t, "kill")
			}
			o.under = []string{fmt.Sprintf("rlimit:%d:%d", unix.RLIMIT_NOFILE, n)}
			code, said, _, _ := o.call(t, nil, nil, verb...)
			o.under = nil
			if works = code == 0; !works && !strings.HasPrefix(said, "locald-shim: ") {
				t.Errorf("%s with %d descriptors: exit status %d without an error: %.300s", verb[0], n, code, said)
			}
			if n == 64 && verb[0] == "run" && !strings.Contains(said, "the limit of open files is too low") {
				t.Errorf("%s with %d descriptors: %.300s", verb[0], n, said)
			}
			o.call(t, nil, nil, "delete", "--force", o.id)
			o.awaitEnds(t)
		}
		if !works {
			t.Errorf("%s does not work with 199 descriptors", verb[0])
		}
	}
	if _, err := os.Stat(dir + "/pid"); err != nil {
		t.Error(err)
	}
}
