// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

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

// Generation is where one set of a node's keys is kept. What a rotation did not make is missing.
type Generation struct {
	// Key and State are CometBFT's: the consensus key, and what it signed last.
	Key, State string
	VRF        string
}

// rotationFolder is the folder of a later generation, below config and, for State, below data.
const rotationFolder = "rotation-"

// Later is where the keys of a home's nth rotation are, n counting from 1.
func Later(home string, n int) Generation {
	folder := rotationFolder + strconv.Itoa(n)
	return Generation{
		Key:   filepath.Join(home, "config", folder, "priv_validator_key.json"),
		State: filepath.Join(home, "data", folder, "priv_validator_state.json"),
		VRF:   filepath.Join(home, "config", folder, "vrf_key.json"),
	}
}

// Rotations is how many rotations a home has made keys for.
func Rotations(home string) (n int, err error) {
	entries, err := os.ReadDir(filepath.Join(home, "config"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("app: keys of rotations: %w", err)
	}
	for _, e := range entries {
		if number, ok := strings.CutPrefix(e.Name(), rotationFolder); ok {
			if i, err := strconv.Atoi(number); err == nil {
				n = max(n, i)
			}
		}
	}
	return n, nil
}

// identity is who a node is: its keys, and for whom it speaks. All of it may be
// missing; such a node follows the chain and never proposes.
//
// A node holds every generation of its keys and uses those that the state names. It looks
// for newer ones when the state names a key that it has not, so a rotation needs no restart.
type identity struct {
	participant string
	home        string
	// first is where the keys are that the home was made with.
	first Generation

	mu   sync.Mutex
	keys keys // guarded by mu
}

// keys are a node's, oldest first; each may lack a generation that the other has.
type keys struct{ consensus, vrf []ed25519.PrivateKey }

// loadIdentity reads the keys below the home that opts name. Without a home
// there are none.
func loadIdentity(opts servertypes.AppOptions) (*identity, error) {
	home := cast.ToString(opts.Get(flags.FlagHome))
	if home == "" {
		return &identity{}, nil
	}
	path := cast.ToString(opts.Get("priv_validator_key_file"))
	if path == "" {
		path = filepath.Join("config", "priv_validator_key.json")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(home, path)
	}
	own := &identity{participant: cast.ToString(opts.Get(OptionParticipant)), home: home,
		first: Generation{Key: path, VRF: filepath.Join(home, VRFKeyFile)}}
	var err error
	own.keys, err = own.read()
	return own, err
}

// read reads all generations.
func (own *identity) read() (all keys, err error) {
	n, err := Rotations(own.home)
	if err != nil {
		return all, err
	}
	for i := range n + 1 {
		g := own.first
		if i > 0 {
			g = Later(own.home, i)
		}
		consensus, err := LoadConsensusKey(g.Key)
		if err != nil {
			return all, err
		}
		if consensus != nil {
			all.consensus = append(all.consensus, consensus)
		}
		private, err := keyfile.Load(g.VRF)
		if err != nil && !keyfile.Missing(err) {
			return all, err
		}
		if err == nil {
			all.vrf = append(all.vrf, private)
		}
	}
	return all, nil
}

// held is a private key of one kind by its public half, nil if the node has it not, now either.
func (own *identity) held(public []byte, kind func(keys) []ed25519.PrivateKey) ed25519.PrivateKey {
	own.mu.Lock()
	defer own.mu.Unlock()
	find := func() ed25519.PrivateKey {
		for _, key := range kind(own.keys) {
			if bytes.Equal(key[ed25519.SeedSize:], public) {
				return key
			}
		}
		return nil
	}
	if key := find(); key != nil || own.home == "" {
		return key
	}
	if all, err := own.read(); err == nil { // a damaged file says so when the node starts
		own.keys = all
	}
	return find()
}

func consensusKeys(k keys) []ed25519.PrivateKey { return k.consensus }
func vrfKeys(k keys) []ed25519.PrivateKey       { return k.vrf }

// newest are the keys that a registration would use; nil where there are none.
func (own *identity) newest() (consensus, vrf ed25519.PrivateKey) {
	own.mu.Lock()
	defer own.mu.Unlock()
	if n := len(own.keys.consensus); n > 0 {
		consensus = own.keys.consensus[n-1]
	}
	if n := len(own.keys.vrf); n > 0 {
		vrf = own.keys.vrf[n-1]
	}
	return consensus, vrf
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

// next are the newest keys, or those of a rotation after them where one of them is taken. make
// writes the files of a rotation that are missing.
func (own *identity) next(make func(Generation) error,
	taken func(consensus, vrf ed25519.PrivateKey) (bool, error)) (consensus,
	vrf ed25519.PrivateKey, err error) {
	own.mu.Lock()
	defer own.mu.Unlock()
	n, err := Rotations(own.home)
	if err != nil {
		return nil, nil, err
	}
	for ; ; n++ {
		g := own.first
		if n > 0 {
			g = Later(own.home, n)
			if err := make(g); err != nil {
				return nil, nil, fmt.Errorf("app: keys of rotation %d: %w", n, err)
			}
		}
		if consensus, err = LoadConsensusKey(g.Key); err != nil {
			return nil, nil, err
		}
		if vrf, err = keyfile.Load(g.VRF); err != nil && !keyfile.Missing(err) {
			return nil, nil, err
		}
		used, err := taken(consensus, vrf)
		if err != nil {
			return nil, nil, err
		}
		if !used {
			own.keys, err = own.read()
			return consensus, vrf, err
		}
	}
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
// A node that has an old consensus key only is refused, too: it will never have power again.
func (own *identity) check(ctx context.Context, r participants) error {
	own.mu.Lock()
	held := own.keys
	own.mu.Unlock()
	for _, key := range held.consensus {
		p, found, err := r.ByConsensusAddress(ctx,
			registry.ConsensusAddress(key[ed25519.SeedSize:]))
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		switch {
		case len(held.vrf) == 0:
			return fmt.Errorf("%w: it validates for %s (%s), but there is no VRF key at %s; put "+
				"the key registered with the consensus key there, or run without the consensus "+
				"key to follow only", ErrIdentity, p.Moniker, p.Address, own.first.VRF)
		case own.held(p.VrfKey, vrfKeys) == nil:
			return fmt.Errorf("%w: the VRF key at %s is %x, but %s (%s) registered %x; put the "+
				"file of that key back from a backup", ErrIdentity, own.first.VRF,
				held.vrf[len(held.vrf)-1][ed25519.SeedSize:], p.Moniker, p.Address, p.VrfKey)
		case own.held(p.ConsensusKey, consensusKeys) == nil:
			return fmt.Errorf("%w: its consensus key is one that %s (%s) has replaced by %x; put "+
				"config/%s* of the home where the keys were rotated into this one", ErrIdentity,
				p.Moniker, p.Address, p.ConsensusKey, rotationFolder)
		}
	}
	return nil
}
