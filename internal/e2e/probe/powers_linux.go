package probe

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Powers are what a process was able to do and how far it may go, in a form in which two of them can be compared: the
// one has no more than the other if Can and Has are subsets, Most is not above, and the ids are inside.
type Powers struct {
	Can  []string         // what it tried with success, whatever its surroundings: "write secret", "signal root's process"
	Has  []string         // what its surroundings leave open: "privileges from files", "a mount /x to write to"
	Most map[string]int64 // "RLIMIT_CPU", "nice", …: more is more
	UIDs []IDs            // of the machine, as which it can act
	GIDs []IDs
}

// IDs are ids of the machine, from First on.
type IDs struct{ First, Count uint64 }

// Trial says what to try powers on. An action has it as JSON.
type Trial struct {
	Prefix string            // where the machine's root is seen
	Bait   string            // directory of the machine's with the files of the baits
	Cgroup map[string]string // directories of the machine's cgroup trees, by whose they are
	Pids   map[string]int    // of the machine's pid namespace, by whose they are
	Outer  map[string]string // the machine's namespaces, as Report.Namespaces
}

// alone waits until no hook of the same container's tries its powers on the same baits: both would make files of the same
// names, and only one could.
func (t *Trial) alone() (done func()) {
	fd, err := unix.Open(t.Prefix+t.Bait+"/own-dir", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	unix.Flock(fd, unix.LOCK_EX)
	return func() { unix.Close(fd) }
}

// powersVerbs: "powers TRIAL" has Powers for its value, as JSON.
func powersVerbs() []verb {
	return []verb{
		{"powers", 1, func(w []string) (string, error) {
			var trial Trial
			if err := json.Unmarshal([]byte(strings.Join(w, " ")), &trial); err != nil {
				return "", err
			}
			done := trial.alone()
			p := trial.powers()
			done()
			text, err := json.Marshal(p)
			return string(text), err
		}},
		// as root of a user namespace, which has been mapped when a line comes on standard input
		{"mapped-powers", 1, func(w []string) (string, error) {
			if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
				return "", err
			}
			if err := becomeMapped(); err != nil {
				return "", err
			}
			return find("powers").do(w)
		}},
		{"unshared", 5, unshared},
	}
}

func becomeMapped() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil || os.Getpid() != 1 {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", 0, "")
}

// trial is a Trial at work.
type trial struct {
	Trial
	can map[string]bool
	own map[string]bool // kinds of namespaces that are not the machine's
}

func (tr Trial) powers() *Powers {
	t := &trial{tr, map[string]bool{}, map[string]bool{}}
	for kind, link := range namespaces() {
		t.own[kind] = link != t.Outer[kind]
	}
	p := &Powers{Has: t.has(), Most: most()}
	p.UIDs, p.GIDs = t.ids("uid"), t.ids("gid")
	t.capabilities()
	t.files()
	t.directories()
	t.mounts()
	t.nodes()
	t.settings()
	t.processes()
	t.network()
	t.kernel()
	t.self() // changes this process, and so comes last
	for what := range t.can {
		p.Can = append(p.Can, what)
	}
	sort.Strings(p.Can)
	return p
}

// try notes what worked.
func (t *trial) try(what string, err error) bool {
	if err == nil {
		t.can[what] = true
	}
	return err == nil
}

// whose tells a namespace of the machine's from one's own: a power over the second is none over the first.
func (t *trial) whose(kind string) string {
	if t.own[kind] {
		return " of a namespace of its own"
	}
	return " of the machine"
}

// has is what the configuration leaves open.
func (t *trial) has() []string {
	s := status()
	var all []string
	if s["NoNewPrivs"] == "0" {
		all = append(all, "privileges from files")
	}
	if s["Seccomp"] == "0" {
		all = append(all, "no filter of system calls")
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		for _, c := range bitsOf(s[set]) {
			all = append(all, set+" "+strconv.Itoa(c))
		}
	}
	for kind, own := range t.own {
		if !own {
			all = append(all, "the machine's "+kind+" namespace")
		}
	}
	for _, m := range Mounts("/proc/self/mountinfo") {
		flags := strings.Split(m.Options, ",")
		for _, no := range []string{"ro", "nosuid", "nodev", "noexec"} {
			if !slices.Contains(flags, no) {
				all = append(all, "a mount "+m.Point+" of "+m.Type+" that is not "+no)
			}
		}
		if strings.Contains(m.Tags, "shared:") {
			all = append(all, "a shared mount "+m.Point)
		}
	}
	for _, group := range strings.Fields(s["Groups"]) {
		all = append(all, "group "+group)
	}
	return all
}

// bitsOf are the bits of a mask in hexadecimal.
func bitsOf(mask string) (all []int) {
	n, _ := strconv.ParseUint(mask, 16, 64)
	for c := range 64 {
		if n>>c&1 == 1 {
			all = append(all, c)
		}
	}
	return all
}

func most() map[string]int64 {
	all := map[string]int64{}
	for name, l := range rlimits() {
		all[name] = int64(min(l[1], 1<<63-1))
	}
	if text, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil {
		n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		all["-oom_score_adj"] = int64(-n)
	}
	if n, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil { // the system call gives 20 - nice
		all["-nice"] = int64(n)
	}
	if a, err := unix.SchedGetAttr(0, 0); err == nil && (a.Policy == unix.SCHED_FIFO || a.Policy == unix.SCHED_RR || a.Policy == unix.SCHED_DEADLINE) {
		all["real time"] = 1
	}
	if n, _, e := unix.RawSyscall(unix.SYS_IOPRIO_GET, 1, 0, 0); e == 0 && n>>13 == 1 {
		all["real time of disks"] = 1
	}
	return all
}

// ids are the ids of the machine that are mapped. In the machine's own user namespace they are those of the process,
// and what it can make of them is up to its capabilities.
func (t *trial) ids(kind string) (all []IDs) {
	if !t.own["user"] {
		for _, id := range strings.Fields(status()[strings.ToUpper(kind[:1])+kind[1:]]) {
			n, _ := strconv.ParseUint(id, 10, 64)
			all = append(all, IDs{n, 1})
		}
		return all
	}
	text, _ := os.ReadFile("/proc/self/" + kind + "_map")
	for line := range strings.Lines(string(text)) {
		if n, err := numbers(strings.Fields(line)); err == nil && len(n) == 3 {
			all = append(all, IDs{uint64(n[1]), uint64(n[2])})
		}
	}
	return all
}

func (t *trial) capabilities() {
	if t.own["user"] {
		return
	}
	s := status()
	for _, set := range []string{"CapPrm", "CapEff", "CapInh", "CapAmb"} {
		for _, c := range bitsOf(s[set]) {
			t.can["capability "+strconv.Itoa(c)+" in the machine's user namespace, "+set] = true
		}
	}
}

// unshared makes a process in new namespaces, which tries its powers: FLAGS RANGES FIRST COUNT ACTION, with FLAGS for
// clone(2). Without RANGES the process's own ids are mapped to 0, by itself; with them so are FIRST and on to 1 and on, by
// newuidmap(1) and newgidmap(1).
func unshared(w []string) (string, error) {
	n, err := numbers([]string{w[0], w[2], w[3]})
	if err != nil {
		return "", err
	}
	c := again("mapped-" + strings.Join(w[4:], " "))
	stdin, err := c.StdinPipe()
	if err != nil {
		return "", err
	}
	var all []uintptr // across execve: the ids are not mapped by then, and nobody is root
	for i := range uintptr(41) {
		all = append(all, i)
	}
	c.Stdout, c.Stderr, c.SysProcAttr = os.Stdout, os.Stderr, &syscall.SysProcAttr{Cloneflags: uintptr(n[0]), AmbientCaps: all}
	if err := c.Start(); err != nil {
		return "", err
	}
	defer c.Wait()
	defer stdin.Close()
	if err := mapIDs(c.Process.Pid, w[1] == "true", n[1], n[2]); err != nil {
		return "", err
	}
	_, err = stdin.Write([]byte("\n"))
	return "", err
}

func mapIDs(pid int, ranges bool, first, count int) error {
	for _, m := range []struct {
		kind string
		own  int
	}{{"gid", os.Getgid()}, {"uid", os.Getuid()}} {
		id := strconv.Itoa(m.own)
		if ranges {
			if out, err := exec.Command("new"+m.kind+"map", strconv.Itoa(pid), "0", id, "1", "1", strconv.Itoa(first), strconv.Itoa(count)).CombinedOutput(); err != nil {
				return errors.New("new" + m.kind + "map: " + err.Error() + ": " + string(out))
			}
			continue
		}
		dir := "/proc/" + strconv.Itoa(pid)
		if m.kind == "gid" {
			if err := os.WriteFile(dir+"/setgroups", []byte("deny"), 0); err != nil {
				return err
			}
		}
		if err := os.WriteFile(dir+"/"+m.kind+"_map", []byte("0 "+id+" 1"), 0); err != nil {
			return err
		}
	}
	return nil
}
