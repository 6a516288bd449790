package policy

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// ParsePasswd reads the text of /etc/passwd: the name of a uid, "" when it has none, and the uids of all
// accounts. Only the file counts. Lines that make no sense are left out of both.
//
// An error means that it cannot be said whose /etc/subuid's lines are: another account has the same name,
// or has this uid's number for a name. There is no name then.
func ParsePasswd(text string, uid uint32) (name string, uids []uint32, err error) {
	number := utoa(uint64(uid))
	numbered := false
	entries := accounts(text)
	for _, e := range entries {
		uids = append(uids, e.id)
		numbered = numbered || e.name == number && e.id != uid
		if e.id == uid && name == "" && e.fields == 7 {
			name = e.name
		}
	}
	if numbered {
		return "", uids, errors.New("another account has the name " + strconv.Quote(number))
	}
	for _, e := range entries {
		if name != "" && e.name == name && e.id != uid {
			return "", uids, errors.New("two accounts have the name " + strconv.Quote(name))
		}
	}
	return name, uids, nil
}

// ParseGroup reads the text of /etc/group: the gids of all groups.
func ParseGroup(text string) (gids []uint32) {
	for _, e := range accounts(text) {
		gids = append(gids, e.id)
	}
	return gids
}

type account struct {
	name   string
	id     uint32
	fields int
}

// accounts are the entries of passwd(5) or group(5), whose third field is the id in both. They are read
// generously: an id that some program might take for an account's is one.
func accounts(text string) []account {
	var list []account
	for line := range strings.SplitSeq(text, "\n") {
		field := strings.Split(line, ":")
		if len(field) < 3 || field[0] == "" || strings.ContainsAny(field[0][:1], "#+-") || !isNumber(field[2]) {
			continue
		}
		if id := saturate(field[2]); id < idEnd {
			list = append(list, account{field[0], uint32(id), len(field)})
		}
	}
	return list
}

// Accounts are the texts of the four files that say whose ids are whose.
type Accounts struct {
	Passwd, Group  string // /etc/passwd, /etc/group
	SubUID, SubGID string // /etc/subuid, /etc/subgid
}

// AddAccounts fills in which ids beyond their own the caller may map, for g.UID and g.GID, and returns the
// caller's user name, "" when there is none or it is ambiguous. Where a file is in doubt the caller gets no
// range, and a note in the Grant says why.
func (g *Grant) AddAccounts(a Accounts) (name string) {
	name, uids, err := ParsePasswd(a.Passwd, g.UID)
	g.SubUIDs, g.UIDNote = grantRanges("/etc/subuid", a.SubUID, name, g.UID, err)
	g.SubGIDs, g.GIDNote = grantRanges("/etc/subgid", a.SubGID, name, g.UID, err)
	g.TakenUIDs = taken(uids, g.UID, g.SubUIDs)
	g.TakenGIDs = taken(ParseGroup(a.Group), g.GID, g.SubGIDs)
	return name
}

func grantRanges(file, text, name string, uid uint32, ambiguous error) (ranges []Range, note string) {
	if ambiguous != nil {
		return nil, "/etc/passwd: " + ambiguous.Error()
	}
	ranges, ignored, err := parseSubIDs(text, name, uid)
	switch {
	case err != nil:
		return nil, file + ": " + err.Error()
	case ignored > 0:
		return ranges, file + ": line " + strconv.Itoa(ignored) + " is not NAME:FIRST:COUNT with ids from 1 to 4294967294 and is left out"
	}
	return ranges, ""
}

// taken are the ids of other accounts that lie in the ranges, sorted. There is hardly ever one.
func taken(ids []uint32, own uint32, ranges []Range) []uint32 {
	var list []uint32
	for _, id := range ids {
		if id != own && inside(ranges, Range{id, 1}) {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
