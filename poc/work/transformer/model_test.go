// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
)

var (
	testSeed1   = seed.Seed{11}
	testNode    = seed.Seed{12}
	testSegment = seed.Seed{13}
)

var nanoModel = sync.OnceValue(func() *ReferenceModel {
	m, err := Build(context.Background(), Nano, testSeed1, nil)
	if err != nil {
		panic(err)
	}
	return m
})

func nonces(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i)
	}
	return out
}

func run(t testing.TB, m Model, ns []uint64) []Output {
	t.Helper()
	out := make([]Output, len(ns))
	if err := m.Run(out, testNode, testSegment, ns); err != nil {
		t.Fatal(err)
	}
	return out
}

// Holds spec W-9.
func TestClassTable(t *testing.T) {
	// d, heads, d_ff, L, weight bytes, nominal operations of the table of classes.
	want := []struct {
		class             Class
		heads, ff, layers int
		bytes, macs       uint64
		sh, sh4           uint
		z                 uint
	}{
		{Nano, 4, 1024, 4, 4_194_304, 16_777_216, 10, 11, 7},
		{Small, 16, 4096, 8, 134_217_728, 536_870_912, 11, 12, 7},
		{Base, 32, 8192, 16, 1_073_741_824, 4_294_967_296, 12, 13, 6},
		{Large, 64, 16384, 32, 8_589_934_592, 34_359_738_368, 12, 13, 7},
	}
	for i, w := range want {
		c := w.class
		if c.Heads != w.heads || c.FF != w.ff || c.Layers != w.layers ||
			c.WeightBytes() != w.bytes || c.Ops() != 2*w.macs {
			t.Errorf("%s: %+v, %d bytes, %d operations", c.Name, c, c.WeightBytes(), c.Ops())
		}
		if c.Ops()&(c.Ops()-1) != 0 || c.MiOps()<<20 != c.Ops() {
			t.Errorf("%s: %d operations are not a power of two of MiOP", c.Name, c.Ops())
		}
		if Shift(c.D) != w.sh || Shift(c.FF) != w.sh4 || c.GateShift() != w.z {
			t.Errorf("%s: shifts %d %d %d", c.Name, Shift(c.D), Shift(c.FF), c.GateShift())
		}
		if int(c.ID) != i+1 || c.Valid() != nil {
			t.Errorf("%s: id %d, %v", c.Name, c.ID, c.Valid())
		}
		byName, err1 := ByName(c.Name)
		byID, err2 := ByID(c.ID)
		if err1 != nil || err2 != nil || byName != c || byID != c {
			t.Errorf("%s: not found by name and id: %v %v", c.Name, err1, err2)
		}
		total := 0
		for id := range matrices {
			rows, cols := c.Matrix(id)
			total += rows * cols
		}
		if uint64(total*c.Layers) != c.WeightBytes() || uint64(total*c.Layers*Tokens) != w.macs {
			t.Errorf("%s: matrices hold %d bytes a layer", c.Name, total)
		}
	}
	for _, bad := range []string{"", "Nano", "huge"} {
		if _, err := ByName(bad); !errors.Is(err, ErrClass) {
			t.Errorf("class %q: %v", bad, err)
		}
	}
	if _, err := ByID(0); !errors.Is(err, ErrClass) {
		t.Errorf("class 0: %v", err)
	}
	odd := Nano
	odd.Layers = 3
	if _, err := Build(t.Context(), odd, testSeed1, nil); !errors.Is(err, ErrClass) {
		t.Errorf("an unpublished class was built: %v", err)
	}
}

// Holds spec W-15.
func TestExp2TableIsThePublishedOne(t *testing.T) {
	var raw []byte
	for _, v := range exp2 {
		raw = binary.LittleEndian.AppendUint16(raw, v)
	}
	want := "e9b52e382473980ceff474030fed00b7f37aaf629884652565575d696aaded9d"
	if got := sha256.Sum256(raw); seed.Seed(got).String() != want {
		t.Errorf("table digest %x", got)
	}
	for i, v := range exp2 {
		if exact := 65535 * math.Exp2(-float64(i)/256); math.Abs(exact-float64(v)) > 0.5+1e-6 {
			t.Errorf("exp2[%d] = %d, exactly %f", i, v, exact)
		}
	}
}

// Holds spec W-11, W-12, W-14, W-15, W-16, W-17.
func TestReferenceEqualsNaive(t *testing.T) {
	m := nanoModel()
	ns := []uint64{0, 1, 2, 1<<48 - 2, math.MaxUint64, 77}
	got := run(t, m, ns)
	for i, nonce := range ns {
		want := (&naive{m: m}).run(seed.Input(testNode, testSegment, nonce)).Output
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("nonce %d (-naive +reference):\n%s", nonce, diff)
		}
	}
}

// Holds spec W-10.
func TestWeightsAreTheSpecifiedStreams(t *testing.T) {
	m := nanoModel()
	key := prf.Key(seed.Weights(testSeed1, "nano"))
	for _, at := range []struct{ layer, id, row, col int }{
		{0, Query, 0, 0}, {0, Key, 255, 255}, {1, Down, 200, 1023}, {2, Gating, 1023, 17},
		{3, Out, 5, 64}, {3, Up, 999, 100},
	} {
		_, cols := Nano.Matrix(at.id)
		n := uint64(at.row*cols + at.col)
		var block [64]byte
		prf.Block(&block, &key, uint64(at.layer*8+at.id), n/64)
		want := int8(block[n%64])
		if want == -128 {
			want = 0
		}
		if got := m.layers[at.layer][at.id][n]; got != want {
			t.Errorf("%+v: %d, want %d", at, got, want)
		}
	}
	zero := 0
	for _, l := range m.layers {
		for _, w := range l {
			for _, v := range w {
				switch v {
				case -128:
					t.Fatal("-128 among the weights")
				case 0:
					zero++
				}
			}
		}
	}
	// 2 of 256 byte values give 0.
	if got, want := float64(zero)/4_194_304, 2.0/256; math.Abs(got-want) > 0.0005 {
		t.Errorf("share of zeros %f, want %f", got, want)
	}
}

// Holds spec W-1.
func TestRunDoesNotDependOnBatchOrOrder(t *testing.T) {
	m := nanoModel()
	all := run(t, m, nonces(6))
	back := run(t, m, []uint64{5, 0, 3})
	if diff := cmp.Diff([]Output{all[5], all[0], all[3]}, back); diff != "" {
		t.Error(diff)
	}
	if err := m.Run(make([]Output, 2), testNode, testSegment, nonces(3)); !errors.Is(err, ErrRun) {
		t.Errorf("slices of different lengths: %v", err)
	}
	if err := m.Run(nil, testNode, testSegment, nil); err != nil {
		t.Errorf("an empty run: %v", err)
	}
}

func TestRunIsSafeForConcurrentUse(t *testing.T) {
	m := nanoModel()
	want := run(t, m, nonces(8))
	var group sync.WaitGroup
	got := make([]Output, 8)
	for i := range 4 {
		group.Go(func() {
			if err := m.Run(got[2*i:2*i+2], testNode, testSegment,
				[]uint64{uint64(2 * i), uint64(2*i + 1)}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBuildReportsProgressAndStops(t *testing.T) {
	var last uint64
	calls := 0
	if _, err := Build(t.Context(), Nano, testSeed1, func(done, total uint64) {
		if done <= last || total != Nano.WeightBytes() {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
		calls++
	}); err != nil {
		t.Fatal(err)
	}
	if last != Nano.WeightBytes() || calls != 28 {
		t.Errorf("ended at %d after %d calls", last, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Build(ctx, Nano, testSeed1, func(done, _ uint64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestEverySeedMatters(t *testing.T) {
	m := nanoModel()
	base := run(t, m, []uint64{5})[0]
	other := func(name string, f func(out []Output) error) {
		t.Helper()
		var out [1]Output
		if err := f(out[:]); err != nil {
			t.Fatal(err)
		}
		if out[0].Digest == base.Digest || out[0].Norm == base.Norm ||
			out[0].Middle == base.Middle {
			t.Errorf("another %s leaves something unchanged", name)
		}
	}
	other("node", func(out []Output) error {
		return m.Run(out, seed.Seed{1}, testSegment, []uint64{5})
	})
	other("segment", func(out []Output) error {
		return m.Run(out, testNode, seed.Seed{1}, []uint64{5})
	})
	other("nonce", func(out []Output) error {
		return m.Run(out, testNode, testSegment, []uint64{6})
	})
	m2, err := Build(t.Context(), Nano, seed.Seed{99}, nil)
	if err != nil {
		t.Fatal(err)
	}
	other("seed 1", func(out []Output) error {
		return m2.Run(out, testNode, testSegment, []uint64{5})
	})
}

// Holds spec W-13.
func TestIntegerStepsEqualExactArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64().Draw(t, "x")
		r := uint64(isqrt(x))
		hi := (r + 1) * (r + 1) // 0 where it overflows, and then it is above x
		if r*r > x || (hi != 0 && hi <= x) {
			t.Fatalf("isqrt(%d) = %d", x, r)
		}
		den := rapid.Uint32Min(1).Draw(t, "r")
		inv, e := recip(den)
		if wantInv, wantE := nRecip(uint64(den)); inv != wantInv || int(e) != wantE {
			t.Fatalf("recip(%d) = %d, %d; want %d, %d", den, inv, e, wantInv, wantE)
		}
		v := rapid.Int32Range(-MaxResidual, MaxResidual).Draw(t, "v")
		s := rapid.UintRange(1, 60).Draw(t, "s")
		if got, want := rq(v, inv, s), nClamp(nRsh(int64(v)*inv, int(s)), 127); int64(got) != want {
			t.Fatalf("rq(%d, %d, %d) = %d, want %d", v, inv, s, got, want)
		}
	})
	for _, x := range []uint64{0, 1, 2, 3, 4, 1<<62 - 1, 1 << 62, math.MaxUint64} {
		if r := uint64(isqrt(x)); r*r > x {
			t.Errorf("isqrt(%d) = %d", x, r)
		}
	}
	if got := isqrt(math.MaxUint64); got != math.MaxUint32 {
		t.Errorf("isqrt(2^64-1) = %d", got)
	}
}

// A stream at its limits stays defined: it saturates, and the norm of zeros is
// zeros.
// Holds spec W-14.
func TestExtremes(t *testing.T) {
	h := make([]int32, Tokens*256)
	x := make([]int8, len(h))
	Norm(x, h)
	for _, v := range x {
		if v != 0 {
			t.Fatal("the norm of zeros is not zeros")
		}
	}
	acc := make([]int32, len(h))
	for i := range h {
		h[i], acc[i] = MaxResidual, 127*127*1024
		if i%2 == 1 {
			h[i], acc[i] = -MaxResidual, -127*127*1024
		}
	}
	Residual(h, acc, 1024)
	for i, v := range h {
		if v != MaxResidual*int32(1-2*(i%2)) {
			t.Fatalf("h[%d] = %d", i, v)
		}
	}
	Norm(x, h)
	for i, v := range x {
		if v != int8(32*(1-2*(i%2))) {
			t.Fatalf("norm of +-max: x[%d] = %d", i, v)
		}
	}
	if got, want := SquaredNorm(h), uint64(256)*MaxResidual*MaxResidual; got != want {
		t.Errorf("squared norm %d, want %d", got, want)
	}
}
