package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// fuseStep is one way for a caller's file system to go wrong, while it is the bundle, the root file system, a bind
// mount's source, the place of the pid file and of exec's process.json.
type fuseStep struct {
	wrong string
	errno unix.Errno
	nth   int
	whole bool // by the verb bundle run, else by those of a container on its own
}

func (s fuseStep) String() string {
	return fmt.Sprintf("%s %v at request %d, bundle run %v", s.wrong, s.errno, s.nth, s.whole)
}

// fuseFiles are what is in the file system.
func (o *torturer) fuseFiles(t *testing.T, whole bool) map[string]string {
	t.Helper()
	s := profile(o.id)
	addNamespace(s, specs.UserNamespace, "")
	s.Linux.UIDMappings, s.Linux.GIDMappings = oneID(o.uid), oneID(o.uid)
	s.Linux.CgroupsPath = o.spec.Linux.CgroupsPath
	s.Process.Args = []string{"/program"}
	program := tinyForever
	if whole {
		program = tinyProgram
	}
	addMount(s, "/s", "bind", o.dir+"/fuse/source", "bind")
	config, err := json.Marshal(s)
	must(t, err)
	process, err := json.Marshal(specs.Process{Args: []string{"/exit"}, Cwd: "/"})
	must(t, err)
	return map[string]string{
		"config.json": string(config), "process.json": string(process), "source/file": "", "rootfs/program": program, "rootfs/exit": tinyProgram,
		"rootfs/proc/": "", "rootfs/dev/": "", "rootfs/tmp/": "", "rootfs/s/": "", "rootfs/etc/passwd": "root:x:0:0::/:/x\n",
	}
}

// hangable calls the shim as the user, whose file system may hang. It sees then that no thread of the shim has any
// power, that others' verbs go on, and that the user can end it: by a signal, or, where the kernel lets nothing but an
// answer end the wait, as it does once the server has read the request, by the end of the server.
func (o *torturer) hangable(t *testing.T, f *fuse, v *torturer, args ...string) (code int, said string, wrong []string) {
	t.Helper()
	problem := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	out, err := os.CreateTemp(t.TempDir(), "out")
	must(t, err)
	defer out.Close()
	pid := o.fork(t, o.shim, append([]string{o.shim}, args...), o.credential(), out, out, out)
	ended := make(chan bool, 1)
	go func() { ended <- awaitEnd(pid, limit()) }()
	code = -1
	select {
	case <-ended:
	case who := <-f.hangs:
		f.hung = true
		code = 128 + int(unix.SIGKILL)
		wrong = o.besideHung(t, pid, who, v)
		(&account{uid: o.uid}).does(t, func() {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
				problem("the user cannot end the shim: %v", err)
			}
		})
		if f.wrong == "hang" {
			f.end(t)
		}
		<-ended
	}
	if ws, ok := o.reaped(pid); !ok {
		problem("%s does not end within %v", args[0], limit())
		unix.Kill(pid, unix.SIGKILL)
	} else if ws.Exited() {
		code = ws.ExitStatus()
	}
	text, err := os.ReadFile(out.Name())
	must(t, err)
	return code, string(text), wrong
}

// besideHung looks at a shim that waits, itself or its child, for a file system that does not answer.
func (o *torturer) besideHung(t *testing.T, pid, who int, v *torturer) (wrong []string) {
	t.Helper()
	problem := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for deadline := time.Now().Add(limit()); ; { // who was stopped may have been the child of a shim that is just lowering its own
		powerful := o.powerful(t, pid)
		if powerful == "" {
			break
		}
		if time.Now().After(deadline) {
			problem("a thread of the shim has power while process %d waits: %s", who, powerful)
			break
		}
	}
	for _, args := range [][]string{{"run", "--detach", "--bundle", v.dir, v.id}, {"list"}, {"delete", "--force", v.id}} {
		if code, said, _, _ := v.call(t, nil, nil, args...); code != 0 {
			problem("%s of another user beside it: exit status %d: %s", args[0], code, said)
		}
	}
	if code, said, _, _ := o.call(t, nil, nil, "list"); code != 0 {
		problem("list of the same user beside it: exit status %d: %s", code, said)
	}
	return wrong
}

// powerful is the status of a thread that has more rights than the user.
func (o *torturer) powerful(t *testing.T, pid int) string {
	t.Helper()
	id := itoa(o.uid)
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	must(t, err)
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // nothing when the thread has ended
		if len(text) > 0 && (!strings.Contains(string(text), fmt.Sprintf("\nUid:\t%s\t%s\t%s\t%s\n", id, id, id, id)) || !strings.Contains(string(text), "\nCapEff:\t0000000000000000\n")) {
			return string(text)
		}
	}
	return ""
}

// misbehave takes one step. requests is how many the file system got.
func (o *torturer) misbehave(t *testing.T, s fuseStep, v *torturer, random *rand.Rand, before snapshot) (wrong []string, requests int) {
	t.Helper()
	problem := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	dir := o.dir + "/fuse"
	f := mountFuse(t, dir, o.uid, o.fuseFiles(t, s.whole))
	f.random, f.nth, f.wrong, f.errno = random, s.nth, s.wrong, s.errno
	verbs := [][]string{
		{"create", "--pid-file", dir + "/pid", "--bundle", dir, o.id}, {"start", o.id},
		{"exec", "--process", dir + "/process.json", o.id}, {"kill", o.id, "KILL"},
	}
	if s.whole {
		verbs = [][]string{{"bundle", "run", "--pid-file", dir + "/pid", "--bundle", dir, "--id", o.id}}
	}
	for _, verb := range verbs {
		code, said, more := o.hangable(t, f, v, verb...)
		wrong = append(wrong, more...)
		if f.hung { // it says so once; what waits may have been nobody that this verb cares for
			break
		}
		switch {
		case s.wrong == "none" && code != 0:
			problem("%s: exit status %d: %s", verb[0], code, said)
		case said == "" && slices.Contains([]unix.Signal{unix.SIGILL, unix.SIGBUS, unix.SIGSEGV}, unix.Signal(code-128)): // of the program, which is a lie, too
		case code != 0 && !strings.Contains(said, "locald-shim: "), strings.Contains(said, "goroutine "):
			problem("%s: exit status %d without an error: %s", verb[0], code, said)
		}
	}
	// The file system is still there, and still wrong.
	if code, said, more := o.hangable(t, f, v, "delete", "--force", o.id); code != 0 || len(more) > 0 {
		problem("delete --force: exit status %d: %s %q", code, said, more)
	}
	o.awaitEnds(t)
	f.end(t)
	requests = f.count
	after := lookCloser(t, o)
	wrong = append(wrong, before.compare(after)...)
	before.sweepUp(after)
	return wrong, requests
}

// TestHostileFUSE: a file system of the caller's hangs from one request on, answers with errors, or lies about types,
// sizes, owners and contents. The shim ends with an error, or waits without any power, in nobody's way, until its caller
// ends it; and nothing is left. A run takes a few steps; make torture goes on as TestTorture does.
func TestHostileFUSE(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, v := accounts(t)
	if fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		unix.Close(fd)
	} else {
		t.Skip("needs FUSE")
	}
	random := rand.New(rand.NewPCG(seedOf(t), 2))
	book := openLedger(t)
	o := torturers(t, u)[1]
	other := &torturer{bundle: v.bundle(t).do("forever"), name: "other", uid: v.uid, shim: v.shim, ended: o.ended}
	o.other = other
	other.write(t)
	for _, who := range []*torturer{o, other} { // there are /run/locald and the cgroups
		who.call(t, nil, nil, "list")
	}
	must(t, os.Mkdir(o.dir+"/fuse", 0o755))
	t.Cleanup(func() { os.Remove(o.dir + "/fuse") })
	before := lookCloser(t, o)
	var most [2]int
	for i := range most {
		wrong, n := o.misbehave(t, fuseStep{wrong: "none", whole: i == 0}, other, random, before)
		if len(wrong) > 0 || n < 20 {
			t.Fatalf("%d requests of a file system that is right: %q", n, wrong)
		}
		most[i] = n
	}
	errnos := []unix.Errno{unix.EINTR, unix.ENOMEM, unix.EIO, unix.EACCES, unix.ENOSYS}
	for n := 0; book.long() && !book.over() || !book.long() && n < 4; n++ {
		whole := random.IntN(2)
		s := fuseStep{wrong: []string{"stop", "hang", "errno", "lie"}[n%4], nth: 1 + random.IntN(most[whole]), whole: whole == 0}
		if s.wrong == "errno" {
			s.errno = errnos[random.IntN(len(errnos))]
		}
		wrong, _ := o.misbehave(t, s, other, random, before)
		for _, w := range wrong {
			t.Errorf("%s: %s", s, w)
		}
		if len(wrong) > 0 {
			book.counts["leaks"]++
		}
		book.counts["FUSE: "+map[string]string{"stop": "stops", "hang": "hangs", "errno": "errors", "lie": "lies"}[s.wrong]]++
	}
	book.close(t)
}
