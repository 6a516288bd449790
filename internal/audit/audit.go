// Package audit says to the system's log what the set-user-ID helper has been used for, in one line. It is pure but for
// Send.
package audit

import "strconv"

// Use is one use of the helper.
type Use struct {
	UID     int    // who
	Verb    string // a word of this program's: "create"; "-" while the command line has not been looked at
	Config  []byte // config.json as it was read; nil where none was
	Verdict string // a word of this program's: "allowed", "refused" or "failed"
}

// priorities of syslog(3), by verdict: LOG_AUTHPRIV is 10<<3.
const (
	info   = 10<<3 | 6
	notice = 10<<3 | 5
)

// Line is the message of syslog(3) for a use. Nothing in it is the caller's word: who writes a name into a log writes lines
// into it.
func (u *Use) Line(pid int) string {
	priority, config := notice, "-"
	if u.Verdict == "allowed" {
		priority = info
	}
	if u.Config != nil {
		sum := digest(u.Config)
		config = "sha256:"
		for _, b := range sum {
			config += digits[b>>4:b>>4+1] + digits[b&15:b&15+1]
		}
	}
	return "<" + strconv.Itoa(priority) + ">locald-shim[" + strconv.Itoa(pid) + "]: uid=" + strconv.Itoa(u.UID) + " verb=" + u.Verb + " config=" + config + " verdict=" + u.Verdict
}

const digits = "0123456789abcdef"
