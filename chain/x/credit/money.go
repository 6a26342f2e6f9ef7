// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"fmt"

	"cosmossdk.io/core/address"
	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/table"
)

// Bank is what credit needs of x/bank. Coins are minted, burned and moved by nothing else.
type Bank interface {
	GetBalance(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	GetSupply(ctx context.Context, denom string) sdk.Coin
	IsSendEnabledCoins(ctx context.Context, coins ...sdk.Coin) error
	MintCoins(ctx context.Context, module string, coins sdk.Coins) error
	BurnCoins(ctx context.Context, module string, coins sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress,
		coins sdk.Coins) error
	SendCoinsFromModuleToModule(ctx context.Context, from, to string, coins sdk.Coins) error
}

// Coins is where money comes from and goes to.
type Coins struct {
	Bank      Bank
	Addresses address.Codec
	Denom     string
	// Collateral is the balance of the account collateral and the sum of what its records say it
	// holds, for Audit. It may be nil: then both are 0.
	Collateral func(ctx context.Context) (balance, records sdkmath.Int, err error)
}

// SetCoins wires the coins, before any block. A keeper without them keeps weights and powers, and
// pays nothing.
func (k *Keeper) SetCoins(c Coins) { k.coins = c }

// MaxSupply is the most that is ever minted, genesis included, in acpc: 10^9 CPC (spec E-1).
func MaxSupply() sdkmath.Int { return sdkmath.NewIntWithDecimal(1, 27) }

const (
	bpsWhole = 10_000
	pptWhole = 1_000_000_000_000
	// mostParts bounds what one epoch mints: a hundredth of what is left.
	mostParts = 100
)

// emission (spec E-2) is what an epoch of so many blocks mints, in acpc, once minted has been.
func emission(minted sdkmath.Int, ppt uint64, blocks int64) sdkmath.Int {
	left := MaxSupply().Sub(minted)
	if blocks <= 0 || !left.IsPositive() {
		return sdkmath.ZeroInt()
	}
	// below 2^172: 10^27 * 200,000 * 2^63
	e := left.Mul(sdkmath.NewIntFromUint64(ppt)).MulRaw(blocks).QuoRaw(pptWhole)
	return sdkmath.MinInt(e, left.QuoRaw(mostParts))
}

// partOf is floor(amount * bps / 10,000).
func partOf(amount sdkmath.Int, bps uint64) sdkmath.Int {
	return amount.Mul(sdkmath.NewIntFromUint64(bps)).QuoRaw(bpsWhole)
}

// pass records that an epoch was finalised and returns how many blocks that is after the one
// before.
func (k *Keeper) pass(ctx context.Context, m *creditv1.Money, epoch uint64) (blocks int64) {
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	blocks = height - m.SettledHeight
	m.SettledEpoch, m.SettledHeight = epoch, height
	return blocks
}

// passVoid records that an epoch was finalised and pays nothing: its blocks mint nothing, ever, and
// the fees wait for the next one.
func (k *Keeper) passVoid(ctx context.Context, epoch uint64) error {
	m, err := k.books(ctx)
	if err != nil || m == nil {
		return err
	}
	k.pass(ctx, m, epoch)
	return k.setBooks(ctx, *m)
}

// reward mints what a finalised epoch earned, and records what each holder is owed of it and of the
// fees. What cannot be settled leaves all coins and records as they were, is counted, and fails no
// block.
func (k *Keeper) reward(ctx context.Context, epoch uint64, holdings []creditv1.Holding) error {
	m, err := k.books(ctx)
	if err != nil || m == nil {
		return err
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return fmt.Errorf("credit: params: %w", err)
	}
	blocks := k.pass(ctx, m, epoch)
	after := *m
	if cause := cached(ctx, func(ctx context.Context) error {
		return k.distribute(ctx, &after, p, blocks, holdings)
	}); cause != nil {
		m.FailedSettlements++
		emit(ctx, "settlement_failed", "epoch", fmt.Sprint(epoch), "reason", cause.Error())
		sdk.UnwrapSDKContext(ctx).Logger().Error("the pay of an epoch could not be settled; "+
			"nothing was minted, and its fees wait for the next epoch", "epoch", epoch,
			"error", cause)
		return k.setBooks(ctx, *m)
	}
	return k.setBooks(ctx, after)
}

// distribute mints, burns and records the pay of the epoch that the books name as settled.
func (k *Keeper) distribute(ctx context.Context, m *creditv1.Money, p creditv1.Params, blocks int64,
	holdings []creditv1.Holding) error {
	backed, err := k.backing(ctx)
	if err != nil {
		return err
	}
	shares := make([]share, 0, len(holdings))
	for _, h := range holdings {
		w, err := backed(h.Participant, h.Weight)
		if err != nil {
			return err
		}
		if w > 0 {
			shares = append(shares, share{h.Participant, w})
		}
	}
	if len(shares) == 0 {
		return nil
	}
	minted := emission(m.Minted, p.EmissionPpt, blocks)
	tasks := partOf(minted, p.TaskShareBps)
	fees := k.balance(ctx, authtypes.FeeCollectorName)
	burned := partOf(fees, p.FeeBurnBps)
	if err := k.moveIn(ctx, minted, fees, burned); err != nil {
		return err
	}
	pot := minted.Sub(tasks).Add(fees).Sub(burned)
	for i, amount := range split(pot, shares) {
		if !amount.IsPositive() {
			continue
		}
		due := m.SettledEpoch + p.LockEpochs
		if err := k.addOwed(ctx, creditv1.Owed{Participant: shares[i].participant,
			Epoch: m.SettledEpoch, Amount: amount, DueEpoch: due, NextEpoch: due}); err != nil {
			return err
		}
	}
	m.Minted, m.Burned = m.Minted.Add(minted), m.Burned.Add(burned)
	m.TaskShare, m.Owed = m.TaskShare.Add(tasks), m.Owed.Add(pot)
	emit(ctx, "settled", "epoch", fmt.Sprint(m.SettledEpoch), "blocks", fmt.Sprint(blocks),
		"minted", minted.String(), "fees", fees.String(), "burned", burned.String(),
		"task_share", tasks.String(), "owed", pot.String(),
		"participants", fmt.Sprint(len(shares)))
	return nil
}

// moveIn mints into the account, takes the fees over and burns a part.
func (k *Keeper) moveIn(ctx context.Context, minted, fees, burned sdkmath.Int) error {
	if minted.IsPositive() {
		if err := k.coins.Bank.MintCoins(ctx, Name, k.amount(minted)); err != nil {
			return fmt.Errorf("credit: minting %s: %w", minted, err)
		}
	}
	if fees.IsPositive() {
		if err := k.coins.Bank.SendCoinsFromModuleToModule(ctx, authtypes.FeeCollectorName, Name,
			k.amount(fees)); err != nil {
			return fmt.Errorf("credit: taking %s of fees: %w", fees, err)
		}
	}
	return k.burn(ctx, burned)
}

// burn burns coins of the module's account.
func (k *Keeper) burn(ctx context.Context, amount sdkmath.Int) error {
	if !amount.IsPositive() {
		return nil
	}
	if err := k.coins.Bank.BurnCoins(ctx, Name, k.amount(amount)); err != nil {
		return fmt.Errorf("credit: burning %s: %w", amount, err)
	}
	return nil
}

// balance of a module's account.
func (k *Keeper) balance(ctx context.Context, module string) sdkmath.Int {
	return k.coins.Bank.GetBalance(ctx, authtypes.NewModuleAddress(module), k.coins.Denom).Amount
}

func (k *Keeper) amount(n sdkmath.Int) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(k.coins.Denom, n))
}

// books are the totals; nil where the state has none yet, and then no money moves.
func (k *Keeper) books(ctx context.Context) (*creditv1.Money, error) {
	m, err := table.Optional(ctx, k.money)
	if err != nil {
		return nil, fmt.Errorf("credit: money: %w", err)
	}
	return m, nil
}

func (k *Keeper) setBooks(ctx context.Context, m creditv1.Money) error {
	if err := k.money.Set(ctx, m); err != nil {
		return fmt.Errorf("credit: money: %w", err)
	}
	return nil
}

// OpenBooks begins the count of money where the state has none: what the bank holds now is what
// genesis held, and the epoch finalised next counts its blocks from this one on. It does nothing
// where the books are open.
func (k *Keeper) OpenBooks(ctx context.Context) error {
	m, err := k.books(ctx)
	if err != nil || m != nil || k.coins.Bank == nil {
		return err
	}
	supply := k.coins.Bank.GetSupply(ctx, k.coins.Denom).Amount
	if most := MaxSupply(); supply.GT(most) {
		return fmt.Errorf("credit: there are %s%s; at most %s%s may ever be minted: lower the "+
			"balances", supply, k.coins.Denom, most, k.coins.Denom)
	}
	zero := sdkmath.ZeroInt()
	// InitChain runs at height 0 or 1 for a chain that begins at 1
	before := max(sdk.UnwrapSDKContext(ctx).BlockHeight(), 1) - 1
	return k.setBooks(ctx, creditv1.Money{Genesis: supply, Minted: supply, Burned: zero, Owed: zero,
		TaskShare: zero, SettledHeight: before})
}

// cached runs do on a copy of the state and keeps what it wrote if it succeeds. Only errors are
// held back: a panic is a broken database or program, and no node may go on with it.
func cached(ctx context.Context, do func(context.Context) error) error {
	copied, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	if err := do(copied); err != nil {
		return err
	}
	write()
	return nil
}

func emit(ctx context.Context, kind string, pairs ...string) {
	var attributes []sdk.Attribute
	for i := 0; i < len(pairs); i += 2 {
		attributes = append(attributes, sdk.NewAttribute(pairs[i], pairs[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent("credit_"+kind, attributes...))
}
