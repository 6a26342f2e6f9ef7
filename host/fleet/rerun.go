// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"sync"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

const (
	// chunkUnits is how many samples a worker gets at a time.
	chunkUnits = 32
	// chunkErrors is how many workers may fail on a chunk before the call does.
	chunkErrors = 3
)

// Unit is one sample to run again.
type Unit struct {
	Epoch       uint64
	Class       transformer.Class
	Seed1       seed.Seed
	NodeSeed    seed.Seed
	SegmentSeed seed.Seed
	Nonce       uint64
}

// model is what units of one chunk share.
func (u Unit) model() Unit { u.Nonce = 0; return u }

// Rerun computes units on the connected workers and returns their outputs in
// order. Work of a worker that dies goes to another; while none is connected it
// waits, with ctx. It fails when several workers report that they cannot
// compute the same units.
func (f *Fleet) Rerun(ctx context.Context, units []Unit) ([]transformer.Output, error) {
	for _, u := range units {
		if err := u.Class.Valid(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRerun, err)
		}
	}
	c := f.desk.begin(units)
	select {
	case <-c.done:
	case <-ctx.Done():
		f.desk.cancel(c, fmt.Errorf("%w: %w", ErrRerun, context.Cause(ctx)))
		<-c.done
	}
	if c.err != nil {
		return nil, c.err
	}
	return c.out, nil
}

// desk hands out chunks of samples. A worker holds at most
// workerv1.MaxReruns; one with nothing left to fetch helps with the oldest
// chunk that a single other worker sits on.
type desk struct {
	mu    sync.Mutex
	last  uint64 // job number given out last
	queue []*chunk
	open  []*chunk // held by someone, oldest first
	seats map[*conn]map[uint64]*chunk
}

// call is one Rerun. Its fields belong to the desk until done is closed.
type call struct {
	out  []transformer.Output
	left int // chunks not done
	err  error
	done chan struct{}
}

type chunk struct {
	call    *call
	unit    Unit // what all share
	at      []int
	nonces  []uint64
	holders int
	errors  int
	failed  map[string]bool // nodes that cannot compute it
	over    bool
}

func newDesk() *desk { return &desk{seats: map[*conn]map[uint64]*chunk{}} }

// begin queues the units, cut into chunks that share everything but the nonce.
func (d *desk) begin(units []Unit) *call {
	c := &call{out: make([]transformer.Output, len(units)), done: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	filling := map[Unit]*chunk{}
	for i, u := range units {
		k := filling[u.model()]
		if k == nil || len(k.nonces) == chunkUnits {
			k = &chunk{call: c, unit: u.model()}
			filling[u.model()] = k
			d.queue = append(d.queue, k)
			c.left++
		}
		k.at = append(k.at, i)
		k.nonces = append(k.nonces, u.Nonce)
	}
	if c.left == 0 {
		close(c.done)
	}
	d.pokeAll()
	return c
}

func (d *desk) cancel(c *call, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail(c, why)
}

// fail ends a call early. Workers that hold chunks of it answer into the void.
func (d *desk) fail(c *call, why error) {
	if c.left == 0 {
		return
	}
	c.left, c.err = 0, why
	drop := func(chunks []*chunk) (kept []*chunk) {
		for _, k := range chunks {
			if k.call != c {
				kept = append(kept, k)
			}
			k.over = k.over || k.call == c
		}
		return kept
	}
	d.queue, d.open = drop(d.queue), drop(d.open)
	close(c.done)
}

func (d *desk) join(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seats[c] = map[uint64]*chunk{}
	c.poke()
}

func (d *desk) leave(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.seats[c] {
		d.putBack(k)
	}
	delete(d.seats, c)
	d.pokeAll()
}

// take gives the worker its next chunk, or nil.
func (d *desk) take(c *conn) *workerv1.Rerun {
	d.mu.Lock()
	defer d.mu.Unlock()
	seat, ok := d.seats[c]
	if !ok || len(seat) >= workerv1.MaxReruns {
		return nil
	}
	k := d.pick(c, seat)
	if k == nil {
		return nil
	}
	d.last++
	seat[d.last] = k
	k.holders++
	return &workerv1.Rerun{
		Job: d.last, Epoch: k.unit.Epoch, Class: k.unit.Class.Name, Seed1: k.unit.Seed1.Bytes(),
		NodeSeed: k.unit.NodeSeed.Bytes(), SegmentSeed: k.unit.SegmentSeed.Bytes(),
		Nonces: k.nonces,
	}
}

func (d *desk) pick(c *conn, seat map[uint64]*chunk) *chunk {
	for i, k := range d.queue {
		if !k.failed[c.node] {
			d.queue = append(d.queue[:i:i], d.queue[i+1:]...)
			d.open = append(d.open, k)
			return k
		}
	}
	if len(seat) > 0 {
		return nil
	}
	for _, k := range d.open {
		if k.holders == 1 && !k.failed[c.node] {
			return k
		}
	}
	return nil
}

// result takes an answer; n is the number of samples it settled.
func (d *desk) result(c *conn, r *workerv1.RerunResult) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.seats[c][r.Job]
	if !ok {
		return 0, fmt.Errorf("%w: result of job %d, which this worker does not have",
			errProtocol, r.Job)
	}
	if r.Error == "" && len(r.Outputs) != len(k.nonces)*transformer.OutputSize {
		return 0, fmt.Errorf("%w: %d bytes of outputs for %d units of job %d", errProtocol,
			len(r.Outputs), len(k.nonces), r.Job)
	}
	delete(d.seats[c], r.Job)
	defer d.pokeAll()
	if r.Error != "" {
		d.refused(k, c.node, r.Error)
		return 0, nil
	}
	k.holders--
	if k.over {
		return 0, nil
	}
	for i, at := range k.at {
		k.call.out[at] = transformer.OutputAt(r.Outputs, i)
	}
	k.over = true
	d.dropOpen(k)
	if k.call.left--; k.call.left == 0 {
		close(k.call.done)
	}
	return len(k.nonces), nil
}

// refused notes that a node cannot compute a chunk.
func (d *desk) refused(k *chunk, node, why string) {
	if k.failed == nil {
		k.failed = map[string]bool{}
	}
	k.failed[node] = true
	k.errors++
	d.putBack(k)
	if k.over {
		return
	}
	able := false
	for c := range d.seats {
		able = able || !k.failed[c.node]
	}
	switch {
	case k.errors >= chunkErrors:
		d.fail(k.call, fmt.Errorf("%w: %d workers failed on the same units, the last one (%s) "+
			"says: %s", ErrRerun, k.errors, node, why))
	case !able && k.holders == 0:
		k.failed = nil // let the same ones try again rather than wait for others
	}
}

// putBack ends one holder's hold; a chunk that nobody holds any longer goes first.
func (d *desk) putBack(k *chunk) {
	if k.holders--; k.over || k.holders > 0 {
		return
	}
	d.dropOpen(k)
	d.queue = append([]*chunk{k}, d.queue...)
}

func (d *desk) dropOpen(k *chunk) {
	for i := range d.open {
		if d.open[i] == k {
			d.open = append(d.open[:i], d.open[i+1:]...)
			return
		}
	}
}

// pokeAll makes every writer ask for chunks again.
func (d *desk) pokeAll() {
	for c := range d.seats {
		c.poke()
	}
}
