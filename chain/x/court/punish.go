// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"
	"fmt"
	"math"

	"cosmossdk.io/collections"
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
	// owed burns all pay that waits
	owed bool
	// slash is the part of what is slashable that is taken, in basis points; nil: none
	slash func(*Keeper, context.Context, courtv1.Params) (uint64, error)
	// final: what is taken is burnt at once, whoever else did the same. Otherwise it waits for the
	// end of the epoch, for its finders and for the rule on masses.
	final bool
}

// The table of offences, and the only one: spec J-6.
var sentences = map[courtv1.Offence]sentence{
	courtv1.OffenceFraud: {jail: true, cut: true, owed: true,
		slash: func(_ *Keeper, _ context.Context, p courtv1.Params) (uint64, error) {
			return p.SlashFraudBps, nil
		}},
	courtv1.OffenceDoubleSign: {forever: true, cut: true, owed: true, final: true,
		slash: (*Keeper).doubleSignBps},
	courtv1.OffenceFalseVerdict: {jail: true,
		slash: func(_ *Keeper, _ context.Context, p courtv1.Params) (uint64, error) {
			return p.SlashFalseBps, nil
		}},
	courtv1.OffenceSilence:  {jail: true},
	courtv1.OffenceUnopened: {jail: true},
}

// Punish is the only door to jail, to cuts and to slashes. why goes into the participant's record;
// finders are those who proved it, as far as they are known by now. It is called once an
// offence, at a block's begin or end. Coins are taken last and on a branch of the state: what
// fails there is counted (Failures) and leaves the rest of the sentence.
func (k *Keeper) Punish(ctx context.Context, who string, offence courtv1.Offence,
	why string, finders ...string) error {
	s, ok := sentences[offence]
	if !ok {
		return fmt.Errorf("court: no sentence for %s", offence)
	}
	p, err := k.Params(ctx)
	if err != nil {
		return err
	}
	epoch, err := k.epoch(ctx)
	if err != nil {
		return err
	}
	until := uint64(Forever)
	if !s.forever {
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
	return k.fine(ctx, s, p, courtv1.Penalty{Epoch: epoch, Participant: who, Offence: offence,
		Finders: without(finders, who)})
}

// BeginBlock punishes double signs that CometBFT reports. All of a block count before any is
// punished: what each costs follows from all (spec J-12).
func (k *Keeper) BeginBlock(ctx context.Context) error {
	info := sdk.UnwrapSDKContext(ctx).CometInfo()
	if info == nil {
		return nil
	}
	evidence := info.GetEvidence()
	var found []courtv1.DoubleSign
	heights := map[string]int64{} // of the double signature
	for i := 0; evidence != nil && i < evidence.Len(); i++ {
		e := evidence.Get(i)
		if t := e.Type(); t != comet.DuplicateVote && t != comet.LightClientAttack {
			continue
		}
		p, ok, err := k.registry.ByConsensusAddress(ctx, e.Validator().Address())
		if err != nil {
			return fmt.Errorf("court: owner of a double sign: %w", err)
		}
		if _, twice := heights[p.Address]; !ok || twice || p.JailedUntil == Forever {
			continue
		}
		heights[p.Address] = e.Height()
		found = append(found, doubleSign(ctx, p.Address, e))
	}
	for _, d := range found {
		if err := k.doubleSigns.Set(ctx, collections.Join(uint64(d.Height), d.Participant),
			d); err != nil {
			return err
		}
	}
	for _, d := range found {
		if err := k.Punish(ctx, d.Participant, courtv1.OffenceDoubleSign,
			fmt.Sprintf("double sign at height %d", heights[d.Participant])); err != nil {
			return err
		}
	}
	return nil
}
