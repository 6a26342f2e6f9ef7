// SPDX-License-Identifier: Apache-2.0

package mpocv1

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/work/matmul"
)

// BenchmarkProofRequest is the large body of a submission: its bytes, as a part
// of sending all leaves in the same JSON, and what reading and checking it costs
// a host before it recomputes anything.
func BenchmarkProofRequest(b *testing.B) {
	for _, c := range []struct {
		loops uint64
		shape matmul.Shape
	}{{1000, mpoc.Shapes()[0]}, {3000, mpoc.Shapes()[4]}, {12345, mpoc.Shapes()[0]}, {100_000, mpoc.Shapes()[2]}} {
		b.Run(fmt.Sprintf("%d loops of %v", c.loops, c.shape), func(b *testing.B) {
			terms := mpoc.Offer(mpoc.Terms{Shape: mpoc.Shape(c.shape), Picks: mpoc.DefaultPicks, Light: 3, MaxLoops: mpoc.MaxLoops}, [32]byte{1}, [32]byte{2})
			unit := func(index uint64) [][32]byte { // digests of nothing, but other ones everywhere
				tiles := make([][32]byte, c.shape.Tiles())
				for i := range tiles {
					tiles[i] = commit.LeafHash([]byte{byte(index), byte(index >> 8), byte(index >> 16), byte(i), byte(i >> 8)})
				}
				return tiles
			}
			digests := make([][32]byte, c.loops)
			var tree commit.Log
			for i := range c.loops {
				digests[i] = matmul.Root(unit(i))
				tree.Append(terms.LeafHash(i, digests[i]))
			}
			l := mpoc.Log{Terms: terms, Commit: mpoc.Commit{Loops: c.loops, MerkleRoot: tree.Root()}}
			q := mpoc.Draw{HostNonce: mpoc.Hash{2}, AuditQ32: 1 << 32}.Questions(l)
			r := ProofRequest{Commit: l.Commit}
			for _, index := range q.Samples() {
				s, err := l.OpenSample(&tree, index, digests[index])
				if err != nil {
					b.Fatal(err)
				}
				r.Samples = append(r.Samples, s)
			}
			for _, pick := range q.Picks(0) {
				o, err := l.OpenTile(&tree, pick, unit(pick.Index))
				if err != nil {
					b.Fatal(err)
				}
				r.Tiles = append(r.Tiles, o)
			}
			body, err := json.Marshal(r)
			if err != nil {
				b.Fatal(err)
			}
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			if _, err := z.Write(body); err != nil || z.Close() != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				got, err := Decode[ProofRequest](body)
				if err != nil {
					b.Fatal(err)
				}
				if err := q.Verify(got.Proof()); err != nil {
					b.Fatal(err)
				}
			}
			leaves := c.loops * uint64(len(`"0x",`)+64) // and not the tree above them
			b.ReportMetric(float64(len(body)), "bytes")
			b.ReportMetric(float64(len(body))/float64(leaves), "of-all-leaves")
			b.ReportMetric(float64(zipped.Len()), "bytes-gzip")
		})
	}
}
