package shim

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadStatus(t *testing.T) {
	all := `{"phase":"opened"}
{"phase":"validated"}
{"phase":"compiled"}
{"phase":"cloned","pid":7}
{"phase":"limited"}
{"phase":"running"}
`
	for _, c := range []struct {
		name, text string
		want       Status
		running    int
	}{
		{"empty", "", Status{}, 0},
		{"a run", all + `{"phase":"exited","code":3}` + "\n", Status{Reached: "exited", PID: 7, Exited: true, Code: 3}, 1},
		{"a signal", all + `{"phase":"exited","code":137,"signal":9,"oom":true}`, Status{Reached: "exited", PID: 7, Exited: true, Code: 137, Signal: 9, OOM: true}, 1},
		{"running twice", all + `{"phase":"running"}`, Status{Reached: "running", PID: 7}, 1},
		{
			"problems", `{"phase":"opened"}` + "\n" +
				`{"phase":"validated","op":"","pointer":"/process/args","errno":"","message":"empty","hint":"say what to run"}` + "\n" +
				`{"phase":"validated","op":"","pointer":"/root","errno":"","message":"missing","hint":""}` + "\n",
			Status{Reached: "opened", Failures: []Failure{
				{Phase: "validated", Pointer: "/process/args", Message: "empty", Hint: "say what to run"},
				{Phase: "validated", Pointer: "/root", Message: "missing"},
			}}, 0,
		},
		{"a warning", `{"phase":"compiled"}` + "\n" + `{"phase":"running","pointer":"/process","warning":"it is left out"}` + "\n", Status{Reached: "compiled", Warnings: []string{"it is left out"}}, 0},
		{"noise", "locald-shim: oops\n\n[]\nnull\n{\"phase\":3}\n" + `{"phase":"opened","later":{}}`, Status{Reached: "opened"}, 0},
		{"cut off", `{"phase":"opened"}` + "\n" + `{"phase":"exited","code":0`, Status{Reached: "opened"}, 0},
		{"too long", `{"phase":"opened"}` + "\n" + `{"message":"` + strings.Repeat("x", lineMax) + `"}` + "\n", Status{Reached: "opened"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			running := 0
			r := strings.NewReader(c.text)
			got := readStatus(r, func(int) { running++ })
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if running != c.running {
				t.Errorf("running was called %d times, want %d", running, c.running)
			}
			if r.Len() != 0 {
				t.Errorf("%d bytes were left in the pipe", r.Len())
			}
		})
	}
}

func TestReadStatusBoundsFailures(t *testing.T) {
	s := readStatus(strings.NewReader(strings.Repeat(`{"message":"x"}`+"\n", 10*failureMax)), nil)
	if len(s.Failures) != failureMax {
		t.Errorf("%d failures were kept, want %d", len(s.Failures), failureMax)
	}
}

func TestCode(t *testing.T) {
	failed := []Failure{{Message: "no"}}
	for _, c := range []struct {
		status                     Status
		helper, helperSignal, want int
	}{
		{Status{Exited: true, Code: 3}, 3, 0, 3},
		{Status{Exited: true, Code: 137, Signal: 9}, 137, 0, 137},
		{Status{Exited: true, Signal: 15}, 0, 0, 143},
		{Status{Failures: failed}, 127, 0, 127},
		{Status{Failures: failed}, 0, 0, 125},
		{Status{}, 0, 15, 143},
		{Status{Reached: "running"}, 0, 9, 137},
		{Status{}, 1, 0, 1},
	} {
		if got := c.status.code(c.helper, c.helperSignal); got != c.want {
			t.Errorf("%+v, helper %d signal %d: %d, want %d", c.status, c.helper, c.helperSignal, got, c.want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for _, c := range []struct{ output, want string }{
		{"locald-shim version 0.1.0\nspec: 1.3.0\n", "0.1.0"},
		{"locald-shim version 0.1.0-dev+abc\r\n", "0.1.0-dev+abc"},
		{"", ""},
		{"runc version 1.1.5\n", ""},
		{"locald-shim version \n", ""},
	} {
		got, err := parseVersion(c.output)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v; want %q", c.output, got, err, c.want)
		}
	}
}

func FuzzReadStatus(f *testing.F) {
	f.Add(`{"phase":"exited","code":1,"signal":2,"oom":true}`)
	f.Add(`{"message":"a","phase":"b"}` + "\n{}")
	f.Fuzz(func(t *testing.T, text string) {
		r := strings.NewReader(text)
		if readStatus(r, nil); r.Len() != 0 {
			t.Error("not read to the end")
		}
	})
}
