// SPDX-License-Identifier: Apache-2.0

package kinds

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/assaynet/assay/poc/work"
)

// collatz is a kind of work that the network does not have: how many steps a number takes to 1, by
// halving it or by three times it and one. The number follows from the seeds and the unit. This
// file is all that there is of it.
type collatz struct{}

func (collatz) Name() string { return "collatz/1" }

// Spec reads how many bits the numbers have.
func (collatz) Spec(text string) (work.Spec, error) {
	switch text {
	case "", "collatz-16":
		return work.Spec{Text: "collatz-16", Kind: 3, ID: 16, Body: 8, Seeds: 3}, nil
	case "collatz-32":
		return work.Spec{Text: "collatz-32", Kind: 3, ID: 32, Body: 8, Seeds: 3}, nil
	}
	return work.Spec{}, fmt.Errorf("%w: %q", work.ErrSpec, text)
}

func (collatz) Reference(_ context.Context, job work.Job) (work.Computer, error) {
	return steps{job: job}, job.Fits()
}

func (collatz) Check(ctx context.Context, by work.Computer, unit uint64,
	claimed []byte) ([]byte, error) {
	return work.Recompute(ctx, by, unit, claimed)
}

func (collatz) Price(s work.Spec) work.Price { return work.Price{Ops: 10 * uint64(s.ID)} }

// steps computes a job; one that is off is wrong about every unit.
type steps struct {
	job work.Job
	off uint64
}

func (s steps) Units(_ context.Context, dst []byte, units []uint64) error {
	if len(dst) != 8*len(units) {
		return fmt.Errorf("%w: %d bytes for %d units", work.ErrCall, len(dst), len(units))
	}
	for i, unit := range units {
		var input []byte
		for _, from := range s.job.Seeds {
			input = append(input, from[:]...)
		}
		hash := sha256.Sum256(binary.LittleEndian.AppendUint64(input, unit))
		n, count := 1+binary.LittleEndian.Uint64(hash[:])>>(64-s.job.Spec.ID), s.off
		for ; n != 1; count++ {
			if n%2 == 0 {
				n /= 2
			} else {
				n = 3*n + 1
			}
		}
		binary.LittleEndian.PutUint64(dst[8*i:], count)
	}
	return nil
}
