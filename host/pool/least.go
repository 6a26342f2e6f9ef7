// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"fmt"
	"math/bits"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/work/matmul"
)

// A submission costs the host an audit, entries and a receipt, however little it
// holds. So a commit with less than a fifth of what the plan expects is refused. A
// machine that became slower adapts: each challenge of which a commit was too short
// divides the rate that the next one is planned with by slowdown. That ends at
// floorRate, below which no plan goes: so nothing is gained by being refused on
// purpose, and whoever then works faster is checked harder.

const (
	// leastShare of the plan's loops is the least.
	leastShare = 5
	// slowdown divides the planned rate after a commit that was too short.
	slowdown = 4
)

// floorRate is the lowest rate, in operations a second, that a challenge is planned
// with: it gives mpoc.MinLoops of the smallest loops in a minute, the longest time.
var floorRate = mpoc.Shapes()[0].Ops() * mpoc.MinLoops / 60

// planned is the rate that a device's next challenge is made for.
func planned(d *device) uint64 {
	rate := d.Rate
	switch {
	case rate != 0:
	case d.Slower != 0:
		rate = d.Slower
	default:
		rate = d.Registration.RateOps
	}
	return max(rate, floorRate)
}

// least is how many loops a commit must have at a rate: a fifth of what it gives in
// that time, and one at least.
func least(rate uint64, shape matmul.Shape, durationMS, most uint64) uint64 {
	hi, lo := bits.Mul64(rate, durationMS)
	// hi is far below a shape's operations: see mpoc.ChooseShape
	expected, _ := bits.Div64(hi, lo, shape.Ops()*1000)
	return max(1, min(expected, most)/leastShare)
}

// tooShort refuses a commit, and plans the next challenge for a slower machine, once
// for each. This one stays open until its time is over. The caller holds the
// device's lock.
func (p *Pool) tooShort(d *device, r *record, loops uint64) error {
	if !r.Short {
		r.Short = true
		if slower := max(planned(d)/slowdown, floorRate); d.Rate != 0 {
			d.Rate = slower
		} else {
			d.Slower = slower
		}
		d.Seen = p.now()
		if err := p.state.save(r.Terms.DeviceKey, d, r); err != nil {
			return err
		}
		p.log.Info("a commit was too short; the next challenge is smaller", "key",
			r.Terms.DeviceKey.String(), "loops", loops, "least", r.Least)
	}
	next := fmt.Sprintf("commit to %d loops or more before it expires, or ask for a new "+
		"challenge, which will be smaller", r.Least)
	return refuse(mpocv1.CodeOutOfBounds, next, "%d loops are too few to be worth an audit: this "+
		"challenge takes %d or more", loops, r.Least)
}
