package cli

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/image"
	"github.com/locald/locald/internal/shim"
)

// imageFlags are the flags of run that are about the image.
type imageFlags struct {
	pull, platform  string
	entrypoint      string
	made            string      // what the image is for: OS/ARCH
	entrypointGiven func() bool // "" takes the image's away
}

func (f *imageFlags) define(flags *pflag.FlagSet) {
	flags.StringVar(&f.pull, "pull", "missing", "ask the registry for the image: `WHEN` is missing, always or never")
	flags.StringVar(&f.platform, "platform", "", "take the image for `OS/ARCH[/VARIANT]` (default: this machine's)")
	flags.StringVar(&f.entrypoint, "entrypoint", "", "run `PROGRAM` in place of the image's entrypoint")
	f.entrypointGiven = func() bool { return flags.Changed("entrypoint") }
}

// imageSource is an image of the store that is to be run.
type imageSource struct {
	word   string // as it was typed
	store  *image.Store
	image  *image.Image
	layers []image.Layer // from the bottom, each of them there and held, once unpacked
	hold   []func()
}

// source finds what is to be run. An image that is missing is pulled.
func (a *app) source(f *runFlags, word string) (source, error) {
	if word == helloImage || strings.HasPrefix(word, dirPrefix) {
		return parseSource(word)
	}
	if !slices.Contains([]string{"missing", "always", "never"}, f.pull) {
		return source{}, &failure{id: idUsage, what: "--pull " + f.pull + ": it is missing, always or never"}
	}
	store, err := openStore()
	if err != nil {
		return source{}, err
	}
	platform, err := parsePlatform(f.platform)
	if err != nil {
		return source{}, err
	}
	name := word
	if kind, rest, ok := transport(word); ok {
		names, err := a.loadFrom(store, kind, rest, platform)
		if err != nil {
			return source{}, err
		}
		name = names[0]
	}
	i, err := a.find(store, f, name, platform)
	if err != nil {
		return source{}, err
	}
	f.made = image.Platform{OS: i.Config.OS, Architecture: i.Config.Architecture}.String()
	if i.Config.OS != "linux" {
		return source{}, &failure{id: idNotExecutable, code: shim.CodeNotExecutable, what: "image " + strconv.Quote(word) + " is for " + f.made + "; this machine is linux/" + runtime.GOARCH}
	}
	return source{image: &imageSource{word: word, store: store, image: i}}, nil
}

func (a *app) find(store *image.Store, f *runFlags, name string, platform image.Platform) (*image.Image, error) {
	i, err := store.Find(name)
	stale := f.pull == "always"
	if err == nil && f.platform != "" && i.Config.Architecture != platform.Architecture {
		stale = true
	}
	if err == nil && !stale {
		return i, nil
	}
	if err != nil && !errors.Is(err, image.ErrNotFound) {
		return nil, &failure{id: idNoImage, what: err.Error()}
	}
	ref, refErr := image.ParseReference(name)
	if refErr != nil {
		return nil, &failure{id: idUsage, what: strconv.Quote(name) + " is no name of an image: " + refErr.Error()}
	}
	if f.pull == "never" {
		what := "image " + strconv.Quote(name) + " is not on this machine, and --pull never was given"
		return nil, missing(store, what, name)
	}
	if err := a.pullImage(store, ref, name, f.platform, a.quiet); err != nil {
		return nil, err
	}
	i, err = store.Find(name)
	if err != nil {
		return nil, &failure{id: idNoImage, what: err.Error()}
	}
	return i, nil
}

// missing is the failure for an image that is nowhere, with names that were perhaps meant.
func missing(store *image.Store, what, name string) *failure {
	f := &failure{id: idNoImage, what: what}
	bare := func(s string) string {
		if colon := strings.LastIndexByte(s, ':'); colon > strings.LastIndexByte(s, '/') {
			return s[:colon]
		}
		return s
	}
	var like []string
	for _, have := range store.Names() {
		if bare(name) == bare(have) || near(bare(name), bare(have)) {
			like = append(like, have)
		}
	}
	if len(like) > 0 {
		f.what += ". Local images with a similar name: " + strings.Join(like, ", ")
		f.try = []string{"locald run " + like[0]}
	}
	return f
}

// parsePlatform reads OS/ARCH[/VARIANT]. "" is a container's on this machine.
func parsePlatform(s string) (image.Platform, error) {
	if s == "" {
		return image.Platform{OS: "linux", Architecture: runtime.GOARCH}, nil
	}
	p, err := image.ParsePlatform(s)
	if err != nil {
		return p, &failure{id: idUsage, what: "--platform " + s + ": " + err.Error(), try: []string{"--platform linux/" + runtime.GOARCH}}
	}
	return p, nil
}

// transport splits "oci:…" and its kind.
func transport(word string) (kind, rest string, ok bool) {
	for _, kind := range []string{"oci-archive", "docker-archive", "oci"} {
		if rest, ok := strings.CutPrefix(word, kind+":"); ok {
			return kind, rest, true
		}
	}
	return "", "", false
}

// loadFrom loads what a transport names into the store.
func (a *app) loadFrom(store *image.Store, kind, rest string, platform image.Platform) ([]string, error) {
	path, only := rest, ""
	if kind == "oci" {
		if _, err := os.Stat(path); err != nil {
			path, only, _ = strings.Cut(rest, ":")
		}
	}
	if kind != "oci" {
		f, err := os.Open(path)
		if err != nil {
			return nil, notLoaded(path, reason(err))
		}
		defer f.Close()
		return a.loadArchive(store, f, path, archiveName(path), platform)
	}
	names, err := store.LoadDir(path, image.Options{Platform: platform, Name: archiveName(path), Only: only})
	if err == nil && len(names) == 0 {
		err = errNoImage
	}
	if err != nil {
		return nil, notLoaded(path, reason(err))
	}
	return names, nil
}

var errNoImage = errors.New("it holds no image")

func notLoaded(what, why string) *failure {
	return &failure{id: idArchive, what: what + " cannot be loaded: " + why}
}

// loadArchive has the program that knows compression load an archive. An image that says no name gets one.
func (a *app) loadArchive(store *image.Store, from *os.File, what, name string, platform image.Platform) ([]string, error) {
	said, err := a.askRegistry(from, false, "load", store.Dir(), name, platform.String())
	switch {
	case err != nil:
		return nil, err
	case said.Error != "":
		return said.Names, notLoaded(what, said.Error)
	case len(said.Names) == 0:
		return nil, notLoaded(what, errNoImage.Error())
	}
	return said.Names, nil
}

// archiveName is what an image without a name is called: after the file.
func archiveName(path string) string {
	base := strings.ToLower(filepath.Base(path))
	for _, end := range []string{".gz", ".zst", ".tar", ".tgz"} {
		base = strings.TrimSuffix(base, end)
	}
	base = strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, base), "-._")
	if base == "" {
		base = "image"
	}
	return "localhost/" + base
}

// config gives the process what the image says, where no flag says otherwise. A command takes the place of the image's;
// an entrypoint takes the place of both.
func (s *imageSource) config(f *runFlags, p *bundle.Process) {
	c := &s.image.Config.Config
	entrypoint, command := c.Entrypoint, c.Cmd
	if f.entrypointGiven() {
		entrypoint, command = nil, nil
		if f.entrypoint != "" {
			entrypoint = []string{f.entrypoint}
		}
	}
	if len(p.Args) > 0 {
		command = p.Args
	}
	p.Args = slices.Concat(entrypoint, command)
	p.Env = slices.Clone(c.Env)
	if p.Cwd == "" {
		p.Cwd = c.WorkingDir
	}
	if f.user == "" {
		f.user = c.User
	}
}

// read is the text of a file of the image: that of the highest layer that has it. What is no regular file, as the
// device that hides a file, has no text.
func (s *imageSource) read(name string) (string, error) {
	for n := len(s.layers) - 1; n >= 0; n-- {
		text, err := bundle.ReadRootfs(s.layers[n].FS, name)
		if err != nil {
			return "", err
		}
		if text != "" {
			return text, nil
		}
	}
	return "", nil
}

// mountImage makes an image the root file system of a container that writes below dir, and that finds its names there.
func (f *runFlags) mountImage(s *imageSource, o *bundle.Options, dir string) error {
	s.mount(o, dir)
	err := f.addNames(o, dir)
	if o.Names != nil {
		o.Names.Place = s.place
	}
	return err
}

// place is where a path in the image leads to, from link to link; also when nothing is there.
func (s *imageSource) place(path string) string {
	for range 8 {
		link := ""
		for n := len(s.layers) - 1; n >= 0 && link == ""; n-- {
			root, err := os.OpenRoot(s.layers[n].FS)
			if err != nil {
				continue
			}
			link, err = root.Readlink(path[1:])
			if err != nil {
				if _, err = root.Lstat(path[1:]); err == nil {
					n = 0 // something else, which hides what is below it
				}
			}
			root.Close()
		}
		switch {
		case link == "":
			return path
		case !filepath.IsAbs(link):
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = filepath.Clean(link)
	}
	return path
}

// mount makes the layers the root file system, with what is written below dir, as makeScratch has made it.
func (s *imageSource) mount(o *bundle.Options, dir string) {
	o.Rootfs = filepath.Join(dir, "rootfs")
	v := &bundle.Overlay{Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work")}
	for n := len(s.layers) - 1; n >= 0; n-- {
		if !slices.Contains(v.Lower, s.layers[n].FS) { // overlayfs refuses a layer twice
			v.Lower = append(v.Lower, s.layers[n].FS)
		}
	}
	if len(v.Lower) == 0 {
		v.Lower = []string{o.Rootfs}
	}
	o.Overlay = v
}

// close lets go of the layers.
func (s source) close() {
	if s.image != nil {
		for _, release := range s.image.hold {
			release()
		}
	}
}

// openStore is the store of this caller.
func openStore() (*image.Store, error) {
	dir, err := dataDir()
	if err == nil {
		var store *image.Store
		if store, err = image.Open(dir); err == nil {
			return store, nil
		}
	}
	return nil, &failure{id: idStore, what: "the store of images cannot be used: " + err.Error(), why: []string{"LOCALD_HOME names another directory for it"}}
}

// dataDir is LOCALD_HOME, or where the data of a user belongs (XDG base directory specification).
func dataDir() (string, error) {
	if dir := os.Getenv("LOCALD_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Getuid() == 0 {
		// Not below HOME: under sudo that may be the user's, and root writes nothing there.
		return "/var/lib/locald", nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "locald"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "share", "locald"), err
}
