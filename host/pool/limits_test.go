// SPDX-License-Identifier: Apache-2.0

package pool_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
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
	books, err := ledger.Open(filepath.Join(t.TempDir(), "ledger"), rules, ledger.Amount{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { books.Close() })
	p, err := pool.New(pool.Config{HostKey: key, Chain: "assay-test",
		State: filepath.Join(t.TempDir(), "pool"), Ledger: books, Rules: rules})
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
	return p, link.Address{HostPort: s.Listener.Addr().String(),
		Fingerprint: link.FingerprintOf(key.Public().(ed25519.PublicKey))}
}

var device = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))

// dial is a client with the device's key.
func dial(t *testing.T, to link.Address) *http.Client {
	t.Helper()
	config, err := link.ClientTLS(device, to.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// A pool that closes tells its sockets so, and leaves none behind that would
// use its file.
func TestCloseEndsSockets(t *testing.T) {
	p, to := served(t)
	s, err := link.Dial(t.Context(), to, mpocv1.PathSocket, device,
		link.Limits{Message: 1 << 20, Write: time.Minute, Ping: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort()
	ask := []byte(`{"type":"status","id":7,"body":{}}`)
	if err := s.Send(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	if answer, err := s.Receive(t.Context()); err != nil ||
		!strings.Contains(string(answer), `"id":7`) {
		t.Fatalf("answered %s, %v", answer, err)
	}
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	if _, err := s.Receive(t.Context()); !errors.Is(err, link.ErrClosed) ||
		!strings.Contains(err.Error(), "the host is stopping") {
		t.Errorf("closed with %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if late, err := link.Dial(t.Context(), to, mpocv1.PathSocket, device,
		link.Limits{}); err == nil {
		late.Abort()
		t.Error("a closed pool takes sockets")
	}
}

// Rules that no machine would take are refused at the start.
func TestRulesInBounds(t *testing.T) {
	books, err := ledger.Open(filepath.Join(t.TempDir(), "ledger"), ledger.Rules{Strikes: 1},
		ledger.Amount{})
	if err != nil {
		t.Fatal(err)
	}
	defer books.Close()
	for _, rules := range []ledger.Rules{{}, {Unlock: 10_001, Strikes: 3},
		{Unlock: 20, Strikes: 1001}} {
		if p, err := pool.New(pool.Config{HostKey: device, Chain: "assay-test",
			State: filepath.Join(t.TempDir(), "pool"), Ledger: books,
			Rules: rules}); !errors.Is(err, pool.ErrConfig) {
			t.Errorf("%+v: %v, %v", rules, p, err)
		}
	}
}

// A body is no longer than its kind can be.
func TestBodiesByKind(t *testing.T) {
	p, to := served(t)
	defer p.Close()
	client := dial(t, to)
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
		answer, err := client.Post("https://"+to.HostPort+c.path, "application/json",
			strings.NewReader(strings.Repeat(" ", c.size)))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%d bytes to %s: %s, want %d", c.size, c.path, answer.Status, c.want)
		}
	}
}

// A compressed body is bounded as it is sent and as it unpacks, and what is no
// body is told so.
func TestPackedBodies(t *testing.T) {
	p, to := served(t)
	defer p.Close()
	client := dial(t, to)
	zip := func(level, n int, text string) []byte {
		var out bytes.Buffer
		z, err := gzip.NewWriterLevel(&out, level)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write([]byte(text + strings.Repeat(" ", n-len(text)))); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	ask := fmt.Sprintf(`{"device_key":"0x%064x"}`, 7)
	good := zip(6, 1000, ask)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-8] ^= 1 // of the checksum
	for name, c := range map[string]struct {
		path, encoding string
		body           []byte
		want           int
	}{
		"small":           {mpocv1.PathNonce, "gzip", good, 200},
		"as it is":        {mpocv1.PathNonce, "identity", []byte(ask), 200},
		"as much as fits": {mpocv1.PathNonce, "gzip", zip(6, 16<<10, ask), 200},
		"a byte more":     {mpocv1.PathNonce, "gzip", zip(6, 16<<10+1, ask), 413},
		"a bomb":          {mpocv1.PathProofs, "gzip", zip(6, 64<<20, ask), 413},
		"long as sent":    {mpocv1.PathNonce, "gzip", zip(0, 16<<10, ask), 413},
		// two bodies
		"twice":      {mpocv1.PathNonce, "gzip", append(bytes.Clone(good), good...), 400},
		"half":       {mpocv1.PathNonce, "gzip", good[:len(good)-9], 400},
		"damaged":    {mpocv1.PathNonce, "gzip", flipped, 400},
		"nothing":    {mpocv1.PathNonce, "gzip", nil, 400},
		"none of it": {mpocv1.PathNonce, "gzip", []byte(ask), 400},
		"not said":   {mpocv1.PathNonce, "", good, 400},
		"another":    {mpocv1.PathNonce, "br", good, 415},
		"two":        {mpocv1.PathNonce, "gzip, gzip", good, 415},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"https://"+to.HostPort+c.path, bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.encoding != "" {
			r.Header.Set("Content-Encoding", c.encoding)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(name, err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != c.want {
			t.Errorf("%s: %s, want %d: %s, %v", name, answer.Status, c.want, text, err)
		}
		if c.want == 415 && (answer.Header.Get("Accept-Encoding") != "gzip" ||
			!strings.Contains(string(text), "Content-Encoding: gzip")) {
			t.Errorf("%s: says nothing of gzip: %s", name, text)
		}
		if e, err := mpocv1.Decode[mpocv1.Error](text); c.want != 200 &&
			(err != nil || e.NextStep == "") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

// An address registers keys at a rate; other requests go on meanwhile.
func TestRegistrationsHaveARate(t *testing.T) {
	p, to := served(t)
	defer p.Close()
	client := dial(t, to)
	post := func(path string) int {
		answer, err := client.Post("https://"+to.HostPort+path, "application/json",
			strings.NewReader("{}"))
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
