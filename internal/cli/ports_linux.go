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

// listener is a TCP socket that listens on this machine.
type listener struct {
	port       uint16
	uid, inode string
}

// listeners reads a table of TCP sockets.
func listeners(table string) (list []listener) {
	for line := range strings.Lines(table) {
		field := strings.Fields(line) // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
		if len(field) < 10 || field[3] != "0A" {
			continue // not TCP_LISTEN
		}
		_, hex, _ := strings.Cut(field[1], ":")
		if port, err := strconv.ParseUint(hex, 16, 16); err == nil {
			list = append(list, listener{uint16(port), field[7], field[9]})
		}
	}
	return list
}

// portUser says who listens on a port, as " by postgres (pid 811, user postgres)", with as much of it as this user may
// know; "" when not even the owner is known.
func portUser(table, proc string, port int) string {
	for _, l := range listeners(table) {
		if int(l.port) != port {
			continue
		}
		owner := "uid " + l.uid
		if name, _ := account(l.uid); name != "" {
			owner = "user " + name
		}
		if pid := socketHolder(proc, l.inode); pid != "" {
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

// account is the name of a user in /etc/passwd, and the home directory if it is one of the user's own.
func account(uid string) (name, home string) {
	for line := range strings.Lines(readText(passwdFile)) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) < 3 || field[2] != uid {
			continue
		}
		if len(field) > 5 && filepath.IsAbs(field[5]) && field[5] != "/" {
			home = filepath.Clean(field[5])
		}
		return field[0], home
	}
	return "", ""
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
