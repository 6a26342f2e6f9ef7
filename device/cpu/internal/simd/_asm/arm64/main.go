// SPDX-License-Identifier: Apache-2.0

// Arm64 writes the arm64 assembly of package simd. What each function does
// is said in the stubs, where Go readers look; comments here say how.
//
// There is no assembler library for arm64 as avo is one for amd64, and Go's
// assembler lacks half of what the loops need: the dot product, saturating and
// widening arithmetic. So this is a small writer of assembly: instructions that
// Go knows go out in Go's notation, the others as words (encode.go) with the
// manual's notation beside them, which is what the tests give an assembler that
// knows them.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	asm := flag.String("out", "kernels_arm64.s", "the assembly")
	stubs := flag.String("stubs", "stubs_arm64.go", "its declarations in Go")
	flag.Parse()
	w := kernels()
	for name, content := range map[string][]byte{*asm: w.assembly(), *stubs: w.declarations()} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "_asm/arm64:", err)
			os.Exit(1)
		}
	}
}

// kernels writes all functions.
func kernels() *writer {
	w := new(writer)
	product(w)
	peak(w)
	expand(w, "Expand", false)
	expand(w, "ExpandWeights", true)
	transpose(w)
	condense(w)
	requant(w)
	residual(w)
	gate(w)
	squares(w)
	scale(w)
	scores(w)
	mix(w)
	sha256(w)
	return w
}
