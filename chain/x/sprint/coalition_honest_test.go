// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

func honest(uint64, *party) play { return play{} }

func unwatched(map[string]uint64) {}

// holdersOf are honest ones that compute so much, rising by name.
func holdersOf(leaves ...uint64) []*party {
	var all []*party
	for i, n := range leaves {
		all = append(all, &party{name: fmt.Sprintf("h-%03d", i), index: i, leaves: n})
	}
	return all
}

func (w *world) weight(name string) uint64 { return must(w.credit.Holding(w.ctx, name)).Weight }

// of is a name's part of all weight.
func (w *world) of(name string) float64 {
	return float64(w.weight(name)) / float64(must(w.credit.TotalWeight(w.ctx)))
}

// Anyone who holds nearly all of the compute beside judges that are too small for it is credited
// with it, and so are they.
func TestHonestGiantsAreCredited(t *testing.T) {
	const epochs = 10
	for _, percent := range []uint64{50, 90, 97} {
		for _, small := range []int{1, 2, 3, 10, 15, 16, 40} {
			whole := uint64(max(1_000_000, 100*small*dustLeaves))
			leaves := append([]uint64{whole * percent / 100},
				lots(small, true, whole*(100-percent)/100)...)
			w := newWorld(1, credit.DefaultParams(), holdersOf(leaves...))
			got := make([]float64, len(leaves))
			for range epochs {
				if e := w.epoch(honest, unwatched); e.Void {
					t.Fatalf("a giant of %d %% beside %d: epoch %d is void: %s", percent, small,
						e.Number, e.VoidReason)
				}
				for i, p := range w.parties {
					got[i] += w.of(p.name) * float64(whole) / float64(leaves[i]) / epochs
					if w.weight(p.name) == 0 {
						t.Errorf("a giant of %d %% beside %d: %s computed and weighs nothing",
							percent, small, p.name)
					}
				}
			}
			for i, x := range got {
				if x < 0.85 || x > 1.15 || i == 0 && x < 0.98 {
					t.Errorf("a giant of %d %% beside %d: %s got %.3f of its part", percent, small,
						w.parties[i].name, x)
				}
			}
		}
	}
}

// C14: an honest newcomer beside free identities is drawn as soon as the chain told it, and at the
// latest when all others wait out the lottery's pause.
// Holds spec S-6.
func TestAnHonestNewcomerIsDrawnBesideFreeIdentities(t *testing.T) {
	seeds := uint64(3)
	if long() {
		seeds = 40
	}
	for _, free := range []int{0, 200, 1000} {
		waited, expected := uint64(0), uint64(0)
		for salt := range seeds {
			w := newWorld(salt, credit.DefaultParams(), holdersOf(lots(20, true, 400_000)...))
			w.register(&party{name: "newcomer", leaves: 20_000}, 0)
			for i := range free {
				w.register(&party{name: fmt.Sprintf("x%04d", i), coal: true, leaves: 100}, 0)
			}
			credited := uint64(0)
			for _, p := range w.parties {
				credited += w.weight(p.name)
			}
			places := placesOf(credited, w.class, replicasOf(DefaultParams(), 20), 20)
			expected = (uint64(free) + places) / places
			for e := uint64(1); ; e++ {
				w.epoch(honest, unwatched)
				if w.weight("newcomer") > 0 {
					waited += e
					break
				}
				if e > expected {
					t.Fatalf("beside %d free identities the newcomer was not drawn in %d epochs "+
						"of %d places", free, e, places)
				}
			}
		}
		t.Logf("beside %d free identities: credited in epoch %.1f on average, %d at the latest",
			free, float64(waited)/float64(seeds), expected)
	}
}

// C4: whatever the pattern in which rented compute is there, reports ready without computing,
// computes without opening or stays away: an epoch away leaves it at most half of its weight, two
// leave it no vote.
func TestPropertyNoPatternOfPresencePays(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(rapid.Uint64().Draw(r, "salt"), credit.DefaultParams(),
			holdersOf(lots(5, true, 500_000)...))
		names := rapid.IntRange(1, 4).Draw(r, "names")
		for i := range names {
			w.register(&party{name: fmt.Sprintf("r%d", i), coal: true,
				leaves: rapid.Uint64Range(1_300, 5_000_000).Draw(r, "leaves")}, 0)
		}
		gone := map[string]int{}
		for range rapid.IntRange(2, 8).Draw(r, "epochs") {
			plays, before := map[string]play{}, map[string]uint64{}
			for _, p := range w.parties {
				if before[p.name] = w.weight(p.name); p.coal {
					plays[p.name] = rapid.SampledFrom([]play{{}, {}, {away: true}, {idle: true},
						{closed: true}, {silent: true}}).Draw(r, p.name)
				}
			}
			w.epoch(func(_ uint64, p *party) play { return plays[p.name] }, unwatched)
			for name, does := range plays {
				if gone[name]++; !does.away {
					gone[name] = 0
					continue
				}
				if now := w.weight(name); now > before[name]/2 {
					r.Fatalf("%s was away, weighed %d and weighs %d", name, before[name], now)
				}
				if vote := must(w.credit.TallyWeight(w.ctx, name)); gone[name] >= 2 && vote > 0 {
					r.Fatalf("%s was away for %d epochs and votes with %d", name, gone[name], vote)
				}
			}
		}
	})
}

// C4: nine times the network, rented for four epochs and then gone but for what makes epochs void:
// names that hold a third of the weight stay away, all others only report ready, or compute the
// least that is judged. Nothing but compute shows weight: no vote is left after an epoch, and no
// more epochs are void than if all had gone.
func TestNoPresenceWithoutComputePays(t *testing.T) {
	voids := map[string]int{}
	for _, mode := range []string{"gone", "ready", "least"} {
		holders := holdersOf(lots(5, true, 1_000_000)...)
		for i := range 30 {
			holders = append(holders,
				&party{name: fmt.Sprintf("r-%02d", i), coal: true, leaves: 300_000})
		}
		w := newWorld(3, credit.DefaultParams(), holders)
		const rented, epochs = 4, 16
		for epoch := 1; epoch <= epochs; epoch++ {
			away, sum, total := map[string]bool{}, uint64(0), must(w.credit.TotalWeight(w.ctx))
			byWeight := slices.Clone(w.parties)
			slices.SortStableFunc(byWeight, func(a,
				b *party) int {
				return cmp.Compare(w.weight(a.name), w.weight(b.name))
			})
			for _, p := range byWeight {
				if p.coal && epoch > rented && (mode == "gone" || sum <= total/3) {
					away[p.name] = true
					sum += w.weight(p.name)
				}
			}
			e := w.epoch(func(number uint64, p *party) play {
				if !p.coal || number <= rented {
					return play{}
				}
				return play{away: away[p.name], idle: mode == "ready",
					leaves: func(int) uint64 { return dustLeaves }}
			}, unwatched)
			if e.Void {
				voids[mode]++
			}
			votes := 0.0
			for _, p := range w.parties {
				if p.coal {
					votes += float64(must(w.credit.TallyWeight(w.ctx, p.name)))
				}
			}
			if part := votes / float64(must(w.credit.TallyWhole(w.ctx)).Uint64()); epoch > rented &&
				part > 0.01 {
				t.Errorf("%s: %d epochs after they computed rented names have %.1f %% of the votes",
					mode, epoch-rented, 100*part)
			}
		}
	}
	if voids["ready"] > voids["gone"] || voids["least"] > voids["gone"] {
		t.Errorf("void epochs by what rented names did: %v", voids)
	}
	t.Logf("void epochs after nine times the network was rented: %v", voids)
}

// With 60 % of the honest away for five epochs a coalition of 1 % has at most 2 % of the power in
// any set, and one of 27 % at most 40 %, however it plays; everybody recovers.
func TestAnOutageHandsNothingToWhoStayed(t *testing.T) {
	for _, x := range []struct{ part, most uint64 }{{100, 20_000}, {2_700, 400_000}} {
		for _, tactic := range tactics() {
			if !long() && tactic.name != "honest" && tactic.name != "mixed by epoch" {
				continue
			}
			c := cell{tactic: tactic, honest: 20, equal: true, part: x.part, names: 4, seed: 3}
			w, watch, g := c.begin()
			const from, until, epochs = 6, 10, 50
			recovered, voids := 0, 0
			for epoch := uint64(1); epoch <= epochs; epoch++ {
				e := c.epoch(w, epoch, watch, func(p *party) play {
					return play{away: p.index >= 8 && epoch >= from && epoch <= until}
				})
				if e.Void {
					voids++
				}
				back := true
				mine := uint64(0)
				for name, power := range w.told {
					if w.byName[name].coal {
						mine += power
					}
				}
				for _, p := range w.parties {
					back = back && (p.coal || w.weight(p.name) > 0)
				}
				if epoch > until && recovered == 0 && back && mine <= x.part*124 {
					recovered = int(epoch - until)
				}
			}
			if g.peak > x.most {
				t.Errorf("%s, %d.%02d %%: %d millionths of the power", tactic.name, x.part/100,
					x.part%100, g.peak)
			}
			if recovered == 0 {
				t.Errorf("%s, %d.%02d %%: not recovered %d epochs after the outage", tactic.name,
					x.part/100, x.part%100, epochs-until)
			}
			t.Logf("%-24s %2d %%: peak %5.2f %% of the power, %d epochs void, back %d epochs "+
				"after the outage", tactic.name, x.part/100, float64(g.peak)/1e4, voids, recovered)
		}
	}
}

// Nobody honest is rejected, convicted or jailed for what hardware and hosts do: one leaf in 10,000
// is wrong, as a target's and as a judge's middle digest; one host in fifty restarts in an epoch
// and misses something; one in ten is too slow for a third of its duties. Only a host that stays
// silent three times in a row is jailed.
func TestNobodyHonestIsConvicted(t *testing.T) {
	const participants = 20
	epochs := 100
	if long() {
		epochs = 5_000
	}
	holders := holdersOf(lots(participants, false, 2_000_000)...)
	for _, p := range holders {
		p.wrong = 1 << 64 / 10_000
	}
	w := newWorld(5, credit.DefaultParams(), holders)
	results := map[sprintv1.Result]int{}
	// epochs in a row in which a name missed its opening or its verdict
	silent, thrice, voids := map[string]int{}, 0, 0
	for range epochs {
		e := w.epoch(func(number uint64, p *party) play {
			var does play
			if p.index%10 == 3 {
				does.judges = func(duty, duties int) bool { return 3*duty < 2*duties }
			}
			misses := uint64(0)
			if w.random("restart", number, p.name)%50 == 0 {
				misses = 1 + w.random("misses", number, p.name)%4
			}
			does.away, does.idle, does.closed, does.silent = misses == 1, misses == 2,
				misses == 3, misses == 4
			if silent[p.name]++; !does.closed && !does.silent {
				silent[p.name] = 0
			}
			if silent[p.name] >= 3 {
				thrice++
			}
			return does
		}, unwatched)
		if e.Void {
			voids++
		}
		for _, p := range w.parties {
			o, err := w.sprint.of[ofSprint].outcomes.Get(w.ctx, memberKeyOf(e.Number, p.name))
			if err != nil {
				continue // without weight, and away
			}
			results[o.Result]++
			if o.Result == sprintv1.ResultRejected || o.Result == sprintv1.ResultFraud {
				t.Errorf("epoch %d: %s: %s", e.Number, p.name, o.Reason)
			}
		}
	}
	if n := w.jailed[courtv1.OffenceSilence]; n > thrice {
		t.Errorf("%d jailed for silence; %d were silent three times in a row", n, thrice)
	}
	for offence, n := range w.jailed {
		if offence != courtv1.OffenceSilence {
			t.Errorf("%d jailed for %s", n, offence)
		}
	}
	t.Logf("%d participant-epochs, %d epochs void: %v; jailed for silence %d", epochs*participants,
		voids, results, w.jailed[courtv1.OffenceSilence])
}
