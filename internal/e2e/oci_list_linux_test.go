package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// listed is what list says of containers, by id.
func listed(t *testing.T, text string) map[string]ociState {
	t.Helper()
	var list []ociState
	must(t, json.Unmarshal([]byte(text), &list))
	states := map[string]ociState{}
	for _, s := range list {
		states[s.ID] = s
	}
	return states
}

// TestListStatus: list says of each container what state says, and the table what the JSON says.
func TestListStatus(t *testing.T) {
	created, paused, stopped := newBundle(t).do("line"), newBundle(t), newBundle(t).do("exit 3")
	created.spec.Annotations = map[string]string{"a \"b\"": "c\u00e9\n"}
	created.spec.Process.Env = append(created.spec.Process.Env, "annotations={}") // no member of that name
	r1, r2 := created.create(t), paused.running(t)
	stopped.create(t)
	shim(t, "start", stopped.id).ok(t)
	stopped.awaitStopped(t)
	shim(t, "pause", paused.id).ok(t)
	states := listed(t, shim(t, "list", "--format", "json").ok(t).stdout)
	table := shim(t, "list").ok(t).stdout
	for b, want := range map[*bundle]string{created: "created", paused: "paused", stopped: "stopped"} {
		one := b.wantStatus(t, want)
		all, ok := states[b.id]
		if !ok || all.Status != want || all.Pid != one.Pid || (all.Pid == 0) != (want == "stopped") || all.Bundle != b.dir || all.Created != one.Created || all.Rootfs != one.Rootfs {
			t.Errorf("the list has %+v, state has %+v", all, one)
		}
		if want := b.spec.Annotations; len(all.Annotations) != len(want) || len(one.Annotations) != len(want) || all.Annotations[`a "b"`] != want[`a "b"`] || one.Annotations[`a "b"`] != want[`a "b"`] {
			t.Errorf("the annotations are %v, %v", all.Annotations, one.Annotations)
		}
		found := false
		for line := range strings.Lines(table) {
			if f := strings.Fields(line); f[0] == b.id {
				found = f[1] == strconv.Itoa(one.Pid) && f[2] == want && f[3] == b.dir
			}
		}
		if !found {
			t.Errorf("%s, %d, %s is not in the table: %s", b.id, one.Pid, want, table)
		}
	}
	shim(t, "resume", paused.id).ok(t)
	paused.ends(t, r2)
	shim(t, "delete", "--force", created.id).ok(t)
	r1.closed()
}

// TestListFewDescriptors: a list of more containers than this process may have descriptors is whole all the same.
func TestListFewDescriptors(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	const most = 12
	var all []*bundle
	for range most {
		b := newBundle(t).do("line")
		b.create(t)
		all = append(all, b)
	}
	list := launch(t, nil, func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", "ulimit -n " + strconv.Itoa(most) + `; exec "$0" "$@"`}, c.Args...)
		c.Path = "/bin/sh"
	}, "list", "--format=json").wait().ok(t)
	states := listed(t, list.stdout)
	for _, b := range all {
		if s := states[b.id]; s.Status != "created" || s.Pid == 0 {
			t.Errorf("the list has %+v", s)
		}
		shim(t, "delete", "--force", b.id).ok(t)
	}
}

// TestListFirstThreadGone: a process whose first thread has ended is shown as a zombie, and runs as long as another
// thread does.
func TestListFirstThreadGone(t *testing.T) {
	b := newBundle(t).do("behead")
	r := b.create(t)
	shim(t, "start", b.id).ok(t)
	pid := b.state(t).Pid
	until(t, "its first thread has ended", func() bool {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		must(t, err)
		return strings.HasPrefix(string(text[strings.LastIndexByte(string(text), ')')+1:]), " Z ")
	})
	b.wantStatus(t, "running")
	if s := listed(t, shim(t, "list", "--format=json").ok(t).stdout)[b.id]; s.Status != "running" || s.Pid != pid {
		t.Errorf("the list has %+v", s)
	}
	b.ends(t, r)
}
