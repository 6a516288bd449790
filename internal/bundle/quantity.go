package bundle

import (
	"math"
	"strconv"
	"strings"
)

// memoryMin is below what any program needs; a smaller number is a forgotten unit.
const memoryMin = 1 << 20

// ParseMemory reads a size as Docker does: a number with b, k, m, g or t, in powers of 1024. "512m".
func ParseMemory(s string) (int64, error) { return parseSize("--memory", s) }

func parseSize(flag, s string) (int64, error) {
	fail := func(reason, fix string) (int64, error) {
		return 0, &Error{Flag: flag, Value: s, Reason: reason, Fix: fix}
	}
	lower := strings.ToLower(s)
	number := strings.TrimRight(lower, "bikmgt")
	unit := lower[len(number):]
	shift := 0
	switch unit {
	case "", "b":
	case "k", "kb", "kib":
		shift = 10
	case "m", "mb", "mib":
		shift = 20
	case "g", "gb", "gib":
		shift = 30
	case "t", "tb", "tib":
		shift = 40
	default:
		return fail("a size is a number with b, k, m, g or t", flag+" 512m")
	}
	value, ok := decimal(number)
	size := value * float64(int64(1)<<shift)
	switch {
	case !ok:
		return fail("a size is a number with b, k, m, g or t", flag+" 512m")
	case size >= math.MaxInt64:
		return fail("more than the kernel can count", "")
	case size < memoryMin && unit == "" && value > 0:
		return fail("that is a number of bytes, and less than a program needs", flag+" "+number+"m")
	case size < memoryMin:
		return fail("less than a program needs", flag+" 64m")
	}
	return int64(size), nil
}

// quotaMin is the least that the kernel accepts (Documentation/scheduler/sched-bwc.rst).
const quotaMin = 1000

// ParseCPUs reads a number of CPUs, "0.5", as the quota of CPUPeriod.
func ParseCPUs(s string) (quota int64, err error) {
	value, ok := decimal(s)
	quota = int64(math.Round(value * CPUPeriod))
	switch {
	case !ok:
		return 0, &Error{Flag: "--cpus", Value: s, Reason: "a number of CPUs is written 2 or 0.5", Fix: "--cpus 0.5"}
	case quota < quotaMin:
		return 0, &Error{Flag: "--cpus", Value: s, Reason: "the least is 0.01", Fix: "--cpus 0.01"}
	case value > 1<<20:
		return 0, &Error{Flag: "--cpus", Value: s, Reason: "no machine has that many"}
	}
	return quota, nil
}

// decimal reads digits with at most one point; strconv alone would take "inf", "1e9" and "0x1p4" too.
func decimal(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	value, err := strconv.ParseFloat(s, 64)
	return value, err == nil
}

// ParseEnvFile reads lines of NAME=VALUE. Blank lines and lines that start with # are skipped, and nothing
// is unquoted or expanded, as with Docker's --env-file. A bare NAME takes its value from lookup.
func ParseEnvFile(name, text string, lookup func(string) (string, bool)) ([]string, error) {
	var env []string
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		entry, ok, reason := ParseEnv(line, lookup)
		if reason != "" {
			return nil, &Error{Flag: "--env-file", Value: name + ":" + strconv.Itoa(number), Reason: reason}
		}
		if ok {
			env = append(env, entry)
		}
	}
	return env, nil
}

// ParseEnv reads NAME=VALUE, or NAME for the caller's own value; ok is false where the caller has none.
func ParseEnv(s string, lookup func(string) (string, bool)) (entry string, ok bool, reason string) {
	name, _, given := strings.Cut(s, "=")
	if name == "" || strings.ContainsAny(name, " \t\x00") {
		return "", false, "a variable is written NAME=VALUE, and its name has no blanks"
	}
	if strings.IndexByte(s, 0) >= 0 {
		return "", false, "the value of " + name + " has a NUL byte, which would end it (environ(7))"
	}
	if given {
		return s, true, ""
	}
	value, ok := lookup(name)
	return name + "=" + value, ok, ""
}
