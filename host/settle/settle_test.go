// SPDX-License-Identifier: Apache-2.0

package settle

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/host/ledger"
)

// bank is a chain in memory: an account with a sequence, a mempool that loses
// things, blocks, which may be pruned.
type bank struct {
	height   int64
	sequence uint64
	balance  int64
	paid     map[string]int64 // by address
	pool     map[string]transfer
	blocks   map[int64][]Tx
	pruned   int64 // the last height that is gone
	down     bool  // the node does not answer
}

type transfer struct {
	tx      Tx
	timeout int64
}

var t0 = time.UnixMilli(1)

var errDown = errors.New("node down")

func newBank(balance int64) *bank {
	return &bank{balance: balance, paid: map[string]int64{}, pool: map[string]transfer{}, blocks: map[int64][]Tx{}}
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
func (b *bank) Sign(_ context.Context, memo string, payments []ledger.Payment, _, sequence uint64, timeout int64) ([]byte, string, error) {
	if len(memo) > maxMemo {
		return nil, "", fmt.Errorf("a memo of %d characters", len(memo))
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s %d %d", memo, sequence, timeout)
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
	t := transfer{tx: Tx{Hash: string(raw), Memo: f[0]}}
	fmt.Sscan(f[1], &t.tx.Sequence)
	fmt.Sscan(f[2], &t.timeout)
	for i := 3; i < len(f); i += 2 {
		a, err := ledger.ParseAmount(f[i+1])
		if err != nil {
			return err
		}
		t.tx.To = append(t.tx.To, Transfer{Payout: f[i], Amount: a})
	}
	b.pool[string(raw)] = t
	return nil
}

func (b *bank) Block(_ context.Context, height int64) ([]Tx, error) {
	switch {
	case b.down:
		return nil, errDown
	case height <= b.pruned:
		return nil, fmt.Errorf("%w: %d", ErrGone, height)
	}
	return b.blocks[height], nil
}

// block executes one transaction of the mempool, or none.
func (b *bank) block(hash string, fail bool) {
	b.height++
	t, ok := b.pool[hash]
	if !ok {
		return
	}
	delete(b.pool, hash)
	if t.tx.Sequence != b.sequence || b.height > t.timeout {
		return
	}
	b.sequence++
	t.tx.Height = b.height
	if fail {
		t.tx.Code, t.tx.Log = 5, "out of gas"
	} else {
		for _, p := range t.tx.To {
			n, _ := new(big.Int).SetString(p.Amount.String(), 10)
			b.paid[p.Payout] += n.Int64()
			b.balance -= n.Int64()
		}
	}
	b.blocks[b.height] = append(b.blocks[b.height], t.tx)
}

// byHand is a transaction of the account that no host made.
func (b *bank) byHand(memo string) {
	b.height++
	b.blocks[b.height] = append(b.blocks[b.height], Tx{Hash: fmt.Sprint("hand", b.height), Height: b.height, Sequence: b.sequence, Memo: memo})
	b.sequence++
}

func openLedger(t testing.TB, path string, least ledger.Amount) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(path, ledger.Rules{Strikes: 1}, least)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Whatever the node does (loses transactions, fails them, is away) and wherever the host is killed, each credit is paid once: what the
// chain paid is what the ledger calls settled or settling, and in the end
// everything is paid.
func TestPaidExactlyOnce(t *testing.T) {
	dir, run := t.TempDir(), 0
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run))
		rules := ledger.Rules{Unlock: 0, Strikes: 1}
		l, err := ledger.Open(path, rules, ledger.Amount{})
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
			},
			"blocks": func(t *rapid.T) { b.height += timeoutBlocks },
			"lost":   func(t *rapid.T) { clear(b.pool) },
			"away":   func(t *rapid.T) { b.down = !b.down },
			"killed": func(t *rapid.T) {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if l, err = ledger.Open(path, rules, ledger.Amount{}); err != nil {
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

// earn makes a device with an address and pays it in.
func earn(t testing.TB, l *ledger.Ledger, d ledger.Device, payout, source, pay string) {
	t.Helper()
	_, err := l.Register(d, payout, t0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ledger.ParseAmount(pay)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Credit(ledger.Entry{Device: d, Kind: ledger.Loops, Source: source, Pay: a}); err != nil {
		t.Fatal(err)
	}
}

// run steps until nothing is under way, with a block after each step.
func run(t testing.TB, s *Settler, b *bank, l *ledger.Ledger) {
	t.Helper()
	for range 6 {
		if err := s.Step(t.Context(), b.height); err != nil {
			t.Fatal(err)
		}
		open, _, err := l.Unfinished()
		if err != nil {
			t.Fatal(err)
		}
		b.block(open.Hash, strings.Contains(open.Hash, "blocked"))
	}
}

func TestStatusSaysWhyNothingIsPaid(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
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
	ten, _ := ledger.ParseAmount("10")
	s.c.Least = ten
	earn(t, l, ledger.Device{1}, "cpc1x", "a", "10")
	step("blocked", "holds 5acpc")
	b.balance = 100
	step("paying", "settlement 1")
	open, _, _ := l.Unfinished()
	b.block(open.Hash, false)
	b.height += 10 * timeoutBlocks
	b.pruned = b.height - 1
	step("blocked", "does not have block")
	b.pruned = 0
	step("waiting", "")
	if st := s.Status(); st.Last != open.Hash || st.Height != 1 {
		t.Errorf("%+v", st)
	}
	b.down = true
	step("blocked", "node down")
	b.down, b.sequence = false, 0 // the node was set back
	step("blocked", "the node is behind")
}

// A payout that the chain refuses holds up nobody else's: after the payment of
// all fails, they go one by one, and the refused one is put off. A transaction
// that never came into a block says nothing about anybody.
func TestARefusedPayoutIsPutOff(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := newBank(1000)
	s := New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	for i, payout := range []string{"cpc1blocked", "cpc1a", "cpc1b"} {
		earn(t, l, ledger.Device{byte(i)}, payout, "a", "5")
	}
	if err := s.Step(t.Context(), b.height); err != nil {
		t.Fatal(err)
	}
	clear(b.pool)
	b.height += 2 * timeoutBlocks // full blocks
	if err := s.Step(t.Context(), b.height); err != nil {
		t.Fatal(err)
	}
	if list, err := l.Payable(9); err != nil || len(list) != 3 || s.alone != 0 {
		t.Fatalf("after a time-out %d can be paid, %d alone, %v", len(list), s.alone, err)
	}
	run(t, s, b, l)
	run(t, s, b, l)
	if b.paid["cpc1a"] != 5 || b.paid["cpc1b"] != 5 || b.paid["cpc1blocked"] != 0 {
		t.Errorf("paid: %v", b.paid)
	}
	if a, err := l.Account(ledger.Device{0}); err != nil || a.Due.String() != "5" || a.Refuse == 0 || a.Why == "" {
		t.Errorf("what was refused: %+v, %v", a, err)
	}
}

// A poor account pays who waits longest first, the last one in part.
func TestAPoorAccountPaysInTurn(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := newBank(25)
	s := New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	earn(t, l, ledger.Device{9}, "cpc1first", "a", "20")
	earn(t, l, ledger.Device{1}, "cpc1second", "a", "10")
	earn(t, l, ledger.Device{2}, "cpc1third", "a", "1")
	run(t, s, b, l)
	if b.paid["cpc1first"] != 20 || b.paid["cpc1second"] != 5 || b.paid["cpc1third"] != 0 {
		t.Errorf("%v", b.paid)
	}
	b.balance = 100
	run(t, s, b, l)
	if b.paid["cpc1second"] != 10 || b.paid["cpc1third"] != 1 {
		t.Errorf("%v", b.paid)
	}
}

// stopped wants payment to be, and returns the plan that is ready.
func stopped(t testing.TB, s *Settler, b *bank, why string) *Plan {
	t.Helper()
	for range 3 {
		if err := s.Step(t.Context(), b.height); err != nil {
			t.Fatal(err)
		}
		b.block("", false)
	}
	st := s.Status()
	if st.Doing != "stopped" || st.Plan == nil || !st.Plan.Ready || !strings.Contains(st.Plan.Why, why) {
		t.Fatalf("%+v %+v, want %q", st, st.Plan, why)
	}
	return st.Plan
}

// A copy of the ledger is put back after payments. Nothing is paid until a person
// has looked; then what the chain paid counts, and each credit is paid once.
func TestARestoredLedgerStopsAndIsBroughtInStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	l := openLedger(t, path, ledger.Amount{})
	b := newBank(1000)
	s := New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	a, later := ledger.Device{1}, ledger.Device{2}
	earn(t, l, a, "cpc1a", "1", "100")
	run(t, s, b, l)
	earn(t, l, a, "cpc1a", "2", "50")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path, ledger.Amount{})
	s = New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	run(t, s, b, l)
	earn(t, l, later, "cpc1later", "1", "7")
	run(t, s, b, l)
	if b.paid["cpc1a"] != 150 || b.paid["cpc1later"] != 7 {
		t.Fatalf("the test pays something else: %v", b.paid)
	}
	if err := errors.Join(l.Close(), os.WriteFile(path, backup, 0o600)); err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path, ledger.Amount{})
	s = New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	p := stopped(t, s, b, "an older copy")
	if len(p.Found) != 2 || p.Found[0].Number == 0 || p.Found[1].Number == 0 || p.Missing != "" {
		t.Fatalf("%+v", p)
	}
	if err := s.Resolve("00"); !errors.Is(err, ErrPlan) {
		t.Errorf("another plan: %v", err)
	}
	if err := s.Resolve(p.Digest); err != nil {
		t.Fatal(err)
	}
	run(t, s, b, l)
	earn(t, l, later, "cpc1later", "1", "7") // by its receipt
	earn(t, l, later, "cpc1later", "2", "8")
	run(t, s, b, l)
	if b.paid["cpc1a"] != 150 || b.paid["cpc1later"] != 15 {
		t.Errorf("paid: %v", b.paid)
	}
	if err := s.Resolve(p.Digest); !errors.Is(err, ErrPlan) {
		t.Errorf("nothing to resolve: %v", err)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// One transfer by hand from the paying account stops payment until it is looked at,
// and costs nobody anything; also while a settlement waits for the same number.
func TestTheAccountUsedByHand(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := newBank(1000)
	s := New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
	if err := s.Step(t.Context(), b.height); err != nil {
		t.Fatal(err)
	}
	b.byHand("")
	b.byHand(memo("another", 3, nil))
	p := stopped(t, s, b, "something else pays")
	if len(p.Found) != 2 || p.Found[0].Number != 0 || !strings.Contains(p.Found[0].Note, "by hand") || !strings.Contains(p.Found[1].Note, "another ledger") {
		t.Fatalf("%+v", p)
	}
	if err := s.Resolve(p.Digest); err != nil {
		t.Fatal(err)
	}
	run(t, s, b, l)
	if b.paid["cpc1a"] != 100 {
		t.Errorf("%v", b.paid)
	}
}

// An empty ledger does not begin to pay from an account that has paid: what it
// paid for may come to be credited again. Blocks that are gone are named.
func TestAnEmptyLedgerAsks(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := newBank(1000)
	b.byHand("")
	s := New(Config{Ledger: l, Chain: b, Account: "cpc1host"})
	earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
	p := stopped(t, s, b, "has paid nothing yet")
	if p.Missing == "" {
		t.Errorf("%+v", p)
	}
	if err := s.Resolve(p.Digest); err != nil {
		t.Fatal(err)
	}
	run(t, s, b, l)
	if b.paid["cpc1a"] != 100 {
		t.Errorf("%v", b.paid)
	}
	b.byHand("")
	b.pruned = b.height
	if p := stopped(t, s, b, "something else"); !strings.Contains(p.Missing, "does not have block") {
		t.Errorf("%+v", p)
	}
	s = New(Config{Ledger: l, Chain: b, Account: "cpc1new"})
	stopped(t, s, b, "a key of account cpc1new")
}

func TestMemos(t *testing.T) {
	payments := make([]ledger.Payment, most)
	for i := range payments {
		payments[i].Device = ledger.Device{byte(i), 0xff, 0xfb, 9}
	}
	m := memo("0123456789abcdef", 1<<60, payments)
	if len(m) > maxMemo {
		t.Errorf("%d characters", len(m))
	}
	id, n, devices, ok := parseMemo(m)
	if !ok || id != "0123456789abcdef" || n != 1<<60 || len(devices) != most || devices[49] != payments[49].Device.Prefix() {
		t.Errorf("%v %d %v %v", id, n, devices, ok)
	}
	for _, bad := range []string{"", "hello", memoTag + "a/0/", memoTag + "a/1", memoTag + "a/1/=", memoTag + "a/1/AA", memoTag + strings.Repeat("a", 300) + "/1/"} {
		if _, _, _, ok := parseMemo(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}
