package cli

import (
	"slices"
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
	Ports    []string          `json:"ports,omitempty"`  // "8080->80/tcp"
	Health   string            `json:"health,omitempty"` // starting, healthy or unhealthy, where there are checks
}

func (a *app) psCommand() *cobra.Command {
	var all, noTrunc bool
	var format string
	var filter []string
	cmd := &cobra.Command{
		Use: "ps", Short: "List containers", Args: cobra.NoArgs,
		Long: "List the containers that run, with -a also those that have ended.\nWith -q print their ids only.",
		RunE: func(*cobra.Command, []string) error {
			fits, err := parseFilters(filter)
			if err != nil {
				return err
			}
			rows, err := a.psRows(all || fits.all())
			if err != nil {
				return err
			}
			rows = slices.DeleteFunc(rows, func(r psRow) bool { return !fits.take(&r) })
			return a.list(format, psList(rows, noTrunc))
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "those that do not run, too")
	cmd.Flags().StringArrayVar(&filter, "filter", nil, "only those that fit `NAME=VALUE`: "+filterNames)
	cmd.Flags().BoolVar(&noTrunc, "no-trunc", false, "print whole commands")
	cmd.Flags().StringVar(&format, "format", "table", "table, json, jsonl, or a `TEMPLATE` as '{{.ID}} {{.Name}}'")
	return cmd
}

func (a *app) psRows(all bool) ([]psRow, error) {
	store, err := containers()
	if err != nil {
		return nil, err
	}
	if foreground, err := runDir(); err == nil {
		removeStale(foreground) // what a killed locald left
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
		s, health := c.State, ""
		if s.Health != nil && s.Status == container.Running {
			health = s.Health.Status
		}
		if s.Status == "" || !all && !s.Lives() {
			continue
		}
		rows = append(rows, psRow{
			schema, c.ID, c.Name, c.Image, c.Record.Command, s.Status, s.ExitCode, s.PID, c.Created, s.Started, s.Finished, s.Restarts, c.Labels, portList(c.Ports), health,
		})
	}
	return rows, nil
}

// commandWidth is how much of a command the table shows.
const commandWidth = 24

func psList(rows []psRow, noTrunc bool) *listing {
	l := &listing{
		rows: []any{}, ids: []string{}, head: []string{"ID", "NAME", "IMAGE", "COMMAND", "STATUS", "HEALTH", "PORTS", "AGE"},
		names: []string{"ID", "Name", "Names", "Image", "Command", "Status", "State", "PID", "Age", "RunningFor", "CreatedAt", "Labels", "ExitCode", "Ports", "Health"},
	}
	now := time.Now()
	for i := range rows {
		r := &rows[i]
		command, age, code := []rune(strings.Join(r.Command, " ")), howLong(now.Sub(r.Created)), ""
		if r.ExitCode != nil {
			code = strconv.Itoa(*r.ExitCode)
		}
		l.field = append(l.field, []string{
			r.ID, r.Name, r.Name, r.Image, string(command), r.status(now), r.Status, strconv.Itoa(r.PID), age, age + " ago",
			r.Created.Format(time.RFC3339), labelText(r.Labels), code, strings.Join(r.Ports, ", "), r.Health,
		})
		if !noTrunc && len(command) > commandWidth {
			command = append(command[:commandWidth-1], '…')
		}
		l.rows, l.ids = append(l.rows, r), append(l.ids, r.ID)
		l.cells = append(l.cells, []string{r.ID, r.Name, r.Image, string(command), r.status(now), r.Health, strings.Join(r.Ports, ", "), age})
	}
	return l
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
