package libcontainer

import (
	"path"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A process whose environment has no HOME gets that of its user in the container's /etc/passwd, and "/" when there
// is no such entry. The child cannot put what it reads into an environment that was written before it
// existed: the file is read beforehand, where it will come from.

// passwdPlace is where /etc/passwd may come from: a path below a directory of the host, or with an empty path a file.
type passwdPlace struct{ from, below string }

// passwdPlaces are the places to look for /etc/passwd in, the first that has one counts: the rootfs, or the last bind
// mount or overlay that covers it. Under any other file system it is not known beforehand, so there is none.
func passwdPlaces(s *specs.Spec) []passwdPlace {
	var places []passwdPlace
	if s.Root != nil {
		places = []passwdPlace{{s.Root.Path, "etc/passwd"}}
	}
	for _, m := range s.Mounts {
		o, below := parseMountOptions(m.Type, m.Options), ""
		if o.remount {
			continue
		}
		switch destination(m.Destination) {
		case "/":
			below = "etc/passwd"
		case "/etc":
			below = "passwd"
		case "/etc/passwd":
		default:
			continue
		}
		places = nil
		switch {
		case o.bind:
			places = []passwdPlace{{m.Source, below}}
		case m.Type == "overlay" && below != "":
			for _, layer := range overlayLayers(o.data) {
				places = append(places, passwdPlace{layer, below})
			}
		}
	}
	return places
}

// overlayLayers are the directories of an overlay, from the top.
func overlayLayers(data []string) []string {
	var upper, lower []string
	for _, kv := range data {
		switch key, value, _ := strings.Cut(kv, "="); key {
		case "upperdir":
			upper = []string{value}
		case "lowerdir":
			lower = append(lower, splitLayers(value)...)
		case "lowerdir+":
			lower = append(lower, value)
		}
	}
	return append(upper, lower...)
}

// homeOf is the home directory of uid in the text of a passwd(5) file; "/" when it has none there.
func homeOf(passwd string, uid uint32) string {
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < 6 {
			continue
		}
		if n, err := strconv.ParseUint(f[2], 10, 32); err == nil && uint32(n) == uid {
			if path.IsAbs(f[5]) && !hasNUL(f[5]) {
				return f[5]
			}
			break
		}
	}
	return "/"
}

// hasHome says whether env sets HOME to something.
func hasHome(env []string) bool {
	has := false
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, "HOME="); ok {
			has = value != "" // the last one counts
		}
	}
	return has
}

// withHome is env with HOME, unless that is set to something.
func withHome(env []string, home string) []string {
	if home == "" || hasHome(env) {
		return env
	}
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if kv != "HOME=" {
			out = append(out, kv)
		}
	}
	return append(out, "HOME="+home)
}
