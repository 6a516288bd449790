package cli

import (
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/shim"
	"github.com/locald/locald/libcontainer"
)

// explain says why a program did not run or was ended, in the words of the flags that were typed. nil is a
// run with nothing to explain.
func (f *runFlags) explain(r *shim.Result, helper shim.Helper, spec *specs.Spec) error {
	switch {
	case len(r.Failures) > 0:
		return f.refusal(r, helper, spec)
	case r.OOM:
		what := "killed: out of memory"
		if f.memory != "" {
			what = "killed: over --memory " + f.memory
		}
		return &failure{id: idOOM, what: what, code: r.ExitCode}
	case r.Late && !r.Exited:
		return &failure{id: idTimeout, what: "killed: over --timeout " + f.timeout.String(), code: 128 + 9}
	case r.Exited || r.Killed || f.dryRun && r.ExitCode == 0:
		return nil
	case r.HelperSignal != 0 && r.Reached == libcontainer.PhaseRunning:
		return &failure{id: idHelper, what: "locald-shim was ended by signal " + strconv.Itoa(r.HelperSignal) + " while the program ran", code: r.ExitCode}
	case r.HelperSignal != 0:
		return &failure{id: idHelper, what: "locald-shim was ended by signal " + strconv.Itoa(r.HelperSignal) + " before it ran the program", code: r.ExitCode}
	}
	if f := wrongHelper(helper); f != nil {
		return f
	}
	return &failure{
		id: idHelper, code: shim.CodeCannotRun,
		what: "locald-shim ended with exit code " + strconv.Itoa(r.ExitCode) + " and did not say why",
		try:  []string{"locald doctor"},
	}
}

// wrongHelper is what is wrong with the helper itself, as far as that explains why it does not do its work; nil is
// nothing. It is asked when a run has failed, for it takes the time of a start.
func wrongHelper(helper shim.Helper) *failure {
	if version, err := helper.Version(); err == nil && version != shim.Version {
		return &failure{
			id: idVersion, code: shim.CodeCannotRun, try: []string{"sudo locald setup"},
			what: "locald-shim is " + version + " but this locald needs " + shim.Version,
		}
	}
	if os.Getuid() == 0 || helper.Setuid {
		return nil
	}
	if info, err := os.Stat(helper.Path); err == nil && info.Mode()&os.ModeSetuid != 0 {
		if ignored, err := shim.NoSUID(helper.Path); err == nil && ignored {
			return notFrom(filepath.Dir(helper.Path))
		}
	}
	return nil
}

// notFrom is the failure of a helper on a file system that takes its bit away.
func notFrom(dir string) *failure {
	other := "/usr/libexec/locald"
	if dir == other {
		other = "/usr/lib/locald"
	}
	return &failure{
		id: idNoSUID, code: shim.CodeCannotRun, try: []string{"sudo locald setup --shim-dir " + other},
		what: dir + " is mounted nosuid, so the shim cannot work from there",
	}
}

// refusal is what the helper reported.
func (f *runFlags) refusal(r *shim.Result, helper shim.Helper, spec *specs.Spec) *failure {
	namespaces := os.Getuid() != 0 && noNamespaces(r.Failures[0], forbidden())
	if (r.ExitCode == shim.CodeCannotRun && r.Failures[0].Op == "") || namespaces {
		if f := wrongHelper(helper); f != nil {
			return f
		}
	}
	for i := range r.Failures {
		// Where it is stands in a line of its own below.
		failed := &r.Failures[i]
		failed.Message = strings.Replace(failed.Message, " (config.json "+failed.Pointer+")", "", 1)
	}
	first := r.Failures[0]
	out := &failure{code: r.ExitCode}
	switch {
	case r.ExitCode == shim.CodeNotFound && ofProgram(first):
		f.notFound(out, spec)
	case r.ExitCode == shim.CodeNotExecutable && ofProgram(first):
		f.notExecutable(out, first, spec)
	case len(r.Failures) > 1:
		out.id, out.what = idRefused, "locald-shim refused the container for "+strconv.Itoa(len(r.Failures))+" reasons"
	case ofLimits(first):
		out.id, out.what = idLimit, "a limit cannot be applied: "+first.Message
	case first.Op != "" || first.Errno != "":
		out.id, out.what = idKernel, first.Message
	default:
		out.id, out.what = idRefused, "locald-shim refused the container: "+first.Message
	}
	for _, failed := range r.Failures {
		out.why = append(out.why, f.detail(failed, len(r.Failures) > 1, spec)...)
	}
	if namespaces {
		out.id = idNotSetUp
		why := "this machine keeps users from making user namespaces"
		if !helper.Setuid {
			why += ", and locald-shim is not installed set-user-ID root"
		}
		out.why = append(out.why, why)
		out.try = append(out.try, "sudo locald setup")
	}
	if os.Getuid() != 0 && !helper.Setuid && first.Pointer == "/linux/cgroupsPath" {
		out.why = append(out.why, "limits need a cgroup, which a set-user-ID locald-shim makes for you")
		out.try = append(out.try, "sudo locald setup")
	}
	return out
}

// detail are the lines below the first: where, which flag, and the helper's own hint.
func (f *runFlags) detail(failed shim.Failure, many bool, spec *specs.Spec) []string {
	var lines []string
	where := ""
	if failed.Pointer != "" && !ofProgram(failed) {
		where = "config.json " + failed.Pointer
		if flag := f.flagOf(failed.Pointer, spec); flag != "" {
			where += " (from " + flag + ")"
		}
	}
	switch {
	case !many && where != "":
		lines = append(lines, "in "+where)
	case many && where != "":
		lines = append(lines, where+": "+failed.Message)
	case many:
		lines = append(lines, failed.Message)
	}
	switch {
	case failed.Hint == "":
	case many:
		lines[0] += "; " + failed.Hint
	default:
		lines = append(lines, failed.Hint)
	}
	return lines
}

func ofProgram(failed shim.Failure) bool { return strings.HasPrefix(failed.Pointer, "/process/args") }

func ofLimits(failed shim.Failure) bool {
	return strings.HasPrefix(failed.Pointer, "/linux/resources") || failed.Pointer == "/linux/cgroupsPath"
}

// noNamespaces reports whether the kernel's answer is one that a host gives which forbids user namespaces:
// EPERM or EACCES from clone3 by a sysctl or a security module, ENOSPC by user.max_user_namespaces. AppArmor
// on Ubuntu lets the namespace be made and then refuses what needs a capability in it, the first mount.
func noNamespaces(failed shim.Failure, forbidden string) bool {
	denied := failed.Errno == "EPERM" || failed.Errno == "EACCES"
	if strings.HasPrefix(failed.Op, "clone3") {
		return denied || failed.Errno == "ENOSPC"
	}
	return denied && failed.Op != "" && forbidden != "" && !ofProgram(failed)
}

func (f *runFlags) notFound(out *failure, spec *specs.Spec) {
	program := spec.Process.Args[0]
	out.id = idNotFound
	if strings.Contains(program, "/") {
		out.what = strconv.Quote(program) + " does not exist in the container, or the interpreter that it names does not"
		return
	}
	search := searchPath(spec)
	out.what = strconv.Quote(program) + " was not found in the container's PATH (" + search + ")"
	if found := similar(rootsOf(spec), search, program); len(found) > 0 {
		out.why = append(out.why, "Found: "+strings.Join(found, ", "))
	}
}

func (f *runFlags) notExecutable(out *failure, failed shim.Failure, spec *specs.Spec) {
	out.id = idNotExecutable
	if failed.Errno == "ENOEXEC" && f.made != "" && f.made != "linux/"+runtime.GOARCH {
		out.what = strconv.Quote(spec.Process.Args[0]) + " in the image is for " + f.made + "; this machine is " + runtime.GOARCH
		out.try = []string{"locald run --platform linux/" + runtime.GOARCH + " …"}
		return
	}
	out.what = strconv.Quote(spec.Process.Args[0]) + " cannot be executed: " + failed.Message
	if failed.Errno == "ENOEXEC" {
		out.why = append(out.why, "it is made for another kind of machine, or is a script without a #! line")
	}
}

func searchPath(spec *specs.Spec) string {
	for _, entry := range spec.Process.Env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			return value
		}
	}
	return ""
}

// rootsOf are the directories that make up the root file system: the rootfs, or the layers of an image.
func rootsOf(spec *specs.Spec) []string {
	roots := []string{spec.Root.Path}
	if len(spec.Mounts) > 0 && spec.Mounts[0].Destination == "/" {
		for _, option := range spec.Mounts[0].Options {
			if list, ok := strings.CutPrefix(option, "lowerdir="); ok {
				roots = append(roots, strings.Split(list, ":")...)
			}
		}
	}
	return roots
}

// similar are programs in the container's PATH whose names differ from name by one letter.
func similar(roots []string, search, name string) []string {
	var found []string
	for _, root := range roots {
		found = append(found, similarIn(root, search, name)...)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found[:min(len(found), 5)]
}

// similarIn looks in one directory. No link leads out of it meanwhile, whoever made it.
func similarIn(rootfs, search, name string) []string {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return nil
	}
	defer root.Close()
	var found []string
	for dir := range strings.SplitSeq(search, ":") {
		f, err := root.Open(strings.TrimPrefix(path.Clean(dir), "/"))
		if err != nil {
			continue
		}
		names, _ := f.Readdirnames(-1)
		f.Close()
		for _, n := range names {
			if near(name, n) {
				found = append(found, path.Join(dir, n))
			}
		}
	}
	return found
}

// near reports whether one letter inserted, removed or changed makes b of a.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if a == b || len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}
