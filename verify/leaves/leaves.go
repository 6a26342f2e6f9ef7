// SPDX-License-Identifier: Apache-2.0

// Package leaves is the part of `assay verify` that shows people what documents on the leaves of a
// machine prove: its receipts, its host's evidence, and files on logs that were left out, which
// package poc opens and verifies.
package leaves

import (
	"fmt"
	"io"

	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/delivery"
)

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
	// WithChain is set when class, seeds and what keys the chain has were compared with a node's
	// answer.
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

// Of returns the answer about a document on leaves between a machine and its host, as it was found
// on verifying it; another document is none of this package's. The error is Verify's.
func Of(path string, d poc.Document, found poc.Report, err error) (Report, bool) {
	r := Report{File: path, Kind: Kind(d.Kind()), Proven: err == nil, Claim: found.Claim,
		Reason: found.Proves, Accused: found.Accused}
	switch d := d.(type) {
	case *poc.LeafReceipt:
		r.Leaves = d.File.Batch.End()
	case *poc.LeafEvidence, *poc.LeftOut:
	default:
		return Report{}, false
	}
	if o, ok := Order(d); ok {
		r.HostKey, r.DeviceKey, r.Participant = o.HostKey.String(),
			o.DeviceKey.String(), o.Participant
		r.Epoch, r.Node, r.Segment = o.Epoch, o.Node, o.Segment
	}
	if found.Checked > 0 {
		r.Checked, r.Wrong, r.Leaf, r.Got, r.Want = found.Checked, found.Wrong, &found.Leaf,
			found.Got, found.Want
	}
	if err != nil {
		r.Reason = err.Error()
	}
	return r, true
}

// Kind is a report's word for a kind of document: a file on a log that was left out is the evidence
// in it.
func Kind(k poc.Kind) string {
	if k == poc.KindLeftOut {
		k = poc.KindLeafEvidence
	}
	return string(k)
}

// Order is what a document on leaves is about, if it says so.
func Order(d poc.Document) (o delivery.Order, ok bool) {
	switch d := d.(type) {
	case *poc.LeafReceipt:
		return d.File.Order, true
	case *poc.LeafEvidence:
		return d.File.Order, true
	case *poc.LeftOut:
		if d.File.Evidence != nil {
			return d.File.Evidence.Order, true
		}
	}
	return o, false
}

// Text prints a report that proves its claim, for people.
func (r Report) Text(out io.Writer) {
	where := fmt.Sprintf("node %s, epoch %d, segment %d, of %s", r.Node, r.Epoch,
		r.Segment, r.Participant)
	if r.Leaf != nil {
		fmt.Fprintf(out, "proven: %s\n  %s\n  %s\n", r.Claim, where, r.Reason)
		fmt.Fprintf(out, "  the machine signed, as leaf %d, %s\n  the unit gives %s\n",
			*r.Leaf, r.Got, r.Want)
	} else {
		fmt.Fprintf(out, "proven: %s\n  %s\n", r.Reason, where)
	}
	switch {
	case r.Committed == nil && r.WithChain:
		fmt.Fprintln(out, "  class and seeds are those of the chain")
	case r.Committed == nil:
	case r.Leaf != nil:
		fmt.Fprintf(out, "  seeds and host key are those of the chain; the host committed to %d "+
			"leaves\n", *r.Committed)
	case *r.Committed < r.Leaves:
		fmt.Fprintf(out, "  on chain the host has committed to %d of them: ask it for evidence "+
			"on the others\n", min(*r.Committed, r.Leaves))
	default:
		fmt.Fprintf(out, "  on chain the host has committed to all of them\n")
	}
	fmt.Fprintf(out, "  host   %s\n  device %s\n", r.HostKey, r.DeviceKey)
	if r.Accused != "" {
		fmt.Fprintf(out, "  shown to have cheated: %s\n", r.Accused)
	}
	if !r.WithChain {
		fmt.Fprintln(out, "  keys and seeds are taken from the file; compare them with those you "+
			"know, or with a chain by --node")
	}
}
