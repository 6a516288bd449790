// Locald-registry does for locald what it takes large libraries to do: it speaks with registries, and it reads what is
// compressed. It is a program of its own because they take time to start, which no other command of locald should pay.
//
//	locald-registry pull STORE NAME OS/ARCH[/VARIANT]
//	locald-registry load STORE NAME OS/ARCH[/VARIANT]     reads an archive from standard input
//	locald-registry import STORE NAME OS/ARCH[/VARIANT]   reads a tar from standard input
//	locald-registry login REGISTRY USER     reads the password from standard input
//	locald-registry logout REGISTRY
//
// Progress goes to standard error, when that is a terminal. At the end it writes one JSON object to standard output: what went wrong, and of
// what kind, or where credentials are kept, or which images were loaded.
//
// In a container that locald makes for it, it is called /unpack and writes the layers of images (image.UnpackMain).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/compress"
	"github.com/locald/locald/internal/image"
	"github.com/locald/locald/internal/registry"
)

// answer is the line on standard output.
type answer struct {
	Error string        `json:"error,omitempty"`
	Kind  registry.Kind `json:"kind,omitempty"`
	Kept  string        `json:"kept,omitempty"`
	Names []string      `json:"names,omitempty"`
}

func main() {
	if len(os.Args) > 0 && os.Args[0] == bundle.UnpackPath {
		os.Exit(image.UnpackMain(os.Args[1:], compress.Reader))
	}
	a, err := run(os.Args[1:])
	if err != nil {
		a.Error, a.Kind = err.Error(), registry.KindOf(err)
	}
	json.NewEncoder(os.Stdout).Encode(a)
	if err != nil {
		os.Exit(1)
	}
}

func run(args []string) (a answer, err error) {
	switch {
	case len(args) == 4 && args[0] == "load":
		a.Names, err = load(args[1], args[2], args[3])
		return a, err
	case len(args) == 4 && args[0] == "import":
		return a, importTar(args[1], args[2], args[3])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case len(args) == 4 && args[0] == "pull":
		return a, pull(ctx, args[1], args[2], args[3])
	case len(args) == 3 && args[0] == "login":
		password, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<16))
		if err != nil {
			return a, err
		}
		a.Kept, err = registry.Login(ctx, args[1], args[2], strings.TrimRight(string(password), "\r\n"))
		return a, err
	case len(args) == 2 && args[0] == "logout":
		return a, registry.Logout(args[1])
	}
	return a, errors.New("locald-registry is started by locald: use locald pull, load, import, login and logout")
}

// target is where an image goes: the store, its name and what it is for.
func target(dir, word, platform string) (store *image.Store, name image.Reference, p image.Platform, err error) {
	if store, err = image.Open(dir); err != nil {
		return
	}
	if name, err = image.ParseReference(word); err != nil {
		return
	}
	p, err = image.ParsePlatform(platform)
	return
}

func load(dir, word, platform string) ([]string, error) {
	store, _, p, err := target(dir, word, platform)
	if err != nil {
		return nil, err
	}
	return store.Load(os.Stdin, image.Options{Platform: p, Name: word, Decompress: compress.Reader})
}

func importTar(dir, word, platform string) error {
	store, ref, p, err := target(dir, word, platform)
	if err != nil {
		return err
	}
	return store.Import(os.Stdin, ref, p, compress.Reader)
}

func pull(ctx context.Context, dir, word, platform string) error {
	store, ref, p, err := target(dir, word, platform)
	if err != nil {
		return err
	}
	client := &registry.Client{Store: store, Keychain: authn.DefaultKeychain, Progress: progress(os.Stderr)}
	return client.Pull(ctx, ref, p)
}
