package e2e

import "testing"

func TestHello(t *testing.T) {
	r := newBundle(t).do("look", "exit 7").run(t)
	if r.code != 7 {
		t.Fatal(r)
	}
	if got := r.look(t); got.Uid != [3]int{} {
		t.Errorf("uids are %v", got.Uid)
	}
}
