package cgroup

import (
	"slices"
	"strings"
)

// Write is one value for one file of the container's cgroup.
type Write struct {
	Controller string // the one that has the file: "memory"
	File       string // "memory.max"
	Value      string // "67108864"
	Pointer    string // JSON pointer of what asked for it: "/linux/resources/memory/limit"

	// Where there is no File, AltFile is written instead. The weight of a cgroup's io is io.bfq.weight
	// or io.weight, depending on what the kernel was built with.
	AltFile  string
	AltValue string
}

// String is "cgroup memory.max = 67108864".
func (w Write) String() string {
	s := "cgroup " + w.File + " = " + w.Value
	if w.AltFile != "" {
		s += ", or " + w.AltFile + " = " + w.AltValue
	}
	return s
}

// Listing has one line per write, with the pointers in a column of their own.
func Listing(writes []Write) string {
	width := 0
	for _, w := range writes {
		width = max(width, len(w.String()))
	}
	var b strings.Builder
	for _, w := range writes {
		s := w.String()
		b.WriteString(s)
		b.WriteString(strings.Repeat(" ", width-len(s)+3))
		b.WriteString(w.Pointer)
		b.WriteByte('\n')
	}
	return b.String()
}

// controllers are the names of the controllers in writes, sorted, each once.
func controllers(writes []Write) []string {
	var names []string
	for _, w := range writes {
		if i, found := slices.BinarySearch(names, w.Controller); !found {
			names = slices.Insert(names, i, w.Controller)
		}
	}
	return names
}
