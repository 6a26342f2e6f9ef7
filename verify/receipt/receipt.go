// SPDX-License-Identifier: Apache-2.0

// Package receipt is the part of `assay verify` that reads what machines and hosts keep of Merkle proof of compute:
// receipts and evidence. It needs nothing but the file: signatures, draws and outcome are followed, and every tile that
// is called wrong is computed again by the definition.
//
// Who has such a file compares the keys in it with those they know; the file cannot say whose they are.
package receipt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// Report is the answer about one file, as --json prints it.
type Report struct {
	File        string `json:"file"`
	Kind        string `json:"kind"` // "receipt", "transfer" or "mpoc-evidence"
	Proven      bool   `json:"proven"`
	Claim       string `json:"claim"` // of evidence, or the receipt's status
	Reason      string `json:"reason"`
	HostCheated bool   `json:"host_cheated"` // the host signed what breaks its terms
	HostKey     string `json:"host_key,omitempty"`
	DeviceKey   string `json:"device_key,omitempty"`
	ChallengeID string `json:"challenge_id,omitempty"`
	Accused     string `json:"accused,omitempty"` // key of who is shown to have cheated

	// Of a receipt.
	Loops         uint64 `json:"loops,omitempty"`
	CreditedLoops uint64 `json:"credited_loops,omitempty"`
	Ops           uint64 `json:"ops,omitempty,string"`
	Pay           string `json:"pay,omitempty"`
	Detection     string `json:"detection,omitempty"`
	Countersigned bool   `json:"countersigned,omitempty"`
	Rules         *Rules `json:"rules,omitempty"` // of its pay
}

// Rules are what the signed terms say of a submission's pay (mpoc.Terms).
type Rules struct {
	UnlockAfter uint32 `json:"unlock_after"`
	BanAfter    uint32 `json:"ban_after"`
	Forfeits    string `json:"forfeits"`
}

// Is tells whether a file is one of those of this package, by its key "version". It does not check anything else.
func Is(raw []byte) bool {
	v := version(raw)
	return v == mpoc.ReceiptVersion || v == mpoc.EvidenceVersion || v == mpoc.TransferVersion
}

func version(raw []byte) string {
	var f struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(raw, &f) != nil {
		return ""
	}
	return f.Version
}

// Check reads and verifies a file. The error says why it does not prove its claim.
func Check(ctx context.Context, path string, raw []byte, by mpoc.Recompute) (Report, error) {
	r := Report{File: path, Kind: "mpoc-evidence"}
	var err error
	switch version(raw) {
	case mpoc.ReceiptVersion:
		r.Kind = "receipt"
		err = r.receipt(ctx, raw, by)
	case mpoc.TransferVersion:
		r.Kind = "transfer"
		err = r.transfer(raw)
	default:
		err = r.evidence(ctx, raw, by)
	}
	r.Proven = err == nil
	if err != nil {
		r.Reason = err.Error()
	}
	return r, err
}

func (r *Report) parties(t mpoc.Terms) {
	r.HostKey, r.DeviceKey, r.ChallengeID = t.HostKey.String(), t.DeviceKey.String(), t.ChallengeID.String()
}

func (r *Report) receipt(ctx context.Context, raw []byte, by mpoc.Recompute) error {
	f, err := mpoc.ParseReceipt(raw)
	if err != nil {
		return err
	}
	o := f.Outcome
	r.parties(f.Terms)
	r.Claim, r.Loops, r.CreditedLoops, r.Ops, r.Pay, r.Detection = string(o.Status), f.Commit.Loops, o.CreditedLoops, o.Ops, string(o.Pay), o.Detection
	if err := f.Verify(ctx, by); err != nil {
		if r.HostCheated = errors.Is(err, mpoc.ErrHost); r.HostCheated {
			r.Accused = r.HostKey
			return fmt.Errorf("the host cheated, and the submission counts as accepted: %w", err)
		}
		return err
	}
	r.Countersigned = f.DeviceSignature != nil
	r.Rules = &Rules{f.Terms.UnlockAfter, f.Terms.BanAfter, f.Terms.Forfeits}
	switch o.Status {
	case mpoc.Accepted:
		r.Reason = fmt.Sprintf("%d tiles were looked at, all right", o.Checked)
	case mpoc.Faulty:
		r.Reason = fmt.Sprintf("of %d tiles, %d tiles and %d whole loops are wrong, as a faulty device has it", o.Checked, len(f.WrongTiles), len(f.WrongSamples))
	case mpoc.Rejected:
		r.Reason, r.Accused = fmt.Sprintf("of %d tiles, at least %d are wrong, which no faulty device explains", o.Checked, len(f.WrongTiles)), r.DeviceKey
	case mpoc.Failed:
		r.Reason = "the host says that it had no answer in time; nobody can check that"
	case mpoc.Late:
		r.Reason = "the host says that the commit came after the expiry; nobody can check that"
	}
	return nil
}

// transfer checks the host's statement that it paid. Whether it did, the chain says.
func (r *Report) transfer(raw []byte) error {
	t, err := mpoc.ParseTransfer(raw)
	if err != nil {
		return err
	}
	r.HostKey, r.DeviceKey, r.Claim = t.HostKey.String(), t.DeviceKey.String(), "stated"
	if err := t.Verify(); err != nil {
		return err
	}
	r.Reason = fmt.Sprintf("the host states that transaction %s of %s paid %s acpc to %s; if that chain does not have it, the host owes it and lied", t.TxHash, t.Chain, t.Amount, t.Payout)
	return nil
}

func (r *Report) evidence(ctx context.Context, raw []byte, by mpoc.Recompute) error {
	e, err := mpoc.Parse(raw)
	if err != nil {
		return err
	}
	r.Claim = string(e.Claim)
	if e.Terms != nil {
		r.parties(e.Terms.Terms)
	} else {
		r.parties(e.Receipt.Terms) // the one claim without terms has receipts
	}
	f, err := e.Verify(ctx, by)
	r.Reason, r.HostCheated = f.Reason, f.Host && err == nil
	if err == nil && f.Accused != (signed.Key{}) {
		r.Accused = f.Accused.String()
	}
	return err
}

// Text prints a report that proves its claim, for people.
func (r Report) Text(out io.Writer) {
	if r.Kind == "transfer" {
		fmt.Fprintln(out, "proven: the host states a payment")
	} else if r.Kind == "receipt" {
		fmt.Fprintf(out, "proven: challenge %s is %s\n", r.ChallengeID, r.Claim)
	} else {
		fmt.Fprintf(out, "proven: %s\n", r.Claim)
	}
	fmt.Fprintf(out, "  %s\n", r.Reason)
	if r.Kind == "receipt" {
		fmt.Fprintf(out, "  %d of %d loops credited, %d operations, %s acpc\n", r.CreditedLoops, r.Loops, r.Ops, r.Pay)
		fmt.Fprintf(out, "  pay is due after %d more clean submissions; a proven cheat forfeits what is %s, %d of them ban the key\n", r.Rules.UnlockAfter, r.Rules.Forfeits, r.Rules.BanAfter)
		fmt.Fprintf(out, "  forging 5 %% of the tiles would have been met with probability %s\n", r.Detection)
		if !r.Countersigned {
			fmt.Fprintln(out, "  the device has not signed it back")
		}
	}
	fmt.Fprintf(out, "  host   %s\n  device %s\n", r.HostKey, r.DeviceKey)
	if r.Accused != "" {
		fmt.Fprintf(out, "  shown to have cheated: %s\n", r.Accused)
	}
	fmt.Fprintln(out, "  keys are taken from the file; compare them with those you know")
}
