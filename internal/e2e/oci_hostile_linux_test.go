package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestExecInEachStatus: exec joins a container that is created or runs, and says why it joins no other.
func TestExecInEachStatus(t *testing.T) {
	b := newBundle(t).do("look", "line")
	fails(t, 255, "does not exist", "exec", b.id, "/probe", "exit 0")
	r := b.create(t)
	if got := shim(t, "exec", b.id, "/probe", "look").ok(t).look(t).Pid; got == 1 {
		t.Error("it is the first process")
	}
	b.wantStatus(t, "created")
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	if res := shim(t, "exec", b.id, "/probe", "exit 4"); res.code != 4 {
		t.Errorf("exec: %s", res)
	}
	shim(t, "pause", b.id).ok(t)
	fails(t, 255, "is paused", "exec", b.id, "/probe", "exit 0")
	shim(t, "resume", b.id).ok(t)
	r.say("go")
	r.closed()
	b.awaitStopped(t)
	fails(t, 255, "container not running", "exec", b.id, "/probe", "exit 0")
	shim(t, "delete", b.id).ok(t)
	fails(t, 255, "does not exist", "exec", b.id, "/probe", "exit 0")
}

// TestKillRacesExit: a signal to a container that is just ending reaches it, or it is said that it has ended.
func TestKillRacesExit(t *testing.T) {
	for range len(thin(make([]int, 12))) {
		b := newBundle(t).do("look", "line", "exit 0")
		r := b.create(t)
		shim(t, "start", b.id).ok(t)
		r.answer("look")
		var results [4]*result
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() { results[i] = shim(t, "kill", b.id, "USR1") })
			if i == 1 {
				r.say("go")
			}
		}
		all.Wait()
		for _, res := range results {
			if res.code != 0 && (res.code != 1 || !strings.Contains(res.stderr, "container not running")) {
				t.Errorf("kill: %s", res)
			}
		}
		r.closed()
		b.awaitStopped(t)
		fails(t, 1, "container not running", "kill", b.id, "USR1")
		shim(t, "delete", b.id).ok(t)
	}
}

// withHostPIDs takes the pid namespace away: the probe, which finds itself in /proc, gets the host's.
func withHostPIDs(t *testing.T, b *bundle) {
	t.Helper()
	dropNamespace(b.spec, specs.PIDNamespace)
	dropMount(b.spec, "/proc")
	addMount(b.spec, "/host-proc", "bind", "/proc", "rbind")
	must(t, os.Symlink("/host-proc", b.rootfs+"/proc"))
}

// processes are the pids that ps says.
func (b *bundle) processes(t *testing.T) []int {
	t.Helper()
	var pids []int
	must(t, json.Unmarshal([]byte(shim(t, "ps", "--format", "json", b.id).ok(t).stdout), &pids))
	return pids
}

// TestKillAllOfStopped: without a pid namespace processes outlive the first one. They are still the container's: ps
// shows them, kill --all reaches them, and delete takes them along.
func TestKillAllOfStopped(t *testing.T) {
	for _, how := range []string{"kill", "delete"} {
		t.Run(how, func(t *testing.T) {
			b := newBundle(t)
			withHostPIDs(t, b)
			b.do("spawn quiet", "spawn session", "look", "line")
			r := b.create(t)
			shim(t, "start", b.id).ok(t)
			r.answer("look")
			r.say("go")
			b.awaitStopped(t)
			left := b.processes(t)
			if len(left) != 2 {
				t.Errorf("left are the processes %d", left)
			}
			fails(t, 1, "container not running", "kill", b.id, "KILL")
			if how == "kill" {
				shim(t, "kill", "--all", b.id, "KILL").ok(t)
			} else {
				shim(t, "delete", b.id).ok(t)
			}
			for _, pid := range left {
				if !awaitEnd(pid, limit()) {
					t.Errorf("process %d lives", pid)
				}
			}
			r.closed()
			if how == "kill" {
				shim(t, "kill", "--all", b.id, "KILL").ok(t)
				shim(t, "delete", b.id).ok(t)
			}
		})
	}
}

// TestKillOfAll: SIGKILL to a container without a pid namespace of its own ends all of it, and other signals go to the
// first process.
func TestKillOfAll(t *testing.T) {
	b := newBundle(t)
	withHostPIDs(t, b)
	r := b.do("spawn quiet", "spawn session", "trap 1", "look", "forever").create(t)
	shim(t, "start", b.id).ok(t)
	r.answer("ready")
	shim(t, "kill", b.id, "TERM").ok(t)
	r.answer("look")
	pids := b.processes(t)
	if len(pids) != 3 {
		t.Errorf("after TERM the processes are %d", pids)
	}
	shim(t, "kill", b.id, "KILL").ok(t)
	for _, pid := range pids {
		if !awaitEnd(pid, limit()) {
			t.Errorf("process %d lives", pid)
		}
	}
	r.closed()
	b.awaitStopped(t)
	shim(t, "delete", b.id).ok(t)
}

// TestDeleteForceHostile: what a container does to stay is of no use.
func TestDeleteForceHostile(t *testing.T) {
	for name, hostile := range map[string]struct {
		actions []string
		then    []string // of the caller
	}{
		"fills its tmpfs":      {[]string{"append /tmp/full 100000", "append /dev/full-too 100000", "look", "forever"}, nil},
		"stops its processes":  {[]string{"spawn session", "kill -1 19", "look", "forever"}, nil},
		"is stopped":           {[]string{"spawn session", "look", "forever"}, []string{"kill", "--all", "ID", "STOP"}},
		"is paused":            {[]string{"spawn session", "look", "forever"}, []string{"pause", "ID"}},
		"ignores every signal": {[]string{"deaf /probe look forever"}, []string{"kill", "ID", "TERM"}},
		"leaves daemons":       {[]string{"spawn session", "spawn orphan", "spawn quiet", "look", "line"}, nil},
		"makes cgroups":        {[]string{"mkdir /cg/a", "mkdir /cg/a/b", "spawn session", "write /cg/a/b/cgroup.procs 1", "look", "forever"}, nil},
		"mounts over its /tmp": {[]string{"mount tmpfs none /tmp", "spawn session", "look", "forever"}, nil},
		"all at once": {[]string{"append /tmp/full 100000", "mount tmpfs none /tmp", "append /tmp/full 100000", "mkdir /cg/a", "mkdir /cg/a/b", "spawn session", "spawn orphan", "spawn quiet",
			"write /cg/a/b/cgroup.procs 1", "spawn session", "spawn orphan", "kill -1 19", "deaf /probe look forever"}, []string{"pause", "ID"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			if name == "makes cgroups" || name == "all at once" {
				addMount(b.spec, "/cg", "cgroup2", "cgroup2")
			}
			r := b.do(hostile.actions...).create(t)
			shim(t, "start", b.id).ok(t)
			r.answer("look")
			if hostile.then != nil {
				shim(t, strings.Split(strings.ReplaceAll(strings.Join(hostile.then, "\x00"), "ID", b.id), "\x00")...).ok(t)
			}
			b.forced(t)
			r.closed()
		})
	}
}

// forced deletes by force, and wants no process left of those that ps says.
func (b *bundle) forced(t *testing.T) {
	t.Helper()
	pids := b.processes(t)
	began := time.Now()
	shim(t, "delete", "--force", b.id).ok(t)
	t.Logf("%d processes and what else there was are gone after %v", len(pids), time.Since(began).Round(time.Millisecond))
	for _, pid := range pids {
		if !awaitEnd(pid, limit()) {
			t.Errorf("process %d lives", pid)
		}
	}
	fails(t, 1, "does not exist", "state", b.id)
}

// TestDeleteForceForkBomb: processes that make more of themselves all the time, up to the limit.
func TestDeleteForceForkBomb(t *testing.T) {
	needsControllers(t)
	needsRoot(t, "one bomb is enough")
	b := newBundle(t)
	b.spec.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(80))}}
	r := b.do("bomb", "look", "forever").create(t)
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	for deadline := time.Now().Add(limit()); strings.HasPrefix(b.limitFile(t, "pids", "pids.events"), "max 0"); {
		if time.Now().After(deadline) {
			t.Fatalf("there are %d processes only", len(b.processes(t)))
		}
	}
	if n := len(b.processes(t)); n < 3 {
		t.Errorf("there are %d processes", n)
	}
	b.forced(t)
	r.closed()
}

// TestDeleteForceBesideStoppedExec: the process of an exec is waited for by the shim that made it, and the first process
// of the container's pid namespace does not end before. It has to be possible to do without a shim that is stopped.
func TestDeleteForceBesideStoppedExec(t *testing.T) {
	b := newBundle(t).do("forever")
	r := b.create(t)
	shim(t, "start", b.id).ok(t)
	x := launch(t, b, nil, "exec", b.id, "/probe", "look", "forever")
	x.answer("look")
	pid := b.state(t).Pid
	x.send(syscall.SIGSTOP)
	shim(t, "delete", "--force", b.id).ok(t)
	fails(t, 1, "does not exist", "state", b.id)
	x.send(syscall.SIGCONT)
	if code := x.returned(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exec: exit status %d", code)
	}
	x.closed()
	r.closed()
	if !awaitEnd(pid, limit()) {
		t.Errorf("process %d lives", pid)
	}
}
