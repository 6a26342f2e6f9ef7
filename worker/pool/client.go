// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

const (
	// requestTime is a little longer than a host may take, an audit included.
	requestTime = 75 * time.Second
	pauseMin    = 100 * time.Millisecond
	pauseMax    = 30 * time.Second
	retryMaxMS  = 600_000 // how long a host can ask to be left alone
	maxRun      = 64
)

// client speaks with one host. It belongs to Run.
type client struct {
	base string
	http *http.Client

	met    bool        // the host answered at least once
	unpaid atomic.Bool // it says that it owes and transfers nothing
	still  atomic.Pointer[string]
	run    string // of its program, see HeaderRun
	// The host's clock: what it showed, and when by ours. Ours only has to run
	// evenly; what it says does not matter.
	shown uint64
	at    time.Time
}

func newClient(c Config, address link.Address) (*client, error) {
	config, err := link.ClientTLS(c.Key, address.Fingerprint)
	if err != nil {
		return nil, err
	}
	transport := link.Transport(config)
	transport.IdleConnTimeout = 2 * time.Minute
	return &client{
		base: "https://" + address.HostPort,
		http: &http.Client{
			Timeout:   requestTime,
			Transport: transport,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
		at: time.Now(),
	}, nil
}

// set takes the host's clock; now reads it, in unix milliseconds.
func (c *client) set(hostNow uint64) { c.shown, c.at = hostNow, time.Now() }
func (c *client) now() uint64        { return c.shown + uint64(time.Since(c.at).Milliseconds()) }

// until returns a context that ends when the host's clock shows ms.
func (c *client) until(ctx context.Context, ms uint64) (context.Context, context.CancelFunc) {
	now := c.now()
	return context.WithTimeout(ctx, time.Duration(max(ms, now)-now)*time.Millisecond)
}

// packFrom is the length from which bodies are sent compressed: proofs, that is.
const packFrom = 4 << 10

// pack compresses a body. Writing to memory does not fail.
func pack(text []byte) *bytes.Buffer {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(text)
	_ = z.Close()
	return &out
}

// once makes one request. An answer that is not 200 is a *mpocv1.Error.
func once[A any](ctx context.Context, c *client, method, path string, q any) (A, error) {
	var none A
	var body io.Reader
	packed := false
	if q != nil {
		text, err := json.Marshal(q)
		if err != nil {
			return none, err
		}
		if packed = len(text) >= packFrom; packed {
			body = pack(text)
		} else {
			body = bytes.NewReader(text)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return none, err
	}
	r.Header.Set("Content-Type", "application/json")
	if packed {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return none, err
	}
	defer answer.Body.Close()
	c.met = true
	c.heads(answer.Header)
	if answer.StatusCode != http.StatusOK {
		e, err := mpocv1.Read[mpocv1.Error](answer.Body)
		if err != nil {
			return none, fmt.Errorf("the host answered %s: %w", answer.Status, err)
		}
		return none, &e
	}
	return mpocv1.Read[A](answer.Body)
}

// heads takes what a host says of itself beside its answer.
func (c *client) heads(h http.Header) {
	c.unpaid.Store(h.Get(mpocv1.HeaderUnpaid) != "")
	still := strings.ToValidUTF8(h.Get(mpocv1.HeaderStill), "?")
	still = still[:min(len(still), mpocv1.MaxStill)]
	c.still.Store(&still)
	if run := h.Get(mpocv1.HeaderRun); run != "" {
		c.run = run[:min(len(run), maxRun)]
	}
}

// standsStill is why the host's chain makes no block, as the latest answer says; empty while it
// does.
func (c *client) standsStill() string {
	if still := c.still.Load(); still != nil {
		return *still
	}
	return ""
}

// code is the code of a host's error, "" of others.
func code(err error) string {
	if e := (*mpocv1.Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// post makes a request until it is answered, refused for good, or ctx ends.
// body builds it again for every try.
func post[A any](ctx context.Context, m *Machine, path string, body func() any) (A, error) {
	pause := pauseMin
	for {
		a, err := once[A](ctx, m.client, http.MethodPost, path, body())
		if err == nil {
			m.connected(nil)
			return a, nil
		}
		wait := pause/2 + rand.N(pause/2) // many machines must not come back at once
		var e *mpocv1.Error
		switch {
		case ctx.Err() != nil:
			reason, _ := link.Explain(err, m.address.HostPort)
			return a, fmt.Errorf("the host did not answer in time: %s", reason)
		case errors.Is(err, link.ErrFingerprint) && !m.client.met:
			return a, link.Explained(err, m.address.HostPort)
		case errors.Is(err, mpoc.ErrTerms):
			return a, fmt.Errorf("%w: %w", mpoc.ErrHost, err)
		case errors.As(err, &e) && e.Code == mpocv1.CodeClockSkew:
			if s, serr := once[mpocv1.Status](ctx, m.client, http.MethodGet, mpocv1.PathStatus,
				nil); serr == nil {
				m.client.set(s.Now)
				m.asked = mpoc.Asking{}
			}
		case errors.As(err, &e) && e.RetryAfterMS == 0:
			m.connected(nil)
			return a, err
		case errors.As(err, &e):
			wait += time.Duration(min(e.RetryAfterMS, retryMaxMS)) * time.Millisecond
		}
		m.connected(err)
		if err := sleep(ctx, wait); err != nil {
			return a, err
		}
		pause = min(2*pause, pauseMax)
	}
}

func sleep(ctx context.Context, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// register makes the key known. What the host calls itself must be what its
// address names.
func (m *Machine) register(ctx context.Context) error {
	key := signed.KeyOf(m.c.Key)
	for tries := 0; ; tries++ {
		n, err := post[mpocv1.NonceAnswer](ctx, m, mpocv1.PathNonce,
			func() any { return mpocv1.NonceRequest{DeviceKey: key} })
		if err != nil {
			return err
		}
		if link.FingerprintOf(n.HostKey[:]) != m.address.Fingerprint {
			return fmt.Errorf("%w: the host calls itself %s, which is not the key of its address",
				mpoc.ErrHost, n.HostKey)
		}
		r := mpoc.Registration{
			Chain: n.Chain, HostKey: n.HostKey, DeviceKey: key, Nonce: n.Nonce,
			Agent: m.c.Agent, Engine: m.c.Device.Engine, Devices: []mpoc.Claimed{m.c.Device},
			RateOps: m.c.Device.RateOps, Payout: m.c.Payout,
		}
		if err := r.Valid(); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
		a, err := post[mpocv1.RegisterAnswer](ctx, m, mpocv1.PathDevices, func() any {
			return mpocv1.RegisterRequest{Registration: r, Signature: r.Sign(m.c.Key)}
		})
		if code(err) == mpocv1.CodeReplayed && tries == 0 { // the nonce grew old on the way
			continue
		}
		if err != nil {
			return err
		}
		m.client.set(a.Now)
		m.chain, m.host, m.claims = n.Chain, n.HostKey, time.Time{}
		m.tell(nil, Event{Type: Registered})
		return nil
	}
}

// ask signs a question that the host takes once, in rising order; one for a
// receipt is about a challenge.
func (m *Machine) ask(what string, about *signed.Hash) (mpoc.Asking, signed.Signature) {
	m.asked.HostKey, m.asked.DeviceKey, m.asked.What, m.asked.ChallengeID = m.host,
		signed.KeyOf(m.c.Key), what, about
	m.asked.Time = max(m.asked.Time, m.client.now())
	m.asked.Count++
	return m.asked, m.asked.Sign(m.c.Key)
}
