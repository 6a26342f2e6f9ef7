// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// engine computes on one device. Calls queue their commands one after the other
// and wait for results without holding each other up; how many there are makes
// no difference to the device.
type engine struct {
	api     *api
	device  *device
	limits  limits
	context handle

	mu      sync.Mutex // for what is below, and for kernels' arguments
	queue   *queue
	program *program
	closed  bool
	held    uint64 // bytes of device memory
	models  map[*model]bool

	// The factors and results of a block of matmul/1. In the queue's order
	// whoever uses them next may overwrite them.
	a, b           operand
	words, digests buffer
}

// limits bound what is given to a device at a time.
type limits struct {
	operand uint64 // bytes of a factor of matmul/1
	launch  uint64 // multiply-adds of a kernel: graphics drivers stop one that takes seconds
	batch   int    // units of transformer/1
}

// limitsOf: factors beyond half a gibibyte gain nothing. A compute unit does
// 2^31 multiply-adds in some hundredths of a second, a slow one in tenths.
func limitsOf(d *device) limits {
	return limits{
		operand: min(d.maxAlloc, d.Memory/8, 512<<20),
		launch:  uint64(max(1, d.Units)) << 31,
		batch:   1024,
	}
}

// newEngine opens a device with the best variant that it compiles and, where it
// has dot products, gets right: a driver's dot product is not believed before
// it has passed the self-test here. What is fallen back from is logged.
func newEngine(ctx context.Context, a *api, d *device) (*engine, error) {
	if d.unusable != "" {
		return nil, fmt.Errorf("%w: %s (%s): %s", ErrDevice, d.Name, d.Driver, d.unusable)
	}
	variants := d.variants()
	if len(variants) == 0 {
		return nil, fmt.Errorf("%w: %s (%s) has groups of %d work-items with %d bytes of local "+
			"memory, fewer than %d with %d", ErrDevice,
			d.Name, d.Driver, d.maxGroup, d.localMemory, narrow.items(), narrow.local())
	}
	return firstOf(ctx, a, d, variants)
}

func firstOf(ctx context.Context, a *api, d *device, variants []variant) (*engine, error) {
	var refused error
	for i, v := range variants {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("opencl: opening %s: %w", d.Name, err)
		}
		e, err := openVariant(a, d, v)
		if err == nil && v.arithmetic != plain {
			if err = work.SelfTest(ctx, e); err != nil {
				err = errors.Join(err, e.Close())
			}
		}
		if err == nil {
			return e, nil
		}
		if ctx.Err() != nil || !errors.Is(err, ErrBuild) && !errors.Is(err, errGroup) &&
			!errors.Is(err, work.ErrSelfTest) {
			return nil, err
		}
		refused = errors.Join(refused, err)
		if i+1 < len(variants) {
			slog.Warn("kernels of an OpenCL device are not used; slower ones are tried. Updating "+
				"its driver may help", "device", d.Name, "kernels", v.String(), "err", err)
		}
	}
	return nil, refused
}

// openVariant makes an engine of one variant, untested.
func openVariant(a *api, d *device, v variant) (*engine, error) {
	e := &engine{api: a, device: d, limits: limitsOf(d), models: make(map[*model]bool)}
	var c code
	if e.context = a.createContext(nil, 1, &d.id, 0, 0, &c); c != 0 {
		return nil, fmt.Errorf("opencl: opening %s (%s): %w", d.Name, d.Driver, c)
	}
	var err error
	if e.program, err = build(a, e.context, d, v); err != nil {
		a.releaseContext(e.context)
		return nil, err
	}
	if e.queue, err = e.newQueue(false); err != nil {
		e.program.close()
		a.releaseContext(e.context)
		return nil, err
	}
	return e, nil
}

func (e *engine) newQueue(timed bool) (*queue, error) {
	properties := uint64(0)
	if timed {
		properties = queueProfiling
	}
	var c code
	q := &queue{api: e.api, timed: timed}
	if q.handle = e.api.createQueue(e.context, e.device.id, properties, &c); c != 0 {
		return nil, failed("making a queue", c)
	}
	return q, nil
}

// Name says how it multiplies: "opencl/dot", "opencl/plain".
func (e *engine) Name() string { return "opencl/" + e.program.variant.arithmetic.String() }

// Close frees all that the engine and its models hold of the device. Calls
// under way finish; later ones fail with ErrClosed.
func (e *engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	c := e.api.finish(e.queue.handle)
	for m := range e.models {
		m.free()
	}
	for _, b := range []*buffer{&e.a.buffer, &e.b.buffer, &e.words, &e.digests} {
		e.release(b)
	}
	e.program.close()
	e.api.releaseQueue(e.queue.handle)
	e.api.releaseContext(e.context)
	return failed("closing "+e.device.Name, c)
}

// alloc makes a buffer, zeroed. e.mu is held.
func (e *engine) alloc(size uint64) (buffer, error) {
	if size > e.device.maxAlloc {
		return buffer{}, fmt.Errorf("%w: %s (%s) has buffers of at most %s, %s are needed",
			ErrMemory, e.device.Name, e.device.Driver, bytesText(e.device.maxAlloc),
			bytesText(size))
	}
	var c code
	b := buffer{handle: e.api.createBuffer(e.context, bufferReadWrite, uintptr(size), nil, &c),
		size: size}
	if c == 0 {
		zero := new(uint32)
		if c = e.api.fillBuffer(e.queue.handle, b.handle, ptr(zero), 4, 0, uintptr(size),
			0, 0, nil); c != 0 {
			e.api.releaseBuffer(b.handle)
		}
	}
	if c != 0 {
		return buffer{}, e.explain(failed("allocating "+bytesText(size), c))
	}
	e.held += size
	return b, nil
}

// grow makes sure that a buffer has a size. What it held is lost if it grows.
func (e *engine) grow(b *buffer, size uint64) error {
	if b.size >= size {
		return nil
	}
	e.release(b)
	fresh, err := e.alloc(size)
	if err != nil {
		return err
	}
	*b = fresh
	return nil
}

// release frees a buffer, which the driver does when the last queued command
// that uses it is done.
func (e *engine) release(b *buffer) {
	if b.handle != 0 {
		e.api.releaseBuffer(b.handle)
		e.held -= b.size
	}
	*b = buffer{}
}

// explain wraps ErrMemory around an error whose code speaks of memory, and says
// what there is.
func (e *engine) explain(err error) error {
	var c code
	if !errors.As(err, &c) || !c.memory() {
		return err
	}
	return fmt.Errorf("%w: %s has %s, of which this engine holds %s: %w", ErrMemory, e.device.Name,
		bytesText(e.device.Memory), bytesText(e.held), err)
}

// bytesText is a size for people.
func bytesText(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", (n+1023)>>10)
}

// keyOf is a prf key as kernels take it.
func keyOf(s seed.Seed) (key [8]uint32) {
	k := prf.Key(s)
	for i := range key {
		key[i] = binary.LittleEndian.Uint32(k[4*i:])
	}
	return key
}

// factor is one side of a product: quads of rows that are padded to pitch.
type factor struct {
	buffer
	pitch int
}

// product queues down by across blocks of a product over k elements, in as many
// pieces as the limit asks for. rest are the kernel's own arguments.
func (e *engine) product(kern *kernel, a, b factor, k, down, across int, rest ...any) error {
	g := e.program.variant.geometry
	most := e.limits.launch / (uint64(g.down()) * uint64(across*g.right()) * uint64(k))
	piece := int(min(max(most, 1), uint64(down)))
	for first := 0; first < down; first += piece {
		n := min(piece, down-first)
		args := append([]any{a.buffer, uint32(a.pitch), b.buffer, uint32(b.pitch), uint32(k / 4),
			uint32(first), uint32(n), uint32(across)}, rest...)
		if err := e.queue.run(kern, [2]int{n * across * g.items(), 1}, g.items(),
			args...); err != nil {
			return err
		}
	}
	return nil
}

// roundUp rounds n up to a multiple of m.
func roundUp(n, m int) int { return (n + m - 1) / m * m }

// sumGroup is the size of the groups that hash.
const sumGroup = 64

// Offer returns nothing: it has the two kinds that every engine has.
func (e *engine) Offer(context.Context, work.Job) (work.Computer, error) { return nil, nil }

func (e *engine) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := e.buildModel(ctx, class, seed1, progress)
	if err != nil { // a nil *model must not become a Model
		return nil, err
	}
	return m, nil
}

func (e *engine) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed,
	shape matmul.Shape, units []uint64) error {
	if len(dst) != len(units) {
		return fmt.Errorf("%w: %d digests for %d units", work.ErrCall, len(dst), len(units))
	}
	if err := shape.Valid(); err != nil {
		return err
	}
	// The host hashes one unit's tiles while the device computes the next.
	var tiles [2][][32]byte
	for i := range tiles {
		tiles[i] = make([][32]byte, shape.Tiles())
	}
	return e.units(ctx, challenge, shape, units, func(i int) [][32]byte { return tiles[i%2] },
		func(i int) { dst[i] = cpu.Root(tiles[i%2]) })
}

func (e *engine) Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	unit uint64) error {
	if err := shape.Valid(); err != nil {
		return err
	}
	if len(dst) != shape.Tiles() {
		return fmt.Errorf("%w: %d digests for %d tiles", work.ErrCall, len(dst), shape.Tiles())
	}
	return e.units(ctx, challenge, shape, []uint64{unit},
		func(int) [][32]byte { return dst }, func(int) {})
}
