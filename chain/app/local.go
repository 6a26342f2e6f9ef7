// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"

	"github.com/cosmos/gogoproto/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/seed"
)

// local answers registry.v1.Local: what a node proves about itself to its own
// host. It is served on the node's gRPC server and on no query path of the
// chain. The server may be reachable by others, so the node speaks for one
// participant only, the one its configuration names: a proof of possession for
// anybody else would let them register this node's keys as theirs.
type local struct{ app *App }

var _ registryv1.LocalServer = local{}

func (app *App) registerLocal(s grpc.Server) { registryv1.RegisterLocalServer(s, local{app}) }

// ServeProgress has the node's gRPC server say by report whether the chain goes on.
// It is called before that server starts.
func (app *App) ServeProgress(report func() registryv1.ProgressResponse) { app.progress = report }

// Progress says whether the chain goes on. It tells nothing that peers do not know.
func (l local) Progress(context.Context, *registryv1.ProgressRequest) (*registryv1.ProgressResponse,
	error) {
	if l.app.progress == nil {
		return nil, status.Error(codes.Unimplemented, "this node does not watch its chain")
	}
	r := l.app.progress()
	return &r, nil
}

// speaksFor refuses requests about anybody but the configured participant.
func (l local) speaksFor(participant string) error {
	self := l.app.self
	consensus, _ := self.newest()
	switch {
	case consensus == nil:
		return status.Error(codes.FailedPrecondition, "this node has no consensus key file; with "+
			"a remote signer, ask the signer's operator for heartbeats")
	case self.participant == "":
		return status.Errorf(codes.FailedPrecondition, "this node speaks for nobody; set "+
			"participant in [assay] of app.toml to %s and restart it", participant)
	case participant != self.participant:
		return status.Errorf(codes.PermissionDenied, "this node speaks for %s only, not for %q",
			self.participant, participant)
	}
	return nil
}

// Heartbeat signs the beacon value of the last block this node has committed.
func (l local) Heartbeat(_ context.Context,
	r *registryv1.HeartbeatRequest) (*registryv1.HeartbeatResponse, error) {
	if err := l.speaksFor(r.Participant); err != nil {
		return nil, err
	}
	// The state after the last block; its header, which a node that just started
	// lacks, does not matter.
	ctx, err := l.app.CreateQueryContextWithCheckHeader(0, false, false)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "no committed block to sign a heartbeat "+
			"about yet: %v", err)
	}
	last, err := l.app.Beacon.Latest(ctx)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	value, err := seed.FromBytes(last.Value)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	key, err := l.signs(ctx, r.Participant)
	if err != nil {
		return nil, err
	}
	signature, err := registry.Beat(key, l.app.ChainID(), r.Participant,
		r.Epoch, last.Height, value)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &registryv1.HeartbeatResponse{Height: last.Height, Signature: signature}, nil
}

// signs is the consensus key that the registration of a participant names; before there is one, the
// newest.
func (l local) signs(ctx context.Context, participant string) (ed25519.PrivateKey, error) {
	p, err := l.app.Registry.Record(ctx, participant)
	if errors.Is(err, registry.ErrUnknown) {
		key, _ := l.app.self.newest()
		return key, nil
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	key := l.app.self.held(p.ConsensusKey, consensusKeys)
	if key == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "%s registered the consensus key %x, "+
			"which this node has not: put its file, and what it signed last, back from a backup",
			p.Moniker, p.ConsensusKey)
	}
	return key, nil
}

// Possession proves the keys that this node would validate with.
func (l local) Possession(_ context.Context,
	r *registryv1.PossessionRequest) (*registryv1.PossessionResponse, error) {
	if err := l.speaksFor(r.Participant); err != nil {
		return nil, err
	}
	consensus, own := l.app.self.newest()
	if r.Next {
		var err error
		if consensus, own, err = l.next(r.Participant); err != nil {
			return nil, err
		}
	}
	if own == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "this node has no VRF key at %s",
			l.app.self.first.VRF)
	}
	consensusKey, vrfKey := consensus[ed25519.SeedSize:], own[ed25519.SeedSize:]
	forConsensus := seed.Possession(l.app.ChainID(), registry.RoleConsensus,
		r.Participant, consensusKey)
	forVRF := seed.Possession(l.app.ChainID(), registry.RoleVRF, r.Participant, vrfKey)
	return &registryv1.PossessionResponse{
		ConsensusKey:   consensusKey,
		VrfKey:         vrfKey,
		ConsensusProof: ed25519.Sign(consensus, forConsensus[:]),
		VrfProof:       vrf.Prove(own, forVRF[:]),
	}, nil
}

// ServeRotation has the node's gRPC server make the keys of a rotation by make, which writes those
// that are missing. It is called before that server starts.
func (app *App) ServeRotation(make func(Generation) error) { app.rotation = make }

// next are the keys of a participant's next rotation, or registration: this node's newest ones, if
// nobody has registered one of them yet, and new ones otherwise. So a rotation that was
// interrupted goes on with the keys that it has made, and who comes back after leaving has a
// consensus key that the chain takes.
func (l local) next(participant string) (consensus, own ed25519.PrivateKey, err error) {
	if l.app.rotation == nil || l.app.self.home == "" {
		return nil, nil, status.Error(codes.Unimplemented, "this node makes no keys")
	}
	ctx, err := l.app.CreateQueryContextWithCheckHeader(0, false, false)
	if err != nil {
		return nil, nil, status.Errorf(codes.Unavailable, "no committed block yet: %v", err)
	}
	p, err := l.app.Registry.Record(ctx, participant)
	if err != nil && !errors.Is(err, registry.ErrUnknown) {
		return nil, nil, status.Error(codes.Internal, err.Error())
	}
	taken := func(consensus, own ed25519.PrivateKey) (bool, error) {
		if own != nil && (bytes.Equal(p.VrfKey, own[ed25519.SeedSize:]) ||
			p.Rotation != nil && bytes.Equal(p.Rotation.VrfKey, own[ed25519.SeedSize:])) {
			return true, nil
		}
		if consensus == nil {
			return false, nil
		}
		_, found, err := l.app.Registry.ByConsensusAddress(ctx,
			registry.ConsensusAddress(consensus[ed25519.SeedSize:]))
		return found, err
	}
	consensus, own, err = l.app.self.next(l.app.rotation, taken)
	if err != nil {
		return nil, nil, status.Error(codes.Internal, err.Error())
	}
	return consensus, own, nil
}
