// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// ErrPeak reports a device whose peak nobody has published, or not here.
var ErrPeak = errors.New("cuda: peak not known")

// opsPerClock is how many exact int8 operations a multiprocessor's tensor cores
// do in a clock, dense, by compute capability: the datasheet's rate over
// multiprocessors and boost clock (2080 Ti, A100, 3090, 4090, H100, B200, 5090).
var opsPerClock = map[[2]int]float64{
	{7, 5}: 2048, {8, 0}: 4096, {8, 6}: 2048, {8, 9}: 2048, {9, 0}: 8192,
	{10, 0}: 16384, {12, 0}: 2048,
}

// Peak is the datasheet's, at the clock that the driver gives as the highest,
// which is often above the datasheet's: a share of it errs on the low side.
// Errors wrap ErrPeak.
func (e *engine) Peak(context.Context) (profile.Peak, error) { return e.figures.peak() }

func (f figures) peak() (profile.Peak, error) {
	rate, ok := opsPerClock[[2]int{f.major, f.minor}]
	if !ok {
		return profile.Peak{}, fmt.Errorf("%w: of compute capability %d.%d",
			ErrPeak, f.major, f.minor)
	}
	return profile.Peak{
		Ops: rate * float64(f.Units) * float64(f.clock) * 1000,
		How: fmt.Sprintf("datasheet, dense int8: %d multiprocessors x %g operations per clock "+
			"(compute capability %d.%d) x %d MHz, the driver's highest clock",
			f.Units, rate, f.major, f.minor, f.clock/1000),
	}, nil
}

// Parts measures the kernels of a unit, of as many as are computed together and divided by their
// number, one after the other on the device's clock, after they have run once; what else the device
// does meanwhile is in the times. The product is measured without its condensing, by a kernel that
// adds the results up as they are; what the shipped kernel takes longer is condensing.
func (e *engine) Parts(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	number uint64) (profile.Parts, error) {
	if err := shape.Valid(); err != nil {
		return profile.Parts{}, err
	}
	if err := ctx.Err(); err != nil {
		return profile.Parts{}, fmt.Errorf("cuda: parts of unit %d: %w", number, err)
	}
	u := units{engine: e, challenge: challenge, shape: shape}
	for i := range e.together(shape) {
		u.numbers = append(u.numbers, number+uint64(i))
	}
	if err := e.do(func(s *slot) error { _, _, err := u.all(s); return err }); err != nil {
		return profile.Parts{}, fmt.Errorf("cuda: parts of unit %d: %w", number, err)
	}
	var spans []span
	var parts profile.Parts
	err := <-e.begin(
		func(s *slot) (err error) { spans, err = u.timed(s, &parts); return err },
		func(s *slot) error { return measure(s.driver, spans) })
	if err != nil {
		return profile.Parts{}, fmt.Errorf("cuda: parts of unit %d: %w", number, err)
	}
	parts.Condense = max(0, parts.Condense-parts.Product)
	for _, part := range []*time.Duration{&parts.Expand, &parts.Product,
		&parts.Condense, &parts.Hash} {
		*part /= time.Duration(len(u.numbers))
	}
	return parts, nil
}

// span is a time to be added to a part.
type span struct {
	from, to handle
	part     *time.Duration
}

func measure(d driver, spans []span) error {
	for _, s := range spans {
		seconds, err := d.elapsed(s.from, s.to)
		if err != nil {
			return err
		}
		*s.part += time.Duration(seconds * float64(time.Second))
	}
	return nil
}

// timed is all, with marks between the stages, and each product also without
// condensing. What parts.Condense gets is both together.
func (u *units) timed(s *slot, parts *profile.Parts) (spans []span, err error) {
	rows, cols := u.blockSides()
	m, err := u.reserve(s, rows, cols, u.shape.Tiles())
	if err != nil {
		return nil, err
	}
	l, err := u.list(s, m)
	if err != nil {
		return nil, err
	}
	stage := func(part *time.Duration, do func()) {
		from := l.mark()
		do()
		spans = append(spans, span{from, l.mark(), part})
	}
	for row := 0; row < u.shape.M; row += rows {
		b := block{row: row, rows: min(rows, u.shape.M-row)}
		stage(&parts.Expand, func() { u.expandA(l, m, b) })
		for b.col = 0; b.col < u.shape.Q; b.col += cols {
			b.cols = min(cols, u.shape.Q-b.col)
			stage(&parts.Expand, func() { u.expandB(l, m, b) })
			stage(&parts.Product, func() { u.multiply(l, m, l.summed, b) })
			stage(&parts.Condense, func() { u.multiply(l, m, l.condensed, b) })
			stage(&parts.Hash, func() { u.hash(l, m, b, u.shape.Columns()) })
		}
	}
	stage(&parts.Hash, func() { u.fold(l, m) })
	return spans, l.err
}
