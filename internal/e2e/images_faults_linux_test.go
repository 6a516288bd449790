package e2e

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/image"
)

// smallStore is a caller whose store is on a file system of that many bytes, and a function that lists what is in it.
func smallStore(t *testing.T, size int) (c *caller, store string, held func() []string) {
	t.Helper()
	seenOnHost(t)
	needs(t, here.root, "needs root to mount a small file system")
	c = newCaller(t)
	store = filepath.Join(filepath.Dir(c.dir), "store")
	must(t, os.Mkdir(store, 0o755))
	mountHere(t, "tmpfs", store, "tmpfs", "mode=755,size="+itoa(size))
	return c, store, func() (list []string) {
		for _, pattern := range []string{"images/blobs/sha256/*", "layers/*", "tmp/*", "running/*", "containers/*"} {
			found, err := filepath.Glob(filepath.Join(store, pattern))
			must(t, err)
			for _, path := range found {
				if !strings.HasPrefix(filepath.Base(path), "lock-") { // these stay
					list = append(list, path)
				}
			}
		}
		return list
	}
}

// noise is a layer that does not compress, with the probe in it.
func noise(t *testing.T, size int) []byte {
	t.Helper()
	probe, err := os.ReadFile(probeExe)
	must(t, err)
	body := make([]byte, size)
	rand.Read(body)
	return layerOf(t, entry{name: "probe", body: string(probe), mode: 0o755}, entry{name: "noise", body: string(body), mode: 0o644})
}

// TestStoreFull: an image that finds no room leaves nothing, says why, and keeps no other out.
func TestStoreFull(t *testing.T) {
	c, _, held := smallStore(t, 24<<20)
	big, small := noise(t, 40<<20), noise(t, 1<<20)
	writeImage(t, filepath.Join(c.dir, "big.tar"), "big:1", image.Process{}, big)
	writeImage(t, filepath.Join(c.dir, "small.tar"), "small:1", image.Process{}, small)
	for range 2 {
		c.locald(t, "load", "-i", "big.tar").failed(t, 1, "no space left on device")
		if left := held(); len(left) > 0 {
			t.Fatal("left:", left)
		}
	}
	c.locald(t, "load", "-i", "small.tar").ok(t)
	before := held()
	c.locald(t, "load", "-i", "big.tar").failed(t, 1, "no space left on device")
	if after := held(); !slices.Equal(after, before) {
		t.Errorf("before %v, after %v", before, after)
	}
	// There is always room kept for the rest of the machine, so this one is not unpacked.
	c.locald(t, "-q", "run", "--network", "none", "small:1", "/probe", "look").failed(t, 125, "layer")
	if after := held(); !slices.Equal(after, before) {
		t.Errorf("before %v, after %v", before, after)
	}
	c.locald(t, "rmi", "--all").ok(t)
	if left := held(); len(left) > 0 {
		t.Error("left:", left)
	}
}

// TestStoreReadOnly: what is there can be looked at, everything else says why not.
func TestStoreReadOnly(t *testing.T) {
	c, store, held := smallStore(t, 600<<20)
	writeImage(t, filepath.Join(c.dir, "small.tar"), "small:1", image.Process{}, noise(t, 1<<20))
	writeImage(t, filepath.Join(c.dir, "other.tar"), "other:1", image.Process{}, noise(t, 1<<20))
	c.locald(t, "load", "-i", "small.tar").ok(t)
	c.locald(t, "-q", "run", "--network", "none", "small:1", "/probe", "look").ok(t)
	before := held()
	must(t, unix.Mount("", store, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	for _, args := range [][]string{
		{"load", "-i", "other.tar"}, {"tag", "small:1", "more:1"}, {"rmi", "small:1"}, {"volume", "create", "v"},
	} {
		c.locald(t, args...).failed(t, 1, "read-only file system")
	}
	for _, args := range [][]string{
		{"run", "--network", "none", "small:1", "/probe", "look"}, {"run", "-d", "--network", "none", "small:1", "/probe", "look"},
	} {
		c.locald(t, append([]string{"-q"}, args...)...).failed(t, 125, "read-only file system")
	}
	c.locald(t, "-q", "create", "--network", "none", "small:1", "/probe", "look").failed(t, 1, "read-only file system")
	if res := c.locald(t, "images").ok(t); !strings.Contains(res.stdout, "small") {
		t.Error(res)
	}
	c.locald(t, "ps", "-a").ok(t)
	c.locald(t, "system", "df").ok(t)
	c.locald(t, "-q", "run", "--network", "none", "dir:rootfs", "/probe", "look").ok(t)
	if after := held(); !slices.Equal(after, before) {
		t.Errorf("before %v, after %v", before, after)
	}
	must(t, unix.Mount("", store, "", unix.MS_REMOUNT, ""))
	c.locald(t, "rmi", "--all").ok(t)
}

// TestLoadKilled: what a killed load leaves is nobody's, and the next one takes it away.
func TestLoadKilled(t *testing.T) {
	c, _, held := smallStore(t, 200<<20)
	writeImage(t, filepath.Join(c.dir, "big.tar"), "big:1", image.Process{}, noise(t, 40<<20))
	pipe := filepath.Join(c.dir, "half.tar")
	must(t, unix.Mkfifo(pipe, 0o600))
	whole, err := os.ReadFile(filepath.Join(c.dir, "big.tar"))
	must(t, err)
	cmd := c.command("load", "-i", "half.tar")
	must(t, cmd.Start())
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	must(t, err)
	_, err = w.Write(whole[:len(whole)/2]) // returns when all but what the pipe holds has been read
	must(t, err)
	must(t, cmd.Process.Kill())
	cmd.Wait()
	must(t, w.Close())
	c.locald(t, "load", "-i", "big.tar").ok(t)
	if blobs := held(); len(blobs) != 3 {
		t.Errorf("not the manifest, the configuration and one layer: %v", blobs)
	}
	c.locald(t, "rmi", "--all").ok(t)
	if left := held(); len(left) > 0 {
		t.Error("left:", left)
	}
}
