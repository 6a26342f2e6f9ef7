// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

// sized has a host compute so many leaves in each segment.
func (n *network) sized(name string, perSegment int) {
	n.host(name).cheat.count = func(string, uint32) int { return perSegment }
}

// powerOf adds up what CometBFT was told of some names.
func (n *network) powerOf(names []string) (sum int64) {
	for _, name := range names {
		sum += n.told[name]
	}
	return sum
}

// C3. 27.4 % of the compute in four names that judge nobody took half of the power after one epoch
// and all after four: an honest target needed more than half of all others' weight. Now silence
// decides nothing: the honest are credited in full, who abstains is not, and in no set does the
// coalition hold a third.
// Holds spec S-23.
func TestC3AbstainingDecidesNothing(t *testing.T) {
	others := [][]int{{4_578, 2_687}, {3_630, 3_630}, {2_420, 2_420, 2_420},
		slices.Repeat([]int{1_452}, 5)}
	if long {
		others = append(others, slices.Repeat([]int{363}, 20))
	}
	for _, honest := range others {
		t.Run(fmt.Sprintf("beside %d of %d", len(honest), honest[0]), func(t *testing.T) {
			const each = 685 // leaves of a segment: four are 27.4 %
			var good, bad []string
			size := map[string]int{}
			for i := range honest {
				good = append(good, fmt.Sprintf("p%d", i+1))
				size[good[i]] = honest[i]
			}
			for i := range 4 {
				bad = append(bad, fmt.Sprintf("mute-%d", i+1))
				size[bad[i]] = each
			}
			n := startNamed(t, append(append([]string{}, good...), bad...),
				func(name string) uint64 { return uint64(size[name]) })
			for name, count := range size {
				n.sized(name, count)
			}
			for _, name := range bad {
				n.host(name).cheat.opinion = abstain
			}
			for epoch := uint64(1); epoch <= 4; epoch++ {
				n.until("end of the epoch", func(e sprintv1.Epoch) bool {
					if p := n.powerOf(bad); 3*p >= credit.TotalPower {
						t.Fatalf("after block %d, in epoch %d, the coalition holds %d of %d",
							n.height, epoch, p, credit.TotalPower)
					}
					return e.Number == epoch && e.Phase == sprintv1.PhaseFinalised
				})
				e, out := n.finish(epoch)
				if e.Void {
					t.Fatalf("epoch %d is void: %s", epoch, e.VoidReason)
				}
				credited(t, out, good...)
				for _, name := range good {
					if o := out[name]; o.Reason != "credited; judged by its committee" {
						t.Errorf("epoch %d: %s: %s", epoch, name, o.Reason)
					}
				}
				for _, name := range bad {
					// a mute owes something in every epoch in which it has a vote, and then earns
					// nothing
					if o := out[name]; o.Owed > 0 && o.WeightAfter != 0 || o.Owed == 0 &&
						o.WeightBefore > 0 {
						t.Errorf("epoch %d: %s judged %d of %d and was left %d: %s", epoch, name,
							o.Judged, o.Owed, o.WeightAfter, o.Reason)
					}
				}
			}
		})
	}
}

// C4. 51.4 % of the compute, rented for one epoch and gone afterwards, voided every later epoch and
// kept its power and its votes. Now weight that is not shown is halved by each void epoch, so that
// credit flows again after two at most; then the rented weight is gone. Nobody else loses anything.
func TestC4ARentedEpochFreezesNothing(t *testing.T) {
	for _, least := range []uint32{5_000, 6_666} {
		t.Run(fmt.Sprint(least), func(t *testing.T) {
			honest := []string{"p1", "p2", "p3", "p4"}
			n := startNamed(t, append([]string{"rented"}, honest...),
				func(string) uint64 { return 1_000 },
				withParams(func(p *sprintv1.Params) { p.MinLiveBps = least }))
			n.sized("rented", 4_230) // of 8,230
			rented := n.host("rented")
			rented.cheat.absent = func(epoch uint64) bool { return epoch > 1 }
			_, out := n.finish(1)
			credited(t, out, append([]string{"rented"}, honest...)...)
			held, all := n.holding("rented").Weight, uint64(0)
			for _, h := range n.hosts {
				all += n.holding(h.name).Weight
			}
			voids := 0
			for epoch := uint64(2); epoch <= 7; epoch++ {
				before, power := map[string]uint64{}, told(n)
				for _, name := range honest {
					before[name] = n.holding(name).Weight
				}
				e, out := n.finish(epoch)
				if !e.Void {
					credited(t, out, honest...)
					if w := n.holding("rented").Weight; w != 0 {
						t.Errorf("epoch %d pays and the absent keep weight %d", epoch, w)
					}
					continue
				}
				if voids++; epoch != uint64(voids)+1 {
					t.Errorf("epoch %d is void after one that was not: %s", epoch, e.VoidReason)
				}
				if w := n.holding("rented").Weight; w != held/2 {
					t.Errorf("epoch %d is void: the rented weight went from %d to %d; want half",
						epoch, held, w)
				}
				if w, err := n.app.Credit.TallyWeight(n.ctx(), rented.addr); err != nil || w != 0 {
					t.Errorf("epoch %d is void: the absent vote with weight %d, %v", epoch, w, err)
				}
				if whole, err := n.app.Credit.TallyWhole(n.ctx()); err != nil || voids == 1 &&
					whole.Uint64() < all {
					t.Errorf("epoch %d is void: votes are counted as a part of %s, %v; want %d",
						epoch, whole, err, all)
				}
				held /= 2
				for _, name := range honest {
					// it keeps the smaller of what it had and what it computed now
					if w := n.holding(name).Weight; w > before[name] ||
						w < before[name]-before[name]/20 || n.told[name] != power[name] {
						t.Errorf("epoch %d is void: %s went from weight %d, power %d to %d, %d",
							epoch, name, before[name], power[name], w, n.told[name])
					}
				}
			}
			if voids < 1 || voids > 2 {
				t.Errorf("%d void epochs; one or two halve the rented weight enough", voids)
			}
			w, err := n.app.Credit.TallyWeight(n.ctx(), rented.addr)
			if err != nil || w != 0 {
				t.Errorf("the absent vote with weight %d, %v", w, err)
			}
			if p := n.told["rented"]; p > credit.TotalPower/10 {
				t.Errorf("the absent still hold %d of the power", p)
			}
		})
	}
}

// C4. Of exactly four voters one leaves for good: before, every later epoch was void for want of
// voters.
func TestC4LosingOneOfFourVoidsNothing(t *testing.T) {
	n := start(t, 4, withParams(func(p *sprintv1.Params) { p.MinLiveBps = 6_666 }))
	n.host("p4").cheat.absent = func(epoch uint64) bool { return epoch > 1 }
	for epoch := uint64(1); epoch <= 5; epoch++ {
		e, out := n.finish(epoch)
		if e.Void {
			t.Fatalf("epoch %d: %s", epoch, e.VoidReason)
		}
		credited(t, out, "p1", "p2", "p3")
	}
	if w := n.holding("p4").Weight; w != 0 {
		t.Errorf("the one that left keeps weight %d", w)
	}
}

// C5. One claim of a leaf per name, by hundreds of names, filled every honest verdict. Names
// without weight now enter a lottery of few places, and claims below the least are no targets, so a
// verdict speaks of those worth judging only.
// Holds spec S-10.
func TestC5DustIsNoTarget(t *testing.T) {
	const holders, strangers = 120, 120
	honest := []string{"p1", "p2", "p3", "p4"}
	all := append([]string{}, honest...)
	for i := range holders {
		all = append(all, fmt.Sprintf("dust-%d", i))
	}
	for i := range strangers {
		all = append(all, fmt.Sprintf("new-%d", i))
	}
	n := startNamed(t, all, func(name string) uint64 {
		switch name[0] {
		case 'p':
			return 100_000
		case 'd':
			return 1
		}
		return 0
	})
	largest := 0
	for _, h := range n.hosts {
		if h.name[0] != 'p' {
			n.sized(h.name, 1) // two leaves an epoch
			h.cheat.opinion = abstain
			continue
		}
		h.cheat.reveal = func(m *sprintv1.MsgRevealVerdict) *sprintv1.MsgRevealVerdict {
			largest = max(largest, m.Size())
			return m
		}
	}
	e := n.phase(1, sprintv1.PhaseCompute)
	// holders fill all 16 places, and an eighth is for newcomers even so
	if e.Newcomers != strangers || e.Taken != 2 {
		t.Errorf("%d newcomers announced themselves and %d were taken", e.Newcomers, e.Taken)
	}
	e, out := n.finish(1)
	if e.Targets != 4 {
		t.Errorf("%d targets, want the 4 whose claims are worth judging", e.Targets)
	}
	credited(t, out, honest...)
	if largest == 0 || largest > 200 {
		t.Errorf("the largest reveal has %d bytes; want some, and at most 200", largest)
	}
	small, left := 0, 0
	var outside *host
	for name, o := range out {
		switch {
		case name[0] == 'p':
			continue
		case o.Result == sprintv1.ResultTooSmall &&
			strings.Contains(o.Reason, "a claim needs 16 to be worth judging"):
			small++
		case o.Result == sprintv1.ResultNotTaken && strings.Contains(o.Reason, "the lottery took"):
			left, outside = left+1, n.host(name)
		default:
			t.Errorf("%s: %s (%s)", name, o.Result, o.Reason)
		}
		if o.WeightAfter != 0 {
			t.Errorf("%s: two leaves weigh %d", name, o.WeightAfter)
		}
	}
	if small != holders+int(e.Taken) || left != strangers-int(e.Taken) {
		t.Errorf("%d were too small and %d not taken", small, left)
	}
	if outside == nil {
		return
	}
	s := n.standing(outside)
	if s.Role != sprintv1.RoleNewcomer || s.ChanceBps == 0 || s.ChanceBps == 10_000 ||
		s.ExpectedEpochs < 2 || !strings.Contains(s.Reason, "places for 120 newcomers") {
		t.Errorf("one left out is told: %+v", s)
	}
}

// C6. A cap alone gives what it takes from the large to whoever else is there: four dust names
// beside one large holder had three quarters of the power, four names with 27.4 % of the compute
// beside two honest ones half. Nobody is lifted above 6/5 of its share of the compute.
func TestC6TheCapLiftsNeitherDustNorCoalitions(t *testing.T) {
	for name, sizes := range map[string][]int{"dust": {2_000, 8, 8, 8, 8},
		"a coalition": {4_578, 2_687, 685, 685, 685, 685}} {
		t.Run(name, func(t *testing.T) {
			var all []string
			size := map[string]int{}
			for i, s := range sizes {
				all = append(all, fmt.Sprintf("p%d", i+1))
				size[all[i]] = s
			}
			n := startNamed(t, all, func(name string) uint64 { return uint64(size[name]) })
			for name, count := range size {
				n.sized(name, count)
			}
			small := all[len(all)-4:]
			for epoch := uint64(1); epoch <= 3; epoch++ {
				_, out := n.finish(epoch)
				credited(t, out, all...)
			}
			n.phase(4, sprintv1.PhaseCompute) // the last move is made
			weight, whole := uint64(0), uint64(0)
			for _, name := range all {
				w := n.holding(name).Weight
				whole += w
				if slices.Contains(small, name) {
					weight += w
				}
			}
			power, most := n.powerOf(small), int64(weight*credit.TotalPower*6/5/whole)
			if power > most+int64(len(all)) || 3*power >= credit.TotalPower {
				t.Errorf("the four smallest have %d of %d power; with %d of %d weight they may "+
					"have %d, and no third", power, credit.TotalPower, weight, whole, most)
			}
		})
	}
}

// C7. Between two sets incumbents shrank at once while newcomers entered one a block: of four
// holders with a quarter each two leave, and the two that stay had 36 % each until the last of
// twelve newcomers was in. Every set handed to CometBFT obeys the cap.
func TestC7EverySetObeysTheCap(t *testing.T) {
	all := []string{"p1", "p2", "gone-1", "gone-2"}
	for i := range 12 {
		all = append(all, fmt.Sprintf("new-%d", i+1))
	}
	n := startNamed(t, all, func(name string) uint64 {
		if name[0] == 'n' {
			return 0
		}
		return 1_000
	})
	for _, name := range all[4:] {
		n.sized(name, 40)
	}
	n.sized("p1", 240) // a quarter of what is left
	n.sized("p2", 240)
	for _, name := range []string{"gone-1", "gone-2"} {
		n.host(name).cheat.commit = never
	}
	most, sizes := int64(0), map[int]bool{}
	n.until("end of epoch 2", func(e sprintv1.Epoch) bool {
		sizes[len(n.told)] = true
		sum := n.powerOf(all)
		for _, name := range all {
			most = max(most, n.told[name])
			if p := n.told[name]; 100*p > 26*sum {
				t.Fatalf("after block %d, in epoch %d, %s holds %d of %d", n.height,
					e.Number, name, p, sum)
			}
		}
		return e.Number == 2 && e.Phase == sprintv1.PhaseFinalised
	})
	if len(sizes) < 12 || most < 240_000 {
		t.Errorf("the set-up: sets of %d sizes, and the largest power is %d", len(sizes), most)
	}
}
