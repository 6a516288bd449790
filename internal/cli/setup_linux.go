package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/internal/shim"
)

// recordFile is where setup notes what it did.
const recordFile = "/var/lib/locald/setup.json"

// step is one change: what is printed of it, and how it is made.
type step struct {
	text string
	do   func() error
}

// record is what setup did, for --undo.
type record struct {
	Schema int      `json:"schema"`
	Shim   string   `json:"shim"`
	Dirs   []string `json:"dirs,omitempty"`  // made by setup, outermost first
	Lines  []line   `json:"lines,omitempty"` // added to files of the system
	Files  []string `json:"files,omitempty"` // made by setup
}

// line is one line of a file.
type line struct {
	File string `json:"file"`
	Line string `json:"line"`
}

// setup plans first, looking only, and then makes each change and prints it.
func (a *app) setup(f *setupFlags) error {
	old, err := readRecord()
	if f.dryRun && !f.undo && errors.Is(err, fs.ErrPermission) { // root's store of images is beside it
		a.note("what an earlier setup did cannot be read: " + reason(err))
		old, err = &record{}, nil
	}
	if err != nil {
		return setupFailure(err)
	}
	var steps []step
	if f.undo {
		steps, err = undoSteps(old)
	} else {
		steps, err = f.steps(old)
	}
	if err != nil {
		return setupFailure(err)
	}
	for _, s := range steps {
		if !f.dryRun {
			if err := s.do(); err != nil {
				return setupFailure(fmt.Errorf("%s: %w", s.text, err))
			}
		}
		if _, err := a.stdout.WriteString(s.text + "\n"); err != nil {
			return err
		}
	}
	if !f.undo && f.noSetuid {
		if _, err := a.stdout.WriteString(appArmorProfile(filepath.Join(f.shimDir, shim.Name))); err != nil {
			return err
		}
	}
	if !f.undo && !slices.Contains(shim.Dirs(), filepath.Clean(f.shimDir)) {
		a.note("locald does not look in " + f.shimDir + " by itself; set LOCALD_SHIM=" + filepath.Join(f.shimDir, shim.Name))
	}
	return nil
}

func setupFailure(err error) error {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return &failure{id: idSetup, what: err.Error()}
}

// steps are the changes of an installation. The record goes first: what was recorded and not done is undone
// without harm, the other way round it would stay for ever.
func (f *setupFlags) steps(old *record) ([]step, error) {
	source, err := shim.Beside()
	if err != nil {
		return nil, &failure{id: idSetup, what: "there is no locald-shim beside this locald (" + reason(err) + ")", try: []string{"make"}}
	}
	dir, err := filepath.Abs(f.shimDir)
	if err != nil {
		return nil, err
	}
	target := filepath.Join(dir, shim.Name)
	now := &record{Schema: schema, Shim: target, Dirs: old.Dirs, Lines: old.Lines, Files: old.Files}
	var steps []step
	missing, err := missingDirs(dir)
	if err != nil {
		return nil, err
	}
	for _, d := range missing {
		now.Dirs = append(now.Dirs, d)
		steps = append(steps, step{"create " + d + " (root:root 0755)", func() error { return makeDir(d) }})
	}
	who, err := f.executors()
	if err != nil {
		return nil, err
	}
	steps = append(steps, step{"install " + target + " (" + who.text + ", immutable, from " + source + ")", func() error { return install(source, target, who) }})
	if old.Shim != "" && old.Shim != target {
		steps = append(steps, step{"remove " + old.Shim, func() error { return disarm(old.Shim) }})
	}
	more, err := f.grants(now)
	if err != nil {
		return nil, err
	}
	steps = append(steps, more...)
	if f.lowPorts {
		if more, err = lowPortSteps(now); err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	first := step{"write " + recordFile + " (what --undo takes back)", func() error { return writeRecord(now) }}
	return append([]step{first}, steps...), nil
}

// executors are who may execute the helper: everybody, or the members of one group.
type executors struct {
	text string
	gid  int
	mode fs.FileMode
}

func (f *setupFlags) executors() (executors, error) {
	bit, digit := fs.ModeSetuid, "4"
	if f.noSetuid {
		bit, digit = 0, "0"
	}
	if f.group == "" {
		return executors{"root:root " + digit + "755", 0, 0o755 | bit}, nil
	}
	user, err := bundle.LookupUser("0:"+f.group, "", readText(groupFile))
	if err != nil {
		return executors{}, &failure{id: idSetup, what: "there is no group " + strconv.Quote(f.group) + " in " + groupFile}
	}
	return executors{"root:" + f.group + " " + digit + "750", int(user.GID), 0o750 | bit}, nil
}

// appArmorProfile lets a helper without the set-user-ID bit make user namespaces where AppArmor keeps them from programs
// that have no profile (kernel.apparmor_restrict_unprivileged_userns; Ubuntu since 23.10). It confines nothing.
func appArmorProfile(target string) string {
	return `
Where AppArmor keeps user namespaces from programs without a profile (Ubuntu since 23.10), save this as
/etc/apparmor.d/locald-shim, and load it: sudo apparmor_parser -r /etc/apparmor.d/locald-shim

abi <abi/4.0>,
include <tunables/global>

profile locald-shim "` + target + `" flags=(unconfined) {
  userns,
  include if exists <local/locald-shim>
}
`
}

// grants are the changes for one user: subordinate ids where none are, and, only on a host that forbids
// user namespaces, the permission to have them all the same.
func (f *setupFlags) grants(now *record) ([]step, error) {
	user := f.user
	if user == "" {
		user = os.Getenv("SUDO_USER")
	}
	if user == "" && os.Getuid() != 0 {
		_, user = accounts(uint32(os.Getuid()), uint32(os.Getgid()))
	}
	if user == "" || user == "root" || f.noSetuid { // which cannot write the maps of anybody's subordinate ids
		return nil, nil
	}
	found, err := bundle.LookupUser(user, readText(passwdFile), "")
	if err != nil {
		return nil, &failure{id: idSetup, what: "there is no user " + strconv.Quote(user) + " in " + passwdFile}
	}
	if found.UID == 0 {
		return nil, nil
	}
	steps, err := subordinate(now, user, found)
	if err != nil || forbidden() == "" {
		return steps, err
	}
	more, err := bypass(now, user, found.UID, readText(shimConf))
	return append(steps, more...), err
}

// subordinate gives a user one range in each file that has none of theirs.
func subordinate(now *record, user string, found bundle.User) ([]step, error) {
	grant, name := accounts(found.UID, found.GID)
	for _, note := range []string{grant.UIDNote, grant.GIDNote} {
		if note != "" {
			return nil, &failure{id: idSetup, what: note}
		}
	}
	if name == "" {
		return nil, &failure{id: idSetup, what: passwdFile + " does not say for sure who " + user + " is"}
	}
	start, err := freeRange([]string{readText(subuidFile), readText(subgidFile)}, []string{readText(passwdFile), readText(groupFile)})
	if err != nil {
		return nil, err
	}
	entry := name + ":" + strconv.FormatUint(start, 10) + ":" + strconv.Itoa(subCount)
	var steps []step
	for _, file := range []struct {
		name   string
		ranges []policy.Range
	}{{subuidFile, grant.SubUIDs}, {subgidFile, grant.SubGIDs}} {
		if len(file.ranges) > 0 {
			continue
		}
		now.Lines = append(now.Lines, line{file.name, entry})
		steps = append(steps, step{"append to " + file.name + ": " + entry, func() error {
			return edit(file.name, func(text string) string { return withLine(text, entry) })
		}})
	}
	return steps, nil
}

// undoSteps takes back what is recorded, last things first.
func undoSteps(old *record) ([]step, error) {
	if old.Shim == "" {
		return nil, &failure{id: idSetup, what: "there is nothing to undo: " + recordFile + " does not exist"}
	}
	var steps []step
	for _, l := range slices.Backward(old.Lines) {
		steps = append(steps, step{"remove from " + l.File + ": " + l.Line, func() error {
			return edit(l.File, func(text string) string { return withoutLine(text, l.Line) })
		}})
	}
	for _, file := range slices.Backward(old.Files) {
		steps = append(steps, step{"remove " + file + " if it is empty", func() error { return removeBlank(file) }})
	}
	steps = append(steps, step{"remove " + old.Shim, func() error { return disarm(old.Shim) }})
	for _, dir := range slices.Backward(old.Dirs) {
		steps = append(steps, step{"remove " + dir + " if it is empty", func() error { return removeEmpty(dir) }})
	}
	return append(steps,
		step{"remove " + recordFile, func() error { return removeFile(recordFile) }},
		step{"remove " + filepath.Dir(recordFile) + " if it is empty", func() error { return removeEmpty(filepath.Dir(recordFile)) }},
	), nil
}

// readRecord is an empty record when setup never ran. It says what root is to remove, so it must be root's.
func readRecord() (*record, error) {
	text, err := os.ReadFile(recordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return &record{}, nil
	}
	if err != nil {
		return nil, err
	}
	installation, err := shim.Inspect(recordFile)
	if err != nil {
		return nil, err
	}
	if installation.Unsafe != "" {
		return nil, &failure{id: idUnsafe, what: installation.Unsafe + ", so it cannot be trusted", try: []string{"sudo rm " + recordFile}}
	}
	r := &record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, &failure{id: idSetup, what: recordFile + ": " + err.Error()}
	}
	return r, nil
}

func writeRecord(r *record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(recordFile)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return replace(recordFile, append(text, '\n'), 0o644)
}
