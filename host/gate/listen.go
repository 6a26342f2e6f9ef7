// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net"
	"net/netip"
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
// much is closed before anything is said, so that it costs next to nothing.
func Listen(l net.Listener) net.Listener {
	return &listener{Listener: l, rates: NewRates(opened, openedBurst), held: map[netip.Prefix]int{}}
}

type listener struct {
	net.Listener
	rates *Rates

	mu    sync.Mutex
	held  map[netip.Prefix]int
	total int
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote := c.RemoteAddr().String()
		from := Address(remote)
		if l.rates.Take(remote, 1) > 0 || !l.enter(from) {
			_ = c.Close() // the caller is told nothing, and comes again later
			continue
		}
		return &conn{Conn: c, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
	}
}

func (l *listener) enter(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[from] >= PerAddress || l.total >= Total {
		return false
	}
	l.held[from]++
	l.total++
	return true
}

func (l *listener) leave(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.held[from]--; l.held[from] == 0 {
		delete(l.held, from)
	}
}

// conn leaves when it is closed.
type conn struct {
	net.Conn
	leave func()
}

func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
