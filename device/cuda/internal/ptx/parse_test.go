// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRefused lists what Parse must not let through, with what it says of it.
func TestRefused(t *testing.T) {
	in := func(body string) string { return bare(body + "\n\tret;") }
	for name, c := range map[string]struct{ source, say string }{
		"nothing":          {"", "needs .version"},
		"32-bit addresses": {".version 7.0\n.target sm_80\n.address_size 32\n", "64 bits"},
		"device function":  {header + ".func f() { ret; }", "inlined"},
		"directive":        {header + ".file 1 \"x.cu\"\n", ".file"},
		"performance directive": {header + ".entry k() .maxclusterrank 2 { ret; }",
			".maxclusterrank"},
		"float registers":  {in(".reg .f32 %f<3>;"), "floats"},
		"float opcode":     {in("add.f32 %r1, %r1, %r1;"), "floats"},
		"float literal":    {in("mov.b32 %r1, 0f3F800000;"), "floats"},
		"float conversion": {in("cvt.rn.f32.s32 %r1, %r1;"), "type"},
		"opcode":           {in("tex.1d %r1;"), `opcode "tex"`},
		"modifier":         {in("add.ftz.s32 %r1, %r1, %r1;"), "type"},
		// found by fuzzing: it hung
		"cache hint":            {in("ld.global.L1::other.u32 %r1, [%d1];"), "type"},
		"modifier at the end":   {in("add.s32.x %r1, %r1, %r1;"), ".x"},
		"too few operands":      {in("add.s32 %r1, %r1;"), "2 operands"},
		"too many operands":     {in("bar.sync 0, 32, 32;"), "3 operands"},
		"width of a register":   {in("add.s32 %r1, %r1, %d1;"), "64 bits"},
		"width of a result":     {in("mul.wide.u32 %r1, %r1, %r2;"), "32 bits"},
		"immediate too large":   {in("add.s32 %r1, %r1, 0x1ffffffff;"), "does not fit"},
		"undeclared register":   {in("mov.u32 %x1, 0;"), "%x1"},
		"register past range":   {in("mov.u32 %r16, 0;"), "%r16"},
		"undeclared variable":   {in("mov.u64 %d1, nowhere;"), "nowhere"},
		"undeclared label":      {in("bra nowhere;"), "nowhere"},
		"label twice":           {in("a: a: bra a;"), "twice"},
		"special register":      {in("mov.u32 %r1, %smid;"), "%smid"},
		"guard":                 {in("@%r1 bra x;"), "guard"},
		"destination immediate": {in("mov.u32 4, %r1;"), "destination"},
		"vector too short":      {in("ld.global.v4.u32 {%r1, %r2}, [%d1];"), "vector of 4"},
		"vector too wide":       {in("ld.global.v4.u64 {%d1, %d1, %d1, %d1}, [%d1];"), "16 bytes"},
		"32-bit global address": {in("ld.global.u32 %r1, [%r1];"), "64 bits"},
		"parameter written":     {in("st.param.u32 [memory], %r1;"), "cannot be written"},
		"space of a variable":   {in("ld.global.u32 %r1, [block];"), "not in this space"},
		"signed bits":           {in("setp.lt.b32 %p1, %r1, %r2;"), "eq and ne"},
		"mma shape": {in("mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 " +
			"{%r1,%r1,%r1,%r1},{%r1,%r1,%r1,%r1},{%r1,%r1},{%r1,%r1,%r1,%r1};"), "m8n8k16"},
		"size of a copy":       {in("cp.async.cg.shared.global [%r1], [%d1], 8;"), "8 bytes"},
		"pragma":               {in(".pragma \"else\";"), "else"},
		"registers too many":   {in(".reg .b32 %z<99999>;"), "65536"},
		"shared too much":      {in(".shared .b8 z[1000000];"), "memory"},
		"initialiser too long": {header + ".global .u8 z[2] = {1, 2, 3};", "longer"},
		"open global":          {header + ".extern .global .u8 z[];", "open size"},
		"kernel twice":         {header + ".entry k() { ret; } .entry k() { ret; }", "twice"},
		"no end":               {header + ".entry k() { ret;", "does not end"},
		"comment":              {header + "/* ", "comment"},
		"string":               {header + ".pragma \"x\n", "string"},
		"character":            {header + "?", "'?'"},
		"carry of 16 bits":     {in("add.cc.u16 %h0, %h0, %h0;"), "32 and 64"},
		"red that exchanges":   {in("red.global.exch.b32 [%d1], %r1;"), "exch"},
		"table":                {in("brx.idx %r1, block;"), ".branchtargets"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.source)
			if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%v", err)
			}
		})
	}
	// The line is named.
	_, err := Parse(header + "\n.entry k()\n{\n\tret;\n\tfoo.bar 1; // what\n}\n")
	if err == nil || !strings.Contains(err.Error(),
		`line 8: opcode "foo" is not known: "foo.bar 1; // what"`) {
		t.Error(err)
	}
}

// TestModule reads what a module tells of its kernels.
func TestModule(t *testing.T) {
	m := parse(t, header+`
.visible .entry b(.param .u32 first, .param .u64 .ptr .global .align 16 second, .param .align 16 .b8 third[20], .param .u8 fourth)
.maxntid 128, 2
.minnctapersm 2
{
	.shared .align 4 .b8 x[5];
	.shared .align 16 .b8 y[3];
	.shared .u64 z;
	ret;
}
.entry a() .reqntid 32 { ret; }
`)
	if diff := cmp.Diff([]string{"a", "b"}, m.Kernels()); diff != "" || m.Target != "sm_80" {
		t.Error(m.Target, diff)
	}
	b, err := m.Kernel("b")
	if err != nil {
		t.Fatal(err)
	}
	want := []Param{{"first", 0, 4, 4}, {"second", 8, 8, 8}, {"third", 16, 20, 16},
		{"fourth", 36, 1, 1}}
	if diff := cmp.Diff(want, b.Params); diff != "" {
		t.Error(diff)
	}
	if b.StaticShared != 32 || b.MaxThreads != [3]int{128, 2, 1} || b.ReqThreads != [3]int{} {
		t.Error(b.StaticShared, b.MaxThreads, b.ReqThreads)
	}
	if _, err := m.Kernel("c"); err == nil {
		t.Error("a kernel that is not there")
	}
}

// FuzzParse must neither panic nor hang nor run away with memory, and what it
// accepts must not panic when it runs either.
func FuzzParse(f *testing.F) {
	f.Add(flowPTX)
	f.Add(productPTX)
	f.Add(bare("x: @!%p1 bra x;\n\tmov.b64 {%r1, _}, %d1;\n\tret;"))
	for _, o := range operations {
		f.Add(one(o.body("@%p6 ")))
	}
	f.Fuzz(func(t *testing.T, source string) {
		module, err := Parse(source)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		for _, name := range module.Kernels() {
			k, err := module.Kernel(name)
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, v := range module.data {
				size += v.size
			}
			if size > 1<<20 || k.n32+k.n64 > 1<<12 {
				continue
			}
			m := New(Options{Budget: 2000})
			memory, err := m.Alloc(4096)
			if err != nil {
				t.Fatal(err)
			}
			params := make([]byte, k.paramBytes)
			for i := 0; i+8 <= len(params); i += 8 {
				params[i], params[i+1], params[i+4] = byte(memory),
					byte(memory>>8), byte(memory>>32)
			}
			block := [3]int{40, 1, 1}
			if k.ReqThreads != [3]int{} {
				block = k.ReqThreads
			}
			var fault *Fault
			if err := m.LaunchPacked(k, [3]int{2, 1, 1}, block, 64, params); err != nil &&
				!errors.As(err, &fault) && !errors.Is(err, ErrBadLaunch) {
				t.Fatal(err)
			}
		}
	})
}
