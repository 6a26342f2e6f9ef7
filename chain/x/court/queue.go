// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	"github.com/assaynet/assay/chain/table"
)

// PurposeClaim is what a bond is locked for in x/collateral.
const PurposeClaim = "claim"

// Each block settles at most so many claims, also of those that cost no recomputation.
const claimsPerBlock = 1024

// bountyBps is the accused's part of a bond that was lost; the rest is burnt.
const bountyBps = 5_000

// Budget is how many claims one may raise in an epoch without a bond: with weight 4, and 2 more per
// thousandth of all.
func Budget(weight, total uint64) uint32 {
	if weight == 0 || total == 0 {
		return 0
	}
	part := math.NewIntFromUint64(min(weight,
		total)).MulRaw(2_000).Quo(math.NewIntFromUint64(total))
	return 4 + uint32(part.Uint64())
}

// File puts a claim behind those that wait. Claims of the chain cost nothing; those of a verdict
// come out of its voter's budget, and those of a dispute too, or they lock a bond where there is
// none. Errors are ErrSpent and ErrBond.
func (k *Keeper) File(ctx context.Context, c courtv1.Claim) error {
	if c.Source != courtv1.SourceChain {
		if err := k.charge(ctx, &c); err != nil {
			return err
		}
	}
	n, err := k.next.Next(ctx)
	if err != nil {
		return err
	}
	return k.claims.Set(ctx, n, c)
}

func (k *Keeper) charge(ctx context.Context, c *courtv1.Claim) error {
	weight, total, err := k.cases.Standing(ctx, HeardIn(*c), c.Claimant)
	if err != nil {
		return err
	}
	budget := Budget(weight, total)
	epoch := HeardIn(*c)
	who, err := k.Claimant(ctx, epoch, c.Claimant)
	if err != nil {
		return err
	}
	if who.Refuted {
		return ErrSpent.Wrapf("a claim of %s was refuted in epoch %d", c.Claimant, epoch)
	}
	switch {
	case who.Spent < budget:
		who.Spent++
		return k.claimants.Set(ctx, collections.Join(epoch, c.Claimant), who)
	case c.Source == courtv1.SourceVerdict:
		return ErrSpent.Wrapf("%s may name %d leaves in epoch %d", c.Claimant, budget, epoch)
	}
	p, err := k.Params(ctx)
	if err != nil {
		return err
	}
	if err := k.collateral.Lock(ctx, c.Claimant, PurposeClaim, bondOf(p.ClaimBond)); err != nil {
		return ErrBond.Wrapf("%s has raised %d of %d claims of epoch %d; each further one locks "+
			"%s acpc of its deposit (assay tx collateral deposit): %v",
			c.Claimant, who.Spent, budget, epoch, p.ClaimBond, err)
	}
	c.Bond = p.ClaimBond
	return k.claimants.Set(ctx, collections.Join(epoch, c.Claimant), who)
}

// HeardIn is the epoch that judges a claim's leaf, which is not that of the leaf where the leaf is
// of a stream.
func HeardIn(c courtv1.Claim) uint64 {
	if c.HeardIn == 0 {
		return c.Epoch
	}
	return c.HeardIn
}

// Claimant returns what somebody asked of the court in an epoch.
func (k *Keeper) Claimant(ctx context.Context, epoch uint64, participant string) (courtv1.Claimant,
	error) {
	c, err := k.claimants.Get(ctx, collections.Join(epoch, participant))
	if errors.Is(err, collections.ErrNotFound) {
		return courtv1.Claimant{Epoch: epoch, Participant: participant}, nil
	}
	return c, err
}

// Pending reports whether a claim waits.
func (k *Keeper) Pending(ctx context.Context) (bool, error) {
	waits := false
	err := k.claims.Walk(ctx, nil, func(uint64, courtv1.Claim) (bool,
		error) {
		waits = true
		return true, nil
	})
	return waits, err
}

// PendingOfMembers reports whether a claim waits that the chain did not raise itself.
func (k *Keeper) PendingOfMembers(ctx context.Context) (bool, error) {
	waits := false
	err := k.claims.Walk(ctx, nil, func(_ uint64, c courtv1.Claim) (bool, error) {
		waits = c.Source != courtv1.SourceChain
		return waits, nil
	})
	return waits, err
}

// entry is a claim with its number.
type entry struct {
	number uint64
	claim  courtv1.Claim
}

// EndBlock settles penalties that are due and judges what waits, in order, within the block's
// budget of operations and of claims.
func (k *Keeper) EndBlock(ctx context.Context) error {
	if err := k.settlePenalties(ctx); err != nil {
		return err
	}
	p, err := k.Params(ctx)
	if err != nil {
		return err
	}
	var batch []entry
	if err := k.claims.Walk(ctx, nil, func(number uint64, c courtv1.Claim) (bool, error) {
		batch = append(batch, entry{number, c})
		return len(batch) == claimsPerBlock, nil
	}); err != nil {
		return err
	}
	left := p.JudgeMiopsPerBlock
	for _, b := range batch {
		over, err := k.settle(ctx, b.claim, &left)
		if err != nil {
			return fmt.Errorf("court: claim %d on %s: %w", b.number, Text(b.claim.Leaf), err)
		}
		if over {
			return nil
		}
		if err := k.claims.Remove(ctx, b.number); err != nil {
			return err
		}
	}
	return nil
}

// settle judges one claim; over says that the block's budget does not reach for it.
func (k *Keeper) settle(ctx context.Context, c courtv1.Claim, left *uint64) (over bool, err error) {
	if c.Source != courtv1.SourceChain {
		who, err := k.Claimant(ctx, HeardIn(c), c.Claimant)
		if err != nil {
			return false, err
		}
		if who.Refuted {
			return false, k.release(ctx, c)
		}
	}
	key := leafKeyOf(c.Epoch, c.Leaf)
	j, err := k.judgements.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		e, ok, err := k.cases.Exhibit(ctx, c.Epoch, c.Leaf)
		if err != nil {
			return false, err
		}
		if !ok {
			return false, k.release(ctx, c)
		}
		if e.Class.MiOps() > *left {
			return true, nil
		}
		*left -= e.Class.MiOps()
		if j, err = k.recompute(ctx, c, e); err != nil {
			return false, err
		}
		if err := k.judgements.Set(ctx, key, j); err != nil {
			return false, err
		}
		if j.Mismatch {
			if err := k.cases.Proven(ctx, j); err != nil {
				return false, err
			}
		}
	} else if err != nil {
		return false, err
	}
	upheld, accused, err := k.cases.Judged(ctx, c, j)
	if err != nil || c.Source == courtv1.SourceChain {
		return false, err
	}
	if upheld {
		return false, k.release(ctx, c)
	}
	return false, k.refute(ctx, c, accused)
}

// recompute runs the unit of a leaf and holds it against what was opened. Both norm and digest
// count.
func (k *Keeper) recompute(ctx context.Context, c courtv1.Claim,
	e Exhibit) (courtv1.Judgement, error) {
	k.judging.Lock()
	out, err := k.engine.Unit(ctx, e.Class, e.Seed1, e.Node, e.Segment, c.Leaf.Nonce, e.Opened)
	k.judging.Unlock()
	if err != nil {
		return courtv1.Judgement{}, err
	}
	return courtv1.Judgement{
		Epoch: c.Epoch, Leaf: c.Leaf, Norm: out.Norm, Digest: out.Digest[:], Middle: out.Middle[:],
		Mismatch: out.Norm != e.Opened.Norm || out.Digest != e.Opened.Digest,
		NamedBy:  c.Claimant, Height: height(ctx),
	}, nil
}

// refute ends the claims of one who was wrong; those that wait are dropped when their turn comes.
func (k *Keeper) refute(ctx context.Context, c courtv1.Claim, accused string) error {
	who, err := k.Claimant(ctx, HeardIn(c), c.Claimant)
	if err != nil {
		return err
	}
	who.Refuted = true
	if err := k.claimants.Set(ctx, collections.Join(HeardIn(c), c.Claimant), who); err != nil {
		return err
	}
	emit(ctx, "refuted", "claimant", c.Claimant, "leaf", Text(c.Leaf))
	if c.Bond == "" {
		return nil
	}
	return k.collateral.Forfeit(ctx, c.Claimant, PurposeClaim, bondOf(c.Bond), accused, bountyBps)
}

func (k *Keeper) release(ctx context.Context, c courtv1.Claim) error {
	if c.Bond == "" {
		return nil
	}
	return k.collateral.Unlock(ctx, c.Claimant, PurposeClaim, bondOf(c.Bond))
}

// Judgement returns what the court found of a leaf; ok is false while it has not judged it.
func (k *Keeper) Judgement(ctx context.Context, epoch uint64,
	leaf courtv1.LeafRef) (j courtv1.Judgement, ok bool, err error) {
	j, err = k.judgements.Get(ctx, leafKeyOf(epoch, leaf))
	if errors.Is(err, collections.ErrNotFound) {
		return j, false, nil
	}
	return j, err == nil, err
}

// Judgements lists those on a participant's leaves, by (node, segment, nonce).
func (k *Keeper) Judgements(ctx context.Context, epoch uint64,
	participant string) ([]courtv1.Judgement, error) {
	return table.Values(ctx, k.judgements, collections.NewSuperPrefixedTripleRange[uint64, string,
		[]byte](epoch, participant))
}

// DropChain forgets what the chain itself still wanted to judge; the time for it is over.
func (k *Keeper) DropChain(ctx context.Context) error {
	var numbers []uint64
	if err := k.claims.Walk(ctx, nil, func(number uint64, c courtv1.Claim) (bool, error) {
		if c.Source == courtv1.SourceChain {
			numbers = append(numbers, number)
		}
		return false, nil
	}); err != nil {
		return err
	}
	for _, n := range numbers {
		if err := k.claims.Remove(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// Prune drops up to limit records of epochs before one, and says how many it dropped.
func (k *Keeper) Prune(ctx context.Context, before uint64, limit int) (int, error) {
	leaves, err := table.DropBefore(ctx, k.judgements, before, limit, leafKey.K1)
	if err != nil {
		return 0, err
	}
	who, err := table.DropBefore(ctx, k.claimants, before, limit-leaves, claimantKey.K1)
	return leaves + who, err
}

// Text names a leaf in a sentence.
func Text(l courtv1.LeafRef) string {
	return fmt.Sprintf("%d of node %s, segment %d, of %s", l.Nonce, l.Node,
		l.Segment, l.Participant)
}
