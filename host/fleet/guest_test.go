// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/link"
)

// A stranger reaches the pool's handler on the workers' address, and on the workers' path the
// refusal as ever.
func TestStrangersAreGuestsAndNoWorkers(t *testing.T) {
	h := newHostWith(t, t.TempDir(), "127.0.0.1:0", func(c *fleet.Config) {
		c.Pool = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key, err := link.PeerKey(*r.TLS)
			body, berr := io.ReadAll(r.Body)
			if err != nil || berr != nil {
				t.Errorf("guest: %v, %v", err, berr)
			}
			_, _ = io.WriteString(w, r.URL.Path+" "+string(body)+" "+string(key[:1]))
		})
	})
	stranger := keyOf(7)
	conn := guest(t, h, stranger)
	answers := bufio.NewReader(conn)
	for _, body := range []string{"", "one", "and another on the same connection"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"https://host/mpoc/v1/status", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		want := "/mpoc/v1/status " + body + " " + string(stranger.Public().(ed25519.PublicKey)[:1])
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	p := dial(t, h, stranger)
	p.say(p.hello())
	if r := p.hear().GetRefuse(); r == nil || !strings.Contains(r.NextStep, "assay host allow") {
		t.Errorf("on %s a stranger was told %v", workerv1.Path, r)
	}
}

// guest opens a connection that is no worker's.
func guest(t *testing.T, h *host, key ed25519.PrivateKey) net.Conn {
	t.Helper()
	address, err := link.ParseAddress(h.URL())
	if err != nil {
		t.Fatal(err)
	}
	config, err := link.ClientTLS(key, address.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", address.HostPort, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Run ends after the requests that are under way, which its end cancels.
func TestRunWaitsForThePool(t *testing.T) {
	asked, over := make(chan struct{}), make(chan struct{})
	h := newHostWith(t, t.TempDir(), "127.0.0.1:0", func(c *fleet.Config) {
		c.Pool = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(asked)
			<-r.Context().Done()
			close(over)
		})
	})
	if _, err := io.WriteString(guest(t, h, keyOf(7)), "GET /mpoc/v1/status HTTP/1.1\r\nHost: "+
		"h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	h.stop()
	select {
	case <-over:
	default:
		t.Error("Run has ended and a request has not")
	}
}

// What a stranger computes does not count in the host's name: it is given no samples.
func TestOnlyTrustedWorkersRerun(t *testing.T) {
	h := newHostWith(t, t.TempDir(), "127.0.0.1:0", func(c *fleet.Config) {
		c.Trusted = func(node string) bool { return node == "own" }
	})
	guest := join(t, h, 2, "m-guest")
	done := rerun(t, h, sampleUnits(3))
	own := join(t, h, 3, "own")
	own.say(answer(t, hearUntil(own, (*workerv1.Envelope).GetRerun)))
	checkOutputs(t, <-done, sampleUnits(3))
	h.aim(goal(1))
	for e := guest.hear(); e.GetCompute() == nil; e = guest.hear() {
		if e.GetRerun() != nil {
			t.Error("the guest was given samples")
		}
	}
	for _, s := range h.Status() {
		if want := map[string]uint64{"own": 3}[s.Node]; s.Reruns != want {
			t.Errorf("node %s re-ran %d samples, want %d", s.Node, s.Reruns, want)
		}
	}
}
