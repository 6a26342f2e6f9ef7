// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Numbers of the rules, computed by hand. A nano unit is 32 x 2^20 operations, a small one
// 1024.
// Holds spec S-11, S-12.
func TestDutiesFit(t *testing.T) {
	p := DefaultParams()
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"a lone voter judges nobody, but a leaf has one replica", replicasOf(p, 1), 1},
		{"no voter at all", replicasOf(p, 0), 1},
		{"all of 5 are members", replicasOf(p, 5), 4},
		{"all of 16 are members", replicasOf(p, 16), 15},
		{"of 17 some are drawn", replicasOf(p, 17), 16},

		{"a twentieth of 2,048,000 x 2^20 operations in small leaves",
			dutyLeaves(2_048_000, transformer.Small), 100},
		{"the same in nano leaves", dutyLeaves(2_048_000, transformer.Nano), 3200},

		{"nothing was credited: all samples", samplesOf(p, 0, transformer.Nano, 16, 10), 200},
		{"no targets: nothing to divide by", samplesOf(p, 1<<40, transformer.Nano, 16, 0), 200},
		{"B = 6,400 leaves over 16 x 10", samplesOf(p, 4_096_000, transformer.Nano, 16, 10), 40},
		{"never less than 16", samplesOf(p, 4_096_000, transformer.Nano, 16, 1000), 16},
		{"never more than the parameter", samplesOf(p, 1<<50, transformer.Nano, 16, 10), 200},

		{"nothing was credited, no holders: 16 places", placesOf(0, transformer.Nano, 1, 0), 16},
		{"three holders leave 13", placesOf(0, transformer.Nano, 2, 3), 13},
		{"15 holders leave a place, but an eighth of 16 is two",
			placesOf(0, transformer.Nano, 14, 15), 2},
		{"holders fill all places: an eighth stays", placesOf(0, transformer.Nano, 16, 1000), 2},
		{"P = 25,600 / 256 = 100, 40 holders", placesOf(25_600*32*20, transformer.Nano, 16, 40),
			60},
		{"P = 100, 500 holders", placesOf(25_600*32*20, transformer.Nano, 16, 500), 12},

		{"2^57 operations are free", sprintv1.MayCommit(0, 5, transformer.Nano.MiOps()), 1 << 32},
		{"of class small", sprintv1.MayCommit(0, 5, transformer.Small.MiOps()), 1 << 27},
		{"four times the last credit over five segments",
			sprintv1.MayCommit(1<<45, 5, transformer.Small.MiOps()), 4 << 45 / 5 / 1024},
		{"a genesis weight beyond all does not wrap",
			sprintv1.MayCommit(math.MaxUint64, 1, transformer.Nano.MiOps()), 4 << 50 / 32},
		{"no segments", sprintv1.MayCommit(1<<45, 0, transformer.Small.MiOps()), 4 << 45 / 1024},

		{"nothing credited: no limit", ownLeaves(0, transformer.Nano), 0},
		{"a fifth of 1,000 leaves", ownLeaves(32_000, transformer.Nano), 200},
		{"one at least", ownLeaves(1, transformer.Small), 1},

		{"8 x 2^30 a block for 60 blocks, one small target",
			chainSamples(8<<10, 60, transformer.Small, 1), 480},
		{"ten of them", chainSamples(8<<10, 60, transformer.Small, 10), 48},
		{"a hundred: the least", chainSamples(8<<10, 60, transformer.Small, 100), 16},
		{"nobody", chainSamples(8<<10, 60, transformer.Small, 0), 0},

		{"an unjudged holder keeps 829 of 1000", unjudged(2000, 1000), 829},
		{"of the smaller", unjudged(100, 1000), 82},
		{"a newcomer has nothing to keep", unjudged(1000, 0), 0},

		{"half", share(1, 2), 5000},
		{"more than all is all", share(3, 2), 10_000},
		{"nothing of nothing", share(0, 0), 10_000},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
}

// Together the members re-run no more than a twentieth of what was credited, unless each target's
// least takes more.
// Holds spec S-11.
func TestPropertyTheSampleStaysWithinTheBudget(t *testing.T) {
	p := DefaultParams()
	rapid.Check(t, func(r *rapid.T) {
		credited := rapid.Uint64Max(math.MaxUint64).Draw(r, "credited")
		replicas, targets := rapid.Uint64Range(1, 64).Draw(r, "replicas"),
			rapid.Uint64Range(1, 20_000).Draw(r, "targets")
		class := rapid.SampledFrom([]transformer.Class{transformer.Nano, transformer.Small}).Draw(r,
			"class")
		n := samplesOf(p, credited, class, replicas, targets)
		if n < leastSamples || n > uint64(p.Samples) {
			r.Fatalf("%d samples", n)
		}
		if budget := credited / 20 / class.MiOps(); credited > 0 && n > leastSamples &&
			n*replicas*targets > budget {
			r.Fatalf("%d x %d x %d leaves are re-run of a budget of %d", n,
				replicas, targets, budget)
		}
	})
}

func TestMulDivIsExact(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b, c := rapid.Uint64().Draw(r, "a"), rapid.Uint64().Draw(r, "b"),
			rapid.Uint64Min(1).Draw(r, "c")
		want := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
		want.Quo(want, new(big.Int).SetUint64(c))
		if got := mulDiv(a, b, c); !want.IsUint64() && got != math.MaxUint64 || want.IsUint64() &&
			got != want.Uint64() {
			r.Fatalf("%d * %d / %d = %d; want %s, or the largest number beyond 64 bits",
				a, b, c, got, want)
		}
	})
}

// A committee of liars can pass any count. What it makes of a claim must still leave every later
// draw possible: one that is out of range would stop every node at the same block.
// Holds spec P-1.
func TestNoClaimMakesWeightsWrapAround(t *testing.T) {
	// the most that logs of an epoch can claim: segments, nodes, count of each
	const counts = 64 * 256 << 48
	var all []voter
	total := uint64(0)
	for i := range 1000 {
		w := weightOf(counts, transformer.Small)
		if w < 1<<50 || w > maxWeight {
			t.Fatalf("%d units weigh %d", uint64(counts), w)
		}
		if total > math.MaxUint64-w {
			t.Fatal("the sum of weights wraps around")
		}
		total += w
		all = append(all, voter{name: name(i), weight: w})
	}
	all = capped(all, votingRules())
	assemble("chain", 1, [32]byte{1}, 64, 16, false, all, []target{{name(1), 200}})
	if got := weightOf(12, transformer.Nano); got != 12*32 {
		t.Errorf("12 nano units weigh %d, want 384", got)
	}
}
