// SPDX-License-Identifier: Apache-2.0

package poc

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// AssumedState is what a report says of evidence with a proof of the chain's state, which this
// package does not read.
const AssumedState = "that the file's own proof of the chain's state holds: package verify/state " +
	"reads it"

// Evidence shows a committed leaf to be forged or honest: spec F-8 to F-10.
type Evidence struct{ File evidence.File }

func openEvidence(data []byte) (Document, error) {
	f, err := evidence.Parse(data)
	return &Evidence{f}, err
}

// Kind is KindEvidence.
func (*Evidence) Kind() Kind { return KindEvidence }

// Cost is one unit and its model.
func (d *Evidence) Cost() Cost { return unitsOf(work.Kinds(), d.File.Class, 1, false) }

// Verify implements Document.
func (d *Evidence) Verify(ctx context.Context, engine work.Engine, o Options) (Report, error) {
	f := d.File
	r := Report{Kind: d.Kind(), Claim: f.Claim}
	found, err := evidence.Verify(f,
		func(class transformer.Class, seed1 seed.Seed) (transformer.Model, error) {
			return or(engine).Transformer(ctx, class, seed1, nil)
		})
	if err != nil {
		if errors.Is(err, evidence.ErrClaim) {
			r.Cost = d.Cost()
		}
		return r, err
	}
	r.Proves, r.Unbound, r.Cost, r.Checked, r.Leaf = found.Reason, found.Unbound,
		d.Cost(), 1, f.Nonce
	r.Got, r.Want = text(found.GotNorm, found.GotDigest), text(found.WantNorm, found.WantDigest)
	switch {
	case found.Unbound:
		r.Assumed = []string{"Seed_1 of the epoch", "the segment's seed", "that the host key is " +
			"the participant's"}
	case o.Anchor != nil:
		says, err := f.Anchor()
		if err == nil {
			err = o.at(says)
		}
		if err != nil {
			return r, err
		}
		r.Proven = true
	default:
		r.Assumed = []string{"that the host key " + f.HostKey + " is the participant's",
			"that the seeds, which that key signed, are the epoch's", "that the chain accepted " +
				"the commitment"}
	}
	if found.Forged {
		r.Wrong = 1
		if r.Proven {
			r.Accused, r.Host = f.HostKey, true
		}
	}
	if f.State != nil {
		r.Assumed = append(r.Assumed, AssumedState)
	}
	return r, nil
}

// text writes a record for people.
func text(norm uint64, digest [32]byte) string {
	return delivery.Body(record.Record{Norm: norm, Digest: digest}.Append(nil)).String()
}

// assumedOf is what nothing in a document about leaves between a machine and its host shows.
func assumedOf(o Options) []string {
	if o.Anchor != nil {
		return []string{"whose the host key and the device key are"}
	}
	return []string{"whose the host key and the device key are", "that the seeds are the epoch's"}
}

// ordered holds an order against what the reader knows of the epoch.
func (o Options) ordered(order delivery.Order) error {
	if o.Anchor == nil {
		return nil
	}
	says := *o.Anchor // root and commits are of the epoch's archive, of which an order says nothing
	says.Chain, says.Epoch, says.Class, says.Seed1, says.SegmentSeed = order.Chain, order.Epoch,
		order.Class, order.Seed1, order.SegmentSeed
	return o.at(says)
}

// LeafReceipt shows that a host has a machine's leaves: spec F-14.
type LeafReceipt struct{ File delivery.Receipt }

func openLeafReceipt(data []byte) (Document, error) {
	f, err := delivery.ParseReceipt(data)
	return &LeafReceipt{f}, err
}

// Kind is KindLeafReceipt.
func (*LeafReceipt) Kind() Kind { return KindLeafReceipt }

// Cost is nothing but two signatures.
func (*LeafReceipt) Cost() Cost { return Cost{} }

// Verify implements Document.
func (d *LeafReceipt) Verify(_ context.Context, _ work.Engine, o Options) (Report, error) {
	r := Report{Kind: d.Kind(), Claim: "received"}
	if err := d.File.Verify(); err != nil {
		return r, err
	}
	if err := o.ordered(d.File.Order); err != nil {
		return r, err
	}
	r.Proven, r.Proves, r.Assumed = true, fmt.Sprintf("the host has %d leaves of this machine",
		d.File.Batch.End()), assumedOf(o)
	return r, nil
}

// LeafEvidence shows that a machine signed wrong leaves: spec F-15.
type LeafEvidence struct{ File delivery.Evidence }

func openLeafEvidence(data []byte) (Document, error) {
	f, err := delivery.Parse(data)
	return &LeafEvidence{f}, err
}

// Kind is KindLeafEvidence.
func (*LeafEvidence) Kind() Kind { return KindLeafEvidence }

// Cost is the units of the leaves that are called wrong.
func (d *LeafEvidence) Cost() Cost { return d.cost(work.Kinds()) }

func (d *LeafEvidence) cost(kinds work.Table) Cost {
	return unitsOf(kinds, d.File.Order.Class, len(d.File.Wrong), true)
}

// Verify implements Document.
func (d *LeafEvidence) Verify(ctx context.Context, engine work.Engine, o Options) (Report, error) {
	r, _, err := d.verify(ctx, engine, o)
	return r, err
}

func (d *LeafEvidence) verify(ctx context.Context, engine work.Engine, o Options) (Report,
	delivery.Finding, error) {
	e := d.File
	r := Report{Kind: d.Kind(), Claim: string(e.Claim)}
	judge := work.NewJudge(engine)
	if o.Kinds != nil {
		judge.Kinds = o.Kinds
	}
	f, err := e.Verify(ctx, judge)
	if errors.Is(err, delivery.ErrClaim) {
		r.Cost = d.cost(judge.Kinds)
	}
	if err != nil {
		return r, f, err
	}
	r.Cost = d.cost(judge.Kinds)
	if err := o.ordered(e.Order); err != nil {
		return r, f, err
	}
	r.Proven, r.Proves, r.Assumed = true, f.Reason, assumedOf(o)
	r.Checked, r.Wrong, r.Leaf, r.Got, r.Want = f.Checked, f.Wrong, f.Leaf,
		f.Got.String(), f.Want.String()
	if f.Claim == delivery.Fraud {
		r.Accused = e.Order.DeviceKey.String()
	}
	return r, f, nil
}

// LeftOut is a host's file on a log that it did not commit to. With evidence it shows what that
// shows, and without it nothing: spec F-16.
type LeftOut struct{ File delivery.LeftOutFile }

func openLeftOut(data []byte) (Document, error) {
	var f delivery.LeftOutFile
	if err := document.Parse(data, &f, 2*delivery.MaxFileSize); err != nil {
		return nil, fmt.Errorf("%w: %w", delivery.ErrFile, err)
	}
	return &LeftOut{f}, nil
}

// Kind is KindLeftOut.
func (*LeftOut) Kind() Kind { return KindLeftOut }

// Cost is that of its evidence.
func (d *LeftOut) Cost() Cost {
	if d.File.Evidence == nil {
		return Cost{}
	}
	return (&LeafEvidence{*d.File.Evidence}).Cost()
}

// Verify implements Document. Errors wrap ErrNothing where there is no evidence, and
// delivery.ErrLeftOut where the file says something else than it.
func (d *LeftOut) Verify(ctx context.Context, engine work.Engine, o Options) (Report, error) {
	if d.File.Evidence == nil {
		return Report{Kind: d.Kind()},
			fmt.Errorf("%w: that leaves are wrong is the host's word", ErrNothing)
	}
	r, found, err := (&LeafEvidence{*d.File.Evidence}).verify(ctx, engine, o)
	if err == nil {
		err = d.File.Holds(found)
	}
	r.Kind = d.Kind()
	if err != nil {
		r.Proven, r.Accused = false, ""
	}
	return r, err
}
