// SPDX-License-Identifier: Apache-2.0

package app

import (
	errorsmod "cosmossdk.io/errors"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authante "github.com/cosmos/cosmos-sdk/x/auth/ante"
	"github.com/cosmos/cosmos-sdk/x/authz"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	"github.com/assaynet/assay/chain/x/beacon"
)

// newAnteHandler checks a transaction before its messages run: in a mempool, in
// a proposal and in a decided block. The SDK's own checks stand in the SDK's
// order; ours are the slot and the room before all of them and the lane once the
// signatures are known to be good.
func (app *App) newAnteHandler(l lane, p *pool) (sdk.AnteHandler, error) {
	accounts := app.accounts
	return sdk.ChainAnteDecorators(
		slot{},
		room{p, l},
		authante.NewSetUpContextDecorator(),
		authante.NewExtensionOptionsDecorator(nil),
		authante.NewValidateBasicDecorator(),
		authante.NewTxTimeoutHeightDecorator(),
		authante.NewValidateMemoDecorator(accounts),
		authante.NewConsumeGasForTxSizeDecorator(accounts),
		authante.NewDeductFeeDecorator(accounts, app.bank, app.feegrant, l.fee),
		authante.NewSetPubKeyDecorator(accounts),
		authante.NewValidateSigCountDecorator(accounts),
		authante.NewSigGasConsumeDecorator(accounts, authante.DefaultSigVerificationGasConsumer),
		authante.NewSigVerificationDecorator(accounts, app.encoding.TxConfig.SignModeHandler()),
		limits{l},
		authante.NewIncrementSequenceDecorator(accounts),
	), nil
}

// slot lets the beacon proof pass where it belongs, at the head of a decided
// block, and refuses it everywhere else. The proof was verified before the block
// began, byte for byte; what is left to do is to let it succeed at no cost.
type slot struct{}

func (slot) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if !carriesProof(tx.GetMsgs()) {
		return next(ctx, tx, simulate)
	}
	if simulate || !beacon.IsSlot(ctx) {
		return ctx, errorsmod.Wrap(ErrProofSubmitted, "the proposer of a block puts it there itself")
	}
	return ctx.WithGasMeter(storetypes.NewGasMeter(0)), nil
}

func carriesProof(msgs []sdk.Msg) bool {
	for _, msg := range msgs {
		switch m := msg.(type) {
		case *beaconv1.MsgPublish:
			return true
		case *authz.MsgExec:
			if inner, err := m.GetMessages(); err == nil && carriesProof(inner) {
				return true
			}
		}
	}
	return false
}

// room refuses what the pool has no room for. The pool would refuse it as well, but
// only after the checks have left their mark: the sender's next sequence number
// would be one too high until the next block.
type room struct {
	pool *pool
	lane lane
}

func (r room) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if !ctx.IsCheckTx() || ctx.IsReCheckTx() || simulate || !r.pool.crowded() {
		return next(ctx, tx, simulate)
	}
	// Whoever claims to be somebody else gets past here and no further than its signature.
	participant, protocol, err := r.lane.participant(ctx, tx)
	if err != nil {
		return ctx, err
	}
	weight, err := r.lane.app.Sprint.Weight(ctx, participant)
	if err != nil {
		return ctx, err
	}
	if !r.pool.room(protocol, weight) {
		return ctx, errorsmod.Wrapf(sdkerrors.ErrMempoolIsFull, "%d transactions wait on this node; send it again in a moment", r.pool.CountTx())
	}
	return next(ctx, tx, simulate)
}

// limits holds protocol transactions to their quota, and openings to a size
// that fits into a block.
type limits struct{ lane lane }

func (d limits) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if simulate {
		return next(ctx, tx, simulate)
	}
	if n := openings(tx); n > 0 {
		limit, err := d.lane.openingLimit(ctx)
		if err != nil {
			return ctx, err
		}
		if n > limit {
			return ctx, errorsmod.Wrapf(ErrOpening, "%d bytes, at most %d", n, limit)
		}
	}
	participant, protocol, err := d.lane.participant(ctx, tx)
	if err != nil {
		return ctx, err
	}
	if protocol {
		feeTx, ok := tx.(sdk.FeeTx)
		if !ok {
			return ctx, errorsmod.Wrapf(sdkerrors.ErrTxDecode, "a transaction of type %T has no gas limit", tx)
		}
		if err := d.lane.charge(ctx, participant, feeTx.GetGas()); err != nil {
			return ctx, err
		}
	}
	return next(ctx, tx, simulate)
}
