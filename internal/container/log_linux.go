package container

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A log is kept in three files of this size.
const (
	logMax   = 10 << 20
	logFiles = 3
	lineMax  = 16 << 10 // a longer line is several entries
)

// Entry is one line of a log, or a part of a long one.
type Entry struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"` // stdout or stderr
	Text   string    `json:"text"`   // with its newline, when it had one
}

// logWriter appends entries and rotates.
type logWriter struct {
	mu   sync.Mutex
	dir  string
	file *os.File
	size int64
	max  int64
	live func(kind byte, text []byte) // is told everything at once; may be nil
}

func openLog(dir string) (*logWriter, error) {
	w := &logWriter{dir: dir, max: logMax}
	return w, w.open()
}

func (w *logWriter) open() error {
	f, err := os.OpenFile(filepath.Join(w.dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w.size, err = f.Seek(0, io.SeekEnd)
	w.file = f
	return err
}

func (w *logWriter) write(stream string, text []byte) error {
	line, err := json.Marshal(Entry{time.Now().UTC(), stream, string(text)})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size+int64(len(line)) > w.max && w.size > 0 {
		name := filepath.Join(w.dir, "log")
		os.Rename(name+".1", name+".2")
		if err := os.Rename(name, name+".1"); err != nil {
			return err
		}
		w.file.Close()
		if err := w.open(); err != nil {
			return err
		}
	}
	n, err := w.file.Write(line)
	w.size += int64(n)
	return err
}

// copy logs what comes from r, until its end. A full disk loses lines, and never stops the container.
func (w *logWriter) copy(stream string, r io.Reader) {
	buf := make([]byte, lineMax)
	held := 0 // of a line that is not whole
	kind := byte(packetStdout)
	if stream == "stderr" {
		kind = packetStderr
	}
	for {
		n, err := r.Read(buf[held:])
		if n > 0 && w.live != nil {
			w.live(kind, buf[held:held+n])
		}
		held += n
		start := 0
		for i := held - n; i < held; i++ {
			if buf[i] == '\n' {
				w.write(stream, buf[start:i+1])
				start = i + 1
			}
		}
		held = copy(buf, buf[start:held])
		if held == len(buf) || err != nil && held > 0 {
			w.write(stream, buf[:held])
			held = 0
		}
		if err != nil {
			return
		}
	}
}

// Read calls each with the entries of the log, in order, and then, with follow, with those that come, until the
// container has ended. each returning false ends it.
func (c *Container) Read(follow bool, each func(Entry) bool) error {
	w, err := c.watch()
	if err != nil {
		return err
	}
	defer w.close()
	// The oldest first. What is rotated meanwhile keeps being read: files stay open.
	for n := logFiles - 1; n > 0; n-- {
		f, err := os.Open(filepath.Join(c.Dir, "log."+string(rune('0'+n))))
		if err != nil {
			continue
		}
		more := readEntries(f, each, nil)
		f.Close()
		if !more {
			return nil
		}
	}
	var rest []byte
	f, err := os.Open(filepath.Join(c.Dir, "log"))
	for err != nil { // none yet
		if !follow || c.ended() {
			return nil
		}
		if err := w.wait(); err != nil {
			return err
		}
		f, err = os.Open(filepath.Join(c.Dir, "log"))
	}
	for {
		ended := c.ended()
		if !readEntries(f, each, &rest) || !follow {
			break
		}
		if next, err := os.Open(filepath.Join(c.Dir, "log")); err == nil {
			if sameFile(f, next) {
				next.Close()
			} else {
				readEntries(f, each, &rest)
				f.Close()
				f, rest = next, nil
				continue
			}
		}
		if ended {
			break
		}
		if err := w.wait(); err != nil {
			return err
		}
	}
	return f.Close()
}

func (c *Container) ended() bool {
	return c.Load() != nil || c.State.Status == Exited || c.State.Status == Created
}

func sameFile(a, b *os.File) bool {
	x, err := a.Stat()
	y, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// readEntries reads to the end of f. rest holds a line that is not whole yet.
func readEntries(f *os.File, each func(Entry) bool, rest *[]byte) bool {
	var own []byte
	if rest == nil {
		rest = &own
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		*rest = append(*rest, buf[:n]...)
		for {
			at := indexNewline(*rest)
			if at < 0 {
				break
			}
			var e Entry
			line := (*rest)[:at]
			*rest = (*rest)[at+1:]
			if json.Unmarshal(line, &e) == nil && !each(e) {
				return false
			}
		}
		if err != nil || n == 0 {
			return true
		}
	}
}

func indexNewline(b []byte) int {
	for i, c := range b {
		if c == '\n' {
			return i
		}
	}
	return -1
}
