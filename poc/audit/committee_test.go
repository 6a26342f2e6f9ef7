// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
)

func anySeed(t *rapid.T) (s seed.Seed) {
	copy(s[:], rapid.SliceOfN(rapid.Byte(), len(s), len(s)).Draw(t, "seed"))
	return s
}

// Holds spec A-5.
func TestShuffleIsAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "n")
		out := Shuffle(anySeed(t), n)
		sorted := slices.Sorted(slices.Values(out))
		for i, v := range sorted {
			if i != v {
				t.Fatalf("%v", out)
			}
		}
		if len(out) != n {
			t.Fatalf("%d of %d", len(out), n)
		}
	})
}

// Anyone who holds twice as much is drawn first twice as often, nobody twice, and who holds nothing
// never.
func TestLotteryFollowsWhatIsHeld(t *testing.T) {
	held := []uint64{0, 100, 200, 0, 700}
	first := make([]int, len(held))
	const rounds = 20_000
	for i := range rounds {
		s := seed.Share(seed.Seed{1}, uint64(i))
		drawn := Lottery(s, held, 10)
		if len(drawn) != 3 {
			t.Fatalf("drew %v", drawn)
		}
		if diff := cmp.Diff([]int{1, 2, 4}, slices.Sorted(slices.Values(drawn))); diff != "" {
			t.Fatal(diff)
		}
		first[drawn[0]]++
	}
	for i, h := range held {
		want := rounds * float64(h) / 1000
		if got := float64(first[i]); got < want*0.93 || got > want*1.07 {
			t.Errorf("ticket %d of %d was drawn first %v times, want about %v", i, h, got, want)
		}
	}
	if out := Lottery(seed.Seed{}, []uint64{1 << 63, 1 << 63}, 1); out != nil {
		t.Errorf("a sum beyond 64 bits drew %v", out)
	}
	if out := Lottery(seed.Seed{}, nil, 3); out != nil {
		t.Errorf("no tickets drew %v", out)
	}
}

// Holds spec A-5.
func TestLotteryAgainstTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := rapid.SliceOfN(rapid.Uint64Range(0, 5), 0, 40).Draw(t, "held")
		n := rapid.IntRange(0, 50).Draw(t, "n")
		s := anySeed(t)
		w, left, total := words{key: prf.Key(s)}, slices.Clone(held), uint64(0)
		for _, h := range held {
			total += h
		}
		var want []int
		for len(want) < n && total > 0 {
			at, number := 0, w.below(total)
			for number >= left[at] {
				number -= left[at]
				at++
			}
			want = append(want, at)
			total -= left[at]
			left[at] = 0
		}
		if diff := cmp.Diff(want, Lottery(s, held, n)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Every sample falls to exactly r slots, and over a round of samples every slot works equally
// often.
// Holds spec A-6.
func TestWorksSharesEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 100).Draw(t, "slots")
		r := rapid.IntRange(1, slots).Draw(t, "r")
		load := make([]int, slots)
		for j := range slots {
			n := 0
			for slot := range slots {
				if Works(slots, r, slot, j) {
					n++
					load[slot]++
				}
			}
			if n != r {
				t.Fatalf("sample %d falls to %d slots", j, n)
			}
		}
		for slot, l := range load {
			if l != r {
				t.Fatalf("slot %d of %d works %d times in a round, want %d", slot, slots, l, r)
			}
		}
	})
	if Works(0, 1, 0, 0) || Works(4, 2, 4, 0) || Works(4, 2, -1, 0) || Works(4, 2, 0, -1) {
		t.Error("slots and samples that do not exist")
	}
}

// Holds spec A-5.
func TestPicks(t *testing.T) {
	if Picks(seed.Seed{}, 0, 3) != nil || Picks(seed.Seed{}, 3, 0) != nil {
		t.Error("nothing to pick from")
	}
	for _, v := range Picks(seed.Seed{2}, 7, 1000) {
		if v >= 7 {
			t.Fatalf("picked %d of 7", v)
		}
	}
}
