// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/libs/protoio"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/keyfile"
	"github.com/assaynet/assay/internal/plain"
	"github.com/assaynet/assay/poc/signed"
)

// ErrIdentity reports a home that has lost a key, or what its key signed last, or of which one is
// damaged.
var ErrIdentity = errors.New("node: a part of this node's identity is missing or damaged")

// identity checks that a node has what it is known by. Only `assay init` makes keys: a
// start that did would follow the chain under another name, and a validator whose
// record of signatures is gone may sign a height twice. A home that only follows, and
// never ran, gets its keys at the first start. Errors wrap ErrIdentity.
func identity(c home.Config) error {
	comet := c.Comet
	if comet.PrivValidatorListenAddr != "" { // another program signs
		return nil
	}
	key := comet.PrivValidatorKeyFile()
	participant := there(filepath.Join(c.Dir, home.Public))
	used := there(filepath.Join(comet.DBDir(), "blockstore.db"))
	if !participant && !used && !there(key) {
		return nil
	}
	backup := "put it back from a backup"
	if participant {
		backup += "; this home is a participant's, and `assay init participant` makes another " +
			"one in another --home"
	} else {
		backup += "; for a new node choose another --home"
	}
	for _, f := range []struct{ path, what string }{
		{key, "the key that signs its blocks"},
		{comet.NodeKeyFile(), "the key by which peers know it"},
		{filepath.Join(c.Dir, app.VRFKeyFile), "the key that feeds the beacon"},
	} {
		if there(f.path) || f.path == filepath.Join(c.Dir, app.VRFKeyFile) && !participant {
			continue
		}
		return fmt.Errorf("%w: %s, %s, is not there: %s", ErrIdentity, f.path, f.what, backup)
	}
	if err := peerKey(comet.NodeKeyFile()); err != nil {
		return fmt.Errorf("%w: %s, the key by which peers know it, is damaged: %w; %s", ErrIdentity,
			comet.NodeKeyFile(), err, backup)
	}
	return signing(c)
}

// signing checks the keys that sign for a node, and its VRF keys, of all generations. In each the
// record of what a key signed is made before the key.
func signing(c home.Config) error {
	all, err := generations(c.Dir, first(c))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	for _, g := range all {
		key, err := app.LoadConsensusKey(g.Key)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrIdentity, err)
		}
		if key != nil {
			if err := record(g.State, key); err != nil {
				return err
			}
		}
		if _, err := keyfile.Load(g.VRF); err != nil && !keyfile.Missing(err) {
			return fmt.Errorf("%w: %w", ErrIdentity, err)
		}
	}
	return nil
}

// record checks the record of what a validator's key signed last.
func record(state string, key ed25519.PrivateKey) error {
	if err := lastSigned(state, key); err != nil {
		return fmt.Errorf("%w: %s says what this validator signed last, and cannot be used (%w): "+
			"without it the node could sign a height twice, for which the chain takes its power "+
			"away. "+
			"Put back the latest one of this key. If there is none, stop every other node with "+
			"this key, and write {\"height\":\"H\",\"round\":0,\"step\":3} into it, H being a "+
			"height that the chain has passed since",
			ErrIdentity, state, err)
	}
	return nil
}

// peerKey checks the key file of a node among its peers.
func peerKey(path string) error {
	key, err := p2p.LoadNodeKey(path)
	if err != nil {
		return err
	}
	if private, ok := key.PrivKey.(cmted25519.PrivKey); !ok ||
		!app.Whole(ed25519.PrivateKey(private)) {
		return errors.New("it holds no whole ed25519 key")
	}
	return nil
}

// lastSigned checks the record of what a key signed last. It carries the signature, and the text
// under it: height, round and step have to be those that were signed, or a digit that has changed
// would let the key sign them again.
func lastSigned(path string, key ed25519.PrivateKey) error {
	text, err := plain.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("it is not there")
	case err != nil:
		return err
	case len(bytes.TrimSpace(text)) == 0:
		return errors.New("it is empty")
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	for _, part := range []string{"height", "round", "step"} {
		if parts[part] == nil {
			return fmt.Errorf("it has no %s", part)
		}
	}
	for part := range parts {
		if !slices.Contains([]string{"height", "round", "step", "signature", "signbytes"}, part) {
			return fmt.Errorf("it has a part %q, which is none of such a record", part)
		}
	}
	var last privval.FilePVLastSignState
	if err := cmtjson.Unmarshal(text, &last); err != nil {
		return err
	}
	if len(last.Signature) == 0 && len(last.SignBytes) == 0 {
		if last.Height < 0 || last.Round < 0 || last.Step < 0 || last.Step > 3 {
			return fmt.Errorf("height %d, round %d, step %d cannot be", last.Height,
				last.Round, last.Step)
		}
		return nil // it signed nothing, or was written by hand
	}
	if key == nil || !signed.Verify(key.Public().(ed25519.PublicKey), last.SignBytes,
		last.Signature) {
		return errors.New("the signature in it is not this key's, under the text in it")
	}
	height, round, step, err := whatWasSigned(last.SignBytes)
	if err == nil && (height != last.Height || round != int64(last.Round) || step != last.Step) {
		err = fmt.Errorf("it says height %d, round %d, step %d, and what was signed height %d, "+
			"round %d, step %d", last.Height, last.Round, last.Step, height, round, step)
	}
	return err
}

// whatWasSigned reads what a signature of a validator is for. Step is as in the record: 1 is a
// proposal, 2 and 3 are the two votes.
func whatWasSigned(text []byte) (height, round int64, step int8, err error) {
	var vote cmtproto.CanonicalVote
	if err = protoio.UnmarshalDelimited(text, &vote); err == nil {
		switch vote.Type {
		case cmtproto.PrevoteType:
			return vote.Height, vote.Round, 2, nil
		case cmtproto.PrecommitType:
			return vote.Height, vote.Round, 3, nil
		}
	}
	var proposal cmtproto.CanonicalProposal
	if err = protoio.UnmarshalDelimited(text, &proposal); err == nil &&
		proposal.Type != cmtproto.ProposalType {
		err = errors.New("what was signed is neither a vote nor a proposal")
	}
	return proposal.Height, proposal.Round, 1, err
}

// there: what cannot be checked is there, and whoever reads it says why not.
func there(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
