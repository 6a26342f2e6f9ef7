// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"cosmossdk.io/math"
	cmttypes "github.com/cometbft/cometbft/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
)

// The bounds on the parameters of the SDK's modules. Our own modules hold theirs
// themselves. Within these, the chain goes on and can vote again; a test takes each
// of them to both ends. Another test knows all fields that the SDK has, so that a
// new one has to be decided on before a build with it passes.

const (
	maxVoting     = 21 * 24 * time.Hour
	maxNotice     = 1_000_000 // blocks
	maxDepositCPC = 100_000
	maxPlanInfo   = 4096 // bytes
	maxPlanName   = 64
)

// bound is what one field of parameters may hold.
type bound[P any] struct {
	// field as protobuf and JSON spell it.
	field string
	// check refuses a value and says what is allowed and why; nil allows everything.
	check func(standing, P) error
}

// within applies bounds in their order.
func within[P any](s standing, params P, bounds []bound[P]) error {
	for _, b := range bounds {
		if b.check == nil {
			continue
		}
		if err := b.check(s, params); err != nil {
			return fmt.Errorf("%s %w", b.field, err)
		}
	}
	return nil
}

// either allows both values of a switch.
func either[P any](field string) bound[P] { return bound[P]{field: field} }

func outside(value, low, high any, why string) error {
	return fmt.Errorf("%v is outside %v..%v: %s", value, low, high, why)
}

// number bounds a whole number.
func number[P any, N int64 | uint64](field string, low, high N, why string,
	get func(P) N) bound[P] {
	return bound[P]{field, func(_ standing, p P) error {
		if v := get(p); v < low || v > high {
			return outside(v, low, high, why)
		}
		return nil
	}}
}

// period bounds a time; its least value may depend on the network.
func period[P any](field string, low func(standing) time.Duration, high time.Duration, why string,
	get func(P) *time.Duration) bound[P] {
	return bound[P]{field, func(s standing, p P) error {
		v := get(p)
		if v == nil {
			return fmt.Errorf("is missing: %s", why)
		}
		if low := low(s); *v < low || *v > high {
			return outside(*v, low, high, why)
		}
		return nil
	}}
}

// share bounds a part of a whole, in percent.
func share[P any](field string, low, high int64, why string, get func(P) string) bound[P] {
	return bound[P]{field, func(_ standing, p P) error {
		low, high := math.LegacyNewDecWithPrec(low, 2), math.LegacyNewDecWithPrec(high, 2)
		v, err := math.LegacyNewDecFromStr(get(p))
		if err != nil {
			return fmt.Errorf("%q is no decimal number: %w", get(p), err)
		}
		if v.LT(low) || v.GT(high) {
			return outside(v, low, high, why)
		}
		return nil
	}}
}

// deposit bounds what a proposal has to lock.
func deposit[P any](field string, get func(P) []sdk.Coin) bound[P] {
	return bound[P]{field, func(_ standing, p P) error {
		coins := get(p)
		if len(coins) != 1 || coins[0].Denom != Denom || coins[0].Amount.IsNil() {
			return fmt.Errorf("%s is not one amount in %s: nothing else can be deposited",
				sdk.Coins(coins), Denom)
		}
		one := math.NewIntWithDecimal(1, Decimals)
		if v, high := coins[0].Amount, one.MulRaw(maxDepositCPC); v.LT(one) || v.GT(high) {
			return outside(v, one, high,
				"below, proposals cost nothing; above, nobody can make one")
		}
		return nil
	}}
}

var authBounds = []bound[authtypes.Params]{
	number("max_memo_characters", 64, 4096, "a memo names a payment and no more",
		func(p authtypes.Params) uint64 { return p.MaxMemoCharacters }),
	number("tx_sig_limit", 1, 32, "everybody has one signature; each one costs time before it is "+
		"paid", func(p authtypes.Params) uint64 { return p.TxSigLimit }),
	number("tx_size_cost_per_byte", 1, 100, "openings have to fit into a block's gas",
		func(p authtypes.Params) uint64 { return p.TxSizeCostPerByte }),
	number("sig_verify_cost_ed25519", 1, 100_000, signatureCost,
		func(p authtypes.Params) uint64 { return p.SigVerifyCostED25519 }),
	number("sig_verify_cost_secp256k1", 1, 100_000, signatureCost,
		func(p authtypes.Params) uint64 { return p.SigVerifyCostSecp256k1 }),
	number("sig_verify_cost_mldsa65", 1, 100_000, signatureCost,
		func(p authtypes.Params) uint64 { return p.SigVerifyCostMlDsa65 }),
}

const signatureCost = "every transaction pays it, a vote included"

func checkAuth(s standing, p authtypes.Params) error {
	if err := within(s, p, authBounds); err != nil {
		return err
	}
	return p.Validate()
}

var bankBounds = []bound[banktypes.Params]{
	{"send_enabled", func(_ standing, p banktypes.Params) error {
		//lint:ignore SA1019 it is deprecated, which is why it has to be empty
		if len(p.SendEnabled) > 0 {
			return errors.New("is no longer in use; leave it empty")
		}
		return nil
	}},
	// Payments may be stopped, in an emergency. Fees, deposits and votes go on.
	either[banktypes.Params]("default_send_enabled"),
}

func checkBank(s standing, p banktypes.Params) error {
	return within(s, p, bankBounds)
}

var govBounds = []bound[govv1.Params]{
	deposit("min_deposit", func(p govv1.Params) []sdk.Coin { return p.MinDeposit }),
	period("max_deposit_period", standing.expedited, maxVoting, "depositors need time to find "+
		"each other", func(p govv1.Params) *time.Duration { return p.MaxDepositPeriod }),
	period("voting_period", standing.voting, maxVoting, "voters need time, and a fault must not "+
		"stay for months", func(p govv1.Params) *time.Duration { return p.VotingPeriod }),
	share("quorum", 20, 67, "below, a few decide; above, a third that is away stops governance",
		func(p govv1.Params) string { return p.Quorum }),
	share("threshold", 50, 75, "below, a minority decides; above, a quarter stops everything",
		func(p govv1.Params) string { return p.Threshold }),
	share("veto_threshold", 25, 50, "below, a few stop everything; above, nobody can",
		func(p govv1.Params) string { return p.VetoThreshold }),
	share("min_initial_deposit_ratio", 0, 100, "it is a part of the deposit",
		func(p govv1.Params) string { return p.MinInitialDepositRatio }),
	share("proposal_cancel_ratio", 0, 100, "it is a part of the deposit",
		func(p govv1.Params) string { return p.ProposalCancelRatio }),
	{"proposal_cancel_dest", func(_ standing, p govv1.Params) error {
		if p.ProposalCancelDest != "" {
			return fmt.Errorf("%q is not empty: the deposits of others are nobody's income",
				p.ProposalCancelDest)
		}
		return nil
	}},
	period("expedited_voting_period", standing.expedited, maxVoting, "voters need time",
		func(p govv1.Params) *time.Duration { return p.ExpeditedVotingPeriod }),
	share("expedited_threshold", 60, 90, "haste needs more agreement than an ordinary vote, but "+
		"not everybody's", func(p govv1.Params) string { return p.ExpeditedThreshold }),
	deposit("expedited_min_deposit", func(p govv1.Params) []sdk.Coin {
		return p.ExpeditedMinDeposit
	}),
	either[govv1.Params]("burn_vote_quorum"),
	either[govv1.Params]("burn_proposal_deposit_prevote"),
	either[govv1.Params]("burn_vote_veto"),
	share("min_deposit_ratio", 0, 100, "it is a part of the deposit",
		func(p govv1.Params) string { return p.MinDepositRatio }),
}

func (s standing) voting() time.Duration    { return s.MinVoting }
func (s standing) expedited() time.Duration { return s.MinExpedited }

// checkGov also holds what expedited votes are to ordinary ones, which the SDK
// knows: a shorter period, a higher threshold, a larger deposit.
func checkGov(s standing, p govv1.Params) error {
	if err := within(s, p, govBounds); err != nil {
		return err
	}
	return p.ValidateBasic()
}

var consensusBounds = []bound[*consensustypes.MsgUpdateParams]{
	number("block.max_bytes", 4<<20, 21<<20, "openings have to fit, and a block has to reach "+
		"everybody within its round", func(m *consensustypes.MsgUpdateParams) int64 {
		return m.Block.MaxBytes
	}),
	number("block.max_gas", 400_000_000, 10_000_000_000, "the duties of an epoch have to fit, "+
		"and a block has to be computed within its round",
		func(m *consensustypes.MsgUpdateParams) int64 { return m.Block.MaxGas }),
	number("evidence.max_age_num_blocks", 100, 1_000_000, "a double signature has to be found, "+
		"and does not count for ever", func(m *consensustypes.MsgUpdateParams) int64 {
		return m.Evidence.MaxAgeNumBlocks
	}),
	period("evidence.max_age_duration", func(standing) time.Duration {
		return time.Minute
	}, maxVoting, "a double signature has to be found, and does not count for ever",
		func(m *consensustypes.MsgUpdateParams) *time.Duration {
			return &m.Evidence.MaxAgeDuration
		}),
	number("evidence.max_bytes", 64<<10, 1<<20, "evidence has to fit, beside all else",
		func(m *consensustypes.MsgUpdateParams) int64 { return m.Evidence.MaxBytes }),
	{"validator.pub_key_types", func(_ standing, m *consensustypes.MsgUpdateParams) error {
		if keys := m.Validator.PubKeyTypes; !slices.Equal(keys,
			[]string{cmttypes.ABCIPubKeyTypeEd25519}) {
			return fmt.Errorf("%.80q is not [%q]: all participants are registered with such keys",
				keys, cmttypes.ABCIPubKeyTypeEd25519)
		}
		return nil
	}},
	{"abci.vote_extensions_enable_height",
		func(s standing, m *consensustypes.MsgUpdateParams) error {
			if was, v := s.consensus.GetAbci().GetVoteExtensionsEnableHeight(),
				m.Abci.GetVoteExtensionsEnableHeight(); m.Abci != nil && v != was {
				return fmt.Errorf("%d is not %d: this chain makes no vote extensions, and stops "+
					"where they are asked for", v, was)
			}
			return nil
		}},
	{"auth.authority", func(_ standing, m *consensustypes.MsgUpdateParams) error {
		if v := m.Auth.GetAuthority(); v != "" {
			return fmt.Errorf("%.80q is not empty: it would give governance's powers away for good",
				v)
		}
		return nil
	}},
}

func checkConsensus(s standing, m *consensustypes.MsgUpdateParams) error {
	if m.Block == nil || m.Evidence == nil || m.Validator == nil {
		return errors.New("block, evidence and validator have to be given, all three")
	}
	return within(s, m, consensusBounds)
}

// checkUpgrade gives every operator time to install the release, and lets no name
// stand twice.
func checkUpgrade(s standing, m *upgradetypes.MsgSoftwareUpgrade) error {
	if err := m.Plan.ValidateBasic(); err != nil {
		return err
	}
	done, err := s.done(m.Plan.Name)
	switch least := s.height + s.UpgradeNotice; {
	case err != nil:
		return err
	case m.Plan.Height < least:
		return fmt.Errorf("plan.height %d is below %d: an upgrade is decided at least %d blocks "+
			"ahead, so that everybody has time to install it", m.Plan.Height,
			least, s.UpgradeNotice)
	case len(m.Plan.Name) > maxPlanName || len(m.Plan.Info) > maxPlanInfo:
		return fmt.Errorf("plan.name has %d bytes, at most %d, plan.info %d, at most %d: every "+
			"node keeps them", len(m.Plan.Name), maxPlanName, len(m.Plan.Info), maxPlanInfo)
	case done != 0:
		return fmt.Errorf("plan.name %q ran at height %d already; a new upgrade needs a new name",
			m.Plan.Name, done)
	}
	return nil
}
