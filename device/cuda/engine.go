// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// engine computes on one device. It holds that device until Close.
type engine struct {
	*device
	*kernels
	name    string
	exp2    address // transformer's table
	limits  limits
	figures figures
}

// limits bound what an engine takes at a time.
type limits struct {
	operand int // bytes of each factor of a block of matmul/1
	// of transformer/1 in a batch; halved until two batches fit in an eighth of the memory
	units int
}

var defaultLimits = limits{operand: 256 << 20, units: 2048}

// newEngine loads the kernels into a device. The driver is the engine's, also
// where there is an error.
func newEngine(name string, t target, driver driver) (*engine, error) {
	e := &engine{name: name + "/" + t.name, limits: defaultLimits}
	var err error
	if e.device, err = openDevice(driver); err != nil {
		return nil, err
	}
	if err := e.do(e.prepare(t)); err != nil {
		_ = e.close() // what is to be told is why it could not be prepared
		return nil, err
	}
	return e, nil
}

// prepare is the call that puts the kernels and the table on the device.
func (e *engine) prepare(t target) func(*slot) error {
	return func(s *slot) (err error) {
		if e.kernels, err = loadKernels(e.driver, t); err != nil {
			return err
		}
		table := transformer.Exp2()
		if e.exp2, err = e.alloc(2*uint64(len(table)), "a table"); err != nil {
			return err
		}
		host, err := s.host(2 * len(table))
		if err != nil {
			return err
		}
		for i, v := range table {
			binary.LittleEndian.PutUint16(host[2*i:], v)
		}
		return e.driver.upload(s.stream, e.exp2, host)
	}
}

func (e *engine) Name() string { return e.name }

// Close gives the device back. Models that are still open end with it.
func (e *engine) Close() error { return e.close() }

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
	shape matmul.Shape, numbers []uint64) error {
	if len(dst) != len(numbers) {
		return fmt.Errorf("%w: %d digests for %d units", work.ErrCall, len(dst), len(numbers))
	}
	if err := shape.Valid(); err != nil {
		return err
	}
	var failed error
	step := e.together(shape)
	e.each((len(numbers)+step-1)/step, func(i int) <-chan error {
		if err := ctx.Err(); err != nil {
			return failure(err)
		}
		from := i * step
		to := min(from+step, len(numbers))
		u := units{engine: e, challenge: challenge, shape: shape, numbers: numbers[from:to]}
		return e.begin(u.roots, digestsTo(dst[from:to]))
	}, func(i int, err error) bool {
		if err != nil && failed == nil {
			failed = fmt.Errorf("cuda: units from %d of %d on: %w", i*step, len(numbers), err)
		}
		return failed == nil
	})
	return failed
}

func (e *engine) Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	number uint64) error {
	if err := shape.Valid(); err != nil {
		return err
	}
	if len(dst) != shape.Tiles() {
		return fmt.Errorf("%w: %d digests for %d tiles", work.ErrCall, len(dst), shape.Tiles())
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cuda: tiles of unit %d: %w", number, err)
	}
	u := units{engine: e, challenge: challenge, shape: shape, numbers: []uint64{number}}
	if err := <-e.begin(u.tiles, digestsTo(dst)); err != nil {
		return fmt.Errorf("cuda: tiles of unit %d: %w", number, err)
	}
	return nil
}

// Tile computes one tile of a unit, like matmul.Tile: what an audit does. Who
// holds a work.Engine asks it for the method.
func (e *engine) Tile(challenge seed.Seed, number uint64, shape matmul.Shape, ti,
	tj int) ([32]byte, error) {
	if err := shape.Valid(); err != nil {
		return [32]byte{}, err
	}
	if ti < 0 || ti >= shape.Rows() || tj < 0 || tj >= shape.Columns() {
		return [32]byte{}, fmt.Errorf("%w: (%d, %d) of %v", matmul.ErrTile, ti, tj, shape)
	}
	dst := make([][32]byte, 1)
	u := units{engine: e, challenge: challenge, shape: shape, numbers: []uint64{number}}
	start := func(s *slot) error { return u.tile(s, ti, tj) }
	if err := <-e.begin(start, digestsTo(dst)); err != nil {
		return [32]byte{}, fmt.Errorf("cuda: tile (%d, %d) of unit %d: %w", ti, tj, number, err)
	}
	return dst[0], nil
}

// failure is a call that has failed already.
func failure(err error) <-chan error {
	done := make(chan error, 1)
	done <- err
	return done
}

func littleEndian(b []byte) []uint32 {
	w := make([]uint32, len(b)/4)
	for i := range w {
		w[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return w
}
