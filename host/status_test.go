// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/assaynet/assay/host/ledger"
)

// asked serves a host's pages, and asks it for one as a program or a web page does.
func asked(t *testing.T, h *Host) func(method, path, host, origin string) (code int, said string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.serveStatus(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func(method, path, host, origin string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method,
			"http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
}

// A question about the pool of a host that has none is refused in a sentence with the next step; it
// is no failure.
func TestAHostWithoutAPoolSaysSo(t *testing.T) {
	h := newHost(config(), Options{Logger: slog.New(slog.DiscardHandler)})
	h.pay = h.newPayroll()
	ask := asked(t, h)
	for _, page := range []struct{ method, path string }{{"GET", "/payments"}, {"GET", "/pool"},
		{"POST", "/payments/resolve?plan=x"}} {
		code, said := ask(page.method, page.path, "", "")
		if code != http.StatusConflict || strings.TrimSpace(said) != errNoPool.Error() ||
			!strings.Contains(said, "assay host --pool") {
			t.Errorf("%s %s: %d %q", page.method, page.path, code, said)
		}
	}
}

// A page of elsewhere in the owner's browser reads no page of the host, and resolves nothing.
func TestOnlyTheOwnerAsksTheHost(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	ask := asked(t, h)
	if code, said := ask("GET", "/status", "", ""); code != http.StatusOK {
		t.Fatalf("the owner: %d %s", code, said)
	}
	for _, page := range []struct{ method, path string }{{"GET", "/status"}, {"GET", "/pool"},
		{"GET", "/payments"}, {"GET", "/metrics"}, {"POST", "/payments/resolve?plan=x"}} {
		for _, from := range []struct{ host, origin string }{{"rebound.example:4711", ""},
			{"", "http://page.example"}} {
			if code, said := ask(page.method, page.path, from.host,
				from.origin); code != http.StatusForbidden {
				t.Errorf("%s %s for %+v: %d %s", page.method, page.path, from, code, said)
			}
		}
	}
}

// The status server lists accounts page by page, and gives Prometheus the figures of the status
// document.
func TestTheOwnerSeesThePool(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	const machines = PoolPage + 3
	g := new(errgroup.Group) // they share flushes
	g.SetLimit(64)
	for i := range machines {
		g.Go(func() error {
			_, err := h.pay.ledger.Register(device(byte(i>>8), byte(i), 1), "", time.UnixMilli(1))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.serveStatus(ctx, l) }()
	get := func(path string) (int, []byte) {
		res, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body
	}
	seen := map[ledger.Device]bool{}
	for path, n := "/pool", PoolPage; n == PoolPage; {
		var page []PoolAccount
		_, body := get(path)
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			seen[a.Device] = true
		}
		n = len(page)
		path = "/pool?after=" + page[n-1].Device.String()
	}
	if len(seen) != machines {
		t.Errorf("%d accounts, want %d", len(seen), machines)
	}
	if code, _ := get("/pool?after=x"); code != http.StatusBadRequest {
		t.Errorf("a malformed page: %d", code)
	}
	_, figures := get("/metrics")
	for _, want := range []string{"assay_host_node_reachable 0", "assay_host_pool_accepted 0",
		"assay_host_payment_blocked 0", "assay_host_logs_left_out 0"} {
		if !bytes.Contains(figures, []byte("\n"+want+"\n")) {
			t.Errorf("no %q in:\n%s", want, figures)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
