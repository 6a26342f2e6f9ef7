// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"cosmossdk.io/log/v2"
	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
)

// signer signs for a node that holds several consensus keys, one of each rotation. CometBFT asks it
// for its public key after each block. It answers with the one that is in the validator set of the
// next block, so a key takes over at the very height at which the chain hands it the seat, and
// after a restart at any height the same one is chosen. Every key has its own record of what it
// signed last; what is signed is always signed by the key that it names.
type signer struct {
	home  string
	first app.Generation
	// sets is the validator set of the next block, nil before the first.
	sets func() (*cmttypes.ValidatorSet, error)
	log  log.Logger

	mu   sync.Mutex
	keys []*privval.FilePV // oldest first; guarded by mu, as is current
	// current is the key that CometBFT was last told.
	current *privval.FilePV
}

var _ cmttypes.PrivValidator = (*signer)(nil)

// newSigner loads all keys of a home. identity has checked their files.
func newSigner(dir string, first app.Generation, sets func() (*cmttypes.ValidatorSet, error),
	logger log.Logger) (*signer, error) {
	s := &signer{home: dir, first: first, sets: sets, log: logger}
	if err := s.load(); err != nil {
		return nil, err
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("node: no key at %s", first.Key)
	}
	s.current = s.keys[0]
	return s, nil
}

// load adds the keys that the home has got since. A key's record of what it signed is read once:
// from then on this process writes it.
func (s *signer) load() error {
	all, err := generations(s.home, s.first)
	if err != nil {
		return err
	}
	for _, g := range all {
		key, err := app.LoadConsensusKey(g.Key)
		if err != nil {
			return err
		}
		if key == nil || s.by(key[ed25519.SeedSize:]) != nil {
			continue
		}
		if err := lastSigned(g.State, key); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrIdentity, g.State, err)
		}
		s.keys = append(s.keys, privval.LoadFilePV(g.Key, g.State))
	}
	return nil
}

// first is the generation of keys that a home was made with.
func first(c home.Config) app.Generation {
	return app.Generation{Key: c.Comet.PrivValidatorKeyFile(),
		State: c.Comet.PrivValidatorStateFile(), VRF: filepath.Join(c.Dir, app.VRFKeyFile)}
}

// generations are where a home keeps its keys, oldest first.
func generations(dir string, first app.Generation) ([]app.Generation, error) {
	n, err := app.Rotations(dir)
	if err != nil {
		return nil, err
	}
	all := []app.Generation{first}
	for i := range n {
		all = append(all, app.Later(dir, i+1))
	}
	return all, nil
}

func (s *signer) by(public []byte) *privval.FilePV {
	for _, k := range s.keys {
		if bytes.Equal(k.Key.PubKey.Bytes(), public) {
			return k
		}
	}
	return nil
}

// GetPubKey is the key that validates the next block; while none does, the last one that did.
func (s *signer) GetPubKey() (crypto.PubKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choose()
	return s.current.GetPubKey()
}

// choose sets current. Whatever cannot be read leaves it as it is.
func (s *signer) choose() {
	set, err := s.sets()
	if err != nil {
		s.log.Error("cannot read the validator set; signing goes on with the same key", "err", err)
		return
	}
	if set.IsNilOrEmpty() || s.sits(set) {
		return
	}
	if err := s.load(); err != nil {
		s.log.Error("a key of a rotation cannot be used", "err", err)
	}
	s.sits(set)
}

// sits makes the key that is in a set current; it reports false where none is.
func (s *signer) sits(set *cmttypes.ValidatorSet) bool {
	for _, k := range s.keys {
		if !set.HasAddress(k.GetAddress()) {
			continue
		}
		if k != s.current {
			s.log.Info("another key of this node's validates from the next block on",
				"was", s.current.GetAddress().String(), "is", k.GetAddress().String())
		}
		s.current = k
		return true
	}
	return false
}

// SignVote signs with the key that the vote names.
func (s *signer) SignVote(chain string, vote *cmtproto.Vote) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if bytes.Equal(k.GetAddress(), vote.ValidatorAddress) {
			return k.SignVote(chain, vote)
		}
	}
	return errors.New("node: a vote of another validator")
}

// SignProposal signs with the key that CometBFT was last told: it proposes where that one is the
// proposer.
func (s *signer) SignProposal(chain string, proposal *cmtproto.Proposal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.SignProposal(chain, proposal)
}

// stale reports whether CometBFT was told another key than the one that validates the next block.
func (s *signer) stale() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.current
	s.choose()
	now := s.current
	s.current = was
	return now != was
}

// follow tells CometBFT to ask again where it has missed a change: it asks after the blocks that it
// decides, not after those that it fetches from peers.
func (s *signer) follow(again func(cmttypes.PrivValidator), stop <-chan struct{}) {
	const every = 2 * time.Second
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for missed := false; ; {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		// between a block and CometBFT's own question it is stale for a moment
		now := s.stale()
		if now && missed {
			again(s)
			now = false
		}
		missed = now
	}
}
