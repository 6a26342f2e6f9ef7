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
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/beacon"
)

// newAnteHandler checks a transaction before its messages run: in a mempool, in a proposal and in a
// decided block. Signatures come before fees: what is owed is asked about the sender only once it
// is known to be the sender. A transaction that fails here leaves no mark on the state.
func (app *App) newAnteHandler(l lane, p *pool) (sdk.AnteHandler, error) {
	accounts := app.accounts
	return sdk.ChainAnteDecorators(
		ahead{},
		slot{},
		authante.NewSetUpContextDecorator(),
		authante.NewExtensionOptionsDecorator(nil),
		authante.NewValidateBasicDecorator(),
		authante.NewTxTimeoutHeightDecorator(),
		authante.NewValidateMemoDecorator(accounts),
		authante.NewConsumeGasForTxSizeDecorator(accounts),
		authante.NewSetPubKeyDecorator(accounts),
		authante.NewValidateSigCountDecorator(accounts),
		authante.NewSigGasConsumeDecorator(accounts, authante.DefaultSigVerificationGasConsumer),
		authante.NewSigVerificationDecorator(accounts, app.encoding.TxConfig.SignModeHandler()),
		rightOfWay{l, p},
		authante.NewDeductFeeDecorator(accounts, app.bank, app.feegrant, fee),
		authante.NewIncrementSequenceDecorator(accounts),
	), nil
}

// ahead checks and simulates for the next block: the state of checks stands at the height of the
// last one, but what is checked there can be in the next one at the earliest. Windows of duties are
// judged to the block.
type ahead struct{}

func (ahead) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool,
	next sdk.AnteHandler) (sdk.Context, error) {
	if ctx.IsCheckTx() || simulate {
		ctx = ctx.WithBlockHeight(ctx.BlockHeight() + 1)
	}
	return next(ctx, tx, simulate)
}

// slot lets the beacon proof pass where it belongs, at the head of a decided
// block, and refuses it everywhere else. The proof was verified before the block
// began, byte for byte; what is left to do is to let it succeed at no cost.
type slot struct{}

func (slot) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool,
	next sdk.AnteHandler) (sdk.Context, error) {
	if !carriesProof(tx.GetMsgs()) {
		return next(ctx, tx, simulate)
	}
	if simulate || !beacon.IsSlot(ctx) {
		return ctx, errorsmod.Wrap(ErrProofSubmitted,
			"the proposer of a block puts it there itself")
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

// rightOfWay decides whether a transaction is free or pays, uses up the free attempts at the duties
// in it, and refuses what the pool has no room for.
type rightOfWay struct {
	lane lane
	pool *pool
}

func (d rightOfWay) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool,
	next sdk.AnteHandler) (sdk.Context, error) {
	feeTx, ok := tx.(sdk.FeeTx)
	if !ok {
		return ctx, errorsmod.Wrapf(sdkerrors.ErrTxDecode,
			"a transaction of type %T has no fee", tx)
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
	if simulate {
		return next(ctx, tx, simulate)
	}
	p, err := d.lane.place(ctx, feeTx)
	if err != nil {
		return ctx, err
	}
	for _, o := range p.owed {
		ctx.GasMeter().ConsumeGas(sprintv1.GasOwed, "asking whether a message is owed")
		if err := d.lane.app.Sprint.Attempt(ctx, o); err != nil {
			return ctx, err
		}
	}
	switch {
	case ctx.IsReCheckTx():
		if !d.pool.keep(tx, ctx.TxBytes(), p) {
			return ctx, errorsmod.Wrap(sdkerrors.ErrMempoolIsFull, "it gave way to a more urgent "+
				"one; send it again")
		}
	case ctx.IsCheckTx():
		if err := d.pool.room(tx, len(ctx.TxBytes()), p); err != nil {
			return ctx, err
		}
	}
	return next(ctx.WithValue(placeKey{}, p), tx, simulate)
}

// placeKey holds a transaction's place in its context.
type placeKey struct{}

// fee is what a transaction pays: what it offers. Whether that is enough was decided when it got
// its place.
func fee(_ sdk.Context, tx sdk.Tx) (sdk.Coins, int64, error) {
	feeTx, ok := tx.(sdk.FeeTx)
	if !ok {
		return nil, 0, errorsmod.Wrapf(sdkerrors.ErrTxDecode,
			"a transaction of type %T has no fee", tx)
	}
	return feeTx.GetFee(), 0, nil
}
