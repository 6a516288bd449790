package cli

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Where new ranges of subordinate ids may lie, and how long they are: what useradd(8) uses (SUB_UID_MIN,
// SUB_UID_MAX and SUB_UID_COUNT of login.defs(5)).
const (
	subMin   = 100_000
	subMax   = 600_100_000
	subCount = 65_536
)

// span is a run of ids that are taken.
type span struct{ first, last uint64 }

// freeRange is the first range that no line of these texts has a part in: those of subuid(5) and subgid(5),
// whoever they belong to, and of passwd(5) and group(5), since an id of a real user must never be another's
// subordinate. One range is found for both files, so that they read the same.
func freeRange(subordinate, accounts []string) (start uint64, err error) {
	var taken []span
	for _, text := range subordinate {
		for line := range strings.Lines(text) {
			field := strings.Split(strings.TrimSpace(line), ":")
			if len(field) != 3 {
				continue
			}
			first, err := strconv.ParseUint(field[1], 10, 32)
			count, err2 := strconv.ParseUint(field[2], 10, 32)
			if err == nil && err2 == nil && count > 0 {
				taken = append(taken, span{first, first + count - 1})
			}
		}
	}
	for _, text := range accounts {
		for line := range strings.Lines(text) {
			field := strings.Split(line, ":")
			if len(field) < 3 {
				continue
			}
			if id, err := strconv.ParseUint(strings.TrimSpace(field[2]), 10, 32); err == nil {
				taken = append(taken, span{id, id})
			}
		}
	}
	slices.SortFunc(taken, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	start = subMin
	for _, t := range taken {
		if t.last >= start && t.first < start+subCount {
			start = t.last + 1
		}
	}
	if start+subCount-1 > subMax {
		return 0, errors.New("no range of " + strconv.Itoa(subCount) + " subordinate ids is free")
	}
	return start, nil
}

// withLine adds a line at the end of a text, which may lack its last newline.
func withLine(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}

// withoutLine takes the last line that is exactly this one away again.
func withoutLine(text, line string) string {
	lines := strings.SplitAfter(text, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.TrimRight(lines[i], "\n") == line {
			return strings.Join(slices.Delete(lines, i, i+1), "")
		}
	}
	return text
}
