package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestHooksOfVerbs: create, start and delete run the hooks that are theirs.
func TestHooksOfVerbs(t *testing.T) {
	b := newBundle(t)
	dir := b.hookLog(t)
	var all []string
	for _, kind := range hookKinds {
		for _, name := range []string{kind, kind + "2"} {
			b.addHook(kind, "note "+dir+"/order "+name)
			all = append(all, name)
		}
	}
	b.do("look", "line")
	r := b.create(t)
	if got := order(t, dir); !slices.Equal(got, all[:6]) {
		t.Errorf("create has run %v, want %v", got, all[:6])
	}
	b.wantStatus(t, "created")
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	if got := order(t, dir); !slices.Equal(got, all[:10]) {
		t.Errorf("by the end of start %v have run, want %v", got, all[:10])
	}
	r.say("go")
	r.closed()
	b.awaitStopped(t)
	if got := order(t, dir); !slices.Equal(got, all[:10]) {
		t.Errorf("by the container's end %v have run, want %v", got, all[:10])
	}
	shim(t, "delete", b.id).ok(t)
	if got := order(t, dir); !slices.Equal(got, all) {
		t.Errorf("by the end of delete %v have run, want %v", got, all)
	}
}

// TestFailingHooksOfVerbs: a hook that fails ends the container. One of create leaves none.
func TestFailingHooksOfVerbs(t *testing.T) {
	for _, kind := range hookKinds {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t)
			dir := b.hookLog(t)
			b.addHook(kind, "exit 3")
			b.addHook("poststop", "note "+dir+"/order after")
			b.do("line")
			verb, of := "create", "/hooks/"+kind+"/0"
			switch kind {
			case "startContainer", "poststart":
				verb = "start"
			case "poststop":
				verb = "delete"
			}
			r := b.creates(t, nil, "create")
			if code := r.returned(); code != map[bool]int{true: 1, false: 0}[verb == "create"] {
				t.Fatalf("create: exit status %d", code)
			}
			if verb == "create" {
				if res := r.closed(); !strings.Contains(res.stderr, of) {
					t.Errorf("create does not name %s: %s", of, res)
				}
				fails(t, 1, "does not exist", "state", b.id)
			} else {
				if verb == "start" {
					fails(t, 1, of, "start", b.id)
					b.awaitStopped(t)
				} else {
					shim(t, "start", b.id).ok(t)
					shim(t, "kill", b.id, "KILL").ok(t)
					b.awaitStopped(t)
				}
				r.closed()
				res := shim(t, "delete", b.id).ok(t)
				if warned := strings.Contains(res.stderr, of); warned != (kind == "poststop") {
					t.Errorf("delete: %s", res)
				}
			}
			if got := order(t, dir); !slices.Equal(got, []string{"after"}) {
				t.Errorf("poststop came to %v", got)
			}
		})
	}
}
