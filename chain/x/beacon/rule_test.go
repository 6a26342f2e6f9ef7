// SPDX-License-Identifier: Apache-2.0

package beacon_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/poc/seed"
)

// whole is all of the power in Output.Share.
const whole = uint64(1) << 32

// outputs makes blocks after deadline, one per proposer, with these shares.
func outputs(deadline int64, proposers []string, share func(string) uint64) []beaconv1.Output {
	var out []beaconv1.Output
	for i, p := range proposers {
		h := deadline + 1 + int64(i)
		out = append(out, beaconv1.Output{
			Height: h, Proposer: []byte(p), Share: share(p),
			Value: seed.BeaconValue("test", uint64(h), seed.Seed{}, nil, []byte(p)).Bytes(),
		})
	}
	return out
}

func repeat(name string, n int) (all []string) {
	for range n {
		all = append(all, name)
	}
	return all
}

// sybils names n identities of one owner.
func sybils(n int) (all []string) {
	for i := range n {
		all = append(all, "sybil "+string(rune('A'+i)))
	}
	return all
}

func equal(n uint64) func(string) uint64 {
	return func(string) uint64 { return whole / n }
}

// Holds spec B-4.
func TestResolve(t *testing.T) {
	// 30 identities of one owner hold 32 % together; outsiders hold the rest.
	minority := func(p string) uint64 {
		if p[0] == 's' {
			return whole * 32 / 100 / 30
		}
		return whole * 17 / 100
	}
	for name, c := range map[string]struct {
		proposers []string
		share     func(string) uint64
		// blocks after the deadline at which the rule holds; 0: never
		want int64
	}{
		"no block":                        {nil, equal(1), 0},
		"one block of a sole validator":   {repeat("a", 1), equal(1), 0},
		"two blocks of a sole validator":  {repeat("a", 2), equal(1), 2},
		"three equals, one of them alone": {repeat("a", 50), equal(3), 0},
		"three equals, two of them":       {[]string{"a", "a", "b"}, equal(3), 3},
		"three equals in turn":            {[]string{"a", "b", "c"}, equal(3), 2},
		"exactly a third":                 {[]string{"a", "b", "c"}, equal(9), 0},
		"just above a third":              {[]string{"a", "b", "c", "d"}, equal(9), 4},
		"a run of 30 sybils below 1/3":    {sybils(30), minority, 0},
		"the run, then an outsider":       {append(sybils(30), "outsider"), minority, 31},
		// 16 of them and 17 %
		"an outsider within the run": {append(append(sybils(5), "outsider"), sybils(30)...),
			minority, 22},
		"the run goes round twice": {append(sybils(30), sybils(30)...), minority, 0},
		"a large outsider at once": {[]string{"out", "sybil A"}, func(p string) uint64 {
			return map[string]uint64{"out": whole / 2, "sybil A": 1}[p]
		}, 2},
		"a proposer without power": {repeat("gone", 40), func(string) uint64 { return 0 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			const deadline = 100
			values, height, ok, err := beacon.Resolve(outputs(deadline, c.proposers, c.share),
				deadline)
			if err != nil {
				t.Fatal(err)
			}
			if ok != (c.want > 0) || ok &&
				(height != deadline+c.want || int64(len(values)) != c.want) {
				t.Errorf("resolved %v at +%d with %d values, want +%d", ok, height-deadline,
					len(values), c.want)
			}
		})
	}
}

// Holds spec B-4.
func TestResolveCountsPowerThatMovesOnce(t *testing.T) {
	// One proposer, seen with 30 % and then, after an epoch's end, with 40 %:
	// it never counts for more than 30 %.
	out := outputs(0, []string{"a", "a", "a"}, equal(1))
	for i, percent := range []uint64{30, 40, 40} {
		out[i].Share = whole * percent / 100
	}
	if _, _, ok, err := beacon.Resolve(out, 0); ok || err != nil {
		t.Errorf("resolved %v, %v", ok, err)
	}
	// The same when it shrinks after it was counted.
	out[0].Share, out[1].Share, out[2].Share = whole*33/100, whole*20/100, whole*34/100
	if _, _, ok, err := beacon.Resolve(out, 0); ok || err != nil {
		t.Errorf("resolved %v, %v", ok, err)
	}
}

func TestResolveRefusesGaps(t *testing.T) {
	out := outputs(5, []string{"a", "b", "c", "d"}, equal(4))
	for name, damaged := range map[string][]beaconv1.Output{
		"pruned start": out[1:],
		"hole":         {out[0], out[2]},
		"repetition":   {out[0], out[0]},
	} {
		if _, _, _, err := beacon.Resolve(damaged, 5); !errors.Is(err, beacon.ErrMissing) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the proposers and their power: the rule holds at the first height
// it can hold at, never without two blocks and more than 1/3, and what comes
// after does not change it.
// Holds spec B-4.
func TestResolveIsTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parties := rapid.IntRange(1, 8).Draw(t, "parties")
		shares := make([]uint64, parties)
		left := whole
		for i := range shares {
			shares[i] = rapid.Uint64Range(0, left).Draw(t, "share")
			left -= shares[i]
		}
		var proposers []string
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, parties-1), 0, 20).Draw(t, "proposers") {
			proposers = append(proposers, string(rune('a'+i)))
		}
		out := outputs(9, proposers, func(p string) uint64 { return shares[p[0]-'a'] })
		_, height, ok, err := beacon.Resolve(out, 9)
		if err != nil {
			t.Fatal(err)
		}
		held := func(n int) bool {
			seen, sum := map[string]bool{}, uint64(0)
			for _, p := range proposers[:n] {
				if !seen[p] {
					seen[p], sum = true, sum+shares[p[0]-'a']
				}
			}
			return n >= 2 && 3*sum > whole
		}
		first := 0
		for n := 1; n <= len(proposers) && first == 0; n++ {
			if held(n) {
				first = n
			}
		}
		if ok != (first > 0) || ok && height != 9+int64(first) {
			t.Fatalf("resolved %v at %d, want block %d after the deadline", ok, height, first)
		}
	})
}
