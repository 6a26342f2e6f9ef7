// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Limits of a listener.
const (
	// PerAddress is how many connections an address may hold: a hall of machines
	// behind one router.
	PerAddress = 1024
	// Total is how many all may hold.
	Total = 1 << 15
	// An address may open so many connections a second in the long run, and so
	// many at once; each costs the host a handshake.
	opened      = 50
	openedBurst = PerAddress
)

// Listen bounds the connections of a listener by address and in all. What is too
// much is closed before anything is said, so that it costs next to nothing. Where
// all places are taken, an address with few gets one of the address with most.
func Listen(l net.Listener) net.Listener { return listen(l, Total) }

func listen(l net.Listener, most int) *listener {
	return &listener{Listener: l, most: most, rates: NewRates(opened, openedBurst),
		held: map[netip.Prefix][]*conn{}}
}

type listener struct {
	net.Listener
	most  int
	rates *Rates

	mu    sync.Mutex
	held  map[netip.Prefix][]*conn // the oldest first
	total int
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote := c.RemoteAddr().String()
		in := &conn{Conn: c, of: l, from: Address(remote)}
		if l.rates.Take(remote, 1) > 0 || !l.enter(in) {
			_ = c.Close() // the caller is told nothing, and comes again later
			continue
		}
		return in, nil
	}
}

func (l *listener) enter(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := len(l.held[c.from])
	if mine >= PerAddress {
		return false
	}
	if l.total >= l.most {
		var most netip.Prefix
		for from, list := range l.held {
			if len(list) > len(l.held[most]) {
				most = from
			}
		}
		if len(l.held[most]) <= mine+1 {
			return false
		}
		oldest := l.held[most][0]
		l.leave(oldest)
		_ = oldest.Conn.Close()
	}
	l.held[c.from] = append(l.held[c.from], c)
	l.total++
	return true
}

// leave gives a connection's place back, once. The caller holds mu.
func (l *listener) leave(c *conn) {
	list := l.held[c.from]
	at := slices.Index(list, c)
	if at < 0 {
		return
	}
	l.total--
	if list = slices.Delete(list, at, at+1); len(list) == 0 {
		delete(l.held, c.from)
		return
	}
	l.held[c.from] = list
}

// conn leaves when it is closed.
type conn struct {
	net.Conn
	of   *listener
	from netip.Prefix
}

func (c *conn) Close() error {
	c.of.mu.Lock()
	c.of.leave(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
