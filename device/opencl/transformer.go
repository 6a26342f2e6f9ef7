// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/condense"
	"github.com/assaynet/assay/poc/work/transformer"
)

// model is an epoch's weights on the device, and the memory of one batch.
type model struct {
	engine *engine
	class  transformer.Class
	embed  [8]uint32

	// Guarded by the engine's mu.
	closed bool
	layers []layer
	exp2   buffer
	space  space
}

// layer is the weights of one: q, k and v side by side, as they have the same
// inputs; so have g and u, whose outputs alternate as kernel gate wants them.
type layer struct{ qkv, out, gu, down factor }

// space is the memory of a batch. Rows are positions, four to a unit, padded to
// whole blocks.
type space struct {
	rows           int
	tokens, h      buffer
	x, qkv, o, z   factor
	words, results buffer
}

// A unit's results on the device: digest, middle digest and norm.
const (
	resultWords  = 18
	resultMiddle = 8
	resultNorm   = 16
)

// rowBytes is the memory of a batch for each of its rows.
func rowBytes(c transformer.Class) uint64 {
	return 8 + 13*uint64(c.D) + uint64(c.D/condense.Width)*4 + resultWords
}

// buildModel expands the weights on the device. Errors wrap
// transformer.ErrClass, ErrMemory or ErrClosed, or are the context's.
func (e *engine) buildModel(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (*model, error) {
	if err := class.Valid(); err != nil {
		return nil, err
	}
	needs := class.WeightBytes() + uint64(e.program.variant.down())*rowBytes(class)
	if needs > e.device.Memory {
		return nil, fmt.Errorf("%w: class %s needs %s, %s (%s) has %s; choose a smaller class",
			ErrMemory,
			class.Name, bytesText(needs), e.device.Name, e.device.Driver,
			bytesText(e.device.Memory))
	}
	m := &model{engine: e, class: class, embed: keyOf(seed.Embed(seed1, class.Name)),
		layers: make([]layer, class.Layers)}
	key := keyOf(seed.Weights(seed1, class.Name))
	done := uint64(0)
	for l := range m.layers {
		err := ctx.Err()
		if err == nil {
			err = m.expand(l, key)
		}
		if err != nil {
			m.Close()
			return nil, fmt.Errorf("opencl: %s: building class %s, which needs %s: %w",
				e.device.Name, class.Name, bytesText(needs), err)
		}
		done += class.WeightBytes() / uint64(class.Layers)
		if progress != nil {
			progress(done, class.WeightBytes())
		}
	}
	return m, nil
}

// expand makes the weights of a layer and waits for them.
func (m *model) expand(l int, key [8]uint32) error {
	e, c := m.engine, m.class
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if l == 0 {
		e.models[m] = true
		if err := m.table(); err != nil {
			return e.explain(err)
		}
	}
	w, pair := &m.layers[l], e.program.variant.pair()
	for _, f := range []struct {
		to                    *factor
		id                    int
		pitch                 int
		width, stride, offset int
	}{
		{&w.qkv, transformer.Query, 3 * c.D, c.D, 1, 0},
		{&w.qkv, transformer.Key, 3 * c.D, c.D, 1, c.D},
		{&w.qkv, transformer.Value, 3 * c.D, c.D, 1, 2 * c.D},
		{&w.out, transformer.Out, c.D, c.D, 1, 0},
		{&w.gu, transformer.Gating, 2 * c.FF, pair, 2, 0},
		{&w.gu, transformer.Up, 2 * c.FF, pair, 2, pair},
		{&w.down, transformer.Down, c.D, c.D, 1, 0},
	} {
		rows, cols := c.Matrix(f.id)
		f.to.pitch = f.pitch
		if err := e.grow(&f.to.buffer, uint64(f.pitch)*uint64(cols)); err != nil {
			return err
		}
		err := e.queue.run(e.program.expandWeights, [2]int{rows, cols / 64}, 0,
			f.to.buffer, uint32(f.pitch),
			key, uint64(l)*8+uint64(f.id), uint32(f.width), uint32(f.stride), uint32(f.offset))
		if err != nil {
			return e.explain(err)
		}
	}
	return e.explain(failed("expanding weights", e.api.finish(e.queue.handle)))
}

// table puts the table of powers on the device.
func (m *model) table() error {
	e := m.engine
	exp2 := transformer.Exp2()
	var err error
	if m.exp2, err = e.alloc(2 * uint64(len(exp2))); err != nil {
		return err
	}
	t := &transfer{queue: e.queue}
	defer t.abandon()
	return write(t, m.exp2, exp2[:])
}

func (m *model) Class() transformer.Class { return m.class }

// Close frees the weights. A Run under way finishes; later ones fail with
// ErrClosed.
func (m *model) Close() error {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	if !m.engine.closed {
		m.free()
	}
	return nil
}

// free is Close with the engine's mu held.
func (m *model) free() {
	e := m.engine
	for l := range m.layers {
		w := &m.layers[l]
		for _, f := range []*factor{&w.qkv, &w.out, &w.gu, &w.down} {
			e.release(&f.buffer)
		}
	}
	e.release(&m.exp2)
	m.freeSpace()
	m.closed = true
	delete(e.models, m)
}

func (m *model) freeSpace() {
	s := &m.space
	for _, b := range []*buffer{&s.tokens, &s.h, &s.x.buffer, &s.qkv.buffer, &s.o.buffer,
		&s.z.buffer, &s.words, &s.results} {
		m.engine.release(b)
	}
	s.rows = 0
}

// makeSpace has room for at least units.
func (m *model) makeSpace(units int) error {
	e, s, d := m.engine, &m.space, uint64(m.class.D)
	rows := roundUp(transformer.Tokens*units, e.program.variant.down())
	if s.rows >= rows {
		return nil
	}
	m.freeSpace()
	n := uint64(rows)
	for b, size := range map[*buffer]uint64{
		&s.tokens: 8 * n, &s.h: 4 * n * d, &s.x.buffer: n * d, &s.qkv.buffer: 3 * n * d,
		&s.o.buffer: n * d, &s.z.buffer: 4 * n * d,
		&s.words: 4 * n * d / condense.Width, &s.results: 4 * n / transformer.Tokens * resultWords,
	} {
		var err error
		if *b, err = e.alloc(size); err != nil {
			m.freeSpace()
			return err
		}
	}
	s.x.pitch, s.qkv.pitch, s.o.pitch, s.z.pitch = rows, rows, rows, rows
	s.rows = rows
	return nil
}

// batch is the most units that are computed at a time: activations take at most
// what a factor of matmul/1 may.
func (m *model) batch() int {
	fit := m.engine.limits.operand / (transformer.Tokens * rowBytes(m.class))
	return max(1, min(m.engine.limits.batch, int(fit)))
}

// Run computes units, up to a thousand at a time, the more the better: blocks of
// a product are 128 rows, which is 32 units.
func (m *model) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	if len(dst) != len(nonces) {
		return fmt.Errorf("%w: %d outputs for %d nonces", transformer.ErrRun, len(dst), len(nonces))
	}
	type pending struct {
		at      int
		results [][resultWords]uint32
		moved   *transfer
	}
	fail := func(err error) error {
		return fmt.Errorf("opencl: %s: running class %s: %w", m.engine.device.Name,
			m.class.Name, err)
	}
	finish := func(p *pending) error {
		if p == nil {
			return nil
		}
		if err := p.moved.wait(); err != nil {
			return fail(m.engine.explain(err))
		}
		for i, r := range p.results {
			o := &dst[p.at+i]
			for w := range 8 {
				binary.LittleEndian.PutUint32(o.Digest[4*w:], r[w])
				binary.LittleEndian.PutUint32(o.Middle[4*w:], r[resultMiddle+w])
			}
			o.Norm = uint64(r[resultNorm]) | uint64(r[resultNorm+1])<<32
		}
		return nil
	}
	var before *pending
	batch := m.batch()
	for at := 0; at < len(nonces); at += batch {
		n := min(batch, len(nonces)-at)
		tokens := make([]uint64, transformer.Tokens*n)
		for i, nonce := range nonces[at : at+n] {
			input := seed.Input(node, segment, nonce)
			for t := range transformer.Tokens {
				tokens[transformer.Tokens*i+t] = binary.LittleEndian.Uint64(input[8*t:])
			}
		}
		p := &pending{at: at, results: make([][resultWords]uint32, n)}
		var err error
		if p.moved, err = m.start(p.results, tokens); err != nil {
			if before != nil {
				// its memory is being written to; the first error is the one to tell
				before.moved.wait()
			}
			return fail(err)
		}
		if err := finish(before); err != nil {
			p.moved.wait()
			return err
		}
		before = p
	}
	return finish(before)
}

// start queues a batch and the reading of its results.
func (m *model) start(dst [][resultWords]uint32, tokens []uint64) (*transfer, error) {
	e := m.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if err := m.makeSpace(len(dst)); err != nil {
		return nil, err
	}
	t := &transfer{queue: e.queue}
	err := write(t, m.space.tokens, tokens)
	if err == nil {
		err = m.queueBatch(len(dst))
	}
	if err == nil {
		err = read(t, dst, m.space.results)
	}
	if err != nil {
		t.abandon()
		return nil, e.explain(err)
	}
	return t, nil
}

// queueBatch is the specification's main loop; compare ReferenceModel.
func (m *model) queueBatch(units int) error {
	e, c, s, p := m.engine, m.class, &m.space, m.engine.program
	g := p.variant.geometry
	rows := transformer.Tokens * units
	down := (rows + g.down() - 1) / g.down()
	var err error
	run := func(k *kernel, global [2]int, local int, args ...any) {
		if err == nil {
			err = e.queue.run(k, global, local, args...)
		}
	}
	product := func(kern *kernel, a, b factor, k int, args ...any) {
		if err == nil {
			err = e.product(kern, a, b, k, down, b.pitch/g.right(), args...)
		}
	}
	norm := func() {
		run(p.norm, [2]int{units * g.items(), 1}, g.items(), s.h, uint32(c.D),
			uint32(bits.TrailingZeros(uint(c.D))), s.x.buffer, uint32(s.x.pitch))
	}
	digest := func(tag string, at int) {
		run(p.condenseStates, [2]int{c.D / condense.Width, rows}, 0, s.h, uint32(c.D), s.words)
		prefix, last := prefixOf(tag, c)
		run(p.hashStates, [2]int{roundUp(units, sumGroup), 1}, sumGroup, s.words, uint32(c.Words()),
			prefix, last, s.results, uint32(at), uint32(resultWords), uint32(units))
	}
	narrow, residual := uint32(transformer.Shift(c.D)), func(k int) uint32 {
		return uint32(transformer.Shift(k) - transformer.ResidualScale)
	}

	run(p.embed, [2]int{rows, c.D / 64}, 0, s.h, m.embed, s.tokens)
	for l := range m.layers {
		w := &m.layers[l]
		if l == c.Layers-1 {
			digest("assay/1/xf/middle", resultMiddle)
		}
		norm()
		product(p.requant, s.x, w.qkv, c.D, s.qkv.buffer, uint32(s.qkv.pitch), narrow)
		run(p.attend, [2]int{rows, c.Heads}, 0, s.qkv.buffer, uint32(s.qkv.pitch),
			s.o.buffer, m.exp2)
		product(p.residual, s.o, w.out, c.D, s.h, uint32(c.D), residual(c.D),
			int32(transformer.MaxResidual))

		norm()
		product(p.gate, s.x, w.gu, c.D, s.z.buffer, uint32(s.z.pitch), narrow,
			uint32(c.GateShift()))
		product(p.residual, s.z, w.down, c.FF, s.h, uint32(c.D), residual(c.FF),
			int32(transformer.MaxResidual))
	}
	digest("assay/1/xf/digest", 0)
	run(p.lastNorm, [2]int{units * g.items(), 1}, g.items(), s.h, uint32(c.D), s.results,
		uint32(resultNorm), uint32(resultWords))
	return err
}

// prefixOf is what comes before a state's words where it is hashed: 17 bytes of
// tag and the class, as four big-endian words and the 16 bits that are left.
func prefixOf(tag string, c transformer.Class) (words [4]uint32, last uint32) {
	b := append([]byte(tag), c.ID)
	for i := range words {
		words[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	return words, uint32(binary.BigEndian.Uint16(b[16:]))
}
