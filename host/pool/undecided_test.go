// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// broken is an engine that computes nothing.
type broken struct {
	err error // nil: it hangs
}

func (b broken) Tile(ctx context.Context, _ seed.Seed, _ matmul.Shape, _ uint64,
	_ uint32) ([32]byte, error) {
	if b.err == nil {
		<-ctx.Done()
		return [32]byte{}, ctx.Err()
	}
	return [32]byte{}, b.err
}

func (b broken) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) ([32]byte, error) {
	return b.Tile(ctx, challenge, shape, unit, 0)
}

// What the engine cannot compute, or hangs at, plain Go does: nobody's work stays
// undecided because of it, and a forger gains nothing by it.
func TestEngineThatFails(t *testing.T) {
	for _, forged := range []bool{false, true} {
		terms := mpoc.Terms{Shape: mpoc.Shape(mpoc.Shapes()[0]), Picks: 90,
			Light: 3, MaxLoops: 1000}
		tiles, err := matmul.AppendTiles(nil, seed.Seed(terms.Seed), 0, terms.Shape.Matmul())
		if err != nil {
			t.Fatal(err)
		}
		if forged {
			for i := range tiles {
				tiles[i][0] ^= 1
			}
		}
		var tree commit.Log
		tree.Append(terms.LeafHash(0, matmul.Root(tiles)))
		l := mpoc.Log{Terms: terms, Commit: mpoc.Commit{Loops: 1, MerkleRoot: tree.Root()}}
		q := mpoc.Draw{}.Questions(l) // a light audit
		s, err := l.OpenSample(&tree, 0, matmul.Root(tiles))
		if err != nil {
			t.Fatal(err)
		}
		proof := mpoc.Proof{Samples: []mpoc.Sample{s}}
		for _, pick := range q.Picks(0) {
			o, err := l.OpenTile(&tree, pick, tiles)
			if err != nil {
				t.Fatal(err)
			}
			proof.Tiles = append(proof.Tiles, o)
		}
		if err := q.Verify(proof); err != nil || len(proof.Tiles) != 3 {
			t.Fatal(err)
		}
		for name, e := range map[string]broken{"fails": {errors.New("no such device")},
			"hangs": {}} {
			p := &Pool{c: Config{Engine: e}, log: slog.New(slog.DiscardHandler)}
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			wrong, err := p.look(ctx, q, proof, 0)
			cancel()
			if err != nil || len(wrong.Tiles) != map[bool]int{true: 3}[forged] {
				t.Errorf("an engine that %s, forged %t: %d tiles wrong, %v", name, forged,
					len(wrong.Tiles), err)
			}
		}
	}
}
