// SPDX-License-Identifier: Apache-2.0

package settle

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/host/ledger"
)

// bank is a chain in memory: accounts with a sequence, a mempool that loses
// things, blocks, an index that may lag.
type bank struct {
	height   int64
	sequence uint64
	balance  int64
	paid     map[string]int64 // by address
	pool     map[string]transfer
	index    map[string]Tx
	hidden   map[string]Tx // in blocks, not indexed yet
	down     bool          // the node does not answer
}

type transfer struct {
	payments []ledger.Payment
	sequence uint64
	timeout  int64
}

var t0 = time.UnixMilli(1)

var errDown = errors.New("node down")

func newBank(balance int64) *bank {
	return &bank{balance: balance, paid: map[string]int64{}, pool: map[string]transfer{}, index: map[string]Tx{}, hidden: map[string]Tx{}}
}

func (b *bank) Balance(context.Context) (ledger.Amount, error) {
	if b.down {
		return ledger.Amount{}, errDown
	}
	return ledger.ParseAmount(fmt.Sprint(b.balance))
}

func (b *bank) Account(context.Context) (uint64, uint64, error) {
	if b.down {
		return 0, 0, errDown
	}
	return 1, b.sequence, nil
}

func (b *bank) Fee(int) ledger.Amount { return ledger.Amount{} }

// Sign writes what it is for into the bytes; Send reads them back.
func (b *bank) Sign(_ context.Context, payments []ledger.Payment, _, sequence uint64, timeout int64) ([]byte, string, error) {
	var s strings.Builder
	fmt.Fprintf(&s, "%d %d", sequence, timeout)
	for _, p := range payments {
		fmt.Fprintf(&s, " %s %s", p.Payout, p.Amount)
	}
	return []byte(s.String()), s.String(), nil
}

func (b *bank) Send(_ context.Context, raw []byte) error {
	if b.down {
		return errDown
	}
	f := strings.Fields(string(raw))
	var t transfer
	fmt.Sscan(f[0], &t.sequence)
	fmt.Sscan(f[1], &t.timeout)
	for i := 2; i < len(f); i += 2 {
		a, err := ledger.ParseAmount(f[i+1])
		if err != nil {
			return err
		}
		t.payments = append(t.payments, ledger.Payment{Payout: f[i], Amount: a})
	}
	b.pool[string(raw)] = t
	return nil
}

func (b *bank) Find(_ context.Context, hash string) (Tx, bool, error) {
	if b.down {
		return Tx{}, false, errDown
	}
	tx, ok := b.index[hash]
	return tx, ok, nil
}

// block executes one transaction of the mempool, or none.
func (b *bank) block(hash string, fail bool) {
	b.height++
	t, ok := b.pool[hash]
	if !ok {
		return
	}
	delete(b.pool, hash)
	if t.sequence != b.sequence || b.height > t.timeout {
		return
	}
	b.sequence++
	tx := Tx{Height: b.height}
	if fail {
		tx.Code, tx.Log = 5, "out of gas"
	} else {
		for _, p := range t.payments {
			n, _ := new(big.Int).SetString(p.Amount.String(), 10)
			b.paid[p.Payout] += n.Int64()
			b.balance -= n.Int64()
		}
	}
	b.hidden[hash] = tx
}

func (b *bank) reveal() {
	for hash, tx := range b.hidden {
		b.index[hash] = tx
	}
	clear(b.hidden)
}

// Whatever the node does (loses transactions, indexes late, fails them, is
// away) and wherever the host is killed, each credit is paid once: what the
// chain paid is what the ledger calls settled or settling, and in the end
// everything is paid.
func TestPaidExactlyOnce(t *testing.T) {
	dir, run := t.TempDir(), 0
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run))
		rules := ledger.Rules{Unlock: 0, Strikes: 1}
		l, err := ledger.Open(path, rules)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { l.Close() }()
		b := newBank(1 << 40)
		s := New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
		devices := []ledger.Device{{1}, {2}}
		for _, d := range devices {
			if _, err := l.Register(d, "cpc1"+d.String()[:2], t0); err != nil {
				t.Fatal(err)
			}
		}
		credited, sources := int64(0), 0
		sums := func() (settled, open string) {
			var se, op ledger.Amount
			for _, d := range devices {
				a, err := l.Account(d)
				if err != nil {
					t.Fatal(err)
				}
				se, op = se.Add(a.Settled), op.Add(a.Settling)
			}
			return se.String(), op.String()
		}
		paid := func() (sum int64) {
			for _, n := range b.paid {
				sum += n
			}
			return sum
		}
		var steps = map[string]func(*rapid.T){
			"credit": func(t *rapid.T) {
				d := rapid.SampledFrom(devices).Draw(t, "device")
				pay := rapid.Int64Range(1, 9).Draw(t, "pay")
				a, _ := ledger.ParseAmount(fmt.Sprint(pay))
				sources++
				if _, err := l.Credit(ledger.Entry{Device: d, Kind: ledger.Loops, Source: fmt.Sprint(sources), Pay: a}); err != nil {
					t.Fatal(err)
				}
				credited += pay
			},
			"step": func(t *rapid.T) {
				if err := s.Step(ctx, b.height); err != nil && !errors.Is(err, errDown) {
					t.Fatal(err)
				}
			},
			"block": func(t *rapid.T) {
				hash := ""
				if open, found, _ := l.Unfinished(); found && rapid.Bool().Draw(t, "included") {
					hash = open.Hash
				}
				b.block(hash, rapid.IntRange(0, 4).Draw(t, "fail") == 0)
				if rapid.Bool().Draw(t, "indexed") {
					b.reveal()
				}
			},
			"blocks": func(t *rapid.T) { b.height += timeoutBlocks },
			"lost":   func(t *rapid.T) { clear(b.pool) },
			"away":   func(t *rapid.T) { b.down = !b.down },
			"killed": func(t *rapid.T) {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if l, err = ledger.Open(path, rules); err != nil {
					t.Fatal(err)
				}
				s = New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
			},
			"": func(t *rapid.T) {
				settled, open := sums()
				total := fmt.Sprint(paid())
				a, _ := ledger.ParseAmount(settled)
				o, _ := ledger.ParseAmount(open)
				if total != settled && total != a.Add(o).String() {
					t.Fatalf("the chain paid %s; the ledger has %s settled, %s settling", total, settled, open)
				}
			},
		}
		t.Repeat(steps)
		b.down = false
		for range 20 {
			if err := s.Step(ctx, b.height); err != nil {
				t.Fatal(err)
			}
			if open, found, _ := l.Unfinished(); found {
				b.block(open.Hash, false)
			} else {
				b.height += asideBlocks
			}
			b.reveal()
		}
		settled, _ := sums()
		if settled != fmt.Sprint(credited) || paid() != credited {
			t.Fatalf("%d credited, %d paid, %s settled", credited, paid(), settled)
		}
		if err := l.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStatusSaysWhyNothingIsPaid(t *testing.T) {
	l, err := ledger.Open(filepath.Join(t.TempDir(), "l"), ledger.Rules{Strikes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBank(5)
	s := New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	step := func(doing, reason string) {
		t.Helper()
		err := s.Step(t.Context(), b.height)
		st := s.Status()
		if st.Doing != doing || !strings.Contains(st.Reason, reason) {
			t.Errorf("%s: %q (%v), want %s: %q", st.Doing, st.Reason, err, doing, reason)
		}
	}
	step("waiting", "nothing is due")
	d := ledger.Device{1}
	if _, err := l.Register(d, "cpc1x", t0); err != nil {
		t.Fatal(err)
	}
	ten, _ := ledger.ParseAmount("10")
	if _, err := l.Credit(ledger.Entry{Device: d, Kind: ledger.Loops, Source: "a", Pay: ten}); err != nil {
		t.Fatal(err)
	}
	step("blocked", "holds 5acpc")
	b.balance = 100
	step("paying", "settlement 1")
	open, _, _ := l.Unfinished()
	b.block(open.Hash, false) // in a block, but the index is off
	b.height += 10 * timeoutBlocks
	step("blocked", "does not find transaction")
	b.reveal()
	step("waiting", "")
	if st := s.Status(); st.Last != open.Hash || st.Height != 1 {
		t.Errorf("%+v", st)
	}
	b.down = true
	step("blocked", "node down")
}

// A payout that the chain refuses holds up nobody else's: after the payment of
// all fails, they go one by one, and the refused one is set aside.
func TestARefusedPayoutIsSetAside(t *testing.T) {
	l, err := ledger.Open(filepath.Join(t.TempDir(), "l"), ledger.Rules{Strikes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBank(1000)
	s := New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	five, _ := ledger.ParseAmount("5")
	for i, payout := range []string{"cpc1blocked", "cpc1a", "cpc1b"} {
		d := ledger.Device{byte(i)}
		if _, err := l.Register(d, payout, t0); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Credit(ledger.Entry{Device: d, Kind: ledger.Loops, Source: "a", Pay: five}); err != nil {
			t.Fatal(err)
		}
	}
	for range 12 {
		if err := s.Step(t.Context(), b.height); err != nil {
			t.Fatal(err)
		}
		open, found, err := l.Unfinished()
		if err != nil {
			t.Fatal(err)
		}
		b.block(open.Hash, found && strings.Contains(open.Hash, "blocked"))
		b.reveal()
	}
	if b.paid["cpc1a"] != 5 || b.paid["cpc1b"] != 5 || b.paid["cpc1blocked"] != 0 {
		t.Errorf("paid: %v", b.paid)
	}
	if a, err := l.Account(ledger.Device{0}); err != nil || a.Due.String() != "5" {
		t.Errorf("what was refused: %+v, %v", a, err)
	}
}
