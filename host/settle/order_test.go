// SPDX-License-Identifier: Apache-2.0

package settle_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/settle/settletest"
)

// A block comes between the height that a step is for and the question where the account
// stands. The number is used, and the blocks up to that height do not say by what: the
// settlement is neither given up nor a reason to stop.
func TestTheAccountIsNewerThanTheHeight(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("1000")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	for i := range 3 {
		earn(t, l, ledger.Device{1}, "cpc1a", fmt.Sprint(i), "100")
		if err := s.Step(t.Context(), b.Height); err != nil {
			t.Fatal(err)
		}
		b.Make(true)
		for _, height := range []int64{b.Height - 1, b.Height} {
			if err := s.Step(t.Context(), height); err != nil {
				t.Fatal(err)
			}
			if st := s.Status(); st.Plan != nil || strings.Contains(st.Reason, "given up") {
				t.Fatalf("payment %d, %d: %+v", i, height-b.Height, st)
			}
		}
	}
	if b.Got("cpc1a") != "300" {
		t.Errorf("paid %s", b.Got("cpc1a"))
	}
	b.ByHand("") // and what is not the ledger's is missed no more
	if err := s.Step(t.Context(), b.Height-1); err != nil {
		t.Fatal(err)
	}
	if p := s.Status().Plan; p == nil || p.Ready {
		t.Errorf("ready before the block is read: %+v", p)
	}
	if p := stopped(t, s, b, "something else"); p.Missing != "" || len(p.Found) != 1 {
		t.Errorf("%+v", p)
	}
}

// Another transaction of the account is in the very block in which ledger and chain
// agreed last.
func TestTwoInOneBlock(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("1000")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
	if err := s.Step(t.Context(), b.Height); err != nil {
		t.Fatal(err)
	}
	b.Make(true)
	b.InTheSameBlock("")
	if p := stopped(t, s, b, "something else"); p.Missing != "" || len(p.Found) != 1 {
		t.Errorf("%+v", p)
	}
}

// The owner names another paying key while a payment by the old one is on its way. The
// blocks say what became of it; the new account's numbers say nothing.
func TestAnotherPayingKeyWhileOneIsOpen(t *testing.T) {
	for _, enters := range []bool{true, false} {
		for _, before := range []uint64{0, 9} { // transactions of the new account
			l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
			b := settletest.New("1000")
			b.Switch("cpc1old")
			s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1old"})
			earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
			if err := s.Step(t.Context(), b.Height); err != nil {
				t.Fatal(err)
			}
			if !enters {
				b.Lose()
			}
			b.Switch("cpc1new")
			b.Sequence = before
			s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1new"})
			for range settle.TimeoutBlocks + 4 {
				if !enters { // a node that takes nothing
					b.Lose()
				}
				b.Make(true)
				if err := s.Step(t.Context(), b.Height); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Resolve(stopped(t, s, b, "a key of account cpc1new").Digest,
				""); err != nil {
				t.Fatal(err)
			}
			run(t, s, b)
			if b.Got("cpc1a") != "100" {
				t.Errorf("it entered: %v, the new account had made %d: %s is paid, want 100",
					enters, before, b.Got("cpc1a"))
			}
		}
	}
}

// stale is a chain behind a node that is some blocks behind, or behind two of which one
// answers for the other's height.
type stale struct {
	*settletest.Bank
	lag, mixed int64
	sequences  map[int64]uint64 // after a height
}

// seen is the height that the node tells.
func (s *stale) seen() int64 {
	s.sequences[s.Height] = s.Sequence
	return max(0, s.Height-s.lag)
}

func (s *stale) Account(ctx context.Context) (number, sequence uint64, err error) {
	number, _, err = s.Bank.Account(ctx)
	for h := s.seen() - s.mixed; h >= 0; h-- {
		if sequence, known := s.sequences[h]; known {
			return number, sequence, err
		}
	}
	return number, 0, err
}

// Whatever comes in whatever order (copies of the ledger put back, a second host on a copy
// of it, a node that is behind, the account used by hand, transactions lost, kills), the
// chain never pays a machine more than it earned, and with a person who reads the plans
// it is paid all of it.
func TestNoOrderPaysTwice(t *testing.T) {
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		if runs++; runs > 12 && os.Getenv("ASSAY_LONG") == "" {
			return // each takes some hundred flushes
		}
		b := settletest.New("1099511627776")
		chain := &stale{Bank: b, sequences: map[int64]uint64{}}
		// a node has answered for two heights at once; the blocks may not show all then
		puzzled := false
		names := []string{filepath.Join(dir, fmt.Sprint(runs, "a")),
			filepath.Join(dir, fmt.Sprint(runs, "b"))}
		var l [2]*ledger.Ledger
		var s [2]*settle.Settler
		devices := []ledger.Device{{1}, {2}}
		payout := func(d ledger.Device) string { return "cpc1" + d.String()[:2] }
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		earned := map[ledger.Device]ledger.Amount{}
		var receipts []ledger.Entry
		// bring enters by receipts what a ledger lacks.
		bring := func(l *ledger.Ledger) {
			for _, d := range devices {
				_, err := l.Register(d, payout(d), t0)
				must(err)
			}
			for _, e := range receipts {
				_, err := l.Reclaim(e)
				must(err)
			}
		}
		open := func(i int) {
			var err error
			l[i], err = ledger.Open(names[i], ledger.Rules{Strikes: 1}, ledger.Amount{})
			must(err)
			s[i] = settle.New(settle.Config{Ledger: l[i], Chain: chain, Account: "cpc1host"})
		}
		shut := func(i int) {
			if l[i] != nil {
				must(l[i].Close())
				l[i] = nil
			}
		}
		open(0)
		defer func() { shut(0); shut(1) }()
		bring(l[0])
		must(s[0].Step(t.Context(), b.Height)) // it knows its account
		var backup []byte
		step := func(i int) {
			if l[i] == nil {
				return
			}
			if err := s[i].Step(t.Context(), chain.seen()); err != nil &&
				!errors.Is(err, settletest.ErrDown) && !strings.Contains(err.Error(), "refuses") {
				t.Fatal(err)
			}
			if p := s[i].Status().Plan; p != nil && p.Ready && p.Missing == "" {
				must(s[i].Resolve(p.Digest, ""))
			}
		}
		check := func() {
			for _, d := range devices {
				if b.Paid[payout(d)].Cmp(earned[d]) > 0 {
					t.Fatalf("%s got %s, and earned %s", payout(d), b.Got(payout(d)), earned[d])
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"earn": func(t *rapid.T) {
				d := rapid.SampledFrom(devices).Draw(t, "device")
				pay, _ := ledger.ParseAmount(fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "pay")))
				e := ledger.Entry{Device: d, Kind: ledger.Loops, Source: fmt.Sprint(len(receipts)),
					Order: 1<<50 + uint64(len(receipts)), Pay: pay}
				receipts = append(receipts, e)
				earned[d] = earned[d].Add(pay)
				_, err := l[0].Credit(e)
				must(err)
			},
			"step":   func(*rapid.T) { step(0) },
			"second": func(*rapid.T) { step(1) },
			"block":  func(t *rapid.T) { b.Make(rapid.Bool().Draw(t, "included")); chain.seen() },
			"blocks": func(*rapid.T) { b.Height += settle.TimeoutBlocks },
			"lost":   func(*rapid.T) { b.Lose() },
			"behind": func(t *rapid.T) { chain.lag = rapid.Int64Range(0, 3).Draw(t, "blocks") },
			"mixed": func(t *rapid.T) {
				chain.mixed = rapid.SampledFrom([]int64{0, 0, 0, 2}).Draw(t, "blocks")
				puzzled = puzzled || chain.mixed > 0
			},
			"hand":   func(*rapid.T) { b.ByHand(""); chain.seen() },
			"killed": func(*rapid.T) { shut(0); open(0) },
			"backup": func(*rapid.T) {
				shut(0)
				var err error
				backup, err = os.ReadFile(names[0])
				must(err)
				open(0)
			},
			"restore": func(*rapid.T) {
				if backup == nil {
					return
				}
				shut(0)
				must(os.WriteFile(names[0], backup, 0o600))
				open(0)
				bring(l[0])
			},
			"copy": func(*rapid.T) { // a second machine from a snapshot of the first
				shut(1)
				shut(0)
				raw, err := os.ReadFile(names[0])
				must(err)
				must(os.WriteFile(names[1], raw, 0o600))
				open(0)
				open(1)
			},
			"": func(*rapid.T) { check() },
		})
		shut(1)
		chain.lag, chain.mixed = 0, 0
		bring(l[0])
		for range 60 {
			step(0)
			b.Make(true)
			check()
			if len(receipts)%2 == 0 { // the person comes later
				b.Height += settle.TimeoutBlocks
			}
		}
		for _, d := range devices {
			if !puzzled && b.Paid[payout(d)].Cmp(earned[d]) != 0 {
				t.Fatalf("%s got %s, and earned %s: %+v", payout(d), b.Got(payout(d)),
					earned[d], s[0].Status())
			}
		}
		must(l[0].Check())
	})
}
