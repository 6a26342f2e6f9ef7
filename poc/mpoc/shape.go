// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"math/bits"

	"github.com/assaynet/assay/poc/work/matmul"
)

// Shapes returns the published shapes of challenges by rising work, each twice
// the one before: from 2^26 multiply-adds, a tenth of a second of plain Go, to
// 2^39, a millisecond or so of the fastest GPU. No other shape is allowed, and who
// works has no say in it: a shape that suits a cheat cannot be asked for.
func Shapes() []matmul.Shape {
	return []matmul.Shape{
		{M: 512, K: 256, Q: 512},
		{M: 512, K: 512, Q: 512},
		{M: 512, K: 1024, Q: 512},
		{M: 512, K: 2048, Q: 512},
		{M: 1024, K: 1024, Q: 1024},
		{M: 1024, K: 2048, Q: 1024},
		{M: 1024, K: 4096, Q: 1024},
		{M: 1024, K: 4096, Q: 2048},
		{M: 2048, K: 4096, Q: 2048},
		{M: 2048, K: 4096, Q: 4096},
		{M: 4096, K: 4096, Q: 4096},
		{M: 4096, K: 4096, Q: 8192},
		{M: 8192, K: 4096, Q: 8192},
		{M: 8192, K: 8192, Q: 8192},
	}
}

// Bounds of a challenge.
const (
	MaxLoops      = 100_000 // of one log
	MinLoops      = 1_000   // what ChooseShape aims above
	minDurationMS = 10_000  // as chosen; terms may ask for less, on a local network
	maxDurationMS = 60_000
)

// Plan is a shape and a time that suit a device.
type Plan struct {
	Shape      matmul.Shape
	DurationMS uint64
	Loops      uint64 // what the rate gives in that time
}

// ChooseShape plans a challenge for a device of a measured rate, in nominal
// operations a second: the largest shape of which it makes 2,000 loops in 20
// seconds. So half the rate or twice the rate still gives 1,000 loops or more
// and few thousands of them, which keeps samples small.
//
// At both ends the time gives way. A device that makes fewer than 2,000 of the
// smallest loops in 20 seconds gets up to 60; below 2.2 GOP/s even that gives
// fewer than 1,000 loops. One that makes over 100,000 of the largest gets as
// little as 10 seconds, and is held to 100,000 loops above 11 POP/s.
func ChooseShape(opsPerSecond uint64) Plan {
	const seconds, want = 20, 2_000
	loops := func(s matmul.Shape, ms uint64) uint64 {
		hi, lo := bits.Mul64(opsPerSecond, ms)
		n, _ := bits.Div64(hi, lo, s.Ops()*1000) // hi is below ms, far below any shape's operations
		return n
	}
	shapes := Shapes()
	plan := Plan{Shape: shapes[0], DurationMS: seconds * 1000}
	for _, s := range shapes {
		if loops(s, plan.DurationMS) >= want {
			plan.Shape = s
		}
	}
	switch n := loops(plan.Shape, plan.DurationMS); {
	case n < want: // the smallest shape; the time for `want` of them
		hi, lo := bits.Mul64(plan.Shape.Ops(), want*1000)
		plan.DurationMS = maxDurationMS
		if hi < opsPerSecond {
			ms, _ := bits.Div64(hi, lo, opsPerSecond)
			plan.DurationMS = min(ms+1, maxDurationMS)
		}
	case n > MaxLoops:
		plan.DurationMS = minDurationMS
	}
	plan.Loops = min(loops(plan.Shape, plan.DurationMS), MaxLoops)
	return plan
}
