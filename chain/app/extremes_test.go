// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"encoding/json"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	sdkmath "cosmossdk.io/math"
	"github.com/cosmos/gogoproto/proto"
	"github.com/google/go-cmp/cmp"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
)

// end takes a field of the parameters to one of its ends.
type end = func(*parameters)

// extreme is a field with its two ends. Past them is refused.
type extreme struct {
	low, high    end
	below, above end // nil: there is nothing there
}

// number is an extreme of a whole number.
func number[N int64 | uint64](low, high N, field func(*parameters) *N) extreme {
	set := func(v N) end { return func(p *parameters) { *field(p) = v } }
	return extreme{low: set(low), high: set(high), below: set(low - 1), above: set(high + 1)}
}

// share is an extreme of a part of a whole.
func share(low, high, above string, field func(*parameters) *string) extreme {
	set := func(v string) end { return func(p *parameters) { *field(p) = v } }
	return extreme{low: set(low), high: set(high), above: set(above)}
}

// period is an extreme of a time.
func period(low, high time.Duration, field func(*parameters) **time.Duration) extreme {
	set := func(v time.Duration) end { return func(p *parameters) { *field(p) = &v } }
	return extreme{low: set(low), high: set(high), below: set(low - 1), above: set(high + 1)}
}

// flag has no ends, but two values.
func flag(field func(*parameters) *bool) extreme {
	set := func(v bool) end { return func(p *parameters) { *field(p) = v } }
	return extreme{low: set(false), high: set(true)}
}

// fixed has one value.
func fixed() extreme { return extreme{low: func(*parameters) {}, high: func(*parameters) {}} }

// amount is a deposit of so many acpc.
func amount(n sdkmath.Int) sdk.Coins { return sdk.NewCoins(sdk.NewCoin(app.Denom, n)) }

// both changes two fields that depend on each other.
func both(ends ...end) end {
	return func(p *parameters) {
		for _, e := range ends {
			e(p)
		}
	}
}

// extremes are the ends of every field of the SDK's parameters, by module and field.
func extremes() map[string]map[string]extreme {
	const three = 21 * 24 * time.Hour
	one, most := genesis.CPC(1), genesis.CPC(100_000)
	expedited := func(n sdkmath.Int) end {
		return func(p *parameters) { p.gov.ExpeditedMinDeposit = amount(n) }
	}
	deposit := func(n sdkmath.Int) end {
		return func(p *parameters) { p.gov.MinDeposit = amount(n) }
	}
	return map[string]map[string]extreme{
		"auth": {
			"max_memo_characters": number(64, 4096,
				func(p *parameters) *uint64 { return &p.auth.MaxMemoCharacters }),
			"tx_sig_limit": number(1, 32,
				func(p *parameters) *uint64 { return &p.auth.TxSigLimit }),
			"tx_size_cost_per_byte": number(1, 100,
				func(p *parameters) *uint64 { return &p.auth.TxSizeCostPerByte }),
			"sig_verify_cost_ed25519": number(1, 100_000,
				func(p *parameters) *uint64 { return &p.auth.SigVerifyCostED25519 }),
			"sig_verify_cost_secp256k1": number(1, 100_000,
				func(p *parameters) *uint64 { return &p.auth.SigVerifyCostSecp256k1 }),
			"sig_verify_cost_mldsa65": number(1, 100_000,
				func(p *parameters) *uint64 { return &p.auth.SigVerifyCostMlDsa65 }),
		},
		"bank": {
			"send_enabled": fixed(),
			"default_send_enabled": flag(func(p *parameters) *bool {
				return &p.bank.DefaultSendEnabled
			}),
		},
		"gov": {
			"min_deposit": {
				low: deposit(one), below: deposit(one.SubRaw(1)),
				high:  both(deposit(most.SubRaw(1)), expedited(most)),
				above: both(deposit(most.AddRaw(1)), expedited(most.AddRaw(2))),
			},
			"max_deposit_period": period(15*time.Second, three,
				func(p *parameters) **time.Duration { return &p.gov.MaxDepositPeriod }),
			"voting_period": voting(30*time.Second, three),
			"quorum": share("0.2", "0.67", "0.671",
				func(p *parameters) *string { return &p.gov.Quorum }),
			"threshold": threshold(),
			"veto_threshold": share("0.25", "0.5", "0.501",
				func(p *parameters) *string { return &p.gov.VetoThreshold }),
			"min_initial_deposit_ratio": share("0.0", "1.0", "1.1",
				func(p *parameters) *string { return &p.gov.MinInitialDepositRatio }),
			"proposal_cancel_ratio": share("0.0", "1.0", "1.1",
				func(p *parameters) *string { return &p.gov.ProposalCancelRatio }),
			"proposal_cancel_dest": fixed(),
			"expedited_voting_period": {
				low:   expeditedVoting(15 * time.Second),
				below: expeditedVoting(15*time.Second - 1),
				high:  both(voting(0, three).high, expeditedVoting(three-time.Second)),
				above: both(voting(0, three).high, expeditedVoting(three)),
			},
			"expedited_threshold": {
				low:   both(threshold().low, expeditedThreshold("0.6")),
				below: both(threshold().low, expeditedThreshold("0.59")),
				high:  expeditedThreshold("0.9"), above: expeditedThreshold("0.91"),
			},
			"expedited_min_deposit": {
				low:   both(deposit(one), expedited(one.AddRaw(1))),
				below: both(deposit(one), expedited(one)),
				high:  expedited(most), above: expedited(most.AddRaw(1)),
			},
			"burn_vote_quorum": flag(func(p *parameters) *bool { return &p.gov.BurnVoteQuorum }),
			"burn_proposal_deposit_prevote": flag(func(p *parameters) *bool {
				return &p.gov.BurnProposalDepositPrevote
			}),
			"burn_vote_veto": flag(func(p *parameters) *bool { return &p.gov.BurnVoteVeto }),
			"min_deposit_ratio": share("0.0", "1.0", "1.1",
				func(p *parameters) *string { return &p.gov.MinDepositRatio }),
		},
		"consensus": {
			"block.max_bytes": number(4<<20, 21<<20,
				func(p *parameters) *int64 { return &p.consensus.Block.MaxBytes }),
			"block.max_gas": number(400_000_000, 10_000_000_000,
				func(p *parameters) *int64 { return &p.consensus.Block.MaxGas }),
			"evidence.max_age_num_blocks": number(100, 1_000_000,
				func(p *parameters) *int64 { return &p.consensus.Evidence.MaxAgeNumBlocks }),
			"evidence.max_age_duration": number(int64(time.Minute), int64(three),
				func(p *parameters) *int64 {
					return (*int64)(&p.consensus.Evidence.MaxAgeDuration)
				}),
			"evidence.max_bytes": number(64<<10, 1<<20,
				func(p *parameters) *int64 { return &p.consensus.Evidence.MaxBytes }),
			"validator.pub_key_types":            fixed(),
			"abci.vote_extensions_enable_height": fixed(),
			"auth.authority":                     fixed(),
		},
	}
}

func expeditedVoting(d time.Duration) end {
	return func(p *parameters) { p.gov.ExpeditedVotingPeriod = &d }
}

func expeditedThreshold(s string) end {
	return func(p *parameters) { p.gov.ExpeditedThreshold = s }
}

// voting keeps the expedited period the shorter one.
func voting(low, high time.Duration) extreme {
	e := period(low, high, func(p *parameters) **time.Duration { return &p.gov.VotingPeriod })
	e.low, e.below = both(e.low, expeditedVoting(low/2)), both(e.below, expeditedVoting(low/2))
	return e
}

// threshold keeps the expedited one the higher one.
func threshold() extreme {
	e := share("0.5", "0.75", "0.751", func(p *parameters) *string { return &p.gov.Threshold })
	e.high, e.above = both(e.high, expeditedThreshold("0.9")),
		both(e.above, expeditedThreshold("0.9"))
	return e
}

// of is the message that changes a module's parameters.
func (p *parameters) of(module string) sdk.Msg {
	switch module {
	case "auth":
		return p.authMsg()
	case "bank":
		return p.bankMsg()
	case "gov":
		return p.govMsg()
	default:
		return p.consensusMsg()
	}
}

// goesOn wants the chain to make blocks with all kinds of transactions in them: a
// duty, free of charge as long as attempts are left, a payment, and what comes next,
// another vote.
func (d *driver) goesOn(blocks int) {
	d.t.Helper()
	alice := d.validators[0]
	toSelf := &banktypes.MsgSend{FromAddress: alice.Address, ToAddress: alice.Hot,
		Amount: amount(sdkmath.OneInt())}
	for range blocks {
		payment := paid
		err := d.send(d.owe(alice, 0, nodes(alice, 0)))
		// one change an epoch is free
		if err != nil && strings.Contains(err.Error(), app.ErrSpent.Error()) {
			err, payment = d.send(d.sign(alice, paid, nodes(alice, 0))), paid.then(1)
		}
		if err == nil {
			err = d.send(d.sign(alice, payment, toSelf))
		}
		if err != nil {
			d.t.Fatal(err)
		}
		d.blocks(1)
		if len(d.results) != 3 {
			d.t.Fatalf("%d transactions are in the block, want the beacon's, a duty and a payment",
				len(d.results))
		}
		pays := d.inForce().bank.DefaultSendEnabled
		for _, r := range d.results[1:] {
			if r.Code != 0 && pays && r.Codespace != registry.Name {
				d.t.Errorf("a transaction fails: %s", r.Log)
			}
		}
	}
}

// Every bound that governance is held to, voted to both of its ends by proposals,
// each alone and then all at once: it goes on, and the next vote undoes it. A step
// further is refused.
func TestEveryBoundAtItsExtremesTheChainGoesOn(t *testing.T) {
	d := driveFrom(t, func(o *genesis.Options) {
		// Somebody can pay the largest deposit many times.
		o.Balances = append(o.Balances, genesis.Balance{Address: o.Participants[0].Address,
			Amount: genesis.CPC(100_000_000)})
	}, "alice")
	d.patient() // without hosts every epoch is void, and who was not there has no vote
	d.blocks(1)
	all := extremes()
	fields := map[string][]string{}
	for module, names := range app.Bounded() {
		for _, name := range names {
			if _, known := all[module][name]; known {
				fields[module] = append(fields[module], name)
			}
		}
	}
	if diff := cmp.Diff(app.Bounded(), fields); diff != "" {
		t.Fatalf("fields with a bound (-) and fields that this test takes to their ends (+): %s",
			diff)
	}
	usual := d.inForce()
	modules := []string{"auth", "bank", "gov", "consensus"}
	for _, module := range modules {
		for _, field := range fields[module] {
			t.Run(module+"."+field, func(t *testing.T) {
				d.t = t
				e := all[module][field]
				for _, past := range []end{e.below, e.above} {
					if past == nil {
						continue
					}
					beyond := d.inForce()
					past(&beyond)
					d.refused(d.sign(d.validators[0], lawgiver, d.propose(beyond.of(module))),
						app.ErrProposal.Error())
				}
				for _, to := range []end{e.low, e.high} {
					p := d.inForce()
					to(&p)
					want := p.of(module)
					d.passes(want)
					if now := d.inForce(); !reflect.DeepEqual(now.of(module), want) {
						t.Errorf("in force: %v, voted: %v", now.of(module), want)
					}
					d.goesOn(2)
				}
				d.passes(usual.messages()...)
			})
		}
	}
	d.t = t
	for _, ends := range []func(extreme) end{func(e extreme) end {
		return e.low
	}, func(e extreme) end { return e.high }} {
		p := d.inForce()
		for _, module := range modules {
			for _, field := range fields[module] {
				ends(all[module][field])(&p)
			}
		}
		d.passes(p.messages()...)
		d.goesOn(5)
		d.passes(usual.messages()...)
		d.goesOn(1)
	}
}

// ours are the parameters of this chain's own modules, with the check of each.
func ours() map[string]tunable {
	return map[string]tunable{
		registry.Name: tune(registry.DefaultParams(), registry.ValidateParams,
			func(p registryv1.Params) sdk.Msg {
				return &registryv1.MsgUpdateParams{Authority: app.Authority(), Params: p}
			}),
		collateral.Name: tune(collateral.DefaultParams(), collateral.ValidateParams,
			func(p collateralv1.Params) sdk.Msg {
				return &collateralv1.MsgUpdateParams{Authority: app.Authority(), Params: p}
			}),
		credit.Name: tune(credit.DefaultParams(), credit.ValidateParams,
			func(p creditv1.Params) sdk.Msg {
				return &creditv1.MsgUpdateParams{Authority: app.Authority(), Params: p}
			}),
		court.Name: tune(court.DefaultParams(), court.ValidateParams,
			func(p courtv1.Params) sdk.Msg {
				return &courtv1.MsgUpdateParams{Authority: app.Authority(), Params: p}
			}),
		sprint.Name: tune(brief(), sprint.ValidateParams,
			func(p sprintv1.Params) sdk.Msg {
				return &sprintv1.MsgUpdateParams{Authority: app.Authority(), Params: p}
			}),
	}
}

// brief are the sprint's parameters for a chain whose next epoch begins at once.
func brief() sprintv1.Params {
	p := sprint.LocalnetParams()
	p.EpochBlocks = 0
	return p
}

// tunable is a module's parameters with their ends, which are searched for.
type tunable struct {
	low, high sdk.Msg   // all low, all high
	single    []sdk.Msg // one field at one end
	names     []string
}

// tune finds, for each number among the parameters, the least and the largest one
// that the module accepts while the others stay as they are, and then all of them
// as low and as high as they go together.
func tune[P any](usual P, valid func(P) error, update func(P) sdk.Msg) (u tunable) {
	low, high := usual, usual
	of := reflect.TypeFor[P]()
	for i := range of.NumField() {
		if !numeric(reflect.ValueOf(usual).Field(i)) {
			continue // a name
		}
		for _, up := range []bool{false, true} {
			p := usual
			furthest(&p, i, up, valid)
			u.single, u.names = append(u.single, update(p)), append(u.names, of.Field(i).Name)
			if up {
				furthest(&high, i, up, valid)
			} else {
				furthest(&low, i, up, valid)
			}
		}
	}
	u.low, u.high = update(low), update(high)
	return u
}

var amounts = reflect.TypeFor[sdkmath.Int]()

// numeric reports whether a field is a number, or an amount written as text.
func numeric(v reflect.Value) bool {
	if v.Kind() == reflect.String {
		_, ok := sdkmath.NewIntFromString(v.String())
		return ok
	}
	return v.Type() == amounts || v.CanInt() || v.CanUint()
}

// furthest moves one field as far as the check allows.
func furthest[P any](p *P, field int, up bool, valid func(P) error) {
	value := reflect.ValueOf(p).Elem().Field(field)
	var at big.Int
	set := func(n *big.Int) {
		switch {
		case value.Type() == amounts:
			value.Set(reflect.ValueOf(sdkmath.NewIntFromBigInt(n)))
		case value.Kind() == reflect.String:
			value.SetString(n.String())
		case value.CanInt():
			value.SetInt(n.Int64())
		default:
			value.SetUint(n.Uint64())
		}
	}
	limit := new(big.Int)
	switch {
	case value.Type() == amounts:
		at.Set(value.Interface().(sdkmath.Int).BigInt())
		limit.Lsh(big.NewInt(1), 100)
	case value.Kind() == reflect.String:
		at.SetString(value.String(), 10)
		limit.Lsh(big.NewInt(1), 100)
	case value.CanInt():
		at.SetInt64(value.Int())
		limit.SetInt64(1 << 62)
	default:
		at.SetUint64(value.Uint())
		limit.SetUint64(1<<value.Type().Bits() - 1)
	}
	if !up {
		limit.SetInt64(0)
	}
	// at is accepted; steps towards the limit are halved until there is none.
	for step := new(big.Int).Sub(limit, &at); step.Sign() != 0; step.Quo(step, big.NewInt(2)) {
		for {
			next := new(big.Int).Add(&at, step)
			if over := next.Cmp(limit); up && over > 0 || !up && over < 0 {
				break
			}
			set(next)
			if valid(*p) != nil {
				break
			}
			at.Set(next)
		}
	}
	set(&at)
}

// inGenesis restarts the chain with these parameters in force.
func (d *driver) inGenesis(updates map[string]sdk.Msg) {
	d.t.Helper()
	for module, update := range updates {
		raw, err := d.validators[0].Encoding().Codec.MarshalJSON(
			reflect.ValueOf(update).Elem().FieldByName("Params").Addr().Interface().(proto.Message))
		if err != nil {
			d.t.Fatal(err)
		}
		d.edit(module, func(state map[string]any) {
			for _, of := range []string{"params", "next_params"} {
				if _, has := state[of]; has {
					state[of] = json.RawMessage(raw)
				}
			}
		})
	}
	d.restart()
}

// The same for our own modules, whose ends are where their checks put them: a vote may take each
// parameter there, and with all of a module's, and of all modules, at one end epoch after epoch
// begins and is void, because nobody works. Only with the longest preparation does the first epoch
// still wait when the test ends.
func TestEveryBoundOfOurOwnAtItsExtremesTheChainGoesOn(t *testing.T) {
	d := drive(t, "alice")
	usual := d.genesis.AppState
	d.patient()
	d.blocks(1)
	modules := ours()
	low, high := map[string]sdk.Msg{}, map[string]sdk.Msg{}
	starts := map[string]map[string]sdk.Msg{"all.low": low, "all.high": high}
	for name, module := range modules {
		for i, msg := range module.single {
			t.Run(name+"."+module.names[i], func(t *testing.T) {
				d.t = t
				d.passes(msg)
			})
		}
		low[name], high[name] = module.low, module.high
		starts[name+".low"], starts[name+".high"] = map[string]sdk.Msg{name: module.low},
			map[string]sdk.Msg{name: module.high}
	}
	for _, name := range slices.Sorted(maps.Keys(starts)) {
		t.Run(name, func(t *testing.T) {
			d.t = t
			params := starts[name]
			if params[sprint.Name] == nil {
				params[sprint.Name] = &sprintv1.MsgUpdateParams{Params: brief()}
			}
			d.genesis.AppState = usual // nothing of the start before
			d.inGenesis(params)
			d.blocks(1)
			d.goesOn(60)
			epoch, err := d.validators[0].Sprint.CurrentEpoch(d.validators[0].ctx(t))
			if err != nil {
				t.Fatal(err)
			}
			if epoch == 1 && params[sprint.Name] != modules[sprint.Name].high {
				t.Error("no epoch ended in 60 blocks")
			}
		})
	}
}
