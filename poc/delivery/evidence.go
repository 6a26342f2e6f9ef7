// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
)

// EvidenceVersion is the only version of the format.
const EvidenceVersion = "assay-leaf-evidence/1"

// MaxWrong is how many wrong leaves evidence may list. The test decides for
// fraud before there are more, at any number of leaves that it takes.
const MaxWrong = 40

// ErrClaim reports sound evidence that does not show what it claims.
var ErrClaim = errors.New("delivery: the evidence does not show what it claims")

// Claim is what a piece of evidence is said to show.
type Claim string

// The claims.
const (
	Fraud  Claim = "fraud"  // the machine signed more wrong leaves than faulty hardware makes
	Faulty Claim = "faulty" // it signed wrong ones
)

// Evidence shows that a machine signed wrong leaves, and how many of those that
// the host looked at.
type Evidence struct {
	Version string      `json:"version"` // EvidenceVersion
	Claim   Claim       `json:"claim"`
	Order   Order       `json:"order"`
	Samples uint32      `json:"samples"` // leaves looked at; all, where there are fewer
	Nonce   signed.Hash `json:"nonce"`   // what Order.Audit is the hash of, with Samples
	// batch of the log: it says how many leaves there are
	Last  Signed  `json:"last"`
	Wrong []Wrong `json:"wrong"`          // by rising index; as many as decide, for fraud
	Note  string  `json:"note,omitempty"` // for people, proves nothing
}

// Signed is a batch with the machine's signature of its statement.
type Signed struct {
	Batch     Batch            `json:"batch"`
	Signature signed.Signature `json:"signature"`
}

// Wrong is a leaf that is not what the unit gives, with all that leads from the
// signature to it.
type Wrong struct {
	Leaf uint64        `json:"leaf"`
	In   Signed        `json:"in"`
	Page string        `json:"page"` // bodies, in hex
	Path []signed.Hash `json:"path"` // from the page to the batch's root, lowest first
}

// Found is a wrong leaf as a host has it: with its whole batch.
type Found struct {
	Leaf      uint64
	First     uint64
	Records   []byte // bodies, packed
	Body      int    // bytes of one; 0 is record.Size
	Signature signed.Signature
}

// Questions are the leaves to check, in rising order: samples of those that
// end with the last signed batch. They follow from the host's nonce and the
// machine's last signature.
func Questions(o Order, nonce signed.Hash, samples uint32, last Signed) []uint64 {
	s := seed.LeafDraw(seed.Seed(nonce), last.Signature)
	return audit.Draw(s, last.Batch.End(), int(min(samples, audit.MaxSample)))
}

// Shows says what so many wrong leaves of those looked at amount to. A log with
// fewer leaves than are to be checked shows no fraud: one burst of errors can
// spoil all of it.
func Shows(samples uint32, checked, wrong int) Claim {
	if checked >= int(min(samples, audit.MaxSample)) &&
		audit.Flaky().Decide(uint64(checked), uint64(wrong)) == audit.Fraud {
		return Fraud
	}
	return Faulty
}

// Accuse makes evidence of leaves that a host found wrong among Questions: of
// fraud where they are too many for faulty hardware, and then of as many as
// decide. It does not check them; Verify does.
func Accuse(o Order, nonce signed.Hash, samples uint32, last Signed, found []Found,
	note string) (Evidence, error) {
	e := Evidence{Version: EvidenceVersion, Claim: Faulty, Order: o, Samples: samples, Nonce: nonce,
		Last: last, Note: note}
	n := len(Questions(o, nonce, samples, last))
	for i, f := range found[:min(len(found), MaxWrong)] {
		w, err := open(f)
		if err != nil {
			return e, err
		}
		e.Wrong = append(e.Wrong, w)
		if Shows(samples, n, i+1) == Fraud {
			e.Claim = Fraud
			break
		}
	}
	return e, nil
}

// open cuts a leaf's page out of its batch.
func open(f Found) (Wrong, error) {
	body := cmp.Or(f.Body, record.Size)
	w := Wrong{Leaf: f.Leaf, In: Signed{BatchOfBodies(f.First, body, f.Records), f.Signature},
		Path: []signed.Hash{}}
	if f.Leaf < f.First || f.Leaf >= w.In.Batch.End() {
		return w, fmt.Errorf("%w: leaf %d is not in its batch", ErrFile, f.Leaf)
	}
	var tree commit.Log
	var pages [][]byte
	for page := range slices.Chunk(f.Records, PageRecords*body) {
		tree.Append(commit.LeafHash(page))
		pages = append(pages, page)
	}
	at := (f.Leaf - f.First) / PageRecords
	path, err := commit.Inclusion(&tree, at, tree.Size())
	for _, hash := range path {
		w.Path = append(w.Path, hash)
	}
	w.Page = hex.EncodeToString(pages[at])
	return w, err
}

// claimed checks the way from a signature to a leaf, whose body has so many bytes,
// and returns the body.
func (w Wrong) claimed(o Order, body int) ([]byte, error) {
	b := w.In.Batch
	page, err := hex.DecodeString(w.Page)
	if err != nil || hex.EncodeToString(page) != w.Page {
		return nil, fmt.Errorf("%w: the page of leaf %d is not lower-case hex", ErrFile, w.Leaf)
	}
	if w.Leaf < b.First || w.Leaf >= b.End() {
		return nil, fmt.Errorf("%w: leaf %d is not in its batch", ErrFile, w.Leaf)
	}
	at := (w.Leaf - b.First) / PageRecords
	if uint64(len(page)) != min(PageRecords, b.Count-at*PageRecords)*uint64(body) {
		return nil, fmt.Errorf("%w: the page of leaf %d has %d bytes", ErrFile, w.Leaf, len(page))
	}
	if err := (Statement{o, b}).Verify(w.In.Signature); err != nil {
		return nil, err
	}
	path := make([]commit.Hash, len(w.Path))
	for i, hash := range w.Path {
		path[i] = commit.Hash(hash)
	}
	if err := commit.VerifyInclusion(commit.Hash(b.Root), b.pages(), at, commit.LeafHash(page),
		path); err != nil {
		return nil, fmt.Errorf("delivery: leaf %d is not in the batch that was signed: %w",
			w.Leaf, err)
	}
	return page[int((w.Leaf-b.First)%PageRecords)*body:][:body], nil
}

// Finding is what Verify found out.
type Finding struct {
	Claim   Claim // what is shown
	Checked int   // leaves that were checked
	Wrong   int   // of those in the file
	// Leaf is the first wrong one, Got what the machine signed and Want what the
	// unit gives.
	Leaf      uint64
	Got, Want Body
	Reason    string // one sentence for people
}

// Body is the body of a leaf of some kind of work.
type Body []byte

// Digest names a body for people: the digest in a record of transformer/1, the
// last 32 of its 40 bytes; of a body of another length its SHA-256.
func (b Body) Digest() [32]byte {
	if len(b) == record.Size {
		return record.At(b, 0).Digest
	}
	return sha256.Sum256(b)
}

// String writes a record as its norm and digest, and another body in hex.
func (b Body) String() string {
	if len(b) == record.Size {
		r := record.At(b, 0)
		return fmt.Sprintf("norm %d digest %x", r.Norm, r.Digest)
	}
	return hex.EncodeToString(b)
}

// Job is the work of an order, of a kind in the table. Errors wrap work.ErrSpec.
func (o Order) Job(kinds work.Table) (work.Job, error) {
	kind, spec, err := kinds.Find(o.Class)
	if err != nil {
		return work.Job{}, err
	}
	node := seed.Node(o.Chain, o.Participant, o.Node, o.Class)
	job := work.Job{Kind: kind, Spec: spec,
		Seeds: []seed.Seed{seed.Seed(o.Seed1), node, seed.Seed(o.SegmentSeed)}}
	if spec.ID == 0 || job.Fits() != nil {
		return work.Job{}, fmt.Errorf("%w: %s is no work of a log", work.ErrSpec, spec.Text)
	}
	return job, nil
}

// Verify checks evidence from the machine's signatures down to integer
// arithmetic. Errors that wrap ErrClaim say that it is sound and does not show
// its claim; those that wrap ErrFile, ErrStatement, signed.ErrSignature, commit.ErrProof
// or commit.ErrSize, that it shows nothing. Others are the judge's.
func (e Evidence) Verify(ctx context.Context, judge *work.Judge) (Finding, error) {
	if err := e.valid(); err != nil {
		return Finding{}, err
	}
	if signed.Hash(seed.LeafAudit(seed.Seed(e.Nonce), e.Samples)) != e.Order.Audit {
		return Finding{}, fmt.Errorf("%w: the nonce is not the one that the order announced",
			ErrFile)
	}
	if err := (Statement{e.Order, e.Last.Batch}).Verify(e.Last.Signature); err != nil {
		return Finding{}, err
	}
	asked := Questions(e.Order, e.Nonce, e.Samples, e.Last)
	job, err := e.Order.Job(judge.Kinds)
	if err != nil {
		return Finding{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	leaves, claims := make([]uint64, len(e.Wrong)), make([][]byte, len(e.Wrong))
	for i, w := range e.Wrong {
		if _, drawn := slices.BinarySearch(asked, w.Leaf); !drawn {
			return Finding{}, fmt.Errorf("%w: leaf %d was not to be checked", ErrFile, w.Leaf)
		}
		if claims[i], err = w.claimed(e.Order, job.Spec.Body); err != nil {
			return Finding{}, err
		}
		leaves[i] = w.Leaf
	}
	out, err := judge.Bodies(ctx, job, leaves, claims)
	if err != nil {
		return Finding{}, err
	}
	for i, body := range out {
		if bytes.Equal(body, claims[i]) {
			return Finding{}, fmt.Errorf("%w: leaf %d is called wrong and is right",
				ErrClaim, leaves[i])
		}
	}
	f := Finding{Claim: Faulty, Checked: len(asked), Wrong: len(leaves), Leaf: leaves[0],
		Got: claims[0], Want: out[0],
		Reason: fmt.Sprintf("of %d leaves that were checked, %d are wrong, as a faulty device "+
			"has it", len(asked), len(leaves))}
	if Shows(e.Samples, len(asked), len(leaves)) == Fraud {
		f.Claim, f.Reason = Fraud,
			fmt.Sprintf("of %d leaves that were checked, at least %d are wrong, which no faulty "+
				"device explains", len(asked), len(leaves))
	}
	if f.Claim != e.Claim {
		return f, fmt.Errorf("%w: claim %q, but %s", ErrClaim, e.Claim, f.Reason)
	}
	return f, nil
}

// valid checks the form. Errors wrap ErrFile.
func (e Evidence) valid() error {
	switch {
	case e.Version != EvidenceVersion:
		return fmt.Errorf("%w: version %.40q", ErrFile, e.Version)
	case e.Claim != Fraud && e.Claim != Faulty:
		return fmt.Errorf("%w: claim %.20q", ErrFile, e.Claim)
	case len(e.Wrong) < 1 || len(e.Wrong) > MaxWrong:
		return fmt.Errorf("%w: %d wrong leaves, want 1..%d", ErrFile, len(e.Wrong), MaxWrong)
	case !printable(e.Note, 0, 256):
		return fmt.Errorf("%w: note", ErrFile)
	}
	if err := errors.Join(e.Order.valid(), e.Last.Batch.valid()); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	for i, w := range e.Wrong {
		if i > 0 && w.Leaf <= e.Wrong[i-1].Leaf {
			return fmt.Errorf("%w: leaves are listed by rising index", ErrFile)
		}
		if len(w.Page) > 2*maxPage || w.Path == nil || len(w.Path) > maxPath {
			return fmt.Errorf("%w: page or path of leaf %d", ErrFile, w.Leaf)
		}
		if err := w.In.Batch.valid(); err != nil {
			return fmt.Errorf("%w: %w", ErrFile, err)
		}
		// All are of one log: of two batches that overlap one is from another pass.
		for _, in := range append([]Wrong{{In: e.Last}}, e.Wrong[:i]...) {
			if a, b := in.In.Batch, w.In.Batch; a != b && a.First < b.End() && b.First < a.End() {
				return fmt.Errorf("%w: the batch of leaf %d overlaps another one", ErrFile, w.Leaf)
			}
		}
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
	return e, e.valid()
}

// Marshal writes the evidence, indented for people. Errors wrap ErrFile.
func (e Evidence) Marshal() ([]byte, error) {
	if err := e.valid(); err != nil {
		return nil, err
	}
	return write(e)
}

// Nonce is the host's secret for a node's log of a segment: from its key, so
// that it is the same one after a restart.
func Nonce(host ed25519.PrivateKey, o Order) signed.Hash {
	return signed.Hash(seed.LeafNonce(host.Seed(), o.Chain, o.Participant, o.DeviceKey[:],
		o.Node, o.Epoch, o.Segment))
}

// Announce completes an order with what the host will look at.
func Announce(host ed25519.PrivateKey, o Order, samples uint32) Order {
	o.HostKey = signed.KeyOf(host)
	o.Audit = signed.Hash(seed.LeafAudit(seed.Seed(Nonce(host, o)), samples))
	return o
}
