// SPDX-License-Identifier: Apache-2.0

package mpocv1

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// BenchmarkProofRequest is the large body of a submission: its bytes, as it is and
// compressed, as parts of sending all leaves in the same JSON, as it is and
// compressed; and what it costs the host to read and check it before it recomputes
// anything, the machine to compress it and the host to unpack it.
func BenchmarkProofRequest(b *testing.B) {
	for _, c := range []struct {
		loops uint64
		shape matmul.Shape
	}{{1000, mpoc.Shapes()[0]}, {3000, mpoc.Shapes()[4]}, {12345, mpoc.Shapes()[0]},
		{100_000, mpoc.Shapes()[2]}} {
		name := fmt.Sprintf("%d loops of %v", c.loops, c.shape)
		r, q, leaves := proof(b, c.loops, c.shape)
		body, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		all, err := json.Marshal(leaves) // and not the tree above them
		if err != nil {
			b.Fatal(err)
		}
		zipped, zippedAll := zip(b, body), zip(b, all)
		b.Run(name+"/checked", func(b *testing.B) {
			for b.Loop() {
				got, err := Decode[ProofRequest](body)
				if err != nil {
					b.Fatal(err)
				}
				if err := q.Verify(got.Proof()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(body)), "bytes")
			b.ReportMetric(float64(len(body))/float64(len(all)), "of-all-leaves")
			b.ReportMetric(float64(len(zipped)), "gzip-bytes")
			b.ReportMetric(float64(len(zipped))/float64(len(all)), "gzip-of-all-leaves")
			b.ReportMetric(float64(len(zipped))/float64(len(zippedAll)), "gzip-of-all-leaves-gzip")
		})
		b.Run(name+"/packed", func(b *testing.B) {
			for b.Loop() {
				zip(b, body)
			}
		})
		b.Run(name+"/unpacked", func(b *testing.B) {
			for b.Loop() {
				z, err := gzip.NewReader(bytes.NewReader(zipped))
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, z); err != nil || n != int64(len(body)) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func zip(b *testing.B, text []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(text); err != nil || z.Close() != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// proof answers the questions about a log of digests of nothing, but other ones
// everywhere.
func proof(b *testing.B, loops uint64, shape matmul.Shape) (ProofRequest,
	mpoc.Questions, []signed.Hash) {
	terms := mpoc.Offer(mpoc.Terms{Shape: mpoc.Shape(shape), Picks: mpoc.DefaultPicks, Light: 3,
		MaxLoops: mpoc.MaxLoops}, [32]byte{1}, [32]byte{2})
	unit := func(index uint64) [][32]byte {
		tiles := make([][32]byte, shape.Tiles())
		for i := range tiles {
			tiles[i] = commit.LeafHash([]byte{byte(index), byte(index >> 8), byte(index >> 16),
				byte(i), byte(i >> 8)})
		}
		return tiles
	}
	digests := make([][32]byte, loops)
	leaves := make([]signed.Hash, loops)
	var tree commit.Log
	for i := range loops {
		digests[i] = matmul.Root(unit(i))
		leaves[i] = signed.Hash(terms.LeafHash(i, digests[i]))
		tree.Append(commit.Hash(leaves[i]))
	}
	l := mpoc.Log{Terms: terms, Commit: mpoc.Commit{Loops: loops, MerkleRoot: tree.Root()}}
	q := mpoc.Draw{HostNonce: signed.Hash{2}, AuditQ32: 1 << 32}.Questions(l)
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
	return r, q, leaves
}
