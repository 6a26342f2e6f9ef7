// SPDX-License-Identifier: Apache-2.0

// Package webproxy decides which connections go through the web proxy that the environment names.
//
// The rule is one for every program: a connection within a private network (the loopback, private,
// link-local and shared carrier addresses, and names that are for them) goes straight there, since
// a proxy for the web knows no way into it. Any other follows HTTPS_PROXY, HTTP_PROXY and NO_PROXY,
// as other programs do. Where the proxy is in the way, it is named.
package webproxy

import (
	"context"
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

// Error reports a web proxy that does not let a connection through.
type Error struct {
	Proxy string // without a password
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("proxy %s: %v", e.Proxy, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// For is the proxy of the environment for a request, nil where there is none or the host is in a
// private network. It is for http.Transport's Proxy.
func For(r *http.Request) (*url.URL, error) {
	through, err := httpproxy.FromEnvironment().ProxyFunc()(r.URL)
	if err != nil {
		return nil, &Error{"in HTTPS_PROXY", err}
	}
	if through == nil || Private(r.Context(), r.URL.Hostname()) {
		return nil, nil
	}
	return through, nil
}

// Refused is for http.Transport's OnProxyConnectResponse: it names a proxy that refuses.
func Refused(_ context.Context, through *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return &Error{through.Redacted(), fmt.Errorf("it answers %s", answer.Status)}
	}
	return nil
}

// carrier is the range that providers share among their customers (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// lookupTime bounds the look at a name: behind a proxy there may be no name service.
const lookupTime = 2 * time.Second

// Private reports whether a host, without a port, is in this machine's own networks: by its
// address, by a name that is for them, or by the addresses of its name.
func Private(ctx context.Context, host string) bool {
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

// privateAddress also holds for the unspecified address, which leads to this machine.
func privateAddress(at netip.Addr) bool {
	at = at.Unmap().WithZone("")
	return at.IsPrivate() || at.IsLoopback() || at.IsLinkLocalUnicast() || at.IsUnspecified() ||
		carrier.Contains(at)
}

// InTheWay finds the proxy that the error of a connection to a host:port is about; nil where none
// is.
func InTheWay(err error, at string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	dial, ok := errors.AsType[*net.OpError](err)
	if !ok || dial.Op != "proxyconnect" {
		return nil
	}
	for _, scheme := range []string{"https", "http"} {
		through, perr := httpproxy.FromEnvironment().ProxyFunc()(&url.URL{Scheme: scheme, Host: at})
		if perr == nil && through != nil {
			return &Error{through.Redacted(), dial.Err}
		}
	}
	return nil
}

// Blame says in words that a proxy is in the way to a host:port, and what to do about it.
func (e *Error) Blame(at string) (reason, next string) {
	return fmt.Sprintf("the way to %s goes through proxy %s (HTTPS_PROXY), and not on from "+
			"there: %v", at, e.Proxy, e.Err),
		"check the proxy, or name the host in NO_PROXY to go without it"
}
