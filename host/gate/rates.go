// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// addresses bounds what is remembered of them.
const addresses = 1 << 14

// Address is who is counted as one: an IPv4 address or an IPv6 network of 64
// bits. Of a remote host:port that is neither it is the zero prefix.
func Address(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits) // the length suits
	return p
}

// Rates are token buckets, one for each address. It is safe for concurrent use.
type Rates struct {
	perSecond rate.Limit
	burst     int

	mu sync.Mutex
	by map[netip.Prefix]*rate.Limiter
}

// NewRates lets an address take burst tokens at once and perSecond in the long
// run.
func NewRates(perSecond float64, burst int) *Rates {
	return &Rates{perSecond: rate.Limit(perSecond), burst: burst, by: map[netip.Prefix]*rate.Limiter{}}
}

// Take takes n tokens of a remote host:port's address, at most a whole burst, or
// none and says how long until there are as many.
func (r *Rates) Take(remote string, n int) (wait time.Duration) {
	address := Address(remote)
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter := r.by[address]
	if limiter == nil {
		if len(r.by) >= addresses {
			clear(r.by) // everybody starts anew, a flood of addresses too
		}
		limiter = rate.NewLimiter(r.perSecond, r.burst)
		r.by[address] = limiter
	}
	now := time.Now()
	n = min(n, r.burst)
	if limiter.AllowN(now, n) {
		return 0
	}
	missing := float64(n) - limiter.TokensAt(now)
	return time.Duration(missing / float64(r.perSecond) * float64(time.Second))
}
