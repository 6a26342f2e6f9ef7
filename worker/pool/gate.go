// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"sync"
)

// Gate takes a device away from its Machine and gives it back. The zero Gate is
// open. It is safe for concurrent use.
type Gate struct {
	mu            sync.Mutex
	changed       chan struct{} // closed at the next change; nil before anybody waits
	closed        bool
	reason, until string
}

// Close stops the slice under way at its next loop, and all others until Open.
// reason and until are for people.
func (g *Gate) Close(reason, until string) { g.set(true, reason, until) }

// Open lets the machine compute.
func (g *Gate) Open() { g.set(false, "", "") }

func (g *Gate) set(closed bool, reason, until string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.reason, g.until = closed, reason, until
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// state reports whether the gate is closed, why, and what ends that state.
func (g *Gate) state() (closed bool, reason, until string, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.closed, g.reason, g.until, g.changed
}

// during returns a context that ends when the open gate closes.
func (g *Gate) during(ctx context.Context) (context.Context, context.CancelFunc) {
	closed, _, _, changed := g.state()
	ctx, cancel := context.WithCancel(ctx)
	if closed {
		cancel()
		return ctx, cancel
	}
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-changed:
			cancel()
		case <-stop:
		}
	}()
	return ctx, func() { close(stop); <-ended; cancel() }
}
