// SPDX-License-Identifier: Apache-2.0

package work

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// jobOf is work of a kind with seeds of their own.
func jobOf(t *testing.T, k Kind, text string) Job {
	t.Helper()
	s, err := k.Spec(text)
	if err != nil {
		t.Fatal(err)
	}
	job := Job{Kind: k, Spec: s}
	for i := range s.Seeds {
		job.Seeds = append(job.Seeds, seed.Seed{byte(i + 1)})
	}
	return job
}

// Every kind keeps what the others count on: names and numbers of its own, one spelling of a size,
// bodies that fit.
func TestEveryKindOfTheTableIsWellFormed(t *testing.T) {
	var names, texts []string
	var numbers []uint8
	for _, k := range Kinds() {
		s, err := k.Spec("")
		if err != nil {
			t.Fatalf("%s: %v", k.Name(), err)
		}
		again, err := k.Spec(s.Text)
		if err != nil || again != s || s.Text == "" || s.Body < 1 || s.Body > 64 || s.Seeds < 1 ||
			k.Price(s).Ops == 0 {
			t.Errorf("%s: %+v, %+v, %v", k.Name(), s, again, err)
		}
		names, texts, numbers = append(names, k.Name()), append(texts, s.Text),
			append(numbers, s.Kind)
		for _, text := range []string{" " + s.Text, s.Text + " ", "0" + s.Text, "unknown"} {
			if _, err := k.Spec(text); !errors.Is(err, ErrSpec) {
				t.Errorf("%s takes %q: %v", k.Name(), text, err)
			}
		}
		job := jobOf(t, k, "")
		c, err := k.Reference(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 2*s.Body)
		if err := c.Units(t.Context(), body, []uint64{3, 1 << 40}); err != nil {
			t.Fatal(err)
		}
		if want, err := k.Check(t.Context(), c, 3, body[:s.Body]); err != nil ||
			!bytes.Equal(want, body[:s.Body]) {
			t.Errorf("%s: a right body is checked to %x, %v", k.Name(), want, err)
		}
		if want, err := k.Check(t.Context(), c, 3, make([]byte, s.Body)); err != nil ||
			!bytes.Equal(want, body[:s.Body]) {
			t.Errorf("%s: a wrong body is checked to %x, %v", k.Name(), want, err)
		}
		if err := c.Units(t.Context(), body, []uint64{3}); !errors.Is(err, ErrCall) {
			t.Errorf("%s: too much room: %v", k.Name(), err)
		}
		job.Seeds = job.Seeds[1:]
		if c, err := k.Reference(t.Context(), job); !errors.Is(err, ErrCall) {
			t.Errorf("%s: a seed too few: %v, %v", k.Name(), c, err)
		}
	}
	for i, k := range Kinds() {
		if found, s, err := Kinds().Find(texts[i]); err != nil || found != k || s.Text != texts[i] {
			t.Errorf("%q is found as %+v of %v, %v", texts[i], s, found, err)
		}
		for j, other := range Kinds() {
			if _, err := other.Spec(texts[i]); i != j && err == nil {
				t.Errorf("%q is of %s and of %s", texts[i], k.Name(), other.Name())
			}
		}
	}
	slices.Sort(names)
	slices.Sort(numbers)
	if len(slices.Compact(names)) != len(Kinds()) || len(slices.Compact(numbers)) != len(Kinds()) {
		t.Errorf("two kinds share a name or a number: %q, %d", names, numbers)
	}
	for _, text := range []string{"", "unknown", "512x256", "0512x256x512"} {
		if _, _, err := Kinds().Find(text); !errors.Is(err, ErrSpec) {
			t.Errorf("%q is found: %v", text, err)
		}
	}
}

// The kinds as values give the bytes of the engine's own methods, and numbers as leaves have them.
func TestKindsAsValuesAreTheTypedOnes(t *testing.T) {
	ctx, e := t.Context(), Reference()
	job := jobOf(t, Transformer, "nano")
	c, err := On(ctx, e, job)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2*record.Size)
	m, also := e.Transformer(ctx, transformer.Nano, job.Seeds[0], nil)
	if err := errors.Join(also, c.Units(ctx, got, []uint64{5, 9})); err != nil {
		t.Fatal(err)
	}
	out := make([]transformer.Output, 2)
	if err := m.Run(out, job.Seeds[1], job.Seeds[2], []uint64{5, 9}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, record.Pack(out[0].Record, out[1].Record)) ||
		job.Spec != (Spec{"nano", record.Kind, 1, record.Size, 3}) {
		t.Errorf("%x of %+v", got, job.Spec)
	}
	if p := Transformer.Price(job.Spec); p != (Price{transformer.Nano.Ops(),
		transformer.Nano.WeightBytes()}) {
		t.Errorf("a unit of nano counts %+v", p)
	}

	shape := matmul.Shape{M: 512, K: 256, Q: 512}
	job = jobOf(t, Matmul, shape.String())
	if c, err = On(ctx, e, job); err != nil {
		t.Fatal(err)
	}
	digests := make([][32]byte, 2)
	if err := errors.Join(c.Units(ctx, got[:64], []uint64{5, 9}),
		e.Matmul(ctx, digests, job.Seeds[0], shape, []uint64{5, 9})); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:64], append(digests[0][:], digests[1][:]...)) ||
		Matmul.Price(job.Spec).Ops != shape.Ops() {
		t.Errorf("%x", got[:64])
	}
	// An engine that bends its typed methods is not passed by.
	if c, err = On(ctx, &broken{Engine: e, fault: "unit"}, job); err != nil {
		t.Fatal(err)
	}
	bent := make([]byte, 64)
	if err := c.Units(ctx, bent, []uint64{5, 9}); err != nil || bytes.Equal(bent, got[:64]) {
		t.Errorf("the wrapper is passed by: %v", err)
	}
}

// parity is a kind for these tests: its body is whether the unit is even, and the first byte of its
// seed.
type parity struct{ made *int }

func (parity) Name() string { return "parity/1" }

func (parity) Spec(text string) (Spec, error) {
	if text != "" && text != "parity" {
		return Spec{}, ErrSpec
	}
	return Spec{Text: "parity", Kind: 3, ID: 1, Body: 2, Seeds: 1}, nil
}

func (k parity) Reference(_ context.Context, job Job) (Computer, error) {
	*k.made++
	return parities{job: job}, nil
}

func (parity) Check(ctx context.Context, by Computer, unit uint64, claimed []byte) ([]byte, error) {
	return Recompute(ctx, by, unit, claimed)
}

func (parity) Price(Spec) Price { return Price{Ops: 1} }

type parities struct {
	job  Job
	bend byte
	err  error
}

func (p parities) Units(_ context.Context, dst []byte, units []uint64) error {
	for i, unit := range units {
		dst[2*i], dst[2*i+1] = byte(unit%2)^p.bend, p.job.Seeds[0][0]
	}
	return p.err
}

// offering is an engine with an offer.
type offering struct {
	Engine
	offer func(Job) (Computer, error)
}

func (o offering) Offer(_ context.Context, job Job) (Computer, error) { return o.offer(job) }

// Whatever a fast engine offers, has not, or gets wrong, bodies of any kind are judged as the
// definition has them, and what is honest needs the definition only where the engine is wrong.
// Holds spec W-2.
func TestJudgeOfAnyKind(t *testing.T) {
	made := 0
	job := jobOf(t, parity{&made}, "")
	lost := errors.New("device lost")
	right := [][]byte{{1, 1}, {0, 1}, {1, 1}}
	for name, c := range map[string]struct {
		offer      func(Job) (Computer, error)
		definition bool // is needed for honest claims
		failed     bool
	}{
		"sound": {func(j Job) (Computer, error) { return parities{job: j}, nil }, false, false},
		"wrong": {func(j Job) (Computer, error) {
			return parities{job: j, bend: 1}, nil
		}, true, false},
		"failing": {func(j Job) (Computer,
			error) {
			return parities{job: j, err: lost}, nil
		}, true, true},
		"not opened": {func(Job) (Computer, error) { return nil, lost }, true, true},
		"none":       {func(Job) (Computer, error) { return nil, nil }, true, false},
	} {
		j, failed := NewJudge(offering{Reference(), c.offer}), 0
		j.Failed = func(error) { failed++ }
		made = 0
		got, err := j.Bodies(t.Context(), job, []uint64{1, 2, 3}, right)
		if err != nil || !slices.EqualFunc(got, right, bytes.Equal) || (made > 0) != c.definition ||
			(failed > 0) != c.failed {
			t.Errorf("%s: %x, %v, the definition was made %d times, failed %d times", name,
				got, err, made, failed)
		}
		got, err = j.Bodies(t.Context(), job, []uint64{1, 2, 3}, [][]byte{{7, 1}, nil, {1, 1, 1}})
		if err != nil || !slices.EqualFunc(got, right, bytes.Equal) {
			t.Errorf("%s, of wrong claims: %x, %v", name, got, err)
		}
	}
	if _, err := NewJudge(nil).Bodies(t.Context(), job, []uint64{1},
		nil); !errors.Is(err, ErrCall) {
		t.Errorf("claims that are missing: %v", err)
	}
	// transformer/1 goes the way with kept models.
	node := jobOf(t, Transformer, "nano")
	j := NewJudge(nil)
	out, err := j.Unit(t.Context(), transformer.Nano, node.Seeds[0], node.Seeds[1], node.Seeds[2],
		7, record.Record{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := j.Bodies(t.Context(), node, []uint64{7}, [][]byte{nil})
	if err != nil || !bytes.Equal(got[0], out.Record.Append(nil)) || len(j.latest.built) != 1 {
		t.Errorf("%x, %v, %d models", got, err, len(j.latest.built))
	}
}

// An offer is tested like what every engine has, at the smallest size, and engines without one
// pass.
func TestSelfTestHoldsOffersAgainstTheDefinition(t *testing.T) {
	made := 0
	kinds := append(Kinds(), parity{&made})
	for name, c := range map[string]struct {
		offer func(Job) (Computer, error)
		want  error
	}{
		"sound": {func(j Job) (Computer, error) { return parities{job: j}, nil }, nil},
		"wrong": {func(j Job) (Computer, error) {
			return parities{job: j, bend: 1}, nil
		}, ErrSelfTest},
		"failing": {func(j Job) (Computer,
			error) {
			return parities{job: j, err: errFault}, nil
		}, errFault},
		"broken": {func(Job) (Computer, error) { return nil, errFault }, errFault},
		"none":   {func(Job) (Computer, error) { return nil, nil }, nil},
	} {
		if err := kinds.SelfTest(t.Context(), offering{Reference(), func(j Job) (Computer, error) {
			if j.Kind.Name() != "parity/1" {
				return nil, nil
			}
			return c.offer(j)
		}}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
