// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package main

import (
	"context"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// multiplier is what an engine offers beside work.Engine where it is fast.
type multiplier interface {
	Product(ctx context.Context, c []int32, a, b []int8, shape matmul.Shape) error
}

// ours are the whole loop on an engine, and the product that is in it. Both use
// as many threads as GOMAXPROCS says.
func ours(ctx context.Context, engine work.Engine) []contestant {
	use := func(int) error { return nil }
	square := func(m *matrices) matmul.Shape { return matmul.Shape{M: m.n, K: m.n, Q: m.n} }
	unit := make([][32]byte, 1)
	found := []contestant{{
		name: loopName, given: givenSeed, use: use,
		multiply: here(func(m *matrices) error {
			return engine.Matmul(ctx, unit, seed.Seed{1}, square(m), []uint64{2})
		}),
	}}
	if e, ok := engine.(multiplier); ok {
		found = append(found, contestant{
			name: productName, given: givenInt8, use: use,
			multiply: here(func(m *matrices) error {
				return e.Product(ctx, m.c, m.a, m.bColumns, square(m))
			}),
			row: intRow,
		})
	}
	return found
}
