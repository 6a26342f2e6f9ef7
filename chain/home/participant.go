// SPDX-License-Identifier: Apache-2.0

package home

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/plain"
)

// ErrParticipant reports a participant.json that cannot be used.
var ErrParticipant = errors.New("home: invalid participant file")

// Hex is bytes that people see as lower-case hex.
type Hex []byte

// MarshalText writes hex.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText reads hex.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Participant is what a network needs to know to start with a participant, or
// to register it. Nothing in it is secret; everything is proven.
type Participant struct {
	Chain        string     `json:"chain"`
	Address      string     `json:"address"`
	Hot          string     `json:"hot"`
	Moniker      string     `json:"moniker"`
	ConsensusKey Hex        `json:"consensus_key"`
	VRFKey       Hex        `json:"vrf_key"`
	HostKey      Hex        `json:"host_key"`
	Possession   Possession `json:"possession"`
	Nodes        []Node     `json:"nodes"`
	// Peer is where its node is dialled: id@host:port.
	Peer string `json:"peer"`
}

// Possession proves the three keys; see registry.VerifyPossession.
type Possession struct {
	Consensus Hex `json:"consensus"`
	VRF       Hex `json:"vrf"`
	Host      Hex `json:"host"`
}

// Node is a machine with the proof of its device key.
type Node struct {
	ID    string `json:"id"`
	Key   Hex    `json:"key"`
	Proof Hex    `json:"proof"`
}

// Registry is the participant as x/registry stores it, and the proofs of its keys.
func (p Participant) Registry() (registryv1.Participant, registryv1.Possession) {
	r := registryv1.Participant{
		Address: p.Address, Moniker: p.Moniker, ConsensusKey: p.ConsensusKey, VrfKey: p.VRFKey,
		HostKey: p.HostKey,
	}
	for _, n := range p.Nodes {
		r.Nodes = append(r.Nodes, registryv1.Node{Id: n.ID, Key: n.Key, Proof: n.Proof})
	}
	return r, registryv1.Possession{Consensus: p.Possession.Consensus, Vrf: p.Possession.VRF,
		Host: p.Possession.Host}
}

// Valid checks the file by the rules of a genesis with this participant alone.
// Errors wrap ErrParticipant.
func (p Participant) Valid() error {
	participant, possession := p.Registry()
	gs := registry.DefaultGenesis()
	gs.Participants = []registryv1.Participant{participant}
	gs.Possessions = []registryv1.Possession{possession}
	if err := registry.ValidateGenesis(p.Chain, gs); err != nil {
		return fmt.Errorf("%w: %q: %w", ErrParticipant, p.Moniker, err)
	}
	return nil
}

// Save writes the file.
func (p Participant) Save(path string) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("home: %w", err)
	}
	if err := durable.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("home: %w", err)
	}
	return nil
}

// ReadParticipant reads and checks a file. Errors wrap ErrParticipant.
func ReadParticipant(path string) (Participant, error) {
	text, err := plain.Read(path)
	if err != nil {
		return Participant{}, fmt.Errorf("%w: %w", ErrParticipant, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var p Participant
	if err := decoder.Decode(&p); err != nil {
		return p, fmt.Errorf("%w: %s: %w", ErrParticipant, path, err)
	}
	if err := p.Valid(); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}
