package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func specVersion() string { return specs.Version }

func printState(c *libcontainer.Container) error {
	st, err := c.State()
	if err != nil {
		return err
	}
	return output(st.JSON() + "\n")
}

// list prints the caller's containers: there are no others in its state directory.
func (v *verb) list() error {
	format := v.value("format")
	if format != "" && format != "table" && format != "json" {
		return errors.New("--format " + quote(format) + " is not table or json")
	}
	json, quiet := format == "json", v.has("quiet")
	containers, err := libcontainer.List(v.stateDir, json && !quiet)
	if err != nil {
		return err
	}
	owner := "#" + strconv.Itoa(v.caller.UID)
	if v.caller.UID == 0 {
		owner = "root"
	}
	rows := [][]string{{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}}
	lines := make([]string, len(containers))
	for i, st := range containers {
		st.Owner = owner
		switch {
		case quiet:
			lines[i] = st.ID + "\n"
		case json:
			lines[i] = st.JSON()
		default:
			rows = append(rows, []string{st.ID, strconv.Itoa(st.Pid), string(st.Status), visible(st.Bundle), st.Created, owner})
		}
	}
	switch {
	case quiet:
		return output(strings.Join(lines, ""))
	case json:
		return output("[" + strings.Join(lines, ",") + "]\n")
	}
	return output(table(rows))
}

// table lays rows out in columns.
func table(rows [][]string) string {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i+1 < len(row) {
				b.WriteString(strings.Repeat(" ", width[i]-len(cell)+3))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// ps prints the processes of a container, with the pids of this side.
func (v *verb) ps() error {
	if len(v.args) > 1 {
		return errors.New("ps: " + quote(v.args[1]) + " is not supported: the columns are PID, PPID, UID and CMD; --format json has the pids, for ps(1)")
	}
	return v.with(func(c *libcontainer.Container) error {
		pids, err := c.Processes()
		if err != nil {
			return err
		}
		format := v.value("format")
		switch format {
		case "json":
			text := make([]string, len(pids))
			for i, pid := range pids {
				text[i] = strconv.Itoa(pid)
			}
			return output("[" + strings.Join(text, ",") + "]\n")
		case "", "table":
			rows := [][]string{{"PID", "PPID", "UID", "CMD"}}
			for _, pid := range pids {
				if row, ok := psRow(pid); ok {
					rows = append(rows, row)
				}
			}
			return output(table(rows))
		}
		return errors.New("--format " + quote(format) + " is not table or json")
	})
}

// psRow is what /proc says of a process; ok is false once it has ended.
func psRow(pid int) (row []string, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	status, err := readFile(dir + "/status")
	if err != nil {
		return nil, false
	}
	field := func(name string) string {
		for line := range strings.Lines(status) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				first, _, _ := strings.Cut(strings.TrimSpace(rest), "\t")
				return first
			}
		}
		return ""
	}
	command, _ := readFile(dir + "/cmdline")
	text := strings.TrimSpace(strings.ReplaceAll(command, "\x00", " "))
	if text == "" {
		text = "[" + field("Name") + "]"
	}
	return []string{strconv.Itoa(pid), field("PPid"), field("Uid"), visible(text)}, true
}
