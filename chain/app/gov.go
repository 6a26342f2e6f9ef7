// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	errorsmod "cosmossdk.io/errors"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
)

// ErrProposal: governance may not do what a proposal asks for.
var ErrProposal = errorsmod.Register(Name, 8, "governance may not do this")

// maxMessages is how many messages a proposal may hold. They run at the end of one
// block, outside its limit of gas.
const maxMessages = 16

// permission lets governance execute one kind of message.
type permission struct {
	url   string
	check func(standing, sdk.Msg) error
}

// permit builds a permission. like is an empty message of the kind.
func permit[M sdk.Msg](like M, check func(standing, M) error) permission {
	return permission{sdk.MsgTypeURL(like), func(s standing, msg sdk.Msg) error {
		m, ok := msg.(M)
		if !ok {
			return fmt.Errorf("it is a %T", msg)
		}
		return check(s, m)
	}}
}

// permissions are all that governance may execute, each within its bounds.
// Whatever is not in this table is refused. Texts without messages execute nothing
// and are always welcome.
func (app *App) permissions() []permission {
	return []permission{
		permit(&registryv1.MsgUpdateParams{},
			func(_ standing, m *registryv1.MsgUpdateParams) error {
				return registry.ValidateParams(m.Params)
			}),
		permit(&collateralv1.MsgUpdateParams{},
			func(_ standing, m *collateralv1.MsgUpdateParams) error {
				return collateral.ValidateParams(m.Params)
			}),
		permit(&creditv1.MsgUpdateParams{}, func(_ standing,
			m *creditv1.MsgUpdateParams) error {
			return credit.ValidateParams(m.Params)
		}),
		permit(&courtv1.MsgUpdateParams{}, func(_ standing,
			m *courtv1.MsgUpdateParams) error {
			return court.ValidateParams(m.Params)
		}),
		permit(&courtv1.MsgReleaseHeld{},
			func(standing, *courtv1.MsgReleaseHeld) error { return nil }),
		permit(&sprintv1.MsgUpdateParams{}, func(_ standing,
			m *sprintv1.MsgUpdateParams) error {
			return sprint.ValidateParams(m.Params)
		}),
		permit(&streamv1.MsgUpdateParams{}, func(_ standing,
			m *streamv1.MsgUpdateParams) error {
			return stream.ValidateParams(m.Params)
		}),
		permit(&authtypes.MsgUpdateParams{}, func(s standing,
			m *authtypes.MsgUpdateParams) error {
			return checkAuth(s, m.Params)
		}),
		permit(&banktypes.MsgUpdateParams{}, func(s standing,
			m *banktypes.MsgUpdateParams) error {
			return checkBank(s, m.Params)
		}),
		permit(&govv1.MsgUpdateParams{}, func(s standing,
			m *govv1.MsgUpdateParams) error {
			return checkGov(s, m.Params)
		}),
		permit(&consensustypes.MsgUpdateParams{}, checkConsensus),
		permit(&upgradetypes.MsgSoftwareUpgrade{}, checkUpgrade),
		permit(&upgradetypes.MsgCancelUpgrade{},
			func(standing, *upgradetypes.MsgCancelUpgrade) error { return nil }),
	}
}

// standing is what a message is held against.
type standing struct {
	Constitution
	height    int64
	consensus cmtproto.ConsensusParams
	// done is where an upgrade ran, 0 if it did not.
	done func(name string) (int64, error)
}

// rules decide what governance may do. They stand in two places: as the hook that
// sees a proposal when it is submitted, where a refusal ends the transaction and
// no deposit is taken, and as the router through which x/gov executes messages,
// because a proposal that was within bounds may be beyond them when its vote ends.
type rules struct {
	app    *App
	router baseapp.MessageRouter
}

var (
	_ govtypes.GovHooks     = rules{}
	_ baseapp.MessageRouter = rules{}
)

// check refuses a message that governance may not execute now.
func (r rules) check(ctx context.Context, msg sdk.Msg) error {
	url := sdk.MsgTypeURL(msg)
	for _, p := range r.app.permissions() {
		if p.url != url {
			continue
		}
		s, err := r.standing(ctx)
		if err != nil {
			return err
		}
		if err := p.check(s, msg); err != nil {
			return ErrProposal.Wrapf("%s: %v", url, err)
		}
		return nil
	}
	return ErrProposal.Wrapf("%s is not among the messages that governance may execute: "+
		"parameters of the modules, the release of what the court holds, an upgrade, or the end "+
		"of an upgrade's plan", url)
}

func (r rules) standing(ctx context.Context) (standing, error) {
	text, err := r.app.gov.Constitution.Get(ctx)
	if err != nil {
		return standing{}, fmt.Errorf("app: constitution: %w", err)
	}
	c, err := ParseConstitution(text)
	if err != nil {
		return standing{}, err
	}
	params, err := r.app.consensus.ParamsStore.Get(ctx)
	if err != nil {
		return standing{}, fmt.Errorf("app: consensus parameters: %w", err)
	}
	return standing{
		Constitution: c, height: sdk.UnwrapSDKContext(ctx).BlockHeight(), consensus: params,
		done: func(name string) (int64, error) { return r.app.upgrade.GetDoneHeight(ctx, name) },
	}, nil
}

// AfterProposalSubmission refuses a proposal before it takes a deposit.
func (r rules) AfterProposalSubmission(ctx context.Context, id uint64, _ sdk.AccAddress) error {
	proposal, err := r.app.gov.Proposals.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("app: proposal %d: %w", id, err)
	}
	msgs, err := proposal.GetMsgs()
	if err != nil {
		return ErrProposal.Wrap(err.Error())
	}
	if len(msgs) > maxMessages {
		return ErrProposal.Wrapf("%d messages, at most %d; submit several proposals",
			len(msgs), maxMessages)
	}
	for _, msg := range msgs {
		if err := r.check(ctx, msg); err != nil {
			return err
		}
	}
	return nil
}

// AfterProposalDeposit lets every deposit be made.
func (rules) AfterProposalDeposit(context.Context, uint64, sdk.AccAddress) error { return nil }

// AfterProposalVote lets everybody vote.
func (rules) AfterProposalVote(context.Context, uint64, sdk.AccAddress) error { return nil }

// AfterProposalFailedMinDeposit has nothing to add.
func (rules) AfterProposalFailedMinDeposit(context.Context, uint64) error { return nil }

// AfterProposalVotingPeriodEnded has nothing to add.
func (rules) AfterProposalVotingPeriodEnded(context.Context, uint64) error { return nil }

// Handler finds what executes a message, and has it checked first.
func (r rules) Handler(msg sdk.Msg) baseapp.MsgServiceHandler {
	return r.checked(r.router.Handler(msg))
}

// HandlerByTypeURL does the same by the message's name.
func (r rules) HandlerByTypeURL(url string) baseapp.MsgServiceHandler {
	return r.checked(r.router.HandlerByTypeURL(url))
}

func (r rules) checked(handler baseapp.MsgServiceHandler) baseapp.MsgServiceHandler {
	if handler == nil {
		return nil
	}
	return func(ctx sdk.Context, msg sdk.Msg) (*sdk.Result, error) {
		if err := r.check(ctx, msg); err != nil {
			return nil, err
		}
		return handler(ctx, msg)
	}
}

// lawful checks the parameters in force against the same bounds. A genesis beyond
// them is refused, so what governance cannot reach nobody starts with.
func (r rules) lawful(ctx sdk.Context) error {
	s, err := r.standing(ctx)
	if err != nil {
		return err
	}
	params, err := r.app.gov.Params.Get(ctx)
	if err != nil {
		return fmt.Errorf("app: parameters of gov: %w", err)
	}
	if err := checkGov(s, params); err != nil {
		return fmt.Errorf("app: gov: %w", err)
	}
	if err := checkAuth(s, r.app.accounts.GetParams(ctx)); err != nil {
		return fmt.Errorf("app: auth: %w", err)
	}
	if err := checkBank(s, r.app.bank.GetParams(ctx)); err != nil {
		return fmt.Errorf("app: bank: %w", err)
	}
	consensus := &consensustypes.MsgUpdateParams{
		Block: s.consensus.Block, Evidence: s.consensus.Evidence, Validator: s.consensus.Validator,
		Abci: s.consensus.Abci, Auth: s.consensus.Authority,
	}
	if err := checkConsensus(s, consensus); err != nil {
		return fmt.Errorf("app: consensus: %w", err)
	}
	return nil
}
