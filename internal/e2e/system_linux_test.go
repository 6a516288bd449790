package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locald/locald/internal/image"
)

type diskRow struct {
	Type              string
	Count             int
	Size, Reclaimable int64
}

func (c *caller) df(t *testing.T) map[string]diskRow {
	t.Helper()
	var list []diskRow
	res := c.locald(t, "system", "df", "--format", "json")
	if err := json.Unmarshal([]byte(res.stdout), &list); err != nil || res.code != 0 {
		t.Fatal(res, err)
	}
	rows := map[string]diskRow{}
	for _, row := range list {
		rows[row.Type] = row
	}
	return rows
}

// TestSystem: what is on the disk is told, and prune removes what nobody has, and nothing else.
func TestSystem(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	c, store := newImages(t)
	file := filepath.Join(t.TempDir(), "image.tar")
	writeImage(t, file, "one", image.Process{Cmd: []string{"/probe", "look"}}, testLayers(t)...)
	if res := c.locald(t, "load", "-i", file); res.code != 0 {
		t.Fatal(res)
	}
	start := func(flags []string, action string) string {
		t.Helper()
		res := c.locald(t, append(append([]string{"run", "-d", "--network", "none"}, flags...), "one", "/probe", action)...)
		if res.code != 0 {
			t.Fatal(res)
		}
		return strings.TrimSpace(res.stdout)
	}
	ended := start(nil, "append /written 1000000")
	c.says(t, "0\n", "wait", ended)
	lives := start([]string{"-v", "kept:/v"}, "forever")
	t.Cleanup(func() { c.locald(t, "rm", "-f", ended, lives) })
	c.says(t, "free\n", "volume", "create", "free")

	rows := c.df(t)
	if rows["images"].Count != 1 || rows["images"].Size == 0 || rows["images"].Reclaimable != 0 || rows["layers"].Count != 2 || rows["layers"].Reclaimable != 0 {
		t.Errorf("images and layers: %+v", rows)
	}
	if r := rows["containers"]; r.Count != 2 || r.Reclaimable < 900_000 || r.Reclaimable >= r.Size {
		t.Errorf("containers: %+v", r)
	}
	if r := rows["volumes"]; r.Count != 2 || r.Reclaimable == 0 || r.Reclaimable >= r.Size {
		t.Errorf("volumes: %+v", r)
	}
	if res := c.locald(t, "system", "df"); !strings.HasPrefix(res.stdout, "TYPE") || !strings.Contains(res.stdout, "\nvolumes ") {
		t.Error(res)
	}

	// What killed calls leave, and what is only called like it.
	left := filepath.Join(store, "running", "0123456789ab")
	must(t, os.MkdirAll(filepath.Join(left, "upper", "x"), 0o700))
	must(t, os.Mkdir(filepath.Join(store, "volumes", ".gone-1"), 0o700))
	must(t, os.Mkdir(filepath.Join(store, "volumes", ".new-1"), 0o700))
	if res := c.locald(t, "system", "prune", "-f"); res.code != 0 || !strings.HasPrefix(res.stdout, ended+"\n") || strings.Contains(res.stdout, "one") {
		t.Error(res)
	}
	for path, stays := range map[string]bool{left: false, store + "/volumes/.gone-1": false, store + "/volumes/.new-1": true, store + "/volumes/free": true, store + "/containers/" + lives: true, store + "/containers/" + ended: false} {
		if _, err := os.Lstat(path); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
	if res := c.locald(t, "system", "prune", "-a", "--volumes"); res.code != 0 || res.stdout != "free\n" { // no terminal: it does not ask
		t.Error(res)
	}
	if rows := c.df(t); rows["images"].Count != 1 || rows["containers"].Count != 1 || rows["volumes"].Count != 1 {
		t.Errorf("what a container has: %+v", rows)
	}
	if res := c.locald(t, "rm", "-f", lives); res.code != 0 {
		t.Error(res)
	}
	if res := c.locald(t, "system", "prune", "--all", "--volumes", "--force"); res.code != 0 || res.stdout != "docker.io/library/one:latest\nkept\n" {
		t.Error(res)
	}
	for kind, row := range c.df(t) {
		if row.Count != 0 {
			t.Errorf("%s: %+v", kind, row)
		}
	}
	settle(t)
}
