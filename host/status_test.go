// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
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
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, nil)
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

// A question about the pool of a host that has none is refused in a sentence with the next step; it is no failure.
func TestAHostWithoutAPoolSaysSo(t *testing.T) {
	ask := asked(t, &Host{config: config(), log: slog.New(slog.DiscardHandler)})
	for _, page := range []struct{ method, path string }{{"GET", "/payments"}, {"GET", "/pool"}, {"POST", "/payments/resolve?plan=x"}} {
		code, said := ask(page.method, page.path, "", "")
		if code != http.StatusConflict || strings.TrimSpace(said) != errNoPool.Error() || !strings.Contains(said, "assay host --pool") {
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
	for _, page := range []struct{ method, path string }{{"GET", "/status"}, {"GET", "/pool"}, {"GET", "/payments"}, {"GET", "/metrics"}, {"POST", "/payments/resolve?plan=x"}} {
		for _, from := range []struct{ host, origin string }{{"rebound.example:4711", ""}, {"", "http://page.example"}} {
			if code, said := ask(page.method, page.path, from.host, from.origin); code != http.StatusForbidden {
				t.Errorf("%s %s for %+v: %d %s", page.method, page.path, from, code, said)
			}
		}
	}
}
