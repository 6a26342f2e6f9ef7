// SPDX-License-Identifier: Apache-2.0

package beacon

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
)

// messages answers MsgPublish. Its effect was taken in before any transaction
// of the block ran, so the message itself does nothing; and it can reach this
// point only as the first transaction of a decided block.
type messages struct{}

var _ beaconv1.MsgServer = messages{}

func (messages) Publish(ctx context.Context, _ *beaconv1.MsgPublish) (*beaconv1.MsgPublishResponse,
	error) {
	if !IsSlot(sdk.UnwrapSDKContext(ctx)) {
		return nil, ErrClient
	}
	return &beaconv1.MsgPublishResponse{}, nil
}

// IsSlot reports whether ctx runs the first transaction of a decided block, the
// only place for a proof.
func IsSlot(ctx sdk.Context) bool {
	return ctx.ExecMode() == sdk.ExecModeFinalize && ctx.TxIndex() == 0 && len(ctx.TxBytes()) > 0
}
