// SPDX-License-Identifier: Apache-2.0

// Package leaves is the part of `assay verify` that reads what machines and hosts keep of the leaves that one handed to
// the other: a machine's receipts, and a host's files on logs that it left out. It needs nothing but the file: both
// signatures are checked, and every leaf that is called wrong is computed again.
//
// Who has such a file compares the keys in it with those they know; the file cannot say whose they are.
package leaves

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/work"
)

// ErrNothing reports a file on a left-out log that holds no evidence, only its host's word.
var ErrNothing = errors.New("leaves: the file holds no evidence")

// Report is the answer about one file, as --json prints it.
type Report struct {
	File        string `json:"file"`
	Kind        string `json:"kind"` // "leaf-receipt" or "leaf-evidence"
	Proven      bool   `json:"proven"`
	Claim       string `json:"claim"` // "received", "fraud" or "faulty"
	Reason      string `json:"reason"`
	HostKey     string `json:"host_key,omitempty"`
	DeviceKey   string `json:"device_key,omitempty"`
	Participant string `json:"participant,omitempty"`
	Epoch       uint64 `json:"epoch,omitempty"`
	Node        string `json:"node,omitempty"`
	Segment     uint32 `json:"segment,omitempty"`

	// Of a receipt: how many leaves the host has.
	Leaves uint64 `json:"leaves,omitempty"`
	// WithChain is set when class, seeds and what keys the chain has were compared with a node's answer.
	WithChain bool `json:"checked_with_chain"`
	// Committed is how many of them the host has committed to on chain; with --node.
	Committed *uint64 `json:"committed,omitempty"`

	// Of evidence.
	Accused string  `json:"accused,omitempty"` // key of who is shown to have cheated
	Checked int     `json:"checked,omitempty"`
	Wrong   int     `json:"wrong,omitempty"`
	Leaf    *uint64 `json:"leaf,omitempty"` // the first wrong one
	Got     string  `json:"got,omitempty"`  // norm and digest that the machine signed
	Want    string  `json:"want,omitempty"` // the unit's
}

// head is what tells the files apart.
type head struct {
	Version string `json:"version"`
}

// Is tells whether a file is one of those of this package, by its key "version". It does not check anything else.
func Is(raw []byte) bool {
	var h head
	return json.Unmarshal(raw, &h) == nil && (h.Version == delivery.ReceiptVersion || h.Version == delivery.EvidenceVersion || h.Version == delivery.LeftOutVersion)
}

// Check reads and verifies a file. The order is the one that it is about. The error says why the file does not prove its
// claim.
func Check(ctx context.Context, path string, raw []byte, judge *work.Judge) (r Report, o delivery.Order, err error) {
	r = Report{File: path, Kind: "leaf-evidence"}
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return r, o, err
	}
	switch h.Version {
	case delivery.ReceiptVersion:
		r.Kind = "leaf-receipt"
		o, err = r.receipt(raw)
	case delivery.LeftOutVersion:
		o, err = r.leftOut(ctx, raw, judge)
	default:
		var e delivery.Evidence
		if e, err = delivery.Parse(raw); err == nil {
			_, err = r.evidence(ctx, e, judge)
		}
		o = e.Order
	}
	r.Proven = err == nil
	if err != nil {
		r.Reason = err.Error()
	}
	return r, o, err
}

func (r *Report) about(o delivery.Order) {
	r.HostKey, r.DeviceKey, r.Participant = o.HostKey.String(), o.DeviceKey.String(), o.Participant
	r.Epoch, r.Node, r.Segment = o.Epoch, o.Node, o.Segment
}

func (r *Report) receipt(raw []byte) (delivery.Order, error) {
	f, err := delivery.ParseReceipt(raw)
	if err != nil {
		return f.Order, err
	}
	r.about(f.Order)
	r.Claim, r.Leaves = "received", f.Batch.End()
	r.Reason = fmt.Sprintf("the host has %d leaves of this machine", r.Leaves)
	return f.Order, f.Verify()
}

// leftOut reads a host's file: all of it has to follow from the evidence in it.
func (r *Report) leftOut(ctx context.Context, raw []byte, judge *work.Judge) (delivery.Order, error) {
	var f delivery.LeftOutFile
	if err := document.Parse(raw, &f, 2*delivery.MaxFileSize); err != nil {
		return delivery.Order{}, fmt.Errorf("%w: %w", delivery.ErrFile, err)
	}
	if f.Evidence == nil {
		return delivery.Order{}, fmt.Errorf("%w: that leaves are wrong is the host's word", ErrNothing)
	}
	found, err := r.evidence(ctx, *f.Evidence, judge)
	if err == nil {
		err = f.Holds(found)
	}
	if err != nil {
		r.Accused = ""
	}
	return f.Evidence.Order, err
}

func (r *Report) evidence(ctx context.Context, e delivery.Evidence, judge *work.Judge) (delivery.Finding, error) {
	r.about(e.Order)
	r.Claim = string(e.Claim)
	f, err := e.Verify(ctx, judge)
	if err != nil {
		return f, err
	}
	r.Reason, r.Checked, r.Wrong, r.Leaf, r.Got, r.Want = f.Reason, f.Checked, f.Wrong, &f.Leaf, text(f.Got), text(f.Want)
	if f.Claim == delivery.Fraud {
		r.Accused = r.DeviceKey
	}
	return f, nil
}

func text(c record.Record) string {
	return fmt.Sprintf("norm %d digest %s", c.Norm, hex.EncodeToString(c.Digest[:]))
}

// Text prints a report that proves its claim, for people.
func (r Report) Text(out io.Writer) {
	where := fmt.Sprintf("node %s, epoch %d, segment %d, of %s", r.Node, r.Epoch, r.Segment, r.Participant)
	if r.Leaf != nil {
		fmt.Fprintf(out, "proven: %s\n  %s\n  %s\n", r.Claim, where, r.Reason)
		fmt.Fprintf(out, "  the machine signed, as leaf %d, %s\n  the unit gives %s\n", *r.Leaf, r.Got, r.Want)
	} else {
		fmt.Fprintf(out, "proven: %s\n  %s\n", r.Reason, where)
	}
	switch {
	case r.Committed == nil && r.WithChain:
		fmt.Fprintln(out, "  class and seeds are those of the chain")
	case r.Committed == nil:
	case r.Leaf != nil:
		fmt.Fprintf(out, "  seeds and host key are those of the chain; the host committed to %d leaves\n", *r.Committed)
	case *r.Committed < r.Leaves:
		fmt.Fprintf(out, "  on chain the host has committed to %d of them: ask it for evidence on the others\n", min(*r.Committed, r.Leaves))
	default:
		fmt.Fprintf(out, "  on chain the host has committed to all of them\n")
	}
	fmt.Fprintf(out, "  host   %s\n  device %s\n", r.HostKey, r.DeviceKey)
	if r.Accused != "" {
		fmt.Fprintf(out, "  shown to have cheated: %s\n", r.Accused)
	}
	if !r.WithChain {
		fmt.Fprintln(out, "  keys and seeds are taken from the file; compare them with those you know, or with a chain by --node")
	}
}
