// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

var (
	hostKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	deviceKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
)

const (
	testLeaves  = 50
	testSamples = 40
)

func testOrder() Order {
	return Announce(hostKey, Order{Chain: "assay-test", DeviceKey: signed.KeyOf(deviceKey),
		Participant: "cpc1test", Epoch: 3, Node: "m-1", Class: "nano",
		Seed1: signed.Hash{1}, Segment: 2, SegmentSeed: signed.Hash{3}}, testSamples)
}

// honest are the right records of the first testLeaves leaves, computed once.
var honest = sync.OnceValue(func() []byte {
	m, err := work.Reference().Transformer(context.Background(), transformer.Nano,
		seed.Seed{1}, nil)
	if err != nil {
		panic(err)
	}
	out, nonces := make([]transformer.Output, testLeaves), make([]uint64, testLeaves)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := m.Run(out, seed.Node("assay-test", "cpc1test", "m-1", "nano"), seed.Seed{3},
		nonces); err != nil {
		panic(err)
	}
	return recordsOf(out)
})

func recordsOf(out []transformer.Output) (records []byte) {
	for _, o := range out {
		records = o.Record.Append(records)
	}
	return records
}

// history is a machine's log in batches of 17, with some leaves changed by one bit.
func history(o Order, bad ...uint64) (batches []Found) {
	records := slices.Clone(honest())
	for _, leaf := range bad {
		records[leaf*record.Size+20] ^= 4
	}
	for first := 0; first < testLeaves; first += 17 {
		part := records[first*record.Size : min(first+17, testLeaves)*record.Size]
		s := Statement{o, BatchOf(uint64(first), part)}
		batches = append(batches,
			Found{First: uint64(first), Records: part, Signature: s.Sign(deviceKey)})
	}
	return batches
}

// audited is what an honest host makes of a log.
func audited(t testing.TB, o Order, bad ...uint64) Evidence {
	t.Helper()
	batches := history(o, bad...)
	last := batches[len(batches)-1]
	nonce := Nonce(hostKey, o)
	signed := Signed{BatchOf(last.First, last.Records), last.Signature}
	var found []Found
	for _, leaf := range Questions(o, nonce, testSamples, signed) {
		if slices.Contains(bad, leaf) {
			f := batches[leaf/17]
			f.Leaf = leaf
			found = append(found, f)
		}
	}
	e, err := Accuse(o, nonce, testSamples, signed, found, "a test")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// drawn are leaves that the audit of the test's log looks at, and one it does not.
func drawn(t testing.TB, o Order) (looked []uint64, passed uint64) {
	t.Helper()
	// The draw hangs on the last signature, and that on the last batch: the leaves
	// that the test changes lie before it.
	last := history(o)[2]
	looked = Questions(o, Nonce(hostKey, o), testSamples,
		Signed{BatchOf(last.First, last.Records), last.Signature})
	for slices.Contains(looked, passed) {
		passed++
	}
	for i, leaf := range looked {
		if leaf >= 34 {
			return looked[:i], passed
		}
	}
	t.Fatal("no leaf of the last batch is drawn")
	return nil, 0
}

func judge() *work.Judge { return work.NewJudge(nil) }

// Holds spec F-15, M-22.
func TestEvidence(t *testing.T) {
	o := testOrder()
	looked, _ := drawn(t, o)
	for name, c := range map[string]struct {
		bad  []uint64
		want Claim
	}{
		"one flipped bit":  {looked[:1], Faulty},
		"a quarter forged": {looked[2:12], Fraud},
	} {
		e := audited(t, o, c.bad...)
		raw, err := e.Marshal()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		read, err := Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(e, read); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
		f, err := read.Verify(t.Context(), judge())
		if err != nil || f.Claim != c.want || f.Leaf != c.bad[0] || f.Checked != testSamples ||
			f.Got.Digest() == f.Want.Digest() {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		if len(raw) > 16<<10 {
			t.Errorf("%s: %d bytes", name, len(raw))
		}
	}
}

// What a host cannot show of an honest machine, or say in place of what it found.
// Holds spec F-15, M-22.
func TestEvidenceThatShowsNothing(t *testing.T) {
	o := testOrder()
	looked, passed := drawn(t, o)
	bad := looked[:6]
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	for name, c := range map[string]struct {
		change func(*Evidence)
		want   error
	}{
		"unchanged":       {func(*Evidence) {}, nil},
		"version":         {func(e *Evidence) { e.Version = "assay-leaf-evidence/2" }, ErrFile},
		"no wrong leaf":   {func(e *Evidence) { e.Wrong = nil }, ErrFile},
		"one listed more": {func(e *Evidence) { e.Wrong = append(e.Wrong, e.Wrong[0]) }, ErrFile},
		"another nonce":   {func(e *Evidence) { e.Nonce[0] ^= 1 }, ErrFile},
		"fewer looked at": {func(e *Evidence) { e.Samples = 3 }, ErrFile},
		"a leaf it did not look at": {func(e *Evidence) {
			w, err := open(Found{Leaf: passed, First: 0, Records: history(o, bad...)[0].Records,
				Signature: history(o, bad...)[0].Signature})
			if err != nil || passed >= 17 {
				t.Fatal(passed, err)
			}
			e.Wrong = []Wrong{w}
		}, ErrFile},
		"a right leaf": {func(e *Evidence) {
			b := history(o)[0]
			b.Leaf = bad[0]
			w, err := open(b)
			if err != nil {
				t.Fatal(err)
			}
			e.Wrong = []Wrong{w}
		}, ErrClaim},
		"a flipped bit called fraud": {func(e *Evidence) { e.Wrong = e.Wrong[:1] }, ErrClaim},
		"fraud called a flipped bit": {func(e *Evidence) { e.Claim = Faulty }, ErrClaim},
		"a record changed by the host": {func(e *Evidence) {
			b := []byte(e.Wrong[0].Page)
			b[9] = "01"[(b[9]+1)%2]
			e.Wrong[0].Page = string(b)
		}, commit.ErrProof},
		"a batch that the host made up": {func(e *Evidence) {
			f := history(o, bad...)[0]
			f.Leaf, f.Records = bad[0], slices.Clone(f.Records)
			f.Records[0] ^= 1
			w, err := open(f)
			if err != nil {
				t.Fatal(err)
			}
			w.In.Signature = Statement{o, w.In.Batch}.Sign(stranger)
			e.Wrong = []Wrong{w}
		}, signed.ErrSignature},
		"a batch of another pass": {func(e *Evidence) {
			f := history(o, bad[0])[0]
			f.Leaf = bad[0]
			w, err := open(f)
			if err != nil {
				t.Fatal(err)
			}
			e.Wrong[0] = w
		}, ErrFile},
		"seeds held against it later": {func(e *Evidence) {
			e.Order.SegmentSeed[0] ^= 1
		}, signed.ErrSignature},
		"another log's end": {func(e *Evidence) { e.Last.Batch.First++ }, signed.ErrSignature},
		"another node":      {func(e *Evidence) { e.Order.Node = "m-2" }, signed.ErrSignature},
		"short page": {func(e *Evidence) {
			e.Wrong[0].Page = e.Wrong[0].Page[2*record.Size:]
		}, ErrFile},
		"page in capitals": {func(e *Evidence) {
			e.Wrong[0].Page = "A" + e.Wrong[0].Page[1:]
		}, ErrFile},
		"unknown class": {func(e *Evidence) { e.Order.Class = "huge" }, signed.ErrSignature},
	} {
		e := audited(t, o, bad...)
		c.change(&e)
		_, err := e.Verify(t.Context(), judge())
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	o.Class = "huge" // signed by the machine, which is no reason to panic
	e := audited(t, o, bad...)
	if _, err := e.Verify(t.Context(), judge()); !errors.Is(err, ErrFile) {
		t.Errorf("a class that nobody knows: %v", err)
	}
}

// An engine of the reader's that is wrong convicts nobody.
func TestEvidenceOnABrokenEngine(t *testing.T) {
	o := testOrder()
	looked, _ := drawn(t, o)
	e := audited(t, o, looked[:1]...)
	b := history(o)[0]
	b.Leaf = looked[0]
	w, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	e.Wrong = []Wrong{w}
	if _, err := e.Verify(t.Context(), work.NewJudge(broken{work.Reference()})); !errors.Is(err,
		ErrClaim) {
		t.Errorf("a right leaf on a broken engine: %v", err)
	}
}

type broken struct{ work.Engine }

func (b broken) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := b.Engine.Transformer(ctx, class, seed1, progress)
	return brokenModel{m}, err
}

type brokenModel struct{ transformer.Model }

func (m brokenModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	err := m.Model.Run(dst, node, segment, nonces)
	for i := range dst {
		dst[i].Digest[0] ^= 1
	}
	return err
}

// A burst of errors in a log that is shorter than the sample convicts nobody.
// Holds spec M-23.
func TestShortLog(t *testing.T) {
	for _, c := range []struct {
		checked int
		want    Claim
	}{{90, Faulty}, {199, Faulty}, {200, Fraud}} {
		if got := Shows(200, c.checked, 10); got != c.want {
			t.Errorf("10 of %d: %s, want %s", c.checked, got, c.want)
		}
	}
}

// Holds spec F-14.
func TestReceipt(t *testing.T) {
	o := testOrder()
	b := history(o)[1]
	r := Receipt{Version: ReceiptVersion, Order: o, Batch: BatchOf(b.First, b.Records),
		DeviceSignature: b.Signature}
	r.HostSignature = Acknowledge(r.Statement().Digest(), hostKey)
	raw, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseReceipt(raw)
	if err != nil || read != r {
		t.Fatalf("%+v, %v", read, err)
	}
	if err := read.Verify(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Receipt)
		want   error
	}{
		"more leaves":   {func(r *Receipt) { r.Batch.First++ }, signed.ErrSignature},
		"another epoch": {func(r *Receipt) { r.Order.Epoch++ }, signed.ErrSignature},
		"the host's word for the machine's": {func(r *Receipt) {
			r.DeviceSignature = r.HostSignature
		}, signed.ErrSignature},
		"the machine's word for the host's": {func(r *Receipt) {
			r.HostSignature = Acknowledge(r.Statement().Digest(), deviceKey)
		}, signed.ErrSignature},
		"no node": {func(r *Receipt) { r.Order.Node = "" }, ErrFile},
	} {
		bent := r
		c.change(&bent)
		if err := bent.Verify(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Whatever the batch, every leaf can be opened, and a record or place that is
// another one cannot.
func TestOpenAnyLeaf(t *testing.T) {
	o := testOrder()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(1, MaxRecords),
			rapid.SampledFrom([]int{1, 31, 32, 33, 64, 999, 1000})).Draw(t, "n")
		records := make([]byte, n*record.Size)
		for i := range records {
			records[i] = byte(i*7 + i>>8) // no two pages alike
		}
		first := rapid.Uint64Range(0, 1<<40).Draw(t, "first")
		at := uint64(rapid.IntRange(0, n-1).Draw(t, "at"))
		sig := Statement{o, BatchOf(first, records)}.Sign(deviceKey)
		w, err := open(Found{Leaf: first + at, First: first, Records: records, Signature: sig})
		if err != nil {
			t.Fatal(err)
		}
		if len(w.Path) > maxPath {
			t.Fatalf("%d hashes", len(w.Path))
		}
		got, err := w.claimed(o, record.Size)
		if err != nil || record.At(got, 0) != record.At(records, int(at)) {
			t.Fatalf("leaf %d of %d: %x, %v", at, n, got, err)
		}
		w.Leaf += PageRecords // in the next page, if there is one
		if _, err := w.claimed(o, record.Size); err == nil {
			t.Fatal("a leaf was shown in another's place")
		}
	})
}

// FuzzParse: what is accepted is what is written, and nothing panics on it.
func FuzzParse(f *testing.F) {
	o := testOrder()
	records := make([]byte, 40*record.Size)
	b := BatchOf(0, records)
	e, err := Accuse(o, signed.Hash{}, testSamples, Signed{Batch: b},
		[]Found{{Leaf: 35, Records: records}}, "")
	if err != nil {
		f.Fatal(err)
	}
	raw, err := e.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	r := Receipt{Version: ReceiptVersion, Order: o, Batch: b}
	if raw, err = r.Marshal(); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		same := func(again []byte, err error) {
			var want, given bytes.Buffer
			if err = errors.Join(err, json.Compact(&want, again),
				json.Compact(&given, data)); err != nil || want.String() != given.String() {
				t.Fatalf("accepted what it would not write: %v", err)
			}
		}
		if e, err := Parse(data); err == nil {
			same(e.Marshal())
			for _, w := range e.Wrong {
				_, _ = w.claimed(e.Order, record.Size)
			}
		}
		if r, err := ParseReceipt(data); err == nil {
			same(r.Marshal())
			_ = r.Verify()
		}
	})
}

func BenchmarkStatement(b *testing.B) {
	records := make([]byte, MaxRecords*record.Size)
	o := testOrder()
	s := Statement{o, BatchOf(0, records)}
	sig := s.Sign(deviceKey)
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			Statement{o, BatchOf(0, records)}.Sign(deviceKey)
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if err := (Statement{o, BatchOf(0, records)}).Verify(sig); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("acknowledge", func(b *testing.B) {
		for b.Loop() {
			Acknowledge(s.Digest(), hostKey)
		}
	})
}
