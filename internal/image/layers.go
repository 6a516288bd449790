package image

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// SingleSuffix marks layers that were unpacked with a single id: all their files belong to the caller.
const SingleSuffix = "-single"

// Layer is one layer of an image that is to be unpacked.
type Layer struct {
	DiffID Digest
	Blob   Descriptor
	Dir    string // where it is, or will be: DIFFID
	FS     string // Dir's root file system
}

// LayerDir is where a layer is, up to what marks one of a single id.
func (s *Store) LayerDir(id Digest) string { return filepath.Join(s.Layers(), id.Hex()) }

// LayersOf are the layers of an image, from the bottom, each once.
func (s *Store) LayersOf(i *Image, single bool) []Layer {
	var list []Layer
	for n, id := range i.Config.RootFS.DiffIDs {
		dir := s.LayerDir(id)
		if single {
			dir += SingleSuffix
		}
		list = append(list, Layer{id, i.Manifest.Layers[n], dir, filepath.Join(dir, "fs")})
	}
	return list
}

// Hold keeps a layer from being removed until release is called, and reports whether it is there.
func (l *Layer) Hold() (release func(), there bool) {
	release, err := holdDir(l.Dir, false)
	return release, err == nil
}

// NewLayer makes a directory for a layer that is being unpacked. Nobody removes it before release is called.
func (s *Store) NewLayer() (dir string, release func(), err error) {
	dir, err = os.MkdirTemp(s.Layers(), newPrefix)
	if err != nil {
		return "", nil, err
	}
	release, err = holdDir(dir, false)
	return dir, release, err
}

const newPrefix = "new-"

// Place gives a layer that is whole its name. Another call may have been faster; then false is returned.
func (l *Layer) Place(dir string) (placed bool, err error) {
	if err = os.Rename(dir, l.Dir); err == nil {
		return true, nil
	}
	if _, err2 := os.Stat(l.FS); err2 == nil {
		return false, nil
	}
	return false, err
}

// Discard renames the layers that no image has and no container uses, and returns the names, below Layers, that are to
// be removed; so are those that a killed call left behind.
func (s *Store) Discard(orphans []Digest) (names []string, err error) {
	entries, err := os.ReadDir(s.Layers())
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		old := e.Name()
		path := filepath.Join(s.Layers(), old)
		name := strings.TrimSuffix(old, SingleSuffix)
		orphan := false
		for _, d := range orphans {
			orphan = orphan || d.Hex() == name
		}
		if !orphan && !strings.HasPrefix(old, newPrefix) {
			continue
		}
		release, err2 := holdDir(path, true)
		if err2 != nil { // in use
			continue
		}
		if orphan {
			old = newPrefix + old
			err2 = os.Rename(path, filepath.Join(s.Layers(), old))
		}
		release()
		if err2 != nil {
			err = errors.Join(err, err2)
			continue
		}
		names = append(names, old)
	}
	return names, err
}
