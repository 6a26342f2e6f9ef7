// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Holds spec M-3.
func TestShapes(t *testing.T) {
	shapes := Shapes()
	for i, s := range shapes {
		if err := s.Valid(); err != nil {
			t.Error(err)
		}
		if want := uint64(1) << (27 + i); s.Ops() != want {
			t.Errorf("%v: %d operations, want %d", s, s.Ops(), want)
		}
		var back Shape
		if text, err := Shape(s).MarshalText(); err != nil || back.UnmarshalText(text) != nil ||
			back != Shape(s) {
			t.Errorf("%v through text is %v", s, back)
		}
	}
	for _, s := range matmul.Published() {
		if !slices.Contains(shapes, s) {
			t.Errorf("%v is published by package matmul and not here", s)
		}
	}
	for _, text := range []string{"", "512x256", "256x1024x256", "0512x256x512", "512x256x512 "} {
		if err := new(Shape).UnmarshalText([]byte(text)); !errors.Is(err, ErrForm) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Every device that can gets 1,000 to 100,000 loops in 10 to 60 seconds, also if
// it is half or twice as fast as measured, as far as the ends allow.
// Holds spec M-3.
func TestChooseShape(t *testing.T) {
	smallest := Shapes()[0].Ops()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Uint64Range(1, 1<<56).Draw(t, "rate") >> rapid.IntRange(0,
			55).Draw(t, "shift")
		p := ChooseShape(rate)
		if p.DurationMS < 10_000 || p.DurationMS > 60_000 || p.Loops > MaxLoops {
			t.Fatalf("%d op/s: %+v", rate, p)
		}
		if got := new(big.Int).Mul(big.NewInt(int64(p.DurationMS)),
			new(big.Int).SetUint64(rate)); p.Loops < MaxLoops {
			got.Div(got, new(big.Int).SetUint64(1000*p.Shape.Ops()))
			if got.Uint64() != p.Loops {
				t.Fatalf("%d op/s: %+v, the rate gives %v loops", rate, p, got)
			}
		}
		if rate >= MinLoops*smallest/60+1 && p.Loops < MinLoops {
			t.Fatalf("%d op/s: %+v, fewer than 1,000 loops", rate, p)
		}
		if p.Loops < MinLoops && (p.Shape != Shapes()[0] || p.DurationMS != 60_000) {
			t.Fatalf("%d op/s: %+v is not the least", rate, p)
		}
		if middle := p.Loops >= 4_000; middle && p.Shape != Shapes()[13] {
			t.Fatalf("%d op/s: %+v, a larger shape would do", rate, p)
		}
	})
	for _, c := range []struct {
		rate uint64
		want Plan
	}{
		{0, Plan{Shapes()[0], 60_000, 0}},
		{1 << 30, Plan{Shapes()[0], 60_000, 480}},
		{4_000_000_000, Plan{Shapes()[0], 60_000, 1788}},
		{40_000_000_000, Plan{Shapes()[1], 20_000, 2980}},
		{2_000_000_000_000, Plan{Shapes()[7], 20_000, 2328}},
		{1_000_000_000_000_000, Plan{Shapes()[13], 20_000, 18189}},
		{8_000_000_000_000_000, Plan{Shapes()[13], 10_000, 72759}},
		{1<<64 - 1, Plan{Shapes()[13], 10_000, MaxLoops}},
	} {
		if diff := cmp.Diff(c.want, ChooseShape(c.rate)); diff != "" {
			t.Errorf("%d op/s:\n%s", c.rate, diff)
		}
	}
}

// Holds spec M-4, M-5.
func TestTermsRefused(t *testing.T) {
	good := testTerms(testNonce)
	sig := good.Sign(hostKey)
	if err := good.Verify(sig); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Terms){
		"no chain":           func(t *Terms) { t.Chain = "" },
		"control characters": func(t *Terms) { t.Chain = "a\x1bb" },
		"chain":              func(t *Terms) { t.Chain = "other" },
		"host":               func(t *Terms) { t.HostKey[0]++ },
		"device":             func(t *Terms) { t.DeviceKey[0]++ },
		"id":                 func(t *Terms) { t.ChallengeID[0]++ },
		"seed":               func(t *Terms) { t.Seed[0]++ },
		"fresh":              func(t *Terms) { t.Fresh[0]++ },
		"kernel":             func(t *Terms) { t.Kernel = "matmul/2" },
		"small shape":        func(t *Terms) { t.Shape = Shape{M: 256, K: 256, Q: 1024} },
		"no duration":        func(t *Terms) { t.DurationMS = 0 },
		"long duration":      func(t *Terms) { t.DurationMS, t.Expiry = 120_001, t.Issued+200_000 },
		"expired at once":    func(t *Terms) { t.Expiry = t.Issued },
		"before duration":    func(t *Terms) { t.Expiry = t.Issued + 9_999 },
		"expires in a day":   func(t *Terms) { t.Expiry = t.Issued + 86_400_000 },
		"time":               func(t *Terms) { t.Issued, t.Expiry = 1<<53, 1<<53+20_000 },
		"whole":              func(t *Terms) { t.Whole = 11 },
		"no picks":           func(t *Terms) { t.Picks = 0 },
		"picks":              func(t *Terms) { t.Picks = 513 },
		"no light":           func(t *Terms) { t.Light = 0 },
		"light above picks":  func(t *Terms) { t.Light = t.Picks + 1 },
		"no loops":           func(t *Terms) { t.MaxLoops = 0 },
		"loops":              func(t *Terms) { t.MaxLoops = MaxLoops + 1 },
		"pay":                func(t *Terms) { t.PayPerTebiop = "01" },
		"locked for ever":    func(t *Terms) { t.UnlockAfter = MaxUnlock + 1 },
		"banned for nothing": func(t *Terms) { t.BanAfter = 0 },
		"never banned":       func(t *Terms) { t.BanAfter = MaxBan + 1 },
		"forfeits all":       func(t *Terms) { t.Forfeits = "all" },
		"forfeits nothing":   func(t *Terms) { t.Forfeits = "" },
		"pay without end": func(t *Terms) {
			t.PayPerTebiop = Amount("1" + strings.Repeat("0", 33))
		},
	} {
		bad := good
		change(&bad)
		if err := bad.Valid(); !errors.Is(err, ErrTerms) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What form does not refuse, the signature does.
	for name, change := range map[string]func(*Terms){
		"shape": func(t *Terms) {
			t.Shape = Shape(Shapes()[1])
		}, "duration": func(t *Terms) { t.DurationMS-- },
		"issued": func(t *Terms) {
			t.Issued++
		}, "expiry": func(t *Terms) {
			t.Expiry++
		}, "nonce hash": func(t *Terms) { t.HostNonceHash[0]++ },
		"whole": func(t *Terms) {
			t.Whole--
		}, "picks": func(t *Terms) { t.Picks-- }, "light": func(t *Terms) { t.Light++ },
		"loops": func(t *Terms) { t.MaxLoops-- }, "pay": func(t *Terms) { t.PayPerTebiop = "1" },
		"unlock": func(t *Terms) { t.UnlockAfter++ }, "ban": func(t *Terms) { t.BanAfter-- },
	} {
		bad := good
		change(&bad)
		if err := bad.Verify(sig); !errors.Is(err, signed.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Holds spec M-7.
func TestCommitIsBound(t *testing.T) {
	d := newDevice(testTerms(testNonce), nil)
	sig := d.log.Sign(deviceKey)
	if err := d.log.Verify(sig); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Log){
		"loops":        func(l *Log) { l.Commit.Loops-- },
		"compute time": func(l *Log) { l.Commit.ComputeTime++ },
		"root":         func(l *Log) { l.Commit.MerkleRoot[0]++ },
		"other terms":  func(l *Log) { l.Terms.Expiry++ },
		"wrong key": func(l *Log) {
			l.Terms = Offer(l.Terms, testFresh, testNonce)
			l.Terms.DeviceKey = signed.KeyOf(otherKey)
		},
	} {
		l := d.log
		change(&l)
		if err := l.Verify(sig); !errors.Is(err, signed.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, loops := range []uint64{0, 1001, 1 << 63} {
		l := d.log
		l.Commit.Loops = loops
		if err := l.Verify(l.Sign(deviceKey)); !errors.Is(err, ErrCommit) {
			t.Errorf("%d loops: %v", loops, err)
		}
	}
}

// Holds spec M-9.
func TestDrawIsBound(t *testing.T) {
	d := newDevice(testTerms(testNonce), nil)
	draw := full(d.log.Terms, testNonce)
	if err := draw.Verify(d.log); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]Draw{
		"another nonce":     full(d.log.Terms, seed.Seed{9}),
		"beyond certainty":  {draw.HostNonce, 1<<32 + 1, draw.Deadline},
		"deadline long ago": {draw.HostNonce, 1, 1},
	} {
		if err := bad.Verify(d.log); !errors.Is(err, ErrDraw) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Another root, count or nonce is another draw.
	q := draw.Questions(d.log)
	for name, change := range map[string]func(*Log, *Draw){
		"root":  func(l *Log, _ *Draw) { l.Commit.MerkleRoot[0]++ },
		"nonce": func(_ *Log, w *Draw) { w.HostNonce[0]++ },
	} {
		l, w := d.log, draw
		change(&l, &w)
		if cmp.Equal(q.Picks(0), w.Questions(l).Picks(0)) {
			t.Errorf("another %s asks the same", name)
		}
	}
}

// The audit is full about as often as it is said to be, and one never asked for
// is light.
// Holds spec M-10.
func TestFullIsAsOftenAsSaid(t *testing.T) {
	const n, share = 4000, 1 << 30 // a quarter
	fulls := 0
	d := newDevice(testTerms(testNonce), nil)
	for i := range n {
		draw := Draw{HostNonce: signed.Hash{byte(i), byte(i >> 8), 1}, AuditQ32: share}
		q := draw.Questions(d.log)
		if want := int(d.log.Terms.Light); !q.Full() &&
			(len(q.Picks(0)) != want || q.Whole() != nil) {
			t.Fatalf("a light audit of %d tiles and %d units", len(q.Picks(0)), len(q.Whole()))
		}
		if q.Full() {
			fulls++
		}
		draw.AuditQ32 = 0
		if draw.Questions(d.log).Full() {
			t.Fatal("full at probability 0")
		}
	}
	if fulls < n/4-120 || fulls > n/4+120 { // 4.4 deviations of 27
		t.Errorf("%d of %d audits are full, want a quarter", fulls, n)
	}
}

// Holds spec M-11, M-12, M-13.
func TestQuestions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := testTerms(testNonce)
		terms.Picks = uint32(rapid.IntRange(64, MaxPicks).Draw(t, "picks"))
		terms.Light = min(terms.Picks, 3)
		l := Log{Terms: terms, Commit: Commit{Loops: rapid.Uint64Range(1, MaxLoops).Draw(t,
			"loops"), MerkleRoot: signed.Hash{1}}}
		q := Draw{HostNonce: signed.Hash{byte(rapid.IntRange(0, 255).Draw(t, "nonce"))},
			AuditQ32: rapid.SampledFrom([]uint64{0, 1 << 31, 1 << 32}).Draw(t,
				"audit")}.Questions(l)
		samples := q.Samples()
		if want := int(min(l.Commit.Loops,
			max(10, (l.Commit.Loops+99)/100))); len(samples) != want {
			t.Fatalf("%d samples, want %d", len(samples), want)
		}
		for j, s := range samples {
			n := uint64(len(samples))
			if from, to := uint64(j)*l.Commit.Loops/n, uint64(j+1)*l.Commit.Loops/n; s < from ||
				s >= to {
				t.Fatalf("sample %d is loop %d, not in [%d, %d)", j, s, from, to)
			}
		}
		for _, w := range q.Whole() {
			if !slices.Contains(samples, w) {
				t.Fatalf("loop %d is recomputed and not sampled", w)
			}
		}
		seen, n := map[Pick]bool{}, uint64(0)
		for round := range terms.MaxRounds() + 2 {
			for _, p := range q.Picks(round) {
				if seen[p] || p.Index >= l.Commit.Loops || p.Tile >= 64 {
					t.Fatalf("round %d picks %v, beyond the log or again", round, p)
				}
				seen[p] = true
				n++
			}
			if got := q.Checked(round + 1); got != n || n > audit.MaxSample {
				t.Fatalf("%d tiles checked after round %d, and %d picked", got, round, n)
			}
		}
	})
}

// Nothing about a leaf can be changed without another hash, and no canonical
// leaf of the Sprint is one of a loop.
// Holds spec C-9, M-6.
func TestLeafIsBound(t *testing.T) {
	terms := testTerms(testNonce)
	base := terms.LeafHash(3, [32]byte{7})
	for name, h := range map[string]commit.Hash{
		"index":  terms.LeafHash(4, [32]byte{7}),
		"digest": terms.LeafHash(3, [32]byte{8}),
		"challenge": func() commit.Hash {
			o := terms
			o.ChallengeID[0]++
			return o.LeafHash(3, [32]byte{7})
		}(),
		"device": func() commit.Hash {
			o := terms
			o.DeviceKey[0]++
			return o.LeafHash(3, [32]byte{7})
		}(),
		"shape": func() commit.Hash {
			o := terms
			o.Shape.K *= 2
			return o.LeafHash(3, [32]byte{7})
		}(),
	} {
		if h == base {
			t.Errorf("another %s, the same leaf", name)
		}
	}
	leaf := terms.AppendLeaf(nil, 3, [32]byte{7})
	if len(leaf) != LeafSize {
		t.Errorf("%d bytes", len(leaf))
	}
	if _, err := record.ParseLeaf(leaf); !errors.Is(err, commit.ErrLeaf) {
		t.Errorf("read as a Sprint's leaf: %v", err)
	}
}

// Holds spec F-6.
func TestText(t *testing.T) {
	for text, want := range map[string]Seconds{"0": 0, "14.21": 14210, "14": 14000, "14.0": 14000,
		"0.001": 1, "999999.999": 999999999} {
		var got Seconds
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		short, err := json.Marshal(got)
		if err != nil || strings.TrimSuffix(text, ".0") != string(short) {
			t.Errorf("%s is written %s, %v", text, short, err)
		}
	}
	for _, text := range []string{"-1", "1e3", "1.", ".5", "1.2345", "01", "1000000",
		`"1"`, "null", "+1"} {
		if err := json.Unmarshal([]byte(text), new(Seconds)); err == nil {
			t.Errorf("%s is taken for seconds", text)
		}
	}
	for _, a := range []Amount{"0", "1", "340282366920938463463374607431768211455"} {
		if err := a.Valid(); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []Amount{"", "00", "01", "-1", "+1", "1.5", " 1", "0x1",
		"340282366920938463463374607431768211456", Amount(strings.Repeat("9", 100))} {
		if err := a.Valid(); !errors.Is(err, ErrForm) {
			t.Errorf("%q: %v", a, err)
		}
	}
	for _, text := range []string{"", "0x", strings.Repeat("0", 66), "0X" + strings.Repeat("0", 64),
		"0x" + strings.Repeat("A", 64), "0x" + strings.Repeat("g", 64),
		"0x" + strings.Repeat("0", 66)} {
		if err := new(signed.Hash).UnmarshalText([]byte(text)); !errors.Is(err, signed.ErrForm) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPay(t *testing.T) {
	terms := testTerms(testNonce)
	for ops, want := range map[uint64]Amount{0: "0", 1 << 40: "1000000000000000000",
		1<<40 - 1: "999999999999090505", 1: "909494", 1 << 57: "131072000000000000000000"} {
		if got := terms.Pay(ops); got != want {
			t.Errorf("%d operations: %s, want %s", ops, got, want)
		}
	}
}

// Holds spec M-1.
func TestRegistration(t *testing.T) {
	good := Registration{
		Chain: "assay-test", HostKey: signed.KeyOf(hostKey), DeviceKey: signed.KeyOf(deviceKey),
		Nonce: signed.Hash{1}, Agent: "assay-worker/1", Engine: "cpu/avx2",
		Devices: []Claimed{{ID: "cpu-0", Name: "a processor", Engine: "cpu/avx2", RateOps: 1}},
		RateOps: 40_000_000_000,
	}
	sig := good.Sign(deviceKey)
	if err := good.Verify(sig); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Registration)
		want   error
	}{
		"another host": {func(r *Registration) {
			r.HostKey = signed.KeyOf(otherKey)
		}, signed.ErrSignature},
		"another nonce": {func(r *Registration) { r.Nonce[0]++ }, signed.ErrSignature},
		"another chain": {func(r *Registration) { r.Chain = "x" }, signed.ErrSignature},
		"wrong key": {func(r *Registration) {
			r.DeviceKey = signed.KeyOf(otherKey)
		}, signed.ErrSignature},
		"payout": {func(r *Registration) { r.Payout = "cpc1thief" }, signed.ErrSignature},
		"device": {func(r *Registration) {
			r.Devices = []Claimed{{ID: "cpu-0", Name: "a processor",
				Engine: "cpu/avx2", RateOps: 2}}
		}, signed.ErrSignature},
		"no devices": {func(r *Registration) { r.Devices = nil }, ErrRegistration},
		"65 devices": {func(r *Registration) {
			r.Devices = slices.Repeat(good.Devices, 65)
		}, ErrRegistration},
		"no rate":      {func(r *Registration) { r.RateOps = 0 }, ErrRegistration},
		"escape codes": {func(r *Registration) { r.Agent = "\x1b[2J" }, ErrRegistration},
	} {
		r := good
		c.change(&r)
		if err := r.Verify(sig); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	a := Asking{HostKey: signed.KeyOf(hostKey), DeviceKey: signed.KeyOf(deviceKey),
		What: AskReceipt, Time: 1, Count: 2, ChallengeID: &signed.Hash{1}}
	asked := a.Sign(deviceKey)
	if err := a.Verify(asked); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Asking){
		"host":      func(a *Asking) { a.HostKey = signed.KeyOf(otherKey) },
		"device":    func(a *Asking) { a.DeviceKey = signed.KeyOf(otherKey) },
		"what":      func(a *Asking) { a.What = AskAccount },
		"time":      func(a *Asking) { a.Time++ },
		"count":     func(a *Asking) { a.Count++ },
		"challenge": func(a *Asking) { a.ChallengeID = &signed.Hash{2} },
		"or none":   func(a *Asking) { a.ChallengeID = nil },
	} {
		b := a
		change(&b)
		if err := b.Verify(asked); !errors.Is(err, signed.ErrSignature) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}
