package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// retry calls f until it succeeds, or fails in a way that another attempt would not mend.
func (s *session) retry(ctx context.Context, f func() error) error {
	tries := s.tries(ctx)
	for {
		err := f()
		if err == nil || !tries(err) {
			return err
		}
	}
}

// tries is asked after each failure whether there is another attempt, and waits before it says so.
func (s *session) tries(ctx context.Context) func(error) bool {
	left, pause := s.Attempts, s.Backoff
	if left == 0 {
		left = 5
	}
	if pause == 0 {
		pause = time.Second
	}
	return func(err error) bool {
		if left--; left <= 0 || ctx.Err() != nil || !transient(err) {
			return false
		}
		timer := time.NewTimer(pause)
		defer timer.Stop()
		pause *= 2
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		}
	}
}

// transient says whether a failure may pass by itself. An answer of the registry says so by its status; anything else
// is a connection that broke, but for a host name that does not exist.
func transient(err error) bool {
	var answer *transport.Error
	if errors.As(err, &answer) {
		switch answer.StatusCode {
		case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var unknown *net.DNSError
	if errors.As(err, &unknown) {
		return !unknown.IsNotFound
	}
	return !errors.Is(err, context.Canceled)
}

// Kind says what a failure of a registry means to the caller.
type Kind string

// The kinds. Another failure has none.
const (
	NotFound Kind = "not found" // no such image
	Offline  Kind = "offline"   // the registry cannot be reached
	TooMany  Kind = "too many"  // it refuses more requests for now
	Denied   Kind = "denied"    // it wants other credentials
)

// KindOf looks at the registry's answer.
func KindOf(err error) Kind {
	var answer *transport.Error
	if errors.As(err, &answer) {
		switch answer.StatusCode {
		case http.StatusNotFound:
			return NotFound
		case http.StatusTooManyRequests:
			return TooMany
		case http.StatusUnauthorized, http.StatusForbidden:
			return Denied
		}
		return ""
	}
	var network *net.OpError
	var unknown *net.DNSError
	if errors.As(err, &network) || errors.As(err, &unknown) {
		return Offline
	}
	return ""
}
