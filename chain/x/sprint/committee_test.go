// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/seed"
)

func name(i int) string { return fmt.Sprintf("cpc1%04d", i) }

// anyAssembly draws voters and targets, some of whom are both, and lets them be assembled, with so
// many replicas.
func anyAssembly(r *rapid.T) (a *assembly, replicas int) {
	var voters []voter
	var targets []target
	for i := range rapid.IntRange(1, 30).Draw(r, "names") {
		roles := rapid.IntRange(0, 3).Draw(r, "roles")
		if roles&1 == 1 {
			own := uint64(0)
			if rapid.Bool().Draw(r, "limited") {
				own = rapid.Uint64Range(1, 100).Draw(r, "own")
			}
			voters = append(voters,
				voter{name(i), rapid.Uint64Range(1, 1<<40).Draw(r, "weight"), own})
		}
		if roles&2 == 2 {
			targets = append(targets, target{name(i), rapid.IntRange(1, 80).Draw(r, "drawn")})
		}
	}
	var mix seed.Seed
	copy(mix[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, "mix"))
	slots := rapid.IntRange(16, 64).Draw(r, "slots")
	replicas = rapid.IntRange(1, 20).Draw(r, "replicas")
	return assemble("chain", 3, mix, slots, replicas, rapid.Bool().Draw(r, "everyone"),
		capped(voters, votingRules()), targets), replicas
}

// Every leaf falls to as many slots as there are replicas, and to whoever owns them; with few
// voters to all others. Nobody judges itself.
// Holds spec A-6, S-16.
func TestEveryLeafFallsToItsReplicas(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, replicas := anyAssembly(r)
		for t, target := range a.targets {
			others := 0
			for v, voter := range a.voters {
				if voter.name == target.name {
					if slices.ContainsFunc(a.duties[v], func(o owed) bool {
						return int(o.target) == t
					}) || !a.everyone && slices.Contains(a.of[t], int32(v)) {
						r.Fatalf("%s judges itself", target.name)
					}
				} else if voter.weight > 0 {
					others++
				}
			}
			if a.everyone {
				continue
			}
			if want := a.slots; others == 0 && len(a.of[t]) != 0 || others > 0 &&
				len(a.of[t]) != want {
				r.Fatalf("%d slots of %s, %d other voters", len(a.of[t]), target.name, others)
			}
			if others == 0 {
				continue
			}
			for leaf := range target.drawn {
				n := 0
				for slot, owner := range a.of[t] {
					if !audit.Works(a.slots, replicas, slot, leaf) {
						continue
					}
					n++
					if _, has := slices.BinarySearch(a.positions(int(owner), int32(t)),
						uint16(leaf)); !has {
						r.Fatalf("leaf %d of %s falls to slot %d and not to its owner",
							leaf, target.name, slot)
					}
				}
				if n != min(replicas, a.slots) {
					r.Fatalf("leaf %d of %s falls to %d slots; want %d", leaf,
						target.name, n, replicas)
				}
			}
		}
	})
}

// What a member owes stops once it reaches a fifth of what it was itself credited with, and is one
// target at least: a giant's committee does not drown a small member, and no limit lets anybody
// off.
// Holds spec S-17.
func TestDutiesStopAtTheOwnLimit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, _ := anyAssembly(r)
		for v, voter := range a.voters {
			fell := 0
			for t := range a.targets {
				if a.targets[t].name != voter.name && len(a.positions(v, int32(t))) > 0 {
					fell++
				}
			}
			load, most := 0, 0
			for i, o := range a.duties[v] {
				n := len(a.positions(v, o.target))
				load, most = load+n, max(most, n)
				if n == 0 || n != int(o.leaves) || i > 0 && a.duties[v][i-1].target >= o.target {
					r.Fatalf("duties of %s: %v, %d leaves of %d", voter.name,
						a.duties[v], n, o.target)
				}
			}
			switch all := len(a.duties[v]) == fell; {
			case voter.own == 0 && !all:
				r.Fatalf("%s has no limit and owes %d of %d", voter.name, len(a.duties[v]), fell)
			case fell > 0 && len(a.duties[v]) == 0:
				r.Fatalf("%s owes nothing", voter.name)
			case voter.own > 0 && !all && uint64(load) < voter.own:
				r.Fatalf("%s owes %d leaves, of %d targets out of %d; its limit is %d", voter.name,
					load, len(a.duties[v]), fell, voter.own)
			case voter.own > 0 && len(a.duties[v]) > 1 && uint64(load-most) >= voter.own:
				r.Fatalf("%s owes %d leaves beyond its limit of %d", voter.name, load, voter.own)
			}
		}
	})
}

// Which targets a limited member owes is drawn: each with the same chance, so that none can count
// on being left out.
func TestWhatIsOwedIsDrawn(t *testing.T) {
	const times, n = 4000, 20
	var voters []voter
	var targets []target
	for i := range n {
		voters = append(voters, voter{name(i), 1000, 1}) // the limit is reached with the first
		targets = append(targets, target{name(i), 16})
	}
	counts := make([]int, n-1)
	draws(times, func(mix seed.Seed) {
		a := assemble("chain", 3, mix, 64, 16, true, voters, targets)
		if len(a.duties[0]) != 1 {
			t.Fatalf("owes %v", a.duties[0])
		}
		counts[a.duties[0][0].target-1]++
	})
	uniform(t, "targets owed", counts, 1, times)
}

// Slots follow the capped weight of the voters beside the target: a giant holds no more than the
// rule for power gives.
// Holds spec S-15, S-16.
func TestSlotsFollowCappedWeight(t *testing.T) {
	const times, slots = 2000, 64
	var all []voter
	for i := range 20 {
		all = append(all, voter{name: name(i), weight: uint64(i + 1)})
	}
	all[19].weight = 400 // two thirds of all
	voters := capped(all, votingRules())
	owned := make([]float64, len(voters))
	draws(times, func(mix seed.Seed) {
		for _, v := range assemble("chain", 3, mix, slots, 16, false, voters,
			[]target{{name(7), 200}}).of[0] {
			owned[v]++
		}
	})
	total := 0.0
	for i, v := range voters {
		if i != 7 {
			total += float64(v.weight)
		}
	}
	if giant := float64(voters[19].weight) / (total + float64(voters[7].weight)); giant >=
		400.0/590 {
		t.Errorf("the giant's share is %.3f, as if nothing were capped", giant)
	}
	for i, v := range voters {
		if i == 7 {
			if owned[i] != 0 {
				t.Errorf("the target owns %v slots of its own committee", owned[i])
			}
			continue
		}
		p := float64(v.weight) / total
		want := times * slots * p
		if math.Abs(owned[i]-want) > 5*math.Sqrt(want*(1-p)) {
			t.Errorf("weight %d, capped %d, owns %v slots; want about %.0f", all[i].weight,
				v.weight, owned[i], want)
		}
	}
}

// anyOpinions lets every voter say something, or nothing, on some of its duties.
func anyOpinions(r *rapid.T, a *assembly) []opinion {
	said := make([]opinion, len(a.voters))
	for v := range said {
		said[v].out = rapid.IntRange(0, 5).Draw(r, "out") == 0
		for range rapid.IntRange(0, len(a.duties[v])).Draw(r, "votes") {
			said[v].votes = append(said[v].votes,
				rapid.ByteRange(0, byte(sprintv1.VoteAbstain)).Draw(r, "vote"))
		}
	}
	return said
}

// The count against its definition: a vote weighs its voter's slots that got a leaf, or its capped
// weight where all are members; who is out is on no side, who is silent is in the whole; what was
// not owed is not counted.
// Holds spec S-21.
func TestCountAgainstTheDefinition(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, replicas := anyAssembly(r)
		said := anyOpinions(r, a)
		for t, got := range a.count(said) {
			working := map[int]bool{}
			for leaf := range a.targets[t].drawn {
				for slot := range a.slots {
					if audit.Works(a.slots, replicas, slot, leaf) {
						working[slot] = true
					}
				}
			}
			var want tally
			for v, voter := range a.voters {
				weight := voter.weight
				if !a.everyone {
					weight = 0
					for slot, owner := range a.of[t] {
						if int(owner) == v && working[slot] {
							weight++
						}
					}
				}
				if said[v].out || voter.name == a.targets[t].name {
					continue
				}
				want.whole += weight
				for d, owed := range a.duties[v] {
					if int(owed.target) != t || d >= len(said[v].votes) {
						continue
					}
					switch sprintv1.Vote(said[v].votes[d]) {
					case sprintv1.VotePass:
						want.pass += weight
					case sprintv1.VoteFail:
						want.fail += weight
					}
				}
			}
			if got != want {
				r.Fatalf("votes on %s: %+v; want %+v", a.targets[t].name, got, want)
			}
		}
	})
}

// C3: abstention stops nobody alone and decides nothing: more pass than fail, and those who pass
// are over a third of the committee.
// Holds spec S-21.
func TestATargetPassesByMoreForItThanAgainstIt(t *testing.T) {
	for _, c := range []struct {
		name  string
		tally tally
		want  bool
	}{
		{"all pass", tally{pass: 64, whole: 64}, true},
		{"27 % abstain", tally{pass: 73, whole: 100}, true},
		{"60 % abstain", tally{pass: 40, whole: 100}, true},
		{"two thirds abstain", tally{pass: 33, whole: 99}, false},
		{"a little less", tally{pass: 34, whole: 99}, true},
		{"half of those who vote fail it", tally{pass: 40, fail: 40, whole: 100}, false},
		{"more pass", tally{pass: 41, fail: 40, whole: 100}, true},
		{"more fail", tally{pass: 40, fail: 41, whole: 100}, false},
		{"nobody is there", tally{}, false},
		{"nobody says anything", tally{whole: 64}, false},
	} {
		if got := c.tally.passed(); got != c.want {
			t.Errorf("%s: passed is %v", c.name, got)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		var c tally
		c.pass = rapid.Uint64Max(1<<62).Draw(r, "pass")
		c.fail = rapid.Uint64Max(1<<62).Draw(r, "fail")
		c.whole = c.pass + c.fail + rapid.Uint64Max(1<<62).Draw(r, "silent")
		third := new(big.Int).Mul(big.NewInt(3),
			new(big.Int).SetUint64(c.pass)).Cmp(new(big.Int).SetUint64(c.whole)) > 0
		if c.passed() != (c.pass > c.fail && third) {
			r.Fatalf("%+v: passed is %v", c, c.passed())
		}
	})
}

// A voter's own credit is what it judged of what it owed, by what those targets are credited with:
// silence about a target costs as much as the target weighs, and an abstention as much as silence.
// Holds spec S-22.
func TestDischargedAgainstTheDefinition(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, _ := anyAssembly(r)
		said := anyOpinions(r, a)
		credits := rapid.SliceOfN(rapid.Uint64Max(maxWeight), len(a.targets),
			len(a.targets)).Draw(r, "credits")
		own := rapid.Uint64Max(maxWeight).Draw(r, "own")
		for v, d := range a.discharged(said, func(t int32) uint64 { return credits[t] }) {
			owed, judged := uint64(0), uint64(0) // at most 30 x 2^50
			for i, o := range a.duties[v] {
				t := o.target
				owed += credits[t]
				if i < len(said[v].votes) && (said[v].votes[i] == byte(sprintv1.VotePass) ||
					said[v].votes[i] == byte(sprintv1.VoteFail)) {
					judged += credits[t]
				}
			}
			want := own
			if owed > 0 {
				want = mulDiv(own, judged, owed)
			}
			if d.owed.Uint64() != owed || d.judged.Uint64() != judged || d.of(own) != want {
				r.Fatalf("%s judged %s of %s, which leaves it %d of %d; want %d of %d and %d",
					a.voters[v].name, d.judged, d.owed, d.of(own), own, judged, owed, want)
			}
		}
	})
}
