package cli

import (
	"encoding/json"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/shim"
)

// schema is the version of every JSON object that locald prints.
const schema = 1

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of locald",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if format == formatJSON {
				return a.printJSON(struct {
					Schema  int    `json:"schema"`
					Version string `json:"version"`
					Go      string `json:"go"`
					OS      string `json:"os"`
					Arch    string `json:"arch"`
				}{schema, shim.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH})
			}
			_, err := a.stdout.WriteString("locald version " + shim.Version + " (" + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")\n")
			return err
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

const (
	formatText = "text"
	formatJSON = "json"
)

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", formatText, "text or json")
}

func checkFormat(format string) error {
	if format != formatText && format != formatJSON {
		return &failure{id: idUsage, what: "--format " + format + ": the formats are text and json", try: []string{"--format json"}}
	}
	return nil
}

func (a *app) printJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(append(text, '\n'))
	return err
}
