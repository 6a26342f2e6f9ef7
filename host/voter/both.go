// SPDX-License-Identifier: Apache-2.0

package voter

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// Both judges Sprints, and streams in epochs that have some.
type Both struct {
	Sprints, Streams *Voter
}

// each has those that have something to judge do so; what the board says last is about Sprints.
func (b Both) each(e sprintv1.Epoch, do func(*Voter) error) error {
	var err error
	if e.Streams > 0 {
		err = do(b.Streams)
	}
	return errors.Join(err, do(b.Sprints))
}

// Validate is Voter.Validate for both.
func (b Both) Validate(ctx context.Context, g *errgroup.Group,
	now sprintv1.QueryCurrentResponse) error {
	return b.each(now.Epoch, func(v *Voter) error { return v.Validate(ctx, g, now) })
}

// Reveal is Voter.Reveal for both.
func (b Both) Reveal(now sprintv1.QueryCurrentResponse) error {
	return b.each(now.Epoch, func(v *Voter) error { return v.Reveal(now) })
}

// OpenMiddles is Voter.OpenMiddles for both.
func (b Both) OpenMiddles(ctx context.Context, now sprintv1.QueryCurrentResponse) error {
	return b.each(now.Epoch, func(v *Voter) error { return v.OpenMiddles(ctx, now) })
}

// Dispute is Voter.Dispute for both.
func (b Both) Dispute(ctx context.Context, now sprintv1.QueryCurrentResponse) error {
	return b.each(now.Epoch, func(v *Voter) error { return v.Dispute(ctx, now) })
}

// Prune deletes the verdicts of all epochs before one.
func (b Both) Prune(before uint64) error {
	return errors.Join(b.Sprints.c.Folder.Prune(before), b.Streams.c.Folder.Prune(before))
}
