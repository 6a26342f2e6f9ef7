// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"crypto/ed25519"
	"testing"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// broken gives wrong digests of odd units.
type broken struct{ work.Engine }

func (b broken) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape, units []uint64) error {
	err := b.Engine.Matmul(ctx, dst, challenge, shape, units)
	for i, unit := range units {
		dst[i][0] ^= byte(unit & 1)
	}
	return err
}

// brokenTiles has wrong tiles too.
type brokenTiles struct{ mpoc.Recompute }

func (b brokenTiles) Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64, tile uint32) ([32]byte, error) {
	digest, err := b.Recompute.Tile(ctx, challenge, shape, unit, tile)
	digest[0] ^= 1
	return digest, err
}

// A host with a broken engine accepts what is right and finds what is forged, all of it and nothing else.
func TestABrokenEngineConvictsNobody(t *testing.T) {
	const loops = 3
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	terms := mpoc.Offer(mpoc.Terms{Chain: "assay-test", HostKey: mpoc.KeyOf(key), DeviceKey: mpoc.KeyOf(key), Shape: mpoc.Shape(mpoc.Shapes()[0]),
		DurationMS: 10_000, Issued: 1, Expiry: 60_001, Whole: loops, Picks: 4, Light: 3, MaxLoops: 1000, PayPerTebiop: "1"}, seed.Seed{1}, seed.Seed{2})
	var right [loops][][32]byte
	for i := range right {
		if right[i], err = matmul.AppendTiles(nil, seed.Seed(terms.Seed), uint64(i), terms.Shape.Matmul()); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		engine mpoc.Recompute
		forged map[int]bool // units of which every tile is forged
	}{
		"honest":                 {Fast(broken{work.Reference()}), nil},
		"honest, broken tiles":   {brokenTiles{Fast(broken{work.Reference()})}, nil},
		"all forged":             {Fast(broken{work.Reference()}), map[int]bool{0: true, 1: true, 2: true}},
		"one forged":             {brokenTiles{Fast(broken{work.Reference()})}, map[int]bool{1: true}},
		"forged, the definition": {mpoc.Reference(), map[int]bool{2: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var tree commit.Log
			var units [loops][][32]byte
			for i := range units {
				units[i] = append([][32]byte(nil), right[i]...)
				for j := range units[i] {
					if c.forged[i] {
						units[i][j][5] ^= 1
					}
				}
				tree.Append(terms.LeafHash(uint64(i), matmul.Root(units[i])))
			}
			log := mpoc.Log{Terms: terms, Commit: mpoc.Commit{Loops: loops, ComputeTime: 1000, MerkleRoot: tree.Root()}}
			q := mpoc.Draw{HostNonce: mpoc.Hash{2}, AuditQ32: 1 << 32, Deadline: 90_000}.Questions(log)
			var proof mpoc.Proof
			wantTiles := 0
			for _, index := range q.Samples() {
				s, err := log.OpenSample(&tree, index, matmul.Root(units[index]))
				if err != nil {
					t.Fatal(err)
				}
				proof.Samples = append(proof.Samples, s)
			}
			for _, pick := range q.Picks(0) {
				o, err := log.OpenTile(&tree, pick, units[pick.Index])
				if err != nil {
					t.Fatal(err)
				}
				proof.Tiles = append(proof.Tiles, o)
				if c.forged[int(pick.Index)] {
					wantTiles++
				}
			}
			if err := q.Verify(proof); err != nil {
				t.Fatal(err)
			}
			if len(proof.Samples) != loops || len(q.Whole()) != loops {
				t.Fatalf("%d samples, %d whole", len(proof.Samples), len(q.Whole()))
			}
			wrong, err := q.Recompute(t.Context(), judgeOf(c.engine, proof), proof)
			if err != nil {
				t.Fatal(err)
			}
			if len(wrong.Samples) != len(c.forged) || len(wrong.Tiles) != wantTiles {
				t.Errorf("%d loops and %d tiles wrong, want %d and %d", len(wrong.Samples), len(wrong.Tiles), len(c.forged), wantTiles)
			}
			for _, s := range wrong.Samples {
				if !c.forged[int(s.Index)] {
					t.Errorf("loop %d is called wrong", s.Index)
				}
			}
		})
	}
}
