package cli

import (
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/image"
	"github.com/locald/locald/internal/shim"
)

// unpackers is how many layers are unpacked at once.
const unpackers = 4

// unpack makes the file systems of an image's layers that are not there yet, and holds all of them. Each is written by
// a container of its own, which has the ids of the containers to come and sees nothing but its directory.
func (a *app) unpack(helper shim.Helper, src *imageSource) error {
	if src == nil {
		return nil
	}
	who := caller(helper.Setuid)
	src.layers = src.store.LayersOf(src.image, !who.Root() && !who.Subordinate())
	failed := make([]error, len(src.layers))
	var mutex sync.Mutex
	var wait sync.WaitGroup
	free := make(chan struct{}, unpackers)
	seen := map[image.Digest]bool{}
	for n := range src.layers {
		l := &src.layers[n]
		if seen[l.DiffID] {
			continue
		}
		seen[l.DiffID] = true
		if release, there := l.Hold(); there {
			src.hold = append(src.hold, release)
			continue
		}
		wait.Go(func() {
			free <- struct{}{}
			release, err := a.unpackLayer(helper, src.store, l)
			<-free
			mutex.Lock()
			defer mutex.Unlock()
			if failed[n] = err; err == nil {
				src.hold = append(src.hold, release)
			}
		})
	}
	wait.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) unpackLayer(helper shim.Helper, store *image.Store, l *image.Layer) (release func(), err error) {
	fail := func(why string) error {
		return &failure{id: idUnpack, what: "layer " + l.Blob.Digest.Short() + " of the image cannot be unpacked: " + why}
	}
	compression, err := image.Compression(l.Blob.MediaType)
	if err != nil {
		return nil, fail(err.Error())
	}
	blob, err := os.Open(store.BlobPath(l.Blob.Digest))
	if err != nil {
		return nil, fail(reason(err))
	}
	defer blob.Close()
	dir, done, err := store.NewLayer()
	if err != nil {
		return nil, fail(err.Error())
	}
	name := filepath.Base(dir)
	output, err := a.inLayers(helper, store.Layers(), blob, "extract", name, compression, strconv.FormatInt(unpackLimit(store.Dir()), 10))
	digest, devices, _ := strings.Cut(strings.TrimSpace(output), " ")
	if err == nil && digest != string(l.DiffID) {
		err = fail("its content is not what the image says: its digest is " + digest)
	} else if err != nil {
		err = fail(asFailure(err).what)
	}
	placed := false
	if err == nil {
		if devices != "0" {
			a.note("layer " + l.Blob.Digest.Short() + " has " + devices + " device nodes, which are left out")
		}
		placed, err = l.Place(dir)
	}
	if !placed {
		defer func() { a.removeTrees(helper, store.Layers(), name) }()
	}
	defer done()
	if err != nil {
		return nil, err
	}
	release, there := l.Hold()
	if !there {
		return nil, fail("it was removed meanwhile")
	}
	return release, nil
}

// inLayers runs the program that knows layers in a container, with dir on /layers, and returns what it prints. What it
// says on standard error is the error.
func (a *app) inLayers(helper shim.Helper, dir string, stdin *os.File, args ...string) (string, error) {
	return a.inLayersWith(helper, dir, nil, stdin, args...)
}

// inLayersWith mounts something else besides.
func (a *app) inLayersWith(helper shim.Helper, dir string, with []specs.Mount, stdin *os.File, args ...string) (string, error) {
	path, err := registryPath()
	if err != nil {
		return "", err
	}
	rootfs, err := programRootfs(bundle.UnpackPath, path)
	if err != nil {
		return "", err
	}
	o := bundle.Options{
		Rootfs: rootfs, ReadOnly: true, ID: randomID(), Network: bundle.NetworkNone, Caller: caller(helper.Setuid),
		Process: bundle.Process{Args: append([]string{bundle.UnpackPath}, args...)},
		Mounts:  append(with, specs.Mount{Destination: bundle.LayersPath, Type: "bind", Source: dir, Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec"}}),
	}
	out, outEnd, err := collector()
	if err != nil {
		return "", err
	}
	errText, errEnd, err := collector()
	if err != nil {
		outEnd.Close()
		return "", err
	}
	code, err := runOwn(helper, o, stdin, outEnd, errEnd)
	outEnd.Close()
	errEnd.Close()
	said, complaint := <-out, strings.TrimSpace(<-errText)
	switch {
	case err != nil:
		return said, err
	case code != 0 && complaint == "":
		complaint = "the program that does it ended with exit code " + strconv.Itoa(code)
		fallthrough
	case code != 0:
		return said, &failure{id: idUnpack, what: complaint}
	}
	return said, nil
}

// runOwn runs a program of locald's own in a container that nobody sees, to its end, and returns its exit code. The ids
// are those of the caller's other containers.
func runOwn(helper shim.Helper, o bundle.Options, stdin, stdout, stderr *os.File) (code int, err error) {
	spec, err := bundle.Generate(o)
	if err != nil {
		return 0, err
	}
	spec.Linux.Sysctl = nil // nobody uses this network
	if o.Caller.Root() {
		// The ids stay what they are; the powers of root over the machine do not come along.
		all := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1 << 16}}
		spec.Linux.UIDMappings, spec.Linux.GIDMappings = all, all
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	}
	inner := &app{stdin: stdin, stdout: stdout, stderr: stderr, quiet: true}
	err = inner.execute(&runFlags{}, helper, spec, o.ID)
	if inner.signals != nil {
		signal.Stop(inner.signals)
	}
	if inner.reap != nil {
		inner.reap()
	}
	return inner.code, err
}

// collector is a pipe whose text comes out of the channel once its end is closed.
func collector() (<-chan string, *os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	text := make(chan string, 1)
	go func() {
		defer reader.Close()
		data, _ := io.ReadAll(io.LimitReader(reader, 1<<16))
		io.Copy(io.Discard, reader)
		text <- string(data)
	}()
	return text, writer, nil
}

// removeTrees removes directories below dir. Those that a container's other ids own are out of the caller's own reach.
func (a *app) removeTrees(helper shim.Helper, dir string, names ...string) error {
	var left []string
	for _, name := range names {
		if os.RemoveAll(filepath.Join(dir, name)) != nil {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	_, err = a.inLayers(helper, dir, null, append([]string{"remove"}, left...)...)
	return err
}
