package cli

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/files"
)

const copyLong = `Copy a file or a directory, with all that is below it, out of a container or into one, which runs or not.

As with cp -r, what is copied goes into PATH when that is a directory, and else gets its name. DIR/. means
what is in a directory. "-" is a tar stream, on standard output or standard input. What is copied out is
yours; what is copied in is root's, in the container. Permissions and times are kept; devices, sockets and
FIFOs are left out. A link is copied as a link.`

type copyFlags struct{ follow, archive bool }

func (a *app) copyCommand() *cobra.Command {
	f := &copyFlags{}
	cmd := &cobra.Command{
		Use: "cp [flags] CONTAINER:PATH PATH | PATH CONTAINER:PATH", Short: "Copy files out of a container or into one", Long: copyLong,
		Example: "  locald cp web:/etc/nginx/nginx.conf .\n  locald cp site/. web:/srv\n  locald cp web:/var/log - | tar t",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			from, fromPath, out := containerPath(args[0])
			to, toPath, into := containerPath(args[1])
			switch {
			case out && into:
				return &failure{id: idUsage, what: "cp copies between a container and this machine", try: []string{"locald cp " + args[0] + " - | locald cp - " + args[1]}}
			case out:
				return a.copyOut(f, from, fromPath, args[1])
			case into:
				return a.copyInto(f, args[0], to, toPath)
			}
			return &failure{id: idUsage, what: "neither " + args[0] + " nor " + args[1] + " is CONTAINER:PATH", try: []string{"locald cp --help"}}
		},
	}
	cmd.Flags().BoolVarP(&f.follow, "follow-link", "L", false, "a link that is named means what it leads to")
	cmd.Flags().BoolVarP(&f.archive, "archive", "a", false, "keep owners, as far as you may give them, and set-ID bits")
	return cmd
}

// containerPath reads CONTAINER:PATH. What begins with a dot or has a slash before the colon is a path of this machine.
func containerPath(word string) (name, path string, is bool) {
	name, path, is = strings.Cut(word, ":")
	if !is || name == "" || name[0] == '.' || strings.Contains(name, "/") {
		return "", word, false
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // as Docker does
	}
	return name, path, true
}

// copyOut writes below one directory of this machine what a container says, which may be anything.
func (a *app) copyOut(f *copyFlags, word, path, to string) error {
	in, err := a.filesIn(word)
	if err != nil {
		return err
	}
	flags := "-"
	if f.follow {
		flags += "L"
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	if to == "-" {
		if isTerminal(a.stdout) {
			return &failure{id: idUsage, what: "a tar stream is nothing for a terminal", try: []string{"locald cp " + word + ":" + path + " - >file.tar"}}
		}
		return in.do("pack", flags, path, null, a.stdout)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	how := files.Into{Name: files.Last(path), Contents: files.Last(path) == ".", SetID: f.archive}
	if f.archive && os.Getuid() == 0 {
		how.Owner = func(uid, gid int) (int, int) { return uid, gid }
	}
	done := make(chan error, 1)
	go func() {
		defer reader.Close() // who writes more is told
		left, err := files.Unpack(reader, to, how)
		a.leftOut(left)
		done <- err
	}()
	err = in.do("pack", flags, path, null, writer)
	writer.Close()
	unpacked := <-done
	if err != nil && (unpacked == nil || !isLocal(unpacked)) {
		return err
	}
	return copyFailure(unpacked)
}

// isLocal says whether an error is of this machine, and not of a stream that has no end.
func isLocal(err error) bool {
	var p *fs.PathError
	var l *os.LinkError
	return errors.As(err, &p) || errors.As(err, &l)
}

func copyFailure(err error) error {
	if err == nil {
		return nil
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		return &failure{id: idFiles, what: printable(p.Path) + " cannot be copied: " + p.Err.Error()}
	}
	return &failure{id: idFiles, what: "it cannot be copied: " + printable(err.Error())}
}

func (a *app) leftOut(n int) {
	if n == 1 {
		a.note("a device, socket or FIFO is left out")
	} else if n > 1 {
		a.note(strconv.Itoa(n) + " devices, sockets or FIFOs are left out")
	}
}

func (a *app) copyInto(f *copyFlags, from, word, path string) error {
	in, err := a.filesIn(word)
	if err != nil {
		return err
	}
	stdin, flags := a.stdin, "t"
	packed := make(chan error, 1)
	packed <- nil
	if from != "-" {
		if _, err := os.Lstat(from); err != nil {
			return copyFailure(err)
		}
		reader, writer, err := os.Pipe()
		if err != nil {
			return err
		}
		defer reader.Close()
		stdin, flags = reader, "-"
		if files.Last(from) == "." {
			flags += "c"
		}
		if f.archive {
			flags += "a"
		}
		<-packed
		go func() {
			defer writer.Close()
			packed <- files.Pack(writer, from, f.follow, in.inside())
		}()
	}
	var said bytes.Buffer
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	read := make(chan struct{})
	go func() { io.Copy(&said, io.LimitReader(reader, 64)); reader.Close(); close(read) }()
	err = in.do("unpack", flags, path, stdin, writer)
	writer.Close()
	<-read
	if stdin != a.stdin {
		stdin.Close() // Pack is told, when nobody reads it to the end
	}
	if own := <-packed; own != nil && isLocal(own) && !errors.Is(own, os.ErrClosed) && !isBrokenPipe(own) {
		return copyFailure(own)
	}
	if err != nil {
		return err
	}
	left, _ := strconv.Atoi(strings.TrimSpace(said.String()))
	a.leftOut(left)
	return nil
}

// inside turns the owners of this machine into the container's ids; one that is nobody there becomes root.
func (in *filesIn) inside() func(uid, gid int) (int, int) {
	one := func(id int, maps []idMap) int {
		for _, m := range maps {
			if uint64(id)-uint64(m.HostID) < uint64(m.Size) && uint32(id) >= m.HostID {
				return int(m.ContainerID + uint32(id) - m.HostID)
			}
		}
		if len(maps) == 0 {
			return id
		}
		return 0
	}
	return func(uid, gid int) (int, int) {
		return one(uid, in.spec.Linux.UIDMappings), one(gid, in.spec.Linux.GIDMappings)
	}
}
