// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/ed25519"

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
	switch {
	case self.consensus == nil:
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
	signature, err := registry.Beat(l.app.self.consensus, l.app.ChainID(), r.Participant,
		r.Epoch, last.Height, value)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &registryv1.HeartbeatResponse{Height: last.Height, Signature: signature}, nil
}

// Possession proves the keys that this node would validate with.
func (l local) Possession(_ context.Context,
	r *registryv1.PossessionRequest) (*registryv1.PossessionResponse, error) {
	if err := l.speaksFor(r.Participant); err != nil {
		return nil, err
	}
	self := l.app.self
	if self.vrf == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "this node has no VRF key at %s",
			self.vrfPath)
	}
	consensusKey, vrfKey := self.consensus[ed25519.SeedSize:], self.vrf[ed25519.SeedSize:]
	forConsensus := seed.Possession(l.app.ChainID(), registry.RoleConsensus,
		r.Participant, consensusKey)
	forVRF := seed.Possession(l.app.ChainID(), registry.RoleVRF, r.Participant, vrfKey)
	return &registryv1.PossessionResponse{
		ConsensusKey:   consensusKey,
		VrfKey:         vrfKey,
		ConsensusProof: ed25519.Sign(self.consensus, forConsensus[:]),
		VrfProof:       vrf.Prove(self.vrf, forVRF[:]),
	}, nil
}
