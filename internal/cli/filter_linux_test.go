package cli

import (
	"errors"
	"testing"
)

func TestFilters(t *testing.T) {
	code := 3
	r := &psRow{ID: "abc123", Name: "web", Image: "nginx:latest", Status: "exited", ExitCode: &code, Labels: map[string]string{"a": "b", "c": ""}}
	for _, c := range []struct {
		words []string
		takes bool
	}{
		{nil, true},
		{[]string{"name=we"}, true}, {[]string{"name=no"}, false}, {[]string{"name=no", "name=eb"}, true},
		{[]string{"id=abc"}, true}, {[]string{"id=bc"}, false},
		{[]string{"ancestor=nginx"}, true}, {[]string{"ancestor=ngin"}, false},
		{[]string{"status=exited"}, true}, {[]string{"status=running"}, false}, {[]string{"status=running", "status=exited"}, true},
		{[]string{"exited=3"}, true}, {[]string{"exited=0"}, false},
		{[]string{"label=a"}, true}, {[]string{"label=a=b", "label=c"}, true}, {[]string{"label=a=b", "label=d"}, false}, {[]string{"label=a=x"}, false},
		{[]string{"label=a", "name=no"}, false},
	} {
		f, err := parseFilters(c.words)
		if err != nil || f.take(r) != c.takes {
			t.Errorf("%v: %v, %v", c.words, !c.takes, err)
		}
	}
	for _, word := range []string{"", "name", "name=", "colour=red", "status=dead", "exited=x"} {
		var f *failure
		if _, err := parseFilters([]string{word}); !errors.As(err, &f) || f.id != idUsage {
			t.Errorf("%q: %v", word, err)
		}
	}
}
