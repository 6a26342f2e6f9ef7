// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cosmos/cosmos-sdk/baseapp"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
)

const (
	signs  = cmtproto.BlockIDFlagCommit
	isNil  = cmtproto.BlockIDFlagNil
	absent = cmtproto.BlockIDFlagAbsent
)

// votes is a chain whose set CometBFT keeps: what a block says about validators acts two blocks
// later, and a block's commit names the set of the block before it.
type votes struct {
	*chain
	// sets of the last block, of the next and of the one after it, names with power
	sets [3]map[string]uint64
	// missed counts the commits in a row that lack a name's signature
	missed map[string]uint64
}

func voting(t testing.TB, p creditv1.Params, weights map[string]uint64, names ...string) *votes {
	t.Helper()
	v := &votes{chain: begin(t, p, weights, names...), missed: map[string]uint64{}}
	now := v.powers(t)
	v.sets = [3]map[string]uint64{nil, now, now}
	v.ctx = v.ctx.WithBlockHeight(1)
	return v
}

// next runs a block: its begin with the last one's commit, what happens in it, and its end.
func (v *votes) next(t testing.TB, flag func(name string) cmtproto.BlockIDFlag, in ...func()) {
	t.Helper()
	var commit abci.CommitInfo
	for _, name := range slices.Sorted(maps.Keys(v.sets[0])) {
		commit.Votes = append(commit.Votes, abci.VoteInfo{BlockIdFlag: flag(name),
			Validator: abci.Validator{Address: registry.ConsensusAddress(consensusKey(name)),
				Power: int64(v.sets[0][name])}})
		v.missed[name]++
		if flag(name) != absent {
			v.missed[name] = 0
		}
	}
	for name := range v.missed {
		if v.sets[0][name] == 0 {
			delete(v.missed, name)
		}
	}
	if err := v.BeginBlock(v.ctx.WithCometInfo(baseapp.NewBlockInfo(nil, nil, nil,
		commit))); err != nil {
		t.Fatal(err)
	}
	for _, do := range in {
		do()
	}
	v.block(t)
	v.sets = [3]map[string]uint64{v.sets[1], v.sets[2], v.powers(t)}
}

// but lets everybody sign except these.
func but(names ...string) func(string) cmtproto.BlockIDFlag {
	return func(name string) cmtproto.BlockIDFlag {
		if slices.Contains(names, name) {
			return absent
		}
		return signs
	}
}

func (v *votes) seat(t testing.TB, name string) (s creditv1.Seat) {
	t.Helper()
	seats, err := v.Seats(v.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seats {
		if s.Participant == name {
			return s
		}
	}
	return s
}

var five = map[string]uint64{"a": 25, "b": 25, "c": 20, "d": 20, "e": 10}

// A key that signs nothing loses its power with the commit that completes offline_blocks, keeps its
// weight, and has its power again with the next settlement, all of it: to come back is no move.
// Holds spec P-15.
func TestAKeyThatSignsNothingLosesItsPowerUntilTheNextSettlement(t *testing.T) {
	v := voting(t, credit.DefaultParams(), five, "a", "b", "c", "d", "e")
	v.next(t, but()) // no commit before the first block
	for i := range 120 {
		if v.powers(t)["a"] != 250_000 {
			t.Fatalf("after %d missed blocks it has %d", i, v.powers(t)["a"])
		}
		v.next(t, but("a"))
	}
	want := map[string]uint64{"b": 333_333, "c": 266_667, "d": 266_667, "e": 133_333}
	got := v.powers(t)
	for name, p := range want {
		if d := int64(got[name]) - int64(p); d < -1 || d > 1 || len(got) != 4 {
			t.Errorf("after 120 missed blocks the set is %v, want %v", got, want)
			break
		}
	}
	if h := v.holding(t, "a"); h.Weight != 25 || h.Power != 250_000 {
		t.Errorf("its holding is %v", h)
	}
	if weight, _ := v.vote(t, "a"); weight != 25 {
		t.Errorf("its vote weighs %d", weight)
	}
	for range 10 { // named in two more commits; back, and not in the set
		v.next(t, but())
	}
	if s := v.seat(t, "a"); s.Offline != 250_000 || s.Told != 0 {
		t.Errorf("its seat is %v", s)
	}
	v.void(t, []string{"a", "b", "c", "d", "e"}, nil)
	v.next(t, but())
	if v.powers(t)["a"] != 0 {
		t.Error("a void epoch gave power back")
	}
	v.settle(t, 100, five, "a", "b", "c", "d", "e")
	v.next(t, but())
	if diff := cmp.Diff(map[string]uint64{"a": 250_000, "b": 250_000, "c": 200_000, "d": 200_000,
		"e": 100_000}, v.powers(t)); diff != "" {
		t.Errorf("after the settlement (-want +got):\n%s", diff)
	}
	for range 130 {
		v.next(t, but())
	}
	if v.powers(t)["a"] != 250_000 {
		t.Error("who came back and signs was taken out again")
	}
}

// One signature in offline_blocks blocks is enough, a vote for nil, too. Blocks in which a key was
// not in the set do not count.
// Holds spec P-15.
func TestOneSignatureKeepsPower(t *testing.T) {
	for name, flag := range map[string]func(i int) cmtproto.BlockIDFlag{
		"for a block": func(i int) cmtproto.BlockIDFlag {
			if i%20 == 19 {
				return signs
			}
			return absent
		},
		"for nil": func(i int) cmtproto.BlockIDFlag {
			if i%20 == 19 {
				return isNil
			}
			return absent
		},
		"nil at all times": func(int) cmtproto.BlockIDFlag { return isNil },
	} {
		v := voting(t, credit.LocalnetParams(), five, "a", "b", "c", "d", "e")
		for i := range 100 {
			v.next(t, func(who string) cmtproto.BlockIDFlag {
				if who != "a" {
					return signs
				}
				return flag(i)
			})
			if v.powers(t)["a"] == 0 {
				t.Fatalf("%s: lost its power at block %d", name, i)
			}
		}
	}
	v := voting(t, credit.LocalnetParams(), five, "a", "b", "c", "d")
	v.settle(t, 100, five, "a", "b", "c", "d", "e")
	for i := range 22 { // told at the end of the first block, in the commit of the fourth
		if v.next(t, but("e")); v.powers(t)["e"] == 0 {
			t.Fatalf("a newcomer lost its power at block %d", i)
		}
	}
	if v.next(t, but("e")); v.powers(t)["e"] != 0 {
		t.Error("a newcomer that never signed keeps its power")
	}
}

// Those taken out between two settlements held less than a third of the set: two of 20 % go if the
// first of them held 10 %. A third one of 20 % stays, and so does the last.
// Holds spec P-15.
func TestLessThanAThirdIsTakenOut(t *testing.T) {
	v := voting(t, credit.LocalnetParams(), five, "a", "b", "c", "d", "e")
	v.next(t, but())
	for range 10 {
		v.next(t, but("e"))
	}
	for range 60 {
		v.next(t, but("e", "d", "c"))
	}
	if got := slices.Sorted(maps.Keys(v.powers(t))); len(got) != 3 || got[0] != "a" {
		t.Errorf("in the set are %v; e went first, with 10 %%, then one of 20 %%", got)
	}
	// of three equal ones, two hold 333,333 of a million, which is less than a third
	for left, names := range map[int][]string{1: {"a"}, 2: {"a", "b"}, 3: {"a", "b", "c", "d"}} {
		weights := map[string]uint64{"a": 1, "b": 1, "c": 1, "d": 1}
		v := voting(t, credit.LocalnetParams(), weights, names...)
		for range 60 {
			v.next(t, but(names...))
		}
		if got := v.powers(t); len(got) != left {
			t.Errorf("of %v, none of whom signs, %v are left", names, got)
		}
	}
	// a third is 333,333.3 of a million: one unit below goes, one above stays
	for power, stays := range map[uint64]bool{333_333: false, 333_334: true} {
		v := voting(t, credit.LocalnetParams(), map[string]uint64{"a": power,
			"b": credit.TotalPower - power}, "a", "b")
		for range 30 {
			v.next(t, but("a"))
		}
		if v.powers(t)["a"] > 0 != stays {
			t.Errorf("of 1,000,000, a holder of %d stays: %v, want %v", power, !stays, stays)
		}
	}
}

// A cut for an offence finds those who are left; when they were all cut, nobody leaves.
// Holds spec P-8.
func TestOfflineAndCutTogetherLeaveSomebody(t *testing.T) {
	weights := map[string]uint64{"a": 30, "b": 70}
	v := voting(t, credit.LocalnetParams(), weights, "a", "b")
	v.next(t, but())
	for range 19 {
		v.next(t, but("a"))
	}
	v.next(t, but("a"), func() {
		if err := v.Cut(v.ctx, "b"); err != nil {
			t.Fatal(err)
		}
	})
	if got := v.powers(t); got["b"] == 0 {
		t.Errorf("the set is %v: whoever signs was taken out of it", got)
	}
	v.settle(t, 100, map[string]uint64{"a": 30}, "a")
	v.next(t, but())
	if got := v.powers(t); got["a"] != credit.TotalPower {
		t.Errorf("after the settlement the set is %v", got)
	}
}

// The first block after an import has no commit; nobody missed it.
func TestAnImportForgivesAbsences(t *testing.T) {
	v := voting(t, credit.LocalnetParams(), five, "a", "b", "c", "d", "e")
	v.next(t, but())
	for range 19 {
		v.next(t, but("a"))
	}
	v.chain = v.again(t)
	g, err := v.ExportGenesis(v.ctx)
	if err != nil || len(g.Absences) != 1 || g.Absences[0].Since != 1 {
		t.Fatalf("absences %v, %v", g.Absences, err)
	}
	v.sets[0] = nil
	v.next(t, but("a"))
	for i := range 20 {
		if v.powers(t)["a"] == 0 {
			t.Fatalf("lost its power %d blocks after an import", i)
		}
		v.next(t, but("a"))
	}
	if v.powers(t)["a"] != 0 {
		t.Error("keeps its power")
	}
}

// A state whose parameters know no offline_blocks, as one from before the parameter has, takes
// nobody out and stores nothing.
func TestAStateWithoutTheParameterTakesNobodyOut(t *testing.T) {
	v := voting(t, credit.LocalnetParams(), five, "a", "b", "c", "d", "e")
	p := credit.LocalnetParams()
	p.OfflineBlocks = 0
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	v.ctx.KVStore(v.store).Set([]byte{0}, raw)
	before := v.state()
	for range 30 {
		v.next(t, but("a"))
	}
	if diff := cmp.Diff(before, v.state()); diff != "" {
		t.Errorf("the state moved (-was +is):\n%s", diff)
	}
}

// Whatever signs, votes, settles, is cut or comes by way of an export: the set is never empty and
// adds up; only who missed the last offline_blocks commits is taken out; those taken out since the
// last settlement held less than a third; who signs keeps at least its share.
// Holds spec P-8, P-15.
func TestPropertyAbsenceTakesLessThanAThirdAndNeverTheLast(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights, names := map[string]uint64{}, []string{}
		for i := range rapid.IntRange(1, 9).Draw(rt, "names") {
			name := fmt.Sprintf("p%02d", i)
			names, weights[name] = append(names, name), rapid.Uint64Range(1, 50).Draw(rt, "weight")
		}
		v := voting(t, credit.LocalnetParams(), weights, names...)
		away, cut := map[string]bool{}, map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(rt, "stretches") {
			for _, name := range names {
				away[name] = rapid.IntRange(0, 9).Draw(rt, "away") < 4
			}
			flag := func(name string) cmtproto.BlockIDFlag {
				if away[name] {
					return absent
				}
				return signs
			}
			what := rapid.IntRange(0, 9).Draw(rt, "act")
			whom := rapid.SampledFrom(names).Draw(rt, "whom")
			if what == 3 {
				twin := v.again(t)
				if diff := cmp.Diff(v.state(), twin.state()); diff != "" {
					rt.Fatalf("an import stores something else (-exported +imported):\n%s", diff)
				}
				v.chain = twin
			}
			for i := range rapid.IntRange(1, 30).Draw(rt, "blocks") {
				before, settles := v.powers(t), false
				var act []func()
				switch {
				case i > 0:
				case what < 2:
					settles = true
					act = append(act, func() { v.settle(t, 1<<40, weights, names...) })
				case what == 2:
					cut[whom] = true
					act = append(act, func() {
						if err := v.Cut(v.ctx, whom); err != nil {
							rt.Fatal(err)
						}
					})
				}
				v.next(t, flag, act...)
				if settles {
					clear(cut)
				}
				v.holds(rt, before, cut, settles)
			}
		}
	})
}

func (v *votes) holds(t *rapid.T, before map[string]uint64, cut map[string]bool, settled bool) {
	seats, err := v.Seats(v.ctx)
	if err != nil {
		t.Fatal(err)
	}
	now, goal, offline := map[string]uint64{}, map[string]uint64{}, uint64(0)
	for _, s := range seats {
		offline += s.Offline
		goal[s.Participant] = s.Power
		if s.Told > 0 {
			now[s.Participant] = s.Told
		}
	}
	sum := uint64(0)
	for name, p := range now {
		sum += p
		if p+10 < min(before[name], goal[name]) {
			t.Fatalf("%s fell from %d to %d; it is to have %d", name, before[name], p, goal[name])
		}
	}
	if sum != credit.TotalPower || offline*3 >= credit.TotalPower {
		t.Fatalf("the set adds up to %d, and %d are lost to absence", sum, offline)
	}
	for name := range before {
		if now[name] == 0 && !cut[name] && !settled && v.missed[name] < 20 {
			t.Fatalf("%s was taken out after %d missed blocks", name, v.missed[name])
		}
	}
}

// BenchmarkBeginBlock measures what reading a commit of 300 costs a block: when all sign, while a
// third is absent, and when a third more is overdue than may be taken out.
func BenchmarkBeginBlock(b *testing.B) {
	weights, names := map[string]uint64{}, []string{}
	for i := range 300 {
		name := fmt.Sprintf("p%03d", i)
		names, weights[name] = append(names, name), 1000
	}
	for what, away := range map[string]int{"all sign": 0, "100 absent": 100, "200 absent": 200} {
		b.Run(what, func(b *testing.B) {
			v := voting(b, credit.DefaultParams(), weights, names...)
			for range 130 {
				v.next(b, but(names[:away]...))
			}
			var commit abci.CommitInfo
			flag := but(names[:away]...)
			for name := range v.sets[0] {
				commit.Votes = append(commit.Votes, abci.VoteInfo{BlockIdFlag: flag(name),
					Validator: abci.Validator{
						Address: registry.ConsensusAddress(consensusKey(name))}})
			}
			ctx := v.ctx.WithCometInfo(baseapp.NewBlockInfo(nil, nil, nil, commit))
			for b.Loop() {
				if err := v.BeginBlock(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
