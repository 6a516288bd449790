package cli

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// listing is what a verb that lists things prints, in any of its formats.
type listing struct {
	rows  []any      // for JSON
	ids   []string   // for -q; nil where a verb has none
	head  []string   // of the table
	cells [][]string // of the table, a row each
	names []string   // of the fields of a template
	field [][]string // their values, a row each
}

const (
	formatTable = "table"
	formatLines = "jsonl"
)

// list prints a listing.
func (a *app) list(format string, l *listing) error {
	switch {
	case a.quiet && l.ids != nil:
		return a.lines(l.ids)
	case format == formatJSON:
		return a.printJSON(l.rows)
	case format == formatLines:
		var lines []string
		for _, row := range l.rows {
			text, err := json.Marshal(row)
			if err != nil {
				return err
			}
			lines = append(lines, string(text))
		}
		return a.lines(lines)
	case strings.Contains(format, "{{"):
		return a.template(format, l)
	case format != formatTable:
		return &failure{id: idUsage, what: "--format " + format + ": the formats are table, json, jsonl and a template as {{." + l.names[0] + "}}"}
	}
	return a.table(l)
}

// listOf prints what can be listed.
func (a *app) listOf(format string, look func() (*listing, error)) error {
	l, err := look()
	if err != nil {
		return err
	}
	return a.list(format, l)
}

func (a *app) lines(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := a.stdout.WriteString(strings.Join(lines, "\n") + "\n")
	return err
}

// template fills in {{.Field}}; text/template would cost each start of locald more than a list itself.
func (a *app) template(format string, l *listing) error {
	known := func(name string) bool {
		for _, n := range l.names {
			if "{{."+n+"}}" == strings.ReplaceAll(name, " ", "") {
				return true
			}
		}
		return false
	}
	for rest := format; ; {
		_, from, found := strings.Cut(rest, "{{")
		if !found {
			break
		}
		name, after, closed := strings.Cut(from, "}}")
		if !closed || !known("{{"+name+"}}") {
			return &failure{id: idUsage, what: "--format: there is no field {{" + name + "}}", why: []string{"the fields are " + strings.Join(l.names, " ")}}
		}
		rest = after
	}
	var lines []string
	for _, row := range l.field {
		var pairs []string
		for i, name := range l.names {
			value := printable(row[i])
			pairs = append(pairs, "{{."+name+"}}", value, "{{ ."+name+" }}", value)
		}
		lines = append(lines, strings.NewReplacer(pairs...).Replace(format))
	}
	return a.lines(lines)
}

// table has columns as wide as they need to be.
func (a *app) table(l *listing) error {
	cells := append([][]string{l.head}, l.cells...)
	width := make([]int, len(l.head))
	for _, row := range cells {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for _, row := range cells {
		for i, cell := range row {
			b.WriteString(printable(cell))
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

// sizeText is a number of bytes as 12.5 MiB.
func sizeText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + units[unit]
}

// labelText is labels as a=b,c=d.
func labelText(labels map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, key+"="+labels[key])
	}
	return strings.Join(list, ",")
}
