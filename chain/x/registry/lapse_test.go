// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	sdkmath "cosmossdk.io/math"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/google/go-cmp/cmp"

	"pgregory.net/rapid"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/registry"
)

// begin goes on to an epoch, a hundred blocks and a hundred seconds after the one before.
func (w *world) begin(t testing.TB, epoch uint64) {
	t.Helper()
	w.ctx = w.ctx.WithBlockHeight(int64(epoch) * 100).WithBlockTime(time.Unix(int64(epoch)*100, 0))
	w.network.epoch = epoch
	for _, err := range []error{w.Adopt(w.ctx), w.Lapse(w.ctx, epoch), w.collateral.Check(w.ctx)} {
		if err != nil {
			t.Fatalf("begin of epoch %d: %v", epoch, err)
		}
	}
}

// until goes on, epoch by epoch, until a participant's record is gone, and returns the epoch; 0
// when it stays up to the last one.
func (w *world) until(t testing.TB, name string, last uint64) uint64 {
	t.Helper()
	for w.network.epoch < last {
		w.begin(t, w.network.epoch+1)
		if has, err := w.Has(w.ctx, account(name)); err != nil {
			t.Fatal(err)
		} else if !has {
			return w.network.epoch
		}
	}
	return 0
}

// evidence sets for how long CometBFT takes evidence.
func (w *world) evidence(blocks int64, age time.Duration) {
	w.ctx = w.ctx.WithConsensusParams(cmtproto.ConsensusParams{
		Evidence: &cmtproto.EvidenceParams{MaxAgeNumBlocks: blocks, MaxAgeDuration: age}})
}

func (w *world) leave(t testing.TB, name string) {
	t.Helper()
	if _, err := w.msg.Leave(w.ctx, &registryv1.MsgLeave{Address: account(name)}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) mark(t testing.TB, name string, change func(*registryv1.Participant)) {
	t.Helper()
	if err := w.Mark(w.ctx, account(name), change); err != nil {
		t.Fatal(err)
	}
}

// Names are free no more: each costs a deposit as long as its record is kept.
// Holds spec R-2.
func TestRegisteringLocksADeposit(t *testing.T) {
	w := newWorld(t)
	deposit := func(name string, amount int64) {
		if err := w.collateral.TopUp(w.ctx, account(name), cpc(amount)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name             string
		funds, deposited int64
		short            int64
	}{
		{"nothing", 0, 0, 10},
		{"too little on the account", 9, 0, 1},
		{"too little in both", 9, 4, 1},
		{"from the account", 11, 0, 0},
		{"from both", 12, 4, 0},
		{"from the deposit", 12, 12, 0},
	} {
		if c.funds > 0 {
			w.fund(t, c.name, cpc(c.funds))
			deposit(c.name, c.deposited)
		}
		branch, keep := w.ctx.CacheContext()
		_, err := w.msg.Register(branch, registration(c.name))
		if c.short > 0 {
			if want := cpc(c.short).String() + "acpc too little"; !errors.Is(err,
				registry.ErrDeposit) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", c.name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		keep()
		if locked, err := w.collateral.Locked(w.ctx, account(c.name),
			collateral.Registration); err != nil || !locked.Equal(cpc(10)) {
			t.Errorf("%s: %s is locked, %v", c.name, locked, err)
		}
		if got, want := w.balance(t, c.name),
			cpc(min(c.funds-c.deposited, c.funds-10)); !got.Equal(want) {
			t.Errorf("%s: %s is left, want %s", c.name, got, want)
		}
		if err := w.collateral.Withdraw(w.ctx, account(c.name), cpc(10)); !errors.Is(err,
			collateral.ErrNotFree) {
			t.Errorf("%s: withdrew what its registration holds: %v", c.name, err)
		}
	}
}

// Holds spec R-3.
func TestLeave(t *testing.T) {
	w := newWorld(t)
	w.register(t, "alice")
	w.begin(t, epoch+1)
	w.leave(t, "alice")
	p, err := w.Get(w.ctx, account("alice"))
	if err != nil || !p.TakesPart(epoch+1) || p.TakesPart(epoch+2) {
		t.Fatalf("takes part in %d: %v, in %d: %v, %v", epoch+1, p.TakesPart(epoch+1), epoch+2,
			p.TakesPart(epoch+2), err)
	}
	if _, err := w.msg.Leave(w.ctx,
		&registryv1.MsgLeave{Address: account("alice")}); !errors.Is(err, registry.ErrLeft) {
		t.Errorf("leaving twice: %v", err)
	}
	if _, err := w.msg.SetNodes(w.ctx,
		&registryv1.MsgSetNodes{Address: account("alice")}); !errors.Is(err, registry.ErrLeft) {
		t.Errorf("other nodes after leaving: %v", err)
	}
	w.fund(t, "alice", cpc(10))
	if _, err := w.msg.Register(w.ctx, registration("alice")); !errors.Is(err, registry.ErrTaken) {
		t.Errorf("registering before the record is gone: %v", err)
	}
	if _, err := w.msg.Leave(w.ctx, &registryv1.MsgLeave{Address: account("bob")}); !errors.Is(err,
		registry.ErrUnknown) {
		t.Errorf("a stranger left: %v", err)
	}
	// Evidence of epoch+1 is kept until epoch+4 begins; then a review finds no power, and the next
	// one lets it go.
	if gone := w.until(t, "alice", 100); gone != epoch+5 {
		t.Errorf("gone in epoch %d", gone)
	}
	if got := w.balance(t, "alice"); !got.Equal(cpc(20)) {
		t.Errorf("it got back to %s", got)
	}
	if _, found, err := w.ByConsensusAddress(w.ctx,
		registry.ConsensusAddress(p.ConsensusKey)); err != nil || found {
		t.Errorf("its consensus address is still known, %v", err)
	}
	// it comes back with the keys it had, but for the consensus key
	m, fresh := registration("alice"), key("alice 2 consensus")
	if _, err := w.msg.Register(w.ctx, m); !errors.Is(err, registry.ErrTaken) {
		t.Errorf("came back with its old consensus key: %v", err)
	}
	m.ConsensusKey = fresh[32:]
	m.Possession = registry.ProvePossession(chain, m.Address, fresh, key("alice vrf"),
		key("alice host"))
	if _, err := w.msg.Register(w.ctx, m); err != nil {
		t.Fatal(err)
	}
	if again := w.record(t, "alice"); again.JoinedEpoch != epoch+5 {
		t.Errorf("came back as %v", again)
	}
}

// What holds a record of somebody who left: power, jail, CometBFT's evidence, a bar from the
// lottery.
func TestWhatALeavingRecordWaitsFor(t *testing.T) {
	const left, free = epoch + 1, epoch + 5 // leaves in, would be gone in
	for _, c := range []struct {
		name  string
		setup func(t *testing.T, w *world)
		want  uint64
	}{
		{"nothing", func(*testing.T, *world) {}, free},
		{"jail", func(t *testing.T, w *world) {
			if err := w.Jail(w.ctx, account("alice"), 40, "fraud"); err != nil {
				t.Fatal(err)
			}
		}, 41},
		{"jail for ever", func(t *testing.T, w *world) {
			if err := w.Jail(w.ctx, account("alice"), math.MaxUint64, "double sign"); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"a bar from the lottery", func(t *testing.T, w *world) {
			w.mark(t, "alice", func(p *registryv1.Participant) { p.LotteryFrom = 50 })
		}, 51},
		{"evidence by blocks", func(t *testing.T,
			w *world) {
			w.evidence(998, time.Second)
		}, free - 1 + 11},
		{"evidence by time", func(t *testing.T,
			w *world) {
			w.evidence(1, 999*time.Second)
		}, free - 1 + 10},
		{"power", func(t *testing.T, w *world) { w.network.holders[account("alice")] = true }, 0},
		{"kept evidence", func(t *testing.T, w *world) { w.network.keep = 20 }, left + 20 + 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.register(t, "alice")
			w.begin(t, left)
			c.setup(t, w)
			w.leave(t, "alice")
			if got := w.until(t, "alice", 120); got != c.want {
				t.Errorf("gone in epoch %d, want %d", got, c.want)
			}
			if c.want == 0 && !w.balance(t, "alice").IsZero() {
				t.Errorf("its deposit came back while it was held: %s", w.balance(t, "alice"))
			}
		})
	}
}

// A double sign that is found after its signer left still finds the signer.
// Holds spec R-3.
func TestEvidenceFindsWhoLeft(t *testing.T) {
	w := newWorld(t)
	w.evidence(1_000, time.Second)
	p := w.register(t, "alice")
	w.network.holders[p.Address] = true
	w.begin(t, epoch+1)
	w.leave(t, "alice")
	for e := epoch + 2; e < epoch+30; e++ {
		w.begin(t, e)
		if e == epoch+10 { // its power is gone at last
			delete(w.network.holders, p.Address)
		}
		_, found, err := w.ByConsensusAddress(w.ctx, registry.ConsensusAddress(p.ConsensusKey))
		if err != nil {
			t.Fatal(err)
		}
		if lost := int64(epoch+11) * 100; found != (w.ctx.BlockHeight() <= lost+1_002) {
			t.Errorf("block %d: found is %v; its power was gone at %d",
				w.ctx.BlockHeight(), found, lost)
		}
	}
}

// C11: a registration lapses when it was in no roster for lapse_epochs epochs, and only then.
// Holds spec R-3.
func TestC11Lapse(t *testing.T) {
	for _, c := range []struct {
		name string
		in   func(e uint64) bool // announces itself in this epoch
		want uint64
	}{
		{"never came", func(uint64) bool { return false }, epoch + 101 + 1},
		{"came once", func(e uint64) bool { return e == epoch+50 }, epoch + 50 + 101 + 1},
		{"comes now and then", func(e uint64) bool { return e%100 == 0 }, 0},
		{"comes in the last moment", func(e uint64) bool {
			return e == epoch+101
		}, epoch + 101 + 101 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.register(t, "alice")
			var gone uint64
			for e := epoch + 1; e < 400 && gone == 0; e++ {
				if w.until(t, "alice", e) > 0 {
					gone = e
				} else if c.in(e) {
					if err := w.Announce(w.ctx, account("alice"), e); err != nil {
						t.Fatal(err)
					}
				}
			}
			if gone != c.want {
				t.Errorf("gone in epoch %d, want %d", gone, c.want)
			}
			if refunded := w.balance(t, "alice").Equal(cpc(10)); refunded != (gone > 0) {
				t.Errorf("refunded: %v", refunded)
			}
		})
	}
	t.Run("a holder", func(t *testing.T) {
		w := newWorld(t)
		w.register(t, "alice")
		w.network.holders[account("alice")] = true
		if gone := w.until(t, "alice", 350); gone != 0 {
			t.Errorf("gone in epoch %d", gone)
		}
	})
	t.Run("jailed", func(t *testing.T) {
		w := newWorld(t)
		w.register(t, "alice")
		if err := w.Jail(w.ctx, account("alice"), 150, "fraud"); err != nil {
			t.Fatal(err)
		}
		if gone := w.until(t, "alice", 400); gone != 150+101+1 {
			t.Errorf("gone in epoch %d: a jail counts as presence until it ends", gone)
		}
	})
	t.Run("never too early for evidence", func(t *testing.T) {
		w := newWorld(t)
		short := registry.DefaultParams()
		short.LapseEpochs = 3
		if _, err := w.msg.UpdateParams(w.ctx, &registryv1.MsgUpdateParams{Authority: authority,
			Params: short}); err != nil {
			t.Fatal(err)
		}
		w.begin(t, epoch+1)
		w.register(t, "alice")
		w.network.keep = 20
		if gone := w.until(t, "alice", 400); gone != epoch+1+21+1 {
			t.Errorf("gone in epoch %d", gone)
		}
	})
}

// C11: 2,000 identities that do nothing cost an epoch's begin nothing. The old begin read every one
// of them.
func TestC11IdleIdentitiesCostABeginNothing(t *testing.T) {
	cost := func(idle int) (gas uint64) {
		w := newWorld(t)
		for i := range idle {
			w.register(t, fmt.Sprint("idle-", i))
		}
		meter := storetypes.NewInfiniteGasMeter()
		w.ctx = w.ctx.WithGasMeter(meter)
		if err := errors.Join(w.Adopt(w.ctx), w.Lapse(w.ctx, epoch+1)); err != nil {
			t.Fatal(err)
		}
		return meter.GasConsumed()
	}
	if none, many := cost(0), cost(2_000); many != none {
		t.Errorf("a begin costs %d gas with nobody and %d with 2,000 idle identities", none, many)
	}
}

// Even when all of them lapse at once, an epoch's begin does a bounded part of the work, the rest
// waits, and all go.
// Holds spec R-4.
func TestC11LapsingIsBounded(t *testing.T) {
	w := newWorld(t)
	const idle = 500
	for i := range idle {
		w.register(t, fmt.Sprint("idle-", i))
	}
	count := func() (n int) {
		if err := w.Walk(w.ctx, func(registryv1.Participant) (bool,
			error) {
			n++
			return false, nil
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.begin(t, epoch+101) // finds them without power
	before := count()
	for e := epoch + 102; before > 0; e++ {
		w.begin(t, e)
		after := count()
		if removed := before - after; removed > 200 || removed == 0 { // 1,000 keys, five each
			t.Fatalf("epoch %d removed %d records of %d", e, removed, before)
		}
		before = after
	}
}

// C14: whoever was jailed gets a new name only for a new deposit, and the old one stays locked as
// long as the jail lasts.
func TestC14AJailedOwnersNamesCostDeposits(t *testing.T) {
	w := newWorld(t)
	w.register(t, "alice")
	if err := w.Jail(w.ctx, account("alice"), 500, "fraud"); err != nil {
		t.Fatal(err)
	}
	w.leave(t, "alice")
	if gone := w.until(t, "alice", 400); gone != 0 {
		t.Fatalf("its record went in epoch %d, while it was jailed", gone)
	}
	if _, err := w.msg.Register(w.ctx, registration("alice")); !errors.Is(err, registry.ErrTaken) {
		t.Errorf("the jailed name: %v", err)
	}
	if _, err := w.msg.Register(w.ctx, registration("alice again")); !errors.Is(err,
		registry.ErrDeposit) {
		t.Errorf("a new name without a new deposit: %v", err)
	}
	stolen := registration("alice again")
	stolen.ConsensusKey = registration("alice").ConsensusKey
	stolen.Possession = registry.ProvePossession(chain, stolen.Address, key("alice consensus"),
		key("alice again vrf"), key("alice again host"))
	if _, err := w.msg.Register(w.ctx, stolen); !errors.Is(err, registry.ErrTaken) {
		t.Errorf("a new name with the jailed validator: %v", err)
	}
}

// The list of an epoch is the one that its begin found, without anybody copying it.
// Holds spec R-6.
func TestNodesAt(t *testing.T) {
	w := newWorld(t)
	w.register(t, "alice")
	ids := func(epoch uint64) (ids []string) {
		p, err := w.Get(w.ctx, account("alice"))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range p.NodesAt(epoch) {
			ids = append(ids, n.Id)
		}
		return ids
	}
	set := func(names ...string) {
		msg := &registryv1.MsgSetNodes{Address: account("alice")}
		for _, id := range names {
			msg.Nodes = append(msg.Nodes, node("alice", id))
		}
		if _, err := w.msg.SetNodes(w.ctx, msg); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(epoch uint64, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, ids(epoch)); diff != "" {
			t.Errorf("epoch %d: %s", epoch, diff)
		}
	}
	expect(epoch) // it registered in it
	expect(epoch+1, "gpu-0", "gpu-1")
	set("gpu-2")
	expect(epoch)
	expect(epoch+1, "gpu-2")
	w.begin(t, epoch+1)
	expect(epoch+1, "gpu-2")
	set("gpu-3")
	set("gpu-4", "gpu-5")
	expect(epoch+1, "gpu-2")
	expect(epoch+2, "gpu-4", "gpu-5")
	w.begin(t, epoch+2)
	expect(epoch+2, "gpu-4", "gpu-5")
	set()
	expect(epoch+2, "gpu-4", "gpu-5")
	expect(epoch + 3)
}

// A mark is for what outlives an epoch; it cannot touch what the registry's own indices rest on.
// Holds spec R-5.
func TestMarkKeepsKeysAndNodes(t *testing.T) {
	w := newWorld(t)
	before := w.register(t, "alice")
	w.mark(t, "alice", func(p *registryv1.Participant) {
		*p = registryv1.Participant{CreditedEpoch: 3, LotteryFrom: 104, UnopenedEpoch: 2,
			Moniker: p.Moniker, JoinedEpoch: p.JoinedEpoch, IdleSince: p.IdleSince}
	})
	want := before
	want.CreditedEpoch, want.LotteryFrom, want.UnopenedEpoch = 3, 104, 2
	after, err := w.Get(w.ctx, before.Address)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Error(diff)
	}
}

// C15, C16, C20: whatever happened, the state exports, the export imports, and exporting again
// gives the same.
func TestAnyStateExportsAndImports(t *testing.T) {
	names := []string{"alice", "bob", "carol"}
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		who := rapid.SampledFrom(names)
		act := func(do func() error) {
			outer := w.ctx
			branch, keep := outer.CacheContext()
			w.ctx = branch
			if do() == nil {
				keep()
			}
			w.ctx = outer
		}
		r.Repeat(map[string]func(*rapid.T){
			"register": func(r *rapid.T) {
				name := who.Draw(r, "who")
				w.fund(t, name, cpc(10))
				act(func() error {
					_, err := w.msg.Register(w.ctx, registration(name))
					return err
				})
			},
			"nodes": func(r *rapid.T) {
				name := who.Draw(r, "who")
				msg := &registryv1.MsgSetNodes{Address: account(name)}
				for i := range rapid.IntRange(0, 3).Draw(r, "nodes") {
					msg.Nodes = append(msg.Nodes, node(name, fmt.Sprint("gpu-", i)))
				}
				act(func() error { _, err := w.msg.SetNodes(w.ctx, msg); return err })
			},
			"leave": func(r *rapid.T) {
				m := &registryv1.MsgLeave{Address: account(who.Draw(r, "who"))}
				act(func() error { _, err := w.msg.Leave(w.ctx, m); return err })
			},
			"params": func(r *rapid.T) {
				p := registry.DefaultParams()
				p.MaxNodes, p.LapseEpochs = rapid.Uint32Range(1, 4).Draw(r, "nodes"),
					rapid.Uint64Range(3, 5).Draw(r, "lapse")
				act(func() error {
					_, err := w.msg.UpdateParams(w.ctx,
						&registryv1.MsgUpdateParams{Authority: authority, Params: p})
					return err
				})
			},
			"begin": func(*rapid.T) { w.begin(t, w.network.epoch+1) },
			"mark": func(r *rapid.T) {
				name, n := who.Draw(r, "who"), rapid.Uint64Range(0, 20).Draw(r, "epoch")
				act(func() error {
					return errors.Join(w.Jail(w.ctx, account(name), n, "silence"),
						w.Announce(w.ctx, account(name), n),
						w.Mark(w.ctx, account(name),
							func(p *registryv1.Participant) { p.LotteryFrom = n }))
				})
			},
			"power": func(r *rapid.T) {
				w.network.holders[account(who.Draw(r, "who"))] = rapid.Bool().Draw(r, "holds")
			},
			"export": func(r *rapid.T) {
				gs, err := w.ExportGenesis(w.ctx)
				if err != nil {
					r.Fatal(err)
				}
				deposits, err := w.collateral.ExportGenesis(w.ctx)
				if err != nil {
					r.Fatal(err)
				}
				again := emptyWorld(t)
				for _, a := range deposits.Accounts { // the bank's part
					if err := again.pay(a.Deposit); err != nil {
						r.Fatal(err)
					}
				}
				if err := errors.Join(again.collateral.InitGenesis(again.ctx, deposits),
					again.InitGenesis(again.ctx, gs)); err != nil {
					r.Fatal(err)
				}
				back, err := again.ExportGenesis(again.ctx)
				if err != nil {
					r.Fatal(err)
				}
				if diff := cmp.Diff(gs, back); diff != "" {
					r.Fatal(diff)
				}
				// Indices are state, too: both let the same records go from here on.
				*again.network = *w.network
				if diff := cmp.Diff(w.after(r, 4), again.after(r, 4)); diff != "" {
					r.Fatal(diff)
				}
			},
		})
	})
}

// pay gives the module's account coins, as an imported bank does.
func (w *world) pay(amount sdkmath.Int) error {
	coins := sdk.NewCoins(sdk.NewCoin(denom, amount))
	return errors.Join(w.bank.MintCoins(w.ctx, minter, coins),
		w.bank.SendCoinsFromModuleToModule(w.ctx, minter, collateral.Name, coins))
}

// after exports what the next epochs would leave, and changes nothing.
func (w *world) after(r *rapid.T, epochs uint64) *registryv1.GenesisState {
	branch, _ := w.ctx.CacheContext()
	for e := w.network.epoch + 1; e <= w.network.epoch+epochs; e++ {
		branch = branch.WithBlockHeight(int64(e) * 100).WithBlockTime(time.Unix(int64(e)*100, 0))
		if err := errors.Join(w.Adopt(branch), w.Lapse(branch, e)); err != nil {
			r.Fatal(err)
		}
	}
	gs, err := w.ExportGenesis(branch)
	if err != nil {
		r.Fatal(err)
	}
	return gs
}
