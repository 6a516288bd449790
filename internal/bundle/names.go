package bundle

import (
	"net/netip"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Names is what a container looks names up in: the texts of the three files that an image leaves to whoever runs it.
// Nothing of an image's own is lost; a text is mounted over the file, or where there is none.
type Names struct {
	Hosts      string // hosts(5)
	Hostname   string // hostname(5)
	ResolvConf string // resolv.conf(5); "" is the image's own
	Dir        string // where they lie on this machine, by the names that they have in /etc

	// Place is where a path of the container leads, which may be a link to a file that only a running system has, as
	// /etc/resolv.conf of many images does. nil is for no links.
	Place func(path string) string `json:"-"`
}

// Files are the texts by the names of the files in /etc.
func (n *Names) Files() map[string]string {
	files := map[string]string{"hosts": n.Hosts, "hostname": n.Hostname}
	if n.ResolvConf != "" {
		files["resolv.conf"] = n.ResolvConf
	}
	return files
}

// mounts binds the files.
func (n *Names) mounts() []specs.Mount {
	var list []specs.Mount
	for _, name := range []string{"hostname", "hosts", "resolv.conf"} {
		if n.Files()[name] != "" {
			at := "/etc/" + name
			if n.Place != nil {
				at = n.Place(at)
			}
			list = append(list, specs.Mount{
				Destination: at, Type: "bind", Source: n.Dir + "/" + name,
				Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec"},
			})
		}
	}
	return list
}

// NameFlags are the flags about names, as they were typed.
type NameFlags struct {
	AddHost   []string // NAME:ADDRESS
	DNS       []string // addresses of resolvers
	DNSSearch []string // domains
}

// machineNames are what programs call the machine that they run on, by Docker's word, podman's and our own.
const machineNames = "host.docker.internal host.containers.internal host.locald.internal"

// hostGateway is Docker's word for the machine's address.
const hostGateway = "host-gateway"

// Names are the files of a container with that name on that network. hosts and resolvConf are the machine's own texts,
// which hold for a container on its network; ipv6 says that loopback has an IPv6 address.
func (f *NameFlags) Names(network Network, hostname, hosts, resolvConf string, ipv6 bool) (*Names, error) {
	n := &Names{Hostname: hostname + "\n"}
	local := "127.0.0.1\tlocalhost\n"
	if ipv6 {
		local += "::1\tlocalhost ip6-localhost ip6-loopback\n"
	}
	if network != NetworkHost {
		n.Hosts = local + "127.0.0.1\t" + hostname + "\n"
	} else {
		if n.Hosts = hosts; n.Hosts == "" {
			n.Hosts = local
		}
		if !strings.HasSuffix(n.Hosts, "\n") {
			n.Hosts += "\n"
		}
		n.Hosts += "127.0.0.1\t" + hostname + "\n127.0.0.1\t" + machineNames + "\n"
		n.ResolvConf = resolvConf
	}
	// The first line with a name is the one that counts (hosts(5)), so what was asked for stands before all else.
	var asked strings.Builder
	for _, word := range f.AddHost {
		name, address, err := parseAddHost(word, network)
		if err != nil {
			return nil, err
		}
		asked.WriteString(address + "\t" + name + "\n")
	}
	n.Hosts = asked.String() + n.Hosts
	return n, f.resolver(n)
}

// parseAddHost reads NAME:ADDRESS, or NAME=ADDRESS, as Docker does; an IPv6 address may be in brackets.
func parseAddHost(word string, network Network) (name, address string, err error) {
	at := strings.IndexAny(word, ":=")
	if at <= 0 || strings.ContainsAny(word, " \t\n#") {
		return "", "", &Error{Flag: "--add-host", Value: word, Reason: "a name is written NAME:ADDRESS", Fix: "--add-host db:127.0.0.1"}
	}
	name, address = word[:at], strings.Trim(word[at+1:], "[]")
	if address == hostGateway {
		if network != NetworkHost {
			return "", "", &Error{Flag: "--add-host", Value: word, Reason: "a network of loopback alone has no way to this machine", Fix: "--network host"}
		}
		return name, "127.0.0.1", nil
	}
	if _, err := netip.ParseAddr(address); err != nil {
		return "", "", &Error{Flag: "--add-host", Value: word, Reason: "\"" + address + "\" is no IP address", Fix: "--add-host " + name + ":127.0.0.1"}
	}
	return name, address, nil
}

// ByFlag begins a resolv.conf that was asked for. One without it is the machine's, and follows that.
const ByFlag = "# by --dns\n"

// resolver puts what was asked for in the place of the machine's resolv.conf. Each flag takes the place of the lines of its
// own kind, as with Docker.
func (f *NameFlags) resolver(n *Names) error {
	if len(f.DNS)+len(f.DNSSearch) == 0 {
		return nil
	}
	for _, address := range f.DNS {
		if _, err := netip.ParseAddr(address); err != nil {
			return &Error{Flag: "--dns", Value: address, Reason: "a resolver is given by its IP address", Fix: "--dns 9.9.9.9"}
		}
	}
	for _, domain := range f.DNSSearch {
		if domain == "" || strings.ContainsAny(domain, " \t\n#;") {
			return &Error{Flag: "--dns-search", Value: domain, Reason: "that is no domain"}
		}
	}
	kept := slices.DeleteFunc(strings.Split(n.ResolvConf, "\n"), func(line string) bool {
		word, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(line), "\t", " "), " ")
		switch word {
		case "nameserver":
			return len(f.DNS) > 0
		case "search", "domain":
			return len(f.DNSSearch) > 0
		}
		return word == "" || word[0] == '#' || word[0] == ';'
	})
	text := ByFlag
	for _, address := range f.DNS {
		text += "nameserver " + address + "\n"
	}
	if len(f.DNSSearch) > 0 && !slices.Equal(f.DNSSearch, []string{"."}) {
		text += "search " + strings.Join(f.DNSSearch, " ") + "\n"
	}
	for _, line := range kept {
		text += line + "\n"
	}
	n.ResolvConf = text
	return nil
}
