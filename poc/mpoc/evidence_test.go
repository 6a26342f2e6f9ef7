// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Holds spec F-18.
func TestEvidence(t *testing.T) {
	terms := testTerms(testNonce)
	draw := full(terms, testNonce)
	honest, forger := newDevice(terms, nil), newDevice(terms, func(u, _ int) bool { return u == 3 })
	commitOf := func(d *device) *SignedCommit {
		return &SignedCommit{d.log.Commit, d.log.Sign(deviceKey)}
	}
	offer := &SignedTerms{terms, terms.Sign(hostKey)}
	tile := func(d *device) *TileOpening {
		o, err := d.log.OpenTile(&d.tree, Pick{3, 5}, d.tiles[3])
		if err != nil {
			t.Fatal(err)
		}
		return &o
	}
	sample := func(d *device) *Sample {
		o, err := d.log.OpenSample(&d.tree, 3, matmul.Root(d.tiles[3]))
		if err != nil {
			t.Fatal(err)
		}
		return &o
	}
	other := terms
	other.PayPerTebiop = "1"
	bad := full(terms, seed.Seed{9})
	longer := draw
	longer.Deadline++
	a := receipt(t, honest, draw, cached{t})
	b := a
	b.Outcome, b.Proved, b.DeviceSignature = NoAnswer(), 0, nil
	b.Sign(hostKey)
	draws := func(d *device, w Draw) *SignedDraw { return &SignedDraw{w, w.Sign(d.log, hostKey)} }

	for name, c := range map[string]struct {
		e       Evidence
		accused signed.Key
		want    error
	}{
		"forged tile": {Evidence{Claim: Forged, Terms: offer, Commit: commitOf(forger),
			Tile: tile(forger)}, signed.KeyOf(deviceKey), nil},
		"forged unit": {Evidence{Claim: Forged, Terms: offer, Commit: commitOf(forger),
			Sample: sample(forger)}, signed.KeyOf(deviceKey), nil},
		"honest tile": {Evidence{Claim: Honest, Terms: offer, Commit: commitOf(honest),
			Tile: tile(honest)}, signed.Key{}, nil},
		"slander": {Evidence{Claim: Forged, Terms: offer, Commit: commitOf(honest),
			Tile: tile(honest)}, signed.Key{}, ErrClaim},
		"whitewash": {Evidence{Claim: Honest, Terms: offer, Commit: commitOf(forger),
			Sample: sample(forger)}, signed.KeyOf(deviceKey), ErrClaim},
		"not in the log": {Evidence{Claim: Forged, Terms: offer, Commit: commitOf(honest),
			Tile: tile(forger)}, signed.Key{}, ErrOpening},
		"two commits": {Evidence{Claim: TwoCommits, Terms: offer, Commit: commitOf(honest),
			OtherCommit: commitOf(forger)}, signed.KeyOf(deviceKey), nil},
		"one commit": {Evidence{Claim: TwoCommits, Terms: offer, Commit: commitOf(honest),
			OtherCommit: commitOf(honest)}, signed.Key{}, ErrClaim},
		"not committed": {Evidence{Claim: TwoCommits, Terms: offer, Commit: commitOf(honest),
			OtherCommit: &SignedCommit{forger.log.Commit, forger.log.Sign(otherKey)}}, signed.Key{},
			signed.ErrSignature},
		"two offers": {Evidence{Claim: TwoTerms, Terms: offer,
			OtherTerms: &SignedTerms{other, other.Sign(hostKey)}}, signed.KeyOf(hostKey), nil},
		"one offer": {Evidence{Claim: TwoTerms, Terms: offer, OtherTerms: offer},
			signed.Key{}, ErrClaim},
		"not offered": {Evidence{Claim: TwoTerms, Terms: offer,
			OtherTerms: &SignedTerms{other, other.Sign(otherKey)}}, signed.Key{},
			signed.ErrSignature},
		"another's offer": {Evidence{Claim: TwoTerms,
			Terms: &SignedTerms{terms, terms.Sign(otherKey)}, OtherTerms: offer}, signed.Key{},
			signed.ErrSignature},
		"bad draw": {Evidence{Claim: BadDraw, Terms: offer, Commit: commitOf(honest),
			Draw: draws(honest, bad)}, signed.KeyOf(hostKey), nil},
		"good draw": {Evidence{Claim: BadDraw, Terms: offer, Commit: commitOf(honest),
			Draw: draws(honest, draw)}, signed.Key{}, ErrClaim},
		"not drawn": {Evidence{Claim: BadDraw, Terms: offer, Commit: commitOf(honest),
			Draw: draws(forger, bad)}, signed.Key{}, signed.ErrSignature},
		"two draws": {Evidence{Claim: TwoDraws, Terms: offer, Commit: commitOf(honest),
			Draw: draws(honest, draw), OtherDraw: draws(honest, longer)},
			signed.KeyOf(hostKey), nil},
		"one draw": {Evidence{Claim: TwoDraws, Terms: offer, Commit: commitOf(honest),
			Draw: draws(honest, draw), OtherDraw: draws(honest, draw)}, signed.Key{}, ErrClaim},
		"two receipts": {Evidence{Claim: TwoReceipts, Receipt: &a, OtherReceipt: &b},
			signed.KeyOf(hostKey), nil},
		"one receipt": {Evidence{Claim: TwoReceipts, Receipt: &a, OtherReceipt: &a},
			signed.Key{}, ErrClaim},
		"no claim": {Evidence{Claim: "guilty", Terms: offer}, signed.Key{}, ErrFile},
		"too little": {Evidence{Claim: Forged, Terms: offer, Commit: commitOf(forger)},
			signed.Key{}, ErrFile},
		"too much": {Evidence{Claim: Forged, Terms: offer, Commit: commitOf(forger),
			Tile: tile(forger), Sample: sample(forger)}, signed.Key{}, ErrFile},
		"draw to spare": {Evidence{Claim: Forged, Terms: offer, Commit: commitOf(forger),
			Tile: tile(forger), Draw: draws(forger, draw)}, signed.Key{}, ErrFile},
		"half a pair": {Evidence{Claim: TwoReceipts, Receipt: &a}, signed.Key{}, ErrFile},
	} {
		c.e.Version = EvidenceVersion
		f, err := c.e.Verify(t.Context(), cached{t})
		if !errors.Is(err, c.want) || f.Accused != c.accused {
			t.Errorf("%s: %+v, %v; want %v accused, %v", name, f, err, c.accused, c.want)
		}
		if f.Host != (f.Accused == signed.KeyOf(hostKey)) || err == nil && f.Reason == "" {
			t.Errorf("%s: %+v", name, f)
		}
		data, err := c.e.Marshal()
		if errors.Is(c.want, ErrFile) {
			if !errors.Is(err, ErrFile) {
				t.Errorf("%s: written: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		back, err := Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.e, back); diff != "" {
			t.Errorf("%s through a file:\n%s", name, diff)
		}
	}
}
