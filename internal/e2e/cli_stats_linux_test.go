package e2e

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestStats: what a container uses is counted, as far as its cgroup is one, and top shows its processes.
func TestStats(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, []string{"--name", "busy", "-l", "a=b"}, "spawn child", "forever")
	c.shows(t, id, "spawn child")
	var all []struct {
		ID, Name        string
		CPUTime, Memory *uint64
		CPUPercent      *float64
	}
	must(t, json.Unmarshal([]byte(c.locald(t, "stats", "--no-stream", "--format", "json").ok(t).stdout), &all))
	if len(all) != 1 || all[0].ID != id || all[0].Name != "busy" {
		t.Fatalf("%+v", all)
	}
	pid := c.inspect(t, id).State.PID
	group := textOf(t, "/proc/"+strconv.Itoa(pid)+"/cgroup")
	if counted := strings.Contains(group, id); counted != (all[0].CPUTime != nil && all[0].CPUPercent != nil) {
		t.Errorf("%+v, in the cgroup %q", all[0], group)
	} else if counted && *all[0].CPUTime == 0 {
		t.Errorf("two processes have used no time: %+v", all[0])
	}
	if r := c.locald(t, "stats", "--no-stream", "busy"); r.code != 0 || !strings.HasPrefix(r.stdout, "ID            NAME  CPU %") || strings.Count(r.stdout, "\n") != 2 {
		t.Error(r)
	}
	c.says(t, "busy\n", "stats", "--no-stream", "--format", "{{.Name}}")
	if r := c.locald(t, "stats", "--format", "json"); r.code != 2 || !strings.Contains(r.stderr, "it takes --no-stream") {
		t.Error(r)
	}

	var rows []struct {
		PID, PPID, UID int
		Command        []string
	}
	must(t, json.Unmarshal([]byte(c.locald(t, "top", "--format", "json", "busy").ok(t).stdout), &rows))
	if len(rows) != 2 || rows[0].PID != pid || rows[1].PPID != pid || rows[0].UID != os.Getuid() || rows[0].Command[0] != "/probe" {
		t.Errorf("%+v, the first is %d", rows, pid)
	}
	if r := c.locald(t, "top", "busy"); r.code != 0 || strings.Count(r.stdout, "\n") != 3 {
		t.Error(r)
	}
	c.says(t, "busy exited a=b 137\n", "ps", "-a", "--filter", "label=a=b", "--format", c.ended(t, "busy"))
	c.says(t, id+"\n", "ps", "-q", "--filter", "status=exited", "--filter", "name=us")
	c.says(t, "", "ps", "-aq", "--filter", "name=other")
	c.locald(t, "top", "busy").failed(t, 1, "does not run. [LD122]")
	c.locald(t, "ps", "--format", "{{.Colour}}").failed(t, 2, "there is no field {{.Colour}}. [LD020]")
}

// ended kills a container and is a template of what ps shows of it.
func (c *caller) ended(t *testing.T, word string) string {
	t.Helper()
	c.says(t, word+"\n", "kill", word)
	c.says(t, "137\n", "wait", word)
	return "{{.Name}} {{.State}} {{.Labels}} {{.ExitCode}}"
}
