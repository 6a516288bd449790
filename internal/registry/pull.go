package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/locald/locald/internal/image"
)

// Client pulls images.
type Client struct {
	Store    *image.Store
	Keychain authn.Keychain    // whose credentials are offered
	Base     http.RoundTripper // nil is Go's own, with the proxies of the environment
	Backoff  time.Duration     // before the second attempt; it doubles. 0 is a second
	Attempts int               // that may fail in a row without a byte. 0 is 5
	Progress Progress          // nil tells nobody
}

// Progress is told how many bytes of a blob are there, as they come, and at its end that all are; perhaps by several
// goroutines at once.
type Progress func(d image.Descriptor, have int64)

// counted tells of what is read.
type counted struct {
	io.ReadCloser
	tell func(have int64)
	have int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.have += int64(n)
	c.tell(c.have)
	return n, err
}

// manifestMax bounds a manifest (distribution-spec, "Pushing Manifests").
const manifestMax = 4 << 20

// layersAtOnce is how many blobs come at the same time, as with Docker.
const layersAtOnce = 3

const accepted = image.TypeIndex + ", " + image.TypeManifest + ", " + image.TypeDockerList + ", " + image.TypeDockerManifest

// session is one pull.
type session struct {
	*Client
	http *http.Client
	base string // of the repository: https://host/v2/name
}

// Pull brings an image, the one for a platform where there are several, into the store. What the store has is not
// asked for again. It stops with ctx; what has come by then is kept for the next pull.
func (c *Client) Pull(ctx context.Context, ref image.Reference, p image.Platform) error {
	done, err := c.Store.Adding()
	if err != nil {
		return err
	}
	defer done()
	s, err := c.connect(ctx, ref)
	if err != nil {
		return err
	}
	wanted := ref.Tag
	if ref.Digest != "" {
		wanted = string(ref.Digest)
	}
	d, m, err := s.manifest(ctx, wanted, ref.Digest, p, 0)
	if err != nil {
		return err
	}
	if err := s.blobs(ctx, append([]image.Descriptor{m.Config}, m.Layers...)); err != nil {
		return err
	}
	return c.Store.AddChecked(ref, d)
}

// connect asks the registry how it wants to be spoken to, and logs in.
func (c *Client) connect(ctx context.Context, ref image.Reference) (*session, error) {
	repository, err := name.NewRepository(ref.Registry + "/" + ref.Repository)
	if err != nil {
		return nil, err
	}
	auth, err := c.Keychain.Resolve(repository.Registry)
	if err != nil {
		return nil, err
	}
	base := c.Base
	if base == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.ResponseHeaderTimeout = 30 * time.Second
		base = own
	}
	t, err := transport.NewWithContext(ctx, repository.Registry, auth, base, []string{repository.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	return &session{c, &http.Client{Transport: t}, "https://" + repository.RegistryStr() + "/v2/" + repository.RepositoryStr()}, nil
}

// get is one request. An answer that is no success is an error.
func (s *session) get(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header = header
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	if err := transport.CheckError(response, http.StatusOK, http.StatusPartialContent); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response, nil
}

// manifest fetches a manifest and verifies it. An index leads to the one for the platform.
func (s *session) manifest(ctx context.Context, wanted string, digest image.Digest, p image.Platform, depth int) (d image.Descriptor, m image.Manifest, err error) {
	if depth > 2 {
		return d, m, fmt.Errorf("%s is an index of indexes of indexes", wanted)
	}
	var data []byte
	var mediaType string
	err = s.retry(ctx, func() error {
		response, err := s.get(ctx, "/manifests/"+wanted, http.Header{"Accept": {accepted}})
		if err != nil {
			return err
		}
		defer response.Body.Close()
		mediaType, _, _ = strings.Cut(response.Header.Get("Content-Type"), ";")
		if digest == "" { // what the registry says of a tag is the least that it must send
			digest = image.Digest(response.Header.Get("Docker-Content-Digest"))
		}
		data, err = io.ReadAll(io.LimitReader(response.Body, manifestMax+1))
		return err
	})
	if err != nil {
		return d, m, err
	}
	if len(data) > manifestMax {
		return d, m, fmt.Errorf("manifest %s is larger than 4 MiB", wanted)
	}
	sum := sha256.Sum256(data)
	if got := image.Digest("sha256:" + hex.EncodeToString(sum[:])); digest != "" && got != digest {
		return d, m, fmt.Errorf("manifest %s has another content: its digest is %s", digest, got)
	}
	switch mediaType {
	case image.TypeIndex, image.TypeDockerList:
		var list image.Index
		if err := json.Unmarshal(data, &list); err != nil {
			return d, m, err
		}
		one, err := list.Select(p)
		if err != nil {
			return d, m, err
		}
		if !one.Digest.Valid() {
			return d, m, fmt.Errorf("%q is no digest that locald knows; it knows sha256", one.Digest)
		}
		return s.manifest(ctx, string(one.Digest), one.Digest, p, depth+1)
	case image.TypeManifest, image.TypeDockerManifest:
		return s.Store.PutManifest(data, mediaType)
	}
	return d, m, fmt.Errorf("a manifest of type %q is not supported", mediaType)
}

// blobs fetches blobs, some at once, and stops with the first that cannot be had.
func (s *session) blobs(ctx context.Context, list []image.Descriptor) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mutex sync.Mutex
	var first error
	var wait sync.WaitGroup
	free := make(chan struct{}, layersAtOnce)
	seen := map[image.Digest]bool{}
	for _, d := range list {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		wait.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			err := s.blob(ctx, d)
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				if first == nil {
					first = err
				}
				cancel()
				return
			}
			s.tell(d, d.Size)
		})
	}
	wait.Wait()
	return first
}

func (s *session) tell(d image.Descriptor, have int64) {
	if s.Progress != nil {
		s.Progress(d, max(have, 0))
	}
}

// blob goes on where an attempt broke off, until several in a row have brought nothing.
func (s *session) blob(ctx context.Context, d image.Descriptor) error {
	tries := s.tries(ctx)
	source := func(offset int64) (io.ReadCloser, int64, error) {
		header := http.Header{}
		if offset > 0 {
			header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-"+strconv.FormatInt(d.Size-1, 10))
		}
		response, err := s.get(ctx, "/blobs/"+string(d.Digest), header)
		if err != nil {
			return nil, 0, err
		}
		if response.StatusCode == http.StatusOK {
			offset = 0
		}
		// The last byte is there when its digest is verified.
		tell := func(have int64) { s.tell(d, min(have, d.Size-1)) }
		return &counted{response.Body, tell, offset}, offset, nil
	}
	return s.Store.Fetch(d, source, func(err error, progress bool) bool {
		if progress {
			tries = s.tries(ctx)
		}
		return tries(err)
	})
}
