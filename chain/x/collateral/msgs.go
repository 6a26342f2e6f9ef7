// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"

	"cosmossdk.io/math"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
)

type messages struct{ keeper *Keeper }

var _ collateralv1.MsgServer = messages{}

// Deposit moves coins from the sender's balance into its deposit.
func (m messages) Deposit(ctx context.Context,
	msg *collateralv1.MsgDeposit) (*collateralv1.MsgDepositResponse, error) {
	if err := positive(msg.Amount); err != nil {
		return nil, err
	}
	if err := m.keeper.TopUp(ctx, msg.Address, msg.Amount); err != nil {
		return nil, err
	}
	emit(ctx, "collateral_deposited", "account", msg.Address, "amount", msg.Amount.String())
	return &collateralv1.MsgDepositResponse{}, nil
}

// Withdraw moves coins that no purpose holds back to the sender's balance.
func (m messages) Withdraw(ctx context.Context,
	msg *collateralv1.MsgWithdraw) (*collateralv1.MsgWithdrawResponse, error) {
	if err := positive(msg.Amount); err != nil {
		return nil, err
	}
	if err := m.keeper.Withdraw(ctx, msg.Address, msg.Amount); err != nil {
		return nil, err
	}
	emit(ctx, "collateral_withdrawn", "account", msg.Address, "amount", msg.Amount.String())
	return &collateralv1.MsgWithdrawResponse{}, nil
}

// Lock locks coins for weight.
func (m messages) Lock(ctx context.Context,
	msg *collateralv1.MsgLock) (*collateralv1.MsgLockResponse, error) {
	if err := positive(msg.Amount); err != nil {
		return nil, err
	}
	if err := m.keeper.LockWeight(ctx, msg.Address, msg.Amount); err != nil {
		return nil, err
	}
	emit(ctx, "collateral_locked", "account", msg.Address, "amount", msg.Amount.String())
	return &collateralv1.MsgLockResponse{}, nil
}

// Unlock opens a withdrawal of coins that are locked for weight.
func (m messages) Unlock(ctx context.Context,
	msg *collateralv1.MsgUnlock) (*collateralv1.MsgUnlockResponse, error) {
	if err := positive(msg.Amount); err != nil {
		return nil, err
	}
	if err := m.keeper.OpenWithdrawal(ctx, msg.Address, msg.Amount); err != nil {
		return nil, err
	}
	emit(ctx, "collateral_unlocked", "account", msg.Address, "amount", msg.Amount.String())
	return &collateralv1.MsgUnlockResponse{}, nil
}

// UpdateParams changes the parameters from the next epoch on; only governance may.
func (m messages) UpdateParams(ctx context.Context,
	msg *collateralv1.MsgUpdateParams) (*collateralv1.MsgUpdateParamsResponse, error) {
	if msg.Authority != m.keeper.authority {
		return nil, sdkerrors.ErrUnauthorized.Wrapf("only governance (%s) changes parameters",
			m.keeper.authority)
	}
	if err := ValidateParams(msg.Params); err != nil {
		return nil, err
	}
	return &collateralv1.MsgUpdateParamsResponse{}, m.keeper.pending.Set(ctx, msg.Params)
}

// positive: moving nothing is a mistake, not a transaction.
func positive(amount math.Int) error {
	if err := validAmount(amount); err != nil {
		return err
	}
	if amount.IsZero() {
		return ErrInvalid.Wrap("the amount is 0; name how many base units to move")
	}
	return nil
}
