// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// The least is a fifth of what the plan expects, for the slowest plan too, and on a
// network with short challenges one loop.
// Holds spec M-8.
func TestLeast(t *testing.T) {
	small, large := mpoc.Shapes()[0], mpoc.Shapes()[len(mpoc.Shapes())-1]
	for _, c := range []struct {
		rate  uint64
		shape matmul.Shape
		ms    uint64
		want  uint64
	}{
		{floorRate, small, 60_000, 199}, // of 999: the rate is a whole number
		{floorRate, small, 20, 1},
		{100 * small.Ops(), small, 20_000, 400},
		{100 * large.Ops(), large, 20_000, 400},
	} {
		if got := least(c.rate, c.shape, c.ms, mpoc.MaxLoops); got != c.want {
			t.Errorf("at %d op/s in %d ms: %d, want %d", c.rate, c.ms, got, c.want)
		}
	}
	if got := least(1<<53-1, small, 60_000, mpoc.MaxLoops); got != mpoc.MaxLoops/leastShare {
		t.Errorf("where the log is full: %d, want a fifth of it", got)
	}
	for _, d := range []device{{Registration: mpoc.Registration{RateOps: 1}},
		{Rate: 1}, {Slower: 1}} {
		if planned(&d) != floorRate {
			t.Errorf("%+v is planned with %d", d, planned(&d))
		}
	}
}

// A standing falls by half in six hours, evenly enough, and ends when it is said to.
// Holds spec H-12.
func TestStandingFades(t *testing.T) {
	half := uint64(halfLife.Milliseconds())
	for _, standing := range []uint64{1, 31, 1 << 20, 1<<64 - 1} {
		if got := decayed(standing, half); got != standing/2 {
			t.Errorf("%d after a half-life: %d", standing, got)
		}
		last := standing
		for ms := uint64(0); ms < 70*half; ms += half / 7 {
			now := decayed(standing, ms)
			if now > last {
				t.Fatalf("%d rises to %d after %d ms", last, now, ms)
			}
			last = now
		}
		if last != 0 {
			t.Errorf("%d never ends", standing)
		}
		for _, nothing := range []uint64{1, 30} {
			if standing < nothing {
				continue
			}
			end := lasts(standing, nothing)
			if before := end - min(end, half/100); decayed(standing, before) < nothing ||
				decayed(standing, end+half/100) > nothing {
				t.Errorf("%d is %d and %d around the time when it should be below %d", standing,
					decayed(standing, before), decayed(standing, end+half/100), nothing)
			}
		}
	}
}

// What is bought with one submission is over after half a day, whatever its kind; a
// machine that goes on keeps it; a forger loses it at once.
// Holds spec H-12.
func TestStandingFollowsWork(t *testing.T) {
	h := newTimes(t)
	once := &device{Accepted: 1}
	if !h.raise(once, least(floorRate, mpoc.Shapes()[0], 60_000,
		mpoc.MaxLoops)*mpoc.Shapes()[0].Ops()) || h.standing(once) == 0 {
		t.Fatal("the least submission gives no standing")
	}
	busy, hard := *once, device{Accepted: 1}
	h.raise(&hard, 1<<62)
	for range 13 * 60 {
		h.spend(time.Minute)
		h.raise(&busy, 1<<36)
	}
	if h.standing(once) != 0 || h.standing(&busy) == 0 {
		t.Errorf("after 13 hours the one that stopped has %d, the other %d", h.standing(once),
			h.standing(&busy))
	}
	if now := h.standing(&hard); now == 0 || now > 1<<62>>unitBits/4 {
		t.Errorf("after 13 hours a key that worked hard once has %d", now)
	}
	h.lose(&busy)
	if h.standing(&busy) != 0 || busy.Fades > h.lived() {
		t.Error("a forger keeps its standing")
	}
}

// A key whose standing is over is forgotten after as long as receipts are kept, with
// them, unless something is owed to it. Where there are too many keys the weakest go,
// however new they are; what they earned stays in the ledger.
func TestKeysThatStoppedAreForgotten(t *testing.T) {
	h := newTimes(t)
	var gone []signed.Key
	h.c.Forgotten = func(key signed.Key) { gone = append(gone, key) }
	add := func(b byte, ops uint64, owed bool) signed.Key {
		key := signed.Key{b}
		g := &giver{t: t, s: h.state, key: key,
			d: device{Accepted: 1, Since: h.lived(),
				Registration: mpoc.Registration{DeviceKey: key}}}
		h.raise(&g.d, ops)
		g.give(h.lived())
		h.count(func(n *totals) { n.devices++ })
		if !owed {
			return key
		}
		if _, err := h.books.Register(ledger.Device(key), "", h.clock.Wall()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.books.Credit(ledger.Entry{Device: ledger.Device(key), Kind: ledger.Loops,
			Source: "a", Order: 1, Ops: 1, Pay: ledger.Pay(1<<50, h.amount(1<<40))}); err != nil {
			t.Fatal(err)
		}
		return key
	}
	known := func(key signed.Key) bool { _, known, _ := h.state.device(key); return known }
	free, owed, strong := add(1, 1<<36, false), add(2, 1<<36, true), add(3, 1<<62, false)
	days := func(n int) {
		h.spend(time.Duration(n) * 24 * time.Hour)
		if err := h.prune(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if days(30); !known(free) || !known(owed) || !known(strong) {
		t.Fatal("a key is forgotten before its receipts are")
	}
	if days(2); known(free) || !known(owed) || !known(strong) ||
		!slices.Equal(gone, []signed.Key{free}) {
		t.Fatalf("after 32 days %d keys were forgotten; want the one that nothing is owed to",
			len(gone))
	}
	if days(20); known(strong) {
		t.Error("a key that worked hard once is never forgotten")
	}
	weak, newer := add(4, 1<<36, true), add(5, 1<<40, false)
	forgot, err := h.state.fade(0, 2, 100, h.owes)
	if err != nil || !slices.Contains(forgot, weak) || slices.Contains(forgot, newer) {
		t.Errorf("of too many %d were forgotten, %v; want the weakest", len(forgot), err)
	}
	if a, err := h.books.Account(ledger.Device(weak)); err != nil || a.Locked.IsZero() {
		t.Errorf("what it earned is gone: %+v, %v", a, err)
	}
}

// spend is as long a time in which the host worked.
func (h *times) spend(d time.Duration) {
	h.clock.Resume(h.clock.Lived() + uint64(d.Milliseconds()))
}

func (h *times) amount(n uint64) ledger.Amount {
	a, err := ledger.ParseAmount(strconv.FormatUint(n, 10))
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// Work in the Sprint counts as the pool's loops do, so that a node is not overtaken by
// machines that compute nothing else; but not for a key that has shown the pool nothing.
func TestWorkInTheSprintIsStanding(t *testing.T) {
	h := newTimes(t)
	for i, accepted := range []uint64{0, 1} {
		key := signed.Key{byte(i + 1)}
		if err := h.state.save(key, &device{Accepted: accepted}, nil); err != nil {
			t.Fatal(err)
		}
		if err := h.Verified(key, 1<<50); err != nil {
			t.Fatal(err)
		}
		if s, err := h.Recent(key); err != nil || s != accepted<<30 {
			t.Errorf("with %d accepted submissions the standing is %d, %v", accepted, s, err)
		}
	}
	if err := h.Verified(signed.Key{9}, 1<<50); err != nil {
		t.Error(err)
	}
}

// A crowd of free keys, and of keys that worked as little as they could, pushes out
// none that works.
func TestCrowdsForgetNobodyWhoWorks(t *testing.T) {
	fast := options
	fast.NoSync = true
	s, _, _, err := openStateAs(filepath.Join(t.TempDir(), "pool"), func([]byte) {}, fast)
	if err != nil {
		t.Fatal(err)
	}
	defer s.file.Close()
	p := newTimes(t).Pool
	worker := device{Accepted: 9}
	p.raise(&worker, 1<<50)
	if err := s.save(signed.Key{0xff}, &worker, nil); err != nil {
		t.Fatal(err)
	}
	const crowd, most = 3000, 1000
	for i := range crowd {
		key := signed.Key{1}
		binary.BigEndian.PutUint64(key[8:], uint64(i))
		d := device{Accepted: uint64(i % 2), Since: uint64(i)}
		if d.Accepted > 0 {
			p.raise(&d, 1<<34)
		}
		if err := s.save(key, &d, nil); err != nil {
			t.Fatal(err)
		}
	}
	proven, err := s.file.Records(bucketFading)
	if err != nil {
		t.Fatal(err)
	}
	forgot, err := s.fade(0, int(proven)-most, pruned, func(signed.Key) bool { return true })
	if err != nil || len(forgot) != int(proven)-most {
		t.Fatalf("%d of %d were forgotten, %v; want %d left", len(forgot), proven, err, most)
	}
	if _, known, err := s.device(signed.Key{0xff}); err != nil || !known {
		t.Errorf("the one that works was forgotten, %v", err)
	}
	if left, err := s.file.Records(bucketFading); err != nil || left != most {
		t.Errorf("%d are left in the index, %v", left, err)
	}
}
