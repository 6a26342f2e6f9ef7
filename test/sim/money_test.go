// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"math/big"
	"testing"

	"cosmossdk.io/math"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/google/go-cmp/cmp"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/credit"
)

// count adds up what the bank says, in a block, that it minted and burned.
func (n *network) count(res *abci.ResponseFinalizeBlock) {
	n.t.Helper()
	if n.coined.IsNil() {
		n.coined, n.burned = math.ZeroInt(), math.ZeroInt()
	}
	events := res.Events
	for _, tx := range res.TxResults {
		events = append(events, tx.Events...)
	}
	for _, e := range events {
		into := map[string]*math.Int{banktypes.EventTypeCoinMint: &n.coined,
			banktypes.EventTypeCoinBurn: &n.burned}[e.Type]
		if into == nil {
			continue
		}
		for _, a := range e.Attributes {
			if a.Key != sdk.AttributeKeyAmount {
				continue
			}
			coins, err := sdk.ParseCoinsNormalized(a.Value)
			if err != nil {
				n.t.Fatal(err)
			}
			*into = into.Add(coins.AmountOf(app.Denom))
		}
	}
}

// conserved holds all coins of the state against the records that explain them, and what was minted
// and burned against what the bank said of it block by block. Every block of every test does.
// Holds spec E-9.
func (n *network) conserved() {
	n.t.Helper()
	if err := n.app.Credit.Check(n.ctx()); err != nil {
		n.t.Fatalf("after block %d: %v", n.height, err)
	}
	r, sum := n.audit(), n.balances()
	if want := r.Money.Minted.Sub(r.Burned); !sum.Equal(want) {
		n.t.Fatalf("after block %d balances add up to %s; minted %s - burned %s is %s", n.height,
			sum, r.Money.Minted, r.Burned, want)
	}
	if was := n.audited; !was.Money.Minted.IsNil() && (!r.Money.Minted.Equal(
		was.Money.Minted.Add(n.coined)) || !r.Burned.Equal(was.Burned.Add(n.burned))) {
		n.t.Fatalf("after block %d minted %s and burned %s; the bank said %s and %s since %s "+
			"and %s", n.height, r.Money.Minted, r.Burned, n.coined, n.burned,
			was.Money.Minted, was.Burned)
	}
	n.audited, n.coined, n.burned = r, math.ZeroInt(), math.ZeroInt()
}

// balances add up all accounts.
func (n *network) balances() math.Int {
	n.t.Helper()
	q, sum := banktypes.NewQueryClient(conn{n.app, n.ctx()}), math.ZeroInt()
	for page := (*query.PageRequest)(nil); ; {
		res, err := q.DenomOwners(context.Background(),
			&banktypes.QueryDenomOwnersRequest{Denom: app.Denom, Pagination: page})
		if err != nil {
			n.t.Fatal(err)
		}
		for _, o := range res.DenomOwners {
			sum = sum.Add(o.Balance.Amount)
		}
		if len(res.Pagination.NextKey) == 0 {
			return sum
		}
		page = &query.PageRequest{Key: res.Pagination.NextKey}
	}
}

// audit asks for every sum of money.
func (n *network) audit() creditv1.QueryAuditResponse {
	n.t.Helper()
	r, err := creditv1.NewQueryClient(conn{n.app, n.ctx()}).Audit(context.Background(),
		&creditv1.QueryAuditRequest{})
	if err != nil {
		n.t.Fatal(err)
	}
	return *r
}

// A network of four is paid, epoch by epoch and to the unit: what each epoch mints is what its
// blocks allow, a void epoch between two good ones mints nothing, fees come back to those who
// computed, and pay reaches accounts when its lock ends. In every block coins and records agree.
// Holds spec E-2, E-3, E-4, E-6, E-9.
func TestANetworkIsPaid(t *testing.T) {
	const void = 3
	n := start(t, 4, withAccounts("payer"))
	for _, h := range n.hosts[1:] {
		h.cheat.absent = func(epoch uint64) bool { return epoch == void }
	}
	p := credit.LocalnetParams()
	n.step()
	was, last := n.audit(), int64(0)
	payer, paid := n.host("payer"), n.balance(n.host("p2"))
	due := map[uint64]math.Int{} // of p2, by the epoch at whose end it is paid
	for number := uint64(1); number <= 6; number++ {
		for range 5 { // a fee of 1 each
			n.queue = append(n.queue, payer.tx(&banktypes.MsgSend{FromAddress: payer.addr,
				ToAddress: payer.addr, Amount: sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1))}))
		}
		e, _ := n.finish(number)
		r := n.audit()
		left := new(big.Int).Sub(credit.MaxSupply().BigInt(), was.Money.Minted.BigInt())
		want := left.Mul(left, big.NewInt(int64(p.EmissionPpt)*(e.FinalisedHeight-last)))
		want.Div(want, big.NewInt(1_000_000_000_000))
		if e.Void != (number == void) {
			t.Fatalf("epoch %d is void: %v", number, e.Void)
		}
		if e.Void {
			want.SetInt64(0)
		}
		if got := r.Money.Minted.Sub(was.Money.Minted).BigInt(); got.Cmp(want) != 0 {
			t.Errorf("epoch %d minted %s, want %s", number, got, want)
		}
		pot := math.ZeroInt()
		for _, h := range n.hosts {
			for _, o := range n.owed(h).Owed {
				if o.Epoch == number {
					pot = pot.Add(o.Amount)
					if h.name == "p2" {
						due[o.DueEpoch] = o.Amount
					}
				}
			}
		}
		type fees struct{ Shared, Burned, Left int64 }
		wanted := fees{3, 2, 0}
		switch number {
		case void:
			wanted = fees{0, 0, 5}
		case void + 1:
			wanted = fees{5, 5, 0}
		}
		if d := cmp.Diff(wanted, fees{pot.Sub(math.NewIntFromBigInt(want)).Int64(),
			r.Burned.Sub(was.Burned).Int64(), r.Fees.Int64()}); d != "" {
			t.Errorf("fees of epoch %d (-want +got):\n%s", number, d)
		}
		if leaves, ok := due[number]; ok {
			paid = paid.Add(leaves)
		}
		if got := n.balance(n.host("p2")); !got.Equal(paid) {
			t.Errorf("after epoch %d p2 has %s, want %s", number, got, paid)
		}
		was, last = r, e.FinalisedHeight
	}
	if len(due) != 5 || !due[4].IsPositive() || !due[5].IsPositive() {
		t.Errorf("p2 was to be paid %v", due)
	}
}

// owed asks for what a host is owed.
func (n *network) owed(h *host) *creditv1.QueryOwedResponse {
	n.t.Helper()
	res, err := creditv1.NewQueryClient(conn{n.app, n.ctx()}).Owed(context.Background(),
		&creditv1.QueryOwedRequest{Participant: h.addr})
	if err != nil {
		n.t.Fatal(err)
	}
	return res
}
