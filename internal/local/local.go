// SPDX-License-Identifier: Apache-2.0

// Package local guards what a program serves to its owner: pages and commands on an address of the
// machine or of the owner's network, without a password. A web page that the owner looks at can
// make the browser ask for them, also by a name of its own that it lets point at this machine (DNS
// rebinding). The browser says so in Host and Origin.
package local

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// Handler passes on what asks for this machine by an address, or by a name that nobody else can
// have made: localhost, a name without a dot, one that is for private networks, or the machine's
// own. A request that a page of elsewhere makes is refused. Refusals are 403 and name the reason.
func Handler(next http.Handler) http.Handler {
	own, _ := os.Hostname() // without one, no name is the machine's own
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ours(r.Host, own) {
			http.Error(w, fmt.Sprintf("%q is no name of this machine: ask by its address", r.Host),
				http.StatusForbidden)
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
				http.Error(w, fmt.Sprintf("a page of %q asks for this; only its owner may", origin),
					http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// ours: no stranger can have made this name point here.
func ours(host, own string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	if name == "" || name == strings.ToLower(own) || !strings.Contains(name, ".") {
		return name != ""
	}
	for _, private := range []string{".localhost", ".local", ".internal", ".home.arpa", ".lan"} {
		if strings.HasSuffix(name, private) {
			return true
		}
	}
	return false
}
