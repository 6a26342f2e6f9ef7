// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"unicode"
	"unicode/utf8"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
)

// maxMoniker bounds a moniker, in characters.
const maxMoniker = 64

// Roles that a key can have; a node's is nodeRole.
const (
	RoleConsensus = "consensus"
	RoleVRF       = "vrf"
	RoleHost      = "host"
)

// NodeRole is the role of the device key of a node.
func NodeRole(id string) string { return "node/" + id }

// namedKey is a key and what it is for.
type namedKey struct {
	role  string
	bytes []byte
}

// keysOf lists all keys of a participant, in a fixed order.
func keysOf(p registryv1.Participant) []namedKey {
	keys := []namedKey{{RoleConsensus, p.ConsensusKey}, {RoleVRF, p.VrfKey}, {RoleHost, p.HostKey}}
	for _, n := range p.Nodes {
		keys = append(keys, namedKey{NodeRole(n.Id), n.Key})
	}
	return append(keys, rotated(p.Rotation)...)
}

// rotated lists the keys that a rotation brings.
func rotated(r *registryv1.Rotation) (keys []namedKey) {
	if r == nil {
		return nil
	}
	for _, key := range []namedKey{{RoleConsensus, r.ConsensusKey}, {RoleVRF, r.VrfKey},
		{RoleHost, r.HostKey}} {
		if len(key.bytes) > 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

// validate checks all of a participant that needs no state: lengths, characters,
// keys, and that no key stands twice. Errors wrap ErrInvalid.
func validate(p registryv1.Participant, maxNodes uint32) error {
	if err := validMoniker(p.Moniker); err != nil {
		return err
	}
	if err := validateNodes(p, maxNodes); err != nil {
		return err
	}
	for _, key := range keysOf(p) {
		if err := validKey(key); err != nil {
			return err
		}
	}
	return nil
}

// validateNodes checks a participant's machines but for what their keys are: how
// many there are, ids, lengths, and that no key of the participant stands twice.
func validateNodes(p registryv1.Participant, maxNodes uint32) error {
	if err := validList(p.Nodes, maxNodes); err != nil {
		return err
	}
	return distinct(p)
}

// distinct checks that no key of a participant stands twice.
func distinct(p registryv1.Participant) error {
	roles := make(map[string]string)
	for _, key := range keysOf(p) {
		if other, twice := roles[string(key.bytes)]; twice {
			return ErrInvalid.Wrapf("one key for %s and %s", other, key.role)
		}
		roles[string(key.bytes)] = key.role
	}
	return nil
}

// validList checks the shape of a list of machines.
func validList(nodes []registryv1.Node, most uint32) error {
	if len(nodes) > int(most) {
		return ErrInvalid.Wrapf("%d nodes, at most %d", len(nodes), most)
	}
	ids := make(map[string]bool)
	for _, n := range nodes {
		if err := commit.ValidNode(n.Id); err != nil {
			return ErrInvalid.Wrap(err.Error())
		}
		if ids[n.Id] {
			return ErrInvalid.Wrapf("node %s stands twice", n.Id)
		}
		ids[n.Id] = true
		if len(n.Key) != ed25519.PublicKeySize || len(n.Proof) != ed25519.SignatureSize {
			return ErrInvalid.Wrapf("node %s has a key of %d and a proof of %d bytes, want %d "+
				"and %d", n.Id, len(n.Key), len(n.Proof), ed25519.PublicKeySize,
				ed25519.SignatureSize)
		}
	}
	return nil
}

// validKey checks that a key is a canonical point of the prime-order group.
func validKey(key namedKey) error {
	if err := vrf.ValidKey(key.bytes); err != nil {
		return ErrInvalid.Wrapf("%s key: %v", key.role, err)
	}
	return nil
}

// validMoniker accepts 1 to 64 printable characters without spaces at the ends.
func validMoniker(moniker string) error {
	if !utf8.ValidString(moniker) || moniker == "" || utf8.RuneCountInString(moniker) > maxMoniker {
		return ErrInvalid.Wrapf("a moniker has 1 to %d characters of UTF-8", maxMoniker)
	}
	for i, r := range moniker {
		atEnd := i == 0 || i+utf8.RuneLen(r) == len(moniker)
		if !unicode.IsPrint(r) || r == ' ' && atEnd {
			return ErrInvalid.Wrapf("moniker %q has a character that does not print, or a space "+
				"at its end", moniker)
		}
	}
	return nil
}

// VerifyPossession checks the proofs of the three keys of a participant.
// Errors wrap ErrPossession.
func VerifyPossession(chain string, p registryv1.Participant, proof registryv1.Possession) error {
	for _, key := range keysOf(p)[:3] {
		if err := verifyKey(chain, p.Address, key, proof); err != nil {
			return err
		}
	}
	return nil
}

// proofOf is the part of a possession that is about one role.
func proofOf(proof registryv1.Possession, role string) []byte {
	switch role {
	case RoleConsensus:
		return proof.Consensus
	case RoleVRF:
		return proof.Vrf
	}
	return proof.Host
}

func verifyKey(chain, participant string, key namedKey, proof registryv1.Possession) error {
	if key.role != RoleVRF {
		return verifySignature(chain, participant, key, proofOf(proof, key.role))
	}
	message := seed.Possession(chain, RoleVRF, participant, key.bytes)
	if _, err := vrf.Verify(key.bytes, proof.Vrf, message[:]); err != nil {
		return ErrPossession.Wrapf("vrf key of %s: %v", participant, err)
	}
	return nil
}

// VerifyNode checks the proof of one node's device key. Errors wrap ErrPossession.
func VerifyNode(chain, participant string, n registryv1.Node) error {
	return verifySignature(chain, participant, namedKey{NodeRole(n.Id), n.Key}, n.Proof)
}

func verifySignature(chain, participant string, key namedKey, signature []byte) error {
	message := seed.Possession(chain, key.role, participant, key.bytes)
	if !signed.Verify(key.bytes, message[:], signature) {
		return ErrPossession.Wrapf("%s key of %s: the signature is not over this chain (%q), "+
			"role and participant", key.role, participant, chain)
	}
	return nil
}

// ProvePossession makes the three proofs. Each private key is an Ed25519 one.
func ProvePossession(chain, participant string, consensus, vrfKey,
	host ed25519.PrivateKey) registryv1.Possession {
	message := seed.Possession(chain, RoleVRF, participant, vrfKey[ed25519.SeedSize:])
	return registryv1.Possession{
		Consensus: sign(chain, RoleConsensus, participant, consensus),
		Vrf:       vrf.Prove(vrfKey, message[:]),
		Host:      sign(chain, RoleHost, participant, host),
	}
}

// ProveNode makes the list entry of a node with this device key.
func ProveNode(chain, participant, id string, device ed25519.PrivateKey) registryv1.Node {
	return registryv1.Node{
		Id:    id,
		Key:   bytes.Clone(device[ed25519.SeedSize:]),
		Proof: sign(chain, NodeRole(id), participant, device),
	}
}

func sign(chain, role, participant string, key ed25519.PrivateKey) []byte {
	message := seed.Possession(chain, role, participant, key[ed25519.SeedSize:])
	return ed25519.Sign(key, message[:])
}

// VerifyHeartbeat checks that the participant's consensus key signed, for an
// epoch, that it follows the chain up to height, whose beacon value is value.
// How old the height may be is up to the caller. Errors wrap ErrHeartbeat.
func VerifyHeartbeat(p registryv1.Participant, chain string, epoch uint64, height int64,
	value seed.Seed, sig []byte) error {
	if height < 1 {
		return ErrHeartbeat.Wrapf("height %d", height)
	}
	message := seed.Heartbeat(chain, p.Address, epoch, uint64(height), value)
	if !signed.Verify(p.ConsensusKey, message[:], sig) {
		return ErrHeartbeat.Wrapf("the consensus key of %s did not sign epoch %d at height %d",
			p.Address, epoch, height)
	}
	return nil
}

// Beat signs a heartbeat; see VerifyHeartbeat.
func Beat(consensus ed25519.PrivateKey, chain, participant string, epoch uint64, height int64,
	value seed.Seed) ([]byte, error) {
	if height < 1 {
		return nil, errors.New("registry: no block to sign a heartbeat about yet")
	}
	message := seed.Heartbeat(chain, participant, epoch, uint64(height), value)
	return ed25519.Sign(consensus, message[:]), nil
}
