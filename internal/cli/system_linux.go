package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/image"
	"github.com/locald/locald/internal/shim"
)

func (a *app) systemCommands() []*cobra.Command {
	cmd := &cobra.Command{
		Use: "system", Short: "Show what locald keeps on the disk, and remove what nobody uses",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &failure{id: idUsage, what: "there is no command system " + args[0], try: []string{"locald system --help"}}
			}
			return cmd.Help()
		},
	}
	var format string
	df := verb("df [flags]", "Show what locald keeps on the disk", "locald system df", 0, 0, func([]string) error { return a.diskUse(format) })
	df.Flags().StringVar(&format, "format", formatTable, "table, json, jsonl or a template as {{.Type}}")
	var p pruning
	prune := verb("prune [flags]", "Remove containers that have ended, and what nobody uses", "locald system prune", 0, 0, func([]string) error { return a.prune(p) })
	prune.Flags().BoolVarP(&p.all, "all", "a", false, "images that no container has, too")
	prune.Flags().BoolVar(&p.volumes, "volumes", false, "volumes that no container has, too")
	prune.Flags().BoolVarP(&p.force, "force", "f", false, "do not ask")
	cmd.AddCommand(df, prune)
	return []*cobra.Command{cmd}
}

// diskRow is what one kind of thing takes.
type diskRow struct {
	Schema      int    `json:"schema"` // 1
	Type        string `json:"type"`   // images, layers, containers, logs, volumes
	Count       int    `json:"count"`
	Size        int64  `json:"size"`        // bytes on the disk
	Reclaimable int64  `json:"reclaimable"` // of them, those that system prune -a --volumes removes
	Incomplete  bool   `json:"incomplete"`  // some directories belong to other ids, and are not counted
}

// add counts a directory that can be removed, or cannot.
func (r *diskRow) add(path string, free bool) {
	size, whole := diskSize(path)
	r.Count++
	r.Size += size
	r.Incomplete = r.Incomplete || !whole
	if free {
		r.Reclaimable += size
	}
}

// diskSize is what a tree takes on the disk, in bytes. A file with two names in it counts once.
func diskSize(path string) (size int64, whole bool) {
	whole = true
	seen := map[uint64]bool{}
	filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			whole = whole && errors.Is(err, fs.ErrNotExist)
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil // it has just gone
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && (st.Nlink == 1 || e.IsDir() || !seen[st.Ino]) {
			seen[st.Ino] = true
			size += st.Blocks * 512 // stat(2): whatever the block size
		}
		return nil
	})
	return size, whole
}

func (a *app) diskRows() ([]diskRow, error) {
	a.attendAll()
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	images, err := store.List()
	if err != nil {
		return nil, &failure{id: idStore, what: "the store of images is damaged: " + err.Error()}
	}
	kept, blobs, layers := map[string]bool{}, diskRow{Schema: 1, Type: "images"}, diskRow{Schema: 1, Type: "layers"}
	free := unusedImages(store, images)
	for n := range images {
		if !slices.Contains(free, images[n].Name) {
			for _, d := range blobsOf(&images[n]) {
				kept[d.Hex()] = true
			}
		}
	}
	for _, e := range entriesOf(filepath.Dir(store.BlobPath("sha256:x"))) {
		blobs.add(e, !kept[filepath.Base(e)])
	}
	blobs.Count = len(images)
	used := layersInUse()
	for _, e := range entriesOf(store.Layers()) {
		plain := strings.TrimSuffix(e, image.SingleSuffix)
		layers.add(e, !slices.Contains(used, plain) && !kept[filepath.Base(plain)])
	}
	rows := []diskRow{blobs, layers}
	own, logs, err := a.containerSizes()
	if err != nil {
		return nil, err
	}
	volumes := diskRow{Schema: 1, Type: "volumes"}
	list, err := volumeRows()
	if err != nil {
		return nil, err
	}
	for _, v := range list {
		volumes.add(filepath.Dir(v.Mountpoint), !v.InUse)
	}
	return append(rows, own, logs, volumes), nil
}

// blobsOf are the digests that an image needs: of its blobs, and of its layers as they are unpacked.
func blobsOf(i *image.Image) []image.Digest {
	list := append([]image.Digest{i.Descriptor.Digest, i.Manifest.Config.Digest}, i.Config.RootFS.DiffIDs...)
	for _, l := range i.Manifest.Layers {
		list = append(list, l.Digest)
	}
	return list
}

func entriesOf(dir string) []string {
	var list []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		list = append(list, filepath.Join(dir, e.Name()))
	}
	return list
}

func (a *app) containerSizes() (own, logs diskRow, err error) {
	own, logs = diskRow{Schema: 1, Type: "containers"}, diskRow{Schema: 1, Type: "logs"}
	store, err := containers()
	if err != nil {
		return own, logs, err
	}
	list, err := store.List()
	if err != nil {
		return own, logs, &failure{id: idContainer, what: "the containers cannot be listed: " + err.Error()}
	}
	for _, c := range list {
		ended := !c.Foreground && !c.State.Lives()
		own.add(c.Dir, ended)
		files, _ := filepath.Glob(filepath.Join(c.Dir, "log*"))
		for _, file := range files {
			size, _ := diskSize(file)
			logs.Count++
			logs.Size += size
			own.Size -= size
			if ended {
				logs.Reclaimable += size
				own.Reclaimable -= size
			}
		}
	}
	return own, logs, nil
}

// unusedImages are the names of images none of whose layers is a container's.
func unusedImages(store *image.Store, images []image.Image) []string {
	used := layersInUse()
	var names []string
	for n := range images {
		free := !slices.ContainsFunc(images[n].Config.RootFS.DiffIDs, func(d image.Digest) bool {
			return slices.Contains(used, store.LayerDir(d))
		})
		if free {
			names = append(names, images[n].Name)
		}
	}
	return names
}

func (a *app) diskUse(format string) error {
	rows, err := a.diskRows()
	if err != nil {
		return err
	}
	l := &listing{rows: []any{}, head: []string{"TYPE", "COUNT", "SIZE", "RECLAIMABLE"}, names: []string{"Type", "TotalCount", "Size", "Reclaimable"}}
	for _, row := range rows {
		size := sizeText(row.Size)
		if row.Incomplete {
			size = "> " + size
		}
		cells := []string{row.Type, strconv.Itoa(row.Count), size, sizeText(row.Reclaimable)}
		l.rows, l.cells, l.field = append(l.rows, row), append(l.cells, cells), append(l.field, cells)
	}
	return a.list(format, l)
}

// pruning is what system prune is to remove.
type pruning struct{ all, volumes, force bool }

func (a *app) prune(p pruning) error {
	a.attendAll()
	store, err := containers()
	if err != nil {
		return err
	}
	ended, err := prunable(store)
	if err != nil {
		return err
	}
	what := []string{strconv.Itoa(len(ended)) + " containers that have ended", "layers and blobs that no image has"}
	if p.all {
		what = append(what, "images that no container has")
	}
	if p.volumes {
		what = append(what, "volumes that no container has, with what is in them")
	}
	if !p.force && !a.confirmed("This removes "+strings.Join(what, "; ")+".") {
		return nil
	}
	before := a.dataSize()
	helper, err := a.helper()
	if err != nil {
		return helperFailure(err)
	}
	failed := []error{a.pruneContainers(store, helper, ended), a.pruneImages(p.all)}
	if p.volumes {
		failed = append(failed, a.pruneVolumes(true))
	}
	failed = append(failed, a.collectLeft())
	a.note("freed: " + sizeText(max(before-a.dataSize(), 0)))
	return errors.Join(failed...)
}

// prunable are the containers that do not run and will not by themselves.
func prunable(store *container.Store) ([]*container.Container, error) {
	list, err := store.List()
	if err != nil {
		return nil, &failure{id: idContainer, what: "the containers cannot be listed: " + err.Error()}
	}
	return slices.DeleteFunc(list, func(c *container.Container) bool { return c.Foreground || c.State.Lives() }), nil
}

// pruneContainers removes those that have not been started meanwhile.
func (a *app) pruneContainers(store *container.Store, helper shim.Helper, ended []*container.Container) error {
	var failed []error
	for _, c := range ended {
		err := c.Attend()
		if c.State.Lives() || c.State.Status == "" {
			continue
		}
		if err == nil {
			err = a.deleteContainer(store, helper, c)
		}
		if err != nil {
			failed = append(failed, &failure{id: idContainer, what: "the container " + c.Name + " cannot be removed: " + err.Error()})
			continue
		}
		a.stdout.WriteString(c.ID + "\n")
	}
	return errors.Join(failed...)
}

// dataSize is the size of the store, as far as it can be seen.
func (a *app) dataSize() int64 {
	dir, err := dataDir()
	if err != nil {
		return 0
	}
	size, _ := diskSize(dir)
	return size
}

func (a *app) pruneImages(all bool) error {
	store, err := openStore()
	if err != nil || !all {
		return errors.Join(err, a.removeImages(nil, false))
	}
	images, err := store.List()
	if err != nil {
		return &failure{id: idStore, what: "the store of images is damaged: " + err.Error()}
	}
	return a.removeImages(unusedImages(store, images), false)
}

// collectLeft removes what killed calls left behind.
func (a *app) collectLeft() error {
	helper, err := a.helper()
	if err != nil {
		return helperFailure(err)
	}
	dir, err := dataDir()
	if err != nil {
		return &failure{id: idStore, what: err.Error()}
	}
	a.removeScratches(helper, filepath.Join(dir, "running"))
	for _, parent := range hostScratchDirs() {
		a.removeScratches(helper, parent)
	}
	if bundles, err := runDir(); err == nil {
		removeStale(bundles)
	}
	return a.collectVolumes(helper)
}
