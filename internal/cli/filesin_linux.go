package cli

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/files"
)

// filesIn is a container whose files are asked for, on its own side: by a process in it, or, when it does not run, in
// another one that has its root file system.
type filesIn struct {
	*app
	c    *container.Container
	spec *specs.Spec
}

func (a *app) filesIn(word string) (*filesIn, error) {
	c, err := a.findContainer(word)
	if err != nil {
		return nil, err
	}
	in := &filesIn{a, c, &specs.Spec{}}
	text, err := os.ReadFile(filepath.Join(c.Dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, in.spec)
	}
	if err == nil && (in.spec.Process == nil || in.spec.Linux == nil || in.spec.Root == nil) {
		err = errors.New("it is none")
	}
	if err != nil {
		return nil, &failure{id: idContainer, what: "the configuration of the container " + c.Name + " cannot be read: " + reason(err)}
	}
	return in, nil
}

func (in *filesIn) fails(what string) error {
	return &failure{id: idFiles, what: what + ", in the container " + in.c.Name}
}

// do has a verb of files.Main done with a path of the container.
func (in *filesIn) do(verb, flags, name string, stdin, stdout *os.File) error {
	switch in.c.State.Status {
	case container.Running:
		return in.running([]string{"/", verb, flags, name}, stdin, stdout)
	case container.Waiting:
		return &failure{id: idStatus, what: "the container " + in.c.Name + " is about to be started again", try: []string{"locald stop " + in.c.Name}}
	}
	for _, m := range in.spec.Mounts {
		if m.Destination != "/" && bundle.Within(path.Join("/", name), m.Destination) {
			out := &failure{id: idFiles, what: m.Destination + " is mounted only while the container " + in.c.Name + " runs", try: []string{"locald start " + in.c.Name}}
			if m.Type == "bind" {
				out.why = []string{"on this machine it is " + m.Source}
			}
			return out
		}
	}
	release, err := in.c.Hold()
	if err != nil {
		return in.fails("its files cannot be had: " + err.Error())
	}
	defer release()
	root := specs.Mount{Destination: bundle.LayersPath, Type: "bind", Source: in.spec.Root.Path, Options: []string{"rbind", "rprivate", "nosuid", "nodev"}}
	if m := in.overlay(); m != nil {
		root = *m
		root.Destination = bundle.LayersPath
	}
	return in.beside([]specs.Mount{root}, []string{bundle.LayersPath, verb, flags, name}, stdin, stdout)
}

// overlay is the container's root file system, if it is one.
func (in *filesIn) overlay() *specs.Mount {
	if m := in.spec.Mounts; len(m) > 0 && m[0].Destination == "/" && m[0].Type == "overlay" {
		return &m[0]
	}
	return nil
}

// running has it done in the container, by this program in a file of memory that nothing can write: through
// /proc/PID/exe the container's root could write any other that belongs to the caller (CVE-2019-5736).
func (in *filesIn) running(args []string, stdin, stdout *os.File) error {
	j := bundle.Join{Args: append([]string{"/proc/self/fd/3", files.Verb}, args...), Cwd: "/", User: &bundle.User{}}
	process, err := j.Process(in.spec)
	if err != nil {
		return err
	}
	all := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"}
	process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	process.Env, process.NoNewPrivileges = []string{"PATH=/"}, true
	text, err := json.Marshal(process)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "locald-files-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "process.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	self, err := sealedSelf()
	if err != nil {
		return err
	}
	defer self.Close()
	said, stderr, err := collector()
	if err != nil {
		return err
	}
	code, message, err := in.c.ExecFrom(filepath.Join(dir, "log"), []string{"--process", file, "--preserve-fds", "1"}, []*os.File{self}, stdin, stdout, stderr)
	stderr.Close()
	complaint := strings.TrimSpace(<-said)
	if message != "" {
		complaint = message
	}
	return in.ended(code, complaint, err)
}

func (in *filesIn) ended(code int, complaint string, err error) error {
	switch {
	case err != nil:
		return in.fails(err.Error())
	case code == 0:
		return nil
	case complaint == "":
		complaint = "the program that does it ended with exit code " + strconv.Itoa(code)
	}
	return in.fails(printable(complaint))
}

// sealedSelf is this program, in a file that cannot change.
func sealedSelf() (*os.File, error) {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer from.Close()
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("locald", flags|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3 every one can be executed
		fd, err = unix.MemfdCreate("locald", flags)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	to := os.NewFile(uintptr(fd), "locald")
	if _, err = io.Copy(to, from); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		to.Close()
		return nil, err
	}
	return to, nil
}

// beside has it done in a container that holds nothing but this program and these mounts, with the same ids.
func (in *filesIn) beside(mounts []specs.Mount, args []string, stdin, stdout *os.File) error {
	helper, err := in.helper()
	if err != nil {
		return helperFailure(err)
	}
	rootfs, err := helloRootfs()
	if err != nil {
		return &failure{id: idBundle, what: err.Error()}
	}
	o := bundle.Options{
		Rootfs: rootfs, ReadOnly: true, ID: randomID(), Network: bundle.NetworkNone, Caller: caller(helper.Setuid), Mounts: mounts,
		Process: bundle.Process{Args: append([]string{bundle.HelloPath, files.Verb}, args...)},
	}
	said, stderr, err := collector()
	if err != nil {
		return err
	}
	code, err := runOwn(helper, o, stdin, stdout, stderr)
	stderr.Close()
	if complaint := strings.TrimSpace(<-said); err == nil {
		return in.ended(code, complaint, nil)
	}
	return err
}

type idMap = specs.LinuxIDMapping

func isBrokenPipe(err error) bool { return errors.Is(err, unix.EPIPE) }
