package mountinfo

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	text := "25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n30 25 8:1 /home /mnt/with\\040space\u00a0\r ro master:3 - ext4 /dev/sda1 rw,discard\n" +
		"31 25 0:5 / /proc rw - proc proc rw\nshort\n1 2 3 / / rw\n"
	want := []Mount{
		{"8:1", "/", "/", "rw,relatime", "ext4", "rw"},
		{"8:1", "/home", "/mnt/with space\u00a0\r", "ro", "ext4", "rw,discard"},
		{"0:5", "/", "/proc", "rw", "proc", "rw"},
	}
	if got := Parse(text); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := unescape(`a\134040\9x\`); got != `a\040\9x\` {
		t.Errorf("%q", got)
	}
}

// FuzzMountinfo: any path comes back from the way in which the kernel writes it, and other text does no harm.
func FuzzMountinfo(f *testing.F) {
	f.Add("/a b\tc\\", "36 35 98:0 / / rw shared:1 - ext4 /dev/root rw")
	f.Add("/", `1 2 0:3 /\04 /\400 \`)
	f.Add("/\u00a0\r\v", "")
	f.Add("-", "0")
	f.Fuzz(func(t *testing.T, path, text string) {
		Parse(text)
		escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`, "#", `\043`).Replace(path)
		if m := Parse("36 35 98:0 / " + escaped + " rw - t s rw\n"); len(m) != 1 || m[0].Point != path {
			t.Errorf("%q is read as %+v", path, m)
		}
	})
}
