package cli

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/image"
	"github.com/locald/locald/internal/shim"
)

// imageCommands are the verbs about images.
func (a *app) imageCommands() []*cobra.Command {
	return []*cobra.Command{a.imagesCommand(), a.loadCommand(), a.saveCommand(), a.importCommand(), a.tagCommand(), a.rmiCommand(),
		a.pullCommand(), a.loginCommand(), a.logoutCommand()}
}

// completeNames offers the names of images to a shell.
func completeNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	store, err := openStore()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return store.Names(), cobra.ShellCompDirectiveNoFileComp
}

// verb is a command with an error for a wrong number of arguments that names one that is right.
func verb(use, short, example string, least, most int, run func(args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: "  " + example, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < least || most >= 0 && len(args) > most {
				return &failure{id: idUsage, what: cmd.Name() + " is used as: locald " + use, try: []string{example}}
			}
			return run(args)
		},
	}
}

func (a *app) imagesCommand() *cobra.Command {
	var format string
	cmd := verb("images [flags]", "List the images on this machine", "locald images", 0, 0, func([]string) error { return a.listOf(format, imageList) })
	cmd.Flags().StringVar(&format, "format", formatTable, "table, json, jsonl or a template as {{.ID}}")
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "print ids only")
	return cmd
}

// imageRow is one image as --format json prints it.
type imageRow struct {
	Schema   int    `json:"schema"` // 1
	ID       string `json:"id"`     // digest of the config
	Name     string `json:"name"`
	Digest   string `json:"digest"` // of the manifest
	Platform string `json:"platform"`
	Created  string `json:"created,omitempty"` // RFC 3339
	Size     int64  `json:"size"`              // bytes, as kept
}

func imageList() (*listing, error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	list, err := store.List()
	if err != nil {
		return nil, &failure{id: idStore, what: "the store of images is damaged: " + err.Error()}
	}
	l := &listing{
		rows: []any{}, ids: []string{}, head: []string{"NAME", "ID", "PLATFORM", "CREATED", "SIZE"},
		names: []string{"ID", "Name", "Repository", "Tag", "Digest", "Platform", "CreatedAt", "CreatedSince", "Size"},
	}
	for _, i := range list {
		row := imageRow{
			Schema: 1, ID: string(i.Manifest.Config.Digest), Name: i.Name, Digest: string(i.Descriptor.Digest), Created: i.Config.Created, Size: i.Size(),
			Platform: image.Platform{OS: i.Config.OS, Architecture: i.Config.Architecture, Variant: i.Config.Variant}.String(),
		}
		name, repository, tag := row.Name, "", ""
		if ref, err := image.ParseReference(name); err == nil {
			name, repository, tag = ref.Familiar(), ref.Registry+"/"+ref.Repository, ref.Tag
		}
		id := i.Manifest.Config.Digest.Short()
		l.rows, l.ids = append(l.rows, row), append(l.ids, id)
		l.cells = append(l.cells, []string{name, id, row.Platform, age(row.Created), sizeText(row.Size)})
		l.field = append(l.field, []string{id, name, repository, tag, row.Digest, row.Platform, row.Created, age(row.Created), sizeText(row.Size)})
	}
	return l, nil
}

// age says how long ago an RFC 3339 time was, roughly.
func age(created string) string {
	t, err := time.Parse(time.RFC3339, created)
	if err != nil {
		return "-"
	}
	hours := int(time.Since(t).Hours())
	switch {
	case hours < 1:
		return "now"
	case hours < 48:
		return strconv.Itoa(hours) + " hours ago"
	case hours < 24*60:
		return strconv.Itoa(hours/24) + " days ago"
	case hours < 24*730:
		return strconv.Itoa(hours/24/30) + " months ago"
	}
	return strconv.Itoa(hours/24/365) + " years ago"
}

// size is a number of bytes in decimal units, as image sizes are given everywhere.
func (a *app) loadCommand() *cobra.Command {
	var input, platform string
	cmd := verb("load [flags]", "Load images from an archive or an OCI layout", "locald load -i image.tar", 0, 0, func([]string) error {
		return a.load(input, platform)
	})
	cmd.Long = "Load images from FILE, or from standard input: an archive that docker save or podman save wrote, or an OCI\n" +
		"layout in a tar, plain or compressed with gzip or zstd; or oci:DIR[:NAME], an OCI layout in a directory.\n" +
		"The names of the images are printed."
	cmd.Flags().StringVarP(&input, "input", "i", "", "read `FILE` or oci:DIR (default: standard input)")
	cmd.Flags().StringVar(&platform, "platform", "", "of several images take the one for `OS/ARCH[/VARIANT]`")
	return cmd
}

func (a *app) load(input, platform string) error {
	store, err := openStore()
	if err != nil {
		return err
	}
	p, err := parsePlatform(platform)
	if err != nil {
		return err
	}
	var names []string
	switch kind, rest, ok := transport(input); {
	case ok:
		names, err = a.loadFrom(store, kind, rest, p)
	case input != "" && input != "-":
		names, err = a.loadFrom(store, "archive", input, p)
	case isTerminal(a.stdin):
		return &failure{id: idUsage, what: "load reads an archive, and standard input is a terminal", try: []string{"locald load -i image.tar"}}
	default:
		names, err = a.loadArchive(store, a.stdin, "standard input", "localhost/image", p)
	}
	for _, name := range names {
		a.stdout.WriteString(name + "\n")
	}
	return err
}

func (a *app) saveCommand() *cobra.Command {
	var output string
	cmd := verb("save [flags] IMAGE...", "Write images to an archive or an OCI layout", "locald save -o image.tar alpine", 1, -1, func(args []string) error {
		return a.save(output, args)
	})
	cmd.Long = "Write images to FILE, or to standard output, as an archive that docker load and podman load read and that is an\n" +
		"OCI layout in a tar as well; or to oci:DIR, an OCI layout in a new directory."
	cmd.ValidArgsFunction = completeNames
	cmd.Flags().StringVarP(&output, "output", "o", "", "write `FILE` or oci:DIR (default: standard output)")
	return cmd
}

func (a *app) save(output string, words []string) (err error) {
	store, images, err := findAll(words)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = &failure{id: idArchive, what: "the images cannot be saved: " + reason(err)}
		}
	}()
	if dir, ok := strings.CutPrefix(output, "oci:"); ok {
		return store.SaveDir(dir, images)
	}
	if output == "" || output == "-" {
		if isTerminal(a.stdout) {
			return errors.New("standard output is a terminal; name a file with -o")
		}
		return store.Save(a.stdout, images)
	}
	f, err := os.Create(output)
	if err != nil {
		return err
	}
	if err = errors.Join(store.Save(f, images), f.Close()); err != nil {
		os.Remove(output)
	}
	return err
}

func findAll(words []string) (*image.Store, []*image.Image, error) {
	store, err := openStore()
	if err != nil {
		return nil, nil, err
	}
	var images []*image.Image
	for _, word := range words {
		i, err := store.Find(word)
		if errors.Is(err, image.ErrNotFound) {
			return nil, nil, missing(store, "image "+strconv.Quote(word)+" is not on this machine", word)
		}
		if err != nil {
			return nil, nil, &failure{id: idNoImage, what: err.Error()}
		}
		images = append(images, i)
	}
	return store, images, nil
}

func (a *app) importCommand() *cobra.Command {
	var platform string
	cmd := verb("import [flags] FILE NAME", "Make an image of the tar of a root file system", "locald import rootfs.tar mine:1", 2, 2, func(args []string) error {
		store, err := openStore()
		if err != nil {
			return err
		}
		p, err := parsePlatform(platform)
		if err != nil {
			return err
		}
		ref, err := reference(args[1])
		if err != nil {
			return err
		}
		from := a.stdin
		if args[0] != "-" {
			if from, err = os.Open(args[0]); err != nil {
				return &failure{id: idArchive, what: args[0] + " cannot be read: " + reason(err)}
			}
			defer from.Close()
		}
		said, err := a.askRegistry(from, false, "import", store.Dir(), ref.String(), p.String())
		if err != nil {
			return err
		}
		if said.Error != "" {
			return &failure{id: idArchive, what: args[0] + " cannot be imported: " + said.Error}
		}
		_, err = a.stdout.WriteString(ref.String() + "\n")
		return err
	})
	cmd.Flags().StringVar(&platform, "platform", "", "what the programs in it are made for: `OS/ARCH[/VARIANT]`")
	return cmd
}

// reference is a name that an image is to have.
func reference(word string) (image.Reference, error) {
	ref, err := image.ParseReference(word)
	if err != nil {
		return ref, &failure{id: idUsage, what: strconv.Quote(word) + " is no name of an image: " + err.Error()}
	}
	return ref, nil
}

func (a *app) tagCommand() *cobra.Command {
	cmd := verb("tag IMAGE NAME", "Give an image one more name", "locald tag alpine:3.22 mine:1", 2, 2, func(args []string) error {
		ref, err := reference(args[1])
		if err != nil {
			return err
		}
		store, images, err := findAll(args[:1])
		if err != nil {
			return err
		}
		if err := store.Tag(images[0], ref); err != nil {
			return &failure{id: idStore, what: err.Error()}
		}
		return nil
	})
	cmd.ValidArgsFunction = completeNames
	return cmd
}

func (a *app) rmiCommand() *cobra.Command {
	var all bool
	cmd := verb("rmi [flags] IMAGE...", "Remove names of images, and images that have no more names", "locald rmi alpine:3.22", 0, -1, func(args []string) error {
		if len(args) == 0 && !all {
			return &failure{id: idUsage, what: "rmi needs the name of an image", try: []string{"locald images"}}
		}
		return a.removeImages(args, all)
	})
	cmd.ValidArgsFunction = completeNames
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove every image")
	return cmd
}

func (a *app) removeImages(words []string, all bool) error {
	store, images, err := findAll(words)
	if err != nil {
		return err
	}
	var names []string
	for n, i := range images {
		// An id means every name that the image has.
		if named(i, words[n]) {
			names = append(names, i.Name)
			continue
		}
		list, err := store.List()
		if err != nil {
			return &failure{id: idStore, what: err.Error()}
		}
		for _, other := range list {
			if other.Descriptor.Digest == i.Descriptor.Digest {
				names = append(names, other.Name)
			}
		}
	}
	if all {
		list, err := store.List()
		if err != nil {
			return &failure{id: idStore, what: err.Error()}
		}
		for _, i := range list {
			names = append(names, i.Name)
		}
	}
	orphans, err := store.Untag(names...)
	if err != nil {
		return &failure{id: idStore, what: "the images cannot be removed: " + err.Error()}
	}
	a.attendAll() // containers hold their layers by their monitors
	// A container that does not run holds nothing, and can be started again all the same.
	used := layersInUse()
	orphans = slices.DeleteFunc(orphans, func(d image.Digest) bool { return slices.Contains(used, store.LayerDir(d)) })
	left, err := store.Discard(orphans)
	if err == nil && len(left) > 0 {
		var helper shim.Helper
		if helper, err = a.helper(); err == nil {
			err = a.removeTrees(helper, store.Layers(), left...)
		}
	}
	if err != nil {
		return &failure{id: idStore, what: "the layers cannot be removed: " + err.Error()}
	}
	for _, name := range names {
		a.stdout.WriteString(name + "\n")
	}
	return nil
}

// named says whether that word is the image's name, and not its id.
func named(i *image.Image, word string) bool {
	ref, err := image.ParseReference(word)
	return err == nil && ref.String() == i.Name
}
