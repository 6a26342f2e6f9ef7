// SPDX-License-Identifier: Apache-2.0

package pool_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/link"
)

// served is a pool behind a listener. The test closes the pool.
func served(t *testing.T) (*pool.Pool, link.Address) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	rules := ledger.Rules{Unlock: 10, Strikes: 3}
	books, err := ledger.Open(filepath.Join(t.TempDir(), "ledger"), rules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { books.Close() })
	p, err := pool.New(pool.Config{HostKey: key, Chain: "assay-test", State: filepath.Join(t.TempDir(), "pool"), Ledger: books, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(p.Handler())
	if s.TLS, err = link.ServerTLS(key); err != nil {
		t.Fatal(err)
	}
	s.Config.ConnContext = link.ConnContext
	s.StartTLS()
	t.Cleanup(s.Close)
	return p, link.Address{HostPort: s.Listener.Addr().String(), Fingerprint: link.FingerprintOf(key.Public().(ed25519.PublicKey))}
}

var device = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))

// A pool that closes tells its sockets so, and leaves none behind that would
// use its file.
func TestCloseEndsSockets(t *testing.T) {
	p, to := served(t)
	s, err := link.Dial(t.Context(), to, mpocv1.PathSocket, device, link.Limits{Message: 1 << 20, Write: time.Minute, Ping: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort()
	ask := []byte(`{"type":"status","id":7,"body":{}}`)
	if err := s.Send(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	if answer, err := s.Receive(t.Context()); err != nil || !strings.Contains(string(answer), `"id":7`) {
		t.Fatalf("answered %s, %v", answer, err)
	}
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	if _, err := s.Receive(t.Context()); !errors.Is(err, link.ErrClosed) || !strings.Contains(err.Error(), "the host is stopping") {
		t.Errorf("closed with %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if late, err := link.Dial(t.Context(), to, mpocv1.PathSocket, device, link.Limits{}); err == nil {
		late.Abort()
		t.Error("a closed pool takes sockets")
	}
}

// A body is no longer than its kind can be.
func TestBodiesByKind(t *testing.T) {
	p, to := served(t)
	defer p.Close()
	config, err := link.ClientTLS(device, to.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		path string
		size int
		want int
	}{
		{mpocv1.PathNonce, 16 << 10, http.StatusBadRequest}, // spaces are not a body
		{mpocv1.PathNonce, 16<<10 + 1, http.StatusRequestEntityTooLarge},
		{mpocv1.PathProofs, 1 << 20, http.StatusBadRequest},
		{mpocv1.PathProofs, 4<<20 + 1, http.StatusRequestEntityTooLarge},
	} {
		answer, err := client.Post("https://"+to.HostPort+c.path, "application/json", strings.NewReader(strings.Repeat(" ", c.size)))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%d bytes to %s: %s, want %d", c.size, c.path, answer.Status, c.want)
		}
	}
}

// An address registers keys at a rate; other requests go on meanwhile.
func TestRegistrationsHaveARate(t *testing.T) {
	p, to := served(t)
	defer p.Close()
	config, err := link.ClientTLS(device, to.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	post := func(path string) int {
		answer, err := client.Post("https://"+to.HostPort+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for i := 0; ; i++ {
		if i > 300 {
			t.Fatal("300 registrations at once, and none is refused")
		}
		if status := post(mpocv1.PathDevices); status == http.StatusTooManyRequests {
			break
		} else if status != http.StatusBadRequest {
			t.Fatalf("registration %d: %d", i, status)
		}
	}
	if status := post(mpocv1.PathNonce); status != http.StatusBadRequest {
		t.Errorf("asking for a nonce meanwhile: %d, want it read", status)
	}
}
