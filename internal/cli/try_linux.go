package cli

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/mountinfo"
)

// runHost makes a bundle of the machine's own file system and has it executed.
func (a *app) runHost(f *runFlags, h *hostFlags, command []string) error {
	helper, err := a.helper()
	if err != nil {
		return helperFailure(err)
	}
	defer a.doneWithVolumes(f)
	v := &hostView{app: a, flags: h, who: caller(false)}
	v.who.Setuid = helper.Setuid
	if err := v.look(f); err != nil {
		return err
	}
	if err := a.holdVolumes(f, helper, nil); err != nil {
		return err
	}
	options, err := a.hostOptions(f, v, command)
	if err != nil {
		return err
	}
	s, err := a.newHostScratch(helper, options.ID, v)
	if err != nil {
		return err
	}
	defer s.remove()
	kept, err := openKept(h.keep)
	if err != nil {
		return err
	}
	if kept != nil {
		defer kept.Close()
	}
	options.Rootfs = filepath.Join(s.path, "root")
	spec, err := bundle.GenerateHost(options, v.HostView)
	if err != nil {
		return err
	}
	if options.Network == bundle.NetworkHost {
		a.note(exposed())
	}
	failed := a.execute(f, helper, spec, options.ID)
	if f.dryRun {
		return failed
	}
	if kept != nil {
		signal.Reset() // what is saved may be much: Ctrl-C ends that
	}
	return errors.Join(failed, a.settle(v, kept))
}

// hostOptions are the flags, and an environment of a few variables.
func (a *app) hostOptions(f *runFlags, v *hostView, command []string) (o bundle.Options, err error) {
	id := randomID()
	o = bundle.Options{
		ID: "try-" + id, Hostname: f.hostname, Network: bundle.Network(f.network), Caller: v.who,
		Process: bundle.Process{Args: command, Cwd: v.cwd, User: bundle.User{Home: v.home}},
	}
	if o.Hostname == "" {
		o.Hostname = "try-" + id[:4]
	}
	if f.name != "" {
		o.ID = f.name
	}
	if f.workdir != "" {
		o.Process.Cwd = f.workdir
		if !filepath.IsAbs(f.workdir) {
			o.Process.Cwd = filepath.Join(v.cwd, f.workdir)
		}
	}
	for _, name := range []string{"PATH", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ"} {
		if value, set := os.LookupEnv(name); set {
			o.Process.Env = append(o.Process.Env, name+"="+value)
		}
	}
	o.Process.Env = append(o.Process.Env, "PWD="+o.Process.Cwd)
	env, err := f.environment()
	if err != nil {
		return o, err
	}
	o.Process.Env = append(o.Process.Env, env...)
	if o.Kernel, err = f.kernel(); err != nil {
		return o, err
	}
	if err := f.rlimits(&o.Process); err != nil {
		return o, err
	}
	o.Limits, err = f.limits()
	a.terminal(f, &o.Process)
	return o, err
}

// hostView is what is found out about the machine for one run.
type hostView struct {
	bundle.HostView
	app      *app
	flags    *hostFlags
	who      bundle.Caller
	cwd      string
	home     string // HOME as it is
	realHome string // where that leads to; "" when there is none
	project  string // what can be written to; "" when nothing can
	links    []string
	mounts   []mountinfo.Mount
	over     []string // directories that overlays are to lie on
	hidden   []string // what nothing is to be seen of
}

// kernelDirs are made anew in every container.
var kernelDirs = []string{"/proc", "/sys", "/dev"}

// systemDirs are not for a program to write to because somebody happens to stand in them.
var systemDirs = []string{
	"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv",
	"/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/tmp", "/dev/shm",
}

// look fills the view in. What cannot be found out is an error: nothing is left to be seen by accident.
func (v *hostView) look(f *runFlags) error {
	fail := func(what string, err error) error {
		return &failure{id: idHostView, what: what + ": " + reason(err)}
	}
	cwd, err := os.Getwd()
	if err == nil {
		cwd, err = filepath.EvalSymlinks(cwd)
	}
	if err != nil {
		return fail("the current directory cannot be told", err)
	}
	v.cwd = cwd
	if v.mounts, err = readMounts(); err != nil {
		return fail("the mounts of this machine cannot be told", err)
	}
	if err := v.lookTop(); err != nil {
		return fail("the root directory cannot be read", err)
	}
	if v.home = os.Getenv("HOME"); filepath.IsAbs(v.home) {
		v.home = filepath.Clean(v.home)
		if real, err := filepath.EvalSymlinks(v.home); err == nil && real != "/" {
			v.realHome = real
		}
	} else {
		v.home = "/"
	}
	if err := v.lookProject(); err != nil {
		return err
	}
	if v.who.Root() {
		err = v.lookRoot()
	} else {
		v.lookCovered()
	}
	if err := errors.Join(err, v.lookOwners()); err != nil {
		return err
	}
	if v.Own, err = f.mounts(); err != nil {
		return err
	}
	return v.lookHidden()
}

// lookTop sorts what lies in "/".
func (v *hostView) lookTop() error {
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	v.Empty = []string{"/tmp", "/run"}
	for _, e := range entries {
		path := "/" + e.Name()
		switch {
		case slices.Contains(kernelDirs, path) || slices.Contains(v.Empty, path) || e.Name() == "lost+found":
		case e.Type() == os.ModeSymlink:
			v.links = append(v.links, e.Name())
		case e.IsDir() || e.Type().IsRegular():
			v.Shown = append(v.Shown, path)
		}
	}
	for _, path := range []string{"/var/tmp", "/var/run", "/var/lock"} {
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			v.Empty = append(v.Empty, path)
		}
	}
	// NixOS keeps its programs behind links in /run, and a resolver what /etc/resolv.conf leads to.
	for _, path := range []string{"/run/current-system", "/run/booted-system", "/run/opengl-driver", "/run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/resolvconf/resolv.conf", "/run/NetworkManager/resolv.conf"} {
		info, err := os.Stat(path)
		if err == nil && (info.IsDir() || info.Mode().IsRegular()) {
			v.Kept = append(v.Kept, path)
		}
	}
	return nil
}

// lookProject finds what can be written to.
func (v *hostView) lookProject() error {
	project, chosen := v.cwd, v.flags.writable != ""
	if chosen {
		real, err := filepath.Abs(v.flags.writable)
		if err == nil {
			real, err = filepath.EvalSymlinks(real)
		}
		info, statErr := os.Stat(real)
		if err == nil && statErr == nil && !info.IsDir() {
			err = unix.ENOTDIR
		}
		if err = errors.Join(err, statErr); err != nil {
			return &failure{id: idVolume, what: "--rw " + v.flags.writable + " cannot be used: " + reason(err)}
		}
		project = real
	}
	kernel := slices.ContainsFunc(kernelDirs[:2], func(dir string) bool { return bundle.Within(project, dir) })
	if kernel || slices.Contains(systemDirs, project) || v.realHome != "" && bundle.Within(v.realHome, project) {
		if chosen {
			return &failure{id: idVolume, what: "--rw " + v.flags.writable + ": that is too much of the machine to be written to; choose a directory in it"}
		}
		v.app.note("started in " + project + ", so nothing that is written stays; --rw DIR chooses a directory")
		return nil
	}
	v.project = project
	return nil
}

// lookCovered says where changes are thrown away: in the home directory, and in the highest directory above the
// project that the caller may write to. What has other file systems below it no overlay can lie on: the kernel
// does not let a user look below those.
func (v *hostView) lookCovered() {
	if v.realHome != "" && v.coverable(v.realHome) {
		v.over = append(v.over, v.realHome)
	}
	if v.realHome != "" && bundle.Within(v.project, v.realHome) {
		return
	}
	for i := 1; i < len(v.project); i++ {
		if v.project[i] != '/' {
			continue
		}
		dir := v.project[:i]
		if !slices.Contains(systemDirs, dir) && unix.Access(dir, unix.W_OK) == nil && v.coverable(dir) {
			v.over = append(v.over, dir)
			return
		}
	}
}

func (v *hostView) coverable(dir string) bool {
	if slices.Contains(systemDirs, dir) {
		return false
	}
	for _, m := range v.mounts {
		if m.Point != dir && bundle.Within(m.Point, dir) {
			v.app.note(m.Point + " is mounted below " + dir + ", so nothing there can be written to")
			return false
		}
	}
	return true
}

// lookRoot: a container of root's is an ordinary user's who owns nothing. Its home is new and empty.
func (v *hostView) lookRoot() error {
	start, err := freeRange([]string{readText(subuidFile), readText(subgidFile)}, []string{readText(passwdFile), readText(groupFile)})
	if err != nil {
		return &failure{id: idHostView, what: err.Error()}
	}
	v.ID = uint32(start)
	return nil
}

// lookOwners says whose the project is, and for root also the current directory when it is another: what is closed to
// others would be out of reach.
func (v *hostView) lookOwners() error {
	own := bundle.Within(v.cwd, v.project) || slices.Contains(systemDirs, v.cwd) || v.realHome != "" && bundle.Within(v.realHome, v.cwd)
	if v.project != "" {
		v.Projects = append(v.Projects, bundle.Project{Path: v.project, Closed: v.flags.closed})
	}
	if v.who.Root() && !own {
		v.Projects = append(v.Projects, bundle.Project{Path: v.cwd, Closed: true})
	}
	for i := range v.Projects {
		p := &v.Projects[i]
		var st unix.Stat_t
		if err := unix.Stat(p.Path, &st); err != nil {
			return &failure{id: idHostView, what: p.Path + " cannot be looked at: " + err.Error()}
		}
		p.UID, p.GID = st.Uid, st.Gid
		if dir := closedTo(p.Path); v.who.Root() && dir != "" && dir != v.realHome { // it would be in the way
			v.Empty = append(v.Empty, dir)
		}
	}
	return nil
}

// closedTo is the first directory above path that others than its owner and group cannot enter; "" when there is none.
func closedTo(path string) string {
	for i := 1; i < len(path); i++ {
		var st unix.Stat_t
		if path[i] == '/' && (unix.Stat(path[:i], &st) != nil || st.Mode&1 == 0) {
			return path[:i]
		}
	}
	return ""
}

// lookHidden finds the stores and sockets that there are, by every path that leads to them.
func (v *hostView) lookHidden() error {
	homes := []string{v.home}
	if _, own := account(utoa(v.who.UID)); own != "" && own != v.home {
		homes = append(homes, own)
	}
	list := stores(homes, os.Getenv)
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		list = append(list, filepath.Clean(dir))
	}
	for _, path := range v.flags.hide {
		real, err := filepath.Abs(path)
		if err == nil {
			_, err = os.Lstat(real)
		}
		if err != nil {
			return &failure{id: idVolume, what: "--hide " + path + " cannot be used: " + reason(err)}
		}
		list = append(list, real)
	}
	// The sockets of its monitors have relative names, by which they are not found.
	if dir, err := dataDir(); err == nil && (v.inProject(dir) || !slices.ContainsFunc(v.over, func(over string) bool { return bundle.Within(dir, over) })) {
		list = append(list, filepath.Join(dir, "containers"))
	}
	sockets, err := listening()
	if err != nil {
		return &failure{id: idHostView, what: "the sockets of this machine cannot be told: " + reason(err)}
	}
	for _, path := range sockets {
		// One in the project is the program's to use, and through an overlay none can be reached.
		if !slices.ContainsFunc(append([]string{v.project}, v.over...), func(dir string) bool { return dir != "" && bundle.Within(path, dir) }) {
			list = append(list, path)
		}
	}
	for _, path := range list {
		if err := v.hide(path); err != nil {
			return err
		}
	}
	return nil
}

func (v *hostView) hide(path string) error {
	if _, err := os.Lstat(path); err != nil {
		// What the caller cannot reach the program cannot either.
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, os.ErrPermission) {
			return nil
		}
		return &failure{id: idHostView, what: path + " cannot be hidden: " + reason(err)}
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil // a link that leads to nothing
	}
	for _, path := range append(v.otherPaths(real), real) {
		switch {
		case bundle.Within(v.cwd, path) || v.project != "" && bundle.Within(v.project, path):
			return &failure{id: idHostView, what: path + " is hidden from the program, so it cannot be run in it", try: []string{"cd " + filepath.Dir(path)}}
		case v.gone(path) || v.who.Root() && !v.inProject(path) && closedTo(path) != "" || slices.ContainsFunc(v.hidden, func(h string) bool { return bundle.Within(path, h) }):
		default:
			v.hidden = slices.DeleteFunc(v.hidden, func(h string) bool { return bundle.Within(h, path) })
			v.hidden = append(v.hidden, path)
		}
	}
	return nil
}

// inProject reports whether a path is in what the program gets whatever is above it.
func (v *hostView) inProject(path string) bool {
	return slices.ContainsFunc(v.Projects, func(p bundle.Project) bool { return bundle.Within(path, p.Path) })
}

// gone reports whether something empty lies over a path already.
func (v *hostView) gone(path string) bool {
	deepest := ""
	for _, dir := range slices.Concat(v.Empty, kernelDirs) {
		if bundle.Within(path, dir) && len(dir) > len(deepest) {
			deepest = dir
		}
	}
	if deepest == "" {
		if !v.who.Root() || v.realHome == "" || !bundle.Within(path, v.realHome) {
			return false
		}
		deepest = v.realHome
	}
	again := slices.Concat(v.Kept, v.over)
	for _, p := range v.Projects {
		again = append(again, p.Path)
	}
	return !slices.ContainsFunc(again, func(dir string) bool { return bundle.Within(path, dir) && len(dir) > len(deepest) })
}
