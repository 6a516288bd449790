package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locald/locald/internal/policy"
)

// shimConf is what the administrator decides about locald-shim.
const shimConf = "/etc/locald/shim.conf"

// forbidden is the switch by which this host keeps users from making user namespaces, "" when it does not.
func forbidden() string {
	const dir = "/proc/sys/kernel/"
	return forbiddenBy(readText(dir+"unprivileged_userns_clone"), readText(dir+"apparmor_restrict_unprivileged_userns"))
}

// bypass lets one user have user namespaces from the helper on a host that forbids them. It opens to that
// user a part of the kernel that somebody has closed, so it is done for the one who ran sudo alone, and said.
func bypass(now *record, user string, uid uint32, text string) ([]step, error) {
	conf, err := policy.ParseConf(text)
	if err != nil {
		return nil, &failure{id: idSetup, what: shimConf + ": " + err.Error()}
	}
	if conf.MayBypass(user, uid) {
		return nil, nil
	}
	const key = "allow-userns-bypass"
	if slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), key) }) {
		return nil, &failure{id: idSetup, what: shimConf + " keeps " + user + " from user namespaces, which this host forbids otherwise", try: []string{"add " + user + " to " + key + " in " + shimConf}}
	}
	var steps []step
	dir := filepath.Dir(shimConf)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		now.Dirs = append(now.Dirs, dir)
		steps = append(steps, step{"create " + dir + " (root:root 0755)", func() error { return makeDir(dir) }})
	}
	if text == "" {
		now.Files = append(now.Files, shimConf)
	}
	entry := line{shimConf, key + " = " + user}
	now.Lines = append(now.Lines, entry)
	return append(steps, step{
		"append to " + shimConf + ": " + entry.Line + " (this host forbids users to make user namespaces; now " + user + " may, by locald-shim)",
		func() error { return edit(entry.File, func(text string) string { return withLine(text, entry.Line) }) },
	}), nil
}
