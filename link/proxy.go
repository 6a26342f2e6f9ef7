// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// ProxyError reports a web proxy, which HTTPS_PROXY names, that does not let a connection through.
type ProxyError struct {
	Proxy string // without a password
	Err   error
}

func (e *ProxyError) Error() string { return fmt.Sprintf("proxy %s: %v", e.Proxy, e.Err) }
func (e *ProxyError) Unwrap() error { return e.Err }

// Transport makes connections of TLS to one host. They go through the proxy of the environment
// (HTTPS_PROXY, NO_PROXY) where there is one, unless the host is in a private network: a proxy for
// the web knows no way there. The proxy sees the host's address and nothing of what is said.
func Transport(config *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig: config, Proxy: Proxy,
		OnProxyConnectResponse: func(_ context.Context, through *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return &ProxyError{through.Redacted(), fmt.Errorf("it answers %s", answer.Status)}
			}
			return nil
		},
	}
}

// Proxy is the proxy of the environment for a request, nil where there is none, or the host is in a
// private network.
func Proxy(r *http.Request) (*url.URL, error) {
	through, err := httpproxy.FromEnvironment().ProxyFunc()(r.URL)
	if err != nil {
		return nil, &ProxyError{"in HTTPS_PROXY", err}
	}
	if through == nil || private(r.Context(), r.URL.Hostname()) {
		return nil, nil
	}
	return through, nil
}

// carrier is the range that providers share among their customers (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// lookupTime bounds the look at a name: behind a proxy there may be no name service.
const lookupTime = 2 * time.Second

// private reports whether a host is in this machine's own networks: by its address, by a name that
// is for them, or by the addresses of its name.
func private(ctx context.Context, host string) bool {
	if at, err := netip.ParseAddr(host); err == nil {
		return privateAddress(at)
	}
	if !strings.Contains(host, ".") {
		return true
	}
	for _, end := range []string{".localhost", ".local", ".internal", ".home.arpa", ".lan"} {
		if strings.HasSuffix(strings.ToLower(host), end) {
			return true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(found) == 0 {
		return false
	}
	for _, at := range found {
		if !privateAddress(at) {
			return false
		}
	}
	return true
}

func privateAddress(at netip.Addr) bool {
	at = at.Unmap().WithZone("")
	return at.IsPrivate() || at.IsLoopback() || at.IsLinkLocalUnicast() || carrier.Contains(at)
}

// throughProxy finds the proxy that a connection's error is about.
func throughProxy(err error, host string) *ProxyError {
	if e, ok := errors.AsType[*ProxyError](err); ok {
		return e
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "proxyconnect" {
		through, perr := httpproxy.FromEnvironment().ProxyFunc()(&url.URL{Scheme: "https", Host: host})
		if perr == nil && through != nil {
			return &ProxyError{through.Redacted(), dial.Err}
		}
	}
	return nil
}
