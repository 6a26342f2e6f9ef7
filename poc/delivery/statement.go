// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/signed"
)

const (
	// MaxRecords is the largest number of records in a batch.
	MaxRecords = 1000
	// PageRecords is how many records lie under one leaf of a batch's tree.
	PageRecords = 32

	maxPage = PageRecords * commit.MaxBody // bytes
	maxPath = 5                            // of 32 pages
)

var (
	// ErrStatement reports a statement that is malformed.
	ErrStatement = errors.New("delivery: malformed statement")
)

// Order is what a machine was told to compute: all that its leaves follow from,
// but their index.
type Order struct {
	Chain       string      `json:"chain"`
	HostKey     signed.Key  `json:"host_key"`
	DeviceKey   signed.Key  `json:"device_key"`
	Participant string      `json:"participant"` // the host's account
	Epoch       uint64      `json:"epoch"`
	Node        string      `json:"node"`
	Class       string      `json:"class"`
	Seed1       signed.Hash `json:"seed1"` // Sprint_Seed_1
	Segment     uint32      `json:"segment"`
	SegmentSeed signed.Hash `json:"segment_seed"`
	Audit       signed.Hash `json:"audit"` // seed.LeafAudit, of what the host will look at
}

// Batch is leaves first, first+1, ... of a log.
type Batch struct {
	First uint64      `json:"first"`
	Count uint64      `json:"count"` // 1 to MaxRecords
	Root  signed.Hash `json:"root"`  // over the records' pages
}

// Statement is what a machine signs about one batch.
type Statement struct {
	Order
	Batch
}

// BatchOf describes records of transformer/1, record.Size bytes each, the first of
// which is leaf first.
func BatchOf(first uint64, records []byte) Batch {
	return BatchOfBodies(first, record.Size, records)
}

// BatchOfBodies describes bodies of leaves of any kind of work, so many bytes each,
// 1 to commit.MaxBody, the first of which is leaf first.
func BatchOfBodies(first uint64, body int, packed []byte) Batch {
	var tree commit.Frontier
	// commit.LeafHash without its copy: this is done a thousand times a second
	var leaf [1 + maxPage]byte
	for page := range slices.Chunk(packed, PageRecords*body) {
		tree.Append(sha256.Sum256(leaf[:1+copy(leaf[1:], page)]))
	}
	return Batch{First: first, Count: uint64(len(packed) / body), Root: tree.Root()}
}

// End is the index behind the last leaf.
func (b Batch) End() uint64 { return b.First + b.Count }

// pages is how many leaves the tree has.
func (b Batch) pages() uint64 { return (b.Count + PageRecords - 1) / PageRecords }

func (b Batch) valid() error {
	if b.Count < 1 || b.Count > MaxRecords || b.First >= commit.MaxSize ||
		b.End() > commit.MaxSize {
		return fmt.Errorf("%w: %d leaves from %d", ErrStatement, b.Count, b.First)
	}
	return nil
}

// valid checks the form. Errors wrap ErrStatement.
func (o Order) valid() error {
	switch {
	case !printable(o.Chain, 1, 64) || !printable(o.Participant, 1, 128) ||
		!printable(o.Class, 1, 64):
		return fmt.Errorf("%w: chain, participant or class", ErrStatement)
	case o.Segment == 0:
		return fmt.Errorf("%w: segments count from 1", ErrStatement)
	}
	if err := commit.ValidNode(o.Node); err != nil {
		return fmt.Errorf("%w: %w", ErrStatement, err)
	}
	return nil
}

// printable reports whether s has least to most bytes, all of printable ASCII.
func printable(s string, least, most int) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}

// SignBytes returns the message that the machine signs.
func (s Statement) SignBytes() []byte {
	return *signed.Say("assay/1/leaf-batch").Text(s.Chain).Part(s.HostKey[:]).Part(
		s.DeviceKey[:]).Text(s.Participant).Number(s.Epoch).
		Text(s.Node).Text(s.Class).Part(s.Seed1[:]).Number(uint64(s.Segment)).Part(
		s.SegmentSeed[:]).Part(s.Audit[:]).
		Number(s.First).Number(s.Count).Part(s.Root[:])
}

// Digest names the statement.
func (s Statement) Digest() signed.Hash { return sha256.Sum256(s.SignBytes()) }

// Sign signs with the machine's key.
func (s Statement) Sign(key ed25519.PrivateKey) signed.Signature {
	return signed.Signature(ed25519.Sign(key, s.SignBytes()))
}

// Verify checks form and signature. Errors wrap ErrStatement or signed.ErrSignature.
func (s Statement) Verify(sig signed.Signature) error {
	if err := errors.Join(s.Order.valid(), s.Batch.valid()); err != nil {
		return err
	}
	return signed.Check("device", s.DeviceKey, s.SignBytes(), sig)
}

// acknowledgement is the message that the host signs.
func acknowledgement(statement signed.Hash) []byte {
	return *signed.Say("assay/1/leaf-receipt").Part(statement[:])
}

// Acknowledge returns the host's signature for a statement by its digest: that it
// has the batch, and all leaves of the order before it. So one stands for many.
func Acknowledge(statement signed.Hash, key ed25519.PrivateKey) signed.Signature {
	return signed.Signature(ed25519.Sign(key, acknowledgement(statement)))
}
