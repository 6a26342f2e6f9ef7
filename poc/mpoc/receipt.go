// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/signed"
)

// ReceiptVersion is the only version of the format.
const ReceiptVersion = "assay-mpoc-receipt/1"

// MaxFileSize is the largest receipt or evidence file that is read, in bytes.
const MaxFileSize = 1 << 20

// MaxWrong is how many wrong tiles a receipt may list. The sequential test
// decides before there are more.
const MaxWrong = 40

var (
	// ErrFile reports a file that is not in its format.
	ErrFile = errors.New("mpoc: malformed file")
	// ErrHost reports a receipt that its host signed and that breaks the terms
	// or its own reasons. It counts as accepted.
	ErrHost = errors.New("mpoc: the host broke its own terms")
)

// Status is what became of a submission.
type Status string

// The statuses.
const (
	Accepted Status = "accepted" // every tile looked at is right
	Faulty   Status = "faulty"   // wrong tiles, no more than faulty hardware has
	Rejected Status = "rejected" // more than that: fraud
	Failed   Status = "failed"   // no answer that holds before the deadline
	Late     Status = "late"     // the commit came after the expiry
)

// Outcome is what follows from the looks at a log: nothing in it is a choice.
type Outcome struct {
	Status  Status `json:"status"`
	Rounds  uint32 `json:"rounds"`  // of picks
	Checked uint64 `json:"checked"` // tiles recomputed in them
	// BadShare bounds the share of bad tiles in units of 2^-64, after wrong
	// ones: audit.Upper at one in a thousand. It comes off this submission, and
	// off all pay of the key that is still locked: what was not looked at came
	// from the same machine.
	BadShare      uint64 `json:"bad_share_q64,string"`
	CreditedLoops uint64 `json:"credited_loops"`
	Ops           uint64 `json:"ops,string"` // nominal operations credited
	Pay           Amount `json:"pay"`        // acpc; locked first
	// Detection is how likely the looks meet a forged share of 5 % of tiles.
	Detection string `json:"detection"`
}

// faultyEps is how often BadShare may be below the true share.
var faultyEps = audit.Rate{Num: 1, Den: 1000}

// Outcome judges a log after some rounds, in which so many samples and tiles
// were wrong. The second result is false where another round has to be asked
// first. Wrong samples start the test but are no looks of it: they are not
// drawn over all tiles.
func (q Questions) Outcome(rounds uint32, wrongSamples, wrongTiles int) (Outcome, bool) {
	o := Outcome{Rounds: rounds, Checked: q.Checked(rounds), Pay: "0"}
	o.Detection = detection(q.log, o.Checked).String()
	if wrongSamples == 0 && wrongTiles == 0 {
		o.Status = Accepted
		q.log.credit(&o, q.log.Commit.Loops)
		return o, rounds == 1
	}
	switch audit.Flaky().Decide(o.Checked, uint64(wrongTiles)) {
	case audit.Fraud:
		o.Status = Rejected
		return o, true
	case audit.Continue:
		if rounds < q.log.Terms.MaxRounds() && q.Checked(rounds+1) > o.Checked {
			return Outcome{}, false
		}
	}
	// A test that ends undecided convicts nobody; the bound says what it costs.
	o.Status = Faulty
	share := audit.Upper(uint64(wrongTiles), o.Checked, faultyEps)
	o.BadShare = uint64(share)
	q.log.credit(&o, credit.Credited(q.log.Commit.Loops, share))
	return o, true
}

// NoAnswer is the outcome of a log whose questions were not answered in time. It
// costs the submission: the host cannot show that there was no answer, and the
// light audits make silence a loss anyhow (audit.Adaptive).
func NoAnswer() Outcome { return Outcome{Status: Failed, Pay: "0", Detection: "0"} }

// TooLate is the outcome of a commit that came after the expiry.
func TooLate() Outcome { return Outcome{Status: Late, Pay: "0", Detection: "0"} }

func (l Log) credit(o *Outcome, loops uint64) {
	o.CreditedLoops = loops
	o.Ops = loops * l.Terms.Shape.Matmul().Ops() // at most 2^57
	o.Pay = l.Terms.Pay(o.Ops)
}

// detection is the chance that so many picks meet one of the tiles of a twentieth.
func detection(l Log, checked uint64) audit.Q64 {
	tiles := l.Tiles()
	return audit.Detection(tiles, (tiles+19)/20, int(min(checked, audit.MaxSample)), 1)
}

// Receipt is what a host gives for a submission and a device signs back. It
// holds everything it speaks of, so both can show it to anyone.
type Receipt struct {
	Version         string           `json:"version"` // ReceiptVersion
	Terms           Terms            `json:"terms"`
	TermsSignature  signed.Signature `json:"terms_signature"`
	Commit          Commit           `json:"commit"`
	CommitSignature signed.Signature `json:"commit_signature"`
	Draw            *Draw            `json:"draw,omitempty"` // none where the commit was late
	Outcome         Outcome          `json:"outcome"`
	Reason          string           `json:"reason"`    // for people
	Committed       uint64           `json:"committed"` // unix milliseconds of the host's clock
	Proved          uint64           `json:"proved"`    // last answer, 0 if none
	// number in the host's ledger, 0 if nothing was entered
	Entry uint64 `json:"entry"`
	// WrongSamples and WrongTiles are the openings that were found wrong: all
	// of them, or for a rejection enough to decide it.
	WrongSamples    []Sample          `json:"wrong_samples,omitempty"`
	WrongTiles      []TileOpening     `json:"wrong_tiles,omitempty"`
	HostSignature   signed.Signature  `json:"host_signature"`
	DeviceSignature *signed.Signature `json:"device_signature,omitempty"` // Countersign
}

// Log returns the log that the receipt is about.
func (r Receipt) Log() Log { return Log{Terms: r.Terms, Commit: r.Commit} }

// SetWrong lists wrong openings, cut to those that decide.
func (r *Receipt) SetWrong(w Wrong) {
	r.WrongSamples, r.WrongTiles = w.Samples, w.Tiles
	if r.Outcome.Status != Rejected {
		return
	}
	for n := range len(w.Tiles) {
		if audit.Flaky().Decide(r.Outcome.Checked, uint64(n)) == audit.Fraud {
			r.WrongSamples, r.WrongTiles = nil, w.Tiles[:n]
			return
		}
	}
}

// SignBytes returns the message that the host signs.
func (r Receipt) SignBytes() []byte {
	o := r.Outcome
	m := signed.Say("assay/1/mpoc-receipt").Text(r.Version).Hash(r.Log().Digest()).Part(
		r.TermsSignature[:]).Part(r.CommitSignature[:])
	if r.Draw == nil {
		m.Part(nil)
	} else {
		m.Part(r.Draw.SignBytes(r.Log()))
	}
	m.Text(string(o.Status)).Number(uint64(o.Rounds)).Number(o.Checked).Number(o.BadShare).Number(
		o.CreditedLoops).Number(o.Ops).
		Text(string(o.Pay)).Text(o.Detection).Text(r.Reason).Number(r.Committed).Number(
		r.Proved).Number(r.Entry)
	openings := Proof{Samples: r.WrongSamples, Tiles: r.WrongTiles}
	return *m.Part(openings.SignBytes(r.Log(), Draw{}))
}

// Digest names the receipt.
func (r Receipt) Digest() signed.Hash { return sha256.Sum256(r.SignBytes()) }

// Sign sets the host's signature.
func (r *Receipt) Sign(key ed25519.PrivateKey) { r.HostSignature = signed.Sign(key, r.SignBytes()) }

// Countersign returns the device's signature under the receipt, by which it says
// that it has it and that the host has shown it.
func (r Receipt) Countersign(key ed25519.PrivateKey) signed.Signature {
	return signed.Sign(key, countersigned(r))
}

// VerifyCountersign checks a countersignature. Errors wrap signed.ErrSignature.
func (r Receipt) VerifyCountersign(sig signed.Signature) error {
	return signed.Check("device", r.Terms.DeviceKey, countersigned(r), sig)
}

func countersigned(r Receipt) []byte {
	return *signed.Say("assay/1/mpoc-countersign").Hash(r.Digest())
}

// Verify checks a receipt and recomputes what it calls wrong. Errors that wrap
// ErrTerms, ErrCommit or signed.ErrSignature say that it is not authentic and shows
// nothing. ErrHost says that the host signed it and it breaks the terms, or
// rejects without evidence that holds: it counts as accepted. Other errors are
// by's.
func (r Receipt) Verify(ctx context.Context, by Recompute) error {
	if err := r.Authentic(); err != nil {
		return err
	}
	l := r.Log()
	host := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrHost}, args...)...)
	}
	o := r.Outcome
	wrongs := len(r.WrongSamples) + len(r.WrongTiles)
	if r.Committed < r.Terms.Issued {
		return host("the commit is older than the terms")
	}
	if r.Draw == nil {
		switch {
		case o != TooLate() || wrongs != 0 || r.Proved != 0:
			return host("a judgement without a draw")
		case r.Committed <= r.Terms.Expiry:
			return host("the commit came at %d, in time", r.Committed)
		}
		return nil
	}
	if err := r.Draw.Verify(l); err != nil {
		return host("%w", err)
	}
	switch {
	case r.Committed > r.Terms.Expiry:
		return host("a draw for a commit that came too late")
	case r.Draw.Deadline < r.Committed:
		return host("a deadline before the commit")
	case o.Status == Failed:
		if o != NoAnswer() || wrongs != 0 {
			return host("a failed audit with findings")
		}
		return nil
	case r.Proved < r.Committed:
		return host("proved before the commit")
	}
	q := r.Draw.Questions(l)
	want, decided := q.Outcome(o.Rounds, len(r.WrongSamples), len(r.WrongTiles))
	if !decided || o.Rounds > r.Terms.MaxRounds() {
		return host("judged after %d rounds with %d samples and %d tiles wrong, which decides "+
			"nothing", o.Rounds, len(r.WrongSamples), len(r.WrongTiles))
	}
	if o != want {
		return host("the outcome does not follow from what was found: %s, %d loops, pay %s; it "+
			"has to be %s, %d loops, pay %s",
			o.Status, o.CreditedLoops, o.Pay, want.Status, want.CreditedLoops, want.Pay)
	}
	return r.verifyWrong(ctx, by, q, host)
}

// Authentic checks form and signatures, and not what was judged: for the host that
// gave it. Errors wrap ErrTerms, ErrCommit or signed.ErrSignature.
func (r Receipt) Authentic() error {
	if err := r.valid(); err != nil {
		return err
	}
	if err := r.Terms.Verify(r.TermsSignature); err != nil {
		return err
	}
	if err := r.Log().Verify(r.CommitSignature); err != nil {
		return err
	}
	if err := signed.Check("host", r.Terms.HostKey, r.SignBytes(), r.HostSignature); err != nil {
		return err
	}
	if r.DeviceSignature != nil {
		return r.VerifyCountersign(*r.DeviceSignature)
	}
	return nil
}

// verifyWrong checks that everything called wrong was asked, is in the log and
// is wrong.
func (r Receipt) verifyWrong(ctx context.Context, by Recompute, q Questions,
	host func(string, ...any) error) error {
	whole := q.Whole()
	for i, s := range r.WrongSamples {
		if !slices.Contains(whole, s.Index) || i > 0 && s.Index <= r.WrongSamples[i-1].Index {
			return host("loop %d was not to be recomputed", s.Index)
		}
		if err := q.log.VerifySample(s); err != nil {
			return host("%w", err)
		}
		want, err := q.log.recomputeSample(ctx, by, s)
		if err != nil {
			return err
		}
		if want == s.Digest {
			return host("loop %d is called wrong and is right", s.Index)
		}
	}
	asked := map[Pick]uint32{} // to the round, from 1
	round := uint32(1)
	for i, p := range q.sequence(r.Outcome.Checked) {
		for uint64(i) >= q.Checked(round) {
			round++
		}
		asked[p] = round
	}
	wrong := make([]int, r.Outcome.Rounds+1) // tiles by round, from 1
	for _, t := range r.WrongTiles {
		round := asked[t.Pick()]
		if round == 0 {
			return host("tile %d of loop %d was not asked, or is listed twice", t.Tile, t.Index)
		}
		delete(asked, t.Pick())
		wrong[round]++
		if err := q.log.VerifyTile(t); err != nil {
			return host("%w", err)
		}
		want, err := q.log.recomputeTile(ctx, by, t)
		if err != nil {
			return err
		}
		if want == t.TileDigest {
			return host("tile %d of loop %d is called wrong and is right", t.Tile, t.Index)
		}
	}
	if r.Outcome.Status != Faulty { // a rejection need not list all
		return nil
	}
	so := 0
	for round := uint32(1); round < r.Outcome.Rounds; round++ {
		so += wrong[round]
		if _, decided := q.Outcome(round, len(r.WrongSamples), so); decided {
			return host("it was decided after %d rounds, not %d", round, r.Outcome.Rounds)
		}
	}
	return nil
}

// valid checks what can be said without signatures. Errors wrap ErrFile.
func (r Receipt) valid() error {
	switch {
	case r.Version != ReceiptVersion:
		return fmt.Errorf("%w: version %.40q", ErrFile, r.Version)
	case !slices.Contains([]Status{Accepted, Faulty, Rejected, Failed, Late}, r.Outcome.Status):
		return fmt.Errorf("%w: status %.20q", ErrFile, r.Outcome.Status)
	case !printable(r.Reason, 0, 200) || !printable(r.Outcome.Detection, 1, 20):
		return fmt.Errorf("%w: reason or detection", ErrFile)
	case r.Committed > maxTime || r.Proved > maxTime || r.Entry > maxTime:
		return fmt.Errorf("%w: a number above 2^53", ErrFile)
	case len(r.WrongSamples) > MaxWhole || len(r.WrongTiles) > MaxWrong:
		return fmt.Errorf("%w: %d samples and %d tiles", ErrFile, len(r.WrongSamples),
			len(r.WrongTiles))
	}
	return r.Outcome.Pay.Valid()
}

// ParseReceipt reads a receipt. Apart from white space there is one accepted
// spelling: Marshal's. It checks form only. Errors wrap ErrFile.
func ParseReceipt(data []byte) (Receipt, error) {
	var r Receipt
	if err := parse(data, &r); err != nil {
		return Receipt{}, err
	}
	if err := r.valid(); err != nil {
		return Receipt{}, form(err)
	}
	return r, nil
}

// Marshal writes the receipt, indented for people. Errors wrap ErrFile.
func (r Receipt) Marshal() ([]byte, error) {
	if err := r.valid(); err != nil {
		return nil, form(err)
	}
	return write(r)
}

func form(err error) error {
	if errors.Is(err, ErrFile) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFile, err)
}

// parse reads v from a file. Errors wrap ErrFile.
func parse(data []byte, v any) error {
	if err := document.Parse(data, v, MaxFileSize); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return nil
}

// write is parse's other way.
func write(v any) ([]byte, error) {
	text, err := document.Write(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return text, nil
}
