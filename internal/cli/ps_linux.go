package cli

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/container"
)

// psRow is one container as ps shows it.
type psRow struct {
	Schema   int               `json:"schema"`
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Image    string            `json:"image"`
	Command  []string          `json:"command"`
	Status   string            `json:"status"`
	ExitCode *int              `json:"exitCode"` // null while it runs, and when nobody knows
	PID      int               `json:"pid,omitempty"`
	Created  time.Time         `json:"created"`
	Started  time.Time         `json:"started,omitzero"`
	Finished time.Time         `json:"finished,omitzero"`
	Restarts int               `json:"restarts"`
	Labels   map[string]string `json:"labels,omitempty"`
	Ports    []string          `json:"ports,omitempty"` // "8080->80/tcp"
}

func (a *app) psCommand() *cobra.Command {
	var all, noTrunc bool
	var format string
	cmd := &cobra.Command{
		Use: "ps", Short: "List containers", Args: cobra.NoArgs,
		Long: "List the containers that run on their own, with -a also those that have ended.\nWith -q print their ids only.",
		RunE: func(*cobra.Command, []string) error {
			rows, err := a.psRows(all)
			if err != nil {
				return err
			}
			switch {
			case a.quiet:
				return a.psIDs(rows)
			case format == formatJSON:
				return a.printJSON(rows)
			case format == "jsonl":
				return a.psLines(rows)
			case strings.Contains(format, "{{"):
				return a.psTemplate(rows, format)
			case format != "table":
				return &failure{id: idUsage, what: "--format " + format + ": the formats are table, json, jsonl and a template as {{.ID}}"}
			}
			return a.psTable(rows, noTrunc)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "those that do not run, too")
	cmd.Flags().BoolVar(&noTrunc, "no-trunc", false, "print whole commands")
	cmd.Flags().StringVar(&format, "format", "table", "table, json, jsonl, or a `TEMPLATE` as '{{.ID}} {{.Name}}'")
	return cmd
}

func (a *app) psRows(all bool) ([]psRow, error) {
	store, err := containers()
	if err != nil {
		return nil, err
	}
	list, err := store.List()
	if err != nil {
		return nil, &failure{id: idContainer, what: err.Error()}
	}
	rows := []psRow{}
	for _, c := range list {
		if err := c.Attend(); err != nil {
			a.note("the container " + c.Name + ": " + err.Error())
		}
		s := c.State
		if s.Status == "" || !all && s.Status != container.Running && s.Status != container.Waiting {
			continue
		}
		rows = append(rows, psRow{
			schema, c.ID, c.Name, c.Image, c.Record.Command, s.Status, s.ExitCode, s.PID, c.Created, s.Started, s.Finished, s.Restarts, c.Labels, portList(c.Ports),
		})
	}
	return rows, nil
}

func (a *app) psIDs(rows []psRow) error {
	for _, r := range rows {
		if _, err := a.stdout.WriteString(r.ID + "\n"); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) psLines(rows []psRow) error {
	for _, r := range rows {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := a.stdout.Write(append(text, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// psTemplate fills in {{.Field}}; text/template would cost each start of locald more than ps itself.
func (a *app) psTemplate(rows []psRow, format string) error {
	now := time.Now()
	for _, r := range rows {
		line := strings.NewReplacer(
			"{{.ID}}", r.ID, "{{.Name}}", r.Name, "{{.Names}}", r.Name, "{{.Image}}", r.Image, "{{.Command}}", strings.Join(r.Command, " "),
			"{{.Status}}", r.status(now), "{{.State}}", r.Status, "{{.PID}}", strconv.Itoa(r.PID), "{{.Ports}}", strings.Join(r.Ports, ", "), "{{.Age}}", howLong(now.Sub(r.Created)),
		).Replace(format)
		if _, field, ok := strings.Cut(line, "{{"); ok && strings.Contains(format, "{{"+strings.Split(field, "}}")[0]) {
			return &failure{id: idUsage, what: "--format: there is no field {{" + strings.Split(field, "}}")[0] + "}}", why: []string{"the fields are ID Name Image Command Status State PID Ports Age"}}
		}
		if _, err := a.stdout.WriteString(line + "\n"); err != nil {
			return err
		}
	}
	return nil
}

// commandWidth is how much of a command the table shows.
const commandWidth = 24

func (a *app) psTable(rows []psRow, noTrunc bool) error {
	cells := [][]string{{"ID", "NAME", "IMAGE", "COMMAND", "STATUS", "PORTS", "AGE"}}
	now := time.Now()
	for _, r := range rows {
		command := []rune(strings.Join(r.Command, " "))
		if !noTrunc && len(command) > commandWidth {
			command = append(command[:commandWidth-1], '…')
		}
		cells = append(cells, []string{r.ID, r.Name, r.Image, printable(string(command)), r.status(now), strings.Join(r.Ports, ", "), howLong(now.Sub(r.Created))})
	}
	width := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for _, row := range cells {
		for i, cell := range row {
			b.WriteString(cell)
			if i+1 < len(row) {
				b.WriteString(strings.Repeat(" ", width[i]-len([]rune(cell))+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := a.stdout.WriteString(b.String())
	return err
}

// printable keeps what a container's maker chose from speaking to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// status is the status in words.
func (r psRow) status(now time.Time) string {
	switch r.Status {
	case container.Running:
		return "up " + howLong(now.Sub(r.Started))
	case container.Exited:
		code := "unknown"
		if r.ExitCode != nil {
			code = strconv.Itoa(*r.ExitCode)
		}
		return "exited (" + code + ") " + howLong(now.Sub(r.Finished)) + " ago"
	}
	return r.Status
}

// howLong is a duration in its largest unit.
func howLong(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(max(int(d.Seconds()), 0)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours())/24) + "d"
}
