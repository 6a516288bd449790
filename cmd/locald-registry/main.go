// Locald-registry pulls images for locald and logs in to registries. It is a program of its own because what speaks
// with registries takes time to start, which no other command of locald should pay.
//
//	locald-registry pull STORE NAME OS/ARCH[/VARIANT]
//	locald-registry login REGISTRY USER     reads the password from standard input
//	locald-registry logout REGISTRY
//
// Progress goes to standard error. At the end it writes one JSON object to standard output: what went wrong, and of
// what kind, or where credentials are kept.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/locald/locald/internal/image"
	"github.com/locald/locald/internal/registry"
)

// answer is the line on standard output.
type answer struct {
	Error string        `json:"error,omitempty"`
	Kind  registry.Kind `json:"kind,omitempty"`
	Kept  string        `json:"kept,omitempty"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var a answer
	var err error
	if a.Kept, err = run(ctx, os.Args[1:]); err != nil {
		a.Error, a.Kind = err.Error(), registry.KindOf(err)
	}
	json.NewEncoder(os.Stdout).Encode(a)
	if err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (kept string, err error) {
	switch {
	case len(args) == 4 && args[0] == "pull":
		return "", pull(ctx, args[1], args[2], args[3])
	case len(args) == 3 && args[0] == "login":
		password, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<16))
		if err != nil {
			return "", err
		}
		return registry.Login(ctx, args[1], args[2], strings.TrimRight(string(password), "\r\n"))
	case len(args) == 2 && args[0] == "logout":
		return "", registry.Logout(args[1])
	}
	return "", fmt.Errorf("locald-registry is started by locald: use locald pull, login and logout")
}

func pull(ctx context.Context, dir, word, platform string) error {
	store, err := image.Open(dir)
	if err != nil {
		return err
	}
	ref, err := image.ParseReference(word)
	if err != nil {
		return err
	}
	p, err := image.ParsePlatform(platform)
	if err != nil {
		return err
	}
	client := &registry.Client{
		Store: store, Keychain: authn.DefaultKeychain,
		Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
	}
	return client.Pull(ctx, ref, p)
}
