// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"fmt"

	"cosmossdk.io/core/comet"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// BeginBlock acts on double signs that CometBFT reports.
func (k *Keeper) BeginBlock(ctx context.Context) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	info := sdkCtx.CometInfo()
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
			return fmt.Errorf("credit: owner of a double sign: %w", err)
		}
		if !ok {
			continue
		}
		if err := k.registry.Jail(ctx, p.Address, Forever, fmt.Sprintf("double sign at height %d", e.Height())); err != nil {
			return fmt.Errorf("credit: jailing %s: %w", p.Address, err)
		}
		if err := k.Cut(ctx, p.Address); err != nil {
			return fmt.Errorf("credit: cutting %s: %w", p.Address, err)
		}
		sdkCtx.EventManager().EmitEvent(sdk.NewEvent("double_sign",
			sdk.NewAttribute("participant", p.Address), sdk.NewAttribute("height", fmt.Sprint(e.Height()))))
	}
	return nil
}
