// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// small is the smallest shape there is.
var small = matmul.Shape{M: 512, K: 256, Q: 512}

// Concurrent has callers share an engine and a model. From the second one on they
// ask the same two by two, and each gets the answers to its own questions.
func Concurrent(t testing.TB, e work.Engine, callers, rounds int) {
	t.Helper()
	units, nonces := []uint64{5, 6}, []uint64{1, 2, 3, 4, 5, 6, 1 << 63}
	question := func(n int) segment {
		return segment{transformer.Nano, seed.Seed{1}, seed.Seed{2, byte(n)}, seed.Seed{3}}
	}
	m := question(0).model(t, e, nil)
	type answer struct {
		caller, question int
		text             string
	}
	answers := make(chan answer)
	for caller := range callers {
		go func() {
			for round := range rounds {
				n := (caller+1)/2 + round
				s, out, digests := question(n), make([]transformer.Output, len(nonces)),
					make([][32]byte, len(units))
				err := m.Run(out, s.node, s.segment, nonces)
				err = errors.Join(err, e.Matmul(t.Context(), digests, s.node, small, units))
				answers <- answer{caller, n, fmt.Sprint(out, digests, err)}
			}
		}()
	}
	for range callers * rounds {
		a := <-answers
		s, digests := question(a.question), make([][32]byte, len(units))
		for i, number := range units {
			digests[i] = matmul.Root(unit{s.node, number, small}.tiles(t))
		}
		if want := fmt.Sprint(s.outputs(t, nonces), digests, error(nil)); a.text != want {
			t.Errorf("%s: caller %d: %s, want %s", e.Name(), a.caller, a.text, want)
		}
	}
}

// Refuses makes calls that do not fit, and calls whose context has ended. They
// give the same errors as with the definition.
func Refuses(t testing.TB, e work.Engine) {
	t.Helper()
	ctx := t.Context()
	done, cancel := context.WithCancel(ctx)
	cancel()
	halfway, stop := context.WithCancel(ctx)
	defer stop()
	odd := transformer.Nano
	odd.D = 100
	for name, c := range map[string]struct {
		ctx      context.Context
		class    transformer.Class
		progress func(done, total uint64)
		want     error
	}{
		"an unpublished class": {ctx, odd, nil, transformer.ErrClass},
		"cancelled":            {done, transformer.Nano, nil, context.Canceled},
		"cancelled halfway": {halfway, transformer.Nano, func(_,
			_ uint64) {
			stop()
		}, context.Canceled},
	} {
		if m, err := e.Transformer(c.ctx, c.class, seed.Seed{}, c.progress); m != nil ||
			!errors.Is(err, c.want) {
			t.Errorf("%s: model, %s: %v, %v, want %v", e.Name(), name, m, err, c.want)
		}
	}
	m := segment{class: transformer.Nano}.model(t, e, nil)
	digests, tiles, four := make([][32]byte, 4), make([][32]byte, small.Tiles()),
		[]uint64{1, 2, 3, 4}
	calls := map[string][2]error{
		"run":   {m.Run(nil, seed.Seed{}, seed.Seed{}, []uint64{1}), transformer.ErrRun},
		"units": {e.Matmul(ctx, digests[:1], seed.Seed{}, small, nil), work.ErrCall},
		"units' shape": {e.Matmul(ctx, digests[:1], seed.Seed{}, matmul.Shape{}, []uint64{1}),
			matmul.ErrShape},
		"units, cancelled": {e.Matmul(done, digests, seed.Seed{}, small, four), context.Canceled},
		"tiles":            {e.Tiles(ctx, tiles[1:], seed.Seed{}, small, 1), work.ErrCall},
		"tiles' shape":     {e.Tiles(ctx, nil, seed.Seed{}, matmul.Shape{}, 1), matmul.ErrShape},
		"tiles, cancelled": {e.Tiles(done, tiles, seed.Seed{}, small, 1), context.Canceled},
	}
	if p, ok := e.(profile.Engine); ok {
		_, shape := p.Parts(ctx, seed.Seed{}, matmul.Shape{}, 1)
		_, cancelled := p.Parts(done, seed.Seed{}, small, 1)
		calls["parts' shape"] = [2]error{shape, matmul.ErrShape}
		calls["parts, cancelled"] = [2]error{cancelled, context.Canceled}
	}
	for name, c := range calls {
		if !errors.Is(c[0], c[1]) {
			t.Errorf("%s: %s: %v, want %v", e.Name(), name, c[0], c[1])
		}
	}
}
