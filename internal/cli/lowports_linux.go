package cli

import (
	"os"
	"path/filepath"
	"slices"
)

// What --low-ports writes. The setting is that of every user: there is none of one alone (ip(7)).
const (
	lowPortsFile = "/etc/sysctl.d/60-locald.conf"
	lowPortsLine = "net.ipv4.ip_unprivileged_port_start=80"
	lowPortsNow  = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
)

// lowPortSteps let every user listen on ports from 80 on, now and after the next boot.
func lowPortSteps(now *record) ([]step, error) {
	entry := line{lowPortsFile, lowPortsLine}
	if slices.Contains(now.Lines, entry) {
		return nil, nil
	}
	missing, err := missingDirs(filepath.Dir(lowPortsFile))
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, d := range missing {
		now.Dirs = append(now.Dirs, d)
		steps = append(steps, step{"create " + d + " (root:root 0755)", func() error { return makeDir(d) }})
	}
	if _, err := os.Lstat(lowPortsFile); err != nil {
		now.Files = append(now.Files, lowPortsFile)
	}
	now.Lines = append(now.Lines, entry)
	return append(steps,
		step{"append to " + lowPortsFile + ": " + lowPortsLine + " (every user may listen on ports from 80 on)", func() error {
			return edit(lowPortsFile, func(text string) string { return withLine(text, lowPortsLine) })
		}},
		step{"set " + lowPortsLine + " until the next boot, when " + lowPortsFile + " does", func() error {
			return os.WriteFile(lowPortsNow, []byte("80\n"), 0o644)
		}}), nil
}
