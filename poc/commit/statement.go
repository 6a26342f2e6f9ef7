// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrStatement reports a commitment statement that is malformed or not signed
// by the key it is held against.
var ErrStatement = errors.New("commit: statement does not hold")

// Statement is what a host signs about one log: whose it is, what it covers
// and its root and count. Two signed statements that differ only in Root and
// Count are proof of two faces.
type Statement struct {
	Chain       string // chain id
	Epoch       uint64
	Segment     uint32 // from 1
	Participant string // bech32 address
	Node        string // see ValidNode
	Class       string // model class by name
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
	m := make([]byte, 0, 256)
	part := func(p []byte) {
		m = binary.LittleEndian.AppendUint32(m, uint32(len(p)))
		m = append(m, p...)
	}
	number := func(v uint64) { part(binary.LittleEndian.AppendUint64(nil, v)) }
	part([]byte("assay/1/commit-statement"))
	part([]byte(s.Chain))
	number(s.Epoch)
	number(uint64(s.Segment))
	part([]byte(s.Participant))
	part([]byte(s.Node))
	part([]byte(s.Class))
	part(s.Root[:])
	number(s.Count)
	return m
}

// Sign signs the statement with a host's Ed25519 key (64 bytes, as
// crypto/ed25519 has it; any other length panics there). Ed25519 signing is
// deterministic.
func (s Statement) Sign(key ed25519.PrivateKey) []byte {
	return ed25519.Sign(key, s.SignBytes())
}

// Verify checks form and signature. Errors wrap ErrStatement.
func (s Statement) Verify(key ed25519.PublicKey, sig []byte) error {
	if err := s.Valid(); err != nil {
		return err
	}
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: host key of %d bytes", ErrStatement, len(key))
	}
	if !ed25519.Verify(key, s.SignBytes(), sig) {
		return fmt.Errorf("%w: the signature is not this key's", ErrStatement)
	}
	return nil
}
