// SPDX-License-Identifier: Apache-2.0

package poc

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
)

// assumedKeys is what no document about loops shows.
const assumedKeys = "whose the host key and the device key are"

// Receipt shows the result of a submission of loops, as its host signed it: spec F-17.
type Receipt struct{ File mpoc.Receipt }

func openReceipt(data []byte) (Document, error) {
	f, err := mpoc.ParseReceipt(data)
	return &Receipt{f}, err
}

// Kind is KindReceipt.
func (*Receipt) Kind() Kind { return KindReceipt }

// Cost is the tiles and loops that are called wrong.
func (d *Receipt) Cost() Cost {
	return productsOf(d.File.Terms.Shape.Matmul(), len(d.File.WrongTiles), len(d.File.WrongSamples))
}

// Verify implements Document. Where the error wraps mpoc.ErrHost the receipt is authentic and shows
// that its host cheated: the report accuses it, and the submission counts as accepted.
func (d *Receipt) Verify(ctx context.Context, _ work.Engine, o Options) (Report, error) {
	f, out := d.File, d.File.Outcome
	r := Report{Kind: d.Kind(), Claim: string(out.Status)}
	if err := o.noChain(); err != nil {
		return r, err
	}
	if err := f.Verify(ctx, mpoc.Reference()); err != nil {
		if errors.Is(err, mpoc.ErrHost) {
			r.Accused, r.Host = f.Terms.HostKey.String(), true
			err = fmt.Errorf("the host cheated, and the submission counts as accepted: %w", err)
		}
		return r, err
	}
	r.Proven, r.Assumed, r.Cost = true, []string{assumedKeys}, d.Cost()
	r.Checked, r.Wrong = int(out.Checked), len(f.WrongTiles)+len(f.WrongSamples)
	switch out.Status {
	case mpoc.Accepted:
		r.Proves = fmt.Sprintf("%d tiles were checked, all right", out.Checked)
		r.Assumed = append(r.Assumed, "that the tiles which the host calls right are right")
	case mpoc.Faulty:
		r.Proves = fmt.Sprintf("of %d tiles, %d tiles and %d whole loops are wrong, as a faulty "+
			"device has it", out.Checked, len(f.WrongTiles), len(f.WrongSamples))
	case mpoc.Rejected:
		r.Proves, r.Accused = fmt.Sprintf("of %d tiles, at least %d are wrong, which no faulty "+
			"device explains", out.Checked, len(f.WrongTiles)), f.Terms.DeviceKey.String()
	case mpoc.Failed:
		r.Proves = "the host says that it had no answer in time; nobody can check that"
		r.Assumed = append(r.Assumed, "that the device did not answer in time")
	case mpoc.Late:
		r.Proves = "the host says that the commit came after the expiry; nobody can check that"
		r.Assumed = append(r.Assumed, "that the commit came after the expiry")
	}
	return r, nil
}

// LoopEvidence shows that a device or a host broke the rules of a challenge: spec F-18.
type LoopEvidence struct{ File mpoc.Evidence }

func openLoopEvidence(data []byte) (Document, error) {
	f, err := mpoc.Parse(data)
	return &LoopEvidence{f}, err
}

// Kind is KindLoopEvidence.
func (*LoopEvidence) Kind() Kind { return KindLoopEvidence }

// Cost is the tile or loop that it opens, if it opens one.
func (d *LoopEvidence) Cost() Cost {
	switch e := d.File; {
	case e.Tile != nil:
		return productsOf(e.Terms.Terms.Shape.Matmul(), 1, 0)
	case e.Sample != nil:
		return productsOf(e.Terms.Terms.Shape.Matmul(), 0, 1)
	}
	return Cost{}
}

// Terms are those of the challenge that it is about.
func (d *LoopEvidence) Terms() mpoc.Terms {
	if d.File.Terms != nil {
		return d.File.Terms.Terms
	}
	return d.File.Receipt.Terms // the one claim without terms has receipts
}

// Verify implements Document.
func (d *LoopEvidence) Verify(ctx context.Context, _ work.Engine, o Options) (Report, error) {
	r := Report{Kind: d.Kind(), Claim: string(d.File.Claim)}
	if err := o.noChain(); err != nil {
		return r, err
	}
	f, err := d.File.Verify(ctx, mpoc.Reference())
	if err == nil || errors.Is(err, mpoc.ErrClaim) {
		r.Cost = d.Cost()
	}
	if err != nil {
		return r, err
	}
	r.Proven, r.Proves, r.Assumed, r.Host = true, f.Reason, []string{assumedKeys}, f.Host
	if f.Accused != (signed.Key{}) {
		r.Accused = f.Accused.String()
	}
	if r.Cost.Units+r.Cost.Tiles > 0 {
		r.Checked, r.Got, r.Want = 1, f.Got.String(), f.Want.String()
	}
	if f.Forged {
		r.Wrong = 1
	}
	return r, nil
}

// Transfer is a host's statement that it paid: spec F-19.
type Transfer struct{ File mpoc.Transfer }

func openTransfer(data []byte) (Document, error) {
	f, err := mpoc.ParseTransfer(data)
	return &Transfer{f}, err
}

// Kind is KindTransfer.
func (*Transfer) Kind() Kind { return KindTransfer }

// Cost is nothing but a signature.
func (*Transfer) Cost() Cost { return Cost{} }

// Verify implements Document. Whether the transaction is there, the chain says.
func (d *Transfer) Verify(_ context.Context, _ work.Engine, o Options) (Report, error) {
	t := d.File
	r := Report{Kind: d.Kind(), Claim: "stated"}
	if err := o.noChain(); err != nil {
		return r, err
	}
	if err := t.Verify(); err != nil {
		return r, err
	}
	r.Proven, r.Assumed = true, []string{assumedKeys, "that the chain has the transaction"}
	r.Proves = fmt.Sprintf("the host states that transaction %s of %s paid %s acpc to %s; if "+
		"that chain does not have it, the host owes it and lied", t.TxHash,
		t.Chain, t.Amount, t.Payout)
	return r, nil
}
