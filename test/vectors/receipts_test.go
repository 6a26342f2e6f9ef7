// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"slices"
	"testing"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// faultyReceipt is about a log of ten loops of which one tile is wrong, which the first round
// finds: it takes rounds until a faulty device is more likely than fraud.
func faultyReceipt(t *testing.T) mpoc.Receipt {
	terms := mpocTerms()
	host, device := privateKey(mpocHost), privateKey(mpocDevice)
	var units [][][32]byte
	for i := range uint64(10) {
		tiles, err := matmul.AppendTiles(nil, seed.Seed(terms.Seed), i, terms.Shape.Matmul())
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, tiles)
	}
	draw := mpoc.Draw{HostNonce: signed.Hash(mpocNonce), AuditQ32: 1 << 32,
		Deadline: 1_800_000_090_000}
	for i := range units {
		for j := range units[i] {
			units[i][j][0] ^= 1
			var tree commit.Log
			for n, tiles := range units {
				tree.Append(terms.LeafHash(uint64(n), matmul.Root(tiles)))
			}
			l := mpoc.Log{Terms: terms, Commit: mpoc.Commit{Loops: 10, ComputeTime: 9_500,
				MerkleRoot: tree.Root()}}
			q := draw.Questions(l)
			pick := q.Picks(0)
			at := slices.IndexFunc(pick, func(p mpoc.Pick) bool {
				return int(p.Index) == i && int(p.Tile) == j
			})
			if at < 0 {
				units[i][j][0] ^= 1
				continue
			}
			opened, err := l.OpenTile(&tree, pick[at], units[i])
			if err != nil {
				t.Fatal(err)
			}
			r := mpoc.Receipt{Version: mpoc.ReceiptVersion, Terms: terms,
				TermsSignature: terms.Sign(host), Commit: l.Commit, CommitSignature: l.Sign(device),
				Draw: &draw, Reason: "a vector", Committed: terms.Issued + 10_000,
				Proved: terms.Issued + 11_000, Entry: 42}
			decided := false
			for rounds := uint32(1); !decided; rounds++ {
				r.Outcome, decided = q.Outcome(rounds, 0, 1)
			}
			r.SetWrong(mpoc.Wrong{Tiles: []mpoc.TileOpening{opened}})
			r.Sign(host)
			return r
		}
	}
	t.Fatal("no tile is picked")
	return mpoc.Receipt{}
}

// moreReceipts are receipts of which one thing is not so, each signed by the host.
func moreReceipts(t *testing.T, written func(mpoc.Receipt) text, accepted, rejected, failed,
	late mpoc.Receipt) []given[text] {
	host := privateKey(mpocHost)
	with := func(r mpoc.Receipt, change func(*mpoc.Receipt)) text {
		draw := mpoc.Draw{}
		if r.Draw != nil {
			draw = *r.Draw
			r.Draw = &draw
		}
		r.DeviceSignature, r.WrongTiles = nil, slices.Clone(r.WrongTiles)
		change(&r)
		r.Sign(host)
		return written(r)
	}
	faulty := faultyReceipt(t)
	q := faulty.Draw.Questions(faulty.Log())
	unsigned := rejected
	bad := unsigned.Countersign(host)
	unsigned.DeviceSignature = &bad
	altered := failed
	altered.Entry++
	return []given[text]{
		{"faulty", written(faulty)},
		{"faulty, decided a round later", with(faulty,
			func(r *mpoc.Receipt) { r.Outcome, _ = q.Outcome(r.Outcome.Rounds+1, 0, 1) })},
		{"faulty, credited more", with(faulty, func(r *mpoc.Receipt) { r.Outcome.BadShare++ })},
		{"accepted, proved before it was committed", with(accepted,
			func(r *mpoc.Receipt) { r.Proved = r.Committed - 1 })},
		{"accepted, committed before it was offered", with(accepted,
			func(r *mpoc.Receipt) { r.Committed = r.Terms.Issued - 1 })},
		{"accepted, committed after expiry", with(accepted,
			func(r *mpoc.Receipt) { r.Committed, r.Proved = r.Terms.Expiry+1, r.Terms.Expiry+2 })},
		{"accepted, due before it was committed", with(accepted,
			func(r *mpoc.Receipt) { r.Draw.Deadline = r.Committed - 1 })},
		{"failed, and credited", with(failed,
			func(r *mpoc.Receipt) { r.Outcome.CreditedLoops = 1 })},
		{"late, in time", with(late, func(r *mpoc.Receipt) { r.Committed = r.Terms.Expiry })},
		{"late, and proved", with(late, func(r *mpoc.Receipt) { r.Proved = r.Committed })},
		{"rejected, a tile twice", with(rejected,
			func(r *mpoc.Receipt) { r.WrongTiles[1] = r.WrongTiles[0] })},
		{"rejected, a tile of another log", with(rejected, func(r *mpoc.Receipt) {
			r.Commit, r.CommitSignature = accepted.Commit, accepted.CommitSignature
		})},
		{"rejected, a digest that is not in the unit", with(rejected,
			func(r *mpoc.Receipt) { r.WrongTiles[0].TileDigest[0] ^= 2 })},
		{"signed back by another key", written(unsigned)},
		{"altered, and not signed back", written(altered)},
		{"terms that the host did not sign", with(accepted,
			func(r *mpoc.Receipt) { r.TermsSignature = r.CommitSignature })},
		{"a commit that the device did not sign", with(accepted,
			func(r *mpoc.Receipt) { r.CommitSignature = r.TermsSignature })},
	}
}
