package e2e

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// step is one thing that happens at one system call of one verb of a caller's.
type step struct {
	caller, verb, action string
	nth                  int
}

func (s step) String() string { return fmt.Sprintf("%s %s %s %d", s.caller, s.verb, s.action, s.nth) }

// torturer is a caller's container and what the verbs do to it.
type torturer struct {
	*bundle
	name  string // of the caller
	uid   int
	sub   int // first of its subordinate ids
	shim  string
	other *torturer // another caller's
	under []string  // conditions of what is called, see conditionsName
	clean map[string]clean
	ended map[int]unix.WaitStatus // of children that nobody has asked for yet
}

// clean is what a verb does if it is left alone.
type clean struct{ calls, code int }

// torturers are root and a user.
func torturers(t *testing.T, u *account) []*torturer {
	t.Helper()
	ended := map[int]unix.WaitStatus{}
	both := []*torturer{
		{bundle: newBundle(t), name: "root", shim: shimPath, clean: map[string]clean{}, ended: ended},
		{bundle: u.bundle(t), name: "user", uid: u.uid, sub: u.sub, shim: u.shim, clean: map[string]clean{}, ended: ended},
	}
	both[0].other, both[1].other = both[1], both[0]
	return both
}

var errnos = []unix.Errno{unix.EPERM, unix.ENOMEM, unix.EINTR, unix.EIO}

// before are the calls that make a container ready for a verb.
func (o *torturer) before(verb string) [][]string {
	create, start := []string{"create", "--bundle", o.dir, o.id}, []string{"start", o.id}
	switch verb {
	case "create", "run":
		return nil
	case "start", "delete-created":
		return [][]string{create}
	case "resume", "delete-paused":
		return [][]string{create, start, {"pause", o.id}}
	case "delete":
		return [][]string{create, start, {"kill", o.id, "KILL"}}
	}
	return [][]string{create, start}
}

func (o *torturer) arguments(verb string) []string {
	switch verb {
	case "create", "run":
		args := []string{verb, "--bundle", o.dir, o.id}
		if verb == "run" {
			args = slices.Insert(args, 1, "--detach")
		}
		return args
	case "exec":
		return []string{"exec", "--detach", o.id, "/probe", "forever"}
	case "kill":
		return []string{"kill", o.id, "TERM"}
	case "update":
		return []string{"update", "--pids-limit", "50", o.id}
	case "delete-running", "delete-created", "delete-paused":
		return []string{"delete", "--force", o.id}
	}
	return []string{verb, o.id}
}

var verbs = []string{"create", "start", "run", "exec", "kill", "pause", "resume", "update", "delete", "delete-running", "delete-created", "delete-paused"}

// call calls the shim, under the tracer if that has something to do, and reaps whatever becomes this process's child
// meanwhile: the first process of a pid namespace does not end before all others are waited for. stopped is called
// with the pid of a process that was stopped.
func (o *torturer) call(t *testing.T, s *step, stopped func(pid int), args ...string) (code int, said, hit string, calls int) {
	t.Helper()
	dir := t.TempDir()
	out, err := os.Create(dir + "/out")
	must(t, err)
	defer out.Close()
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	path, argv, attr := o.shim, append([]string{o.shim}, args...), o.credential()
	if len(o.under) > 0 {
		path, argv = "/proc/self/exe", slices.Concat([]string{conditionsName}, o.under, []string{"--"}, argv)
	}
	if s != nil {
		path, attr = "/proc/self/exe", &syscall.SysProcAttr{}
		argv = append([]string{tracerName, dir + "/report", itoa(o.uid), s.action, itoa(s.nth)}, argv...)
	}
	pid := o.fork(t, path, argv, attr, null, out, out, w)
	w.Close()
	for deadline := time.Now().Add(limit()); ; {
		if ws, ok := o.reaped(pid); ok {
			code = ws.ExitStatus()
			if ws.Signaled() {
				code = 128 + int(ws.Signal())
			}
			break
		}
		if time.Now().After(deadline) {
			unix.Kill(pid, unix.SIGKILL)
			code, said = -1, fmt.Sprintf("does not end within %v: ", limit())
			deadline = deadline.Add(time.Hour)
		}
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(r.Fd()), Events: unix.POLLIN}}, 1); n > 0 && stopped != nil {
			line, err := bufio.NewReader(r).ReadString('\n')
			if victim, e := strconv.Atoi(strings.TrimSpace(line)); err == nil && e == nil && victim > 1 {
				stopped(victim)
				unix.Kill(victim, unix.SIGCONT)
			}
			stopped = nil
		}
	}
	text, err := os.ReadFile(dir + "/out")
	must(t, err)
	said += string(text)
	if s != nil {
		report, _ := os.ReadFile(dir + "/report")
		for line := range strings.Lines(string(report)) {
			what, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			if what == "HIT" {
				hit = rest
			} else {
				calls, _ = strconv.Atoi(rest)
			}
		}
	}
	os.RemoveAll(dir)
	return code, said, hit, calls
}

// fork starts a process, whose pid may have been that of another which nobody has asked for.
func (o *torturer) fork(t *testing.T, path string, argv []string, attr *syscall.SysProcAttr, files ...*os.File) int {
	t.Helper()
	var fds []uintptr
	for _, f := range files {
		fds = append(fds, f.Fd())
	}
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Dir: "/", Env: os.Environ(), Files: fds, Sys: attr})
	must(t, err)
	delete(o.ended, pid)
	return pid
}

// credential makes a process the caller's.
func (o *torturer) credential() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.uid)}}
}

// reaped waits for whoever has ended, and says whether pid has.
func (o *torturer) reaped(pid int) (unix.WaitStatus, bool) {
	for {
		var ws unix.WaitStatus
		who, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || who <= 0 {
			break
		}
		o.ended[who] = ws
	}
	ws, ok := o.ended[pid]
	delete(o.ended, pid)
	return ws, ok
}

// ready makes the container ready for a verb.
func (o *torturer) ready(t *testing.T, verb string) {
	t.Helper()
	for _, args := range o.before(verb) {
		if code, said, _, _ := o.call(t, nil, nil, args...); code != 0 {
			t.Fatalf("%s: %s, before %s: exit status %d: %s", o.name, args[0], verb, code, said)
		}
	}
	if verb == "delete" {
		o.awaitStatus(t, "stopped")
	}
}

func (o *torturer) awaitStatus(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(limit()); ; {
		_, said, _, _ := o.call(t, nil, nil, "state", o.id)
		if strings.Contains(said, `"`+want+`"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not %s: %s", o.name, want, said)
		}
	}
}

// take takes one step and returns what is wrong after it, and whether anything happened at all.
func (o *torturer) take(t *testing.T, s step, before snapshot) (wrong []string, hit string) {
	t.Helper()
	problem := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	o.ready(t, s.verb)
	code, said, hit, _ := o.call(t, &s, func(int) {
		// The caller's own verbs may have to wait for it, who can kill it. Nobody else's may.
		if code, said, _, _ := o.other.call(t, nil, nil, "run", "--detach", "--bundle", o.other.dir, o.other.id); code != 0 {
			problem("run of %s's beside a stopped verb: exit status %d: %s", o.other.name, code, said)
		}
		if code, said, _, _ := o.other.call(t, nil, nil, "delete", "--force", o.other.id); code != 0 {
			problem("delete of %s's beside a stopped verb: exit status %d: %s", o.other.name, code, said)
		}
	}, o.arguments(s.verb)...)
	switch {
	case code != -1 && hit == "", code == 128+int(unix.SIGKILL):
	case code == o.clean[s.verb].code && s.action == "stop":
	case code == -1, s.action == "stop":
		problem("exit status %d: %s", code, said)
	case strings.Contains(said, "AllThreadsSyscall6 results differ"): // threads of which one is not the caller's: the end
	case strings.Contains(said, "fatal error: cannot open standard fds"): // before the shim's own first step
	case code != 0 && !strings.Contains(said, "locald-shim: ") || strings.Contains(said, "goroutine "):
		problem("exit status %d without an error: %s", code, said)
	}
	if code, said, _, _ := o.call(t, nil, nil, "state", o.id); code != 0 && !strings.Contains(said, "does not exist") {
		problem("state: exit status %d: %s", code, said)
	}
	if code, said, _, _ := o.call(t, nil, nil, "list"); code != 0 {
		problem("list: exit status %d: %s", code, said)
	}
	if code, said, _, _ := o.call(t, nil, nil, "delete", "--force", o.id); code != 0 {
		problem("delete --force: exit status %d: %s", code, said)
	}
	if code, said, _, _ := o.call(t, nil, nil, "list"); code != 0 || strings.Contains(said, o.id) {
		problem("still in the list: exit status %d: %s", code, said)
	}
	o.awaitEnds(t)
	after := lookCloser(t, o)
	wrong = append(wrong, before.compare(after)...)
	before.sweepUp(after)
	return wrong, hit
}

// awaitEnds gives what was killed the time to end: a tracer lets go of a process that has a signal to take.
func (o *torturer) awaitEnds(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(limit()); time.Now().Before(deadline); {
		s := snapshot{}
		s.processes()
		if len(s) == 0 {
			return
		}
		for name := range s {
			pid, _ := strconv.Atoi(strings.TrimPrefix(name, "process "))
			if state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid)); len(state) > 0 && !awaitEnd(pid, 2*time.Second) {
				return // it stays: look says so
			}
		}
	}
}

// TestTorture kills, stops and fails the verbs of root's and of a user's at system calls of all their threads and
// children, and looks from outside whether delete --force then leaves nothing at all. A run tries a few calls, other
// ones each time. make torture tries every call, for as long as it is told to:
//
//	LOCALD_TORTURE          a directory: what has been tried, over all runs
//	LOCALD_TORTURE_SECONDS  of this run
//	LOCALD_TORTURE_SEED     of a run that is to be repeated
//	LOCALD_TORTURE_STEP     "user exec kill 17": this step alone, and its neighbours
func TestTorture(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, _ := accounts(t)
	random := rand.New(rand.NewPCG(seedOf(t), 0))
	book := openLedger(t)
	both := torturers(t, u)
	u.someIDMapped(t)(both[1].spec)
	for _, o := range both {
		o.do("forever").write(t)
	}
	only := os.Getenv("LOCALD_TORTURE_STEP")
	var steps []step
	for _, o := range both {
		some := verbs
		if !book.long() {
			some = []string{verbs[random.IntN(len(verbs))], verbs[random.IntN(len(verbs))]}
		}
		if only != "" {
			some = nil
		}
		for _, verb := range some {
			o.ready(t, verb)
			code, said, _, calls := o.call(t, &step{action: "none"}, nil, o.arguments(verb)...)
			if calls < 50 {
				t.Fatalf("%s %s makes %d calls: the tracer does not follow it: exit status %d: %s", o.name, verb, calls, code, said)
			}
			if code != 0 && verb != "update" { // which may have no controller to talk to
				t.Fatalf("%s %s: exit status %d: %s", o.name, verb, code, said)
			}
			o.clean[verb] = clean{calls, code}
			o.call(t, nil, nil, "delete", "--force", o.id)
			o.awaitEnds(t)
			for n := 1; n <= calls; n++ {
				errno := errnos[random.IntN(len(errnos))]
				steps = append(steps, step{o.name, verb, "kill", n}, step{o.name, verb, "stop", n}, step{o.name, verb, itoa(int(errno)), n})
			}
		}
	}
	random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	if only != "" {
		steps = repeated(t, only)
	}
	before := lookCloser(t, both[0])
	for _, s := range book.choose(steps) {
		o := both[slices.IndexFunc(both, func(o *torturer) bool { return o.name == s.caller })]
		wrong, hit := o.take(t, s, before)
		for _, w := range wrong {
			t.Errorf("%s (%s): %s", s, hit, w)
		}
		book.enter(t, s, hit, len(wrong))
		if book.over() {
			break
		}
	}
	book.close(t)
}

func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("LOCALD_TORTURE_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("LOCALD_TORTURE_SEED=%d", seed)
	return seed
}

// repeated is a step that was printed, and its neighbours, since the threads do not come in the same order each time.
func repeated(t *testing.T, text string) (steps []step) {
	t.Helper()
	var s step
	_, err := fmt.Sscan(text, &s.caller, &s.verb, &s.action, &s.nth)
	must(t, err)
	for n := max(1, s.nth-10); n < s.nth+10; n++ {
		steps = append(steps, step{s.caller, s.verb, s.action, n})
	}
	return steps
}

// ledger is what torture has done, over all runs that share a directory.
type ledger struct {
	dir    string
	end    time.Time
	tried  map[string]bool // caller, verb, action without the errno, call
	counts map[string]int
	file   *os.File
}

func openLedger(t *testing.T) *ledger {
	t.Helper()
	l := &ledger{dir: os.Getenv("LOCALD_TORTURE"), tried: map[string]bool{}, counts: map[string]int{}}
	if !l.long() {
		return l
	}
	seconds, err := strconv.Atoi(os.Getenv("LOCALD_TORTURE_SECONDS"))
	must(t, err)
	l.end = time.Now().Add(time.Duration(seconds) * time.Second)
	l.file, err = os.OpenFile(filepath.Join(l.dir, "tried"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	must(t, err)
	for in := bufio.NewScanner(l.file); in.Scan(); {
		l.tried[in.Text()] = true
	}
	return l
}

func (l *ledger) long() bool { return l.dir != "" }
func (l *ledger) over() bool { return l.long() && time.Now().After(l.end) }

func (s step) key() string {
	if s.action != "kill" && s.action != "stop" {
		s.action = "error"
	}
	return s.String()
}

// choose puts first what was not tried before; a short run takes few.
func (l *ledger) choose(steps []step) []step {
	if !l.long() {
		return steps[:min(len(steps), 30)]
	}
	slices.SortStableFunc(steps, func(a, b step) int {
		was := map[bool]int{true: 1}
		return was[l.tried[a.key()]] - was[l.tried[b.key()]]
	})
	return steps
}

func (l *ledger) enter(t *testing.T, s step, hit string, wrong int) {
	t.Helper()
	kind := map[string]string{"kill": "kills", "stop": "stops"}[s.action]
	if kind == "" {
		kind = "errors"
	}
	if hit == "" {
		kind = "beside" // the verb made fewer calls this time, or it was the Go runtime's own
	} else if strings.HasPrefix(hit, "other thread") || strings.HasPrefix(hit, "child") {
		whose, _, _ := strings.Cut(hit, " ")
		l.counts["of them at a call of "+map[string]string{"other": "another thread", "child": "a child"}[whose]]++
	}
	l.counts[kind]++
	if wrong > 0 {
		l.counts["leaks"]++
	}
	if l.file != nil {
		_, err := fmt.Fprintln(l.file, s.key())
		must(t, err)
	}
}

// close adds this run up with the others.
func (l *ledger) close(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(l.counts)) {
		t.Logf("%-40s %d", name, l.counts[name])
	}
	if !l.long() {
		return
	}
	f, err := os.OpenFile(filepath.Join(l.dir, "counts"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	must(t, err)
	for name, n := range l.counts {
		_, err := fmt.Fprintf(f, "%d\t%s\n", n, name)
		must(t, err)
	}
	must(t, f.Close())
}
