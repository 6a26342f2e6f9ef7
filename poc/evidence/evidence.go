// SPDX-License-Identifier: Apache-2.0

// Package evidence has the files that show a leaf to be forged or honest, to anyone and offline.
//
// An evidence file says: this host signed this log, this leaf is in it, and
// the leaf is forged (or honest). Nothing in it has to be believed. Verify
// follows the chain of reasons from the host's key down to integer arithmetic:
//
//	host key --signature--> statement (seeds, root, count)
//	root     --path-------> leaf (norm, digest) at index nonce
//	seeds    --one unit---> the norm and digest it should have
//	archive  <--path------- participant, node, segment, root, count, host key
//
// The third step is why no authority is needed: any CPU recomputes the unit and
// gets the same bytes. "forged" is what takes collateral; "honest" refutes
// somebody who said so.
//
// Everything that the recomputation needs is under the accused's signature, the
// seeds included, so nobody can hold a signature against seeds that its owner
// did not work from. Two things remain that a signature cannot show: that the
// key is the participant's, and that the chain accepted the commit. The chain
// keeps, for every epoch and for ever, the seeds and the RFC 6962 root over all
// commits with their keys (commit.ArchiveLeaf), and the file has the path there.
// So whoever trusts a node, or one block hash, has them shown too. File.Anchor is
// what has to be compared; package verify/state reads the part for block hashes.
//
// Version 1 of the file is read as well. Its statements bind no seeds, and it
// has no path: it can be edited into the conviction of an honest host, and
// convicts nobody by itself (Finding.Unbound).
package evidence

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/document"
)

// The versions of the format. Only files of Version are written.
const (
	Version  = "assay-evidence/2"
	Version1 = "assay-evidence/1"
)

// The two claims.
const (
	Forged = "forged" // the leaf is not what the unit gives
	Honest = "honest" // it is
)

// MaxFileSize is the largest file Parse reads, in bytes.
const MaxFileSize = 64 << 10

// maxState is how long one of the opaque parts of State may be, in bytes.
const maxState = 8 << 10

var (
	// ErrFile reports a file that is not evidence in this format.
	ErrFile = errors.New("proof: malformed evidence")
	// ErrClaim reports sound evidence for the opposite of its claim.
	ErrClaim = errors.New("proof: the evidence shows the opposite of its claim")
)

// File is one piece of evidence, as JSON with these keys in this order. Hashes,
// keys, signatures, seeds and proofs are lower-case hex. Norm exceeds what a
// double holds and is a decimal string.
type File struct {
	Version     string   `json:"version"` // Version or Version1
	Claim       string   `json:"claim"`   // Forged or Honest
	Chain       string   `json:"chain"`
	Epoch       uint64   `json:"epoch"`
	Class       string   `json:"class"`
	Seed1       string   `json:"seed1"`        // Sprint_Seed_1
	SegmentSeed string   `json:"segment_seed"` // Segment_Seed_s
	Participant string   `json:"participant"`
	Node        string   `json:"node"`
	Segment     uint32   `json:"segment"`
	Nonce       uint64   `json:"nonce"` // leaf index
	Norm        uint64   `json:"norm,string"`
	Digest      string   `json:"digest"`
	Count       uint64   `json:"count"`
	Root        string   `json:"root"`
	HostKey     string   `json:"host_key"`  // Ed25519, 32 bytes
	Signature   string   `json:"signature"` // over commit.Statement, 64 bytes
	Path        []string `json:"path"`      // inclusion path, lowest first

	// Archive leads from the commit to what the chain keeps for ever; version 2.
	Archive *Archive `json:"archive,omitempty"`
	// State leads from there to a block's hash; version 2, may be missing.
	State *State `json:"state,omitempty"`

	Note string `json:"note,omitempty"` // for people, proves nothing
}

// Archive is a commit.ArchivePath.
type Archive struct {
	Root    string   `json:"root"`
	Commits uint64   `json:"commits"`
	Index   uint64   `json:"index"`
	Path    []string `json:"path"`
}

// State shows that a chain's state, as a block's header commits to it, holds the
// epoch's archive. To this package its parts are bytes; package verify/state
// knows them. Version 2 of the file is complete without.
type State struct {
	Header string `json:"header"` // CometBFT's Header, in protobuf
	App    string `json:"app"`    // ICS-23: x/sprint's store under the header's app hash
	Store  string `json:"store"`  // ICS-23: the epoch's archive in that store
}

// Parse reads a file. Apart from white space there is one accepted spelling of
// each piece of evidence: Marshal's. Unknown, missing, repeated and reordered
// keys are refused. Errors wrap ErrFile.
func Parse(data []byte) (File, error) {
	var f File
	if err := document.Parse(data, &f, MaxFileSize); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if f.Path == nil || f.Archive != nil && f.Archive.Path == nil {
		return File{}, fmt.Errorf("%w: a path without hashes is [], never null", ErrFile)
	}
	if _, err := f.decode(); err != nil {
		return File{}, err
	}
	return f, nil
}

// Marshal writes the file, indented for people. Errors wrap ErrFile.
func (f File) Marshal() ([]byte, error) {
	if _, err := f.decode(); err != nil {
		return nil, err
	}
	if f.Path == nil {
		f.Path = []string{} // never null
	}
	if f.Archive != nil && f.Archive.Path == nil {
		archive := *f.Archive
		archive.Path = []string{}
		f.Archive = &archive
	}
	text, err := document.Write(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return text, nil
}
