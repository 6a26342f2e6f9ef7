// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.UnixMilli(1_800_000_000_000)

func amount(t testing.TB, s string) Amount {
	t.Helper()
	a, err := ParseAmount(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func coins(n int) Amount { return Pay(1<<40, Amount{}).Add(must(ParseAmount(fmt.Sprint(n)))) }

func must(a Amount, err error) Amount {
	if err != nil {
		panic(err)
	}
	return a
}

func create(t testing.TB, rules Rules) (*Ledger, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := Open(path, rules, Amount{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

func register(t testing.TB, l *Ledger, devices ...Device) {
	t.Helper()
	for _, d := range devices {
		if _, err := l.Register(d, "cpc1"+d.String()[:8], noon); err != nil {
			t.Fatal(err)
		}
	}
}

// follow gives the ledger a paying account that has made no transaction.
func follow(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Follow("cpc1payer", 0, 1); err != nil {
		t.Fatal(err)
	}
}

func credit(t testing.TB, l *Ledger, d Device, source string, pay int) Entry {
	t.Helper()
	e, err := l.Credit(Entry{Device: d, Kind: Loops, Source: source, Ops: 7, Pay: coins(pay),
		At: noon.UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func standing(t testing.TB, l *Ledger, d Device) Account {
	t.Helper()
	a, err := l.Account(d)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAmounts(t *testing.T) {
	for _, s := range []string{"", "-1", "+1", "01", "1.0", "1e3", " 1", strings.Repeat("9", 79)} {
		if a, err := ParseAmount(s); err == nil {
			t.Errorf("ParseAmount(%q) = %s", s, a)
		}
	}
	rate := amount(t, "1000000000000000000")
	for ops, want := range map[uint64]string{0: "0", 1: "909494", 1 << 40: "1000000000000000000",
		1<<64 - 1: "16777215999999999999090505"} {
		if got := Pay(ops, rate).String(); got != want {
			t.Errorf("Pay(%d) = %s, want %s", ops, got, want)
		}
	}
	raw, err := json.Marshal(struct{ A Amount }{rate})
	if err != nil || string(raw) != `{"A":"1000000000000000000"}` {
		t.Errorf("%s, %v", raw, err)
	}
}

// Pay goes its way: locked, due, settling, settled; and what is due stays the
// machine's when it is caught later.
// Holds spec M-18.
func TestTheWayOfPay(t *testing.T) {
	l, _ := create(t, Rules{Unlock: 2, Strikes: 3})
	d, other := Device{1}, Device{2}
	register(t, l, d, other)
	follow(t, l)
	for i, s := range []string{"a", "b", "c"} {
		credit(t, l, d, s, 10*(i+1))
	}
	credit(t, l, other, "a", 5)
	if a := standing(t, l, d); a.Due.String() != "10" || a.Locked.String() != "50" ||
		a.Clean != 3 || a.Ops.String() != "21" {
		t.Fatalf("after three: %+v", a)
	}
	pays, err := l.Payable(10)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Payment{{Device: d, Payout: "cpc101000000", Amount: coins(10)}}, pays,
		cmp.Comparer(func(a, b Amount) bool { return a.Cmp(b) == 0 })); d != "" {
		t.Fatal(d)
	}
	if _, err := l.Begin(Settlement{Payments: pays, Raw: []byte("tx"), Hash: "AB", Timeout: 9,
		Sequence: 1}); !errors.Is(err, ErrSettlement) {
		t.Errorf("another sequence than the books': %v", err)
	}
	s, err := l.Begin(Settlement{Payments: pays, Raw: []byte("tx"), Hash: "AB", Timeout: 9})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Begin(Settlement{Payments: pays, Raw: []byte("tx2"), Hash: "CD",
		Timeout: 9}); !errors.Is(err, ErrSettlement) {
		t.Errorf("two at a time: %v", err)
	}
	if _, err := l.Forfeit(d, Loops, "d", "leaf 7 is forged", noon); err != nil {
		t.Fatal(err)
	}
	if a := standing(t, l, d); a.Forfeited.String() != "50" || !a.Locked.IsZero() ||
		a.Settling.String() != "10" || a.Strikes != 1 || a.Banned {
		t.Fatalf("a strike: %+v", a)
	}
	if err := l.Finish(s.Number, 8, noon); err != nil {
		t.Fatal(err)
	}
	if err := l.GiveUp(s.Number, 0, "late"); !errors.Is(err, ErrSettlement) {
		t.Errorf("given up after it was settled: %v", err)
	}
	if a := standing(t, l, d); a.Settled.String() != "10" || !a.Settling.IsZero() {
		t.Errorf("settled: %+v", a)
	}
	if list, err := l.Transfers(d, 5); err != nil || len(list) != 1 || list[0].Hash != "AB" ||
		list[0].Amount.String() != "10" {
		t.Errorf("its transfers: %+v, %v", list, err)
	}
	if list, err := l.Transfers(other, 5); err != nil || len(list) != 0 {
		t.Errorf("the other's transfers: %+v, %v", list, err)
	}
	if e, found, err := l.Entry(d, Loops, "a"); err != nil || !found || e.State != Due {
		t.Errorf("its entry: %+v, %v, %v", e, found, err)
	}
	if b, err := l.Books(); err != nil || b.Sequence != 1 || b.Height != 8 || len(b.ID) != 16 {
		t.Errorf("the books: %+v, %v", b, err)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// Holds spec H-16.
func TestASourceIsTakenOnce(t *testing.T) {
	l, _ := create(t, Rules{Unlock: 0, Strikes: 2})
	d := Device{1}
	register(t, l, d)
	first := credit(t, l, d, "a", 10)
	if again := credit(t, l, d, "a", 99); again.Number != first.Number ||
		again.Pay.String() != "10" {
		t.Errorf("again: %+v", again)
	}
	if a := standing(t, l, d); a.Due.String() != "10" || a.Entries != 1 {
		t.Errorf("%+v", a)
	}
	for range 2 {
		if _, err := l.Forfeit(d, Loops, "b", "forged", noon); err != nil {
			t.Fatal(err)
		}
		if a := standing(t, l, d); a.Strikes != 1 {
			t.Errorf("one strike said twice: %+v", a)
		}
	}
	if _, err := l.Silence(d, Loops, "silent", "no answer", noon); err != nil {
		t.Fatal(err)
	}
	if a := standing(t, l, d); a.Strikes != 1 || a.Clean != 0 {
		t.Errorf("silence is no strike: %+v", a)
	}
	if _, err := l.Forfeit(d, Loops, "c", "forged again", noon); err != nil {
		t.Fatal(err)
	}
	if a := standing(t, l, d); !a.Banned {
		t.Fatalf("the last strike: %+v", a)
	}
	if _, err := l.Credit(Entry{Device: d, Kind: Loops, Source: "d"}); !errors.Is(err, ErrBanned) ||
		!strings.Contains(err.Error(), "forged again") {
		t.Errorf("credit of a banned device: %v", err)
	}
	if _, err := l.Register(d, "cpc1x", noon); !errors.Is(err, ErrBanned) {
		t.Errorf("a banned device registers: %v", err)
	}
	if _, err := l.Credit(Entry{Device: Device{9}}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a stranger's credit: %v", err)
	}
}

// Silence takes nothing, and begins the wait for what is locked again.
// Holds spec M-18.
func TestSilenceCostsTheSubmission(t *testing.T) {
	l, _ := create(t, Rules{Unlock: 2, Strikes: 1})
	d := Device{1}
	register(t, l, d)
	credit(t, l, d, "a", 10)
	credit(t, l, d, "b", 20)
	if _, err := l.Silence(d, Loops, "c", "no answer", noon); err != nil {
		t.Fatal(err)
	}
	credit(t, l, d, "d", 5)
	if a := standing(t, l, d); a.Locked.String() != "35" || !a.Due.IsZero() ||
		!a.Forfeited.IsZero() || a.Strikes != 0 {
		t.Errorf("after silence and one clean submission: %+v", a)
	}
	credit(t, l, d, "e", 5)
	if a := standing(t, l, d); a.Due.String() != "30" || a.Locked.String() != "10" {
		t.Errorf("after two: %+v", a)
	}
	if _, err := l.Strike(d, Leaves, "f", "forged", noon); err != nil {
		t.Fatal(err)
	}
	if a := standing(t, l, d); !a.Banned || !a.Forfeited.IsZero() || a.Locked.String() != "10" {
		t.Errorf("a strike that takes nothing: %+v", a)
	}
}

// A fault takes its share off what is locked, rounded up, and nothing off what
// is due.
// Holds spec M-18.
func TestAFaultCostsItsShare(t *testing.T) {
	l, _ := create(t, Rules{Unlock: 1, Strikes: 1})
	d := Device{1}
	register(t, l, d)
	credit(t, l, d, "a", 100)
	credit(t, l, d, "b", 101)
	e, err := l.CreditFaulty(Entry{Device: d, Kind: Loops, Source: "c", Pay: coins(50)}, 1<<63,
		"2 of 90 tiles are wrong")
	if err != nil || e.Pay.String() != "50" {
		t.Fatalf("%+v, %v", e, err)
	}
	if a := standing(t, l, d); a.Due.String() != "150" || a.Locked.String() != "50" ||
		a.Forfeited.String() != "51" || a.Strikes != 0 {
		t.Errorf("%+v", a)
	}
	if e, _, _ := l.Entry(d, Loops, "b"); e.Pay.String() != "50" || e.Taken.String() != "51" ||
		e.Reason == "" {
		t.Errorf("%+v", e)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

func TestOneProgramAtATime(t *testing.T) {
	_, path := create(t, Rules{Strikes: 1})
	if _, err := Open(path, Rules{Strikes: 1}, Amount{}); err == nil ||
		!strings.Contains(err.Error(), "another host") {
		t.Errorf("opened twice: %v", err)
	}
}

// An entry is judged by the rules it was made under, whatever the host's are
// when its time comes; and a cheat by those of the submission it was found in.
func TestEntriesKeepTheirRules(t *testing.T) {
	l, path := create(t, Rules{Unlock: 2, Strikes: 3})
	d := Device{1}
	register(t, l, d)
	first := credit(t, l, d, "a", 1) // due at the 3rd
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path, Rules{Unlock: 100, Strikes: 1}, Amount{}) // worse ones
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	slow := credit(t, l, d, "b", 10) // due at the 102nd
	quick := credit(t, l.Under(Rules{Unlock: 0, Strikes: 3}), d, "c", 100)
	if first.Rules != (Rules{2, 3}) || slow.Rules != (Rules{100, 1}) ||
		quick.Rules != (Rules{0, 3}) || quick.State != Due {
		t.Errorf("made under %+v, %+v, %+v", first.Rules, slow.Rules, quick.Rules)
	}
	if a := standing(t, l, d); a.Due.String() != "101" || a.Locked.String() != "10" {
		t.Errorf("due %s, locked %s: the first, and the third behind a slow one", a.Due, a.Locked)
	}
	// It counts again behind silence, by its own rules.
	again := credit(t, l.Under(Rules{Unlock: 1, Strikes: 3}), d, "d", 1000)
	if _, err := l.Silence(d, Loops, "e", "no answer", noon); err != nil {
		t.Fatal(err)
	}
	credit(t, l, d, "f", 0)
	if e, _, err := l.Entry(d, Loops, "d"); err != nil || e.State != Due ||
		e.Number != again.Number {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := l.Under(Rules{Unlock: 2, Strikes: 3}).Forfeit(d, Loops, "g",
		"forged", noon); err != nil {
		t.Fatal(err)
	}
	if a := standing(t, l, d); a.Banned || a.Strikes != 1 || a.Forfeited.String() != "10" {
		t.Errorf("one of three strikes: %+v", a)
	}
	if _, err := l.Forfeit(d, Loops, "h", "forged", noon); err != nil {
		t.Fatal(err)
	}
	if a := standing(t, l, d); !a.Banned {
		t.Errorf("by rules of one strike: %+v", a)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// Whatever happens in whatever order, with the file closed and opened in
// between: every unit is somewhere, nothing is paid twice, and what the model
// says was settled was settled.
func TestConservation(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run))
		rules := Rules{Unlock: rapid.Uint64Range(0, 3).Draw(t, "unlock"), Strikes: 2}
		fast := options
		fast.NoSync = true // what is tested is not the disk
		least := coins(rapid.IntRange(0, 50).Draw(t, "least"))
		l, err := open(path, rules, least, fast)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { l.Close() }()
		devices := []Device{{1}, {2}, {3}}
		for _, d := range devices {
			if _, err := l.Register(d, "cpc1"+d.String()[:4], noon); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Follow("cpc1payer", 0, 1); err != nil {
			t.Fatal(err)
		}
		credited := map[string]int{} // by device and source
		var onChain, total int
		finish := func(s Settlement) {
			for _, p := range s.Payments {
				n := 0
				fmt.Sscan(p.Amount.String(), &n)
				onChain += n
			}
			if err := l.Finish(s.Number, 1, noon); err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"credit": func(t *rapid.T) {
				d := rapid.SampledFrom(devices).Draw(t, "device")
				source := rapid.StringMatching("[a-f]{2}").Draw(t, "source")
				pay := rapid.IntRange(0, 100).Draw(t, "pay")
				_, known, err := l.Entry(d, Loops, source)
				if err != nil {
					t.Fatal(err)
				}
				under := Rules{Unlock: rapid.Uint64Range(0, 3).Draw(t, "under"), Strikes: 2}
				e, err := l.Under(under).Credit(Entry{Device: d, Kind: Loops, Source: source,
					Pay: coins(pay)})
				if errors.Is(err, ErrBanned) {
					return
				} else if err != nil {
					t.Fatal(err)
				}
				if !known {
					credited[d.String()+source] = pay
					total += pay
				} else if e.Pay.Add(e.Taken).String() != fmt.Sprint(credited[d.String()+source]) {
					t.Fatalf("entry changed: %+v", e)
				}
			},
			"fault": func(t *rapid.T) {
				d := rapid.SampledFrom(devices).Draw(t, "device")
				source := rapid.StringMatching("f[a-f]{2}").Draw(t, "source")
				_, known, err := l.Entry(d, Loops, source)
				if err != nil {
					t.Fatal(err)
				}
				_, err = l.CreditFaulty(Entry{Device: d, Kind: Loops, Source: source,
					Pay: coins(3)}, rapid.Uint64().Draw(t, "bad"), "flaky")
				if err != nil && !errors.Is(err, ErrBanned) {
					t.Fatal(err)
				}
				if err == nil && !known {
					total += 3
				}
			},
			"forfeit": func(t *rapid.T) {
				d := rapid.SampledFrom(devices).Draw(t, "device")
				enter := rapid.SampledFrom([]func(Device, Kind, string, string, time.Time) (Entry,
					error){l.Forfeit, l.Silence, l.Strike}).Draw(t, "kind")
				if _, err := enter(d, Loops, rapid.StringMatching("x[a-f]{2}").Draw(t, "source"),
					"forged", noon); err != nil {
					t.Fatal(err)
				}
			},
			"settle": func(t *rapid.T) {
				s, found, err := l.Unfinished()
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case !found:
					pays, err := l.Payable(2)
					if err != nil {
						t.Fatal(err)
					}
					b, err := l.Books()
					if err != nil {
						t.Fatal(err)
					}
					if len(pays) > 0 {
						if n := 0; rapid.Bool().Draw(t, "in part") {
							fmt.Sscan(pays[0].Amount.String(), &n)
							pays[0].Amount = coins(rapid.IntRange(1, n).Draw(t, "part"))
						}
						if _, err := l.Begin(Settlement{Payments: pays, Raw: []byte{1}, Hash: "h",
							Timeout: 1, Sequence: b.Sequence}); err != nil {
							t.Fatal(err)
						}
					}
				case rapid.Bool().Draw(t, "in a block"):
					finish(s)
				default:
					if err := l.GiveUp(s.Number, rapid.Int64Range(0, 1).Draw(t, "failed"),
						"timeout"); err != nil {
						t.Fatal(err)
					}
				}
			},
			"restart": func(t *rapid.T) {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if l, err = open(path, rules, least, fast); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				if err := l.Check(); err != nil {
					t.Fatal(err)
				}
				var all, settled Amount
				for _, d := range devices {
					a, err := l.Account(d)
					if err != nil {
						t.Fatal(err)
					}
					all = all.Add(a.Locked).Add(a.Due).Add(a.Settling).Add(
						a.Settled).Add(a.Forfeited)
					settled = settled.Add(a.Settled)
				}
				if all.String() != fmt.Sprint(total) || settled.String() != fmt.Sprint(onChain) {
					t.Fatalf("%s of %d credited, %s of %d settled", all, total, settled, onChain)
				}
			},
		})
	})
}

// Concurrent credits share flushes and lose nothing.
func TestConcurrentCredits(t *testing.T) {
	l, _ := create(t, Rules{Unlock: 5, Strikes: 3})
	d := Device{1}
	register(t, l, d)
	var running sync.WaitGroup
	for g := range 20 {
		running.Go(func() {
			for i := range 10 {
				if _, err := l.Credit(Entry{Device: d, Kind: Leaves, Source: fmt.Sprint(g, "/", i),
					Pay: coins(1)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if a := standing(t, l, d); a.Locked.String() != "5" || a.Due.String() != "195" ||
		a.Clean != 200 {
		t.Errorf("%+v", a)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	if list, err := l.Accounts(Device{}, 10); err != nil || len(list) != 1 || list[0].Device != d {
		t.Errorf("accounts: %+v, %v", list, err)
	}
}

func BenchmarkCredit(b *testing.B) {
	l, _ := create(b, Rules{Unlock: 20, Strikes: 3})
	d := Device{1}
	register(b, l, d)
	var n sync.Mutex
	next := 0
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n.Lock()
			next++
			source := fmt.Sprint(next)
			n.Unlock()
			if _, err := l.Credit(Entry{Device: d, Kind: Loops, Source: source,
				Pay: coins(1)}); err != nil {
				b.Error(err)
			}
		}
	})
}
