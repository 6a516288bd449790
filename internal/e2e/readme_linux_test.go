package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// curl stands for the program of that name, as far as README.md needs it. A program that was started just now may be
// slow on a busy machine.
const curl = `#!/bin/bash
address=${!#}
while :; do
	if exec 3<>"/dev/tcp/127.0.0.1/${address##*:}"; then
		printf 'GET / HTTP/1.0\r\n\r\n' >&3
		text=$(cat <&3)
		[ -z "$text" ] || break
	fi
done 2>/dev/null
sed '1,/^\r*$/d' <<<"$text"
`

// TestReadme types what README.md shows first, and sees what it shows.
func TestReadme(t *testing.T) {
	needs(t, !here.root, "is about callers who are not root")
	c, home := tryCaller(t)
	text, err := os.ReadFile("../../README.md")
	must(t, err)
	_, block, _ := strings.Cut(string(text), "```console\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("README.md shows nothing")
	}
	bin := filepath.Join(home, "bin")
	must(t, os.Mkdir(bin, 0o755))
	must(t, os.WriteFile(filepath.Join(bin, "curl"), []byte(curl), 0o755))
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	t.Cleanup(func() {
		c.locald(t, "rm", "-f", "web") // where the test failed before it did so
		settle(t)                      // a monitor lets go of its container a moment before its end
	})

	var seen strings.Builder
	for line := range strings.Lines(block) {
		command, typed := strings.CutPrefix(line, "$ ")
		if !typed {
			continue
		}
		seen.WriteString(line)
		// The port may be somebody's on this machine.
		command = strings.NewReplacer("8080:8080", port+":8080", "localhost:8080", "localhost:"+port).Replace(command)
		cmd := exec.Command("bash", "-c", command)
		cmd.Dir = c.dir
		cmd.Env = append(c.env[:len(c.env):len(c.env)], "PATH="+bin+":"+binDir+":/usr/bin:/bin", "LC_ALL=C")
		out, _ := cmd.CombinedOutput()
		seen.Write(out)
	}
	told := func(s string) string {
		s = strings.ReplaceAll(s, home+"/", "/home/user/")
		s = regexp.MustCompile(`uid \d+ outside( \(the only one there is\))?`).ReplaceAllString(s, "uid 1000 outside")
		s = regexp.MustCompile(`\b[0-9a-f]{12}\b`).ReplaceAllString(s, "3f9c1d2a77b0")
		return regexp.MustCompile(`try-[0-9a-f]+`).ReplaceAllString(s, "try-6f2a")
	}
	if got := told(seen.String()); got != block {
		t.Errorf("it is\n%s\nand README.md says\n%s", got, block)
	}
}
