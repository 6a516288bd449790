package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/locald/locald/internal/container"
)

// filters are the --filter of ps, by what they are about. Of several about one thing one has to fit; of labels all.
type filters map[string][]string

const filterNames = "ancestor, exited, health, id, label, name and status"

func parseFilters(words []string) (filters, error) {
	f := filters{}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		wrong := ""
		switch key {
		case "name", "id", "label", "ancestor", "health":
		case "status":
			if !slices.Contains([]string{container.Created, container.Running, container.Waiting, container.Exited}, value) {
				wrong = "a status is created, running, restarting or exited"
			}
		case "exited":
			if _, err := strconv.Atoi(value); err != nil {
				wrong = "an exit code is a number"
			}
		default:
			wrong = "the filters are " + filterNames
		}
		if wrong == "" && (!ok || value == "") {
			wrong = "a filter is written NAME=VALUE"
		}
		if wrong != "" {
			return nil, &failure{id: idUsage, what: "--filter " + word + ": " + wrong}
		}
		f[key] = append(f[key], value)
	}
	return f, nil
}

// all says whether containers that do not run are asked for.
func (f filters) all() bool { return len(f["status"]) > 0 || len(f["exited"]) > 0 }

// take says whether a row fits.
func (f filters) take(r *psRow) bool {
	for key, values := range f {
		fits := func(value string) bool {
			switch key {
			case "name":
				return strings.Contains(r.Name, value)
			case "id":
				return strings.HasPrefix(r.ID, value)
			case "ancestor":
				return r.Image == value || strings.TrimSuffix(r.Image, ":latest") == value
			case "health":
				return r.Health == value || r.Health == "" && value == "none"
			case "status":
				return r.Status == value
			case "exited":
				return r.ExitCode != nil && strconv.Itoa(*r.ExitCode) == value
			}
			name, want, given := strings.Cut(value, "=")
			have, is := r.Labels[name]
			return is && (!given || have == want)
		}
		if key == "label" {
			if slices.ContainsFunc(values, func(v string) bool { return !fits(v) }) {
				return false
			}
		} else if !slices.ContainsFunc(values, fits) {
			return false
		}
	}
	return true
}
