package bundle

import (
	"errors"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	const hosts, resolv = "127.0.0.1 localhost\n10.0.0.7 db # ours", "# made by a program\nnameserver 127.0.0.53\noptions edns0\nsearch lan\n"
	for _, c := range []struct {
		name          string
		flags         NameFlags
		network       Network
		ipv6          bool
		hosts, resolv string
	}{
		{
			name: "the machine's", network: NetworkHost, hosts: hosts + "\n127.0.0.1\tbox\n127.0.0.1\t" + machineNames + "\n", resolv: resolv,
		},
		{
			name: "none", network: NetworkNone, ipv6: true,
			hosts: "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tbox\n",
		},
		{
			name: "added", network: NetworkNone, flags: NameFlags{AddHost: []string{"db:10.1.2.3", "six=[fd00::1]", "seven:fd00::7"}},
			hosts: "10.1.2.3\tdb\nfd00::1\tsix\nfd00::7\tseven\n127.0.0.1\tlocalhost\n127.0.0.1\tbox\n",
		},
		{
			name: "resolver", network: NetworkHost, flags: NameFlags{AddHost: []string{"me:host-gateway"}, DNS: []string{"9.9.9.9", "fd00::53"}},
			hosts:  "127.0.0.1\tme\n" + hosts + "\n127.0.0.1\tbox\n127.0.0.1\t" + machineNames + "\n",
			resolv: ByFlag + "nameserver 9.9.9.9\nnameserver fd00::53\noptions edns0\nsearch lan\n",
		},
		{
			name: "domains", network: NetworkHost, flags: NameFlags{DNSSearch: []string{"a.b", "c.d"}},
			hosts:  hosts + "\n127.0.0.1\tbox\n127.0.0.1\t" + machineNames + "\n",
			resolv: ByFlag + "search a.b c.d\nnameserver 127.0.0.53\noptions edns0\n",
		},
		{
			name: "no domain", network: NetworkHost, flags: NameFlags{DNSSearch: []string{"."}},
			hosts:  hosts + "\n127.0.0.1\tbox\n127.0.0.1\t" + machineNames + "\n",
			resolv: ByFlag + "nameserver 127.0.0.53\noptions edns0\n",
		},
	} {
		n, err := c.flags.Names(c.network, "box", hosts, resolv, c.ipv6)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if n.Hosts != c.hosts || n.ResolvConf != c.resolv || n.Hostname != "box\n" {
			t.Errorf("%s:\n%q\n%q\n%q", c.name, n.Hosts, n.ResolvConf, n.Hostname)
		}
	}
	n, err := (&NameFlags{}).Names(NetworkHost, "box", "", "", false)
	if err != nil || !strings.HasPrefix(n.Hosts, "127.0.0.1\tlocalhost\n") || n.ResolvConf != "" || len(n.mounts()) != 2 {
		t.Errorf("on a machine without these files: %+v, %v", n, err)
	}
}

func TestNamesRefused(t *testing.T) {
	for _, c := range []struct {
		flag, reason string
		flags        NameFlags
	}{
		{"--add-host", "a name is written", NameFlags{AddHost: []string{"db"}}},
		{"--add-host", "a name is written", NameFlags{AddHost: []string{":1.2.3.4"}}},
		{"--add-host", "a name is written", NameFlags{AddHost: []string{"a\nb:1.2.3.4"}}},
		{"--add-host", "is no IP address", NameFlags{AddHost: []string{"db:other"}}},
		{"--add-host", "no way to this machine", NameFlags{AddHost: []string{"me:host-gateway"}}},
		{"--dns", "by its IP address", NameFlags{DNS: []string{"resolver.example"}}},
		{"--dns-search", "no domain", NameFlags{DNSSearch: []string{"a b"}}},
		{"--dns-search", "no domain", NameFlags{DNSSearch: []string{"a\nnameserver 6.6.6.6"}}},
	} {
		_, err := c.flags.Names(NetworkNone, "box", "", "", false)
		var e *Error
		if !errors.As(err, &e) || e.Flag != c.flag || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("%+v: %v", c.flags, err)
		}
	}
}
