// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// addresses bounds what is remembered of them.
const addresses = 1 << 14

// Address is who is counted as one: an IPv4 address or an IPv6 network of 56 bits, which is the
// least that a subscriber should be given (RIPE-690). Of a remote host:port that is neither it is
// the zero prefix.
func Address(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 56
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

	mu     sync.Mutex
	by     map[netip.Prefix]*rate.Limiter
	others *rate.Limiter // all that are not in by, when that is full
	swept  time.Time
}

// NewRates lets an address take burst tokens at once and perSecond in the long
// run.
func NewRates(perSecond float64, burst int) *Rates {
	l := rate.Limit(perSecond)
	return &Rates{perSecond: l, burst: burst, by: map[netip.Prefix]*rate.Limiter{},
		others: rate.NewLimiter(l, burst)}
}

// Take takes n tokens of a remote host:port's address, at most a whole burst, or
// none and says how long until there are as many.
func (r *Rates) Take(remote string, n int) (wait time.Duration) {
	address := Address(remote)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	limiter := r.by[address]
	if limiter == nil {
		limiter = r.enter(address, now)
	}
	n = min(n, r.burst)
	if limiter.AllowN(now, n) {
		return 0
	}
	missing := float64(n) - limiter.TokensAt(now)
	return time.Duration(missing / float64(r.perSecond) * float64(time.Second))
}

// enter makes an address's bucket. Where there are too many, those that are full
// are forgotten, which changes nothing for their addresses; and if all are in use,
// new addresses share one until some are not. The caller holds mu.
func (r *Rates) enter(address netip.Prefix, now time.Time) *rate.Limiter {
	if len(r.by) >= addresses && now.Sub(r.swept) >= time.Second {
		r.swept = now
		maps.DeleteFunc(r.by, func(_ netip.Prefix,
			l *rate.Limiter) bool {
			return l.TokensAt(now) >= float64(r.burst)
		})
	}
	if len(r.by) >= addresses {
		return r.others
	}
	limiter := rate.NewLimiter(r.perSecond, r.burst)
	r.by[address] = limiter
	return limiter
}
