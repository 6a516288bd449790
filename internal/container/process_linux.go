package container

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is what this machine says of a process of a container.
type Process struct {
	Parent, UID int
	CPU         time.Duration
	Command     []string // its arguments; the kernel's name for it, in brackets, where it has none
}

// Line is the command as one line.
func (p *Process) Line() string { return strings.Join(p.Command, " ") }

// Processes are the pids of all processes of the container, on this side.
func (c *Container) Processes() (pids []int, err error) {
	text, err := c.Command("ps", []string{"--format", "json"}).Output()
	if err == nil {
		err = json.Unmarshal(text, &pids)
	}
	return pids, err
}

// clockTick is USER_HZ, which Linux has fixed for what it shows to programs.
const clockTick = 100

// LookProcess reads /proc (proc_pid_stat(5)).
func LookProcess(pid int) (*Process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil, err
	}
	p := &Process{UID: -1}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		p.UID = int(st.Uid)
	}
	// The name, field 2, may hold anything; no later field holds a parenthesis.
	open, closed := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
	fields := strings.Fields(string(stat[max(closed, 0)+1:]))
	if open < 0 || len(fields) < 13 {
		return nil, os.ErrNotExist
	}
	p.Parent, _ = strconv.Atoi(fields[1])
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	p.CPU = time.Duration(user+system) * time.Second / clockTick
	if text, _ := os.ReadFile(dir + "/cmdline"); len(text) > 0 {
		p.Command = strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	} else {
		p.Command = []string{"[" + string(stat[open+1:closed]) + "]"}
	}
	return p, nil
}
