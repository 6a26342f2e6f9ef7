// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/hex"
	"fmt"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Finding is what Verify found out.
type Finding struct {
	Forged     bool     // the leaf differs from the recomputed unit
	GotNorm    uint64   // what the leaf says
	GotDigest  [32]byte // what the leaf says
	WantNorm   uint64   // what the unit gives
	WantDigest [32]byte // what the unit gives
	Unbound    bool     // version 1: the seeds are not under the signature, and any could be
	Reason     string   // one sentence for people
}

// Build makes the model of an epoch, as work.Engine's method Transformer does.
type Build func(class transformer.Class, seed1 seed.Seed) (transformer.Model, error)

// Verify checks a file from the signature down and recomputes the unit with the
// model that build makes. It returns the finding also with ErrClaim, which says
// that everything holds but shows the opposite. Other errors wrap ErrFile,
// commit.ErrStatement, commit.ErrProof or commit.ErrSize, or are build's. The
// work is two hash chains, one signature, one model and one unit; who minds the
// size of a model looks at Class first.
//
// A finding is about the key that signed. File.Anchor says what makes it one
// about the participant.
func Verify(f File, build Build) (Finding, error) {
	c, err := f.decode()
	if err != nil {
		return Finding{}, err
	}
	check := c.statement.Verify
	if f.Version == Version1 {
		check = c.statement.Verify1
	}
	if err := check(c.hostKey[:], c.signature); err != nil {
		return Finding{}, fmt.Errorf("proof: log of node %s, segment %d: %w",
			f.Node, f.Segment, err)
	}
	if err := commit.VerifyInclusion(c.statement.Root, f.Count, f.Nonce, c.leaf.Hash(),
		c.path); err != nil {
		return Finding{}, fmt.Errorf("proof: leaf %d of node %s: %w", f.Nonce, f.Node, err)
	}
	if f.Version == Version {
		if err := c.archive.Verify(c.archiveLeaf()); err != nil {
			return Finding{}, fmt.Errorf("proof: %w", err)
		}
	}
	model, err := build(c.class, seed.Seed(c.statement.Seed1))
	if err != nil {
		return Finding{}, fmt.Errorf("proof: building the %s model: %w", f.Class, err)
	}
	var out [1]transformer.Output
	node := seed.Node(f.Chain, f.Participant, f.Node, f.Class)
	if err := model.Run(out[:], node, seed.Seed(c.statement.SegmentSeed),
		[]uint64{f.Nonce}); err != nil {
		return Finding{}, fmt.Errorf("proof: recomputing unit %d: %w", f.Nonce, err)
	}
	finding := Finding{
		GotNorm: f.Norm, GotDigest: c.leaf.Digest,
		WantNorm: out[0].Norm, WantDigest: out[0].Digest,
		Unbound: f.Version == Version1,
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
	if finding.Forged != (f.Claim == Forged) {
		return finding, fmt.Errorf("%w: claim %q, but %s", ErrClaim, f.Claim, finding.Reason)
	}
	return finding, nil
}

func (c content) archiveLeaf() commit.ArchiveLeaf {
	s := c.statement
	return commit.ArchiveLeaf{Participant: s.Participant, Node: s.Node, Segment: s.Segment,
		Root: s.Root, Count: s.Count, HostKey: c.hostKey}
}

// Anchor is what a chain keeps of an epoch for ever, as far as one file is about
// it: its class and seeds, and the archive of its commits.
type Anchor struct {
	Chain       string
	Epoch       uint64
	Class       string
	Seed1       commit.Hash
	SegmentSeed commit.Hash // of the file's segment
	Root        commit.Hash // over all commits
	Commits     uint64
}

// Difference names the first thing in which what a file says differs from what a chain holds; "" is
// none.
func (a Anchor) Difference(chain Anchor) string {
	hash := func(h commit.Hash) string { return hex.EncodeToString(h[:]) }
	for _, c := range []struct{ what, file, chain string }{
		{"chain", a.Chain, chain.Chain}, {"epoch", fmt.Sprint(a.Epoch), fmt.Sprint(chain.Epoch)},
		{"class", a.Class, chain.Class},
		{"Seed_1", hash(a.Seed1), hash(chain.Seed1)},
		{"segment seed", hash(a.SegmentSeed), hash(chain.SegmentSeed)},
		{"number of commits", fmt.Sprint(a.Commits), fmt.Sprint(chain.Commits)},
		{"root over all commits", hash(a.Root), hash(chain.Root)},
	} {
		if c.file != c.chain {
			return fmt.Sprintf("the %s is %.80s in the file and %.80s on chain",
				c.what, c.file, c.chain)
		}
	}
	return ""
}

// Anchor returns what a chain has to hold for a file that Verify accepted to be
// about its participant. Version 1 has none. Errors wrap ErrFile.
func (f File) Anchor() (Anchor, error) {
	c, err := f.decode()
	if err == nil && f.Version == Version1 {
		err = fmt.Errorf("%w: version 1 has nothing to hold against a chain", ErrFile)
	}
	if err != nil {
		return Anchor{}, err
	}
	return Anchor{Chain: f.Chain, Epoch: f.Epoch, Class: f.Class, Seed1: c.statement.Seed1,
		SegmentSeed: c.statement.SegmentSeed,
		Root:        c.archive.Root, Commits: c.archive.Commits}, nil
}
