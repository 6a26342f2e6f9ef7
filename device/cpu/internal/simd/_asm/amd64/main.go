// SPDX-License-Identifier: Apache-2.0

// Amd64 writes the assembly of package simd with avo. It is a module of its own
// so that nothing of it enters the product's requirements. What each function
// does is said in the stubs, where Go readers look; comments here say how.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	product()
	peak()
	expand("ExpandWide", true)
	expand("ExpandWeights", false)
	widen()
	transpose()
	pack()
	condense()
	requant()
	residual()
	gate()
	squares()
	scale()
	scores()
	mix()
	sha256()
	productBytes()
	peakBytes()
	correctBytes()
	expandColumnBytes()
	expandWeightBytes()
	expandRowBytes()
	packBytes()
	condenseWide()
	requantWide()
	residualWide()
	gateWide()
	squaresWide()
	scaleWide()
	mixWide()
	cpuid()
	Generate()
}

// function starts a function that keeps none of its pointers.
func function(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

func end() {
	VZEROUPPER()
	RET()
}

// arg loads an 8-byte argument.
func arg(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }

func at(base Register, disp int) Mem { return Mem{Base: base, Disp: disp} }

// ymms are n fresh registers.
func ymms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// constant is read-only data of dwords, repeated to n.
func constant(name string, n int, words ...uint32) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range n {
		DATA(4*i, U32(words[i%len(words)]))
	}
	return m
}

// loop runs body until the counter, which body leaves alone, has fallen to 0.
func loop(label string, counter Register, body func()) {
	Label(label)
	body()
	DECQ(counter)
	JNZ(LabelRef(label))
}

func cpuid() {
	TEXT("cpuid", NOSPLIT, "func(leaf, sub uint32) (a, b, c, d uint32)")
	Doc("cpuid runs CPUID.")
	Load(Param("leaf"), EAX)
	Load(Param("sub"), ECX)
	CPUID()
	Store(EAX, Return("a"))
	Store(EBX, Return("b"))
	Store(ECX, Return("c"))
	Store(EDX, Return("d"))
	RET()

	TEXT("xgetbv", NOSPLIT, "func() (low uint32)")
	Doc("xgetbv reads which registers the operating system saves.")
	XORL(ECX, ECX)
	XGETBV()
	Store(EAX, Return("low"))
	RET()
}
