// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// The kinds of the network. Every engine computes them by typed methods, which
// keep a device busier than one unit at a time; as values they are like any other.
var (
	Transformer Kind = transformerKind{} // what Sprints compute
	Matmul      Kind = matmulKind{}      // what loops and matrix tasks compute
)

// transformerKind is transformer/1. A spec is a class, a body a record.
type transformerKind struct{}

func (transformerKind) Name() string { return "transformer/1" }

func (transformerKind) Spec(text string) (Spec, error) {
	if text == "" {
		text = transformer.Nano.Name
	}
	class, err := transformer.ByName(text)
	if err != nil {
		return Spec{}, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	return Spec{Text: class.Name, Kind: record.Kind, ID: class.ID, Body: record.Size, Seeds: 3}, nil
}

func (k transformerKind) Reference(ctx context.Context, job Job) (Computer, error) {
	return k.on(ctx, Reference(), job)
}

func (transformerKind) Check(ctx context.Context, by Computer, unit uint64,
	claimed []byte) ([]byte, error) {
	return Recompute(ctx, by, unit, claimed)
}

func (transformerKind) Price(s Spec) Price {
	class, err := transformer.ByName(s.Text)
	if err != nil {
		return Price{}
	}
	return Price{Ops: class.Ops(), Memory: class.WeightBytes()}
}

func (transformerKind) on(ctx context.Context, e Engine, job Job) (Computer, error) {
	class, err := transformer.ByName(job.Spec.Text)
	if err = errors.Join(err, job.Fits()); err != nil {
		return nil, err
	}
	m, err := e.Transformer(ctx, class, job.Seeds[0], nil)
	if err != nil {
		return nil, err
	}
	return model{m, job}, nil
}

// model computes the units of a node in a segment.
type model struct {
	transformer.Model
	job Job
}

func (m model) Units(ctx context.Context, dst []byte, units []uint64) error {
	if len(dst) != len(units)*record.Size {
		return fmt.Errorf("%w: %d bytes for %d records", ErrCall, len(dst), len(units))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	out := make([]transformer.Output, len(units))
	if err := m.Run(out, m.job.Seeds[1], m.job.Seeds[2], units); err != nil {
		return err
	}
	for _, o := range out {
		o.Record.Append(dst[:0])
		dst = dst[record.Size:]
	}
	return nil
}

func (m model) Close() error {
	if c, ok := m.Model.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

// matmulKind is matmul/1. A spec is a shape, a body a unit's digest, a job has the
// seed of its challenge.
type matmulKind struct{}

func (matmulKind) Name() string { return "matmul/1" }

func (matmulKind) Spec(text string) (Spec, error) {
	if text == "" {
		text = knownShape.String()
	}
	shape, err := matmul.ParseShape(text)
	if err != nil {
		return Spec{}, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	return Spec{Text: shape.String(), Kind: 2, Body: 32, Seeds: 1}, nil
}

func (k matmulKind) Reference(ctx context.Context, job Job) (Computer, error) {
	return k.on(ctx, Reference(), job)
}

func (matmulKind) Check(ctx context.Context, by Computer, unit uint64,
	claimed []byte) ([]byte, error) {
	return Recompute(ctx, by, unit, claimed)
}

func (matmulKind) Price(s Spec) Price {
	shape, err := matmul.ParseShape(s.Text)
	if err != nil {
		return Price{}
	}
	return Price{Ops: shape.Ops()}
}

func (matmulKind) on(_ context.Context, e Engine, job Job) (Computer, error) {
	shape, err := matmul.ParseShape(job.Spec.Text)
	if err = errors.Join(err, job.Fits()); err != nil {
		return nil, err
	}
	return products{e, job.Seeds[0], shape}, nil
}

// products computes the units of a challenge.
type products struct {
	engine    Engine
	challenge seed.Seed
	shape     matmul.Shape
}

func (p products) Units(ctx context.Context, dst []byte, units []uint64) error {
	if len(dst) != len(units)*32 {
		return fmt.Errorf("%w: %d bytes for %d digests", ErrCall, len(dst), len(units))
	}
	digests := make([][32]byte, len(units))
	if err := p.engine.Matmul(ctx, digests, p.challenge, p.shape, units); err != nil {
		return err
	}
	for i, d := range digests {
		copy(dst[32*i:], d[:])
	}
	return nil
}
