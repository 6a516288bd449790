package cli

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/bundle"
)

// source is the kind of an image.
type source struct {
	hello  bool
	rootfs string // absolute, of dir:
	image  *imageSource
}

const (
	helloImage = "builtin:hello"
	dirPrefix  = "dir:"
)

func parseSource(image string) (source, error) {
	if image == helloImage {
		return source{hello: true}, nil
	}
	dir, ok := strings.CutPrefix(image, dirPrefix)
	switch {
	case !ok:
		return source{}, &failure{
			id:   idImage,
			what: strconv.Quote(image) + " is no directory and no built-in image",
			try:  []string{"locald run builtin:hello"},
		}
	case dir == "":
		return source{}, &failure{id: idRootfs, what: "dir: needs a directory", try: []string{"locald run dir:./rootfs COMMAND"}}
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return source{}, &failure{id: idRootfs, what: err.Error()}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil { // root.path must not be a link
		path = real
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return source{}, &failure{id: idRootfs, what: "the root file system " + path + " cannot be used: " + reason(err)}
	case !info.IsDir():
		return source{}, &failure{id: idRootfs, what: "the root file system " + path + " is not a directory"}
	}
	return source{rootfs: path}, nil
}

// reason is the kernel's answer without the call and the path around it.
func reason(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

// plan turns flags into the options of a bundle. The root file system is filled in later; what it has to
// say about users is asked of text, which reads one of its files.
func (f *runFlags) plan(src source, command []string, text func(name string) (string, error)) (bundle.Options, error) {
	o := bundle.Options{
		ReadOnly:     f.readOnly || src.hello,
		ID:           f.name,
		Hostname:     f.hostname,
		Network:      bundle.Network(f.network),
		Capabilities: bundle.Capabilities{Add: f.capAdd, Drop: f.capDrop},
		Process:      bundle.Process{Args: command, Cwd: f.workdir},
	}
	if f.name != "" && !bundle.ValidID(f.name) {
		return o, &bundle.Error{Flag: "--name", Value: f.name, Reason: "a name is made of a-z, 0-9 and, after the first character, _ . -"}
	}
	if o.Hostname == "" {
		o.Hostname = f.name[:min(len(f.name), 64)]
	}
	if o.ID == "" || f.printBundle == "" && !f.dryRun {
		o.ID = randomID()
	}
	if src.hello {
		o.Process.Args = append([]string{bundle.HelloPath}, command...)
	}
	if src.image != nil {
		src.image.config(f, &o.Process)
		if len(o.Process.Args) == 0 {
			return o, &failure{id: idUsage, what: "the image names no program, so run needs a command", try: []string{"locald run " + src.image.word + " /bin/sh"}}
		}
	}
	if len(o.Process.Args) == 0 {
		return o, &failure{id: idUsage, what: "dir: needs a command", try: []string{"locald run dir:" + src.rootfs + " /bin/sh"}}
	}
	env, err := f.environment()
	if err != nil {
		return o, err
	}
	o.Process.Env = append(o.Process.Env, env...)
	if o.Process.User, err = f.lookUser(text); err != nil {
		return o, err
	}
	if o.Limits, err = f.limits(); err != nil {
		return o, err
	}
	if o.Mounts, err = f.mounts(); err != nil {
		return o, err
	}
	// What is written elsewhere goes with a container in the foreground anyway.
	if src.image != nil && (f.detach || f.readOnly) {
		if o.Mounts, err = f.imageVolumes(src.image, o.Mounts); err != nil {
			return o, err
		}
	}
	if o.Kernel, err = f.kernel(); err != nil {
		return o, err
	}
	if err := errors.Join(f.rlimits(&o.Process), f.onlyImages(src)); err != nil {
		return o, err
	}
	o.Owners, err = f.owners(o.Mounts, o.Process.User, text)
	return o, err
}

// owners are the users of volumes with owner=USER: by name or number in the container, or "me", as who the program runs.
func (f *runFlags) owners(mounts []specs.Mount, me bundle.User, text func(string) (string, error)) (map[string]bundle.User, error) {
	owners := map[string]bundle.User{}
	for i := range mounts {
		word, ok := bundle.CutOwner(&mounts[i])
		switch {
		case !ok:
		case word == "me":
			owners[mounts[i].Destination] = me
		default:
			as := *f
			as.user = word
			u, err := as.lookUser(text)
			var e *bundle.Error
			if errors.As(err, &e) {
				e.Flag, e.Value = "--volume", mounts[i].Source+":"+mounts[i].Destination+":owner="+word
			}
			if err != nil {
				return nil, err
			}
			owners[mounts[i].Destination] = u
		}
	}
	return owners, nil
}

// randomID names a container that nobody named. It need not be secret, only different, and the helper
// refuses an id that is in use.
func randomID() string {
	const digits = "0123456789abcdef"
	id := make([]byte, 12)
	bits := rand.Uint64()
	for i := range id {
		id[i] = digits[bits>>(4*i)&0xf]
	}
	return string(id)
}

func (f *runFlags) environment() ([]string, error) {
	var env []string
	for _, name := range f.envFiles {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, &failure{id: idUsage, what: "--env-file " + name + ": " + reason(err)}
		}
		entries, err := bundle.ParseEnvFile(name, string(text), os.LookupEnv)
		if err != nil {
			return nil, err
		}
		env = append(env, entries...)
	}
	for _, word := range f.env {
		entry, ok, reason := bundle.ParseEnv(word, os.LookupEnv)
		if reason != "" {
			return nil, &bundle.Error{Flag: "--env", Value: word, Reason: reason}
		}
		if ok {
			env = append(env, entry)
		}
	}
	return env, nil
}

func (f *runFlags) lookUser(text func(string) (string, error)) (bundle.User, error) {
	passwd, err := text("etc/passwd")
	if err != nil {
		return bundle.User{}, &failure{id: idUser, what: "the container's /etc/passwd cannot be read: " + reason(err)}
	}
	group, err := text("etc/group")
	if err != nil {
		return bundle.User{}, &failure{id: idUser, what: "the container's /etc/group cannot be read: " + reason(err)}
	}
	return bundle.LookupUser(f.user, passwd, group)
}

func (f *runFlags) limits() (l bundle.Limits, err error) {
	if f.memory != "" {
		if l.Memory, err = bundle.ParseMemory(f.memory); err != nil {
			return l, err
		}
	}
	if f.cpus != "" {
		if l.CPUQuota, err = bundle.ParseCPUs(f.cpus); err != nil {
			return l, err
		}
	}
	if f.swap != "" {
		if l.Swap, err = bundle.ParseSwap(f.swap, l.Memory); err != nil {
			return l, err
		}
	}
	if l.CPUs = f.cpuset; l.CPUs != "" {
		if err = bundle.ParseCPUSet(l.CPUs); err != nil {
			return l, err
		}
	}
	l.Pids = max(f.pids, 0) // Docker writes "no limit" as 0 and as -1
	return l, nil
}

func (f *runFlags) mounts() ([]specs.Mount, error) {
	var list []specs.Mount
	for _, word := range f.volumes {
		m, err := f.volume(word)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	for _, word := range f.mountWords {
		m, err := f.mount(word)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	for _, word := range f.tmpfs {
		m, err := bundle.ParseTmpfs(word)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// volumeSource is the absolute path of a source that exists. Docker makes a missing one as an empty
// directory of root's, which hides the mistake and then cannot be removed.
func volumeSource(word, source string) (string, error) {
	path, err := filepath.Abs(source)
	if err != nil {
		return "", &failure{id: idVolume, what: err.Error()}
	}
	_, err = os.Stat(path)
	switch {
	case err == nil:
		return path, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", &failure{id: idVolume, what: path + " cannot be used (from -v " + word + "): " + reason(err)}
	}
	f := &failure{
		id:   idVolume,
		what: path + " does not exist on this machine (from -v " + word + ")",
		try:  []string{"mkdir -p " + source},
	}
	if filepath.IsAbs(source) {
		if _, err := os.Stat("." + source); err == nil {
			f.try = append(f.try, "-v ."+word)
		}
	}
	return "", f
}

// linuxOnly says that builtin:hello is this very program, which only Linux can run in a container.
func (s source) linuxOnly() error {
	if s.hello && runtime.GOOS != "linux" {
		return &failure{id: idImage, what: "builtin:hello can be written on Linux only", try: []string{"locald run --print-bundle DIR dir:ROOTFS COMMAND"}}
	}
	return nil
}

// flagOf names the flag behind a JSON pointer into the config.json that Generate made, "" when none is.
func (f *runFlags) flagOf(pointer string, spec *specs.Spec) string {
	part := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	at := func(i int, word string) bool { return i < len(part) && part[i] == word }
	switch {
	case at(0, "mounts") && len(part) > 1:
		return f.mountFlag(part[1], spec)
	case at(0, "root"):
		return "the image"
	case at(0, "hostname"):
		return "--hostname"
	case at(0, "process") && at(1, "cwd") && f.workdir != "":
		return "-w " + f.workdir
	case at(0, "process") && at(1, "user") && f.user != "":
		return "-u " + f.user
	case at(0, "process") && at(1, "rlimits") && len(f.ulimits) > 0:
		return "--ulimit " + strings.Join(f.ulimits, " --ulimit ")
	case at(0, "process") && at(1, "apparmorProfile"), at(0, "linux") && at(1, "seccomp"):
		return strings.TrimSpace("--security-opt " + strings.Join(f.security, " "))
	case at(0, "linux") && at(1, "sysctl") && len(f.sysctls) > 0:
		return "--sysctl " + strings.Join(f.sysctls, " --sysctl ")
	case at(0, "linux") && at(1, "devices") && len(f.devices) > 0:
		return "--device " + strings.Join(f.devices, " --device ")
	case at(0, "process") && at(1, "capabilities") && len(f.capAdd)+len(f.capDrop) > 0:
		return "--cap-add and --cap-drop"
	case at(0, "linux") && (at(1, "resources") || at(1, "cgroupsPath")):
		return f.limitFlag(part[2:])
	}
	return ""
}

func (f *runFlags) limitFlag(rest []string) string {
	one := ""
	if len(rest) > 0 {
		one = rest[0]
	}
	var flags []string
	if f.memory != "" && (one == "" || one == "memory") {
		flags = append(flags, "--memory "+f.memory)
	}
	if f.swap != "" && (one == "" || one == "memory") {
		flags = append(flags, "--memory-swap "+f.swap)
	}
	if f.cpuset != "" && (one == "" || one == "cpu") {
		flags = append(flags, "--cpuset-cpus "+f.cpuset)
	}
	if f.cpus != "" && (one == "" || one == "cpu") {
		flags = append(flags, "--cpus "+f.cpus)
	}
	if f.pids > 0 && (one == "" || one == "pids") {
		flags = append(flags, "--pids-limit "+strconv.FormatInt(f.pids, 10))
	}
	return strings.Join(flags, " and ")
}

func (f *runFlags) mountFlag(index string, spec *specs.Spec) string {
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || n >= len(spec.Mounts) {
		return ""
	}
	destination := spec.Mounts[n].Destination
	parsers := []struct {
		flag  string
		words []string
		parse func(string) (specs.Mount, error)
	}{{"-v ", f.volumes, bundle.ParseVolume}, {"--mount ", f.mountWords, parseMount}, {"--tmpfs ", f.tmpfs, bundle.ParseTmpfs}}
	for _, p := range parsers {
		at := slices.IndexFunc(p.words, func(word string) bool {
			m, err := p.parse(word)
			return err == nil && m.Destination == destination
		})
		if at >= 0 {
			return p.flag + p.words[at]
		}
	}
	return ""
}
