package cli

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/hello"
	"github.com/locald/locald/internal/hello/clock"
	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/internal/shim"
	"github.com/locald/locald/libcontainer"
)

// run makes the bundle and has it executed.
func (a *app) run(f *runFlags, image string, command []string, networkGiven bool) error {
	if runtime.GOOS != "linux" && f.printBundle == "" {
		return libcontainer.ErrPlatform
	}
	src, err := a.source(f, image)
	if err != nil {
		return err
	}
	defer src.close()
	if f.printBundle != "" {
		return a.writeBundle(f, src, command)
	}
	helper, err := a.helper()
	if err != nil {
		return helperFailure(err)
	}
	if err := a.unpack(helper, src.image); err != nil {
		return err
	}
	options, err := a.options(f, src, command, helper.Setuid)
	if err != nil {
		return err
	}
	defer a.doneWithVolumes(f)
	if err := a.holdVolumes(f, helper, src.image); err != nil {
		return err
	}
	remove, err := a.place(f, helper, src, &options)
	if err != nil {
		return err
	}
	defer remove()
	if src.hello {
		if err := helloOptions(&options); err != nil {
			return err
		}
	}
	spec, err := bundle.Generate(options)
	if err != nil {
		return err
	}
	if !networkGiven && !f.dryRun {
		a.note("the container uses this machine's network; --network none isolates it, --network host says that this is meant")
	}
	if f.own = (&ownContainer{options.ID, image, src, options.Names}); f.detach {
		return a.onItsOwn(f, helper, spec, *f.own)
	}
	return a.execute(f, helper, spec, options.ID)
}

// place finds a directory for what a container of an image writes, which remove takes away again when the container
// is in the foreground.
func (a *app) place(f *runFlags, helper shim.Helper, src source, o *bundle.Options) (remove func(), err error) {
	nothing := func() {}
	switch {
	case src.image == nil:
		return nothing, nil
	case f.detach:
		dir, err := scratchOf(o.ID)
		if err == nil {
			err = f.mountImage(src.image, o, dir)
		}
		return nothing, err
	}
	dir, err := a.newScratch(helper, o.ID)
	if err != nil {
		return nothing, err
	}
	err = f.mountImage(src.image, o, dir.path)
	if err = errors.Join(err, writeNames(o.Names)); err != nil {
		dir.remove()
		return nothing, err
	}
	o.Overlay.Volatile = true
	return dir.remove, nil
}

// helloOptions gives builtin:hello its root file system, and the time that it counts from.
func helloOptions(o *bundle.Options) (err error) {
	if o.Rootfs, err = helloRootfs(); err != nil {
		return &failure{id: idRootfs, what: "the root file system of builtin:hello cannot be made: " + err.Error()}
	}
	o.Process.Env = append(o.Process.Env, hello.StartedEnv+"="+strconv.FormatInt(clock.Started, 10))
	return nil
}

// execute writes the bundle where only the caller can see it, and lets the helper run it. The helper reads
// config.json once, so the bundle can go as soon as the program runs, unless others are to see the container.
func (a *app) execute(f *runFlags, helper shim.Helper, spec *specs.Spec, id string) error {
	dir, err := newBundleDir(id)
	if err != nil {
		return &failure{id: idBundle, what: "no directory for the bundle: " + err.Error()}
	}
	defer dir.remove()
	if err := bundle.Write(dir.path, spec); err != nil {
		return &failure{id: idBundle, what: "the bundle cannot be written: " + err.Error()}
	}
	ports, err := f.listen(a)
	if err != nil {
		return err
	}
	defer ports.close()
	seen, ended := func(int) { dir.remove() }, func(int) {}
	if f.own != nil && !f.dryRun {
		if seen, ended, err = a.shown(f, helper, spec, dir.path); err != nil {
			return err
		}
	}
	running := func(pid int) {
		seen(pid)
		if err := ports.serve(pid); err != nil {
			a.note("the ports of the container cannot be reached: " + err.Error())
		}
	}
	settings := saveTerminal(a.stdin)
	// Nobody reads it: a second Ctrl-C must not end locald while it removes what the container had.
	a.signals = make(chan os.Signal, 1)
	shim.Notify(a.signals)
	result, err := helper.Run(shim.Request{
		Bundle: dir.path, ID: id, DryRun: f.dryRun, Running: running, Foreground: f.terminal && settings != nil,
		Timeout: time.Duration(f.timeout),
		Stdin:   a.stdin, Stdout: a.stdout, Stderr: a.stderr,
	})
	if err != nil {
		ended(shim.CodeCannotRun)
		return &failure{id: idHelper, what: "locald-shim cannot be started: " + err.Error(), try: []string{"locald doctor"}}
	}
	a.reap = result.Reap
	if f.terminal && result.HelperSignal != 0 {
		settings.restore()
	}
	ended(result.ExitCode)
	a.code = result.ExitCode
	for i, w := range result.Warnings {
		if !slices.Contains(result.Warnings[:i], w) { // a capability is in up to five sets
			a.note(w)
		}
	}
	return f.explain(&result, helper, spec)
}

// options are the flags with what the machine adds to them.
func (a *app) options(f *runFlags, src source, command []string, setuid bool) (bundle.Options, error) {
	text := func(name string) (string, error) { return bundle.ReadRootfs(src.rootfs, name) }
	if src.hello {
		text = func(string) (string, error) { return "", nil }
	}
	if src.image != nil {
		text = src.image.read
	}
	o, err := f.plan(src, command, text)
	if err != nil {
		return o, err
	}
	o.Rootfs = src.rootfs
	o.Caller = caller(setuid)
	o.CgroupMount = src.hello || src.image != nil || hasCgroupDir(src.rootfs)
	a.terminal(f, &o.Process)
	o.Process.Init, err = f.initProgram()
	return o, err
}

// hasCgroupDir looks for the one mount point that locald's bundles may need and no /sys brings along. It does
// not follow links: the mount is left out then, and nothing is lost but a view of the limits.
func hasCgroupDir(rootfs string) bool {
	for _, dir := range []string{"sys", "sys/fs", "sys/fs/cgroup"} {
		info, err := os.Lstat(filepath.Join(rootfs, dir))
		if err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// writeBundle is --print-bundle: the border between locald and locald-shim, made visible.
func (a *app) writeBundle(f *runFlags, src source, command []string) error {
	if err := src.linuxOnly(); err != nil {
		return err
	}
	helper, err := a.helper()
	if err != nil && !errors.Is(err, shim.ErrNotFound) {
		return helperFailure(err)
	}
	if err := a.unpack(helper, src.image); err != nil {
		return err
	}
	options, err := a.options(f, src, command, helper.Setuid)
	if err != nil {
		return err
	}
	if err := a.holdVolumes(f, helper, nil); err != nil {
		return err
	}
	if src.hello {
		options.Rootfs = "rootfs"
	}
	if src.image != nil {
		dir, err := filepath.Abs(f.printBundle)
		if err == nil {
			err = makeScratch(dir)
		}
		if err != nil {
			return &failure{id: idBundle, what: "the bundle cannot be written: " + err.Error()}
		}
		err = f.mountImage(src.image, &options, dir)
		if err = errors.Join(err, writeNames(options.Names)); err != nil {
			return err
		}
	}
	spec, err := bundle.Generate(options)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(f.printBundle)
	if err != nil {
		return &failure{id: idBundle, what: err.Error()}
	}
	config := filepath.Join(dir, "config.json")
	if _, err := os.Lstat(config); err == nil {
		return &failure{id: idBundle, what: config + " exists already", try: []string{"rm -r " + dir}}
	}
	err = os.MkdirAll(dir, 0o755)
	if err == nil && src.hello {
		err = writeHello(filepath.Join(dir, "rootfs"))
	}
	if err == nil {
		err = bundle.Write(dir, spec)
	}
	if err != nil {
		return &failure{id: idBundle, what: "the bundle cannot be written: " + err.Error()}
	}
	_, err = a.stdout.WriteString(config + "\n")
	return err
}

func writeHello(rootfs string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return bundle.WriteProgram(rootfs, bundle.HelloPath, self)
}

// helloRootfs is the rootfs of builtin:hello.
func helloRootfs() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return programRootfs(bundle.HelloPath, self)
}

// programRootfs is in a cache that lasts, or, for a user without a home directory, as long as the machine runs.
func programRootfs(program, executable string) (string, error) {
	cache, other, err := cacheDir()
	rootfs := ""
	if err == nil {
		rootfs, err = bundle.CachedProgram(cache, program, executable)
	}
	if err == nil || !other {
		return rootfs, err
	}
	home, err := runHome()
	if err != nil {
		return "", err
	}
	return bundle.CachedProgram(filepath.Join(home, "locald-cache"), program, executable)
}

// cacheDir holds what can be made again. other says that another place may do as well: nobody chose this one.
func cacheDir() (dir string, other bool, err error) {
	if dir := os.Getenv("LOCALD_CACHE"); dir != "" {
		dir, err := filepath.Abs(dir)
		return dir, false, err
	}
	if os.Getuid() == 0 {
		// Not below HOME: under sudo that may be the user's, and root writes nothing there.
		return "/var/cache/locald", false, nil
	}
	dir, err = os.UserCacheDir()
	return filepath.Join(dir, "locald"), true, err
}

// helperFailure is why there is no helper to use.
func helperFailure(err error) error {
	if errors.Is(err, shim.ErrNotFound) {
		return &failure{
			id:   idNotSetUp,
			what: "this machine is not set up: locald-shim is not installed set-user-ID root",
			try:  []string{"sudo locald setup   (what it changes: locald setup --dry-run)"},
		}
	}
	return &failure{id: idHelper, what: "the locald-shim that --shim or LOCALD_SHIM names cannot be used: " + err.Error()}
}

// caller is who runs locald, and which further ids the machine gave them. They are looked up only where the
// helper could use them.
func caller(setuid bool) bundle.Caller {
	uid, gid := max(os.Getuid(), 0), max(os.Getgid(), 0) // -1 on Windows, which has neither
	c := bundle.Caller{UID: uint32(uid), GID: uint32(gid), Setuid: setuid}
	if !c.Root() && setuid {
		grant, _ := accounts(c.UID, c.GID)
		c.SubUIDs = usable(grant.SubUIDs, grant.TakenUIDs)
		c.SubGIDs = usable(grant.SubGIDs, grant.TakenGIDs)
	}
	return c
}

// accounts are the ids that a user may map, read as the helper reads them, and the user's name.
func accounts(uid, gid uint32) (grant *policy.Grant, name string) {
	grant = &policy.Grant{UID: uid, GID: gid}
	name = grant.AddAccounts(policy.Accounts{
		Passwd: readText(passwdFile), Group: readText(groupFile), SubUID: readText(subuidFile), SubGID: readText(subgidFile),
	})
	return grant, name
}

// usable is the first range, up to an id in it that belongs to another account after all.
func usable(ranges []policy.Range, taken []uint32) policy.Range {
	for _, r := range ranges {
		for _, id := range taken {
			if id >= r.First && id-r.First < r.Count {
				r.Count = id - r.First
				break
			}
		}
		if r.Count > 0 {
			return r
		}
	}
	return policy.Range{}
}

// The files that say whose ids are whose.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
	subuidFile = "/etc/subuid"
	subgidFile = "/etc/subgid"
)

// readText is the trimmed text of a file, "" when it cannot be read.
func readText(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}
