// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"

	"cosmossdk.io/math"

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
