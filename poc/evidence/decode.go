// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/hex"
	"fmt"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// content is a file with everything decoded and checked for form.
type content struct {
	class     transformer.Class
	leaf      record.Leaf
	statement commit.Statement
	hostKey   [32]byte
	signature []byte
	path      []commit.Hash
	archive   commit.ArchivePath // zero in version 1
}

func (f File) decode() (c content, err error) {
	bad := func(what string, err error) (content, error) {
		return content{}, fmt.Errorf("%w: %s: %w", ErrFile, what, err)
	}
	switch {
	case f.Version != Version && f.Version != Version1:
		return c, fmt.Errorf("%w: version %.40q, want %q", ErrFile, f.Version, Version)
	case (f.Version == Version) != (f.Archive != nil):
		return c, fmt.Errorf("%w: version 2 has the path to the epoch's archive, version 1 has not",
			ErrFile)
	case f.Version == Version1 && f.State != nil:
		return c, fmt.Errorf("%w: version 1 with a proof of the chain's state", ErrFile)
	case f.Claim != Forged && f.Claim != Honest:
		return c, fmt.Errorf("%w: claim %.20q", ErrFile, f.Claim)
	}
	if c.class, err = transformer.ByName(f.Class); err != nil {
		return bad("class", err)
	}
	c.statement = commit.Statement{Chain: f.Chain, Epoch: f.Epoch, Segment: f.Segment,
		Participant: f.Participant,
		Node:        f.Node, Class: f.Class, Count: f.Count}
	c.leaf = record.Leaf{Class: c.class.ID, Node: f.Node, Index: f.Nonce,
		Record: record.Record{Norm: f.Norm}}
	for _, field := range []struct {
		what string
		text string
		into *[32]byte
	}{
		{"seed1", f.Seed1, &c.statement.Seed1},
		{"segment_seed", f.SegmentSeed, &c.statement.SegmentSeed},
		{"root", f.Root, &c.statement.Root},
		{"digest", f.Digest, &c.leaf.Digest},
		{"host_key", f.HostKey, &c.hostKey},
	} {
		h, err := seed.Parse(field.text) // the one spelling of 32 bytes
		if err != nil {
			return bad(field.what, err)
		}
		*field.into = h
	}
	if c.signature, err = unhex(f.Signature, 64, 64); err != nil {
		return bad("signature", err)
	}
	if c.path, err = hashes(f.Path); err != nil {
		return bad("path", err)
	}
	if err := c.leaf.Valid(); err != nil {
		return bad("leaf", err)
	}
	if err := c.statement.Valid(); err != nil {
		return bad("statement", err)
	}
	if f.Archive != nil {
		root, err := seed.Parse(f.Archive.Root)
		if err != nil {
			return bad("archive root", err)
		}
		c.archive = commit.ArchivePath{Root: commit.Hash(root), Commits: f.Archive.Commits,
			Index: f.Archive.Index}
		if c.archive.Path, err = hashes(f.Archive.Path); err != nil {
			return bad("archive path", err)
		}
	}
	if f.State != nil {
		for _, part := range []string{f.State.Header, f.State.App, f.State.Store} {
			if _, err := unhex(part, 1, maxState); err != nil {
				return bad("state", err)
			}
		}
	}
	return c, nil
}

func hashes(texts []string) ([]commit.Hash, error) {
	var out []commit.Hash
	for i, text := range texts {
		h, err := seed.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i, err)
		}
		out = append(out, commit.Hash(h))
	}
	return out, nil
}

// unhex reads lower-case hex of least to most bytes.
func unhex(text string, least, most int) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(b) < least || len(b) > most || hex.EncodeToString(b) != text {
		return nil, fmt.Errorf("want %d to %d bytes of lower-case hex", least, most)
	}
	return b, nil
}
