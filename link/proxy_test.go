// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/ed25519"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// throughTo is a web proxy that carries every connection to one address, whatever was asked for.
func throughTo(t *testing.T, to string, answer int) (proxy *httptest.Server, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodConnect || answer != http.StatusOK {
			w.WriteHeader(answer)
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		in, early, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(out, early); _ = out.Close() }()
		_, _ = io.Copy(in, out)
		_ = in.Close()
	}))
	t.Cleanup(proxy.Close)
	return proxy, asked
}

// A host in a private network is reached without the proxy, any other through it, by socket and by
// request alike; and where the proxy is in the way, it is named.
func TestProxy(t *testing.T) {
	key := func(b byte) ed25519.PrivateKey {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = b
		return ed25519.NewKeyFromSeed(seed)
	}
	config, err := ServerTLS(key(1))
	if err != nil {
		t.Fatal(err)
	}
	limits := Limits{Message: 1 << 16, Write: 5 * time.Second, Ping: time.Minute}
	host := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		if r.URL.Path != "/socket" {
			_, _ = io.WriteString(w, "hello")
			return
		}
		if s, err := Accept(w, r, limits); err == nil {
			s.Close("bye")
		}
	}))
	host.TLS = config
	host.Config.ConnContext = ConnContext
	host.StartTLS()
	t.Cleanup(host.Close)
	at := host.Listener.Addr().String()
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, host string
		answer     int
		dead       bool
		noProxy    string
		through    bool
		says       string
	}{
		{name: "by a private address", host: "127.0.0.1", answer: http.StatusOK},
		{name: "by a private name", host: "localhost", answer: http.StatusForbidden},
		{name: "by a public name", host: "assay.invalid", answer: http.StatusOK, through: true},
		{name: "by a public address", host: "192.0.2.7", answer: http.StatusOK, through: true},
		{name: "refused by the proxy", host: "192.0.2.7", answer: http.StatusForbidden,
			through: true, says: "403 Forbidden"},
		{name: "a dead proxy", host: "192.0.2.7", answer: http.StatusOK,
			dead: true, says: "refused"},
		{name: "named in NO_PROXY", host: "assay.invalid", answer: http.StatusOK,
			noProxy: "assay.invalid", says: "no machine is known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy, asked := throughTo(t, at, c.answer)
			t.Setenv("HTTPS_PROXY", proxy.URL)
			t.Setenv("https_proxy", proxy.URL)
			t.Setenv("NO_PROXY", c.noProxy)
			t.Setenv("no_proxy", c.noProxy)
			if c.dead {
				proxy.Close()
			}
			to := Address{HostPort: net.JoinHostPort(c.host, port),
				Fingerprint: FingerprintOf(key(1).Public().(ed25519.PublicKey))}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			s, err := Dial(ctx, to, "/socket", key(2), limits)
			if err == nil {
				s.Abort()
			}
			mine, cerr := ClientTLS(key(2), to.Fingerprint)
			if cerr != nil {
				t.Fatal(cerr)
			}
			transport := Transport(mine)
			defer transport.CloseIdleConnections()
			request, rerr := http.NewRequestWithContext(ctx, http.MethodGet,
				"https://"+to.HostPort+"/", nil)
			if rerr != nil {
				t.Fatal(rerr)
			}
			response, rerr := transport.RoundTrip(request)
			if rerr == nil {
				_ = response.Body.Close()
			}
			for what, err := range map[string]error{"socket": err, "request": rerr} {
				if (err == nil) != (c.says == "") {
					t.Errorf("%s: %v", what, err)
				}
				if err == nil {
					continue
				}
				reason, next := Explain(err, to.HostPort)
				if !strings.Contains(reason, c.says) {
					t.Errorf("%s: %s", what, reason)
				}
				if named := strings.Contains(reason, "proxy "+proxy.URL) &&
					strings.Contains(next, "NO_PROXY"); named == (c.noProxy != "") {
					t.Errorf("%s: the proxy is named: %v, in %q", what, named, reason)
				}
			}
			if (asked.Load() > 0) != c.through {
				t.Errorf("the proxy was asked %d times", asked.Load())
			}
		})
	}
}
