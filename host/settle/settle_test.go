// SPDX-License-Identifier: Apache-2.0

package settle_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/settle/settletest"
	"github.com/assaynet/assay/host/store"
)

var t0 = time.UnixMilli(1)

func openLedger(t testing.TB, path string, least ledger.Amount) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(path, ledger.Rules{Strikes: 1}, least)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Whatever the node does (loses transactions, fails them, is away) and wherever the host is killed,
// each credit is paid once: what the chain paid is what the ledger calls settled or settling, and
// in the end everything is paid.
// Holds spec H-15.
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
		b := settletest.New("1099511627776")
		s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
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
		paid := func() string {
			var sum ledger.Amount
			for _, n := range b.Paid {
				sum = sum.Add(n)
			}
			return sum.String()
		}
		var steps = map[string]func(*rapid.T){
			"credit": func(t *rapid.T) {
				d := rapid.SampledFrom(devices).Draw(t, "device")
				pay := rapid.Int64Range(1, 9).Draw(t, "pay")
				a, _ := ledger.ParseAmount(fmt.Sprint(pay))
				sources++
				if _, err := l.Credit(ledger.Entry{Device: d, Kind: ledger.Loops,
					Source: fmt.Sprint(sources), Pay: a}); err != nil {
					t.Fatal(err)
				}
				credited += pay
			},
			"step": func(t *rapid.T) {
				if err := s.Step(ctx, b.Height); err != nil && !errors.Is(err, settletest.ErrDown) {
					t.Fatal(err)
				}
			},
			"block": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "fail") == 0 {
					for _, d := range devices {
						b.Refused["cpc1"+d.String()[:2]] = "out of gas"
					}
				}
				b.Make(rapid.Bool().Draw(t, "included"))
				clear(b.Refused)
			},
			"blocks": func(t *rapid.T) { b.Height += settle.TimeoutBlocks },
			"lost":   func(t *rapid.T) { b.Lose() },
			"away":   func(t *rapid.T) { b.Down = !b.Down },
			"killed": func(t *rapid.T) {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if l, err = ledger.Open(path, rules, ledger.Amount{}); err != nil {
					t.Fatal(err)
				}
				s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
			},
			"": func(t *rapid.T) {
				settled, open := sums()
				total := paid()
				a, _ := ledger.ParseAmount(settled)
				o, _ := ledger.ParseAmount(open)
				if total != settled && total != a.Add(o).String() {
					t.Fatalf("the chain paid %s; the ledger has %s settled, %s settling",
						total, settled, open)
				}
			},
		}
		t.Repeat(steps)
		b.Down = false
		for range 20 {
			if err := s.Step(ctx, b.Height); err != nil {
				t.Fatal(err)
			}
			if _, found, _ := l.Unfinished(); found {
				b.Make(true)
			} else {
				b.Height += settle.AsideBlocks
			}
		}
		settled, _ := sums()
		if settled != fmt.Sprint(credited) || paid() != fmt.Sprint(credited) {
			t.Fatalf("%d credited, %s paid, %s settled", credited, paid(), settled)
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
	if _, err := l.Credit(ledger.Entry{Device: d, Kind: ledger.Loops, Source: source,
		Pay: a}); err != nil {
		t.Fatal(err)
	}
}

// run steps until nothing is under way, with a block after each step.
func run(t testing.TB, s *settle.Settler, b *settletest.Bank) {
	t.Helper()
	for range 6 {
		if err := s.Step(t.Context(), b.Height); err != nil {
			t.Fatal(err)
		}
		b.Make(true)
	}
}

func TestStatusSaysWhyNothingIsPaid(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("5")
	ten, err := ledger.ParseAmount("10")
	if err != nil {
		t.Fatal(err)
	}
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host", Least: ten})
	step := func(doing, reason string) {
		t.Helper()
		err := s.Step(t.Context(), b.Height)
		st := s.Status()
		if st.Doing != doing || !strings.Contains(st.Reason, reason) {
			t.Errorf("%s: %q (%v), want %s: %q", st.Doing, st.Reason, err, doing, reason)
		}
	}
	step("waiting", "nothing is due")
	earn(t, l, ledger.Device{1}, "cpc1x", "a", "10")
	step("blocked", "holds 5acpc")
	b.Funds = settletest.New("100").Funds
	step("paying", "settlement 1")
	open, _, _ := l.Unfinished()
	b.Make(true)
	b.Height += 10 * settle.TimeoutBlocks
	b.Pruned = b.Height - 1
	step("stopped", "does not have block")
	b.Pruned = 0
	step("waiting", "")
	if st := s.Status(); st.Last != open.Hash || st.Height != 1 {
		t.Errorf("%+v", st)
	}
	b.Down = true
	step("blocked", "node down")
	b.Down, b.Sequence = false, 0 // the node was set back
	step("blocked", "the node is behind")
}

// A payout that the chain refuses holds up nobody else's: after the payment of
// all fails, they go one by one, and the refused one is put off. A transaction
// that never came into a block says nothing about anybody.
func TestARefusedPayoutIsPutOff(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("1000")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	b.Refused["cpc1blocked"] = "it is a module's"
	for i, payout := range []string{"cpc1blocked", "cpc1a", "cpc1b"} {
		earn(t, l, ledger.Device{byte(i)}, payout, "a", "5")
	}
	if err := s.Step(t.Context(), b.Height); err != nil {
		t.Fatal(err)
	}
	b.Lose()
	b.Height += 2 * settle.TimeoutBlocks // full blocks
	if err := s.Step(t.Context(), b.Height); err != nil {
		t.Fatal(err)
	}
	if list, err := l.Payable(9); err != nil || len(list) != 3 {
		t.Fatalf("after a time-out %d can be paid, %v", len(list), err)
	}
	if err := s.Step(t.Context(), b.Height); err != nil {
		t.Fatal(err)
	}
	if open, found, err := l.Unfinished(); err != nil || !found || len(open.Payments) != 3 {
		t.Fatalf("after a time-out %d are paid together, %v", len(open.Payments), err)
	}
	b.Make(true)
	run(t, s, b)
	run(t, s, b)
	if b.Got("cpc1a") != "5" || b.Got("cpc1b") != "5" || b.Got("cpc1blocked") != "0" {
		t.Errorf("paid: %v", b.Paid)
	}
	if a, err := l.Account(ledger.Device{0}); err != nil || a.Due.String() != "5" ||
		a.Refuse == 0 || a.Why == "" {
		t.Errorf("what was refused: %+v, %v", a, err)
	}
}

// A poor account pays who waits longest first, the last one in part.
func TestAPoorAccountPaysInTurn(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("25")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	earn(t, l, ledger.Device{9}, "cpc1first", "a", "20")
	earn(t, l, ledger.Device{1}, "cpc1second", "a", "10")
	earn(t, l, ledger.Device{2}, "cpc1third", "a", "1")
	run(t, s, b)
	if b.Got("cpc1first") != "20" || b.Got("cpc1second") != "5" || b.Got("cpc1third") != "0" {
		t.Errorf("%v", b.Paid)
	}
	b.Funds = settletest.New("100").Funds
	run(t, s, b)
	if b.Got("cpc1second") != "10" || b.Got("cpc1third") != "1" {
		t.Errorf("%v", b.Paid)
	}
}

// stopped wants payment to be, and returns the plan that is ready.
func stopped(t testing.TB, s *settle.Settler, b *settletest.Bank, why string) *settle.Plan {
	t.Helper()
	for range 3 {
		if err := s.Step(t.Context(), b.Height); err != nil {
			t.Fatal(err)
		}
		b.Make(true)
	}
	st := s.Status()
	if st.Doing != "stopped" || st.Plan == nil || !st.Plan.Ready ||
		!strings.Contains(st.Plan.Why, why) {
		t.Fatalf("%+v %+v, want %q", st, st.Plan, why)
	}
	return st.Plan
}

// A copy of the ledger is put back after payments. Nothing is paid until a person
// has looked; then what the chain paid counts, and each credit is paid once.
// Holds spec H-15.
func TestARestoredLedgerStopsAndIsBroughtInStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	l := openLedger(t, path, ledger.Amount{})
	b := settletest.New("1000")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	a, later := ledger.Device{1}, ledger.Device{2}
	earn(t, l, a, "cpc1a", "1", "100")
	run(t, s, b)
	earn(t, l, a, "cpc1a", "2", "50")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path, ledger.Amount{})
	s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	run(t, s, b)
	earn(t, l, later, "cpc1later", "1", "7")
	run(t, s, b)
	if b.Got("cpc1a") != "150" || b.Got("cpc1later") != "7" {
		t.Fatalf("the test pays something else: %v", b.Paid)
	}
	if err := errors.Join(l.Close(), os.WriteFile(path, backup, 0o600)); err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path, ledger.Amount{})
	s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	p := stopped(t, s, b, "an older copy")
	if len(p.Found) != 2 || p.Found[0].Number == 0 || p.Found[1].Number == 0 || p.Missing != "" {
		t.Fatalf("%+v", p)
	}
	if err := s.Resolve("00", ""); !errors.Is(err, settle.ErrPlan) {
		t.Errorf("another plan: %v", err)
	}
	if err := s.Resolve(p.Digest, ""); err != nil {
		t.Fatal(err)
	}
	run(t, s, b)
	earn(t, l, later, "cpc1later", "1", "7") // by its receipt
	earn(t, l, later, "cpc1later", "2", "8")
	run(t, s, b)
	if b.Got("cpc1a") != "150" || b.Got("cpc1later") != "15" {
		t.Errorf("paid: %v", b.Paid)
	}
	if err := s.Resolve(p.Digest, ""); !errors.Is(err, settle.ErrPlan) {
		t.Errorf("nothing to resolve: %v", err)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// A plan is entered in part when the disk fails. What was agreed to is not the plan of
// the rest: that one is read, shown and agreed to again, and nothing is passed over.
func TestAPlanThatIsEnteredInPart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	l := openLedger(t, path, ledger.Amount{})
	b := settletest.New("1000")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	d := ledger.Device{1}
	earn(t, l, d, "cpc1a", "0", "1")
	run(t, s, b)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path, ledger.Amount{})
	s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	for i := range 5 {
		earn(t, l, d, "cpc1a", fmt.Sprint("lost", i), "10")
		run(t, s, b)
	}
	if err := errors.Join(l.Close(), os.WriteFile(path, backup, 0o600)); err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path, ledger.Amount{})
	s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	if err := s.Resolve(stopped(t, s, b, "an older copy").Digest, ""); err != nil {
		t.Fatal(err)
	}
	changes := 0
	end := store.Inject(func(string, bool) error {
		if changes++; changes > 4 { // before and after each of two
			return errors.New("input/output error")
		}
		return nil
	})
	err = s.Step(t.Context(), b.Height)
	end()
	if err == nil {
		t.Fatal("the disk failed, and nothing is said")
	}
	p := stopped(t, s, b, "does not know")
	if len(p.Found) != 3 {
		t.Fatalf("%d transactions are left to enter", len(p.Found))
	}
	if err := s.Resolve(p.Digest, ""); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		earn(t, l, d, "cpc1a", fmt.Sprint("lost", i), "10") // by its receipts
	}
	run(t, s, b)
	run(t, s, b)
	if b.Got("cpc1a") != "51" {
		t.Errorf("paid %s, want 51", b.Got("cpc1a"))
	}
}

// One transfer by hand from the paying account stops payment until it is checked,
// and costs nobody anything; also while a settlement waits for the same number.
func TestTheAccountUsedByHand(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("1000")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
	if err := s.Step(t.Context(), b.Height); err != nil {
		t.Fatal(err)
	}
	b.ByHand("")
	b.ByHand(settle.Memo("another", 3, nil))
	b.Height += settle.TimeoutBlocks // until no block can hold it any longer
	p := stopped(t, s, b, "something else pays")
	if len(p.Found) != 2 || p.Found[0].Number != 0 ||
		!strings.Contains(p.Found[0].Note, "by hand") ||
		!strings.Contains(p.Found[1].Note, "another ledger") {
		t.Fatalf("%+v", p)
	}
	if err := s.Resolve(p.Digest, ""); err != nil {
		t.Fatal(err)
	}
	run(t, s, b)
	if b.Got("cpc1a") != "100" {
		t.Errorf("%v", b.Paid)
	}
}

// An empty ledger does not begin to pay from an account that has paid: what it
// paid for may come to be credited again. Blocks that are gone are named.
func TestAnEmptyLedgerAsks(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("1000")
	b.ByHand("")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
	p := stopped(t, s, b, "has paid nothing yet")
	if p.Missing == "" {
		t.Errorf("%+v", p)
	}
	if err := s.Resolve(p.Digest, ""); err != nil {
		t.Fatal(err)
	}
	run(t, s, b)
	if b.Got("cpc1a") != "100" {
		t.Errorf("%v", b.Paid)
	}
	b.ByHand("")
	b.Pruned = b.Height
	if p := stopped(t, s, b, "something else"); !strings.Contains(p.Missing,
		"does not have block") {
		t.Errorf("%+v", p)
	}
	s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1new"})
	stopped(t, s, b, "a key of account cpc1new")
}

func TestMemos(t *testing.T) {
	payments := make([]ledger.Payment, settle.Most)
	for i := range payments {
		payments[i].Device = ledger.Device{byte(i), 0xff, 0xfb, 9}
	}
	m := settle.Memo("0123456789abcdef", 1<<60, payments)
	if len(m) > settle.MaxMemo {
		t.Errorf("%d characters", len(m))
	}
	id, n, devices, ok := settle.ParseMemo(m)
	if !ok || id != "0123456789abcdef" || n != 1<<60 || len(devices) != settle.Most ||
		devices[49] != payments[49].Device.Prefix() {
		t.Errorf("%v %d %v %v", id, n, devices, ok)
	}
	// Ledgers of other versions of the program read it for ever.
	const old = "assay/pay/1/00112233445566ff/7/AP_7Af_7"
	if m := settle.Memo("00112233445566ff", 7, payments[:2]); m != old {
		t.Errorf("the memo is %q, and was %q", m, old)
	}
	for _, bad := range []string{"", "hello", settle.MemoTag + "a/0/", settle.MemoTag + "a/1",
		settle.MemoTag + "a/1/=", settle.MemoTag + "a/1/AA",
		settle.MemoTag + strings.Repeat("a", 300) + "/1/"} {
		if _, _, _, ok := settle.ParseMemo(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}
