// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/privval"
	"github.com/spf13/cast"

	"github.com/cosmos/cosmos-sdk/client/flags"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/keyfile"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/internal/plain"
)

// VRFKeyFile is where a validator keeps its VRF key, below its home.
const VRFKeyFile = "config/vrf_key.json"

// OptionParticipant is the option (app.toml: [assay] participant) that names the
// one account for which a node proves its keys.
const OptionParticipant = "assay.participant"

// ErrIdentity reports a node whose keys are not those its participant registered.
var ErrIdentity = errors.New("app: this node's keys do not fit its registration")

// identity is who a node is: its keys, and for whom it speaks. All of it may be
// missing; such a node follows the chain and never proposes.
type identity struct {
	participant string
	consensus   ed25519.PrivateKey
	vrf         ed25519.PrivateKey
	// vrfPath is where the VRF key was looked for.
	vrfPath string
}

// loadIdentity reads the keys below the home that opts name. Without a home
// there are none.
func loadIdentity(opts servertypes.AppOptions) (identity, error) {
	home := cast.ToString(opts.Get(flags.FlagHome))
	if home == "" {
		return identity{}, nil
	}
	own := identity{participant: cast.ToString(opts.Get(OptionParticipant)),
		vrfPath: filepath.Join(home, VRFKeyFile)}
	path := cast.ToString(opts.Get("priv_validator_key_file"))
	if path == "" {
		path = filepath.Join("config", "priv_validator_key.json")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(home, path)
	}
	var err error
	if own.consensus, err = LoadConsensusKey(path); err != nil {
		return identity{}, err
	}
	own.vrf, err = keyfile.Load(own.vrfPath)
	if err != nil && !keyfile.Missing(err) {
		return identity{}, err
	}
	return own, nil
}

// LoadConsensusKey reads CometBFT's key file; nil when there is none, which is
// so for a node with a remote signer.
func LoadConsensusKey(path string) (ed25519.PrivateKey, error) {
	text, err := plain.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("app: consensus key: %w", err)
	}
	var key privval.FilePVKey
	if err := cmtjson.Unmarshal(text, &key); err != nil {
		return nil, fmt.Errorf("app: consensus key %s is damaged: %w; put it back from a backup",
			path, err)
	}
	private, ok := key.PrivKey.(cmted25519.PrivKey)
	switch {
	case key.PrivKey == nil:
		err = errors.New("it holds no key")
	case !ok:
		return nil, fmt.Errorf("app: consensus key %s is of type %s; the chain takes ed25519",
			path, key.PrivKey.Type())
	case !Whole(ed25519.PrivateKey(private)):
		err = errors.New("its two halves do not belong together")
	case key.PubKey == nil || !bytes.Equal(key.PubKey.Bytes(), private.PubKey().Bytes()) ||
		!bytes.Equal(key.Address, private.PubKey().Address()):
		err = errors.New("the public key or the address beside it is another one's")
	}
	if err != nil {
		return nil, fmt.Errorf("app: consensus key %s is damaged: %w; put it back from a backup",
			path, err)
	}
	return ed25519.PrivateKey(private), nil
}

// Whole reports whether a key's second half is the public key of its first. What a key of which a
// bit has changed signs, nobody takes.
func Whole(key ed25519.PrivateKey) bool {
	return len(key) == ed25519.PrivateKeySize && ed25519.NewKeyFromSeed(key.Seed()).Equal(key)
}

// consensusAddress is how blocks name this node as proposer; nil without a key.
func (own identity) consensusAddress() []byte {
	if own.consensus == nil {
		return nil
	}
	return registry.ConsensusAddress(own.consensus[ed25519.SeedSize:])
}

// participants is what check needs of x/registry.
type participants interface {
	ByConsensusAddress(ctx context.Context, consensusAddress []byte) (registryv1.Participant,
		bool, error)
}

// check refuses to run a node whose consensus key is registered while its VRF
// key is missing or another one. Such a node would vote, but each block it
// proposes would be rejected by all, itself included: every one of its slots
// would cost the network a round, until somebody reads its log. Stopping at
// once, with the reason, costs one validator that its owner is just starting.
// It does not matter whether it holds power now; credit can give it power any time.
func (own identity) check(ctx context.Context, r participants) error {
	if own.consensus == nil {
		return nil
	}
	p, found, err := r.ByConsensusAddress(ctx, own.consensusAddress())
	if err != nil || !found {
		return err
	}
	switch {
	case own.vrf == nil:
		return fmt.Errorf("%w: it validates for %s (%s), but there is no VRF key at %s; put the "+
			"key registered with the consensus key there, or run without the consensus key to "+
			"follow only",
			ErrIdentity, p.Moniker, p.Address, own.vrfPath)
	case !bytes.Equal(own.vrf[ed25519.SeedSize:], p.VrfKey):
		return fmt.Errorf("%w: the VRF key at %s is %x, but %s (%s) registered %x",
			ErrIdentity, own.vrfPath, own.vrf[ed25519.SeedSize:], p.Moniker, p.Address, p.VrfKey)
	}
	return nil
}
