package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// argument is argument i of a call as C.
func argument(call string, i int, text string) (string, error) {
	if kind := flagKind(call, i); kind != "" {
		return flags(kind, text)
	}
	switch {
	case text == "cwd":
		return "AT_FDCWD", nil
	case text == "bundle" || text == "parent":
		return text, nil
	case text == "zeros":
		return "P(zeros)", nil
	case text == "{parent in}":
		return "P((&(struct pollfd){parent, POLLIN, 0}))", nil
	case text[0] == '"':
		s, err := strconv.Unquote(text)
		return "P(" + cString(s) + ")", err
	case text[0] == '[':
		return array(call, strings.TrimSuffix(text[1:], "]"))
	case text[0] == '{':
		return structure(call, strings.TrimSuffix(text[1:], "}"))
	case text[0] == 's' && isNumber(text[1:]):
		return "s[" + text[1:] + "]", nil
	case strings.HasPrefix(text, "CAP_") || strings.HasPrefix(text, "RLIMIT_"):
		return text, nil
	case call == "mknodat" && i == 3 && strings.Contains(text, ":"):
		major, minor, _ := strings.Cut(text, ":")
		return "makedev(" + major + ", " + minor + ")", nil
	case isNumber(text):
		return text, nil
	}
	return "", fmt.Errorf("%q is nothing the floor knows", text)
}

func isNumber(s string) bool {
	_, err := strconv.ParseInt(s, 0, 64)
	return err == nil
}

// cString quotes for C: everything but plain letters as three octal digits.
func cString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' || s[i] == '?' {
			fmt.Fprintf(&b, `\%03o`, s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	b.WriteByte('"')
	return b.String()
}

// array is an argv, an envp or a list of ids.
func array(call, text string) (string, error) {
	if call == "setgroups" {
		return "P(((gid_t[]){" + strings.ReplaceAll(strings.TrimSpace(text), " ", ", ") + "}))", nil
	}
	var b strings.Builder
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		q, err := strconv.QuotedPrefix(text)
		if err != nil {
			return "", err
		}
		s, err := strconv.Unquote(q)
		if err != nil {
			return "", err
		}
		b.WriteString(cString(s) + ", ")
		text = text[len(q):]
	}
	return "P(((char *[]){" + b.String() + "NULL}))", nil
}

// structure is one of the kernel's structures as a compound literal.
func structure(call, text string) (string, error) {
	words := strings.Fields(text)
	switch call {
	case "openat2": // {flags [mode] resolve}
		if len(words) == 2 {
			words = []string{words[0], "0", words[1]}
		}
		if len(words) != 3 {
			break
		}
		open, err := flags("open", words[0])
		resolve, err2 := flags("resolve", words[2])
		return fmt.Sprintf("P((&(struct open_how){%s, %s, %s}))", open, words[1], resolve), errors.Join(err, err2)
	case "mount_setattr": // {set FLAGS clear FLAGS PROPAGATION}
		value := map[string]string{"set": "0", "clear": "0", "propagation": "0"}
		for len(words) > 0 {
			key, kind, n := words[0], words[0], 2
			if key != "set" && key != "clear" {
				key, kind, n = "propagation", "propagation", 1
			}
			if len(words) < n {
				return "", errors.New("flags missing")
			}
			v, err := flags(kind, words[n-1])
			if err != nil {
				return "", err
			}
			value[key], words = v, words[n:]
		}
		return fmt.Sprintf("P((&(struct mount_attr){%s, %s, %s, 0}))", value["set"], value["clear"], value["propagation"]), nil
	case "capset":
		if text == "version 3" {
			return "P((&(struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0}))", nil
		}
		if len(words) == 6 {
			low, high := make([]string, 3), make([]string, 3)
			for i := range low {
				low[i], high[i] = "(__u32)"+words[2*i+1], "(__u64)"+words[2*i+1]+" >> 32"
			}
			return fmt.Sprintf("P(((struct __user_cap_data_struct[]){{%s}, {%s}}))", strings.Join(low, ", "), strings.Join(high, ", ")), nil
		}
	case "prlimit64":
		if len(words) == 4 {
			return fmt.Sprintf("P((&(struct rlimit64){%s, %s}))", limitNumber(words[1]), limitNumber(words[3])), nil
		}
	case "ioctl":
		if text == "lo up|running" {
			return `P((&(struct ifreq){.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING}))`, nil
		}
	}
	return "", fmt.Errorf("{%s} is nothing the floor knows of %s", text, call)
}

func limitNumber(s string) string {
	if s == "unlimited" {
		return "RLIM64_INFINITY"
	}
	return s
}

// flagKind names the flags that argument i of a call is.
func flagKind(call string, i int) string {
	switch call + " " + strconv.Itoa(i) {
	case "unshare 0", "setns 1":
		return "clone"
	case "openat 2", "dup3 2":
		return "open"
	case "open_tree 2":
		return "open_tree"
	case "move_mount 4":
		return "move_mount"
	case "fsmount 2":
		return "set"
	case "mount_setattr 2", "fchownat 4":
		return "at"
	case "fsconfig 1":
		return "fsconfig"
	case "prctl 0":
		return "prctl"
	}
	return ""
}

// flagName is a word of the listing as the kernel's headers spell it.
func flagName(kind, word string) string {
	upper := strings.ToUpper(word)
	switch kind {
	case "clone":
		return map[string]string{
			"user": "CLONE_NEWUSER", "pid": "CLONE_NEWPID", "mount": "CLONE_NEWNS", "network": "CLONE_NEWNET", "ipc": "CLONE_NEWIPC",
			"uts": "CLONE_NEWUTS", "cgroup": "CLONE_NEWCGROUP", "time": "CLONE_NEWTIME", "vm": "CLONE_VM", "vfork": "CLONE_VFORK",
		}[word]
	case "open":
		return "O_" + upper
	case "resolve":
		return "RESOLVE_" + upper
	case "open_tree":
		return map[string]string{"clone": "OPEN_TREE_CLONE", "cloexec": "OPEN_TREE_CLOEXEC", "empty": "AT_EMPTY_PATH", "recursive": "AT_RECURSIVE"}[word]
	case "move_mount":
		return map[string]string{"from_empty": "MOVE_MOUNT_F_EMPTY_PATH", "to_empty": "MOVE_MOUNT_T_EMPTY_PATH"}[word]
	case "set", "clear":
		if word == "ro" {
			return "MOUNT_ATTR_RDONLY"
		}
		if word == "atime" {
			return "MOUNT_ATTR__ATIME"
		}
		return "MOUNT_ATTR_" + upper
	case "propagation":
		return "MS_" + upper
	case "at":
		return map[string]string{"empty": "AT_EMPTY_PATH", "recursive": "AT_RECURSIVE", "nofollow": "AT_SYMLINK_NOFOLLOW"}[word]
	case "fsconfig":
		return map[string]string{"flag": "FSCONFIG_SET_FLAG", "string": "FSCONFIG_SET_STRING", "create": "FSCONFIG_CMD_CREATE"}[word]
	case "prctl":
		if word == "capbset_drop" || word == "cap_ambient" {
			return "PR_" + upper
		}
		return "PR_SET_" + upper
	}
	return ""
}

// flags turns "a|b" into C.
func flags(kind, text string) (string, error) {
	words := strings.Split(text, "|")
	for i, w := range words {
		if isNumber(w) {
			continue
		}
		name := flagName(kind, w)
		if name == "" {
			return "", fmt.Errorf("%q is no flag of %s", w, kind)
		}
		words[i] = name
	}
	return strings.Join(words, " | "), nil
}
