// SPDX-License-Identifier: Apache-2.0

package mpoc_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// One challenge from both sides. The device computes two loops and forges one
// of them; the host finds it, and anyone can check the receipt.
func Example() {
	host := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	device := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	nonce := seed.Seed{3} // the host's, random and secret until the commit

	// The host offers.
	plan := mpoc.ChooseShape(2_000_000_000)
	terms := mpoc.Offer(mpoc.Terms{
		Chain: "assay-test", HostKey: signed.KeyOf(host), DeviceKey: signed.KeyOf(device),
		Shape: mpoc.Shape(plan.Shape), DurationMS: plan.DurationMS, Issued: 1_800_000_000_000,
		Expiry: 1_800_000_090_000,
		Whole:  mpoc.DefaultWhole(plan.Shape), Picks: mpoc.DefaultPicks, Light: mpoc.DefaultLight,
		MaxLoops: 1000, PayPerTebiop: "1000",
		UnlockAfter: 20, BanAfter: 3,
	}, seed.Seed{4}, nonce)
	offered := terms.Sign(host)

	// The device computes and commits.
	var log commit.Log
	var units [][][32]byte
	for i := range uint64(2) {
		tiles, err := matmul.AppendTiles(nil, seed.Seed(terms.Seed), i, plan.Shape)
		if err != nil {
			fmt.Println(err)
			return
		}
		if i == 1 { // "nobody will look"
			for j := range tiles {
				tiles[j] = [32]byte{}
			}
		}
		units = append(units, tiles)
		log.Append(terms.LeafHash(i, matmul.Root(tiles)))
	}
	l := mpoc.Log{Terms: terms, Commit: mpoc.Commit{Loops: 2, ComputeTime: 60_000,
		MerkleRoot: log.Root()}}
	committed := l.Sign(device)

	// The host shows its nonce; what is asked follows, and the device opens it.
	draw := mpoc.Draw{HostNonce: signed.Hash(nonce), AuditQ32: 1 << 32, Deadline: 1_800_000_120_000}
	q := draw.Questions(l)
	proof := mpoc.Proof{}
	for _, index := range q.Samples() {
		s, err := l.OpenSample(&log, index, matmul.Root(units[index]))
		if err != nil {
			fmt.Println(err)
			return
		}
		proof.Samples = append(proof.Samples, s)
	}
	for _, pick := range q.Picks(0) {
		o, err := l.OpenTile(&log, pick, units[pick.Index])
		if err != nil {
			fmt.Println(err)
			return
		}
		proof.Tiles = append(proof.Tiles, o)
	}

	// The host checks, judges and signs.
	ctx := context.Background()
	if err := q.Verify(proof); err != nil {
		fmt.Println(err)
		return
	}
	wrong, err := q.Recompute(ctx, mpoc.Reference(), proof, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	outcome, _ := q.Outcome(1, len(wrong.Samples), len(wrong.Tiles))
	receipt := mpoc.Receipt{
		Version: mpoc.ReceiptVersion, Terms: terms, TermsSignature: offered, Commit: l.Commit,
		CommitSignature: committed, Draw: &draw,
		Outcome: outcome, Committed: 1_800_000_070_000, Proved: 1_800_000_071_000, Entry: 1,
	}
	receipt.SetWrong(wrong)
	receipt.Sign(host)
	fmt.Println(outcome.Status, "after", outcome.Checked, "tiles;", len(receipt.WrongTiles),
		"wrong ones decide")
	fmt.Println("the receipt holds:", receipt.Verify(ctx, mpoc.Reference()) == nil)

	// Had the host made it up, the receipt would say so.
	receipt.WrongTiles = receipt.WrongTiles[:1]
	receipt.Sign(host)
	fmt.Println(receipt.Verify(ctx, mpoc.Reference()))
	// Output:
	// rejected after 90 tiles; 3 wrong ones decide
	// the receipt holds: true
	// mpoc: the host broke its own terms: judged after 1 rounds with 0 samples and 1 tiles wrong, which decides nothing
}

func ExampleChooseShape() {
	for _, rate := range []uint64{4e9, 400e9, 2000e12} {
		p := mpoc.ChooseShape(rate)
		fmt.Printf("%v for %d s: %d loops\n", p.Shape, p.DurationMS/1000, p.Loops)
	}
	// Output:
	// 512x256x512 for 60 s: 1788 loops
	// 1024x1024x1024 for 20 s: 3725 loops
	// 8192x8192x8192 for 20 s: 36379 loops
}
