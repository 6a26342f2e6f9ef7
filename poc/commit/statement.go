// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/signed"
)

// ErrStatement reports a commitment statement that is malformed or not signed
// by the key it is held against.
var ErrStatement = errors.New("commit: statement does not hold")

// Statement is what a host signs about one log: whose it is, everything that
// its leaves follow from, and its root and count. Nobody can hold the signature
// against other seeds than those in it. Two signed statements that differ only
// in Root and Count prove that the host committed twice.
type Statement struct {
	Chain       string // chain id
	Epoch       uint64
	Segment     uint32 // from 1
	Participant string // bech32 address
	Node        string // see ValidNode
	Class       string // model class by name
	Seed1       Hash   // Sprint_Seed_1 of the epoch
	SegmentSeed Hash   // Segment_Seed of the segment
	Root        Hash
	Count       uint64 // leaves, at most MaxSize
}

// Valid checks the statement's form. An empty log has EmptyRoot. Errors wrap
// ErrStatement.
func (s Statement) Valid() error {
	switch {
	case s.Chain == "" || s.Participant == "" || s.Class == "":
		return fmt.Errorf("%w: chain, participant and class must not be empty", ErrStatement)
	case s.Segment == 0:
		return fmt.Errorf("%w: segments count from 1", ErrStatement)
	case s.Count > MaxSize:
		return fmt.Errorf("%w: count %d", ErrStatement, s.Count)
	case s.Count == 0 && s.Root != EmptyRoot:
		return fmt.Errorf("%w: no leaves but not the empty root", ErrStatement)
	}
	if err := ValidNode(s.Node); err != nil {
		return fmt.Errorf("%w: %w", ErrStatement, err)
	}
	return nil
}

// SignBytes returns the message that is signed. It has the form of package
// seed's derivation before the hash: a tag and then every field, each behind
// its length as LE32, integers as 8 bytes little-endian. No two statements
// share it.
func (s Statement) SignBytes() []byte {
	return *signed.Say("assay/2/commit-statement").Text(s.Chain).Number(s.Epoch).Number(
		uint64(s.Segment)).Text(s.Participant).
		Text(s.Node).Text(s.Class).Part(s.Seed1[:]).Part(s.SegmentSeed[:]).Part(
		s.Root[:]).Number(s.Count)
}

// SignBytes1 returns the message of version 1 of the statement, which left out
// the seeds. Chains refuse its signatures; it is here to read old evidence.
func (s Statement) SignBytes1() []byte {
	return *signed.Say("assay/1/commit-statement").Text(s.Chain).Number(s.Epoch).Number(
		uint64(s.Segment)).Text(s.Participant).
		Text(s.Node).Text(s.Class).Part(s.Root[:]).Number(s.Count)
}

// Sign signs the statement with a host's Ed25519 key (64 bytes, as
// crypto/ed25519 has it; any other length panics there). Ed25519 signing is
// deterministic.
func (s Statement) Sign(key ed25519.PrivateKey) []byte {
	return ed25519.Sign(key, s.SignBytes())
}

// Verify checks form and signature. Errors wrap ErrStatement.
func (s Statement) Verify(key ed25519.PublicKey, sig []byte) error {
	return s.verify(key, s.SignBytes(), sig)
}

// Verify1 is Verify for a signature under version 1, which says nothing of the
// seeds.
func (s Statement) Verify1(key ed25519.PublicKey, sig []byte) error {
	return s.verify(key, s.SignBytes1(), sig)
}

func (s Statement) verify(key ed25519.PublicKey, message, sig []byte) error {
	if err := s.Valid(); err != nil {
		return err
	}
	if !signed.Verify(key, message, sig) {
		return fmt.Errorf("%w: the signature is not this key's", ErrStatement)
	}
	return nil
}
