package e2e

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/locald/locald/internal/compress"
	"github.com/locald/locald/internal/image"
	"golang.org/x/sys/unix"
)

// registry serves one store as a registry does, as far as a pull needs. It says which paths were asked for.
type registry struct {
	host   string
	store  string
	mutex  sync.Mutex
	status string // of every answer for a manifest, when it is not ""
	asked  []string
}

func newRegistry(t *testing.T, store string) *registry {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	r := &registry{host: listener.Addr().String(), store: store}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go r.answer(c)
		}
	}()
	return r
}

func (r *registry) answer(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	first, err := in.ReadString('\n')
	field := strings.Fields(first)
	if err != nil || len(field) != 3 {
		return
	}
	for line := first; strings.TrimSpace(line) != "" && err == nil; {
		line, err = in.ReadString('\n')
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.asked = append(r.asked, field[1])
	status, body := "200 OK", []byte("{}")
	s, err := image.Open(r.store)
	switch name := filepath.Base(field[1]); {
	case err != nil:
		status = "500 Broken"
	case strings.Contains(field[1], "/manifests/") && r.status != "":
		status = r.status
	case strings.Contains(field[1], "/manifests/"):
		i, err := s.Find("probe:" + name)
		if err != nil {
			status = "404 Not Found"
			break
		}
		body, _ = os.ReadFile(s.BlobPath(i.Descriptor.Digest))
	case strings.Contains(field[1], "/blobs/"):
		body, _ = os.ReadFile(s.BlobPath(image.Digest(name)))
	}
	c.Write([]byte("HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Type: " + image.TypeManifest + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"))
	c.Write(body)
}

func (r *registry) put(status string) (asked []string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	asked, r.asked, r.status = r.asked, nil, status
	return asked
}

// TestImagePull: run pulls what is missing and asks for nothing that is there; and what is said of what cannot be had.
func TestImagePull(t *testing.T) {
	c, store := newImages(t)
	writeImage(t, filepath.Join(c.dir, "image.tar"), "probe:1", image.Process{Entrypoint: []string{"/probe"}}, testLayers(t)...)
	there := filepath.Join(filepath.Dir(c.dir), "there")
	served, err := image.Open(there)
	must(t, err)
	archive, err := os.Open(filepath.Join(c.dir, "image.tar"))
	must(t, err)
	defer archive.Close()
	_, err = served.Load(archive, image.Options{Decompress: compress.Reader})
	must(t, err)
	r := newRegistry(t, there)
	name := r.host + "/app:1"

	res := c.locald(t, "run", "--network", "none", name, "read /changed")
	if res.code != 0 || res.value(t, "read /changed") != "above" {
		t.Fatal(res)
	}
	if asked := r.put(""); len(asked) < 4 {
		t.Error("the image was not pulled:", asked)
	}
	c.locald(t, "run", "--network", "none", name, "read /changed").ok(t)
	if asked := r.put(""); len(asked) > 0 {
		t.Error("the image is here, and the registry was asked for", asked)
	}
	for _, args := range [][]string{{"pull", "-q", name}, {"pull", name}} { // standard error is no terminal
		if res := c.locald(t, args...); res.code != 0 || res.stdout != name+"\n" || res.stderr != "" {
			t.Error(res)
		}
	}
	p := newPty(t, unix.Winsize{Row: 24, Col: 80})
	cmd := c.command("pull", name)
	cmd.Env, cmd.Stderr = append(cmd.Env, "TERM=vt220"), p.own
	must(t, cmd.Run())
	p.own.Close()
	p.read()
	if text := p.text.String(); strings.Count(text, " MB\r\n") < 2 {
		t.Errorf("the terminal shows %q", text)
	}
	for _, path := range r.put("") {
		if strings.Contains(path, "/blobs/") {
			t.Error("a blob was fetched again:", path)
		}
	}
	c.locald(t, "run", "--network", "none", "--pull", "always", name, "read /changed").ok(t)
	if asked := r.put(""); len(asked) == 0 {
		t.Error("--pull always did not ask")
	}
	s, err := image.Open(store)
	must(t, err)
	i, err := s.Find(name)
	must(t, err)
	text, err := json.Marshal(i.Config.Config)
	must(t, err)
	if !strings.Contains(string(text), "/probe") {
		t.Error(string(text))
	}

	c.locald(t, "run", r.host+"/app:2").failed(t, 125, `image "`+r.host+`/app:2" not found on `+r.host+`. Local images with a similar name: `+name+`. [LD101]`)
	r.put("429 Too Many Requests")
	res = c.locald(t, "run", r.host+"/app:3")
	res.failed(t, 125, r.host+" refuses more anonymous pulls for now (429). [LD103]")
	if !strings.HasSuffix(res.stderr, "\n  try: locald login "+r.host+"\n") {
		t.Error(res)
	}
	r.put("403 Forbidden")
	c.locald(t, "pull", r.host+"/app:3").failed(t, 1, "[LD104]")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	away := closed.Addr().String()
	must(t, closed.Close())
	res = c.locald(t, "run", away+"/redis:7")
	res.failed(t, 125, `no network, and "`+away+`/redis:7" is not on this machine. [LD102]`)
	if !strings.Contains(res.stderr, "\n  try: locald load -i redis.tar   or connect and: locald pull "+away+"/redis:7\n") {
		t.Error(res)
	}
}

// TestImageDetached: a container on its own keeps what it writes from one start to the next, and its layers while it
// runs, whoever removes the image.
func TestImageDetached(t *testing.T) {
	c, store := newImages(t)
	writeImage(t, filepath.Join(c.dir, "image.tar"), "probe:1", image.Process{Entrypoint: []string{"/probe"}, StopSignal: "SIGKILL"}, testLayers(t)...)
	c.locald(t, "load", "-i", "image.tar").ok(t)
	layers := func() int {
		entries, _ := os.ReadDir(filepath.Join(store, "layers"))
		return len(entries)
	}
	c.locald(t, "run", "-d", "--network", "none", "--name", "it", "probe:1", "read /kept", "create /kept x", "forever").ok(t)
	t.Cleanup(func() { c.locald(t, "rm", "-f", "it") }) // where the test has stopped before
	said := func(word string) func() bool {
		return func() bool { return strings.Count(c.locald(t, "logs", "it").stdout, word) > 0 }
	}
	until(t, "it has written", said(`{"did":"create /kept x"}`))
	if res := c.locald(t, "rmi", "probe:1"); res.code != 0 || layers() != 2 {
		t.Errorf("the layers of a container that runs went: %d, %s", layers(), res)
	}
	c.locald(t, "restart", "it").ok(t)
	until(t, "it found what it wrote", said(`{"did":"read /kept","value":"x"}`))
	c.locald(t, "kill", "it").ok(t)
	c.says(t, "137\n", "wait", "it")
	if res := c.locald(t, "rmi", "--all"); res.code != 0 || layers() != 2 {
		t.Errorf("the layers of a container that can be started went: %d, %s", layers(), res)
	}
	c.locald(t, "start", "it").ok(t)
	c.locald(t, "rm", "-f", "it").ok(t)
	c.locald(t, "rmi", "--all").ok(t)
	if layers() != 0 {
		t.Error("layers are left:", layers())
	}
}
