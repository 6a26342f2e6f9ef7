// SPDX-License-Identifier: Apache-2.0

package home

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/cometbft/cometbft/p2p"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/assaynet/assay/accounts"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/keyfile"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/internal/durable"
)

// Names of the two accounts in the keyring.
const (
	// Operator owns the participant: it registers, grants, and is paid.
	Operator = "operator"
	// Hot sends the host's protocol messages; it owns nothing.
	Hot = "hot"
)

// Files below a home.
const (
	Keyring     = accounts.Folder
	Genesis     = "config/genesis.json"
	Public      = "participant.json"
	nodeKey     = "config/node_key.json"
	privKey     = "config/priv_validator_key.json"
	privState   = "data/priv_validator_state.json"
	cometConfig = "config/config.toml"
	appConfig   = "config/app.toml"
)

// ErrHome reports a folder that is not what its use needs.
var ErrHome = errors.New("home: unusable folder")

// Options say what Create makes.
type Options struct {
	// Dir is the folder.
	Dir string
	// Chain is the chain id; the proofs of possession are for it.
	Chain   string
	Moniker string
	// HostKey is the key of the participant's host.
	HostKey ed25519.PrivateKey
	// Nodes are the machines with their proofs of possession, if known by now.
	Nodes []registryv1.Node
	// KeyringBackend is test, file or os, and has to be the home's own; empty: that, or file for a
	// new home. Stdin answers for a passphrase.
	KeyringBackend string
	Stdin          io.Reader
	// Keys is the keyring where it is open already.
	Keys keyring.Keyring
	// Settings for config.toml and app.toml, used when these do not exist.
	Settings Settings
}

// Result is what Create made.
type Result struct {
	Participant Participant
	// Mnemonics of the accounts that were made now, by name. They are stored
	// nowhere; each is the only copy but for the keyring.
	Mnemonics map[string]string
}

// Create makes a participant's folder; see the package comment for what happens
// to one that exists. What a call that fails has made stays, and the next one goes on
// from there; so its result has the words of accounts that were made.
func Create(o Options) (Result, error) {
	if o.Chain == "" || o.Dir == "" {
		return Result{}, fmt.Errorf("%w: a folder and a chain id are needed", ErrHome)
	}
	if len(o.HostKey) != ed25519.PrivateKeySize {
		return Result{}, fmt.Errorf("%w: %s: no host key was given", ErrHome, o.Dir)
	}
	was, err := ReadParticipant(filepath.Join(o.Dir, Public))
	exists := err == nil
	if exists && was.Chain != o.Chain {
		return Result{}, fmt.Errorf("%w: %s is participant %q of chain %s; for chain %s choose "+
			"another --home", ErrHome, o.Dir, was.Moniker, was.Chain, o.Chain)
	}
	keys, err := o.keys()
	if err != nil {
		return Result{}, err
	}
	if exists {
		if err := o.whole(was, keys); err != nil {
			return Result{}, err
		}
	}
	for _, dir := range []string{"config", "data", Keyring} {
		if err := durable.MkdirAll(filepath.Join(o.Dir, dir), 0o700); err != nil {
			return Result{}, fmt.Errorf("home: %w", err)
		}
	}
	result := Result{Mnemonics: make(map[string]string)}
	addresses := make(map[string]string)
	for _, name := range []string{Operator, Hot} {
		address, mnemonic, err := account(keys, name)
		if err != nil {
			return result, fmt.Errorf("home: account %s: %w", name, err)
		}
		addresses[name] = address
		if mnemonic != "" {
			result.Mnemonics[name] = mnemonic
		}
	}
	own, err := o.ownKeys()
	if err != nil {
		return result, err
	}
	if err := o.Settings.write(o.Dir, o.Moniker, addresses[Operator]); err != nil {
		return result, err
	}
	config, err := Load(o.Dir)
	if err != nil {
		return result, err
	}
	peer, err := peerAddress(own.node.ID(), config.Comet.P2P.ExternalAddress,
		config.Comet.P2P.ListenAddress)
	if err != nil {
		return result, err
	}
	result.Participant = Participant{
		Chain: o.Chain, Address: addresses[Operator], Hot: addresses[Hot], Moniker: o.Moniker,
		ConsensusKey: public(own.consensus), VRFKey: public(own.vrf), HostKey: public(o.HostKey),
		Peer: peer,
	}
	possession := registry.ProvePossession(o.Chain, addresses[Operator], own.consensus,
		own.vrf, o.HostKey)
	result.Participant.Possession = Possession{Consensus: possession.Consensus, VRF: possession.Vrf,
		Host: possession.Host}
	for _, n := range o.Nodes {
		result.Participant.Nodes = append(result.Participant.Nodes,
			Node{ID: n.Id, Key: n.Key, Proof: n.Proof})
	}
	if err := result.Participant.Valid(); err != nil {
		return result, err
	}
	return result, result.Participant.Save(filepath.Join(o.Dir, Public))
}

// whole refuses a home that was made a participant and has lost a key since, or has another in its
// place. Keys are made once, with the participant: the chain and its machines know them.
func (o Options) whole(was Participant, keys keyring.Keyring) error {
	lost := func(what string) error {
		return fmt.Errorf("%w: %s is participant %q, and %s is gone or another one: put it back "+
			"from a backup; for a new participant choose another --home", ErrHome,
			o.Dir, was.Moniker, what)
	}
	for _, name := range []string{nodeKey, privKey, app.VRFKeyFile} {
		if _, err := os.Stat(filepath.Join(o.Dir, name)); errors.Is(err, fs.ErrNotExist) {
			return lost(name)
		}
	}
	if !bytes.Equal(public(o.HostKey), was.HostKey) {
		return lost("the host's key")
	}
	for _, account := range []struct{ name, address string }{{Operator, was.Address},
		{Hot, was.Hot}} {
		record, err := keys.Key(account.name)
		if errors.Is(err, sdkerrors.ErrKeyNotFound) {
			return lost("account " + account.name + " in its keyring")
		} else if err != nil {
			return err // it may be there, and not open
		}
		raw, err := record.GetAddress()
		if err != nil {
			return err
		}
		if address, err := app.Addresses().BytesToString(raw); err != nil ||
			address != account.address {
			return lost("account " + account.name + " in its keyring")
		}
	}
	return nil
}

func public(key ed25519.PrivateKey) Hex { return Hex(key[ed25519.SeedSize:]) }

func (o Options) keys() (keyring.Keyring, error) {
	if o.Keys != nil {
		return o.Keys, nil
	}
	backend, err := accounts.Choose(o.Dir, o.KeyringBackend)
	if err != nil {
		return nil, fmt.Errorf("home: %w", err)
	}
	return OpenKeyring(o.Dir, backend, o.Stdin)
}

// OpenKeyring opens the keyring of a home.
func OpenKeyring(dir, backend string, stdin io.Reader) (*accounts.Ring, error) {
	encoding, err := app.NewEncoding()
	if err != nil {
		return nil, err
	}
	return accounts.Open(dir, backend, stdin, encoding.Codec)
}

// account finds an account in the keyring or makes it; mnemonic is empty for one
// that was there.
func account(keys keyring.Keyring, name string) (address, mnemonic string, err error) {
	record, err := keys.Key(name)
	if err != nil {
		if !errors.Is(err, sdkerrors.ErrKeyNotFound) {
			return "", "", err // it may be there, and not open
		}
		path := hd.CreateHDPath(sdk.CoinType, 0, 0).String()
		if record, mnemonic, err = keys.NewMnemonic(name, keyring.English, path,
			keyring.DefaultBIP39Passphrase, hd.Secp256k1); err != nil {
			return "", "", err
		}
	}
	raw, err := record.GetAddress()
	if err != nil {
		return "", "", err
	}
	address, err = app.Addresses().BytesToString(raw)
	return address, mnemonic, err
}

// ownKeys are the keys of the node itself.
type ownKeys struct {
	node           *p2p.NodeKey
	consensus, vrf ed25519.PrivateKey
}

func (o Options) ownKeys() (own ownKeys, err error) {
	if own.node, err = NodeKey(filepath.Join(o.Dir, nodeKey)); err != nil {
		return own, err
	}
	if own.consensus, err = ConsensusKey(filepath.Join(o.Dir, privKey),
		filepath.Join(o.Dir, privState)); err != nil {
		return own, err
	}
	path := filepath.Join(o.Dir, app.VRFKeyFile)
	own.vrf, err = keyfile.Load(path)
	if keyfile.Missing(err) {
		own.vrf, err = keyfile.Create(path, rand.Reader)
	}
	return own, err
}

// peerAddress is how other nodes dial this one: id@host:port.
func peerAddress(id p2p.ID, external, listen string) (string, error) {
	at := external
	if at == "" {
		at = listen
	}
	host, port, err := net.SplitHostPort(trimScheme(at))
	if err != nil {
		return "", fmt.Errorf("%w: p2p address %q: %w", ErrHome, at, err)
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	return string(id) + "@" + net.JoinHostPort(host, port), nil
}
