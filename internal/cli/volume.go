package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/shim"
)

// volumeFlags are --mount, and the volumes that -v and --mount name.
type volumeFlags struct {
	mountWords []string
	used       []usedVolume
	nameless   []string // those of used that are made for this container alone
	held       []*os.File
}

// usedVolume is a volume that a container is to have.
type usedVolume struct{ name, destination string }

// volumesDir holds a directory for each volume: data, and volume.json.
func volumesDir() (string, error) {
	dir, err := dataDir()
	if err != nil {
		return "", &failure{id: idVolume, what: err.Error()}
	}
	return filepath.Join(dir, "volumes"), nil
}

// volumeRecord is volume.json.
type volumeRecord struct {
	Created time.Time         `json:"created"`
	Labels  map[string]string `json:"labels,omitempty"`
}

// makeVolume makes a volume unless there is one of this name. It appears whole or not at all.
func makeVolume(name string, labels map[string]string) error {
	fail := func(err error) error {
		return &failure{id: idVolume, what: "the volume " + name + " cannot be made: " + reason(err)}
	}
	parent, err := volumesDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fail(err)
	}
	path := filepath.Join(parent, name)
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	made, err := os.MkdirTemp(parent, ".new-") // not a name that a volume can have
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(made)
	text, err := json.Marshal(volumeRecord{time.Now().UTC().Truncate(time.Second), labels})
	if err != nil {
		return fail(err)
	}
	data := filepath.Join(made, "data")
	err = errors.Join(os.Mkdir(data, 0o755), os.Chmod(data, 0o755), os.Chmod(made, 0o755), os.WriteFile(filepath.Join(made, "volume.json"), text, 0o644))
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(err)
	}
	return nil
}

// volume is the mount of one -v. What cannot be a path is the name of a volume, which is made when there is none.
func (f *runFlags) volume(word string) (specs.Mount, error) {
	m, err := bundle.ParseVolume(word)
	if err != nil {
		return m, err
	}
	if m.Source != "" && !bundle.ValidVolume(m.Source) {
		m.Source, err = volumeSource(word, m.Source)
		return m, err
	}
	return m, f.use(&m)
}

// mount is that of one --mount.
func (f *runFlags) mount(word string) (specs.Mount, error) {
	m, volume, err := bundle.ParseMount(word)
	switch {
	case err != nil || m.Type != "bind":
	case volume:
		err = f.use(&m)
	default:
		m.Source, err = volumeSource(word, m.Source)
	}
	return m, err
}

// parseMount is ParseMount for what only wants the mount.
func parseMount(word string) (specs.Mount, error) {
	m, _, err := bundle.ParseMount(word)
	return m, err
}

// use makes the source of a mount the volume's directory.
func (f *runFlags) use(m *specs.Mount) error {
	parent, err := volumesDir()
	if err != nil {
		return err
	}
	if m.Source == "" {
		m.Source = randomID()
		f.nameless = append(f.nameless, m.Source)
	}
	f.used = append(f.used, usedVolume{m.Source, m.Destination})
	m.Source = filepath.Join(parent, m.Source, "data")
	m.Options = append(m.Options, "nosuid", "nodev")
	return nil
}

// imageVolumes adds to mounts what the image declares as volumes, where nothing else is mounted.
func (f *runFlags) imageVolumes(src *imageSource, mounts []specs.Mount) ([]specs.Mount, error) {
	for _, path := range slices.Sorted(maps.Keys(src.image.Config.Config.Volumes)) {
		m, reason := bundle.NewVolume(path)
		if reason != "" {
			return nil, &failure{id: idVolume, what: "the image declares a volume at " + path + ": " + reason}
		}
		if slices.ContainsFunc(mounts, func(o specs.Mount) bool { return o.Destination == m.Destination }) {
			continue
		}
		if err := f.use(&m); err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// holdVolumes sees that the volumes that are used are there, and stay as long as locald runs. An empty one that nobody
// else has gets what the image has in its place.
func (a *app) holdVolumes(f *runFlags, helper shim.Helper, src *imageSource) error {
	if f.dryRun {
		src = nil
	}
	parent, err := volumesDir()
	if err != nil {
		return err
	}
	for n, v := range f.used {
		if slices.ContainsFunc(f.used[:n], func(o usedVolume) bool { return o.name == v.name }) {
			continue
		}
		fail := func(err error) error {
			return &failure{id: idVolume, what: "the volume " + v.name + " cannot be used: " + reason(err)}
		}
		for again := true; again; {
			if err := makeVolume(v.name, nil); err != nil {
				return err
			}
			dir := filepath.Join(parent, v.name)
			held, alone, err := holdVolume(dir)
			if err == nil {
				f.held = append(f.held, held)
			}
			if err == nil && alone {
				if err := a.fillVolume(helper, src, dir, f.placesOf(v.name)); err != nil {
					return err
				}
				err = shareVolume(held, dir)
			}
			again = errors.Is(err, fs.ErrNotExist) // somebody has just removed it
			if err != nil && !again {
				return fail(err)
			}
		}
	}
	return nil
}

// doneWithVolumes lets go of them, and removes those without a name, which go with a container in the foreground.
func (a *app) doneWithVolumes(f *runFlags) {
	f.letGo()
	a.removeNameless(f.nameless)
}

func (f *volumeFlags) letGo() {
	for _, held := range f.held {
		held.Close()
	}
	f.held = nil
}

// placesOf are where a volume is mounted.
func (f *volumeFlags) placesOf(name string) (paths []string) {
	for _, v := range f.used {
		if v.name == name {
			paths = append(paths, v.destination)
		}
	}
	return paths
}

// fillVolume copies what the image has in the place of a volume to it, when the volume is empty and no container has
// it; so that it has the owner and mode that the image's programs expect. Nobody else may hold the volume.
func (a *app) fillVolume(helper shim.Helper, src *imageSource, dir string, places []string) error {
	data, name := filepath.Join(dir, "data"), filepath.Base(dir)
	for _, path := range places {
		entries, err := os.ReadDir(data)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return &failure{id: idVolume, what: "the volume " + name + " cannot be read: " + reason(err)}
		}
		if src == nil || err != nil || len(entries) > 0 || slices.Contains(mountSources(), data) {
			return nil // a directory that is another id's has been filled
		}
		if err := a.copyToVolume(helper, src, dir, path); err != nil {
			return &failure{id: idVolume, what: "the volume " + name + " cannot be filled from the image: " + asFailure(err).what}
		}
	}
	return nil
}

// copyToVolume lets a container that knows the ids do it.
func (a *app) copyToVolume(helper shim.Helper, src *imageSource, dir, path string) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	name := ".new-" + randomID()
	said, err := a.inLayersWith(helper, dir, []specs.Mount{src.readOnly()}, null, "copy", path, name)
	made := strings.TrimSpace(said) == "copied"
	if made && err == nil {
		err = replaceEmpty(filepath.Join(dir, name), filepath.Join(dir, "data"))
		made = err != nil
	}
	if made || err != nil {
		err = errors.Join(err, a.removeTrees(helper, dir, name))
	}
	return err
}

// readOnly is the image's file system, for reading, on /tmp.
func (s *imageSource) readOnly() specs.Mount {
	var o bundle.Options
	s.mount(&o, "")
	if len(o.Overlay.Lower) == 1 { // an overlay that is only read has two layers
		return specs.Mount{Destination: "/tmp", Type: "bind", Source: o.Overlay.Lower[0], Options: []string{"bind", "rprivate", "ro", "nosuid", "nodev"}}
	}
	m := (&bundle.Overlay{Lower: o.Overlay.Lower}).Mount()
	m.Destination = "/tmp"
	m.Options = append(m.Options, "ro")
	return m
}

func (a *app) volumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "volume", Short: "Make, list and remove volumes",
		Long: "Volumes are directories that outlive containers. locald run -v NAME:/path uses one, and makes it when there is none.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &failure{id: idUsage, what: "there is no command volume " + args[0], try: []string{"locald volume --help"}}
			}
			return cmd.Help()
		},
	}
	var labels []string
	create := verb("create [flags] NAME", "Make a volume", "locald volume create data", 0, 1, func(args []string) error {
		name := randomID()
		if len(args) > 0 {
			name = args[0]
		}
		if !bundle.ValidVolume(name) {
			return &failure{id: idVolume, what: "the name of a volume is made of letters, digits and, after the first character, _ . -: " + name}
		}
		if err := makeVolume(name, (&detachFlags{labels: labels}).labelMap()); err != nil {
			return err
		}
		_, err := a.stdout.WriteString(name + "\n")
		return err
	})
	create.Flags().StringArrayVarP(&labels, "label", "l", nil, "note `KEY=VALUE` about the volume")
	var format string
	list := verb("ls [flags]", "List volumes", "locald volume ls", 0, 0, func([]string) error { return a.listOf(format, volumeList) })
	list.Flags().StringVar(&format, "format", formatTable, "table, json, jsonl or a template as {{.Name}}")
	list.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "print names only")
	inspect := verb("inspect NAME...", "Show volumes as JSON", "locald volume inspect data", 1, -1, a.inspectVolumes)
	var force bool
	remove := verb("rm [flags] NAME...", "Remove volumes that no container has", "locald volume rm data", 1, -1, func(args []string) error {
		return a.removeVolumes(args, force)
	})
	remove.Flags().BoolVarP(&force, "force", "f", false, "no error for a volume that is not there")
	var yes bool
	prune := verb("prune [flags]", "Remove all volumes that no container has", "locald volume prune -f", 0, 0, func([]string) error {
		return a.pruneVolumes(yes)
	})
	prune.Flags().BoolVarP(&yes, "force", "f", false, "do not ask")
	for _, c := range []*cobra.Command{inspect, remove} {
		c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			rows, _ := volumeRows()
			var names []string
			for _, row := range rows {
				names = append(names, row.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		}
	}
	cmd.AddCommand(create, list, inspect, remove, prune)
	return cmd
}

// volumeRow is one volume as --format json prints it.
type volumeRow struct {
	Schema     int               `json:"schema"` // 1
	Name       string            `json:"name"`
	Mountpoint string            `json:"mountpoint"`
	Created    time.Time         `json:"created"`
	Labels     map[string]string `json:"labels,omitempty"`
	InUse      bool              `json:"inUse"` // a container has it, running or not
}

func volumeRows() ([]volumeRow, error) {
	parent, err := volumesDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(parent)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{id: idVolume, what: "the volumes cannot be listed: " + reason(err)}
	}
	rows := []volumeRow{}
	sources := mountSources()
	for _, e := range entries {
		if !e.IsDir() || !bundle.ValidVolume(e.Name()) {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		var record volumeRecord
		if text, err := os.ReadFile(filepath.Join(dir, "volume.json")); err == nil {
			err = json.Unmarshal(text, &record)
			if err != nil {
				return nil, &failure{id: idVolume, what: filepath.Join(dir, "volume.json") + " is damaged: " + err.Error()}
			}
		}
		rows = append(rows, volumeRow{1, e.Name(), filepath.Join(dir, "data"), record.Created, record.Labels, volumeInUse(dir, sources)})
	}
	return rows, nil
}

func volumeList() (*listing, error) {
	rows, err := volumeRows()
	if err != nil {
		return nil, err
	}
	l := &listing{rows: []any{}, ids: []string{}, head: []string{"NAME", "IN USE", "DIRECTORY"}, names: []string{"Name", "Mountpoint", "InUse", "Labels"}}
	for _, row := range rows {
		use := "no"
		if row.InUse {
			use = "yes"
		}
		l.rows, l.ids = append(l.rows, row), append(l.ids, row.Name)
		l.cells = append(l.cells, []string{row.Name, use, row.Mountpoint})
		l.field = append(l.field, []string{row.Name, row.Mountpoint, use, labelText(row.Labels)})
	}
	return l, nil
}

func (a *app) inspectVolumes(names []string) error {
	rows, err := volumeRows()
	if err != nil {
		return err
	}
	var found []volumeRow
	for _, name := range names {
		at := slices.IndexFunc(rows, func(row volumeRow) bool { return row.Name == name })
		if at < 0 {
			return noVolume(name)
		}
		found = append(found, rows[at])
	}
	return a.printJSON(found)
}

// mountSources are the sources of the mounts of the containers on their own.
func mountSources() []string {
	dir, err := dataDir()
	if err != nil {
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "containers", "*", "config.json"))
	var sources []string
	for _, path := range paths {
		var spec specs.Spec
		text, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(text, &spec) == nil {
			for _, m := range spec.Mounts {
				sources = append(sources, m.Source)
			}
		}
	}
	return sources
}

// volumeInUse reports whether a container on its own has a volume, or a locald that runs one.
func volumeInUse(dir string, sources []string) bool {
	if slices.Contains(sources, filepath.Join(dir, "data")) {
		return true
	}
	release, err := ownVolume(dir)
	if err != nil {
		return true
	}
	release()
	return false
}
