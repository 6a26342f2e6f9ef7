// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/signed"
)

// ErrArchive reports an archive leaf that is malformed.
var ErrArchive = errors.New("commit: malformed archive leaf")

const (
	maxName    = 128 // of a participant's address
	maxArchive = 7*4 + len(archiveTag) + maxName + maxNode + 8 + 32 + 8 + ed25519.PublicKeySize
	archiveTag = "assay/1/archive-leaf"
)

// ArchiveLeaf is one accepted commit of an epoch as the chain remembers it for
// ever: whose log, its root and count, and the key that signed the statement.
// The chain keeps the RFC 6962 root over the leaves of all commits of an epoch,
// ordered by (Participant, Node, Segment), and prunes the commits themselves. A
// path from a leaf to that root shows that the chain accepted the commit, and
// under which key, when nobody has the commit any longer.
type ArchiveLeaf struct {
	Participant string // bech32 address
	Node        string // see ValidNode
	Segment     uint32 // from 1
	Root        Hash
	Count       uint64 // leaves of the log, 1 to MaxSize
	HostKey     [ed25519.PublicKeySize]byte
}

// Valid checks the leaf's form. Errors wrap ErrArchive.
func (l ArchiveLeaf) Valid() error {
	switch {
	case l.Participant == "" || len(l.Participant) > maxName:
		return fmt.Errorf("%w: participant of %d characters, want 1 to %d", ErrArchive,
			len(l.Participant), maxName)
	case l.Segment == 0:
		return fmt.Errorf("%w: segments count from 1", ErrArchive)
	case l.Count == 0 || l.Count > MaxSize:
		return fmt.Errorf("%w: count %d", ErrArchive, l.Count)
	}
	if err := ValidNode(l.Node); err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return nil
}

// Append appends the canonical form to dst: the tag "assay/1/archive-leaf" and
// the fields in their order, each behind its length as LE32, integers as 8 bytes
// little-endian.
func (l ArchiveLeaf) Append(dst []byte) []byte {
	m := signed.Message(dst)
	return *m.Text(archiveTag).Text(l.Participant).Text(l.Node).Number(uint64(l.Segment)).
		Part(l.Root[:]).Number(l.Count).Part(l.HostKey[:])
}

// Hash returns the leaf's hash in its epoch's archive.
func (l ArchiveLeaf) Hash() Hash { return LeafHash(l.Append(make([]byte, 0, maxArchive))) }

// ArchivePath is the way from one commit to its epoch's archive.
type ArchivePath struct {
	Root    Hash   // over all commits of the epoch
	Commits uint64 // how many there are
	Index   uint64 // of this one
	Path    []Hash // lowest first
}

// Verify checks that the leaf is in the archive at the path's index. Errors wrap
// ErrArchive, ErrSize or ErrProof.
//
// The path binds its index and, as every RFC 6962 path, not quite the number of
// leaves: whoever has the archive compares Commits and Root with it.
func (p ArchivePath) Verify(l ArchiveLeaf) error {
	if err := l.Valid(); err != nil {
		return err
	}
	if err := VerifyInclusion(p.Root, p.Commits, p.Index, l.Hash(), p.Path); err != nil {
		return fmt.Errorf("commit %d of the epoch's archive: %w", p.Index, err)
	}
	return nil
}
