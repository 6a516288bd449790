package publish

import (
	"fmt"
	"testing"
)

func TestParse(t *testing.T) {
	for word, want := range map[string]string{
		"8080:80":           "[8080->80/tcp]",
		"80":                "[0->80/tcp]",
		"80/tcp":            "[0->80/tcp]",
		":80":               "[0->80/tcp]",
		"0.0.0.0:8080:80":   "[0.0.0.0:8080->80/tcp]",
		"127.0.0.1::80":     "[127.0.0.1:0->80/tcp]",
		"[::1]:8080:80":     "[[::1]:8080->80/tcp]",
		"[::]::80/tcp":      "[[::]:0->80/tcp]",
		"8080-8082:80-82":   "[8080->80/tcp 8081->81/tcp 8082->82/tcp]",
		"65534-65535:1-2":   "[65534->1/tcp 65535->2/tcp]",
		"65535:65535":       "[65535->65535/tcp]",
		"80-81":             "[0->80/tcp 0->81/tcp]",
		"8080-8081:80":      "both ranges have the same length",
		"8080:80-81":        "both ranges have the same length",
		"0-1:0-1":           "a range is written FIRST-LAST",
		"8080:0":            "a port of the container is 1 to 65535",
		"8080:81-80":        "a range is written FIRST-LAST",
		"8080:65536":        "a port is a number up to 65535",
		"8080:-1":           "a port is a number up to 65535",
		"-1:80":             "a port is a number up to 65535",
		"":                  "a port is a number up to 65535",
		"8080:80/udp":       "publishing udp is not supported yet",
		"8080:80/sctp":      "a protocol is tcp",
		"localhost:8080:80": "an address is one of this machine's, as 0.0.0.0 or [::1]",
		"1.2.3:8080:80":     "an address is one of this machine's, as 0.0.0.0 or [::1]",
	} {
		ports, err := Parse(word)
		got := fmt.Sprint(ports)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}
