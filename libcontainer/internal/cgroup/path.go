package cgroup

import "strings"

// relativeBase is where a relative cgroup path starts: the runtime spec leaves that to the runtime.
const relativeBase = "/locald/root/"

// Resolve is the absolute form of linux.cgroupsPath, or says what is wrong with it.
func Resolve(path string) (abs, reason, hint string) {
	const like = `it is like "/locald/NAME"`
	if strings.Count(path, ":") == 2 && !strings.HasPrefix(path, "/") {
		return "", "slice:prefix:name is for a cgroup that systemd makes, and it is not asked to (--systemd-cgroup)", like
	}
	if path != "" && path[0] != '/' {
		path = relativeBase + path
	}
	if reason := CheckPath(path); reason != "" {
		return "", reason, like
	}
	return path, "", ""
}

// CheckPath says what is wrong with a cgroup path such as "/locald/web", or returns "". The path
// starts at the root of the hierarchies, whatever they are mounted on.
func CheckPath(path string) (reason string) {
	if !strings.HasPrefix(path, "/") {
		return "the cgroup path is not absolute"
	}
	_, reason = split(path[1:])
	return reason
}

// split takes a relative path apart. Only names come out that cannot lead anywhere but down.
func split(rel string) (names []string, reason string) {
	if len(rel) >= 4096 { // PATH_MAX
		return nil, "the cgroup path is too long"
	}
	names = strings.Split(rel, "/")
	for _, n := range names {
		switch {
		case n == "":
			return nil, "the cgroup path has an empty component"
		case n == "." || n == "..":
			return nil, "the cgroup path has the component " + n
		case len(n) > 255: // NAME_MAX
			return nil, "the cgroup path has a component of more than 255 bytes"
		case strings.ContainsAny(n, "\x00\n"): // mkdir of a name with a newline is EINVAL in every hierarchy
			return nil, "the cgroup path has a NUL or a newline in it"
		case strings.HasPrefix(n, "cgroup."): // cgroup-v2.rst, "Avoid Name Collisions"
			return nil, "the cgroup path has the component " + n + ", and names that start with cgroup. are the kernel's"
		}
	}
	return names, ""
}
