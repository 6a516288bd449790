package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The C floor makes the system calls of locald-shim's Program with everything that a
// runtime has to find out (configuration, order, flags) known to the compiler.
// writeFloor turns the listing that `locald-shim bundle run --dry-run` prints into
// the C of floor/floor.c's child, one statement for each line, so that the two cannot
// drift apart. What it does not know is an error, not a guess.
func writeFloor(w io.Writer, listing string) error {
	f := new(floorWriter)
	for line := range strings.Lines(listing) {
		text, _, _ := strings.Cut(strings.TrimRight(line, "\n"), " # ")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		var err error
		if rest, ok := strings.CutPrefix(text, ". "); ok {
			err = f.parent(rest)
		} else {
			err = f.op(text)
		}
		if err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
	}
	if f.clone == "" || len(f.ops) == 0 {
		return errors.New("this is no listing of a Program")
	}
	_, err := fmt.Fprintf(w, "/* Written from a listing of locald-shim --dry-run. */\n#define CLONE_FLAGS (%s)\n#define SLOTS %d\n#define PROGRAM \\\n\t%s\n",
		f.clone, max(f.slots, 1), strings.Join(f.ops, " \\\n\t"))
	return err
}

type floorWriter struct {
	clone string
	slots int
	ops   []string
}

// parent reads a line of what the parent does. The floor's parent is written by
// hand: it makes a cgroup and clones, and cannot do more.
func (f *floorWriter) parent(text string) error {
	verb, rest, _ := strings.Cut(text, " ")
	switch {
	case verb == "cgroup" && strings.HasPrefix(rest, "/") && !strings.Contains(rest, "="):
		return nil
	case verb == "clone3":
		var err error
		f.clone, err = flags("clone", rest)
		return err
	}
	return errors.New("the floor's parent cannot do this")
}

// op reads "17 call(a, b) must be 0 = s3 or EBADF, ENOENT".
func (f *floorWriter) op(text string) error {
	number, rest, _ := strings.Cut(text, " ")
	name, rest, ok := strings.Cut(rest, "(")
	if _, err := strconv.Atoi(number); err != nil || !ok {
		return errors.New("not an op")
	}
	args, rest, err := splitArgs(rest)
	if err != nil {
		return err
	}
	c := make([]string, 6)
	for i := range c {
		c[i] = "0"
		if i < len(args) {
			if c[i], err = argument(name, i, args[i]); err != nil {
				return fmt.Errorf("argument %d: %w", i, err)
			}
		}
	}
	slot, good, err := f.outcome(rest)
	if err != nil {
		return err
	}
	f.ops = append(f.ops, fmt.Sprintf("OP(%s, %s, %s, __NR_%s, %s)", number, slot, good, name, strings.Join(c, ", ")))
	return nil
}

// outcome reads what follows the call: where the result goes, and when it is good
// although negative, or bad although not.
func (f *floorWriter) outcome(rest string) (slot, good string, err error) {
	slot, good = "(void)0", "r >= 0"
	for rest != "" {
		word, after, _ := strings.Cut(rest, " ")
		switch word {
		case "must": // "must be N"
			value, after, _ := strings.Cut(strings.TrimPrefix(after, "be "), " ")
			good, rest = "r == "+value, after
		case "=": // "= sN"
			s, after, _ := strings.Cut(after, " ")
			n, err := strconv.Atoi(strings.TrimPrefix(s, "s"))
			if err != nil {
				return "", "", err
			}
			f.slots = max(f.slots, n+1)
			slot, rest = fmt.Sprintf("s[%d] = r < 0 ? -1 : r", n), after
		case "or": // "or EBADF, ENOENT"
			for e := range strings.SplitSeq(after, ", ") {
				good += " || r == -" + e
			}
			rest = ""
		default:
			return "", "", fmt.Errorf("%q after the call", rest)
		}
	}
	return slot, good, nil
}

// splitArgs cuts "a, {b c}, \"d\") rest" at the commas outside quotes and brackets.
func splitArgs(s string) (args []string, rest string, err error) {
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			q, err := strconv.QuotedPrefix(s[i:])
			if err != nil {
				return nil, "", err
			}
			i += len(q) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',', ')':
			if depth > 0 {
				continue
			}
			if i > start {
				args = append(args, strings.TrimSpace(s[start:i]))
			}
			start = i + 1
			if s[i] == ')' {
				return args, strings.TrimSpace(s[i+1:]), nil
			}
		}
	}
	return nil, "", errors.New("the call has no end")
}
