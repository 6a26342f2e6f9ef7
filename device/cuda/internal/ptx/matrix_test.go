// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	_ "embed"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:embed testdata/product.ptx
var productPTX string

// TestMma loads fragments by the tables of the PTX ISA, element by element, and
// compares with a plain product, for each shape and signedness.
func TestMma(t *testing.T) {
	for _, shape := range []struct {
		name        string
		m, k        int
		na, nb, nc  int
		row, column func(r, lane int) int // of C
		// ka is the depth of byte i of register r, in A (with its row) and in B.
		ra func(r, lane int) int
		ka func(r, lane, i int) int
		kb func(r, lane, i int) int
	}{
		{"m8n8k16", 8, 16, 1, 1, 2,
			func(_, lane int) int {
				return lane >> 2
			}, func(r, lane int) int { return lane%4*2 + r },
			func(_, lane int) int {
				return lane >> 2
			}, func(_, lane, i int) int { return lane%4*4 + i },
			func(_, lane, i int) int { return lane%4*4 + i }},
		{"m16n8k16", 16, 16, 2, 1, 4,
			func(r, lane int) int {
				return lane>>2 + r>>1<<3
			}, func(r, lane int) int { return lane%4*2 + r&1 },
			func(r, lane int) int {
				return lane>>2 + r<<3
			}, func(_, lane, i int) int { return lane%4*4 + i },
			func(_, lane, i int) int { return lane%4*4 + i }},
		{"m16n8k32", 16, 32, 4, 2, 4,
			func(r, lane int) int {
				return lane>>2 + r>>1<<3
			}, func(r, lane int) int { return lane%4*2 + r&1 },
			func(r, lane int) int {
				return lane>>2 + r&1<<3
			}, func(r, lane, i int) int { return lane%4*4 + i + r>>1<<4 },
			func(r, lane, i int) int { return lane%4*4 + i + r<<4 }},
	} {
		for _, types := range []string{"s8.s8", "s8.u8", "u8.s8", "u8.u8"} {
			for _, saturate := range []string{"", ".satfinite"} {
				name := fmt.Sprintf("mma.sync.aligned.%s.row.col%s.s32.%s.s32",
					shape.name, saturate, types)
				t.Run(name, func(t *testing.T) {
					registers := func(first, n int) string {
						var list []string
						for i := range n {
							list = append(list, fmt.Sprint("%r", first+i))
						}
						return "{" + strings.Join(list, ", ") + "}"
					}
					body := "mad.wide.u32 %d2, %r0, 40, %d0;\n"
					for i := range 10 {
						body += fmt.Sprintf("ld.global.u32 %%r%d, [%%d2+%d];\n", 2+i, 4*i)
					}
					// A in 2.., B in 6.., C in 8..; D over C.
					body += fmt.Sprintf("%s %s, %s, %s, %s;\n", name, registers(8, shape.nc),
						registers(2, shape.na), registers(6, shape.nb), registers(8, shape.nc))
					for i := range shape.nc {
						body += fmt.Sprintf("st.global.u32 [%%d2+%d], %%r%d;\n", 24+4*i, 8+i)
					}
					k := kernel(t, bare(body+"ret;"), "bare")
					r := rand.New(rand.NewPCG(1, 2))
					for range 10 {
						words := make([]uint32, 320)
						for i := range words {
							words[i] = r.Uint32()
							if r.IntN(4) == 0 {
								words[i] = []uint32{0x80808080, 0x7f7f7f7f, 0xffffffff, 0x80000000,
									0x7fffffff}[r.IntN(5)]
							}
						}
						byteOf := func(first, reg, lane, i int, isSigned bool) int64 {
							b := byte(words[lane*10+first+reg] >> (8 * i))
							if isSigned {
								return int64(int8(b))
							}
							return int64(b)
						}
						var a [16][32]int64
						var b [32][8]int64
						for lane := range 32 {
							for i := range 4 {
								for r := range shape.na {
									a[shape.ra(r, lane)][shape.ka(r, lane, i)] = byteOf(0, r,
										lane, i, types[0] == 's')
								}
								for r := range shape.nb {
									b[shape.kb(r, lane, i)][lane>>2] = byteOf(4, r,
										lane, i, types[3] == 's')
								}
							}
						}
						want := append([]uint32{}, words...)
						for lane := range 32 {
							for r := range shape.nc {
								sum := int64(int32(words[lane*10+6+r]))
								for k := range shape.k {
									sum += a[shape.row(r, lane)][k] * b[k][shape.column(r, lane)]
								}
								if saturate != "" {
									sum = min(max(sum, math.MinInt32), math.MaxInt32)
								}
								want[lane*10+6+r] = uint32(sum)
							}
						}
						m := New(Options{})
						at := put(t, m, words)
						if err := m.Launch(k, [3]int{1, 1, 1}, [3]int{32, 1, 1},
							0, at); err != nil {
							t.Fatal(err)
						}
						if diff := cmp.Diff(want, get[uint32](t, m, at, 320)); diff != "" {
							t.Fatal(diff)
						}
					}
				})
			}
		}
	}
}

// TestLdmatrix loads matrices whose elements tell their place.
func TestLdmatrix(t *testing.T) {
	for n, list := range map[int]string{1: "{%r4}", 2: "{%r4, %r5}", 4: "{%r4, %r5, %r6, %r7}"} {
		for _, trans := range []string{"", ".trans"} {
			// The 16-bit elements of shared memory hold their index; lane i's row
			// begins at 16 * (7i % 32).
			body := `
	mov.u32 %r2, block;
	add.u32 %r1, %r1, %r2;
	mul.lo.u32 %r3, %r0, 0x20002;
	add.u32 %r3, %r3, 0x10000;
	st.shared.u32 [%r1], %r3;
	add.u32 %r3, %r3, 0x400040;
	st.shared.u32 [%r1+128], %r3;
	add.u32 %r3, %r3, 0x400040;
	st.shared.u32 [%r1+256], %r3;
	add.u32 %r3, %r3, 0x400040;
	st.shared.u32 [%r1+384], %r3;
	mul.lo.u32 %r8, %r0, 7;
	and.b32 %r8, %r8, 31;
	mad.lo.u32 %r8, %r8, 16, %r2;
	mov.u32 %r4, 0; mov.u32 %r5, 0; mov.u32 %r6, 0; mov.u32 %r7, 0;
	LDMATRIX
	mad.wide.u32 %d2, %r0, 16, %d0;
	st.global.v4.u32 [%d2], {%r4, %r5, %r6, %r7};
	ret;`
			load := fmt.Sprintf("ldmatrix.sync.aligned.m8n8.x%d%s.shared.b16 %s, [%%r8];",
				n, trans, list)
			// row of a lane's address
			element := func(row, i int) uint32 { return uint32(row*7%32*8 + i) }
			want := make([]uint32, 128)
			for lane := range 32 {
				for q := range n {
					x, y := element(q*8+lane/4, lane%4*2), element(q*8+lane/4, lane%4*2+1)
					if trans != "" {
						x, y = element(q*8+lane%4*2, lane/4), element(q*8+lane%4*2+1, lane/4)
					}
					want[lane*4+q] = x | y<<16
				}
			}
			got, err := bareRun{threads: 32, words: 128}.run(t,
				strings.ReplaceAll(body, "LDMATRIX", load))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("x%d%s: %s", n, trans, diff)
			}
			// And the way back: what was loaded is stored to where it came from.
			back := strings.NewReplacer("ldmatrix", "stmatrix", list+", [%r8]",
				"[%r8], "+list).Replace(load)
			got, err = bareRun{threads: 32, words: 128}.run(t,
				strings.ReplaceAll(body, "LDMATRIX", load+`
	add.u32 %r8, %r8, 512;
	`+back+`
	bar.warp.sync -1;
	`+strings.Replace(load, ".trans", "", 1)))
			if err != nil {
				t.Fatal(err)
			}
			for lane := range 32 {
				for q := range n {
					want[lane*4+q] = element(q*8+lane/4, lane%4*2) | element(q*8+lane/4,
						lane%4*2+1)<<16
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("stmatrix x%d%s: %s", n, trans, diff)
			}
		}
	}
}

// TestCopies covers sizes, zero fill and groups of cp.async.
func TestCopies(t *testing.T) {
	k := kernel(t, bare(`
	setp.eq.u32 %p0, %r0, 3;
	mad.wide.u32 %d2, %r0, 16, %d0;
	shl.b32 %r2, %r0, 4;
	mov.u32 %r3, block;
	add.u32 %r2, %r2, %r3;
	and.b32 %r4, %r0, 15;
	cp.async.cg.shared.global.L2::128B [%r2], [%d2], 16, %r4;
	cp.async.commit_group;
	cp.async.ca.shared.global [%r2+512], [%d2+8], 8;
	@%p0 cp.async.ca.shared.global [%r2+520], [%d2], 4, 0;
	cp.async.commit_group;
	cp.async.ca.shared.global [%r2+524], [%d2], 4;
	cp.async.wait_group 1;
	ld.shared.v4.u32 {%r5, %r6, %r7, %r8}, [%r2];
	cp.async.wait_group 0;
	ld.shared.v2.u32 {%r9, %r10}, [%r2+512];
	@%p0 ld.shared.u32 %r9, [%r2+520];
	cp.async.wait_all;
	ld.shared.u32 %r11, [%r2+524];
	st.global.v4.u32 [%d2], {%r5, %r6, %r7, %r8};
	mov.b64 %d3, {%r10, %r11};
	st.global.u64 [%d2+512], %d3;
	st.global.u32 [%d2+520], %r9;
	ret;`), "bare")
	source := make([]byte, 1024)
	for i := range source {
		source[i] = byte(i%251) + 1
	}
	want := append([]byte{}, source...)
	for lane := range 32 {
		row := lane * 16
		clear(want[row+lane%16 : row+16])
		copy(want[512+row:], source[row+12:row+16])
		copy(want[512+row+4:], source[row:row+4])
		copy(want[512+row+8:], source[row+8:row+12])
		if lane == 3 {
			clear(want[512+row+8 : 512+row+12])
		}
	}
	m := New(Options{})
	at := put(t, m, source)
	if err := m.Launch(k, [3]int{1, 1, 1}, [3]int{32, 1, 1}, 0, at); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, get[byte](t, m, at, 1024)); diff != "" {
		t.Error(diff)
	}
}

// multiply runs the kernel of testdata/product.cu, or a mutant of it.
func multiply(t testing.TB, source string, o Options, m, n, k int) (wrong int, err error) {
	t.Helper()
	r := rand.New(rand.NewPCG(o.Seed, 77))
	a, b := make([]int8, m*k), make([]int8, n*k)
	for _, v := range [][]int8{a, b} {
		for i := range v {
			v[i] = int8(r.Uint32())
		}
	}
	machine := New(o)
	c := put(t, machine, make([]int32, m*n))
	err = machine.Launch(kernel(t, source, "product"), [3]int{n / 64, m / 64, 1},
		[3]int{128, 1, 1}, 0,
		put(t, machine, a), put(t, machine, b), c, uint32(n), uint32(k))
	got := get[int32](t, machine, c, m*n)
	for i := range m {
		for j := range n {
			var sum int32
			for l := range k {
				sum += int32(a[i*k+l]) * int32(b[j*k+l])
			}
			if sum != got[i*n+j] {
				wrong++
			}
		}
	}
	return wrong, err
}

// TestClangProduct multiplies by the real thing, under several schedules.
func TestClangProduct(t *testing.T) {
	for seed := range uint64(5) {
		if wrong, err := multiply(t, productPTX, Options{Seed: seed}, 128, 64,
			64*int(1+seed)); wrong > 0 || err != nil {
			t.Fatalf("seed %d: %d wrong, %v", seed, wrong, err)
		}
	}
}

// TestMutants plants faults in it, each of which must be found, by the checks or
// by the result.
func TestMutants(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		n        int // how many of them change; -1 for all
		race     bool
	}{
		"waits for one group less": {"cp.async.wait_group 1;",
			"cp.async.wait_group 2;", -1, true},
		"does not wait":               {"cp.async.wait_group 1;", "", -1, true},
		"no barrier":                  {"bar.sync 0;", "", -1, true},
		"other swizzle":               {"xor.b32", "or.b32", 1, false},
		"no commit":                   {"cp.async.commit_group;", "", -1, true},
		"matrices transposed":         {".x4.shared", ".x4.trans.shared", 1, false},
		"bytes taken as unsigned":     {"s32.s8.s8.s32", "s32.u8.s8.s32", 1, false},
		"a copy of half the size":     {", 16;", ", 16, 8;", 1, false},
		"barrier of half the threads": {"bar.sync 0;", "bar.sync 0, 64;", -1, true},
	} {
		t.Run(name, func(t *testing.T) {
			mutant := strings.Replace(productPTX, c.old, c.new, c.n)
			if mutant == productPTX {
				t.Fatal("nothing changed")
			}
			for seed := range uint64(5) {
				wrong, err := multiply(t, mutant, Options{Seed: seed}, 64, 64, 256)
				if c.race && !raced(err) || !c.race && wrong == 0 && err == nil {
					t.Errorf("seed %d: %d wrong, %v", seed, wrong, err)
				}
				if strings.HasPrefix(c.old, "cp.async.wait") {
					// Copies land late: without the detector the bytes betray it.
					if wrong, err := multiply(t, mutant, Options{Seed: seed, AllowRaces: true}, 64,
						64, 256); wrong == 0 && err == nil {
						t.Errorf("seed %d without the detector: nothing found", seed)
					}
				}
			}
		})
	}
}
