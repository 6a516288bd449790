package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/locald/locald/internal/bundle"
)

// The machine's own files about names.
const (
	hostsFile      = "/etc/hosts"
	resolvConfFile = "/etc/resolv.conf"
	ipv6File       = "/proc/net/if_inet6" // empty or missing without IPv6 (proc_pid_net(5))
)

// names gives a container of an image the files that it looks names up in; they lie in dir.
func (f *runFlags) addNames(o *bundle.Options, dir string) (err error) {
	hostname := o.Hostname
	if hostname == "" {
		hostname = o.ID
	}
	o.Names, err = f.names.Names(o.Network, hostname, readWhole(hostsFile), readWhole(resolvConfFile), readText(ipv6File) != "")
	if o.Names != nil {
		o.Names.Dir = dir
	}
	return err
}

// onlyImages refuses the flags about names where the root file system is somebody's directory, which is used as it is.
func (f *runFlags) onlyImages(src source) error {
	if src.image != nil || len(f.names.AddHost)+len(f.names.DNS)+len(f.names.DNSSearch) == 0 {
		return nil
	}
	return &failure{id: idUsage, what: "--add-host, --dns and --dns-search are for images; a directory is used with the files that it has", try: []string{"edit ROOTFS/etc/hosts, ROOTFS/etc/resolv.conf"}}
}

// writeNames writes the files into a directory of the container's.
func writeNames(n *bundle.Names) error {
	if n == nil {
		return nil
	}
	for name, text := range n.Files() {
		path := filepath.Join(n.Dir, name)
		// Whoever runs in the container reads them, whatever the umask.
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), os.Chmod(path, 0o644)); err != nil {
			return &failure{id: idBundle, what: "the container's /etc/" + name + " cannot be written: " + reason(err)}
		}
	}
	return nil
}

// followResolver writes the machine's resolv.conf once more into that of a container that is started again: the network
// may be another one by now. It is written in place, since it may be mounted.
func followResolver(dir string) {
	path := filepath.Join(dir, "resolv.conf")
	if old := readWhole(path); old == "" || strings.HasPrefix(old, bundle.ByFlag) {
		return
	}
	if text := readWhole(resolvConfFile); text != "" {
		os.WriteFile(path, []byte(text), 0o644)
	}
}

// readWhole is the text of a file, "" when it cannot be read.
func readWhole(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}
