// Package probe is the program that the integration tests run in containers. It says what it sees from
// inside and does what it is told, one JSON object a line. The test binary plays its part when it is
// started under the name "probe": see Main.
package probe

// Answer is the line that one action writes.
type Answer struct {
	Did   string  `json:"did"`             // the action, word for word
	Errno string  `json:"errno,omitempty"` // "EROFS"; "" when it worked
	Value string  `json:"value,omitempty"` // what the action found out
	Look  *Report `json:"look,omitempty"`  // of the action "look" only
}

// Report is what a process can say about itself. What comes out of /proc is empty where there is no /proc.
type Report struct {
	Pid, Ppid  int
	Uid, Gid   [3]int // real, effective, saved
	Groups     []int
	Caps       Caps
	Status     map[string]string // /proc/self/status: NoNewPrivs, SigBlk, SigIgn, Umask, …
	Cwd        string
	Args, Env  []string
	Rlimits    map[string][2]uint64 // "RLIMIT_CORE"; soft and hard. Go has raised the soft limit of NOFILE: see the action "nofile"
	Namespaces map[string]string    // "net": "net:[4026531840]"
	Mounts     []Mount
	Cgroup     []string          // lines of /proc/self/cgroup
	Fds        map[string]string // number to link
	Hostname   string
	Domainname string
}

// Caps are the five sets of capabilities(7), as bits.
type Caps struct{ Inheritable, Permitted, Effective, Bounding, Ambient uint64 }

// Mount is one line of mountinfo (proc_pid_mountinfo(5)).
type Mount struct {
	Root, Point string
	Options     string // of the mount
	Tags        string // "shared:1 master:2"
	Type        string
	Source      string
	Super       string // options of the file system
}
