package cli

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/image"
)

// registryProgram speaks with registries, reads archives and unpacks layers.
const registryProgram = "locald-registry"

// answer is what it says at its end.
type answer struct {
	Error, Kind, Kept string
	Names             []string
}

// askRegistry runs that program. Its progress is shown when it is wanted.
func (a *app) askRegistry(stdin *os.File, quiet bool, args ...string) (answer, error) {
	path, err := registryPath()
	if err != nil {
		return answer{}, err
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = stdin
	if !quiet {
		cmd.Stderr = a.stderr
	}
	out, err := cmd.Output()
	var said answer
	if json.Unmarshal(out, &said) != nil {
		if err == nil {
			err = errors.New("no answer")
		}
		return said, &failure{id: idRegistry, what: registryProgram + " ended without an answer: " + err.Error()}
	}
	return said, nil
}

// registryPath is the program beside locald, or where an installation has it.
func registryPath() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", &failure{id: idRegistry, what: err.Error()}
	}
	for _, dir := range []string{filepath.Dir(self), "/usr/local/libexec", "/usr/libexec/locald", "/usr/lib/locald"} {
		path := filepath.Join(dir, registryProgram)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", &failure{
		id: idRegistry, what: registryProgram + ", which pulls, loads and unpacks images, is not beside " + self, try: []string{"make build"},
	}
}

// pullImage fetches an image into the store. word is its name as it was typed.
func (a *app) pullImage(store *image.Store, ref image.Reference, word, platform string, quiet bool) error {
	p, err := parsePlatform(platform)
	if err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return &failure{id: idRegistry, what: err.Error()}
	}
	defer null.Close()
	said, err := a.askRegistry(null, quiet, "pull", store.Dir(), ref.String(), p.String())
	if err != nil || said.Error == "" {
		return err
	}
	return pullFailure(store, ref, word, said)
}

func pullFailure(store *image.Store, ref image.Reference, word string, said answer) *failure {
	name := strconv.Quote(word)
	why := []string{said.Error}
	switch {
	case said.Kind == "not found", said.Kind == "denied" && ref.Registry == image.DefaultRegistry:
		// Docker's registry answers alike for what is private and for what does not exist.
		f := missing(store, "image "+name+" not found on "+ref.Registry, word)
		if said.Kind == "denied" {
			f.try = append(f.try, "locald login "+ref.Registry)
		}
		return f
	case said.Kind == "offline":
		file, _, _ := strings.Cut(filepath.Base(ref.Repository), ":")
		return &failure{
			id: idOffline, what: "no network, and " + name + " is not on this machine", why: why,
			try: []string{"locald load -i " + file + ".tar", "connect and: locald pull " + word},
		}
	case said.Kind == "too many":
		return &failure{id: idTooMany, what: ref.Registry + " refuses more anonymous pulls for now (429)", try: []string{"locald login " + ref.Registry}}
	case said.Kind == "denied":
		return &failure{id: idDenied, what: ref.Registry + " refuses " + name + " to you", why: why, try: []string{"locald login " + ref.Registry}}
	}
	return &failure{id: idRegistry, what: "image " + name + " cannot be pulled: " + said.Error}
}

func (a *app) pullCommand() *cobra.Command {
	var platform string
	var quiet bool
	cmd := verb("pull [flags] IMAGE...", "Pull images from their registries", "locald pull alpine:3.22", 1, -1, func(args []string) error {
		store, err := openStore()
		if err != nil {
			return err
		}
		for _, word := range args {
			ref, err := reference(word)
			if err != nil {
				return err
			}
			if err := a.pullImage(store, ref, word, platform, quiet); err != nil {
				return err
			}
			a.stdout.WriteString(ref.String() + "\n")
		}
		return nil
	})
	cmd.Long = "Pull images. A short name means docker.io. Credentials are those of ~/.docker/config.json and its credential\n" +
		"helpers. What breaks off goes on where it stopped, also with the next pull."
	cmd.Flags().StringVar(&platform, "platform", "", "pull the image for `OS/ARCH[/VARIANT]` (default: this machine's)")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print no progress")
	return cmd
}

func (a *app) loginCommand() *cobra.Command {
	var user string
	var stdin bool
	cmd := verb("login [flags] [REGISTRY]", "Log in to a registry", "locald login -u me --password-stdin ghcr.io <token", 0, 1, func(args []string) error {
		registry := registryOf(args)
		if user == "" {
			return &failure{id: idUsage, what: "login needs a user", try: []string{"locald login -u USER " + registry}}
		}
		from := a.stdin
		if isTerminal(a.stdin) {
			a.stderr.WriteString("Password for " + user + " on " + registry + ": ")
			restore := hideInput(a.stdin)
			line := readLine(a.stdin)
			restore()
			a.stderr.WriteString("\n")
			reader, writer, err := os.Pipe()
			if err != nil {
				return err
			}
			defer reader.Close()
			writer.WriteString(line) // a pipe holds a page, and a line of a terminal is no longer
			writer.Close()
			from = reader
		} else if !stdin {
			return &failure{id: idUsage, what: "standard input is no terminal to ask for the password on", try: []string{"locald login -u " + user + " --password-stdin " + registry + " <FILE"}}
		}
		said, err := a.askRegistry(from, false, "login", registry, user)
		switch {
		case err != nil:
			return err
		case said.Kind == "denied":
			return &failure{id: idDenied, what: registry + " does not take that password of " + user, why: []string{said.Error}}
		case said.Error != "":
			return &failure{id: idRegistry, what: "login to " + registry + " failed: " + said.Error}
		}
		a.note("the credentials are kept as " + said.Kept + " says")
		return nil
	})
	cmd.Flags().StringVarP(&user, "username", "u", "", "log in as `USER`")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

func (a *app) logoutCommand() *cobra.Command {
	return verb("logout [REGISTRY]", "Forget the credentials for a registry", "locald logout ghcr.io", 0, 1, func(args []string) error {
		said, err := a.askRegistry(nil, false, "logout", registryOf(args))
		if err == nil && said.Error != "" {
			err = &failure{id: idRegistry, what: said.Error}
		}
		return err
	})
}

func registryOf(args []string) string {
	if len(args) == 0 {
		return image.DefaultRegistry
	}
	return args[0]
}

// readLine reads byte by byte, so that what follows stays unread.
func readLine(f *os.File) string {
	var line []byte
	for b := make([]byte, 1); len(line) < 4096; line = append(line, b[0]) {
		if n, err := f.Read(b); n != 1 || err != nil || b[0] == '\n' {
			break
		}
	}
	return string(line)
}
