// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/verify/state"
)

// chain is a node that is asked.
type chain struct {
	address string
	conn    *grpc.ClientConn
	sprint  sprintv1.QueryClient
	id      string // of the chain
}

func dial(ctx context.Context, address string) (*chain, error) {
	conn, err := client.DialNode(address)
	if err != nil {
		return nil, err
	}
	info, err := cmtservice.NewServiceClient(conn).GetNodeInfo(ctx,
		&cmtservice.GetNodeInfoRequest{})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("asking %s which chain it is of: %w", address, err)
	}
	return &chain{address: address, conn: conn, sprint: sprintv1.NewQueryClient(conn),
		id: info.DefaultNodeInfo.GetNetwork()}, nil
}

func (c *chain) archive(ctx context.Context, epoch uint64) (sprintv1.Archive, error) {
	res, err := c.sprint.Archive(ctx, &sprintv1.QueryArchiveRequest{Epoch: epoch})
	if err != nil {
		return sprintv1.Archive{}, fmt.Errorf("asking %s for the archive of epoch %d: %w",
			c.address, epoch, err)
	}
	return res.Archive, nil
}

// Both are documents like those without a chain.
var (
	_ poc.Document = (*chained)(nil)
	_ poc.Document = (*chainedLeaves)(nil)
)

// chained is evidence that is held against its chain beside itself.
type chained struct {
	*poc.Evidence
	by against

	block               state.Block // that the file's own proof stands on; zero where it has none
	withBlock, withNode bool        // it was compared
}

// Verify implements poc.Document: first the evidence by itself, then its proof of the chain's
// state, which spoils the file if it does not hold, trusted or not, then what the reader trusts.
func (c *chained) Verify(ctx context.Context, engine work.Engine,
	o poc.Options) (poc.Report, error) {
	r, err := c.Evidence.Verify(ctx, engine, o)
	if err != nil {
		return r, err
	}
	if c.File.State != nil {
		if c.block, err = state.Check(c.File); err != nil {
			return r, err
		}
		r.Assumed = slices.DeleteFunc(r.Assumed,
			func(what string) bool { return what == poc.AssumedState })
		if c.by.block != "" && c.by.block != c.block.Hash {
			return r, fmt.Errorf("%w: the file's proof stands on block %d with the hash %s, "+
				"which is not the one that you trust", ErrChain, c.block.Height, c.block.Hash)
		}
		c.withBlock = c.by.block != ""
	}
	if c.by.node != "" && !r.Unbound {
		if err := withChain(ctx, c.File, c.by.node); err != nil {
			return r, err
		}
		c.withNode = true
	}
	if (c.withNode || c.withBlock) && !r.Unbound {
		r.Proven, r.Assumed = true, nil
	}
	return r, nil
}

// withChain compares what a file cannot show by itself with what a node answers.
func withChain(ctx context.Context, f evidence.File, node string) error {
	c, err := dial(ctx, node)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	a, err := c.archive(ctx, f.Epoch)
	if err != nil {
		return err
	}
	if err := state.Compare(f, c.id, a); err != nil {
		return fmt.Errorf("%w: %w", ErrChain, err)
	}
	return nil
}

// chainedLeaves is a document on leaves between a machine and its host that is held against what a
// node answers.
type chainedLeaves struct {
	poc.Document
	node  string
	order delivery.Order

	committed *uint64 // leaves that the host committed to, as far as the chain still has it
	compared  bool
}

// Verify implements poc.Document.
func (d *chainedLeaves) Verify(ctx context.Context, engine work.Engine,
	o poc.Options) (poc.Report, error) {
	r, err := d.Document.Verify(ctx, engine, o)
	if err == nil {
		err = d.compare(ctx, &r)
	}
	return r, err
}

// compare holds what a machine and its host signed against what a node answers: always the epoch's
// class and seeds; the host's key and commitment for as long as the chain has them.
func (d *chainedLeaves) compare(ctx context.Context, r *poc.Report) error {
	node, o := d.node, d.order
	c, err := dial(ctx, node)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	a, err := c.archive(ctx, o.Epoch)
	if err != nil {
		return err
	}
	if int(o.Segment) > len(a.SegmentSeeds) {
		return fmt.Errorf("%w: epoch %d has no segment %d", ErrChain, o.Epoch, o.Segment)
	}
	list := []compared{
		{"chain", o.Chain, c.id}, {"class", o.Class, a.Class},
		{"Seed_1", hex.EncodeToString(o.Seed1[:]), hex.EncodeToString(a.Seed1)},
		{"segment seed", hex.EncodeToString(o.SegmentSeed[:]),
			hex.EncodeToString(a.SegmentSeeds[o.Segment-1])},
	}
	open := func(what string) { r.Proves += "; " + what }
	commit, err := c.sprint.CommitPath(ctx, &sprintv1.QueryCommitPathRequest{Epoch: o.Epoch,
		Participant: o.Participant, Node: o.Node, Segment: o.Segment})
	var hostKey []byte
	switch status.Code(err) {
	case codes.OK:
		hostKey, d.committed = commit.HostKey, &commit.Count
	case codes.NotFound: // the log was not committed to
		d.committed = new(uint64)
	case codes.FailedPrecondition:
		open("the chain no longer has the epoch's commitments")
	default:
		return fmt.Errorf("asking %s for the commitment: %w", node, err)
	}
	if r.Accused != "" { // a host that looks at fewer leaves than the chain does convicts by chance
		res, err := c.sprint.Epoch(ctx, &sprintv1.QueryEpochRequest{Number: o.Epoch})
		switch status.Code(err) {
		case codes.OK:
			list = append(list, compared{"number of leaves looked at", fmt.Sprint(r.Checked),
				fmt.Sprint(res.Epoch.Params.Samples)})
		case codes.NotFound:
			open("the chain no longer has the epoch's record, so whether enough leaves were " +
				"checked remains open")
		default:
			return fmt.Errorf("asking %s for epoch %d: %w", node, o.Epoch, err)
		}
	}
	registered, err := registryv1.NewQueryClient(c.conn).Participant(ctx,
		&registryv1.QueryParticipantRequest{Address: o.Participant})
	if err != nil && status.Code(err) != codes.NotFound {
		return fmt.Errorf("asking %s for participant %s: %w", node, o.Participant, err)
	}
	var nodeKey []byte
	if err == nil {
		if hostKey == nil {
			hostKey = registered.Participant.HostKey
		}
		for _, n := range registered.Participant.Nodes {
			if n.Id == o.Node {
				nodeKey = n.Key
			}
		}
	}
	for _, k := range []struct {
		what        string
		file, chain []byte
	}{{"key of the host", o.HostKey[:], hostKey},
		{"key of node " + o.Node, o.DeviceKey[:], nodeKey}} {
		if len(k.chain) == 0 {
			open("the chain has no " + k.what + " now, so whose key it is remains open")
		} else {
			list = append(list, compared{k.what, hex.EncodeToString(k.file),
				hex.EncodeToString(k.chain)})
		}
	}
	d.compared = true
	return compare(list)
}

type compared struct{ what, file, chain string }

func compare(list []compared) error {
	for _, c := range list {
		if c.file != c.chain {
			return fmt.Errorf("%w: %s is %s in the file and %s on chain", ErrChain,
				c.what, c.file, c.chain)
		}
	}
	return nil
}
