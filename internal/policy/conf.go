package policy

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Conf is /etc/locald/shim.conf (shim.conf(5)): what the machine's admin lets callers have who are not root.
type Conf struct {
	Cgroup bool // the helper may make cgroups below /locald/u<uid>
	IDMap  bool // the helper may map the ids of bind mounts

	users  userList // who may use the helper
	bypass userList // who may have a user namespace where the host forbids it
}

// userList is "*", everybody, or names; empty is nobody.
type userList []string

func (l userList) has(name string, uid uint32) bool {
	if len(l) == 1 && l[0] == "*" {
		return true
	}
	return slices.Contains(l, utoa(uint64(uid))) || name != "" && !isNumber(name) && slices.Contains(l, name)
}

// MayUse says whether a user may use the helper at all. name is what Grant.AddAccounts returned.
func (c *Conf) MayUse(name string, uid uint32) bool { return c.users.has(name, uid) }

// MayBypass says whether a user gets a user namespace from the helper on a host that lets unprivileged
// users create none (sysctl kernel.unprivileged_userns_clone, AppArmor). It opens to that user
// what the host's admin has closed, so nobody does unless the file says so.
func (c *Conf) MayBypass(name string, uid uint32) bool {
	return c.MayUse(name, uid) && c.bypass.has(name, uid)
}

// ParseConf reads the text of shim.conf. That of an empty or missing file is "": everybody may use the helper
// and gets a cgroup and idmapped binds, and nobody a user namespace that the host forbids. The error names the line, not the file.
//
// Nothing unknown is passed over: a key with a typing error must not leave open what it was to close.
func ParseConf(text string) (Conf, error) {
	c := Conf{Cgroup: true, IDMap: true, users: userList{"*"}}
	var seen []string
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line, _, _ = strings.Cut(line, "#")
		if strings.Trim(line, " \t\r") == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.Trim(key, " \t\r"), strings.Trim(value, " \t\r")
		reason := ""
		switch {
		case !ok:
			reason = strconv.Quote(key) + " is not of the form KEY = VALUE"
		case slices.Contains(seen, key):
			reason = key + " is set twice"
		default:
			reason = c.set(key, value)
		}
		if reason != "" {
			return Conf{}, errors.New("line " + strconv.Itoa(n) + ": " + reason)
		}
		seen = append(seen, key)
	}
	return c, nil
}

func (c *Conf) set(key, value string) (reason string) {
	switch key {
	case "cgroup", "idmap":
		if value != "yes" && value != "no" {
			return key + " is yes or no, not " + strconv.Quote(value)
		}
		if key == "cgroup" {
			c.Cgroup = value == "yes"
		} else {
			c.IDMap = value == "yes"
		}
	case "allow-userns-bypass":
		switch value {
		case "yes":
			c.bypass = userList{"*"}
		case "no":
			c.bypass = nil
		default:
			c.bypass, reason = parseUsers(value)
		}
	case "users":
		c.users, reason = parseUsers(value)
	default:
		return "unknown key " + strconv.Quote(key) + "; known are users, cgroup, idmap and allow-userns-bypass"
	}
	if reason != "" {
		reason = key + " " + reason
	}
	return reason
}

// parseUsers reads "*", or names or uids with spaces between.
func parseUsers(value string) (list userList, reason string) {
	list = strings.Fields(value)
	if len(list) == 0 {
		return nil, "names nobody; write * for everybody, or user names with spaces between"
	}
	for _, name := range list {
		if name == "*" && len(list) > 1 {
			return nil, "has both * and names"
		}
		if name != "*" && !userName(name) {
			return nil, "has " + strconv.Quote(name) + ", which is not a user name; write names with spaces between"
		}
	}
	return list, ""
}

// userName is generous: directories have names such as DOMAIN\user and user@domain.
func userName(name string) bool {
	for i := range len(name) {
		if b := name[i]; b <= ' ' || b >= 0x7f || strings.IndexByte(`,:;*=/"'`, b) >= 0 {
			return false
		}
	}
	return true
}
