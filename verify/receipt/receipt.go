// SPDX-License-Identifier: Apache-2.0

// Package receipt is the part of `assay verify` that shows people what documents on loops prove:
// receipts, evidence and transfers, which package poc opens and verifies.
package receipt

import (
	"fmt"
	"io"

	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/mpoc"
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

// Of returns the answer about a document on loops, as it was found on verifying it; another
// document is none of this package's. The error is Verify's.
func Of(path string, d poc.Document, found poc.Report, err error) (Report, bool) {
	r := Report{File: path, Kind: string(d.Kind()), Claim: found.Claim, Proven: err == nil,
		Reason: found.Proves, HostCheated: found.Host, Accused: found.Accused}
	if err != nil {
		r.Reason = err.Error()
	}
	switch d := d.(type) {
	case *poc.Receipt:
		f, o := d.File, d.File.Outcome
		r.parties(f.Terms)
		r.Loops, r.CreditedLoops, r.Ops, r.Pay, r.Detection = f.Commit.Loops, o.CreditedLoops,
			o.Ops, string(o.Pay), o.Detection
		if err == nil {
			r.Countersigned = f.DeviceSignature != nil
			r.Rules = &Rules{f.Terms.UnlockAfter, f.Terms.BanAfter, f.Terms.Forfeits}
		}
	case *poc.Transfer:
		r.HostKey, r.DeviceKey = d.File.HostKey.String(), d.File.DeviceKey.String()
	case *poc.LoopEvidence:
		r.parties(d.Terms())
	default:
		return Report{}, false
	}
	return r, true
}

func (r *Report) parties(t mpoc.Terms) {
	r.HostKey, r.DeviceKey, r.ChallengeID = t.HostKey.String(), t.DeviceKey.String(),
		t.ChallengeID.String()
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
		fmt.Fprintf(out, "  %d of %d loops credited, %d operations, %s acpc\n", r.CreditedLoops,
			r.Loops, r.Ops, r.Pay)
		fmt.Fprintf(out, "  pay is due after %d more clean submissions; a proven cheat forfeits "+
			"what is %s, %d of them ban the key\n", r.Rules.UnlockAfter, r.Rules.Forfeits,
			r.Rules.BanAfter)
		fmt.Fprintf(out, "  forging 5 %% of the tiles would have been met with probability %s\n",
			r.Detection)
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
