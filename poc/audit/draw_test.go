// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
)

func numbered(i uint64) (s seed.Seed) {
	binary.LittleEndian.PutUint64(s[:], i)
	s[31] = 0x5a
	return s
}

// Holds spec A-2.
func TestPropertyDraw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.OneOf(rapid.Uint64Range(0, 300), rapid.Uint64()).Draw(t, "total")
		n := rapid.IntRange(-1, 250).Draw(t, "n")
		s := numbered(rapid.Uint64().Draw(t, "seed"))
		got := Draw(s, total, n)
		if want := min(uint64(max(n, 0)), total); uint64(len(got)) != want {
			t.Fatalf("%d numbers, want %d", len(got), want)
		}
		for i, v := range got {
			if v >= total || (i > 0 && v <= got[i-1]) {
				t.Fatalf("%v: not rising below %d", got, total)
			}
		}
		if !slices.Equal(got, Draw(s, total, n)) {
			t.Fatal("another result for the same seed")
		}
	})
}

// Every set of 2 out of 5 is drawn as often as any other (10 sets, chi-square
// with 9 degrees of freedom; 27.9 is exceeded once in a thousand), and every
// number of a larger draw equally often.
func TestDrawIsUniform(t *testing.T) {
	const runs = 20_000
	sets := map[[2]uint64]int{}
	single := make([]int, 50)
	for i := range uint64(runs) {
		sets[[2]uint64(Draw(numbered(i), 5, 2))]++
		for _, v := range Draw(numbered(i), 50, 10) {
			single[v]++
		}
	}
	if len(sets) != 10 {
		t.Fatalf("%d sets", len(sets))
	}
	chi := 0.0
	for _, n := range sets {
		d := float64(n) - runs/10
		chi += d * d / (runs / 10)
	}
	if chi > 27.9 {
		t.Errorf("sets: chi-square %.1f", chi)
	}
	for v, n := range single {
		// Mean 4000, standard deviation sqrt(20000*0.2*0.8) = 57.
		if math.Abs(float64(n)-runs/5) > 4.5*57 {
			t.Errorf("%d drawn %d times of %d", v, n, runs)
		}
	}
}

// Rejection: with a bound just above 2^63 nearly half of all words are refused,
// and the rest are used as they are.
// Holds spec A-1.
func TestBelowRejectsExactly(t *testing.T) {
	const bound = 1<<63 + 1
	key := prf.Key(numbered(1))
	w := words{key: key}
	var raw [4096]byte
	prf.Fill(raw[:], &key, 0, 0)
	refused := 0
	for at := 0; at+8 <= len(raw); at += 8 {
		v := binary.LittleEndian.Uint64(raw[at:])
		// 2^64 mod bound is bound-2, so the words from 2^64-(bound-2) on go.
		if v > math.MaxUint64-(bound-2) {
			refused++
			continue
		}
		if got := w.below(bound); got != v%bound {
			t.Fatalf("word %d: %d, want %d", at/8, got, v%bound)
		}
	}
	if refused < 200 || refused > 312 {
		t.Errorf("%d of 512 words refused", refused)
	}
	if got := (&words{key: key}).below(1); got != 0 {
		t.Errorf("below 1: %d", got)
	}
}

// Another seed, another total: another sample.
func TestDrawDependsOnSeedAndTotal(t *testing.T) {
	base := Draw(numbered(1), 1_000_000, 20)
	if slices.Equal(base, Draw(numbered(2), 1_000_000, 20)) {
		t.Error("the seed does not matter")
	}
	if slices.Equal(base, Draw(numbered(1), 1_000_001, 20)) {
		t.Error("the total does not matter")
	}
}

// TestForgingIsDetected: a log in which the share f is forged meets three or
// more of its forged leaves in N = 200 samples as often as theory says, for
// many seeded draws, within a binomial bound of 5 sigma.
func TestForgingIsDetected(t *testing.T) {
	const total, n, threshold, runs = 100_000, 200, 3, 2000
	for _, c := range []struct {
		forged uint64
		rough  float64
	}{{1000, 0.32}, {2000, 0.76}, {5000, 0.998}, {100, 0.001}} {
		exact := float64(Detection(total, c.forged, n, threshold)) / math.Exp2(64)
		if math.Abs(exact-c.rough) > 0.006 {
			t.Errorf("%d forged: theory gives %.4f, expected about %.3f", c.forged, exact, c.rough)
		}
		caught := 0
		for run := range uint64(runs) {
			bad := 0
			for _, v := range Draw(numbered(run<<20|c.forged), total, n) {
				// The forged ones are spread over the log: v mod (total/forged) = 0.
				if v%(total/c.forged) == 0 {
					bad++
				}
			}
			if bad >= threshold {
				caught++
			}
		}
		sigma := math.Sqrt(runs * exact * (1 - exact))
		if math.Abs(float64(caught)-runs*exact) > 5*sigma+1 {
			t.Errorf("%d forged: caught %d of %d runs, theory %.1f +- %.1f", c.forged, caught,
				runs, runs*exact, sigma)
		}
	}
}
