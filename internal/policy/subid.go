package policy

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// maxFile is more than any honest file of accounts has.
const maxFile = 1 << 20

// ParseSubIDs reads the text of /etc/subuid or /etc/subgid (subuid(5)) for the user with this name and uid:
// the ranges of the lines that begin with either, sorted, those that touch made one. A name of "" is no
// name. Lines that make no sense are left out, and so is a range that has id 0 in it.
//
// An error means that the file does not say for sure what is this user's, and then nothing is: a name that
// is a number but not the user's own (moby issue 21436: is "1001" the name of uid 1000 or the uid of
// somebody else?), or a range that is given to another user too.
func ParseSubIDs(text, name string, uid uint32) ([]Range, error) {
	ranges, _, err := parseSubIDs(text, name, uid)
	return ranges, err
}

// subIDLine is a line of the file.
type subIDLine struct {
	number int // from 1
	owner  string
	Range
}

// parseSubIDs is ParseSubIDs and the number of the first line of this user's that was left out, or 0.
func parseSubIDs(text, name string, uid uint32) (ranges []Range, ignored int, err error) {
	number := utoa(uint64(uid))
	if isNumber(name) && name != number {
		return nil, 0, errors.New("the user name " + strconv.Quote(name) + " is a number and not this user's uid")
	}
	if len(text) > maxFile {
		return nil, 0, errors.New("the file is larger than 1 MiB")
	}
	var others []subIDLine
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		field := strings.Split(line, ":")
		switch owner := field[0]; {
		case owner == "" || owner[0] == '#':
		case owner != number && owner != name:
			if r, ok := othersRange(field); ok {
				others = append(others, subIDLine{n, owner, r})
			}
		default:
			if r, ok := ownRange(field); ok {
				ranges = append(ranges, r)
			} else if ignored == 0 {
				ignored = n
			}
		}
	}
	ranges = merge(ranges)
	for _, o := range others {
		if i, found := slices.BinarySearchFunc(ranges, o.Range, compareApart); found {
			return nil, 0, errors.New("line " + strconv.Itoa(o.number) + " gives " + o.Range.String() + " to " + strconv.Quote(o.owner) + ", and " + ranges[i].String() + " is given to this user")
		}
	}
	return ranges, ignored, nil
}

// isNumber says whether some program might take a name for an id.
func isNumber(name string) bool { return name != "" && strings.Trim(name, "0123456789") == "" }

// ownRange reads a line strictly, since what it says is given away.
func ownRange(field []string) (Range, bool) {
	if len(field) != 3 {
		return Range{}, false
	}
	first, ok1 := decimal(field[1], idEnd-1)
	count, ok2 := decimal(field[2], idEnd-1)
	ok := ok1 && ok2 && first > 0 && count > 0 && first+count <= idEnd
	return Range{uint32(first), uint32(count)}, ok
}

// othersRange reads a line generously, since what it says is kept away: some program may take it at its
// word, whatever its end.
func othersRange(field []string) (Range, bool) {
	if len(field) < 3 || !isNumber(field[1]) || !isNumber(field[2]) {
		return Range{}, false
	}
	first, count := saturate(field[1]), saturate(field[2])
	if first >= idEnd || count == 0 {
		return Range{}, false
	}
	return Range{uint32(first), uint32(min(count, idEnd-first))}, true
}

// saturate reads digits; what has more than 32 bits is 2^32-1.
func saturate(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 32) // on overflow the largest number of 32 bits
	return n
}

// compareApart orders ranges that are apart from each other; ranges that share an id are equal.
func compareApart(a, b Range) int {
	switch {
	case a.end() <= uint64(b.First):
		return -1
	case b.end() <= uint64(a.First):
		return 1
	}
	return 0
}

// merge sorts ranges and makes those one that overlap or touch: to newuidmap(1) they are one too.
func merge(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	var out []Range
	for _, r := range ranges {
		if n := len(out); n > 0 && uint64(r.First) <= out[n-1].end() {
			out[n-1].Count = uint32(max(out[n-1].end(), r.end()) - uint64(out[n-1].First))
		} else {
			out = append(out, r)
		}
	}
	return out
}
