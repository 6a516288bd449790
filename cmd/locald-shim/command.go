package main

import (
	"errors"
	"strings"

	"github.com/locald/locald/libcontainer"
)

// command is an OCI command line: global flags, a verb, its flags and arguments. Every field is the caller's word.
type command struct {
	verb  string
	flags map[string][]string // by long name; "" stands for true
	args  []string
}

// The flags of the command line that runc has and that its clients use (podman, conmon, containerd and its go-runc). A
// name that ends in "=" takes a value; "b:bundle" is another name for one.
const globalFlags = "root= log= log-format= log-level= debug systemd-cgroup cgroup-manager= rootless= h:help help v:version V:version version"

const createFlags = "b:bundle bundle= f:config config= console-socket= pid-file= preserve-fds= no-pivot no-new-keyring pidfd-socket="

const updateFlags = "r:resources resources= memory= memory-swap= memory-reservation= cpu-period= cpu-quota= cpu-share= cpu-shares= cpu-burst= cpu-idle= " +
	"cpu-rt-period= cpu-rt-runtime= cpuset-cpus= cpuset-mems= pids-limit= blkio-weight= kernel-memory= kernel-memory-tcp= l3-cache-schema= mem-bw-schema="

// flagsOf are the flags of a verb, and how many arguments it takes; ok is false for an unknown verb.
func flagsOf(verb string) (flags string, least, most int, ok bool) {
	switch verb {
	case "create":
		return createFlags, 1, 1, true
	case "run":
		return createFlags + " d:detach detach keep no-subreaper", 1, 1, true
	case "start", "pause", "resume", "state":
		return "", 1, 1, true
	case "kill":
		return "a:all all", 1, 2, true
	case "delete":
		return "f:force force", 1, 1, true
	case "exec":
		return "p:process process= d:detach detach pid-file= console-socket= t:tty tty cwd= e:env env= u:user user= g:additional-gids additional-gids= " +
			"c:cap cap= no-new-privs apparmor= process-label= preserve-fds= cgroup= ignore-paused pidfd-socket=", 1, 1 << 20, true
	case "features":
		return "", 0, 0, true
	case "spec":
		return "b:bundle bundle= rootless", 0, 0, true
	case "list":
		return "f:format format= q:quiet quiet", 0, 0, true
	case "events":
		return "stats interval=", 1, 1, true
	case "update":
		return updateFlags, 1, 1, true
	case "ps":
		return "f:format format=", 1, 1 << 20, true
	}
	return "", 0, 0, false
}

// parseCommand reads an OCI command line. A verb's flags may stand before and after its first argument, which is the
// container's id, except exec's and ps's: what follows theirs is another program's.
func parseCommand(args []string) (*command, error) {
	c := &command{flags: map[string][]string{}}
	rest, err := c.read(globalFlags, args, true)
	if err == nil {
		err = c.checkGlobal()
	}
	if err != nil {
		return c, err
	}
	if c.has("version") || c.has("help") {
		return c, nil
	}
	if len(rest) == 0 {
		return c, errors.New("no command; " + usage)
	}
	c.verb = rest[0]
	if reason := notSupported(c.verb); reason != "" {
		return c, errors.New(c.verb + " is not supported: " + reason)
	}
	flags, least, most, ok := flagsOf(c.verb)
	if !ok {
		return c, errors.New("unknown command " + quote(c.verb) + "; " + usage)
	}
	c.args, err = c.read(flags+" h:help help", rest[1:], c.verb == "exec" || c.verb == "ps")
	if err != nil || c.has("help") {
		return c, err
	}
	if flag, reason := c.notTaken(); flag != "" {
		return c, errors.New("--" + flag + " is not supported: " + reason)
	}
	switch {
	case len(c.args) < least:
		return c, errors.New(c.verb + ": the container's id is needed")
	case len(c.args) > most:
		return c, errors.New(c.verb + ": unexpected argument " + quote(c.args[most]))
	case least > 0 && !libcontainer.ValidID(c.args[0]):
		return c, errors.New(badID(c.args[0]))
	}
	return c, nil
}

// checkGlobal: a word that is not known is not taken for another.
func (c *command) checkGlobal() error {
	for _, f := range [...]struct{ flag, words string }{{"log-format", "text json"}, {"log-level", "trace debug info warn warning error fatal panic"}, {"rootless", "true false auto"}, {"cgroup-manager", "cgroupfs systemd disabled"}} {
		for _, word := range c.flags[f.flag] {
			if word == "" || !strings.Contains(" "+f.words+" ", " "+word+" ") {
				return errors.New("--" + f.flag + " " + quote(word) + " is none of: " + f.words)
			}
		}
	}
	return nil
}

// notSupported says why a verb that other runtimes have is not here.
func notSupported(verb string) string {
	if verb == "checkpoint" || verb == "restore" {
		return "CRIU is not part of locald"
	}
	return ""
}

// notTaken is a flag of the command line that other runtimes have and this one has not, and why. To ignore it would
// put the process elsewhere than the client asked, or leave the client waiting.
func (c *command) notTaken() (flag, reason string) {
	switch {
	case c.has("systemd-cgroup") && c.value("cgroup-manager") == "disabled":
		return "systemd-cgroup", "--cgroup-manager disabled wants no cgroup"
	case c.has("kernel-memory"):
		return "kernel-memory", "the kernel does not limit its own memory apart from the container's: --memory counts it too"
	case c.has("l3-cache-schema"):
		return "l3-cache-schema", "a resctrl group is not changed while its container runs"
	case c.has("mem-bw-schema"):
		return "mem-bw-schema", "a resctrl group is not changed while its container runs"
	}
	return "", ""
}

// read takes flags off args: "--flag value", "--flag=value", "-flag value", "-flag=value". It returns what is no
// flag: the arguments, or with first all from the first argument on.
func (c *command) read(known string, args []string, first bool) (rest []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			return append(rest, args[1:]...), nil
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			if first {
				return args, nil
			}
			rest = append(rest, arg)
			args = args[1:]
			continue
		}
		args = args[1:]
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		name, takes, ok := findFlag(known, name)
		switch {
		case !ok:
			return nil, errors.New("unknown flag " + quote(arg) + "; " + usage)
		case takes && !hasValue && len(args) == 0:
			return nil, errors.New("--" + name + " needs a value")
		case takes && !hasValue:
			value, args = args[0], args[1:]
		case !takes && hasValue && value != "true" && value != "false":
			return nil, errors.New("--" + name + " takes no value")
		case !takes && value == "false":
			continue
		case !takes:
			value = ""
		}
		c.flags[name] = append(c.flags[name], value)
	}
	return rest, nil
}

// findFlag is the long name of a flag, and whether it takes a value.
func findFlag(known, name string) (long string, takes, ok bool) {
	if name == "" {
		return "", false, false
	}
	for _, f := range strings.Fields(known) {
		if f == name || f == name+"=" {
			return name, strings.HasSuffix(f, "="), true
		}
		if short, long, is := strings.Cut(f, ":"); is && short == name {
			return findFlag(known, long)
		}
	}
	return "", false, false
}

// systemd says whether systemd is to make the cgroup. A container that is there knows who made its own.
func (c *command) systemd() bool {
	return c.has("systemd-cgroup") || c.value("cgroup-manager") == "systemd"
}

func (c *command) has(flag string) bool { return len(c.flags[flag]) > 0 }

// value is the last value of a flag.
func (c *command) value(flag string) string {
	if v := c.flags[flag]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func badID(id string) string {
	return "container id " + quote(id) + " is not valid: letters, digits, '_', '+', '.' and '-', at most 128, starting with a letter, a digit or '_'"
}
