package libcontainer

import (
	"encoding/json"
	"reflect"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestStateJSON: encoding/json reads what was written, and writes the same for what needs no escape.
func TestStateJSON(t *testing.T) {
	plain := specs.State{Version: "1.3.0", ID: "web", Status: specs.StateCreated, Pid: 17, Bundle: "/b", Annotations: map[string]string{"b": "2", "a": "1"}}
	want, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	if got := StateJSON(plain); got != string(want) {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, s := range []specs.State{
		{},
		{Version: "1.3.0", ID: "x", Status: specs.StateStopped, Bundle: "/b"},
		{ID: `"\`, Bundle: "/a\nb", Pid: 1, Annotations: map[string]string{"ü/~\x01": "\u2028</script>"}},
	} {
		var got specs.State
		if err := json.Unmarshal([]byte(StateJSON(s, "rootfs", `"/r"`)), &got); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v came back as %+v (%v)", s, got, err)
		}
	}
	if got, want := StateJSON(specs.State{ID: "x", Bundle: "/b"}, "rootfs", `"/r"`, "n", "1"), `{"ociVersion":"","id":"x","status":"","bundle":"/b","rootfs":"/r","n":1}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
