// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"
	"fmt"
	"math"

	"cosmossdk.io/core/comet"
	sdk "github.com/cosmos/cosmos-sdk/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
)

// Forever as a jail term: a consensus key that signed two blocks of one height is never trusted
// again.
const Forever = math.MaxUint64

// sentence is what an offence costs beyond the epoch's credit, which x/sprint withholds.
type sentence struct {
	// jail ends so many times Params.jail_epochs after the epoch; forever: never
	jail    bool
	forever bool
	// cut takes weight, power and voice in the next block, past every limit on how fast power moves
	cut bool
}

// The table of offences, and the only one: spec J-6.
var sentences = map[courtv1.Offence]sentence{
	courtv1.OffenceFraud:        {jail: true, cut: true},
	courtv1.OffenceDoubleSign:   {forever: true, cut: true},
	courtv1.OffenceFalseVerdict: {jail: true},
	courtv1.OffenceSilence:      {jail: true},
	courtv1.OffenceUnopened:     {jail: true},
}

// Punish is the only door to jail and to cuts. why goes into the participant's record.
func (k *Keeper) Punish(ctx context.Context, who string, offence courtv1.Offence,
	why string) error {
	s, ok := sentences[offence]
	if !ok {
		return fmt.Errorf("court: no sentence for %s", offence)
	}
	until := uint64(Forever)
	if !s.forever {
		p, err := k.Params(ctx)
		if err != nil {
			return err
		}
		epoch, err := k.epoch(ctx)
		if err != nil {
			return err
		}
		until = epoch + 1 + uint64(p.JailEpochs)
	}
	if s.jail || s.forever {
		if err := k.registry.Jail(ctx, who, until, why); err != nil {
			return fmt.Errorf("court: jailing %s: %w", who, err)
		}
	}
	if s.cut {
		if err := k.credit.Cut(ctx, who); err != nil {
			return fmt.Errorf("court: cutting %s: %w", who, err)
		}
	}
	emit(ctx, "punished", "participant", who, "offence", offence.String(), "reason", why)
	return nil
}

// BeginBlock punishes double signs that CometBFT reports.
func (k *Keeper) BeginBlock(ctx context.Context) error {
	info := sdk.UnwrapSDKContext(ctx).CometInfo()
	if info == nil {
		return nil
	}
	evidence := info.GetEvidence()
	for i := 0; evidence != nil && i < evidence.Len(); i++ {
		e := evidence.Get(i)
		if t := e.Type(); t != comet.DuplicateVote && t != comet.LightClientAttack {
			continue
		}
		p, ok, err := k.registry.ByConsensusAddress(ctx, e.Validator().Address())
		if err != nil {
			return fmt.Errorf("court: owner of a double sign: %w", err)
		}
		if !ok || p.JailedUntil == Forever {
			continue
		}
		if err := k.Punish(ctx, p.Address, courtv1.OffenceDoubleSign,
			fmt.Sprintf("double sign at height %d", e.Height())); err != nil {
			return err
		}
	}
	return nil
}
