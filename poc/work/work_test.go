// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"errors"
	"testing"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Holds spec W-1.
func TestReferencePassesSelfTest(t *testing.T) {
	if err := SelfTest(t.Context(), Reference()); err != nil {
		t.Error(err)
	}
}

// broken is the reference with one fault.
type broken struct {
	Engine
	fault  string
	closed int
}

func (b *broken) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := b.Engine.Transformer(ctx, class, seed1, progress)
	return &brokenModel{m, b}, err
}

type brokenModel struct {
	transformer.Model
	b *broken
}

func (m *brokenModel) Close() error {
	m.b.closed++
	if m.b.fault == "close" {
		return errFault
	}
	return nil
}

var errFault = errors.New("device lost")

func (m *brokenModel) Run(dst []transformer.Output, node, segment seed.Seed,
	nonces []uint64) error {
	if err := m.Model.Run(dst, node, segment, nonces); err != nil {
		return err
	}
	last := &dst[len(dst)-1]
	switch m.b.fault {
	case "run":
		return errFault
	case "norm":
		last.Norm++
	case "digest":
		last.Digest[31] ^= 1
	case "middle":
		last.Middle[0] ^= 1
	case "batch": // the first of a batch is right
		*last = dst[1]
	}
	return nil
}

func (b *broken) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed,
	shape matmul.Shape, units []uint64) error {
	err := b.Engine.Matmul(ctx, dst, challenge, shape, units)
	switch b.fault {
	case "matmul":
		return errFault
	case "unit":
		dst[0][0] ^= 1
	}
	return err
}

func (b *broken) Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	unit uint64) error {
	err := b.Engine.Tiles(ctx, dst, challenge, shape, unit)
	switch b.fault {
	case "no tiles":
		return errFault
	case "tiles":
		dst[63][5] ^= 1
	}
	return err
}

// Holds spec W-2.
func TestSelfTestFindsFaults(t *testing.T) {
	for fault, want := range map[string]error{
		"": nil, "norm": ErrSelfTest, "digest": ErrSelfTest, "middle": ErrSelfTest,
		"batch": ErrSelfTest,
		"unit":  ErrSelfTest, "tiles": ErrSelfTest,
		"run": errFault, "close": errFault, "matmul": errFault, "no tiles": errFault,
	} {
		e := &broken{Engine: Reference(), fault: fault}
		if err := SelfTest(t.Context(), e); !errors.Is(err, want) {
			t.Errorf("fault %q: %v, want %v", fault, err, want)
		}
		if e.closed != 1 {
			t.Errorf("fault %q: the model was closed %d times", fault, e.closed)
		}
	}
}

func TestReferenceRefuses(t *testing.T) {
	e, ctx := Reference(), t.Context()
	shape := matmul.Shape{M: 512, K: 256, Q: 512}
	done, cancel := context.WithCancel(ctx)
	cancel()
	odd := transformer.Nano
	odd.D = 100
	m, err := e.Transformer(ctx, odd, seed.Seed{}, nil)
	if !errors.Is(err, transformer.ErrClass) || m != nil {
		t.Errorf("an unpublished class: %v, %v", m, err)
	}
	for name, pair := range map[string][2]error{
		"units": {e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, shape, nil), ErrCall},
		"shape": {e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, matmul.Shape{},
			[]uint64{1}), matmul.ErrShape},
		"cancelled": {e.Matmul(done, make([][32]byte, 1), seed.Seed{}, shape, []uint64{1}),
			context.Canceled},
		"tiles":        {e.Tiles(ctx, make([][32]byte, 63), seed.Seed{}, shape, 1), ErrCall},
		"tiles' shape": {e.Tiles(ctx, nil, seed.Seed{}, matmul.Shape{}, 1), matmul.ErrShape},
		"tiles, cancelled": {e.Tiles(done, make([][32]byte, 64), seed.Seed{}, shape, 1),
			context.Canceled},
	} {
		if !errors.Is(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
}
