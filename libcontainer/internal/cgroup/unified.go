package cgroup

import (
	"maps"
	"slices"
	"strings"
)

// unified has files of the v2 tree by their own names. The spec wants what the runtime does not know
// to be written all the same, so of a key only the controller is checked, and that it names a file
// of this cgroup. A value of several lines becomes several writes, as the spec's own example for
// io.max needs: the kernel takes one line at a time.
func (c *compiler) unified(files map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(files)) {
		value := files[key]
		pointer := pointerRoot + "unified/" + escape(key)
		controller, reason, hint := unifiedKey(key, c.layout)
		if reason == "" {
			reason = unifiedValue(value)
		}
		if reason != "" {
			c.report(pointer, reason, hint)
			continue
		}
		for line := range strings.SplitSeq(value, "\n") {
			if line != "" {
				c.add(controller, key, line, pointer)
			}
		}
	}
}

// unifiedKey says which controller a file belongs to, or why it cannot be written.
func unifiedKey(key string, l Layout) (controller, reason, hint string) {
	for i := range len(key) {
		b := key[i]
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '.' && b != '_' && b != '-' {
			return "", "it is not the name of a cgroup file", `write it like "memory.high"`
		}
	}
	controller, file, _ := strings.Cut(key, ".")
	switch {
	case len(key) > 255 || controller == "" || file == "":
		return "", "it is not the name of a cgroup file", `write it like "memory.high"`
	case controller == "cgroup":
		return "", "the cgroup.* files are the runtime's", ""
	case slices.Contains(l.V2Controllers, controller):
		return controller, "", ""
	case l.dir(controller) != "" || l.forbidden(controller):
		return "", "the " + controller + " controller is in cgroup v1 on this host, and unified is for cgroup v2",
			"use the other fields of linux.resources"
	}
	return "", "the " + controller + " controller is not available in cgroup v2", ""
}

func unifiedValue(value string) (reason string) {
	switch {
	case len(value) > 4096: // the kernel takes a page at most (fs/kernfs/file.c)
		return "the value is longer than 4096 bytes"
	case strings.Trim(value, "\n") == "":
		return "the value is empty"
	case !printable(strings.ReplaceAll(value, "\n", "")):
		return "the value has a character that is not printable ASCII"
	}
	return ""
}
