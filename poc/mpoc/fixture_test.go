// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"math/big"
	"sync"
	"testing"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

var (
	hostKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	deviceKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	otherKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	testNonce = seed.Seed{4}
	testFresh = seed.Seed{5}
)

// testLoops is small, so that all of it can be computed for real.
const testLoops = 12

// testTerms is an offer of the smallest shape.
func testTerms(nonce seed.Seed) Terms {
	return Offer(Terms{
		Chain: "assay-test", HostKey: signed.KeyOf(hostKey), DeviceKey: signed.KeyOf(deviceKey),
		Shape: Shape(Shapes()[0]), DurationMS: 10_000, Issued: 1_800_000_000_000,
		Expiry: 1_800_000_060_000,
		Whole:  3, Picks: DefaultPicks, Light: DefaultLight, MaxLoops: 1000,
		PayPerTebiop: AmountOf(big.NewInt(1_000_000_000_000_000_000)),
		UnlockAfter:  20, BanAfter: 3,
	}, testFresh, nonce)
}

// tiles are the digests of all tiles of the first testLoops units of the test
// challenge. They do not depend on the nonce.
var tiles = sync.OnceValue(func() [][][32]byte {
	t := testTerms(testNonce)
	out := make([][][32]byte, testLoops)
	for i := range out {
		var err error
		if out[i], err = matmul.AppendTiles(nil, seed.Seed(t.Seed), uint64(i),
			t.Shape.Matmul()); err != nil {
			panic(err)
		}
	}
	return out
})

// cached recomputes by looking up what tiles computed.
type cached struct{ t *testing.T }

func (c cached) Tile(_ context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64,
	tile uint32) ([32]byte, error) {
	if challenge != seed.Seed(testTerms(testNonce).Seed) || shape != Shapes()[0] {
		c.t.Fatalf("recomputing another challenge: %v, %v", challenge, shape)
	}
	return tiles()[unit][tile], nil
}

func (c cached) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) ([32]byte, error) {
	if _, err := c.Tile(ctx, challenge, shape, unit, 0); err != nil {
		return [32]byte{}, err
	}
	return matmul.Root(tiles()[unit]), nil
}

// device is a machine with a log, forged or not.
type device struct {
	log   Log
	tree  commit.Log
	tiles [][][32]byte
}

// newDevice computes the log of an offer. forge may change the tiles' digests.
func newDevice(terms Terms, forge func(unit, tile int) bool) *device {
	d := &device{}
	for i, unit := range tiles() {
		unit = append([][32]byte(nil), unit...)
		for j := range unit {
			if forge != nil && forge(i, j) {
				unit[j][0] ^= 1
			}
		}
		d.tiles = append(d.tiles, unit)
		d.tree.Append(terms.LeafHash(uint64(i), matmul.Root(unit)))
	}
	d.log = Log{Terms: terms, Commit: Commit{Loops: testLoops, ComputeTime: 14_210,
		MerkleRoot: d.tree.Root()}}
	return d
}

// answer opens what one round asks.
func (d *device) answer(t testing.TB, q Questions, round uint32) Proof {
	t.Helper()
	p := Proof{Round: round}
	if round == 0 {
		for _, index := range q.Samples() {
			s, err := d.log.OpenSample(&d.tree, index, matmul.Root(d.tiles[index]))
			if err != nil {
				t.Fatal(err)
			}
			p.Samples = append(p.Samples, s)
		}
	}
	for _, pick := range q.Picks(round) {
		o, err := d.log.OpenTile(&d.tree, pick, d.tiles[pick.Index])
		if err != nil {
			t.Fatal(err)
		}
		p.Tiles = append(p.Tiles, o)
	}
	return p
}

// judge asks until the outcome is clear, as a host does.
func judge(t testing.TB, d *device, draw Draw, by Recompute) (Outcome, Wrong) {
	t.Helper()
	q := draw.Questions(d.log)
	var wrong Wrong
	for round := uint32(0); ; round++ {
		p := d.answer(t, q, round)
		if err := q.Verify(p); err != nil {
			t.Fatal(err)
		}
		w, err := q.Recompute(t.Context(), by, p, len(wrong.Tiles))
		if err != nil {
			t.Fatal(err)
		}
		wrong.Samples = append(wrong.Samples, w.Samples...)
		wrong.Tiles = append(wrong.Tiles, w.Tiles...)
		if o, decided := q.Outcome(round+1, len(wrong.Samples), len(wrong.Tiles)); decided {
			return o, wrong
		}
	}
}

// full is a draw of the test's nonce that audits for certain.
func full(terms Terms, nonce seed.Seed) Draw {
	return Draw{HostNonce: signed.Hash(nonce), AuditQ32: 1 << 32, Deadline: terms.Expiry + 30_000}
}

// receipt judges a device and signs what came out, from both sides.
func receipt(t testing.TB, d *device, draw Draw, by Recompute) Receipt {
	t.Helper()
	o, wrong := judge(t, d, draw, by)
	r := Receipt{
		Version: ReceiptVersion, Terms: d.log.Terms, TermsSignature: d.log.Terms.Sign(hostKey),
		Commit: d.log.Commit, CommitSignature: d.log.Sign(deviceKey), Draw: &draw, Outcome: o,
		Reason: "audited", Committed: d.log.Terms.Issued + 15_000,
		Proved: d.log.Terms.Issued + 16_000, Entry: 7,
	}
	r.SetWrong(wrong)
	r.Sign(hostKey)
	sig := r.Countersign(deviceKey)
	r.DeviceSignature = &sig
	return r
}
