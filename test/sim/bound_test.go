// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// drawnIn runs the same network honestly up to the challenge and returns what is drawn from a
// participant. Samples depend on the beacon and on counts, never on what is in the logs: that is
// what makes this possible here, for one who runs all validators, and what makes grinding a log
// pointless for everybody else.
func drawnIn(t *testing.T, name string, make func() *network) []courtv1.LeafRef {
	t.Helper()
	n := make()
	n.phase(1, sprintv1.PhaseProof)
	return n.samples(1, n.host(name).addr, false)
}

// flip makes exactly these leaves wrong.
func flip(refs []courtv1.LeafRef) func(sprintv1.Epoch, courtv1.LeafRef,
	transformer.Output) transformer.Output {
	return func(e sprintv1.Epoch, ref courtv1.LeafRef, out transformer.Output) transformer.Output {
		if slices.Contains(refs, ref) {
			out.Digest[7] ^= 4
		}
		return out
	}
}

// One wrong leaf in ten thousand costs at most what the Clopper-Pearson bound rises by, and nobody
// is punished.
// Holds spec S-25.
func TestOneFlippedLeafInTenThousandCostsTheBoundOnly(t *testing.T) {
	const perSegment = 5000
	fresh := func() *network {
		n := start(t, 4)
		n.host("p1").cheat.count = func(string, uint32) int { return perSegment }
		return n
	}
	drawn := drawnIn(t, "p1", fresh)
	var notDrawn courtv1.LeafRef
	for nonce := uint64(0); ; nonce++ {
		notDrawn = courtv1.LeafRef{Participant: drawn[0].Participant, Node: "gpu-1",
			Segment: 1, Nonce: nonce}
		if !slices.Contains(drawn, notDrawn) {
			break
		}
	}
	clean := uint64(0)
	for _, c := range []struct {
		name  string
		flips []courtv1.LeafRef
		x     uint64
	}{
		{"none", nil, 0},
		{"one that is not drawn", []courtv1.LeafRef{notDrawn}, 0},
		{"one that is drawn", drawn[17:18], 1},
	} {
		n := fresh()
		n.host("p1").cheat.leaf = flip(c.flips)
		_, out := n.finish(1)
		credited(t, out, "p2", "p3", "p4")
		o := out["p1"]
		bound := audit.Upper(c.x, 32, audit.Rate{Num: 5, Den: 100})
		want := uint64(float64(2*perSegment) * (1 - float64(bound)/(1<<64)))
		if o.Result != sprintv1.ResultCredited || o.Mismatches != c.x || o.Bound != uint64(bound) ||
			o.Credited != want {
			t.Errorf("%s: %v; want %d units credited after %d mismatches", c.name, o, want, c.x)
		}
		if c.flips == nil {
			clean = o.Credited
		}
		most := uint64(float64(2*perSegment)*(float64(bound)-float64(audit.Upper(0, 32,
			audit.Rate{Num: 5, Den: 100})))/(1<<64)) + 1
		if lost := clean - o.Credited; lost > most {
			t.Errorf("%s cost %d of %d units; the bound allows %d", c.name, lost, clean, most)
		}
		if p := n.participant("p1"); p.JailedUntil != 0 {
			t.Errorf("%s jailed an honest host: %s", c.name, p.JailReason)
		}
		if (o.Forged != nil) != (c.x > 0) {
			t.Errorf("%s: the outcome names %v", c.name, o.Forged)
		}
	}
}

// A node beyond the fault bound counts nothing and its samples leave n; the other node is credited
// as if alone.
// Holds spec A-9, S-25.
func TestABadNodeIsLeftOutAndTheOtherIsCredited(t *testing.T) {
	fresh := func() *network { return start(t, 4, withNodes("p1", "gpu-1", "gpu-2")) }
	var bad []courtv1.LeafRef
	good := uint64(0)
	for _, ref := range drawnIn(t, "p1", fresh) {
		if ref.Node == "gpu-1" {
			good++
		} else if len(bad) < 3 { // beyond the bound, and not yet the four of a fraud
			bad = append(bad, ref)
		}
	}
	n := fresh()
	n.host("p1").cheat.leaf = flip(bad)
	_, out := n.finish(1)
	credited(t, out, "p2", "p3", "p4")
	o := out["p1"]
	bound := audit.Upper(0, good, audit.Rate{Num: 5, Den: 100})
	want := uint64(2 * hashedLeaves * (1 - float64(bound)/(1<<64)))
	if o.Result != sprintv1.ResultCredited || o.Credited != want || o.Bound != uint64(bound) {
		t.Errorf("p1: %v; want %d units of gpu-1, %d samples without mismatch", o, want, good)
	}
	if d := cmp.Diff([]string{"gpu-2"}, o.Condemned); d != "" {
		t.Errorf("left out (-want +got):\n%s", d)
	}
	if p := n.participant("p1"); p.JailedUntil != 0 {
		t.Errorf("three wrong leaves are no fraud, but: %s", p.JailReason)
	}
}

// With its only node beyond the bound a claim is rejected, and the reason names a leaf. It is not
// fraud yet.
// Holds spec A-9, S-25.
func TestThreeWrongLeavesRejectButDoNotJail(t *testing.T) {
	fresh := func() *network { return start(t, 4) }
	bad := drawnIn(t, "p1", fresh)[10:13]
	n := fresh()
	n.host("p1").cheat.leaf = flip(bad)
	_, out := n.finish(1)
	credited(t, out, "p2", "p3", "p4")
	o := out["p1"]
	if o.Result != sprintv1.ResultRejected || o.WeightAfter != 0 || o.Mismatches != 3 ||
		o.Forged == nil || *o.Forged != bad[0] {
		t.Errorf("p1: %v; want it rejected for %v", o, bad[0])
	}
	if o.P == 0 || o.P >= 1<<63 {
		t.Errorf("p = %s of three mismatches", audit.Q64(o.P))
	}
	if p := n.participant("p1"); p.JailedUntil != 0 || p.SilentEpochs != 0 {
		t.Errorf("jailed: %s", p.JailReason)
	}
}
