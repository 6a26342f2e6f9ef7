// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/signed"
)

// EvidenceVersion is the only version of the format.
const EvidenceVersion = "assay-mpoc-evidence/1"

// Claim is what a piece of evidence is said to show.
type Claim string

// The claims: what each needs, and whom it accuses.
const (
	Forged     Claim = "forged"      // commit, sample or tile: the device committed a wrong one
	Honest     Claim = "honest"      // the same: nobody; it refutes Forged
	TwoCommits Claim = "two-commits" // commit, other_commit: the device committed twice
	TwoTerms   Claim = "two-terms"   // other_terms: the host offered one challenge twice
	BadDraw    Claim = "bad-draw"    // commit, draw: the host drew by another nonce than announced
	// commit, draw, other_draw: the host answered one commit twice
	TwoDraws    Claim = "two-draws"
	TwoReceipts Claim = "two-receipts" // receipt, other_receipt: the host judged one commit twice
)

// ErrClaim reports sound evidence that does not show what it claims.
var ErrClaim = errors.New("mpoc: the evidence does not show what it claims")

// SignedTerms, SignedCommit and SignedDraw are statements with signatures.
type (
	SignedTerms struct {
		Terms     Terms            `json:"terms"`
		Signature signed.Signature `json:"signature"`
	}
	SignedCommit struct {
		Commit    Commit           `json:"commit"`
		Signature signed.Signature `json:"signature"`
	}
	SignedDraw struct {
		Draw      Draw             `json:"draw"`
		Signature signed.Signature `json:"signature"`
	}
)

// Evidence is a file that shows what a device or a host did. Which fields it
// has depends on the claim.
type Evidence struct {
	Version      string        `json:"version"` // EvidenceVersion
	Claim        Claim         `json:"claim"`
	Terms        *SignedTerms  `json:"terms,omitempty"`
	OtherTerms   *SignedTerms  `json:"other_terms,omitempty"`
	Commit       *SignedCommit `json:"commit,omitempty"`
	OtherCommit  *SignedCommit `json:"other_commit,omitempty"`
	Draw         *SignedDraw   `json:"draw,omitempty"`
	OtherDraw    *SignedDraw   `json:"other_draw,omitempty"`
	Sample       *Sample       `json:"sample,omitempty"`
	Tile         *TileOpening  `json:"tile,omitempty"`
	Receipt      *Receipt      `json:"receipt,omitempty"`
	OtherReceipt *Receipt      `json:"other_receipt,omitempty"`
	Note         string        `json:"note,omitempty"` // for people, proves nothing
}

// Finding is what Verify found out.
type Finding struct {
	Forged    bool        // the opening is not what the work gives
	Got, Want signed.Hash // its digest, and the work's; for an opening only
	Accused   signed.Key  // who did it; the zero key where nobody did
	Host      bool        // it is the host, not the device
	Reason    string      // one sentence for people
}

// valid checks that the fields are those of the claim. Errors wrap ErrFile.
func (e Evidence) valid() error {
	if e.Version != EvidenceVersion {
		return fmt.Errorf("%w: version %.40q", ErrFile, e.Version)
	}
	if !printable(e.Note, 0, 200) {
		return fmt.Errorf("%w: note", ErrFile)
	}
	type has struct {
		terms, otherTerms, commit, otherCommit, draw, otherDraw,
		opening, receipts bool
	}
	got := has{
		e.Terms != nil, e.OtherTerms != nil, e.Commit != nil, e.OtherCommit != nil, e.Draw != nil,
		e.OtherDraw != nil,
		e.Sample != nil || e.Tile != nil, e.Receipt != nil || e.OtherReceipt != nil,
	}
	want, known := map[Claim]has{
		Forged:      {terms: true, commit: true, opening: true},
		Honest:      {terms: true, commit: true, opening: true},
		TwoCommits:  {terms: true, commit: true, otherCommit: true},
		TwoTerms:    {terms: true, otherTerms: true},
		BadDraw:     {terms: true, commit: true, draw: true},
		TwoDraws:    {terms: true, commit: true, draw: true, otherDraw: true},
		TwoReceipts: {receipts: true},
	}[e.Claim]
	switch {
	case !known:
		return fmt.Errorf("%w: claim %.20q", ErrFile, e.Claim)
	case got != want, e.Sample != nil && e.Tile != nil,
		(e.Receipt == nil) != (e.OtherReceipt == nil):
		return fmt.Errorf("%w: not the fields of the claim %q", ErrFile, e.Claim)
	}
	if e.Receipt != nil {
		return errors.Join(e.Receipt.valid(), e.OtherReceipt.valid())
	}
	return nil
}

// Parse reads evidence. Apart from white space there is one accepted spelling:
// Marshal's. It checks form only. Errors wrap ErrFile.
func Parse(data []byte) (Evidence, error) {
	var e Evidence
	if err := parse(data, &e); err != nil {
		return Evidence{}, err
	}
	if err := e.valid(); err != nil {
		return Evidence{}, form(err)
	}
	return e, nil
}

// Marshal writes the evidence, indented for people. Errors wrap ErrFile.
func (e Evidence) Marshal() ([]byte, error) {
	if err := e.valid(); err != nil {
		return nil, form(err)
	}
	return write(e)
}

// Verify checks evidence from the signatures down to integer arithmetic. It
// returns the finding also with ErrClaim, which says that everything holds but
// does not show the claim. Errors that wrap ErrFile, ErrTerms, ErrCommit,
// signed.ErrSignature or ErrOpening say that it shows nothing; others are by's.
func (e Evidence) Verify(ctx context.Context, by Recompute) (Finding, error) {
	if err := e.valid(); err != nil {
		return Finding{}, form(err)
	}
	if e.Claim == TwoReceipts {
		return e.twoReceipts()
	}
	terms := e.Terms.Terms
	if err := terms.Verify(e.Terms.Signature); err != nil {
		return Finding{}, err
	}
	device := Finding{Accused: terms.DeviceKey}
	host := Finding{Accused: terms.HostKey, Host: true}
	if e.Claim == TwoTerms {
		other := e.OtherTerms.Terms
		if err := other.Verify(e.OtherTerms.Signature); err != nil {
			return Finding{}, err
		}
		return shows(host, other.ChallengeID == terms.ChallengeID &&
			other.Digest() != terms.Digest(),
			"the host signed two different offers of one challenge", "the two offers are of two "+
				"challenges, or the same")
	}
	l := Log{Terms: terms, Commit: e.Commit.Commit}
	if err := l.Verify(e.Commit.Signature); err != nil {
		return Finding{}, err
	}
	switch e.Claim {
	case TwoCommits:
		other := Log{Terms: terms, Commit: e.OtherCommit.Commit}
		if err := other.Verify(e.OtherCommit.Signature); err != nil {
			return Finding{}, err
		}
		return shows(device, other.Digest() != l.Digest(), "the device committed to two "+
			"different logs of one challenge", "the two commits are the same")
	case BadDraw:
		if err := e.Draw.Draw.VerifySignature(l, e.Draw.Signature); err != nil {
			return Finding{}, err
		}
		err := e.Draw.Draw.Verify(l)
		return shows(host, err != nil, "the host drew by something else than the nonce it had "+
			"announced", "the draw follows from the terms")
	case TwoDraws:
		for _, d := range []*SignedDraw{e.Draw, e.OtherDraw} {
			if err := d.Draw.VerifySignature(l, d.Signature); err != nil {
				return Finding{}, err
			}
		}
		return shows(host, e.Draw.Draw != e.OtherDraw.Draw, "the host answered one commit with "+
			"two different draws", "the two draws are the same")
	}
	return e.opening(ctx, by, l, device)
}

// shows returns a finding that accuses, or ErrClaim.
func shows(f Finding, shown bool, yes, no string) (Finding, error) {
	if !shown {
		return Finding{Reason: no}, fmt.Errorf("%w: %s", ErrClaim, no)
	}
	f.Reason = yes
	return f, nil
}

func (e Evidence) twoReceipts() (Finding, error) {
	for _, r := range []*Receipt{e.Receipt, e.OtherReceipt} {
		if err := r.Authentic(); err != nil {
			return Finding{}, err
		}
	}
	a, b := e.Receipt, e.OtherReceipt
	one := a.Log().Digest() == b.Log().Digest()
	return shows(Finding{Accused: a.Terms.HostKey, Host: true}, one && a.Digest() != b.Digest(),
		"the host signed two different receipts for one commit", "the two receipts are for two "+
			"commits, or the same")
}

func (e Evidence) opening(ctx context.Context, by Recompute, l Log,
	device Finding) (Finding, error) {
	var f Finding
	var what string
	var err error
	if e.Tile != nil {
		if err = l.VerifyTile(*e.Tile); err != nil {
			return Finding{}, err
		}
		f.Got, what = e.Tile.TileDigest,
			fmt.Sprintf("tile %d of loop %d", e.Tile.Tile, e.Tile.Index)
		f.Want, err = l.recomputeTile(ctx, by, *e.Tile)
	} else {
		if err = l.VerifySample(*e.Sample); err != nil {
			return Finding{}, err
		}
		f.Got, what = e.Sample.Digest, fmt.Sprintf("loop %d", e.Sample.Index)
		f.Want, err = l.recomputeSample(ctx, by, *e.Sample)
	}
	if err != nil {
		return Finding{}, err
	}
	f.Forged, f.Reason = f.Got != f.Want, what+" is what the work gives"
	if f.Forged {
		f.Accused, f.Reason = device.Accused, what+" is not what the work gives"
	}
	if f.Forged != (e.Claim == Forged) {
		return f, fmt.Errorf("%w: claim %q, but %s", ErrClaim, e.Claim, f.Reason)
	}
	return f, nil
}
