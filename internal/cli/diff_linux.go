package cli

import (
	"io"
	"os"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/files"
)

// changeRow is one change as --format json prints it.
type changeRow struct {
	Schema int    `json:"schema"` // 1
	Kind   string `json:"kind"`   // A, C or D
	Path   string `json:"path"`
}

func (a *app) diffCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "diff [flags] CONTAINER", Short: "List what a container has changed in its image: A added, C changed, D deleted", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			in, err := a.filesIn(args[0])
			if err != nil {
				return err
			}
			list, err := in.changes()
			if err != nil {
				return err
			}
			if format == "" {
				var lines []string
				for _, c := range list {
					lines = append(lines, string(c.Kind)+" "+quoted(c.Path))
				}
				return a.lines(lines)
			}
			l := &listing{rows: []any{}, head: []string{"KIND", "PATH"}, names: []string{"Kind", "Path"}}
			for _, c := range list {
				l.rows = append(l.rows, changeRow{schema, string(c.Kind), c.Path})
				l.cells = append(l.cells, []string{string(c.Kind), quoted(c.Path)})
				l.field = append(l.field, []string{string(c.Kind), quoted(c.Path)})
			}
			return a.list(format, l)
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "json, jsonl, table, or a `TEMPLATE` as '{{.Path}}' (default: lines)")
	return cmd
}

// changes are those of the container's upper directory, without the mount points that are there for what is mounted.
func (in *filesIn) changes() ([]files.Change, error) {
	m := in.overlay()
	if m == nil {
		return nil, in.fails("its root file system is a directory of this machine, and nothing says what was there before")
	}
	upper := specs.Mount{Destination: bundle.LayersPath, Type: "bind", Options: []string{"bind", "rprivate", "ro", "nosuid", "nodev", "noexec"}}
	for _, o := range m.Options {
		if dir, ok := strings.CutPrefix(o, "upperdir="); ok {
			upper.Source = dir
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	text := make(chan []byte, 1)
	go func() {
		data, _ := io.ReadAll(reader)
		reader.Close()
		text <- data
	}()
	err = in.beside([]specs.Mount{upper, lowerOf(m)}, []string{"/", "changes", bundle.LayersPath, "/tmp"}, null, writer)
	writer.Close()
	data := <-text
	if err != nil {
		return nil, err
	}
	var list []files.Change
	for record := range strings.SplitSeq(string(data), "\x00") {
		if len(record) > 1 {
			list = append(list, files.Change{Kind: record[0], Path: record[1:]})
		}
	}
	return withoutMounts(list, in.spec.Mounts), nil
}

// lowerOf is what lies below the upper directory of an overlay, for reading, on /tmp. An overlay that is only read has
// two layers at least.
func lowerOf(m *specs.Mount) specs.Mount {
	out := specs.Mount{Destination: "/tmp", Type: "overlay", Source: "overlay", Options: []string{"userxattr", "ro"}}
	var dirs []string
	for _, o := range m.Options {
		if list, ok := strings.CutPrefix(o, "lowerdir="); ok {
			dirs = append(dirs, splitLayers(list)...)
			out.Options = append(out.Options, o)
		} else if dir, ok := strings.CutPrefix(o, "lowerdir+="); ok {
			dirs = append(dirs, dir)
			out.Options = append(out.Options, o)
		}
	}
	if len(dirs) == 1 {
		return specs.Mount{Destination: "/tmp", Type: "bind", Source: dirs[0], Options: []string{"bind", "rprivate", "ro", "nosuid", "nodev", "noexec"}}
	}
	return out
}

// splitLayers reads the option lowerdir (overlayfs.rst, "Multiple lower layers").
func splitLayers(list string) (dirs []string) {
	var dir strings.Builder
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '\\' && i+1 < len(list):
			i++
			dir.WriteByte(list[i])
		case list[i] == ':':
			dirs = append(dirs, dir.String())
			dir.Reset()
		default:
			dir.WriteByte(list[i])
		}
	}
	return append(dirs, dir.String())
}

// withoutMounts leaves out mount points, and directories in which nothing else is new.
func withoutMounts(list []files.Change, mounts []specs.Mount) []files.Change {
	var kept []files.Change
	for _, c := range slices.Backward(list) { // what is in a directory before the directory
		inside := func(other files.Change) bool { return bundle.Within(other.Path, c.Path) }
		if !slices.ContainsFunc(mounts, func(m specs.Mount) bool {
			return m.Destination != "/" && (bundle.Within(c.Path, m.Destination) || bundle.Within(m.Destination, c.Path) && !slices.ContainsFunc(kept, inside))
		}) {
			kept = append(kept, c)
		}
	}
	slices.Reverse(kept)
	return kept
}
