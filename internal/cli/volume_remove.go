package cli

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/locald/locald/internal/shim"
)

func noVolume(name string) error {
	return &failure{id: idVolume, what: "there is no volume " + name, try: []string{"locald volume ls"}}
}

func (a *app) removeVolumes(names []string, force bool) error {
	var failed []error
	for _, name := range names {
		err := a.removeVolume(name)
		switch {
		case err == nil:
			a.stdout.WriteString(name + "\n")
		case errors.Is(err, fs.ErrNotExist) && !force:
			failed = append(failed, noVolume(name))
		case !errors.Is(err, fs.ErrNotExist):
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// removeVolume takes the name away first: nobody can begin to use it then.
func (a *app) removeVolume(name string) error {
	parent, err := volumesDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(parent, name)
	if _, err := os.Lstat(dir); err != nil || filepath.Base(name) != name {
		return fs.ErrNotExist
	}
	inUse := &failure{id: idVolume, what: "the volume " + name + " is in use by a container", try: []string{"locald ps -a"}}
	release, err := ownVolume(dir)
	if err != nil {
		return inUse
	}
	defer release()
	// A container that is being made is held until others see what it has.
	if slices.Contains(mountSources(), filepath.Join(dir, "data")) {
		return inUse
	}
	gone := ".gone-" + randomID()
	if err := os.Rename(dir, filepath.Join(parent, gone)); err != nil {
		return &failure{id: idVolume, what: "the volume " + name + " cannot be removed: " + reason(err)}
	}
	helper, _ := a.helper()
	if err := a.removeTrees(helper, parent, gone); err != nil {
		return &failure{id: idVolume, what: "the volume " + name + " cannot be removed: " + asFailure(err).what}
	}
	return nil
}

// removeNameless removes volumes that were made for one container alone.
func (a *app) removeNameless(names []string) {
	for _, name := range names {
		if err := a.removeVolume(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.note(asFailure(err).what)
		}
	}
}

func (a *app) pruneVolumes(yes bool) error {
	rows, err := volumeRows()
	if err != nil {
		return err
	}
	var names []string
	for _, row := range rows {
		if !row.InUse {
			names = append(names, row.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if !yes && !a.confirmed("This removes "+strconv.Itoa(len(names))+" volumes with what is in them: "+strings.Join(names, " ")) {
		return nil
	}
	return a.removeVolumes(names, true)
}

// confirmed asks where a person can answer. A script has said what it wants.
func (a *app) confirmed(what string) bool {
	if !isTerminal(a.stdin) || !isTerminal(a.stderr) {
		return true
	}
	a.stderr.WriteString(what + "\nGo on? [y/N] ")
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// collectVolumes removes volumes half made and half removed by calls that were killed.
func (a *app) collectVolumes(helper shim.Helper) error {
	parent, err := volumesDir()
	if err != nil {
		return err
	}
	entries, _ := os.ReadDir(parent)
	var left []string
	for _, e := range entries {
		info, err := e.Info()
		old := err == nil && time.Since(info.ModTime()) > time.Hour
		if strings.HasPrefix(e.Name(), ".gone-") || strings.HasPrefix(e.Name(), ".new-") && old {
			left = append(left, e.Name())
		}
	}
	return a.removeTrees(helper, parent, left...)
}
