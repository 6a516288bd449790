package registry

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	server "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/locald/locald/internal/image"
)

// host is a registry on loopback. What a test puts in front of it sees every request that is a client's.
type host struct {
	name  string
	mutex sync.Mutex
	front func(w http.ResponseWriter, r *http.Request, next http.Handler)
	blobs []string // requests for blobs: the path, and the Range where there is one
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{}
	next := server.New(server.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mutex.Lock()
		front := h.front
		if front != nil && strings.Contains(r.URL.Path, "/blobs/") {
			h.blobs = append(h.blobs, strings.TrimSpace(filepath.Base(r.URL.Path)+" "+r.Header.Get("Range")))
		}
		h.mutex.Unlock()
		if front == nil {
			next.ServeHTTP(w, r)
			return
		}
		front(w, r, next)
	}))
	t.Cleanup(s.Close)
	h.name = strings.TrimPrefix(s.URL, "http://")
	return h
}

func (h *host) put(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.front, h.blobs = f, nil
}

func plainly(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

const layerSize = 100_000

// push puts an image of three layers into the registry.
func (h *host) push(t *testing.T, tag string) v1.Image {
	t.Helper()
	i, err := random.Image(layerSize, 3)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(h.name + "/app:" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, i); err != nil {
		t.Fatal(err)
	}
	return i
}

func (h *host) ref(t *testing.T, word string) image.Reference {
	t.Helper()
	ref, err := image.ParseReference(h.name + "/" + word)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

var amd64 = image.Platform{OS: "linux", Architecture: "amd64"}

func newClient(t *testing.T) *Client {
	t.Helper()
	store, err := image.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return &Client{Store: store, Keychain: authn.NewMultiKeychain(), Backoff: time.Millisecond}
}

// whole looks whether an image is in the store as it was pushed.
func (c *Client) whole(t *testing.T, ref image.Reference, want v1.Image) {
	t.Helper()
	i, err := c.Store.Find(ref.String())
	if err != nil {
		t.Fatal(err)
	}
	digest, err := want.Digest()
	if err != nil || string(i.Descriptor.Digest) != digest.String() {
		t.Errorf("the image is %s, want %s, %v", i.Descriptor.Digest, digest, err)
	}
	if _, err := c.Store.Check(i.Descriptor); err != nil {
		t.Error(err)
	}
	c.tidy(t)
}

// tidy looks whether unfinished files are left.
func (c *Client) tidy(t *testing.T) {
	t.Helper()
	left, _ := filepath.Glob(filepath.Join(c.Store.Dir(), "tmp", "[^l]*"))
	if len(left) > 0 {
		t.Error("left:", left)
	}
}

// TestPull: by tag and by digest; what is there is not asked for again.
func TestPull(t *testing.T) {
	h, c := newHost(t), newClient(t)
	want := h.push(t, "1")
	h.put(plainly)
	if err := c.Pull(t.Context(), h.ref(t, "app:1"), amd64); err != nil {
		t.Fatal(err)
	}
	c.whole(t, h.ref(t, "app:1"), want)
	digest, _ := want.Digest()
	h.put(plainly)
	ref := h.ref(t, "app@"+digest.String())
	if err := c.Pull(t.Context(), ref, amd64); err != nil {
		t.Fatal(err)
	}
	c.whole(t, ref, want)
	if len(h.blobs) > 0 {
		t.Error("blobs were fetched again:", h.blobs)
	}
}

// TestPullProgress: of each blob more and more is there, and all of it once, at its end.
func TestPullProgress(t *testing.T) {
	h, c := newHost(t), newClient(t)
	h.push(t, "1")
	h.put(plainly)
	var mu sync.Mutex
	last, ended := map[image.Digest]int64{}, map[image.Digest]int{}
	c.Progress = func(d image.Descriptor, have int64) {
		mu.Lock()
		defer mu.Unlock()
		if before, known := last[d.Digest]; known && have < before || have > d.Size {
			t.Errorf("%d bytes of %d after %d", have, d.Size, before)
		}
		if last[d.Digest] = have; have == d.Size {
			ended[d.Digest]++
		}
	}
	if err := c.Pull(t.Context(), h.ref(t, "app:1"), amd64); err != nil {
		t.Fatal(err)
	}
	if len(last) < 2 || len(ended) != len(last) {
		t.Errorf("told of %d blobs, and of the end of %d", len(last), len(ended))
	}
	for d, n := range ended {
		if n != 1 {
			t.Errorf("%s ended %d times", d, n)
		}
	}
}

// TestPullPlatform: of an index the image for the platform.
func TestPullPlatform(t *testing.T) {
	h, c := newHost(t), newClient(t)
	one, two := h.push(t, "one"), h.push(t, "two")
	at := func(i v1.Image, arch string) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: i, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}}
	}
	index := mutate.AppendManifests(empty.Index, at(one, "amd64"), at(two, "arm64"))
	tag, _ := name.NewTag(h.name + "/app:all")
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	for arch, want := range map[string]v1.Image{"amd64": one, "arm64": two} {
		if err := c.Pull(t.Context(), h.ref(t, "app:all"), image.Platform{OS: "linux", Architecture: arch}); err != nil {
			t.Fatal(err)
		}
		c.whole(t, h.ref(t, "app:all"), want)
	}
	err := c.Pull(t.Context(), h.ref(t, "app:all"), image.Platform{OS: "linux", Architecture: "s390x"})
	if err == nil || !strings.Contains(err.Error(), "it is for linux/amd64, linux/arm64") {
		t.Error(err)
	}
}

// broken sends half of each blob, n times in all, and then breaks the connection.
func broken(n int) func(http.ResponseWriter, *http.Request, http.Handler) {
	var mutex sync.Mutex
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mutex.Lock()
		fail := strings.Contains(r.URL.Path, "/blobs/") && n > 0
		if fail {
			n--
		}
		mutex.Unlock()
		if !fail {
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// TestPullResumes: a connection that breaks costs only what had not come, within a pull and from one to the next.
func TestPullResumes(t *testing.T) {
	h := newHost(t)
	want := h.push(t, "1")
	ref := h.ref(t, "app:1")
	ranges := func() (n int) {
		for _, b := range h.blobs {
			if strings.Contains(b, "bytes=") {
				n++
			}
		}
		return n
	}
	c := newClient(t)
	h.put(broken(6))
	if err := c.Pull(t.Context(), ref, amd64); err != nil {
		t.Fatal(err)
	}
	c.whole(t, ref, want)
	if ranges() != 6 {
		t.Error("blobs were asked for from their beginning again:", h.blobs)
	}

	c = newClient(t)
	c.Attempts = 1
	h.put(broken(100))
	if err := c.Pull(t.Context(), ref, amd64); err == nil {
		t.Fatal("half of an image was taken")
	}
	if _, err := c.Store.Find(ref.String()); !errors.Is(err, image.ErrNotFound) {
		t.Error(err)
	}
	h.put(plainly)
	if err := c.Pull(t.Context(), ref, amd64); err != nil {
		t.Fatal(err)
	}
	c.whole(t, ref, want)
	if ranges() == 0 {
		t.Error("nothing was resumed:", h.blobs)
	}

	// What lies there from before may be wrong.
	c = newClient(t)
	layers, _ := want.Layers()
	digest, _ := layers[0].Digest()
	if err := os.WriteFile(filepath.Join(c.Store.Dir(), "tmp", "partial-"+digest.Hex), []byte("not it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Pull(t.Context(), ref, amd64); err != nil {
		t.Fatal(err)
	}
	c.whole(t, ref, want)
}

// TestPullRefuses: what is not what it should be is not taken, and what the registry's answer means.
func TestPullRefuses(t *testing.T) {
	h := newHost(t)
	want := h.push(t, "1")
	changed := func(part string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			for key, values := range answer.Header() {
				w.Header()[key] = values
			}
			body := answer.Body.Bytes()
			if strings.Contains(r.URL.Path, part) {
				body[len(body)/2] ^= 1
			}
			w.WriteHeader(answer.Code)
			w.Write(body)
		}
	}
	status := func(code int) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				w.WriteHeader(code)
				return
			}
			next.ServeHTTP(w, r)
		}
	}
	for what, c := range map[string]struct {
		front func(http.ResponseWriter, *http.Request, http.Handler)
		word  string
		say   string
		kind  Kind
	}{
		"blob":     {changed("/blobs/"), "app:1", "has another content", ""},
		"manifest": {changed("/manifests/"), "app:1", "has another content", ""},
		"missing":  {plainly, "app:2", "", NotFound},
		"429":      {status(http.StatusTooManyRequests), "app:1", "", TooMany},
		"403":      {status(http.StatusForbidden), "app:1", "", Denied},
		"500":      {status(http.StatusInternalServerError), "app:1", "", ""},
	} {
		t.Run(what, func(t *testing.T) {
			h.put(c.front)
			client := newClient(t)
			err := client.Pull(t.Context(), h.ref(t, c.word), amd64)
			if err == nil || !strings.Contains(err.Error(), c.say) || KindOf(err) != c.kind {
				t.Errorf("%v of kind %q", err, KindOf(err))
			}
			if list, err := client.Store.List(); len(list) > 0 || err != nil {
				t.Error(list, err)
			}
		})
	}
	failures := 3
	h.put(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/manifests/") && failures > 0 {
			failures--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
	c := newClient(t)
	if err := c.Pull(t.Context(), h.ref(t, "app:1"), amd64); err != nil {
		t.Fatal("it was not tried again:", err)
	}
	c.whole(t, h.ref(t, "app:1"), want)

	away := httptest.NewServer(nil)
	away.Close()
	ref, err := image.ParseReference(strings.TrimPrefix(away.URL, "http://") + "/app")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Pull(t.Context(), ref, amd64); KindOf(err) != Offline {
		t.Errorf("%v of kind %q", err, KindOf(err))
	}
}

// TestPullTogether: two pulls of one image fetch each blob once.
func TestPullTogether(t *testing.T) {
	h, c := newHost(t), newClient(t)
	want := h.push(t, "1")
	h.put(plainly)
	failed := make(chan error, 2)
	for range 2 {
		go func() { failed <- c.Pull(t.Context(), h.ref(t, "app:1"), amd64) }()
	}
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	c.whole(t, h.ref(t, "app:1"), want)
	if len(h.blobs) != 4 {
		t.Error("blobs were fetched twice:", h.blobs)
	}
}

// TestCredentials: the ones of the configuration file are offered, and login keeps only those that are good.
func TestCredentials(t *testing.T) {
	h, c := newHost(t), newClient(t)
	want := h.push(t, "1")
	h.put(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "right" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "docker"))
	c.Keychain = authn.DefaultKeychain
	ref := h.ref(t, "app:1")
	if err := c.Pull(t.Context(), ref, amd64); KindOf(err) != Denied {
		t.Error(err)
	}
	if _, err := Login(t.Context(), h.name, "me", "wrong"); KindOf(err) != Denied {
		t.Error(err)
	}
	kept, err := Login(t.Context(), h.name, "me", "right")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if err := c.Pull(t.Context(), ref, amd64); err != nil {
		t.Fatal(err)
	}
	c.whole(t, ref, want)
	if err := Logout(h.name); err != nil {
		t.Error(err)
	}
	if err := Logout(h.name); err == nil {
		t.Error("there was nothing to log out of")
	}
	if err := newClientOf(t, c.Keychain).Pull(t.Context(), ref, amd64); KindOf(err) != Denied {
		t.Error(err)
	}
}

func newClientOf(t *testing.T, keychain authn.Keychain) *Client {
	t.Helper()
	c := newClient(t)
	c.Keychain = keychain
	return c
}

// TestPullStops: a pull that is called off ends, and leaves no image.
func TestPullStops(t *testing.T) {
	h, c := newHost(t), newClient(t)
	h.push(t, "1")
	ctx, stop := context.WithCancel(t.Context())
	h.put(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			stop()
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	})
	if err := c.Pull(ctx, h.ref(t, "app:1"), amd64); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if list, err := c.Store.List(); len(list) > 0 || err != nil {
		t.Error(list, err)
	}
}
