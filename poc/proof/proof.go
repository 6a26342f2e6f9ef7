// SPDX-License-Identifier: Apache-2.0

// Package proof is evidence that anyone can check offline.
//
// An evidence file says: this host signed this log, this leaf is in it, and
// the leaf is forged (or honest). Nothing in it has to be believed. Verify
// follows the chain of reasons from the host's key down to integer arithmetic:
//
//	host key --signature--> statement (root, count)
//	root     --path-------> leaf (norm, digest) at index nonce
//	seeds    --one unit---> the norm and digest it should have
//
// The last step is why no authority is needed: any CPU recomputes the unit and
// gets the same bytes. "forged" is what takes collateral; "honest" refutes
// somebody who said so.
//
// What a file cannot show is that its seeds and its host key are the epoch's:
// the chain knows them. The chain fills them in itself when it judges; a person
// compares them with a node's answer or a header they trust.
//
// A file may also carry what a checker revealed for this leaf (seed.Middle).
// Verify then says whether that checker can have run the unit.
package proof

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Version is the only version of the format.
const Version = "assay-evidence/1"

// The two claims.
const (
	Forged = "forged" // the leaf is not what the unit gives
	Honest = "honest" // it is
)

// MaxFileSize is the largest file Parse reads, in bytes.
const MaxFileSize = 64 << 10

var (
	// ErrFile reports a file that is not evidence in this format.
	ErrFile = errors.New("proof: malformed evidence")
	// ErrClaim reports sound evidence for the opposite of its claim.
	ErrClaim = errors.New("proof: the evidence shows the opposite of its claim")
)

// File is one piece of evidence, as JSON with these keys in this order. Hashes,
// keys, signatures and seeds are lower-case hex. Norm exceeds what a double
// holds and is a decimal string.
type File struct {
	Version     string   `json:"version"` // Version
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

	// Voter and VoterDigest are a checker's address and the 8 bytes it
	// revealed for this leaf; both or neither.
	Voter       string `json:"voter,omitempty"`
	VoterDigest string `json:"voter_digest,omitempty"`

	Note string `json:"note,omitempty"` // for people, proves nothing
}

// Finding is what Verify found out.
type Finding struct {
	Forged     bool     // the leaf differs from the recomputed unit
	GotNorm    uint64   // what the leaf says
	GotDigest  [32]byte // what the leaf says
	WantNorm   uint64   // what the unit gives
	WantDigest [32]byte // what the unit gives
	VoterWrong bool     // the file names a checker and what it revealed is wrong
	Reason     string   // one sentence for people
}

// Build makes the model of an epoch, as work.Engine's method Transformer does.
type Build func(class transformer.Class, seed1 seed.Seed) (transformer.Model, error)

// Parse reads a file. Apart from white space there is one accepted spelling of
// each piece of evidence: Marshal's. Unknown, missing, repeated and reordered
// keys are refused. Errors wrap ErrFile.
func Parse(data []byte) (File, error) {
	var f File
	if err := document.Parse(data, &f, MaxFileSize); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if f.Path == nil {
		return File{}, fmt.Errorf("%w: a log of one leaf has the path [], never null", ErrFile)
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
		f.Path = []string{} // a log of one leaf has the path [], never null
	}
	text, err := document.Write(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return text, nil
}

// content is a file with everything decoded and checked for form.
type content struct {
	class       transformer.Class
	seed1       seed.Seed
	segmentSeed seed.Seed
	leaf        commit.Leaf
	statement   commit.Statement
	hostKey     []byte
	signature   []byte
	path        []commit.Hash
	middle      [8]byte
}

func (f File) decode() (content, error) {
	var c content
	var err error
	bad := func(what string, err error) (content, error) {
		return content{}, fmt.Errorf("%w: %s: %w", ErrFile, what, err)
	}
	if f.Version != Version {
		return content{}, fmt.Errorf("%w: version %q, want %q", ErrFile, f.Version, Version)
	}
	if f.Claim != Forged && f.Claim != Honest {
		return content{}, fmt.Errorf("%w: claim %q", ErrFile, f.Claim)
	}
	if c.class, err = transformer.ByName(f.Class); err != nil {
		return bad("class", err)
	}
	if c.seed1, err = seed.Parse(f.Seed1); err != nil {
		return bad("seed1", err)
	}
	if c.segmentSeed, err = seed.Parse(f.SegmentSeed); err != nil {
		return bad("segment_seed", err)
	}
	root, err := seed.Parse(f.Root) // 32 bytes of hex like a seed
	if err != nil {
		return bad("root", err)
	}
	digest, err := seed.Parse(f.Digest)
	if err != nil {
		return bad("digest", err)
	}
	if c.hostKey, err = unhex(f.HostKey, 32); err != nil {
		return bad("host_key", err)
	}
	if c.signature, err = unhex(f.Signature, 64); err != nil {
		return bad("signature", err)
	}
	for i, text := range f.Path {
		h, err := seed.Parse(text)
		if err != nil {
			return bad(fmt.Sprintf("path[%d]", i), err)
		}
		c.path = append(c.path, commit.Hash(h))
	}
	if (f.Voter == "") != (f.VoterDigest == "") {
		return content{}, fmt.Errorf("%w: voter and voter_digest come together", ErrFile)
	}
	if f.Voter != "" {
		b, err := unhex(f.VoterDigest, len(c.middle))
		if err != nil {
			return bad("voter_digest", err)
		}
		c.middle = [8]byte(b)
	}
	c.leaf = commit.Leaf{Class: c.class.ID, Node: f.Node, Index: f.Nonce, Norm: f.Norm, Digest: digest}
	if err := c.leaf.Valid(); err != nil {
		return bad("leaf", err)
	}
	c.statement = commit.Statement{
		Chain: f.Chain, Epoch: f.Epoch, Segment: f.Segment, Participant: f.Participant,
		Node: f.Node, Class: f.Class, Root: commit.Hash(root), Count: f.Count,
	}
	if err := c.statement.Valid(); err != nil {
		return bad("statement", err)
	}
	return c, nil
}

// unhex reads n bytes of lower-case hex.
func unhex(text string, n int) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(b) != n || hex.EncodeToString(b) != text {
		return nil, fmt.Errorf("want %d bytes of lower-case hex", n)
	}
	return b, nil
}

// Verify checks a file from the signature down and recomputes the unit with the
// model that build makes. It returns the finding also with ErrClaim, which says
// that everything holds but shows the opposite. Other errors wrap ErrFile,
// commit.ErrStatement, commit.ErrProof or commit.ErrSize, or are build's. The
// work is one hash chain, one signature, one model and one unit; who minds the
// size of a model looks at Class first.
func Verify(f File, build Build) (Finding, error) {
	c, err := f.decode()
	if err != nil {
		return Finding{}, err
	}
	if err := c.statement.Verify(c.hostKey, c.signature); err != nil {
		return Finding{}, fmt.Errorf("proof: log of node %s, segment %d: %w", f.Node, f.Segment, err)
	}
	if err := commit.VerifyInclusion(c.statement.Root, f.Count, f.Nonce, c.leaf.Hash(), c.path); err != nil {
		return Finding{}, fmt.Errorf("proof: leaf %d of node %s: %w", f.Nonce, f.Node, err)
	}
	model, err := build(c.class, c.seed1)
	if err != nil {
		return Finding{}, fmt.Errorf("proof: building the %s model: %w", f.Class, err)
	}
	var out [1]transformer.Output
	node := seed.Node(f.Chain, f.Participant, f.Node, f.Class)
	if err := model.Run(out[:], node, c.segmentSeed, []uint64{f.Nonce}); err != nil {
		return Finding{}, fmt.Errorf("proof: recomputing unit %d: %w", f.Nonce, err)
	}
	finding := Finding{
		GotNorm: f.Norm, GotDigest: c.leaf.Digest,
		WantNorm: out[0].Norm, WantDigest: out[0].Digest,
	}
	switch {
	case finding.GotDigest != finding.WantDigest && finding.GotNorm != finding.WantNorm:
		finding.Forged, finding.Reason = true, "the leaf's norm and digest are not the unit's"
	case finding.GotDigest != finding.WantDigest:
		finding.Forged, finding.Reason = true, "the leaf's digest is not the unit's"
	case finding.GotNorm != finding.WantNorm:
		finding.Forged, finding.Reason = true, "the leaf's norm is not the unit's"
	default:
		finding.Reason = "the leaf is what the unit gives"
	}
	if f.Voter != "" {
		want := seed.Middle(f.Chain, f.Epoch, f.Voter, f.Participant, f.Node, f.Segment, f.Nonce, out[0].Middle)
		if finding.VoterWrong = want != c.middle; finding.VoterWrong {
			finding.Reason += "; what " + f.Voter + " revealed does not come from running it"
		}
	}
	if finding.Forged != (f.Claim == Forged) {
		return finding, fmt.Errorf("%w: claim %q, but %s", ErrClaim, f.Claim, finding.Reason)
	}
	return finding, nil
}
