// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"

	errorsmod "cosmossdk.io/errors"
	sdkmath "cosmossdk.io/math"
	"github.com/cosmos/gogoproto/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/x/authz"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
)

// Refusals a client reacts to by code.
var (
	// ErrOpening: the transaction opens more bytes than a block may carry at all.
	ErrOpening = errorsmod.Register(Name, sprintv1.CodeOpening, "opening is larger than a block "+
		"takes")
	// ErrProofSubmitted: only a proposer puts a beacon proof into a block.
	ErrProofSubmitted = errorsmod.Register(Name, 4, "a beacon proof cannot be submitted")
	// ErrSpent: both free attempts at a duty are used up.
	ErrSpent = errorsmod.Register(Name, sprintv1.CodeSpent, "no free attempt left; send it again "+
		"with a fee")
	// ErrNotAlone: a second attempt shares its transaction with other messages.
	ErrNotAlone = errorsmod.Register(Name, sprintv1.CodeNotAlone, "a second attempt is free only "+
		"in a transaction of its own")
	// ErrNotFree: the messages are owed, but what is around them is more than they need.
	ErrNotFree = errorsmod.Register(Name, sprintv1.CodeNotFree, "transaction is larger than the "+
		"duties in it")
)

// class ranks transactions in a full pool. Messages that are owed by those who compute come first,
// payments second: free messages of identities without weight cost nothing, not even compute, and
// come last.
type class uint8

const (
	owedWithoutWeight class = iota
	payment
	owedWithWeight
)

// place is where a transaction stands among others.
type place struct {
	class class
	// participant whose duties these are, and its weight; empty for a payment
	participant string
	weight      uint64
	// price of a payment, in acpc per gas, rounded down
	price uint64
	// owed is what the transaction tries to discharge
	owed []sprint.Owed
}

// free: it goes into the protocol lane.
func (p place) free() bool { return p.class != payment }

// compare orders places of the same round by urgency.
func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.class, q.class), cmp.Compare(p.weight, q.weight),
		cmp.Compare(p.price, q.price))
}

// lane tells what is owed from what pays.
type lane struct{ app *App }

// place decides whether a transaction is free. It is if each of its messages is a duty that the
// state says one and the same participant still owes, sent by itself or by whoever it granted that
// very message, and if there is nothing else to it. Whatever is not free pays a fee, in proposals
// and decided blocks as well; the least price is each node's own setting, applied when a
// transaction enters its mempool.
func (l lane) place(ctx sdk.Context, tx sdk.FeeTx) (place, error) {
	duties, participant, err := l.duties(ctx, tx)
	if err != nil {
		return place{}, err
	}
	why := errorsmod.Wrapf(sdkerrors.ErrInsufficientFee, "only duties that are owed are free, "+
		"and here is something else")
	if len(duties) > 0 {
		var p place
		if p, why = l.owed(ctx, tx, participant, duties); why == nil {
			return p, nil
		}
	}
	return l.paid(ctx, tx, why)
}

// duties returns the messages of a transaction that consists of one participant's duties and of
// nothing else; none otherwise.
func (l lane) duties(ctx context.Context, tx sdk.Tx) (duties []sdk.Msg,
	participant string, err error) {
	for _, msg := range tx.GetMsgs() {
		inner, grantee := []sdk.Msg{msg}, ""
		if exec, ok := msg.(*authz.MsgExec); ok {
			if inner, err = exec.GetMessages(); err != nil {
				return nil, "", nil //nolint:nilerr // it fails as any other malformed message does
			}
			grantee = exec.Grantee
		}
		if len(duties)+len(inner) > sprintv1.MaxDuties {
			return nil, "", nil
		}
		for _, duty := range inner {
			kind, of, ok := sprintv1.DutyOf(duty)
			if !ok || participant != "" && of != participant {
				return nil, "", nil
			}
			participant = of
			if granted, err := l.granted(ctx, kind.URL, of, grantee); err != nil || !granted {
				return nil, "", err
			}
			duties = append(duties, duty)
		}
	}
	return duties, participant, nil
}

// granted: the participant sends the message itself (no grantee), or granted it to who does.
func (l lane) granted(ctx context.Context, url, participant, grantee string) (bool, error) {
	if grantee == "" || grantee == participant {
		return true, nil
	}
	from, err := Addresses().StringToBytes(participant)
	if err != nil {
		return false, nil //nolint:nilerr // no such participant
	}
	to, err := Addresses().StringToBytes(grantee)
	if err != nil {
		return false, nil //nolint:nilerr // its signature will not verify either
	}
	grant, _ := l.app.authz.GetAuthorization(ctx, to, from, url)
	return grant != nil, nil
}

// owed asks the state about each duty of a transaction. An error says why the transaction is not
// free.
func (l lane) owed(ctx sdk.Context, tx sdk.FeeTx, participant string,
	duties []sdk.Msg) (place, error) {
	p := place{class: owedWithoutWeight, participant: participant}
	room := uint64(sprintv1.TxFrame)
	tried := make(map[string]uint64)
	for _, duty := range duties {
		o, err := l.app.Sprint.Owed(ctx, duty)
		if err != nil {
			return p, err
		}
		o.Used += tried[string(o.Duty)]
		tried[string(o.Duty)]++
		switch {
		case o.Used >= sprintv1.FreeAttempts*o.Times:
			return p, ErrSpent.Wrapf("%s was tried %d times", sdk.MsgTypeURL(duty), o.Used)
		case o.Used >= o.Times && len(duties) > 1:
			return p, ErrNotAlone.Wrapf("%s was tried before", sdk.MsgTypeURL(duty))
		}
		if p.weight = o.Weight; p.weight > 0 {
			p.class = owedWithWeight
		}
		p.owed = append(p.owed, o)
		room += uint64(sprintv1.MsgSize(duty)) + dutyFrame
	}
	if size := uint64(len(ctx.TxBytes())); size > room {
		return p, ErrNotFree.Wrapf("%d bytes, the duties in it need at most %d", size, room)
	}
	if gas, bound := tx.GetGas(), sprintv1.GasBound(duties...); gas > bound {
		return p, ErrNotFree.Wrapf("it asks for %d gas, the duties in it need at most %d",
			gas, bound)
	}
	return p, nil
}

// dutyFrame bounds what names and lengths add to each message of a transaction.
const dutyFrame = 64

// paid places a transaction by its gas price. why says why it is not free.
func (l lane) paid(ctx sdk.Context, tx sdk.FeeTx, why error) (place, error) {
	fee, gas := tx.GetFee(), max(tx.GetGas(), 1)
	for _, coin := range fee {
		if coin.Denom != Denom {
			return place{}, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee, "fees are paid in %s, "+
				"not in %s", Denom, coin.Denom)
		}
	}
	if fee.IsZero() {
		return place{}, errorsmod.Wrap(why, "it is not free and pays no fee")
	}
	if ctx.IsCheckTx() {
		for _, price := range ctx.MinGasPrices() {
			need := price.Amount.MulInt(sdkmath.NewIntFromUint64(gas)).Ceil().RoundInt()
			if fee.AmountOf(price.Denom).LT(need) {
				return place{}, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee,
					"fee %s for %d gas, at least %s%s", fee, gas, need, price.Denom)
			}
		}
	}
	p := place{class: payment, price: ^uint64(0)}
	if price := fee.AmountOf(Denom).Quo(sdkmath.NewIntFromUint64(gas)); price.IsUint64() {
		p.price = price.Uint64()
	}
	return p, nil
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
