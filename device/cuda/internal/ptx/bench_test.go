// SPDX-License-Identifier: Apache-2.0

package ptx

import "testing"

// BenchmarkLanes is how many instructions of lanes it runs, on plain arithmetic
// of 32 bits by whole warps.
func BenchmarkLanes(b *testing.B) {
	k := kernel(b, bare(`
	mov.u32 %r2, 0;
	mov.u32 %r3, 0x9e3779b9;
loop:
	shf.l.wrap.b32 %r4, %r3, %r3, 7;
	xor.b32 %r3, %r3, %r4;
	mad.lo.s32 %r3, %r3, %r0, %r2;
	shr.u32 %r4, %r3, 16;
	lop3.b32 %r3, %r3, %r4, %r2, 0x96;
	add.u32 %r2, %r2, 1;
	setp.lt.u32 %p0, %r2, 1000;
	@%p0 bra loop;
	st.global.u32 [%d1], %r3;
	ret;`), "bare")
	m := New(Options{})
	memory := put(b, m, make([]uint32, 256))
	before := m.Work().LaneSteps
	for b.Loop() {
		if err := m.Launch(k, [3]int{1, 1, 1}, [3]int{256, 1, 1}, 0, memory); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(m.Work().LaneSteps-before)/b.Elapsed().Seconds()/1e6, "Mlanes/s")
}

// BenchmarkProduct is how many multiply-adds it makes in a whole kernel on
// matrix instructions, with all checks.
func BenchmarkProduct(b *testing.B) {
	const m, n, k = 128, 128, 512
	machine := New(Options{})
	c := put(b, machine, make([]int32, m*n))
	x, y := put(b, machine, make([]int8, m*k)), put(b, machine, make([]int8, n*k))
	product := kernel(b, productPTX, "product")
	before := machine.Work().Products
	for b.Loop() {
		if err := machine.Launch(product, [3]int{n / 64, m / 64, 1}, [3]int{128, 1, 1}, 0, x, y, c,
			uint32(n), uint32(k)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(machine.Work().Products-before)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
