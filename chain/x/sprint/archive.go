// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// archive keeps what stays of an epoch for ever, once its commits are final. Evidence of any age
// leads to this record.
func (k *Keeper) archive(ctx context.Context, e sprintv1.Epoch) error {
	a := sprintv1.Archive{Epoch: e.Number, Class: e.Params.Class, Seed1: e.Seed1}
	for _, s := range e.Segments {
		a.SegmentSeeds = append(a.SegmentSeeds, s.Seed)
	}
	var log commit.Frontier
	if err := k.walkArchive(ctx, e.Number, func(_ sprintv1.Commit, l commit.ArchiveLeaf) {
		log.Append(l.Hash())
	}); err != nil {
		return fmt.Errorf("archiving the commits of epoch %d: %w", e.Number, err)
	}
	root := log.Root()
	a.Commits, a.Root = log.Size(), root[:]
	return k.archives.Set(ctx, e.Number, a)
}

// walkArchive visits the commits of an epoch by participant, node and segment, with their archive
// leaves.
func (k *Keeper) walkArchive(ctx context.Context, epoch uint64,
	visit func(sprintv1.Commit, commit.ArchiveLeaf)) error {
	var of sprintv1.Member // whose commits are being visited
	return k.commits.Walk(ctx, collections.NewPrefixedQuadRange[uint64, string, string,
		uint32](epoch), func(_ logKey, c sprintv1.Commit) (bool, error) {
		if of.Participant != c.Participant {
			var err error
			if of, err = k.members.Get(ctx, memberKeyOf(epoch, c.Participant)); err != nil {
				return true, fmt.Errorf("member %s: %w", c.Participant, err)
			}
		}
		l := commit.ArchiveLeaf{Participant: c.Participant, Node: c.Node, Segment: c.Segment,
			Count: c.Count}
		copy(l.Root[:], c.Root)
		copy(l.HostKey[:], of.HostKey)
		visit(c, l)
		return false, nil
	})
}

// validArchives checks the archives of a genesis at an epoch.
func validArchives(archives []sprintv1.Archive, current uint64) error {
	last := uint64(0)
	for _, a := range archives {
		if a.Epoch <= last || a.Epoch > current {
			return fmt.Errorf("sprint: the archive of epoch %d is out of place in a genesis at "+
				"epoch %d", a.Epoch, current)
		}
		last = a.Epoch
		if _, err := transformer.ByName(a.Class); err != nil {
			return fmt.Errorf("sprint: archive of epoch %d: %w", a.Epoch, err)
		}
		for _, b := range append([][]byte{a.Seed1, a.Root}, a.SegmentSeeds...) {
			if len(b) != 32 {
				return fmt.Errorf("sprint: the archive of epoch %d has a seed or root of %d "+
					"bytes; want 32", a.Epoch, len(b))
			}
		}
		if (a.Commits == 0) != (commit.Hash(a.Root) == commit.EmptyRoot) {
			return fmt.Errorf("sprint: the archive of epoch %d has %d commits under the root %x",
				a.Epoch, a.Commits, a.Root)
		}
	}
	return nil
}

func (k *Keeper) initArchives(ctx context.Context, archives []sprintv1.Archive) error {
	for _, a := range archives {
		if err := k.archives.Set(ctx, a.Epoch, a); err != nil {
			return err
		}
	}
	return nil
}

// Archive answers for every epoch whose commits are final.
func (s queryServer) Archive(ctx context.Context,
	req *sprintv1.QueryArchiveRequest) (*sprintv1.QueryArchiveResponse, error) {
	a, err := s.archives.Get(ctx, req.Epoch)
	if errors.Is(err, collections.ErrNotFound) {
		current, _ := s.CurrentEpoch(ctx)
		return nil, status.Errorf(codes.NotFound, "there is no archive of epoch %d: the chain is "+
			"in epoch %d, and archives an epoch when its leaves are drawn", req.Epoch, current)
	}
	return &sprintv1.QueryArchiveResponse{Archive: a}, err
}

// CommitPath shows one commit in its epoch's archive.
func (s queryServer) CommitPath(ctx context.Context,
	req *sprintv1.QueryCommitPathRequest) (*sprintv1.QueryCommitPathResponse, error) {
	archived, err := s.Archive(ctx, &sprintv1.QueryArchiveRequest{Epoch: req.Epoch})
	if err != nil {
		return nil, err
	}
	var log commit.Log
	var found *sprintv1.QueryCommitPathResponse
	if err := s.walkArchive(ctx, req.Epoch, func(c sprintv1.Commit, l commit.ArchiveLeaf) {
		if c.Participant == req.Participant && c.Node == req.Node && c.Segment == req.Segment {
			found = &sprintv1.QueryCommitPathResponse{Count: c.Count, Root: c.Root,
				Signature: c.Signature, HostKey: l.HostKey[:], Index: log.Size()}
		}
		log.Append(l.Hash())
	}); err != nil {
		return nil, err
	}
	switch {
	case log.Size() < archived.Archive.Commits:
		return nil, status.Errorf(codes.FailedPrecondition, "the commits of epoch %d were "+
			"pruned; only their root is kept", req.Epoch)
	case found == nil:
		return nil, status.Errorf(codes.NotFound, "epoch %d has no commit of node %q, segment "+
			"%d, of %s", req.Epoch, req.Node, req.Segment, req.Participant)
	}
	path, err := commit.Inclusion(&log, found.Index, log.Size())
	if err != nil {
		return nil, err
	}
	found.Commits = log.Size()
	for _, hash := range path {
		found.Path = append(found.Path, hash[:])
	}
	return found, nil
}
