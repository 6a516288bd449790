package bundle

import (
	"slices"
	"strconv"
	"strings"
)

// LookupUser finds what -u means, as Docker reads it: USER or USER:GROUP, each a name or a number, in the
// text of the rootfs's /etc/passwd and /etc/group. "" is the user with id 0. A number needs no entry.
//
// The two files belong to whoever made the image. They are read here, with no privilege, and a line that
// makes no sense is skipped.
func LookupUser(s, passwd, group string) (User, error) {
	userWord, groupWord, hasGroup := strings.Cut(s, ":")
	if userWord == "" {
		userWord = "0"
	}
	entry, found := findPasswd(userWord, passwd)
	if !found {
		uid, ok := parseID(userWord)
		if !ok {
			return User{}, &Error{Flag: "--user", Value: s, Reason: "there is no user " + strconv.Quote(userWord) + " in the container's /etc/passwd"}
		}
		entry.user.UID = uid
	}
	if !hasGroup {
		if found {
			entry.user.Groups = memberOf(entry.name, group)
		}
		return entry.user, nil
	}
	gid, ok := findGroup(groupWord, group)
	if !ok {
		return User{}, &Error{Flag: "--user", Value: s, Reason: "there is no group " + strconv.Quote(groupWord) + " in the container's /etc/group"}
	}
	entry.user.GID = gid
	return entry.user, nil
}

type passwdEntry struct {
	name string
	user User
}

// findPasswd is the first entry of passwd(5) whose name or uid is word.
func findPasswd(word, passwd string) (passwdEntry, bool) {
	id, numeric := parseID(word)
	for line := range strings.Lines(passwd) {
		field := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(field) < 6 {
			continue
		}
		uid, ok := parseID(field[2])
		gid, ok2 := parseID(field[3])
		if ok && ok2 && (field[0] == word || numeric && uid == id) {
			return passwdEntry{name: field[0], user: User{UID: uid, GID: gid, Home: field[5]}}, true
		}
	}
	return passwdEntry{}, false
}

// findGroup is the first entry of group(5) whose name or gid is word, or the number itself.
func findGroup(word, group string) (uint32, bool) {
	id, numeric := parseID(word)
	for line := range strings.Lines(group) {
		field := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(field) < 3 {
			continue
		}
		gid, ok := parseID(field[2])
		if ok && (field[0] == word || numeric && gid == id) {
			return gid, true
		}
	}
	return id, numeric
}

// memberOf are the groups that list the user by name.
func memberOf(name, group string) []uint32 {
	var gids []uint32
	for line := range strings.Lines(group) {
		field := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(field) < 4 {
			continue
		}
		gid, ok := parseID(field[2])
		if ok && slices.Contains(strings.Split(field[3], ","), name) {
			gids = append(gids, gid)
		}
	}
	return gids
}

// parseID reads a uid or gid: decimal digits only, below the kernel's "no id".
func parseID(s string) (uint32, bool) {
	if s == "" || s[0] == '+' {
		return 0, false
	}
	id, err := strconv.ParseUint(s, 10, 32)
	return uint32(id), err == nil && id <= idMax
}
