// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	version "github.com/cometbft/cometbft/proto/tendermint/version"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/verify/state"
)

// hashedModel is the stand-in engine as a model.
type hashedModel struct {
	class transformer.Class
	seed1 seed.Seed
}

func (m hashedModel) Class() transformer.Class { return m.class }

func (m hashedModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	for i, nonce := range nonces {
		dst[i] = hashed(m.class, m.seed1, node, segment, nonce)
	}
	return nil
}

func hashedBuild(class transformer.Class, seed1 seed.Seed) (transformer.Model, error) {
	return hashedModel{class, seed1}, nil
}

// comet answers what a node's CometBFT service does: header is that of the last block.
type comet struct {
	n      *network
	header cmtproto.Header
}

func (c comet) Invoke(ctx context.Context, method string, args, reply any,
	_ ...grpc.CallOption) error {
	switch reply := reply.(type) {
	case *cmtservice.GetLatestBlockResponse:
		//lint:ignore SA1019 as client.StateProof asks for it
		reply.Block = &cmtproto.Block{Header: c.header}
		return nil
	case *cmtservice.ABCIQueryResponse:
		req := args.(*cmtservice.ABCIQueryRequest)
		res, err := c.n.app.Query(ctx, &abci.RequestQuery{Path: req.Path, Data: req.Data,
			Height: req.Height, Prove: req.Prove})
		if err == nil {
			*reply = *cmtservice.FromABCIResponseQuery(res)
		}
		return err
	}
	return fmt.Errorf("no %s here", method)
}

func (comet) NewStream(context.Context, *grpc.StreamDesc, string,
	...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no streams")
}

// headed makes a block and returns its header as CometBFT would have: its app hash is that of the
// state before it.
func (n *network) headed() cmtproto.Header {
	n.t.Helper()
	before := n.app.LastCommitID().Hash
	n.step()
	h := cmttypes.Header{Version: version.Consensus{Block: 11}, ChainID: chainID, Height: n.height,
		Time: blockTime(n.height), AppHash: before, ValidatorsHash: n.sets[0].Hash(),
		NextValidatorsHash: n.sets[1].Hash(),
		ProposerAddress:    n.sets[0].Proposer.Address}
	return *h.ToProto()
}

// archives of epochs, all of which are there.
func (n *network) archives(epochs ...uint64) (all []sprintv1.Archive) {
	n.t.Helper()
	for _, epoch := range epochs {
		res, err := n.query().Archive(context.Background(),
			&sprintv1.QueryArchiveRequest{Epoch: epoch})
		if err != nil {
			n.t.Fatal(err)
		}
		all = append(all, res.Archive)
	}
	return all
}

// C23. Evidence of any epoch is proven for ever: by what the chain answers after it pruned the
// epoch's commits, and without a node by the hash of a block, whose app hash is that of the state
// before it.
// Holds spec S-28.
func TestC23EvidenceOfAPrunedEpochIsStillProven(t *testing.T) {
	ctx := t.Context()
	n := start(t, 4)
	n.host("p4").cheat.leaf = forgeEvery(4)
	e, _ := n.finish(1)
	judged := n.proven(1, n.host("p4"))
	if len(judged) == 0 {
		t.Fatal("nothing was proven")
	}
	f, err := client.Evidence(ctx, n.query(), chainID, e, judged[0])
	if err != nil {
		t.Fatal(err)
	}
	if finding, err := evidence.Verify(f, hashedBuild); err != nil || !finding.Forged {
		t.Fatalf("%+v, %v", finding, err)
	}
	early := n.headed()
	if f.State, err = client.StateProof(ctx, comet{n, early}, 1); err != nil {
		t.Fatal(err)
	}
	raw, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	record := n.archives(1)[0]
	t.Logf("a file of %d bytes; an archive of %d bytes for ever, key included, %d segments, %d "+
		"commits",
		len(raw), record.Size()+len(sprintv1.ArchiveKey(1)), len(record.SegmentSeeds),
		record.Commits)

	last := uint64(1) + uint64(e.Params.KeepEpochs) + 2
	n.phase(last, sprintv1.PhaseCompute) // commits are pruned block by block
	path := &sprintv1.QueryCommitPathRequest{Epoch: 1, Participant: f.Participant, Node: f.Node,
		Segment: f.Segment}
	if _, err := n.query().CommitPath(ctx, path); status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("the commits of epoch 1 are still there in epoch %d: %v", last, err)
	}
	later := n.archives(1)[0]
	if d := cmp.Diff(record, later); d != "" {
		t.Errorf("the archive changed:\n%s", d)
	}
	if err := state.Compare(f, chainID, later); err != nil {
		t.Errorf("against the chain: %v", err)
	}
	late := n.headed()
	again, err := client.StateProof(ctx, comet{n, late}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at    cmtproto.Header
		state *evidence.State
	}{{early, f.State}, {late, again}} {
		f.State = c.state
		header, err := cmttypes.HeaderFromProto(&c.at)
		if err != nil {
			t.Fatal(err)
		}
		block, err := state.Check(f)
		if err != nil || block != (state.Block{Hash: header.Hash().String(),
			Height: header.Height}) {
			t.Errorf("by block %d: %+v, %v", header.Height, block, err)
		}
	}

	// The header of the block that wrote a state does not commit to it, the next one does.
	wrong := late
	wrong.AppHash = n.app.LastCommitID().Hash
	if f.State, err = client.StateProof(ctx, comet{n, wrong}, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Check(f); !errors.Is(err, state.ErrState) {
		t.Errorf("the state after a block under that block's own hash: %v", err)
	}
}

// C23. The archive is over all commits of the epoch by participant, node and segment, and every one
// has a path.
// Holds spec S-14.
func TestC23EveryCommitHasAPathInTheArchive(t *testing.T) {
	ctx := t.Context()
	n := start(t, 3, withNodes("p2", "a", "b-1", "b"))
	n.phase(1, sprintv1.PhaseWrapUp)
	if _, err := n.query().Archive(ctx,
		&sprintv1.QueryArchiveRequest{Epoch: 1}); status.Code(err) != codes.NotFound {
		t.Errorf("archived while commits are taken: %v", err)
	}
	e := n.phase(1, sprintv1.PhaseProof)
	a := n.archives(1)[0]
	if a.Epoch != 1 || a.Class != e.Params.Class || string(a.Seed1) != string(e.Seed1) ||
		len(a.SegmentSeeds) != len(e.Segments) {
		t.Errorf("archive %+v of epoch %+v", a, e)
	}
	for i, s := range e.Segments {
		if string(a.SegmentSeeds[i]) != string(s.Seed) {
			t.Errorf("segment %d: seed %x in the archive, %x in the epoch", s.Index,
				a.SegmentSeeds[i], s.Seed)
		}
	}
	commits, err := n.query().Commits(ctx, &sprintv1.QueryCommitsRequest{Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a.Commits != 10 || len(commits.Commits) != 10 {
		t.Errorf("%d commits in the archive, %d in state, want 10: five machines in two segments",
			a.Commits, len(commits.Commits))
	}
	for i, c := range commits.Commits {
		p, err := n.query().CommitPath(ctx,
			&sprintv1.QueryCommitPathRequest{Epoch: 1, Participant: c.Participant, Node: c.Node,
				Segment: c.Segment})
		if err != nil {
			t.Fatal(err)
		}
		up := commit.ArchivePath{Root: commit.Hash(a.Root), Commits: p.Commits, Index: p.Index}
		for _, hash := range p.Path {
			up.Path = append(up.Path, commit.Hash(hash))
		}
		key := n.byAddr[c.Participant].key.Public().(ed25519.PublicKey)
		leaf := commit.ArchiveLeaf{Participant: c.Participant, Node: c.Node, Segment: c.Segment,
			Root: commit.Hash(c.Root), Count: c.Count, HostKey: [32]byte(key)}
		if err := up.Verify(leaf); err != nil || p.Index != uint64(i) ||
			string(p.Signature) != string(c.Signature) {
			t.Errorf("commit %d: %+v, %v", i, p, err)
		}
	}
	if _, err := n.query().CommitPath(ctx,
		&sprintv1.QueryCommitPathRequest{Epoch: 1, Participant: n.host("p2").addr, Node: "c",
			Segment: 1}); status.Code(err) != codes.NotFound {
		t.Errorf("a path of nothing: %v", err)
	}
}

// An epoch in which nobody commits is archived too.
func TestAnEpochWithoutCommitsIsArchived(t *testing.T) {
	n := start(t, 3)
	for _, h := range n.hosts {
		h.cheat.commit = never
	}
	n.phase(1, sprintv1.PhaseProof)
	if a := n.archives(1)[0]; a.Commits != 0 || commit.Hash(a.Root) != commit.EmptyRoot {
		t.Errorf("%+v", a)
	}
}
