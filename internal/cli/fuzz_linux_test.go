package cli

import (
	"strings"
	"testing"
)

// FuzzMountinfo: any path comes back from the way in which the kernel writes it (proc_pid_mountinfo(5)), and other text
// does no harm.
func FuzzMountinfo(f *testing.F) {
	f.Add("/a b\tc\\", "36 35 98:0 / / rw shared:1 - ext4 /dev/root rw")
	f.Add("/", `1 2 0:3 /\04 /\400 \`)
	f.Fuzz(func(t *testing.T, path, text string) {
		parseMounts(text)
		escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`, "#", `\043`).Replace(path)
		if got := unescape(escaped); got != path {
			t.Errorf("%q comes back as %q", path, got)
		}
		if path == "" || strings.ContainsFunc(path, func(r rune) bool { return r > 126 || r == '\v' || r == '\f' || r == '\r' }) {
			return // the kernel writes these as they are, and fields end at a space alone
		}
		if m := parseMounts("36 35 98:0 / " + escaped + " rw - t s rw\n"); len(m) != 1 || m[0].point != path {
			t.Errorf("%q is read as %+v", path, m)
		}
	})
}
