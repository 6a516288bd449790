package cli

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/publish"
)

// openPorts are the ports of a container in the foreground.
type openPorts struct{ *publish.Publisher }

// listen begins to listen on the ports of the flags, and notes in f.ports which were chosen.
func (f *runFlags) listen(a *app) (openPorts, error) {
	if len(f.ports) == 0 || f.dryRun {
		return openPorts{}, nil
	}
	free := make([]bool, len(f.ports))
	for i := range f.ports {
		free[i] = f.ports[i].Host == 0
	}
	p, err := publish.Listen(f.ports)
	if err != nil {
		return openPorts{}, portFailure(err)
	}
	for i := range f.ports {
		if free[i] {
			a.note("-p: " + f.ports[i].String())
		}
	}
	return openPorts{p}, nil
}

func (l openPorts) serve(pid int) error {
	if l.Publisher == nil {
		return nil
	}
	return l.Serve(pid)
}

func (l openPorts) close() {
	if l.Publisher != nil {
		l.Close()
	}
}

// portList are ports as ps shows them.
func portList(ports []publish.Port) (list []string) {
	for _, p := range ports {
		list = append(list, p.String())
	}
	return list
}

// portFailure says who has a port, or what it takes to have it.
func portFailure(err error) error {
	var e *publish.Error
	if !errors.As(err, &e) {
		return &failure{id: idPort, what: err.Error()}
	}
	port := strconv.Itoa(int(e.Port.Host))
	inside := ":" + strconv.Itoa(int(e.Port.Container))
	switch {
	case errors.Is(err, unix.EACCES):
		return &failure{
			id: idLowPort, what: "cannot publish port " + port + ": ports below " + firstPort() + " need permission on this machine",
			try: []string{"-p " + strconv.Itoa(int(e.Port.Host)+8000) + inside, "once: sudo locald setup --low-ports"},
		}
	case errors.Is(err, unix.EADDRINUSE):
		f := &failure{id: idPortTaken, what: "port " + port + " is already used" + portUser(procNet("/proc"), "/proc", int(e.Port.Host))}
		if other := freePort(e.Port.Host); other != 0 {
			f.try = []string{"-p " + strconv.Itoa(other) + inside}
		}
		return f
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return &failure{id: idPort, what: "port " + port + " cannot be published on " + e.Port.Address + ": this machine does not have that address"}
	}
	return &failure{id: idPort, what: err.Error()}
}

// firstPort is the first port that everybody may use (ip(7)).
func firstPort() string {
	if first := readText("/proc/sys/net/ipv4/ip_unprivileged_port_start"); first != "" {
		return first
	}
	return "1024"
}

// freePort is one of the next ports that nobody has; 0 when all are taken.
func freePort(taken uint16) int {
	for port := int(taken) + 1; port <= min(int(taken)+50, 65535); port++ {
		if l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			l.Close()
			return port
		}
	}
	return 0
}

// procNet are the tables of TCP sockets in this network (proc_pid_net(5)).
func procNet(proc string) string {
	return readText(proc+"/self/net/tcp") + "\n" + readText(proc+"/self/net/tcp6")
}

// portUser says who listens on a port, as " by postgres (pid 811, user postgres)", with as much of it as this user may
// know; "" when not even the owner is known.
func portUser(table, proc string, port int) string {
	const listens = "0A" // TCP_LISTEN
	suffix := ":" + strings.ToUpper(strconv.FormatInt(1<<16|int64(port), 16)[1:])
	for line := range strings.Lines(table) {
		field := strings.Fields(line)
		if len(field) < 10 || field[3] != listens || !strings.HasSuffix(field[1], suffix) {
			continue
		}
		owner := "uid " + field[7]
		if name := nameOf(field[7]); name != "" {
			owner = "user " + name
		}
		if pid := socketHolder(proc, field[9]); pid != "" {
			return " by " + printableWord(readText(filepath.Join(proc, pid, "comm"))) + " (pid " + pid + ", " + owner + ")"
		}
		return " by a process of " + owner
	}
	return ""
}

func printableWord(s string) string {
	if s == "" {
		return "a process"
	}
	return printable(s)
}

func nameOf(uid string) string {
	for line := range strings.Lines(readText(passwdFile)) {
		if field := strings.Split(line, ":"); len(field) > 2 && field[2] == uid {
			return field[0]
		}
	}
	return ""
}

// socketHolder is a process that has the socket with that inode, among those whose descriptors can be seen.
func socketHolder(proc, inode string) string {
	links, _ := filepath.Glob(proc + "/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == "socket:["+inode+"]" {
			return filepath.Base(filepath.Dir(filepath.Dir(link)))
		}
	}
	return ""
}
