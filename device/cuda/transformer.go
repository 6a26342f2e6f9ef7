// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// model is an epoch's weights in a device's memory, in the order of
// kernels/transformer.cu: layer by layer query, key and value as one matrix, out,
// gating and up as one, down.
type model struct {
	*engine
	class   transformer.Class
	embed   prf.Key
	weights address
	units   int // in a batch

	mu     sync.RWMutex // held to Run
	closed bool
}

// matrixPart is a matrix as the kernels want it: up is paired with gating.
type matrixPart struct {
	id     int
	paired bool
	rows   int // of the matrix or the pair
	cols   int
}

func parts(c transformer.Class) []matrixPart {
	return []matrixPart{
		{transformer.Query, false, c.D, c.D},
		{transformer.Key, false, c.D, c.D},
		{transformer.Value, false, c.D, c.D},
		{transformer.Out, false, c.D, c.D},
		{transformer.Gating, true, 2 * c.FF, c.D},
		{transformer.Down, false, c.D, c.FF},
	}
}

// buildModel expands the weights on the device.
func (e *engine) buildModel(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (*model, error) {
	if err := class.Valid(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cuda: building %s: %w", class.Name, err)
	}
	m := &model{engine: e, class: class, embed: prf.Key(seed.Embed(seed1, class.Name)),
		units: e.limits.units}
	for m.units > 1 && slots*m.scratch(m.units).size > e.memory/8 {
		m.units /= 2
	}
	err := e.do(func(*slot) (err error) {
		m.weights, err = e.alloc(class.WeightBytes(), "the weights of class "+class.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	key := prf.Key(seed.Weights(seed1, class.Name))
	done := uint64(0)
	for layer := range class.Layers {
		if err = ctx.Err(); err != nil {
			break
		}
		if err = e.do(func(s *slot) error { return m.expandLayer(s, key, layer) }); err != nil {
			break
		}
		done += class.WeightBytes() / uint64(class.Layers)
		if progress != nil {
			progress(done, class.WeightBytes())
		}
	}
	if err != nil {
		_ = m.Close() // what is to be told is why there is no model
		return nil, fmt.Errorf("cuda: building %s: %w", class.Name, err)
	}
	return m, nil
}

// layer is where a layer's weights begin.
func (m *model) layer(l int) address {
	return m.weights + address(uint64(l)*(m.class.WeightBytes()/uint64(m.class.Layers)))
}

func (m *model) expandLayer(s *slot, key prf.Key, layer int) error {
	l := &list{kernels: m.kernels, slot: s}
	at := m.layer(layer)
	for _, p := range parts(m.class) {
		blocks := p.cols / prf.BlockSize
		paired := uint32(0)
		if p.paired {
			paired = 1
		}
		l.items(l.expandWeights, p.rows*blocks, at, words(key), uint64(layer)*8+uint64(p.id),
			uint32(blocks), paired, uint32(p.rows*blocks))
		at += address(p.rows * p.cols)
	}
	return l.err
}

func (m *model) Class() transformer.Class { return m.class }

// Close gives the weights' memory back, once the Runs under way are done.
func (m *model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	err := m.do(func(*slot) error { return m.driver.free(m.weights) })
	if errors.Is(err, ErrClosed) { // the engine went first, and the memory with it
		return nil
	}
	return err
}

// Run computes units in full batches, two at a time. It waits for the device,
// and of the caller's core it takes no more than the input seeds need.
func (m *model) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	if len(dst) != len(nonces) {
		return fmt.Errorf("%w: %d outputs for %d nonces", transformer.ErrRun, len(dst), len(nonces))
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return ErrClosed
	}
	var failed error
	m.each((len(nonces)+m.units-1)/m.units, func(i int) <-chan error {
		from := i * m.units
		to := min(from+m.units, len(nonces))
		inputs := make([]byte, 0, seed.Size*(to-from))
		for _, nonce := range nonces[from:to] {
			input := seed.Input(node, segment, nonce)
			inputs = append(inputs, input[:]...)
		}
		return m.begin(
			func(s *slot) error { return m.batch(s, inputs) },
			func(s *slot) error { readOutputs(dst[from:to], s.pinned); return nil })
	}, func(i int, err error) bool {
		if err != nil && failed == nil {
			failed = fmt.Errorf("cuda: batch %d of class %s: %w", i, m.class.Name, err)
		}
		return failed == nil
	})
	return failed
}

// The digests' places in an output of transformer.OutputSize bytes, as the kernel writes it.
const digestAt, middleAt = 8, record.Size

func readOutputs(dst []transformer.Output, raw []byte) {
	for i := range dst {
		dst[i] = transformer.OutputAt(raw, i)
	}
}

// scratch is a slot's memory as a batch uses it. Rows are positions. What a
// product reads has room for whole CTAs; what lies above the batch there is
// multiplied and dropped.
type scratch struct {
	layout
	h                      uint64 // int32, d wide: the residual stream
	narrow                 uint64 // int8, d wide: a normalised row, or attention's result
	wide                   uint64 // int8, 4d wide: query, key and value, or the hidden activations
	words, inputs, outputs uint64
}

func (m *model) scratch(units int) scratch {
	var s scratch
	d, rows := m.class.D, transformer.Tokens*units
	s.h = s.take(4 * d * rows)
	s.narrow = s.take(d * roundUp(rows, ctaRows))
	s.wide = s.take(m.class.FF * roundUp(rows, ctaRows))
	s.words = s.take(4 * m.class.Words() * units)
	s.inputs = s.take(seed.Size * units)
	s.outputs = s.take(transformer.OutputSize * units)
	return s
}

// batch puts the specification's main loop on a slot's stream; compare
// transformer.ReferenceModel.
func (m *model) batch(s *slot, inputs []byte) error {
	c, units := m.class, len(inputs)/seed.Size
	places := m.scratch(units)
	at, err := s.room(places.size, fmt.Sprintf("a batch of %d units of class %s", units, c.Name))
	if err != nil {
		return err
	}
	// Inputs and outputs share the pinned memory: ones are gone when the others
	// come.
	host, err := s.host(max(len(inputs), transformer.OutputSize*units))
	if err != nil {
		return err
	}
	copy(host, inputs)
	h, narrow, wide := at+address(places.h), at+address(places.narrow), at+address(places.wide)
	outputs := at + address(places.outputs)
	l := &list{kernels: m.kernels, slot: s}
	d, rows := uint32(c.D), transformer.Tokens*units

	l.upload(at+address(places.inputs), host[:len(inputs)])
	blocks := c.D / prf.BlockSize
	l.items(l.kernels.embed, rows*blocks, h, words(m.embed), at+address(places.inputs),
		uint32(blocks), uint32(rows*blocks))
	for layer := range c.Layers {
		if layer == c.Layers-1 {
			m.digest(l, h, at+address(places.words), outputs, units, middleAt, "assay/1/xf/middle")
		}
		w := m.layer(layer)
		l.warps(l.norm, rows, narrow, h, d, uint32(bits.TrailingZeros(uint(c.D))), uint32(rows))
		l.product(l.narrow, rows, 3*c.D, wide, narrow, w, d, 3*d, uint32(transformer.Shift(c.D)),
			uint32(rows))
		w += address(3 * c.D * c.D)
		l.items(l.attend, units*c.Heads*16, narrow, wide, m.exp2, d, uint32(units*c.Heads))
		l.product(l.residual, rows, c.D, h, narrow, w, d, d,
			uint32(transformer.Shift(c.D)-transformer.ResidualScale), uint32(rows))
		w += address(c.D * c.D)

		l.warps(l.norm, rows, narrow, h, d, uint32(bits.TrailingZeros(uint(c.D))), uint32(rows))
		l.product(l.gated, rows, 2*c.FF, wide, narrow, w, d, uint32(c.FF),
			uint32(transformer.Shift(c.D)), uint32(c.GateShift()), uint32(rows))
		w += address(2 * c.FF * c.D)
		l.product(l.residual, rows, c.D, h, wide, w, uint32(c.FF), d,
			uint32(transformer.Shift(c.FF)-transformer.ResidualScale), uint32(rows))
	}
	m.digest(l, h, at+address(places.words), outputs, units, digestAt, "assay/1/xf/digest")
	l.warps(l.norms, units, outputs, h, d, uint32(units))
	l.download(host[:transformer.OutputSize*units], outputs)
	return l.err
}

// digest condenses the rows of each unit and writes a digest to a place in its
// output. Both tags have 17 bytes.
func (m *model) digest(l *list, h, to, outputs address, units int, place uint32, tag string) {
	n := m.class.Words()
	l.warps(l.condense, n*units, to, h, uint32(n), uint32(n*units))
	var prefix [20]byte
	prefix[copy(prefix[:], tag)] = m.class.ID
	big := make([]uint32, 5)
	for i := range big {
		big[i] = binary.BigEndian.Uint32(prefix[4*i:])
	}
	l.items(l.digests, units, outputs, place, to, uint32(n), big, uint32(units))
}
