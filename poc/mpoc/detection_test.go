// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// submissions is how many are drawn for each share.
const submissions = 1000

// Detection measured against theory: logs of 200 loops, so 12,800 tiles, of which
// a share is forged at random places; every submission is a challenge, a root
// and a nonce of its own. Digests stand for units here (what is counted is which
// tiles are asked); TestDetectionByOpenings does the same with real openings.
func TestDetection(t *testing.T) {
	const loops = 200
	t.Logf("seed 20261125")
	rng := rand.New(rand.NewPCG(20261125, 1))
	for _, percent := range []uint64{1, 5, 10, 50} {
		caught, thrice := 0, 0
		const total = loops * 64
		const forged = total / 100
		for i := range submissions {
			terms := testTerms(testNonce)
			terms.MaxLoops = loops
			nonce := seed.Seed{byte(i), byte(i >> 8), byte(percent)}
			terms = Offer(terms, seed.Seed{byte(i), byte(i >> 8)}, nonce)
			bad := map[Pick]bool{}
			for _, at := range rng.Perm(total)[:forged*percent] {
				bad[Pick{uint64(at / 64), uint32(at % 64)}] = true
			}
			var f commit.Frontier
			for unit := range uint64(loops) {
				f.Append(terms.LeafHash(unit, [32]byte{byte(i), byte(i >> 8), byte(unit)}))
			}
			l := Log{terms, Commit{Loops: loops, MerkleRoot: f.Root()}}
			draw := full(terms, nonce)
			if err := draw.Verify(l); err != nil {
				t.Fatal(err)
			}
			met := 0
			for _, p := range draw.Questions(l).Picks(0) {
				if bad[p] {
					met++
				}
			}
			if met > 0 {
				caught++
			}
			if met >= 3 {
				thrice++
			}
		}
		atOnce := audit.Detection(total, forged*percent, DefaultPicks, 1)
		within(t, "caught", percent, caught, atOnce)
		within(t, "caught thrice", percent, thrice,
			audit.Detection(total, forged*percent, DefaultPicks, 3))
		if percent == 5 && atOnce.String() < "0.99" {
			t.Errorf("5 %% is caught with %v", atOnce)
		}
	}
}

// within demands that a count is within 4.5 deviations of what a probability
// says, which a right one misses once in 150,000.
func within(t *testing.T, what string, percent uint64, count int, q audit.Q64) {
	t.Helper()
	p := math.Ldexp(float64(q), -64)
	mean, dev := submissions*p, math.Sqrt(submissions*p*(1-p))
	t.Logf("f = %2d %%: %-13s %4d of %d, theory %.1f", percent, what, count, submissions, mean)
	if math.Abs(float64(count)-mean) > 4.5*dev+1 {
		t.Errorf("f = %d %%: %s %d of %d, theory %.1f +- %.1f", percent, what, count,
			submissions, mean, dev)
	}
}

// The same with openings that are verified and recomputed. Nobody honest is
// rejected, and whoever is caught is so by tiles that are wrong.
func TestDetectionByOpenings(t *testing.T) {
	t.Log("seed 20261126")
	rng := rand.New(rand.NewPCG(20261126, 1))
	for _, percent := range []int{0, 1, 5, 10, 50} {
		n := 100
		if percent == 0 {
			n = submissions
		}
		const total = testLoops * 64
		forged := (total*percent + 50) / 100
		caught := 0
		for i := range n {
			nonce := seed.Seed{byte(i), byte(i >> 8), byte(percent), 1}
			terms := testTerms(nonce)
			bad := map[int]bool{}
			for _, at := range rng.Perm(total)[:forged] {
				bad[at] = true
			}
			d := newDevice(terms, func(u, tile int) bool { return bad[u*64+tile] })
			draw := full(terms, nonce)
			q := draw.Questions(d.log)
			p := d.answer(t, q, 0)
			if err := q.Verify(p); err != nil {
				t.Fatalf("an honest opening is refused: %v", err)
			}
			w, err := q.Recompute(t.Context(), cached{t}, p, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range w.Tiles {
				if !bad[int(o.Index)*64+int(o.Tile)] {
					t.Fatalf("tile %d of loop %d is right and was called wrong", o.Tile, o.Index)
				}
			}
			if percent == 0 && len(w.Samples) != 0 {
				t.Fatal("a right unit was called wrong")
			}
			if len(w.Tiles) > 0 {
				caught++
			}
		}
		q := math.Ldexp(float64(audit.Detection(total, uint64(forged), DefaultPicks, 1)), -64)
		mean, dev := float64(n)*q, math.Sqrt(float64(n)*q*(1-q))
		t.Logf("f = %2d %%: caught %d of %d, theory %.1f", percent, caught, n, mean)
		if math.Abs(float64(caught)-mean) > 4.5*dev+0.01 {
			t.Errorf("f = %d %%: caught %d of %d, theory %.1f +- %.1f", percent,
				caught, n, mean, dev)
		}
	}
}

// Why the device must not choose: 10 samples of its choice and 3 of them looked
// at never meet what it forged.
func TestChosenSamplesDetectNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(20261127, 1))
	terms := testTerms(testNonce)
	d := newDevice(terms, func(u, _ int) bool { return u >= 10 }) // two of twelve loops
	for range submissions {
		for _, index := range rng.Perm(10)[:3] { // the server's three among the chosen ten
			if matmul.Root(d.tiles[index]) != matmul.Root(tiles()[index]) {
				t.Fatal("a chosen sample is forged")
			}
		}
	}
	if o, _ := judge(t, d, full(terms, testNonce), cached{t}); o.Status != Rejected {
		t.Errorf("picks over all tiles: %+v", o)
	}
}
