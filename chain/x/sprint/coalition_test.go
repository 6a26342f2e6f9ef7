// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

// tactic is how a coalition plays.
type tactic struct {
	name string
	// split divides its compute over so many names; nil: equally
	split func(names int, whole uint64) []uint64
	// before an epoch: fresh names
	before func(w *world, epoch uint64)
	play   func(w *world, epoch uint64, p *party) play
	// wrong is how much of what its names open is forged, in 2^64; they commit as much more
	wrong uint64
}

// against is a vote on the honest, and on the heaviest of them only.
func against(vote sprintv1.Vote, heaviest bool) func(*party) sprintv1.Vote {
	return func(target *party) sprintv1.Vote {
		switch {
		case target.coal:
			return sprintv1.VotePass
		case heaviest && target.index > 0:
			return sprintv1.VoteUnspecified
		}
		return vote
	}
}

const dustLeaves = 1300 // just enough to be judged

// tactics are those that won against an earlier version of the rules, and mixtures of them.
func tactics() []tactic {
	always := func(p play) func(*world, uint64, *party) play {
		return func(*world, uint64, *party) play { return p }
	}
	// every: does it in the epochs that a pattern of 0 and 1 says
	every := func(pattern string, p play) func(*world, uint64, *party) play {
		return func(_ *world, epoch uint64, _ *party) play {
			if pattern[epoch%uint64(len(pattern))] == '1' {
				return p
			}
			return play{}
		}
	}
	fresh := func(w *world, epoch uint64) { // names that nobody saw before
		for i := range 20 {
			w.register(&party{name: fmt.Sprintf("c-%03d-%02d", epoch, i), coal: true, index: -1,
				born: epoch}, epoch-1)
		}
	}
	// renamed: a part of the compute, in percent, is with the fresh names of the epoch that the
	// lottery took
	renamed := func(part uint64) func(w *world, epoch uint64, p *party) play {
		return func(w *world, epoch uint64, p *party) play {
			if p.born == 0 {
				return play{idle: part == 100,
					leaves: func(int) uint64 { return p.leaves * (100 - part) / 100 }}
			}
			whole := uint64(0)
			for _, other := range w.parties {
				if other.coal && other.born == 0 {
					whole += other.leaves
				}
			}
			return play{away: p.born < epoch,
				leaves: func(mates int) uint64 { return whole * part / 100 / uint64(mates) }}
		}
	}
	list := []tactic{
		{name: "honest", play: always(play{})},
		{name: "abstain", play: always(play{vote: against(sprintv1.VoteAbstain, false)})},
		{name: "abstain on the heaviest",
			play: always(play{vote: against(sprintv1.VoteAbstain, true)})},
		{name: "fail", play: always(play{vote: against(sprintv1.VoteFail, false)})},
		{name: "fail in turn", play: func(w *world, epoch uint64, p *party) play {
			if epoch%8 == uint64(p.index)%8 {
				return play{vote: against(sprintv1.VoteFail, true)}
			}
			return play{}
		}},
		{name: "silent", play: always(play{silent: true})},
		{name: "silent two of three", play: every("110", play{silent: true})},
		{name: "unopened", play: every("1000", play{unopened: true})},
		{name: "withheld", play: every("10", play{closed: true})},
		{name: "absent", play: every("100", play{away: true})},
		{name: "idle", play: every("10", play{idle: true})},
		// all compute in every other name
		{name: "alternate", play: func(w *world, epoch uint64, p *party) play {
			if p.pair == nil {
				return play{}
			}
			if epoch%2 == uint64(p.index)%2 {
				return play{away: true}
			}
			return play{leaves: func(int) uint64 { return p.leaves + p.pair.leaves }}
		}},
		{name: "dust", play: always(play{}), split: func(names int, whole uint64) []uint64 {
			parts := lots(names, true, whole)
			// one heavy name, the others just judged
			if dust := uint64(names) * dustLeaves; names > 1 && dust < whole {
				for i := range parts {
					parts[i] = dustLeaves
				}
				parts[0] += whole - dust
			}
			return parts
		}},
		{name: "rename half", before: fresh, play: renamed(50)},
		{name: "rename all", before: fresh, play: renamed(100)},
		{name: "forge 2 %", wrong: 1 << 64 / 50, play: always(play{leaves: nil})},
	}
	simple := slices.Clone(list[:12])
	return append(list,
		tactic{name: "mixed by epoch", play: func(w *world, epoch uint64, p *party) play {
			return simple[w.random("mix", epoch)%uint64(len(simple))].play(w, epoch, p)
		}},
		tactic{name: "mixed by name", play: func(w *world, epoch uint64, p *party) play {
			return simple[w.random("mix", epoch, p.name)%uint64(len(simple))].play(w, epoch, p)
		}})
}

// cell is one case of the grid.
type cell struct {
	tactic tactic
	honest int
	equal  bool   // the honest are
	part   uint64 // of the compute, in parts of 10,000
	names  int
	// small: the honest compute 1,400 leaves each, hardly what their own re-runs take, and not a
	// million together
	small bool
	// away is the part of the honest, in percent, that stays away from epoch 10 on; missed is how
	// many of a thousand honest verdicts do not come
	away, missed uint64
	seed         uint64
}

func (c cell) String() string {
	how := "equal"
	if !c.equal {
		how = "unequal"
	}
	return fmt.Sprintf("%s, %d.%02d %% in %d names beside %d %s honest holders", c.tactic.name,
		c.part/100, c.part%100, c.names, c.honest, how)
}

// gained is what a coalition got.
type gained struct {
	peak          uint64  // of the power in any set, in millionths
	weight, power float64 // means of its shares, over its share of the compute
	void, jailed  int
	hungry        int // honest names without weight at the end of an epoch, where they computed
}

const gridEpochs = 50

// begin starts the network of a case. What is watched goes into what is gained.
func (c cell) begin() (*world, sets, *gained) {
	whole := uint64(max(1_000_000, c.honest*50_000))
	if c.small {
		whole = uint64(c.honest) * 1_400
	}
	var holders []*party
	for i, leaves := range lots(c.honest, c.equal, whole) {
		holders = append(holders, &party{name: fmt.Sprintf("h-%02d", i), index: i, leaves: leaves})
	}
	split := c.tactic.split
	if split == nil {
		split = func(names int, whole uint64) []uint64 { return lots(names, true, whole) }
	}
	for i, leaves := range split(c.names, whole*c.part/(10_000-c.part)) {
		p := &party{name: fmt.Sprintf("c%03d", i), coal: true, index: i, leaves: leaves,
			wrong: c.tactic.wrong}
		if p.wrong > 0 {
			p.leaves += p.leaves / 49
		}
		holders = append(holders, p)
		if i%2 == 1 {
			p.pair = holders[len(holders)-2]
			p.pair.pair = p
		}
	}
	slices.SortFunc(holders, func(a, b *party) int { return strings.Compare(a.name, b.name) })
	w, g := newWorld(c.seed, credit.DefaultParams(), holders), &gained{}
	return w, func(told map[string]uint64) {
		sum := uint64(0)
		for name, power := range told {
			if w.byName[name].coal {
				sum += power
			}
		}
		g.peak = max(g.peak, sum)
	}, g
}

// epoch plays the coalition's tactic beside what the honest do.
func (c cell) epoch(w *world, number uint64, watch sets,
	honest func(p *party) play) sprintv1.Epoch {
	if c.tactic.before != nil {
		c.tactic.before(w, number)
	}
	return w.epoch(func(number uint64, p *party) play {
		if p.coal {
			return c.tactic.play(w, number, p)
		}
		return honest(p)
	}, watch)
}

func (c cell) run(epochs int) gained {
	w, watch, g := c.begin()
	for number := uint64(1); number <= uint64(epochs); number++ {
		e := c.epoch(w, number, watch, func(p *party) play {
			return play{away: number >= 10 && uint64(p.index)*100 >= uint64(c.honest)*(100-c.away),
				silent: w.rng.Uint64N(1000) < c.missed}
		})
		if e.Void {
			g.void++
		}
		mine, all, power := 0.0, 0.0, 0.0
		for _, h := range must(w.credit.Holdings(w.ctx)) {
			all += float64(h.Weight)
			if p := w.byName[h.Participant]; p.coal {
				mine += float64(h.Weight)
				power += float64(h.Power)
			}
		}
		for _, p := range w.parties {
			if !p.coal && w.weight(p.name) == 0 {
				g.hungry++
			}
		}
		own := float64(c.part) / 10_000 * float64(epochs)
		g.weight += mine / all / own
		g.power += power / credit.TotalPower / own
	}
	for _, n := range w.jailed {
		g.jailed += n
	}
	return *g
}

// runs plays cells on all processors, and says how far it is.
func runs(t *testing.T, cells []cell) []gained {
	t.Helper()
	out := make([]gained, len(cells))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				out[i] = cells[i].run(gridEpochs)
			}
		})
	}
	for i := range cells {
		if long() && i%25 == 0 {
			t.Logf("%s: case %d of %d", time.Now().Format(time.TimeOnly), i, len(cells))
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

// budget is the part of the compute present, in parts of 10,000, from which a coalition may come to
// a third of the power: (1/3 - move/4) / lambda.
func budget() uint64 {
	p := credit.DefaultParams()
	return (10_000*10_000/3 - p.MoveBps*10_000/4) / p.LambdaBps
}

func long() bool { return os.Getenv("ASSAY_LONG") != "" }

// C3, C4, C6, C7: below the budget, with the honest present, no coalition has a third of the power
// in any set that CometBFT is told, and nobody gains by anything but computing.
func TestNoCoalitionBelowTheBudgetHasAThird(t *testing.T) {
	var cells []cell
	for i, tactic := range tactics() {
		if !long() {
			for _, n := range []int{i, i + 1} {
				hn := []int{1, 2, 5, 20}[n%4]
				cells = append(cells, cell{tactic: tactic, honest: hn, equal: hn < 5, part: 2_560,
					names: []int{4, 20, 1, 10}[n/4%4], seed: 1})
			}
			continue
		}
		for _, part := range []uint64{1_500, 2_560} {
			for _, hn := range []int{1, 2, 5, 10, 20, 50} {
				for _, names := range []int{1, 4, 20, 200} {
					seeds := uint64(1)
					if strings.HasPrefix(tactic.name, "mixed") && names < 200 {
						seeds = 4
					}
					for seed := range seeds {
						cells = append(cells, cell{tactic: tactic, honest: hn, equal: hn == 10 ||
							hn < 5, part: part, names: names, seed: seed})
					}
				}
			}
		}
		cells = append(cells, cell{tactic: tactic, honest: 100, equal: true, small: true,
			part: 2_560, names: 34, seed: 1})
	}
	type best struct {
		gained
		peakAt, weightAt cell
	}
	worst := map[string]*best{}
	for i, g := range runs(t, cells) {
		c := cells[i]
		if g.peak*3 >= credit.TotalPower {
			t.Errorf("%s: %d millionths of the power", c, g.peak)
		}
		if g.weight > 1.2 || g.power > 1.2*1.005 {
			t.Errorf("%s: %.3f of its part of the weight and %.3f of the power",
				c, g.weight, g.power)
		}
		b := worst[c.tactic.name]
		if b == nil {
			b = &best{}
			worst[c.tactic.name] = b
		}
		if g.peak > b.peak {
			b.peak, b.peakAt = g.peak, c
		}
		if g.weight > b.weight {
			b.weight, b.weightAt = g.weight, c
		}
		b.power = max(b.power, g.power)
		b.void, b.jailed, b.hungry = b.void+g.void, b.jailed+g.jailed, b.hungry+g.hungry
	}
	for _, tactic := range tactics() {
		b := worst[tactic.name]
		t.Logf("%-24s peak %5.2f %% (%s); weight x %.3f (%s), power x %.3f; %d void, %d jailed, "+
			"honest without weight %d",
			tactic.name, float64(b.peak)/1e4, b.peakAt, b.weight, b.weightAt, b.power,
			b.void, b.jailed, b.hungry)
	}
}

// What absent honest members cost: the largest part of the power that a coalition had in any set,
// by its part of all compute and by how many of the honest stay away from epoch 10 on. Printed for
// SECURITY.md; only the first column, up to the budget, is promised.
func TestCoalitionsBesideAbsentMembers(t *testing.T) {
	if !long() {
		t.Skip("prints a table: make coalitions")
	}
	aways := []uint64{0, 10, 33, 50, 60}
	var cells []cell
	parts := []uint64{500, 1_000, 1_500, 1_870, 2_000, 2_560, 2_700, 3_300, 4_000, 4_900}
	for _, part := range parts {
		for _, away := range aways {
			for _, tactic := range tactics() {
				if !slices.Contains([]string{"honest", "abstain on the heaviest", "absent",
					"alternate"}, tactic.name) {
					continue
				}
				for _, hn := range []int{10, 30} {
					cells = append(cells, cell{tactic: tactic, honest: hn, equal: true, part: part,
						names: 20, away: away, seed: 2})
				}
			}
		}
	}
	peaks, voids := map[[2]uint64]uint64{}, map[[2]uint64]int{}
	for i, g := range runs(t, cells) {
		at := [2]uint64{cells[i].part, cells[i].away}
		peaks[at], voids[at] = max(peaks[at], g.peak), max(voids[at], g.void)
	}
	head := "compute  "
	for _, away := range aways {
		head += fmt.Sprintf("  %2d %% away      ", away)
	}
	t.Log(head)
	for _, part := range parts {
		row := fmt.Sprintf("%5.2f %%  ", float64(part)/100)
		for _, away := range aways {
			at := [2]uint64{part, away}
			if away == 0 && part <= budget() && 3*peaks[at] >= credit.TotalPower {
				t.Errorf("%d.%02d %% of the compute, with all honest members present: %d "+
					"millionths of the power", part/100, part%100, peaks[at])
			}
			row += fmt.Sprintf("  %5.2f %% (%2d void)", float64(peaks[at])/1e4, voids[at])
		}
		t.Log(row)
	}
	t.Logf("the budget with the honest present: %d.%02d %% of the compute",
		budget()/100, budget()%100)
}
