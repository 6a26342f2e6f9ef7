// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"errors"
	"strings"
	"testing"
)

// raced reports whether a race was found. Where the reader came first and nobody
// had written yet, it shows as that.
func raced(err error) bool { return errors.Is(err, ErrRace) || errors.Is(err, ErrUndefined) }

// TestFaults shows each kind of error, with its place, under many schedules:
// what is wrong must be found whatever order the warps ran in.
func TestFaults(t *testing.T) {
	type fault struct {
		run  bareRun
		want error
		line string // that the fault names
		body string
	}
	for name, c := range map[string]fault{
		"past the end": {bareRun{threads: 64, words: 60}, ErrBounds, "st.global.u32 [%d1], %r0;", `
	st.global.u32 [%d1], %r0;
	ret;`},
		"before the start": {bareRun{threads: 1, words: 60}, ErrBounds, "ld.global.u32 %r2, " +
			"[%d0+-4];", `
	ld.global.u32 %r2, [%d0+-4];
	ret;`},
		"null": {bareRun{threads: 1, words: 1}, ErrBounds, "ld.u8 %h0, [%d2];", `
	mov.u64 %d2, 0;
	ld.u8 %h0, [%d2];
	ret;`},
		"misaligned": {bareRun{threads: 32, words: 60}, ErrAlignment, "ld.global.v2.u32 {%r2, " +
			"%r3}, [%d1];", `
	ld.global.v2.u32 {%r2, %r3}, [%d1];
	ret;`},
		"shared past the end": {bareRun{threads: 512, words: 1}, ErrBounds,
			"st.shared.u32 [%r1], %r0;", `
	st.shared.u32 [%r1], %r0;
	ret;`},
		"local past the end": {bareRun{threads: 32, words: 1}, ErrBounds, "st.local.u32 [%d2+8], " +
			"%r0;", `
	.local .align 8 .b8 own[8];
	mov.u64 %d2, own;
	st.local.u32 [%d2+4], %r0;
	st.local.u32 [%d2+8], %r0;
	ret;`},
		"parameters past the end": {bareRun{threads: 1, words: 1}, ErrBounds,
			"ld.param.u32 %r2, [memory+8];", `
	ld.param.u32 %r2, [memory+8];
	ret;`},
		"undefined shared": {bareRun{threads: 32, words: 1}, ErrUndefined, "ld.shared.u32 %r2, " +
			"[%r1+128];", `
	st.shared.u32 [%r1], %r0;
	ld.shared.u32 %r2, [%r1+128];
	ret;`},
		"undefined local": {bareRun{threads: 32, words: 1}, ErrUndefined, "ld.local.u16 %h0, " +
			"[%d2+2];", `
	.local .align 8 .b8 own[8];
	mov.u64 %d2, own;
	st.local.u16 [%d2], %r0;
	ld.local.u16 %h0, [%d2+2];
	ret;`},
		"constant written": {bareRun{threads: 1, words: 1}, ErrReadOnly, "st.u32 [%d2], %r0;", `
	mov.u64 %d2, fixed;
	st.u32 [%d2], %r0;
	ret;`},
		"trap": {bareRun{threads: 64, words: 64}, ErrTrap, "@%p0 trap;", `
	setp.eq.u32 %p0, %r0, 41;
	@%p0 trap;
	ret;`},
		"division by zero": {bareRun{threads: 64, words: 64}, ErrDivision,
			"rem.s32 %r3, %r0, %r2;", `
	sub.u32 %r2, %r0, 9;
	rem.s32 %r3, %r0, %r2;
	ret;`},
		"barrier under divergence": {bareRun{threads: 64, words: 64}, ErrDiverged, "bar.sync 0;", `
	setp.lt.u32 %p0, %r0, 16;
	@%p0 bra skip;
	bar.sync 0;
skip:
	ret;`},
		"barrier without those that left": {bareRun{threads: 64, words: 64},
			ErrDeadlock, "bar.sync 0;", `
	setp.lt.u32 %p0, %r0, 32;
	@%p0 exit;
	bar.sync 0;
	ret;`},
		"each at a barrier of its own": {bareRun{threads: 64, words: 64},
			ErrDeadlock, "bar.sync 1;", `
	setp.lt.u32 %p0, %r0, 32;
	@%p0 bar.sync 1;
	@!%p0 bar.sync 2;
	ret;`},
		"shuffle under divergence": {bareRun{threads: 32, words: 64}, ErrDiverged,
			"@%p0 shfl.sync.idx.b32 %r2, %r0, 0, 31, -1;", `
	setp.lt.u32 %p0, %r0, 16;
	@%p0 shfl.sync.idx.b32 %r2, %r0, 0, 31, -1;
	ret;`},
		"shuffle from a lane that is not there": {bareRun{threads: 32, words: 64}, ErrDiverged,
			"@%p0 shfl.sync.down.b32 %r2, %r0, 1, 31, 0xffff;", `
	setp.lt.u32 %p0, %r0, 16;
	@%p0 shfl.sync.down.b32 %r2, %r0, 1, 31, 0xffff;
	ret;`},
		"uniform branch that is not": {bareRun{threads: 32, words: 64}, ErrDiverged,
			"@%p0 bra.uni end;", `
	setp.lt.u32 %p0, %r0, 16;
	@%p0 bra.uni end;
	mov.u32 %r2, 0;
end:
	ret;`},
		"for ever": {bareRun{threads: 32, words: 1, options: Options{Budget: 1000}},
			ErrBudget, "bra again;", `
again:
	bra again;`},
		"no end": {bareRun{threads: 32, words: 1}, ErrDiverged, "mov.u32 %r2, 0;", `
	mov.u32 %r2, 0;`},
		"read without a barrier": {bareRun{threads: 64, words: 64}, ErrRace, "shared.u32", `
	st.shared.u32 [%r1], %r0;
	xor.b32 %r2, %r1, 128;
	setp.lt.u32 %p0, %r0, 32;
	@%p0 bar.sync 1, 32;
	@!%p0 bar.sync 2, 32;
	ld.shared.u32 %r3, [%r2];
	ret;`},
		"write after a read without a barrier": {bareRun{threads: 64, words: 64}, ErrRace, "", `
	st.shared.u32 [%r1], %r0;
	bar.sync 0;
	xor.b32 %r2, %r1, 128;
	ld.shared.u32 %r3, [%r2];
	st.shared.u32 [%r1], %r3;
	ret;`},
		"two writes": {bareRun{threads: 64, words: 64}, ErrRace, "st.shared.u8 [%r2], %r0;", `
	shr.u32 %r2, %r0, 1;
	and.b32 %r2, %r2, 15;
	st.shared.u8 [%r2], %r0;
	ret;`},
		"atomic and plain": {bareRun{threads: 64, words: 64}, ErrRace, "", `
	st.shared.u32 [%r1], %r0;
	bar.sync 0;
	mov.u32 %r2, 4;
	red.shared.add.u32 [%r2], 1;
	ld.shared.u32 %r3, [%r2];
	ret;`},
		"arriving does not order": {bareRun{threads: 64, words: 64}, ErrRace, "", `
	setp.lt.u32 %p0, %r0, 32;
	@%p0 bra first;
	st.shared.u32 [%r1+-128], %r0;
	bar.sync 1, 64;
	ret;
first:
	bar.arrive 1, 64;
	st.shared.u32 [%r1], %r0;
	ret;`},
		"copy read at once": {bareRun{threads: 32, words: 128}, ErrRace,
			"ld.shared.u32 %r3, [%r2];", `
	shl.b32 %r2, %r0, 4;
	mad.wide.u32 %d2, %r0, 16, %d0;
	cp.async.ca.shared.global [%r2], [%d2], 16;
	cp.async.commit_group;
	cp.async.wait_group 1;
	ld.shared.u32 %r3, [%r2];
	ret;`},
		"copy by another warp, no barrier": {bareRun{threads: 64, words: 128}, ErrRace, "", `
	mov.u32 %r2, block;
	setp.lt.u32 %p0, %r0, 32;
	@%p0 cp.async.ca.shared.global [%r1], [%d1], 4;
	cp.async.wait_all;
	@!%p0 ld.shared.u32 %r3, [%r1+-128];
	ret;`},
		"copy into what is read": {bareRun{threads: 64, words: 128}, ErrRace, "", `
	st.shared.u32 [%r1], %r0;
	bar.sync 0;
	xor.b32 %r2, %r1, 128;
	ld.shared.u32 %r3, [%r2];
	cp.async.ca.shared.global [%r1], [%d1], 4;
	ret;`},
		"copy from nowhere": {bareRun{threads: 32, words: 100}, ErrBounds,
			"cp.async.cg.shared.global [%r2], [%d2], 16;", `
	shl.b32 %r2, %r0, 4;
	mad.wide.u32 %d2, %r0, 16, %d0;
	cp.async.cg.shared.global [%r2], [%d2], 16;
	ret;`},
		"copy to a misaligned place": {bareRun{threads: 32, words: 128}, ErrAlignment,
			"cp.async.cg.shared.global [%r1], [%d0], 16;", `
	cp.async.cg.shared.global [%r1], [%d0], 16;
	ret;`},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				c.run.options.Seed = seed
				source := strings.Replace(bare(c.body), ".entry", ".const .align 4 .u32 fixed = "+
					"5;\n.entry", 1)
				k := kernel(t, source, "bare")
				m := New(c.run.options)
				err := m.Launch(k, [3]int{1, 1, 1}, [3]int{c.run.threads, 1, 1}, 0,
					put(t, m, make([]uint32, c.run.words)))
				var f *Fault
				if !errors.As(err, &f) || !errors.Is(err, c.want) &&
					!(c.want == ErrRace && raced(err)) {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if !strings.Contains(f.Text, c.line) ||
					f.Text != strings.TrimSpace(strings.Split(source, "\n")[f.Line-1]) ||
					f.Seed != seed || f.Kernel != "bare" {
					t.Fatalf("place of %v", err)
				}
			}
		})
	}
}

// TestNoFault runs what is right and looks like the errors above.
func TestNoFault(t *testing.T) {
	for name, body := range map[string]string{
		"barrier between": `
	st.shared.u32 [%r1], %r0;
	bar.sync 0;
	xor.b32 %r2, %r1, 128;
	ld.shared.u32 %r3, [%r2];
	bar.sync 0;
	st.shared.u32 [%r1], %r3;
	ret;`,
		"bytes of one word": `
	st.shared.u8 [%r0], %r0;
	ret;`,
		"atomics among themselves": `
	st.shared.u32 [%r1], 0;
	bar.sync 0;
	mov.u32 %r2, 4;
	atom.shared.add.u32 %r3, [%r2], 1;
	ret;`,
		"many read": `
	st.shared.u32 [%r1], %r0;
	bar.sync 0;
	mov.u32 %r2, 4;
	ld.shared.u32 %r3, [%r2];
	ret;`,
		"a copy, waited for": `
	cp.async.ca.shared.global [%r1], [%d1], 4;
	cp.async.commit_group;
	cp.async.wait_group 0;
	bar.sync 0;
	xor.b32 %r2, %r1, 128;
	ld.shared.u32 %r3, [%r2];
	ret;`,
		"one waits for all who arrive": `
	st.shared.u32 [%r1], %r0;
	setp.lt.u32 %p0, %r0, 32;
	@%p0 bra first;
	bar.sync 3, 64;
	ld.shared.u32 %r2, [%r1+-128];
	ret;
first:
	bar.arrive 3, 64;
	ret;`,
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				if _, err := (bareRun{threads: 64, words: 64, options: Options{Seed: seed}}).run(t,
					body); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestBlocksReuseTheDetector runs many blocks with barriers: what one block did
// to shared memory is no concern of the next, and its bytes are not either.
func TestBlocksReuseTheDetector(t *testing.T) {
	k := kernel(t, bare(`
	st.shared.u32 [%r1], %r0;
	bar.sync 0;
	xor.b32 %r2, %r1, 128;
	ld.shared.u32 %r3, [%r2];
	ret;`), "bare")
	m := New(Options{Seed: 1})
	if err := m.Launch(k, [3]int{200, 1, 1}, [3]int{64, 1, 1}, 0,
		put(t, m, []uint32{0})); err != nil {
		t.Fatal(err)
	}
	stale := kernel(t, bare(`
	mov.u32 %r2, %ctaid.x;
	setp.eq.u32 %p0, %r2, 0;
	@%p0 st.shared.u32 [%r1], %r0;
	@!%p0 ld.shared.u32 %r3, [%r1];
	ret;`), "bare")
	if err := m.Launch(stale, [3]int{2, 1, 1}, [3]int{32, 1, 1}, 0,
		put(t, m, []uint32{0})); !errors.Is(err, ErrUndefined) {
		t.Errorf("another block's shared memory: %v", err)
	}
}

// TestDeviceMemory is what the host does with it.
func TestDeviceMemory(t *testing.T) {
	m := New(Options{})
	a, b := put(t, m, []byte{1, 2, 3}), put(t, m, []byte{4, 5})
	if a%256 != 0 || b%256 != 0 {
		t.Errorf("addresses %#x and %#x", a, b)
	}
	if err := m.Memset(a+1, 9, 2); err != nil {
		t.Error(err)
	}
	if got := get[byte](t, m, a, 3); string(got) != "\x01\x09\x09" {
		t.Errorf("read %v", got)
	}
	for name, err := range map[string]error{
		"read past the end":  m.Read(a+1, make([]byte, 3)),
		"write past the end": m.Write(b, make([]byte, 3)),
		"memset between":     m.Memset(a+3, 0, 1),
		"free inside":        m.Free(a + 1),
		"alloc of nothing":   func() error { _, err := m.Alloc(0); return err }(),
	} {
		if !errors.Is(err, ErrBounds) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := m.Free(a); err != nil {
		t.Error(err)
	}
	if err := m.Read(a, make([]byte, 1)); !errors.Is(err, ErrBounds) {
		t.Errorf("read after free: %v", err)
	}
	// A kernel may read what was never written only where that is allowed.
	for _, allow := range []bool{false, true} {
		m := New(Options{AllowUndefined: allow})
		at, err := m.Alloc(256)
		if err != nil {
			t.Fatal(err)
		}
		k := kernel(t, bare("ld.global.u32 %r2, [%d1];\n\tret;"), "bare")
		if err := m.Launch(k, [3]int{1, 1, 1}, [3]int{64, 1, 1}, 0, at); errors.Is(err,
			ErrUndefined) == allow {
			t.Errorf("allowed %v: %v", allow, err)
		}
	}
}

// TestSymbols places a module's variables once in each machine.
func TestSymbols(t *testing.T) {
	mod := parse(t, header+`.visible .global .align 4 .u32 count = 7;
.const .align 2 .b8 table[6] = {1, 2, 0x80, 255};
.entry bump() { .reg .u32 %r<2>; .reg .u64 %d; mov.u64 %d, table+2; ld.const.s8 %r1, [%d]; red.global.add.u32 [count], %r1; ret; }
`)
	k, err := mod.Kernel("bump")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m := New(Options{})
		for range 3 {
			if err := m.Launch(k, [3]int{1, 1, 1}, [3]int{2, 1, 1}, 0); err != nil {
				t.Fatal(err)
			}
		}
		at, size, err := m.Symbol(mod, "count")
		if err != nil || size != 4 {
			t.Fatal(size, err)
		}
		if got := get[int32](t, m, at, 1)[0]; got != 7-6*128 {
			t.Errorf("counted to %d", got)
		}
		if at, size, err = m.Symbol(mod, "table"); err != nil ||
			string(get[byte](t, m, at, size)) != "\x01\x02\x80\xff\x00\x00" {
			t.Error(size, err)
		}
		if _, _, err := m.Symbol(mod, "none"); err == nil {
			t.Error("a variable that is not there")
		}
	}
}
