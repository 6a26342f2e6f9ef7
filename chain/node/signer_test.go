// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cosmossdk.io/log/v2"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
)

// rotating is a participant's home whose signer sees one validator set.
type rotating struct {
	*signer
	config home.Config
	set    *cmttypes.ValidatorSet
	fails  error
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{}
	var err error
	if r.config, err = home.Load(participant(t)); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	return r
}

func (r *rotating) open(t *testing.T) {
	t.Helper()
	var err error
	if r.signer, err = newSigner(r.config.Dir, first(r.config),
		func() (*cmttypes.ValidatorSet, error) { return r.set, r.fails },
		log.NewNopLogger()); err != nil {
		t.Fatal(err)
	}
}

// key is the public consensus key of a generation.
func (r *rotating) key(t *testing.T, n int) []byte {
	t.Helper()
	g := first(r.config)
	if n > 0 {
		g = app.Later(r.config.Dir, n)
	}
	key, err := app.LoadConsensusKey(g.Key)
	if err != nil || key == nil {
		t.Fatalf("generation %d: %v", n, err)
	}
	return key[ed25519.SeedSize:]
}

func (r *rotating) seated(keys ...[]byte) {
	var all []*cmttypes.Validator
	for _, k := range keys {
		all = append(all, cmttypes.NewValidator(cmted25519.PubKey(k), 10))
	}
	r.set = cmttypes.NewValidatorSet(all)
}

func (r *rotating) says(t *testing.T, when string, want []byte) {
	t.Helper()
	got, err := r.GetPubKey()
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s: %X, %v, want %X", when, got, err, want)
	}
}

func vote(key []byte, height int64, hash byte) *cmtproto.Vote {
	return &cmtproto.Vote{Type: cmtproto.PrecommitType, Height: height,
		ValidatorAddress: cmted25519.PubKey(key).Address(),
		BlockID: cmtproto.BlockID{Hash: bytes.Repeat([]byte{hash}, 32),
			PartSetHeader: cmtproto.PartSetHeader{Total: 1, Hash: bytes.Repeat([]byte{8}, 32)}}}
}

// The key that is in the set of the next block signs, from the very block on in which it enters,
// whether the node ran when it was made or not, and after a restart at any time.
func TestTheKeyInTheSetSigns(t *testing.T) {
	r := newRotating(t)
	old, other := r.key(t, 0), bytes.Repeat([]byte{3}, 32)
	r.says(t, "before the first block", old)
	r.seated(old, other)
	r.says(t, "in the set", old)
	if err := home.Rotation(app.Later(r.config.Dir, 1)); err != nil {
		t.Fatal(err)
	}
	next := r.key(t, 1)
	r.says(t, "with a new key that is in no set", old)
	r.open(t)
	r.says(t, "after a restart", old)
	if err := r.SignVote("c", vote(old, 10, 1)); err != nil {
		t.Error(err)
	}
	r.seated(next, other)
	if !r.stale() {
		t.Error("a change that CometBFT was not told is not seen")
	}
	r.says(t, "after the seat was handed over", next)
	if r.stale() {
		t.Error("stale after CometBFT was told")
	}
	if err := r.SignVote("c", vote(next, 11, 1)); err != nil {
		t.Error(err)
	}
	r.seated(other)
	r.says(t, "out of the set", next)
	r.seated(next, other)
	r.fails = errors.New("the database is closed")
	r.says(t, "with a set that cannot be read", next)
	r.fails = nil
	r.open(t)
	r.says(t, "after another restart", next)
	// made while the node runs, and in the set at once
	if err := home.Rotation(app.Later(r.config.Dir, 2)); err != nil {
		t.Fatal(err)
	}
	r.seated(r.key(t, 2), other)
	r.says(t, "after a second rotation", r.key(t, 2))
}

// Each key keeps its own record: neither signs a height twice, before or after a restart, and none
// signs for another.
func TestNoKeySignsAHeightTwice(t *testing.T) {
	r := newRotating(t)
	if err := home.Rotation(app.Later(r.config.Dir, 1)); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	old, next := r.key(t, 0), r.key(t, 1)
	for _, v := range []*cmtproto.Vote{vote(old, 10, 1), vote(next, 10, 2), vote(next, 11, 1)} {
		if err := r.SignVote("c", v); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, v := range []*cmtproto.Vote{vote(old, 10, 2), vote(old, 9, 1), vote(next, 11, 2),
			vote(next, 10, 1), vote(bytes.Repeat([]byte{3}, 32), 12, 1)} {
			if err := r.SignVote("c", v); err == nil {
				t.Errorf("signed height %d again", v.Height)
			}
		}
		r.open(t)
	}
	p := &cmtproto.Proposal{Type: cmtproto.ProposalType, Height: 12, PolRound: -1,
		BlockID: vote(next, 12, 1).BlockID}
	r.seated(next)
	r.says(t, "in the set", next)
	if err := r.SignProposal("c", p); err != nil ||
		!cmted25519.PubKey(next).VerifySignature(cmttypes.ProposalSignBytes("c", p), p.Signature) {
		t.Errorf("a proposal by another key, %v", err)
	}
}

// A key of a rotation without the record of what it signed is not used: not at a start, and not by
// a node that runs.
func TestAKeyOfARotationNeedsItsRecord(t *testing.T) {
	r := newRotating(t)
	g := app.Later(r.config.Dir, 1)
	if err := home.Rotation(g); err != nil {
		t.Fatal(err)
	}
	next := r.key(t, 1)
	if err := os.Remove(g.State); err != nil {
		t.Fatal(err)
	}
	if err := identity(r.config); !errors.Is(err, ErrIdentity) ||
		!strings.Contains(err.Error(), g.State) {
		t.Errorf("a start without the record: %v", err)
	}
	r.seated(next)
	r.says(t, "without a record", r.key(t, 0))
	// made again, with the key that is there: what was cut short is completed
	if err := os.Remove(g.Key); err != nil {
		t.Fatal(err)
	}
	feeds, err := os.ReadFile(g.VRF)
	if err != nil {
		t.Fatal(err)
	}
	if err := home.Rotation(g); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(g.VRF); err != nil || !bytes.Equal(again, feeds) {
		t.Errorf("making the rest replaced what was there: %v", err)
	}
	if err := identity(r.config); err != nil {
		t.Error(err)
	}
	list, err := filepath.Glob(filepath.Join(r.config.Dir, "config", "rotation-*"))
	if err != nil || len(list) != 1 {
		t.Errorf("folders %v, %v", list, err)
	}
}
