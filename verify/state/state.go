// SPDX-License-Identifier: Apache-2.0

// Package state reads the part of an evidence file that leads from a block's hash to what the chain
// keeps of an epoch.
//
//	block hash <-- header (chain, height, app hash)
//	app hash   <-- root of x/sprint's store        ICS-23, Merkle tree of the stores
//	root       <-- archive of the epoch            ICS-23, IAVL
//
// A header's app hash is that of the state after the block BEFORE it: what block H wrote is under
// the hash of block H+1. So one hash that a person trusts, whose height is above the block in which
// the epoch's commits became final, is enough to check a file without a node, for ever.
package state

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	ics23 "github.com/cosmos/ics23/go"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/evidence"
)

var (
	// ErrState reports a part that does not lead from its block to the file's archive.
	ErrState = errors.New("state: the file's proof of the chain's state does not hold")
	// ErrOther reports an archive that is not the one a file needs.
	ErrOther = errors.New("state: the chain holds something else")
)

// Block is the block whose hash everything in a file's proof stands on.
type Block struct {
	Hash   string // upper-case hex, as CometBFT shows it
	Height int64
}

// Check follows a file's proof of the state from the archive of its epoch up to the hash of a
// block. Whether that block is one of the chain, the caller knows or not. Errors wrap ErrState,
// ErrOther or evidence.ErrFile.
func Check(f evidence.File) (Block, error) {
	header, err := Header(f)
	if err != nil {
		return Block{}, err
	}
	if header.ChainID != f.Chain {
		return Block{}, fmt.Errorf("%w: the block is of chain %.64q, the file is about %.64q",
			ErrState, header.ChainID, f.Chain)
	}
	app, err := existence("app", f.State.App)
	if err != nil {
		return Block{}, err
	}
	store, err := existence("store", f.State.Store)
	if err != nil {
		return Block{}, err
	}
	for _, step := range app.GetExist().Path { // ics23 takes any length up to 33: spec F-13
		if n := len(step.Prefix); n != 1 && n != 33 || step.Prefix[0] != 1 {
			return Block{}, fmt.Errorf("%w: a step of the app proof is none of the tree of stores",
				ErrState)
		}
	}
	root := app.GetExist().Value
	if !ics23.VerifyMembership(ics23.TendermintSpec, ics23.CommitmentRoot(header.AppHash), app,
		[]byte(sprintv1.StoreName), root) {
		return Block{}, fmt.Errorf("%w: the store %s is not under the app hash of block %d",
			ErrState, sprintv1.StoreName, header.Height)
	}
	record := store.GetExist().Value
	if !ics23.VerifyMembership(ics23.IavlSpec, ics23.CommitmentRoot(root), store,
		sprintv1.ArchiveKey(f.Epoch), record) {
		return Block{}, fmt.Errorf("%w: the archive of epoch %d is not in the store",
			ErrState, f.Epoch)
	}
	var a sprintv1.Archive
	if err := canonical(fmt.Sprintf("the archive of epoch %d", f.Epoch), record, &a); err != nil {
		return Block{}, err
	}
	if err := Compare(f, header.ChainID, a); err != nil {
		return Block{}, err
	}
	return Block{Hash: header.Hash().String(), Height: header.Height}, nil
}

// Header reads the header in a file, and shows nothing. Errors wrap ErrState.
func Header(f evidence.File) (cmttypes.Header, error) {
	if f.State == nil {
		return cmttypes.Header{}, fmt.Errorf("%w: there is none in it", ErrState)
	}
	raw, err := hex.DecodeString(f.State.Header)
	if err != nil {
		return cmttypes.Header{}, fmt.Errorf("%w: header: %w", ErrState, err)
	}
	var wire cmtproto.Header
	if err := canonical("header", raw, &wire); err != nil {
		return cmttypes.Header{}, err
	}
	// As HeaderFromProto has it, which also refuses headers of older and newer versions of
	// CometBFT: these are for ever.
	last := wire.LastBlockId
	header := cmttypes.Header{
		Version: wire.Version, ChainID: wire.ChainID, Height: wire.Height, Time: wire.Time,
		LastBlockID: cmttypes.BlockID{Hash: last.Hash,
			PartSetHeader: cmttypes.PartSetHeader{Total: last.PartSetHeader.Total,
				Hash: last.PartSetHeader.Hash}},
		LastCommitHash: wire.LastCommitHash, DataHash: wire.DataHash,
		ValidatorsHash: wire.ValidatorsHash, NextValidatorsHash: wire.NextValidatorsHash,
		ConsensusHash: wire.ConsensusHash, AppHash: wire.AppHash,
		LastResultsHash: wire.LastResultsHash, EvidenceHash: wire.EvidenceHash,
		ProposerAddress: wire.ProposerAddress,
	}
	if len(header.Hash()) == 0 {
		return cmttypes.Header{}, fmt.Errorf("%w: the header has no hash", ErrState)
	}
	return header, nil
}

// existence reads one ICS-23 proof, which must say that something is there.
func existence(what, text string) (*ics23.CommitmentProof, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrState, what, err)
	}
	var p ics23.CommitmentProof
	if err := canonical(what, raw, &p); err != nil {
		return nil, err
	}
	if p.GetExist() == nil {
		return nil, fmt.Errorf("%w: %s is no proof of existence", ErrState, what)
	}
	return &p, nil
}

// canonical reads protobuf bytes in the one spelling that writing them gives.
func canonical(what string, raw []byte, into interface {
	Unmarshal([]byte) error
	Marshal() ([]byte, error)
}) error {
	if err := into.Unmarshal(raw); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrState, what, err)
	}
	if again, err := into.Marshal(); err != nil || !bytes.Equal(again, raw) {
		return fmt.Errorf("%w: %s is not in canonical form", ErrState, what)
	}
	return nil
}

// Compare holds a file against the archive that a chain keeps of its epoch: after it, nothing in a
// file that evidence.Verify accepts is taken from the file alone. Errors wrap ErrOther or
// evidence.ErrFile.
func Compare(f evidence.File, chain string, a sprintv1.Archive) error {
	want, err := f.Anchor()
	if err != nil {
		return err
	}
	if int(f.Segment) > len(a.SegmentSeeds) {
		return fmt.Errorf("%w: epoch %d has %d segments, the file is about segment %d", ErrOther,
			a.Epoch, len(a.SegmentSeeds), f.Segment)
	}
	has := evidence.Anchor{Chain: chain, Epoch: a.Epoch, Class: a.Class, Commits: a.Commits}
	copy(has.Seed1[:], a.Seed1)
	copy(has.SegmentSeed[:], a.SegmentSeeds[f.Segment-1])
	copy(has.Root[:], a.Root)
	if what := want.Difference(has); what != "" {
		return fmt.Errorf("%w: %s", ErrOther, what)
	}
	return nil
}
