// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"context"
	"fmt"
	"time"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Parts measures a unit by the device's own clock, one kernel after the other.
// Condensing is done in the product's registers: its time is what the product
// takes less without it. The unit's root is made on the host, by whose clock it
// is measured; Matmul makes it while the device computes the next unit.
func (e *engine) Parts(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) (profile.Parts, error) {
	if err := shape.Valid(); err != nil {
		return profile.Parts{}, err
	}
	parts, err := e.parts(ctx, challenge, shape, unit)
	if err != nil {
		return profile.Parts{}, fmt.Errorf("opencl: %s: measuring a unit of %v: %w",
			e.device.Name, shape, err)
	}
	tiles := make([][32]byte, shape.Tiles())
	began := time.Now()
	cpu.Root(tiles)
	parts.Hash += time.Since(began)
	return parts, nil
}

func (e *engine) parts(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) (profile.Parts, error) {
	var parts profile.Parts
	err := e.timed(func() error {
		var sink buffer
		defer e.release(&sink)
		g := e.program.variant.geometry
		for _, b := range e.blocks(shape) {
			if err := ctx.Err(); err != nil {
				return err
			}
			e.a.holds, e.b.holds = stretch{}, stretch{} // to be expanded here
			if err := e.queueBlock(challenge, unit, shape, b); err != nil {
				return err
			}
			down, across := roundUp(b.rows, g.down()), roundUp(b.cols, g.right())
			if err := e.grow(&sink,
				4*uint64(down/g.down()*(across/g.right())*g.items())); err != nil {
				return err
			}
			a, cols := factor{e.a.buffer, down}, factor{e.b.buffer, across}
			if err := e.product(e.program.idle, a, cols, shape.K, down/g.down(), across/g.right(),
				sink); err != nil {
				return err
			}
			times, err := e.queue.times()
			if err != nil {
				return err
			}
			parts.Expand += times["expand"]
			parts.Product += times["idle"]
			parts.Condense += max(0, times["condense"]-times["idle"])
			parts.Hash += times["hashTiles"]
		}
		return nil
	})
	return parts, err
}

// timed gives f the device to itself, and a queue that keeps times.
func (e *engine) timed(f func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	usual := e.queue
	// Two queues have no order between them, so each is empty when the other is
	// used.
	if c := e.api.finish(usual.handle); c != 0 {
		return e.explain(failed("waiting for the device", c))
	}
	q, err := e.newQueue(true)
	if err != nil {
		return e.explain(err)
	}
	e.queue = q
	err = f()
	if _, last := q.times(); err == nil {
		err = last
	}
	e.queue = usual
	e.api.releaseQueue(q.handle)
	return e.explain(err)
}

// peakTime is how long a measurement of the limit should take at least.
const peakTime = 50 * time.Millisecond

// Peak measures how fast a product's instructions are issued where nothing but
// registers is touched. No datasheet is asked: OpenCL does not say what a device
// has beyond what its compiler offers.
func (e *engine) Peak(ctx context.Context) (profile.Peak, error) {
	v := e.program.variant
	var ops float64
	err := e.timed(func() error {
		var sink buffer
		defer e.release(&sink)
		items := 16 * v.items() * max(1, e.device.Units)
		if err := e.grow(&sink, 4*uint64(items)); err != nil {
			return err
		}
		for rounds := uint32(16); ; rounds *= 2 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := e.queue.run(e.program.peak, [2]int{items, 1}, v.items(), sink,
				uint32(0x01030507), rounds); err != nil {
				return err
			}
			times, err := e.queue.times()
			if err != nil {
				return err
			}
			if took := times["peak"]; took >= peakTime || rounds == 1<<24 {
				ops = float64(v.results()) * 8 * float64(rounds) * float64(items) / took.Seconds()
				return nil
			}
		}
	})
	if err != nil {
		return profile.Peak{}, fmt.Errorf("opencl: %s: measuring the limit: %w", e.device.Name, err)
	}
	how := fmt.Sprintf("measured just now on %s: %s from registers, nothing else; "+
		"what its matrix units could do, if it has any, is not known here",
		e.device.Name, v.instruction())
	return profile.Peak{Ops: ops, How: how}, nil
}

// instruction names what a product consists of.
func (v variant) instruction() string {
	if v.arithmetic == packed {
		return "dot products of four bytes"
	}
	return "sums of four products of widened bytes"
}
