// SPDX-License-Identifier: Apache-2.0

package beacon

import (
	"fmt"
	"math/bits"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	"github.com/assaynet/assay/poc/seed"
)

const (
	// gap is how many blocks have to pass after a deadline, whoever proposed them.
	gap = 2
	// whole is the unit of Output.Share: all of the voting power.
	whole = uint64(1) << 32
)

// Resolve applies the beacon rule (spec B-4) to the outputs after a deadline, given in
// height order from deadline+1 on without a gap. It returns the values to mix
// and the height at which the rule first held; ok is false while it does not.
// Outputs beyond that height do not matter. Errors wrap ErrMissing.
func Resolve(outputs []beaconv1.Output, deadline int64) (values []seed.Seed, height int64,
	ok bool, err error) {
	r := newRun(deadline)
	for _, o := range outputs {
		if ok, err = r.add(o); err != nil {
			return nil, 0, false, err
		}
		if ok {
			return r.values, o.Height, true, nil
		}
	}
	return nil, 0, false, nil
}

// run is the rule at work: the outputs since a deadline, one after the other.
type run struct {
	deadline int64
	values   []seed.Seed
	// shares holds what each proposer counts for, sum their total, in 2^-32.
	shares map[string]uint64
	sum    uint64
}

func newRun(deadline int64) *run {
	return &run{deadline: deadline, shares: make(map[string]uint64)}
}

// add takes the next output and reports whether the rule holds with it. A
// proposer counts once, with the smallest share it had in any of its blocks,
// so power that moves within the run never counts twice.
func (r *run) add(o beaconv1.Output) (bool, error) {
	want := r.deadline + 1 + int64(len(r.values))
	if o.Height != want {
		return false, fmt.Errorf("%w: height %d (the next one is %d)", ErrMissing, want, o.Height)
	}
	value, err := seed.FromBytes(o.Value)
	if err != nil {
		return false, fmt.Errorf("beacon: value at height %d: %w", o.Height, err)
	}
	r.values = append(r.values, value)
	held, seen := r.shares[string(o.Proposer)]
	switch {
	case !seen:
		r.shares[string(o.Proposer)] = o.Share
		r.sum += o.Share
	case o.Share < held:
		r.shares[string(o.Proposer)] = o.Share
		r.sum -= held - o.Share
	}
	return o.Height >= r.deadline+gap && 3*r.sum > whole, nil
}

// share expresses power as a fraction of 2^32 of total, rounded down. A
// proposer that the credit module no longer knows holds nothing.
func share(power, total uint64) uint64 {
	if total == 0 {
		return 0
	}
	if power >= total {
		return whole
	}
	hi, lo := bits.Mul64(power, whole)
	q, _ := bits.Div64(hi, lo, total)
	return q
}
