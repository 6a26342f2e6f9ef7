// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/binary"
	"math"
	"math/bits"

	corestore "cosmossdk.io/core/store"
	errorsmod "cosmossdk.io/errors"
	sdkmath "cosmossdk.io/math"
	"github.com/cosmos/gogoproto/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/x/authz"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// Refusals a client reacts to by code.
var (
	// ErrQuota: the participant has used up what it may send free of charge in one
	// block; the same transaction is welcome in the next one.
	ErrQuota = errorsmod.Register(Name, 2, "protocol quota of this block is used up")
	// ErrOpening: the transaction opens more bytes than a block may carry at all.
	ErrOpening = errorsmod.Register(Name, 3, "opening is larger than a block takes")
	// ErrProofSubmitted: only a proposer puts a beacon proof into a block.
	ErrProofSubmitted = errorsmod.Register(Name, 4, "a beacon proof cannot be submitted")
)

// The quota of one participant in one block. A host reports readiness once,
// commits each node's segments (several in one transaction), opens, votes and
// reveals once; the gas covers the largest opening together with a reveal.
const (
	quotaTxs = 32
	quotaGas = 60_000_000
)

// protocolPriority and what follows is above what any fee can buy: there protocol
// transactions stand by the length of their participant's weight in bits. They cost
// nothing, and identities are free; without this, whoever registers a few of them
// could fill every block and keep out those who compute.
const protocolPriority = math.MaxInt64 - 64

// lane tells protocol transactions from others.
type lane struct {
	app   *App
	quota corestore.TransientStoreService
}

// participant tells whether a transaction does nothing but a participant's duty,
// and for whom. All its messages have to be of x/sprint, from a member of the
// epoch, or MsgSetNodes, from any participant; sent by the participant itself or
// by somebody it granted that very message to. So a stranger can neither send
// free of charge nor use up somebody else's quota: that the sender is who it
// claims to be is checked like for any other transaction.
func (l lane) participant(ctx sdk.Context, tx sdk.Tx) (addr string, protocol bool, err error) {
	for _, msg := range tx.GetMsgs() {
		duties, grantee := []sdk.Msg{msg}, ""
		if exec, ok := msg.(*authz.MsgExec); ok {
			if duties, err = exec.GetMessages(); err != nil {
				return "", false, nil //nolint:nilerr // it fails as any other malformed message does
			}
			grantee = exec.Grantee
		}
		for _, duty := range duties {
			of, ok := dutyOf(duty)
			if !ok || addr != "" && of != addr {
				return "", false, nil
			}
			addr = of
			entitled, err := l.entitled(ctx, duty, of, grantee)
			if err != nil || !entitled {
				return "", false, err
			}
		}
	}
	return addr, addr != "", nil
}

// Duties are the protocol messages, by the name that a grant gives them.
func Duties() []string {
	return []string{
		sdk.MsgTypeURL(&sprintv1.MsgReady{}),
		sdk.MsgTypeURL(&sprintv1.MsgCommit{}),
		sdk.MsgTypeURL(&sprintv1.MsgOpen{}),
		sdk.MsgTypeURL(&sprintv1.MsgCommitVerdict{}),
		sdk.MsgTypeURL(&sprintv1.MsgRevealVerdict{}),
		sdk.MsgTypeURL(&sprintv1.MsgDispute{}),
		sdk.MsgTypeURL(&registryv1.MsgSetNodes{}),
	}
}

// dutyOf is the participant that a protocol message speaks for.
func dutyOf(msg sdk.Msg) (participant string, ok bool) {
	switch m := msg.(type) {
	case *sprintv1.MsgReady:
		return m.Participant, true
	case *sprintv1.MsgCommit:
		return m.Participant, true
	case *sprintv1.MsgOpen:
		return m.Participant, true
	case *sprintv1.MsgCommitVerdict:
		return m.Participant, true
	case *sprintv1.MsgRevealVerdict:
		return m.Participant, true
	case *sprintv1.MsgDispute:
		return m.Participant, true
	case *registryv1.MsgSetNodes:
		return m.Address, true
	}
	return "", false
}

// entitled tells whether the participant is one, and granted the message to the
// sender when that is somebody else (grantee; empty: it sends it itself).
func (l lane) entitled(ctx sdk.Context, duty sdk.Msg, participant, grantee string) (bool, error) {
	var known bool
	var err error
	if _, nodes := duty.(*registryv1.MsgSetNodes); nodes {
		known, err = l.app.Registry.Has(ctx, participant)
	} else {
		known, err = l.app.Sprint.IsMember(ctx, participant)
	}
	if err != nil || !known || grantee == "" || grantee == participant {
		return known, err
	}
	from, err := Addresses().StringToBytes(participant)
	if err != nil {
		return false, nil //nolint:nilerr // no such participant
	}
	to, err := Addresses().StringToBytes(grantee)
	if err != nil {
		return false, nil //nolint:nilerr // its signature will not verify either
	}
	grant, _ := l.app.authz.GetAuthorization(ctx, to, from, sdk.MsgTypeURL(duty))
	return grant != nil, nil
}

// fee says what a transaction pays and how urgent it is. The least gas price is
// each node's own setting, applied when a transaction enters its mempool.
func (l lane) fee(ctx sdk.Context, tx sdk.Tx) (sdk.Coins, int64, error) {
	feeTx, ok := tx.(sdk.FeeTx)
	if !ok {
		return nil, 0, errorsmod.Wrapf(sdkerrors.ErrTxDecode, "a transaction of type %T has no fee", tx)
	}
	fee, gas := feeTx.GetFee(), feeTx.GetGas()
	for _, coin := range fee {
		if coin.Denom != Denom {
			return nil, 0, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee, "fees are paid in %s, not in %s", Denom, coin.Denom)
		}
	}
	participant, protocol, err := l.participant(ctx, tx)
	if err != nil {
		return nil, 0, err
	}
	if protocol {
		weight, err := l.app.Sprint.Weight(ctx, participant)
		return fee, protocolPriority + int64(bits.Len64(weight)), err
	}
	if ctx.IsCheckTx() {
		for _, price := range ctx.MinGasPrices() {
			need := price.Amount.MulInt(sdkmath.NewIntFromUint64(gas)).Ceil().RoundInt()
			if fee.AmountOf(price.Denom).LT(need) {
				return nil, 0, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee,
					"fee %s for %d gas, at least %s%s (only participants' protocol messages are free)", fee, gas, need, price.Denom)
			}
		}
	}
	// The gas price, rounded down, is the priority of a paying transaction.
	price := fee.AmountOf(Denom).Quo(sdkmath.NewIntFromUint64(max(gas, 1)))
	if !price.IsInt64() || price.Int64() >= protocolPriority {
		return fee, protocolPriority - 1, nil
	}
	return fee, price.Int64(), nil
}

// charge takes a protocol transaction out of its participant's quota of the
// block. The count lives in a store that every block starts empty; each of
// checking, proposing and executing keeps its own.
func (l lane) charge(ctx sdk.Context, participant string, gas uint64) error {
	store := l.quota.OpenTransientStore(ctx)
	raw, err := store.Get([]byte(participant))
	if err != nil {
		return err
	}
	var txs, used uint64
	if len(raw) == 16 {
		txs, used = binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[8:])
	}
	if txs+1 > quotaTxs {
		return errorsmod.Wrapf(ErrQuota, "%s has %d transactions in it, at most %d; put several messages into one transaction", participant, txs, quotaTxs)
	}
	if gas > quotaGas-used {
		return errorsmod.Wrapf(ErrQuota, "%s has used %d of %d gas and asks for %d", participant, used, quotaGas, gas)
	}
	raw = binary.LittleEndian.AppendUint64(nil, txs+1)
	return store.Set([]byte(participant), binary.LittleEndian.AppendUint64(raw, used+gas))
}

// openings is how many bytes of MsgOpen a transaction carries.
func openings(tx sdk.Tx) (n uint64) {
	var count func(sdk.Msg)
	count = func(msg sdk.Msg) {
		switch m := msg.(type) {
		case *sprintv1.MsgOpen:
			n += uint64(proto.Size(m))
		case *authz.MsgExec:
			if inner, err := m.GetMessages(); err == nil {
				for _, msg := range inner {
					count(msg)
				}
			}
		}
	}
	for _, msg := range tx.GetMsgs() {
		count(msg)
	}
	return n
}

// openingLimit is how many bytes of MsgOpen a block carries. Before the first
// epoch there is nothing to open.
func (l lane) openingLimit(ctx sdk.Context) (uint64, error) {
	if epoch, err := l.app.Sprint.CurrentEpoch(ctx); err != nil || epoch == 0 {
		return 0, err
	}
	limit, err := l.app.Sprint.OpeningBytesPerBlock(ctx)
	return uint64(limit), err
}
