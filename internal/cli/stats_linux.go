package cli

import (
	"encoding/json"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/container"
)

// usage is what a container uses at one moment. A null is something that the kernel does not count for its cgroup.
type usage struct {
	Schema      int       `json:"schema"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Time        time.Time `json:"time"`
	CPU         *float64  `json:"cpuPercent"`  // of one processor, since the sample before
	CPUTime     *uint64   `json:"cpuTime"`     // nanoseconds since it was made
	Memory      *uint64   `json:"memory"`      // bytes
	MemoryLimit *uint64   `json:"memoryLimit"` // bytes; null for none
	Read        *uint64   `json:"read"`        // bytes of block devices
	Written     *uint64   `json:"written"`
	Pids        *uint64   `json:"pids"` // processes and threads
}

func (a *app) statsCommand() *cobra.Command {
	var all, once bool
	var format string
	cmd := &cobra.Command{
		Use: "stats [CONTAINER...]", Short: "Show what containers use",
		Long: "Show what containers use, by default those that run, again each second.\n" +
			"What the kernel does not count for a container without a limit on it is shown as -.",
		RunE: func(_ *cobra.Command, words []string) error { return a.stats(words, all, once, format) },
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "those that do not run, too")
	cmd.Flags().BoolVar(&once, "no-stream", false, "show it once")
	cmd.Flags().StringVar(&format, "format", formatTable, "table, json, jsonl, or a `TEMPLATE` as '{{.Name}} {{.CPUPerc}}'")
	return cmd
}

// statsEvery is the time between two samples.
const statsEvery = time.Second

func (a *app) stats(words []string, all, once bool, format string) error {
	if format == formatJSON && !once {
		return &failure{id: idUsage, what: "--format json is one array: it takes --no-stream", try: []string{"--format jsonl"}}
	}
	list, err := a.statsOf(words, all)
	if err != nil {
		return err
	}
	before := sample(list)
	for clear := format == formatTable && !once && isTerminal(a.stdout); ; {
		time.Sleep(statsEvery)
		if len(words) == 0 && !once {
			if list, err = a.statsOf(nil, all); err != nil {
				return err
			}
		}
		now := sample(list)
		for i := range now {
			now[i].since(before)
		}
		if clear {
			a.stdout.WriteString("\x1b[H\x1b[2J")
		}
		if err := a.list(format, usageList(now)); err != nil || once {
			return err
		}
		before = now
	}
}

// statsOf are the containers that the words name, without words those that run.
func (a *app) statsOf(words []string, all bool) ([]*container.Container, error) {
	var list []*container.Container
	for _, word := range words {
		c, err := a.findContainer(word)
		if err == nil && !all {
			err = running(c)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(words) > 0 {
		return list, nil
	}
	store, err := containers()
	if err != nil {
		return nil, err
	}
	every, err := store.List()
	for _, c := range every {
		if c.Attend() == nil && c.State.Status != "" && (all || c.State.Status == container.Running) {
			list = append(list, c)
		}
	}
	return list, err
}

// sample asks about all at once.
func sample(list []*container.Container) []usage {
	all := make([]usage, len(list))
	var wait sync.WaitGroup
	for i, c := range list {
		wait.Go(func() { all[i] = usageOf(c) })
	}
	wait.Wait()
	return all
}

// usageOf reads what locald-shim says, with the names that runc has.
func usageOf(c *container.Container) usage {
	u := usage{Schema: schema, ID: c.ID, Name: c.Name, Time: time.Now().UTC()}
	text, err := c.Command("events", []string{"--stats"}).Output()
	var e struct {
		Data struct {
			CPU    *struct{ Usage struct{ Total *uint64 } }
			Memory *struct {
				Usage struct{ Usage, Limit *uint64 }
			}
			Pids  *struct{ Current *uint64 }
			Blkio *struct {
				Bytes []struct {
					Op    string
					Value uint64
				} `json:"ioServiceBytesRecursive"`
			}
		}
	}
	if err != nil || json.Unmarshal(text, &e) != nil {
		return u
	}
	if d := e.Data.CPU; d != nil {
		u.CPUTime = d.Usage.Total
	}
	if d := e.Data.Memory; d != nil {
		if u.Memory, u.MemoryLimit = d.Usage.Usage, d.Usage.Limit; u.MemoryLimit != nil && *u.MemoryLimit >= math.MaxInt64/2 {
			u.MemoryLimit = nil // cgroup v1 writes "none" as the largest number of pages
		}
	}
	if d := e.Data.Pids; d != nil {
		u.Pids = d.Current
	}
	if d := e.Data.Blkio; d != nil {
		u.Read, u.Written = new(uint64), new(uint64)
		for _, b := range d.Bytes {
			switch b.Op {
			case "Read":
				*u.Read += b.Value
			case "Write":
				*u.Written += b.Value
			}
		}
	}
	return u
}

// since fills in what takes two samples.
func (u *usage) since(before []usage) {
	for _, b := range before {
		if b.ID != u.ID || b.CPUTime == nil || u.CPUTime == nil || *u.CPUTime < *b.CPUTime {
			continue
		}
		if d := u.Time.Sub(b.Time); d > 0 {
			share := math.Round(float64(*u.CPUTime-*b.CPUTime)/float64(d)*1e4) / 100
			u.CPU = &share
		}
	}
}

func usageList(all []usage) *listing {
	l := &listing{
		rows: []any{}, head: []string{"ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "BLOCK I/O", "PIDS"},
		names: []string{"ID", "Container", "Name", "CPUPerc", "MemUsage", "MemPerc", "BlockIO", "PIDs"},
	}
	for i := range all {
		u := &all[i]
		cpu, share := "-", "-"
		if u.CPU != nil {
			cpu = strconv.FormatFloat(*u.CPU, 'f', 2, 64) + "%"
		}
		if u.Memory != nil && u.MemoryLimit != nil && *u.MemoryLimit > 0 {
			share = strconv.FormatFloat(float64(*u.Memory)/float64(*u.MemoryLimit)*100, 'f', 2, 64) + "%"
		}
		memory, block := bytesText(u.Memory)+" / "+bytesText(u.MemoryLimit), bytesText(u.Read)+" / "+bytesText(u.Written)
		pids := "-"
		if u.Pids != nil {
			pids = strconv.FormatUint(*u.Pids, 10)
		}
		l.rows = append(l.rows, u)
		l.cells = append(l.cells, []string{u.ID, u.Name, cpu, memory, share, block, pids})
		l.field = append(l.field, []string{u.ID, u.ID, u.Name, cpu, memory, share, block, pids})
	}
	return l
}

// bytesText is a size; "-" for none.
func bytesText(n *uint64) string {
	if n == nil {
		return "-"
	}
	return sizeText(int64(min(*n, math.MaxInt64)))
}

// topRow is one process of a container, in the pids and ids of this machine.
type topRow struct {
	Schema  int      `json:"schema"`
	PID     int      `json:"pid"`
	PPID    int      `json:"ppid"`
	UID     int      `json:"uid"`
	Seconds float64  `json:"cpuSeconds"`
	Command []string `json:"command"`
}

func (a *app) topCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "top CONTAINER", Short: "List the processes of a container", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.findContainer(args[0])
			if err == nil {
				err = running(c)
			}
			if err != nil {
				return err
			}
			pids, err := c.Processes()
			if err != nil {
				return &failure{id: idContainer, what: "the processes of the container " + c.Name + " are not known: " + err.Error()}
			}
			return a.list(format, topList(pids))
		},
	}
	cmd.Flags().StringVar(&format, "format", formatTable, "table, json, jsonl, or a `TEMPLATE` as '{{.PID}} {{.Command}}'")
	return cmd
}

func topList(pids []int) *listing {
	l := &listing{rows: []any{}, head: []string{"UID", "PID", "PPID", "TIME", "COMMAND"}, names: []string{"UID", "PID", "PPID", "Time", "Command"}}
	for _, pid := range pids {
		p, err := container.LookProcess(pid)
		if err != nil {
			continue // it has ended
		}
		l.ids = append(l.ids, strconv.Itoa(pid))
		l.rows = append(l.rows, topRow{schema, pid, p.Parent, p.UID, p.CPU.Seconds(), p.Command})
		row := []string{strconv.Itoa(p.UID), strconv.Itoa(pid), strconv.Itoa(p.Parent), p.CPU.Round(10 * time.Millisecond).String(), p.Line()}
		l.cells, l.field = append(l.cells, row), append(l.field, row)
	}
	return l
}
