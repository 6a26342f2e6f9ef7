// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:embed testdata/flow.ptx
var flowPTX string

// TestClangFlow runs what clang makes of branches, loops and memory spaces, in
// several orders, against the same functions in Go.
func TestClangFlow(t *testing.T) {
	module := parse(t, flowPTX)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := New(Options{Seed: seed})
		run := func(name string, grid, block int, args ...any) {
			t.Helper()
			k, err := module.Kernel(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Launch(k, [3]int{grid, 1, 1}, [3]int{block, 1, 1}, 0, args...); err != nil {
				t.Fatal(err)
			}
		}
		same := func(what string, want, got any) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s, seed %d: %s", what, seed, diff)
			}
		}
		random := func(n, limit int) []uint32 {
			v := make([]uint32, n)
			for i := range v {
				v[i] = uint32(r.IntN(limit))
			}
			return v
		}

		// A last warp with lanes missing, and a guard before the loop.
		in := random(150, 5000)
		want := make([]uint32, 192)
		for i := range in {
			in[i]++
			want[i] = collatz(uint64(in[i]))
		}
		out := put(t, m, make([]uint32, 192))
		run("collatz", 3, 64, out, put(t, m, in), uint32(150))
		same("collatz", want, get[uint32](t, m, out, 192))

		in = random(45, 1<<12)
		want = make([]uint32, 45)
		for i, x := range in {
			want[i] = nested(x)
		}
		out = put(t, m, make([]uint32, 45))
		run("nested", 1, 45, out, put(t, m, in))
		same("nested", want, get[uint32](t, m, out, 45))

		in = random(64, 9)
		memory := random(600, 1<<30)
		want = cases(in, memory)
		out = put(t, m, memory)
		run("cases", 1, 64, out, put(t, m, in))
		same("cases", want, get[uint32](t, m, out, 600))

		bytes := make([]int8, 40)
		for i := range bytes {
			bytes[i] = int8(r.Uint32())
		}
		p := pair{A: r.Uint64(), B: uint16(r.Uint32()), C: [5]int8{-1, 2, -128, 127, 9}}
		wide := make([]uint64, 32)
		for i := range wide {
			wide[i] = spacesResult(i, bytes, p)
		}
		out = put(t, m, make([]uint64, 32))
		run("spaces", 1, 32, out, put(t, m, bytes), put8(p))
		same("spaces", wide, get[uint64](t, m, out, 32))

		in = random(1000, 1<<30)
		sum := uint32(0)
		for _, x := range in {
			sum += x
		}
		out = put(t, m, []uint32{0})
		run("total", 2, 256, out, put(t, m, in), uint32(1000))
		same("total", []uint32{sum}, get[uint32](t, m, out, 1))
	}
}

func collatz(x uint64) (steps uint32) {
	for x != 1 {
		if x%2 == 1 {
			x = 3*x + 1
			if x%5 == 0 {
				steps += 1000
			}
		} else {
			x /= 2
		}
		steps++
	}
	return steps
}

func nested(x uint32) (sum uint32) {
	for i := uint32(0); i < x&15; i++ {
		for j := i; j < x>>4&31; j++ {
			if (i^j)%3 == 0 {
				continue
			}
			if i*j > 100 {
				break
			}
			sum += i*j + 1
		}
		if sum%17 == 11 {
			sum ^= x
			if sum&1 != 0 {
				return sum
			}
		}
	}
	return sum
}

// cases gives the memory after the kernel; what lanes read is past what they write.
func cases(in, memory []uint32) []uint32 {
	m := append([]uint32{}, memory...)
	for i, x := range in {
		var y uint32
		switch x {
		case 0:
			y = 1
		case 1:
			y = memory[i+256] + 10
		case 2:
			y = 7
		case 3:
			y = x * 9
		case 4:
			y = 4
		case 5:
			continue
		case 6:
			y = memory[i+257]
		default:
			y = 99
		}
		m[i] = y*3 + x
	}
	return m
}

type pair struct {
	A uint64
	B uint16
	C [5]int8
}

func put8(p pair) []byte {
	b := make([]byte, 16)
	for i := range 8 {
		b[i] = byte(p.A >> (8 * i))
	}
	b[8], b[9] = byte(p.B), byte(p.B>>8)
	for i, c := range p.C {
		b[10+i] = byte(c)
	}
	return b
}

func spacesResult(t int, in []int8, p pair) uint64 {
	table := []int64{1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12, 13, -14, 15, -16}
	counters := []int64{7, 8, 9, 0}
	var stack [24]byte
	for i := range 24 {
		stack[(i*7+t)%24] = byte(int(in[t])*i + int(p.C[i%5]))
	}
	sum := p.A/uint64(t+1) + uint64(p.B)
	for i := range uint32(24) {
		sum = sum*31 + uint64(stack[(i+uint32(in[t+1]))%24&15])
	}
	return sum + uint64(table[t&15]+counters[t&3]*int64(in[t+2]))
}

// kernels for the tests below: one warp or more, a buffer of 32-bit words.
func bare(body string) string {
	return header + `.extern .shared .align 16 .b8 dynamic[];
.entry bare(.param .u64 memory)
{
	.reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<16>; .reg .b64 %d<8>;
	.shared .align 16 .b8 block[1024];
	ld.param.u64 %d0, [memory];
	mov.u32 %r0, %tid.x;
	mad.wide.u32 %d1, %r0, 4, %d0; // a word of device memory for each thread
	shl.b32 %r1, %r0, 2; // and of shared memory
` + body + `
}
`
}

type bareRun struct {
	threads, words int
	shared         int
	options        Options
}

func (b bareRun) run(t *testing.T, body string) ([]uint32, error) {
	t.Helper()
	k := kernel(t, bare(body), "bare")
	m := New(b.options)
	memory := put(t, m, make([]uint32, b.words))
	err := m.Launch(k, [3]int{1, 1, 1}, [3]int{b.threads, 1, 1}, b.shared, memory)
	return get[uint32](t, m, memory, b.words), err
}

// TestReconvergence holds lanes to meet again before instructions that need
// them all, wherever the blocks lie in the text.
func TestReconvergence(t *testing.T) {
	for name, body := range map[string]string{
		"if": `
	and.b32 %r2, %r0, 3;
	setp.eq.u32 %p0, %r2, 0;
	@%p0 bra join;
	add.u32 %r2, %r2, 10;
join:
	shfl.sync.bfly.b32 %r3, %r2, 0, 31, -1;
	st.global.u32 [%d1], %r3;
	ret;`,
		"side placed after the join": `
	and.b32 %r2, %r0, 3;
	setp.ne.u32 %p0, %r2, 0;
	@%p0 bra cold;
join:
	shfl.sync.bfly.b32 %r3, %r2, 0, 31, -1;
	st.global.u32 [%d1], %r3;
	ret;
cold:
	add.u32 %r2, %r2, 10;
	bra join;`,
		"loop with the join before it": `
	bra start;
done:
	shfl.sync.bfly.b32 %r3, %r2, 0, 31, -1;
	st.global.u32 [%d1], %r3;
	ret;
start:
	and.b32 %r4, %r0, 3;
	mov.u32 %r2, 0;
	setp.eq.u32 %p0, %r4, 0;
	@%p0 bra done;
	mov.u32 %r2, 10;
	mov.u32 %r5, 0;
loop:
	add.u32 %r2, %r2, 1;
	add.u32 %r5, %r5, 1;
	setp.lt.u32 %p0, %r5, %r4;
	@%p0 bra loop;
	bra done;`,
		"jump table": `
	and.b32 %r4, %r0, 3;
	brx.idx %r4, table;
table: .branchtargets zero, one, one, three;
three:
	mov.u32 %r2, 13;
	bra join;
zero:
	mov.u32 %r2, 0;
	bra join;
one:
	add.u32 %r2, %r4, 10;
join:
	shfl.sync.bfly.b32 %r3, %r2, 0, 31, -1;
	st.global.u32 [%d1], %r3;
	ret;`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := bareRun{threads: 32, words: 32}.run(t, body)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				want := uint32(i & 3)
				if want != 0 {
					want += 10
				}
				if v != want {
					t.Errorf("lane %d: %d, not %d", i, v, want)
				}
			}
		})
	}
}

// TestEarlyExit lets lanes leave one by one while the others go on.
func TestEarlyExit(t *testing.T) {
	got, err := bareRun{threads: 40, words: 40}.run(t, `
	mov.u32 %r2, 0;
loop:
	st.global.u32 [%d1], %r2;
	setp.eq.u32 %p0, %r2, %r0;
	@%p0 exit;
	add.u32 %r2, %r2, 1;
	bra.uni loop;`)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if int(v) != i {
			t.Errorf("thread %d left at %d", i, v)
		}
	}
}

// TestBarriers passes a value from warp to warp by named barriers, for which
// some warps only arrive.
func TestBarriers(t *testing.T) {
	for seed := range uint64(50) {
		got, err := bareRun{threads: 128, words: 128, options: Options{Seed: seed}}.run(t, `
	mov.u32 %r2, block;
	add.u32 %r1, %r1, %r2;
	setp.lt.u32 %p0, %r0, 64;
	@%p0 bra produce;
	bar.sync 1, 128;
	ld.shared.u32 %r3, [%r1+-256];
	st.global.u32 [%d1], %r3;
	ret;
produce:
	mul.lo.u32 %r3, %r0, 3;
	st.shared.u32 [%r1], %r3;
	bar.arrive 1, 128;
	st.global.u32 [%d1], %r0;
	ret;`)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if want := i; i < 64 && int(v) != want || i >= 64 && int(v) != (i-64)*3 {
				t.Fatalf("seed %d, thread %d: %d", seed, i, v)
			}
		}
	}
}

// TestBlocks runs a grid of three dimensions; each block tells its place.
func TestBlocks(t *testing.T) {
	k := kernel(t, header+`.entry where(.param .u64 out, .param .align 4 .b8 plus[8])
.reqntid 2, 3, 4
{
	.reg .b32 %r<8>; .reg .b64 %d<4>;
	ld.param.u64 %d0, [out];
	ld.param.u32 %r6, [plus+4];
	mov.u32 %r0, %ctaid.z; mov.u32 %r1, %nctaid.y; mov.u32 %r2, %ctaid.y;
	mad.lo.u32 %r0, %r0, %r1, %r2;
	mov.u32 %r1, %nctaid.x; mov.u32 %r2, %ctaid.x;
	mad.lo.u32 %r0, %r0, %r1, %r2;
	mov.u32 %r1, %tid.z; mov.u32 %r2, %tid.y; mov.u32 %r3, %ntid.y; mad.lo.u32 %r1, %r1, %r3, %r2;
	mov.u32 %r2, %tid.x; mov.u32 %r3, %ntid.x; mad.lo.u32 %r1, %r1, %r3, %r2;
	mad.lo.u32 %r2, %r0, 24, %r1;
	add.u32 %r3, %r2, %r6;
	mad.wide.u32 %d0, %r2, 4, %d0;
	st.global.u32 [%d0], %r3;
	ret;
}
`, "where")
	want := make([]uint32, 30*24)
	for i := range want {
		want[i] = uint32(i + 100)
	}
	for _, resident := range []int{1, 3, 100} {
		m := New(Options{Seed: 5, Resident: resident})
		out := put(t, m, make([]uint32, len(want)))
		if err := m.Launch(k, [3]int{5, 2, 3}, [3]int{2, 3, 4}, 0, out,
			[]byte{1, 2, 3, 4, 100, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, get[uint32](t, m, out, len(want))); diff != "" {
			t.Error(diff)
		}
	}
	m := New(Options{})
	for name, launch := range map[string]func() error{
		"block": func() error {
			return m.Launch(k, [3]int{1, 1, 1}, [3]int{2, 3, 3}, 0, uint64(0), make([]byte, 8))
		},
		"grid": func() error {
			return m.Launch(k, [3]int{1, 0, 1}, [3]int{2, 3, 4}, 0, uint64(0), make([]byte, 8))
		},
		"parameter": func() error {
			return m.Launch(k, [3]int{1, 1, 1}, [3]int{2, 3, 4}, 0, uint32(0), make([]byte, 8))
		},
		"missing": func() error {
			return m.Launch(k, [3]int{1, 1, 1}, [3]int{2, 3, 4}, 0, uint64(0))
		},
		"shared": func() error {
			return m.Launch(k, [3]int{1, 1, 1}, [3]int{2, 3, 4}, 1<<20, uint64(0), make([]byte, 8))
		},
	} {
		if err := launch(); !errors.Is(err, ErrBadLaunch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSeedDecides draws the order of warps from the seed and from nothing else.
func TestSeedDecides(t *testing.T) {
	orders := map[string]int{}
	for seed := range uint64(20) {
		run := func() string {
			got, err := bareRun{threads: 128, words: 128, options: Options{Seed: seed}}.run(t, `
	atom.global.add.u32 %r2, [%d0], 1;
	setp.eq.u32 %p0, %r0, 0;
	@!%p0 st.global.u32 [%d1], %r2;
	ret;`)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(got)
		}
		first := run()
		if first != run() {
			t.Fatalf("seed %d gave two orders", seed)
		}
		orders[first]++
	}
	if len(orders) < 5 {
		t.Errorf("%d orders from 20 seeds", len(orders))
	}
}

// TestAtomics counts by all threads of a grid in global and shared memory.
func TestAtomics(t *testing.T) {
	got, err := bareRun{threads: 96, words: 128, shared: 32}.run(t, `
	and.b32 %r2, %r0, 3;
	shl.b32 %r3, %r2, 3;
	mov.u32 %r4, dynamic;
	add.u32 %r3, %r3, %r4;
	setp.lt.u32 %p0, %r0, 4;
	mov.u64 %d3, 1000;
	@%p0 st.shared.u64 [%r3], %d3;
	bar.sync 0;
	cvt.u64.u32 %d2, %r0;
	atom.shared.add.u64 %d4, [%r3], %d2;
	bar.sync 0;
	ld.shared.u64 %d4, [%r3];
	cvt.u32.u64 %r5, %d4;
	@%p0 st.global.u32 [%d1], %r5;
	red.global.max.s32 [%d0+128], %r0;
	red.relaxed.gpu.global.or.b32 [%d0+132], %r0;
	atom.global.inc.u32 %r6, [%d0+136], 9;
	atom.global.min.s32 %r6, [%d0+140], -7;
	atom.global.cas.b32 %r6, [%d0+144], %r0, 200;
	setp.eq.u32 %p1, %r0, 17;
	@%p1 atom.exch.b32 %r6, [%d0+148], 321;
	@%p1 atom.global.dec.u32 %r6, [%d0+152], 55;
	@%p1 atom.global.and.b64 %d2, [%d0+160], -1;
	ret;`)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]uint32, 128)
	for i := range uint32(96) {
		want[i%4] += i
	}
	for i := range 4 {
		want[i] += 1000
	}
	want[32], want[33], want[34], want[35] = 95, 127, 96%10, 1<<32-7
	want[36] = 200 // thread 0 found the zero
	want[37], want[38] = 321, 55
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
