// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"runtime"

	"github.com/assaynet/assay/device/cpu/internal/simd"
)

// sets are the instruction sets that this processor has, the fastest first.
func sets() []*set {
	if !simd.DotProd() {
		return nil
	}
	return []*set{neon}
}

// brand is what the processor calls itself. Nothing that every operating system
// has tells more than the architecture.
func brand() string { return runtime.GOARCH }

// neon multiplies signed bytes as they are, four at a time. Three groups of four
// streams are the twelve rows of a panel of A, two are the eight columns of one of
// B. A panel of B is 4 KiB, a strip of A 96 KiB.
var neon = &set{
	name: "cpu/neon-dotprod",
	per:  4, tileRows: neonRows, tileCols: 8, groupRows: neonRows, lanes: 4, depth: 512,
	expandRows: func(dst *uint32, _ int, states *uint32, blocks int, _ []uint32) {
		for i := range neonRows / 4 {
			simd.Expand(offset(dst, 16*i), 4*neonRows, offset(states, 4*16*4*i), blocks)
		}
	},
	packRows: func(dst *uint32, _ int, src *int8, stride, n int, _ []uint32) {
		for i := range neonRows / 4 {
			simd.Transpose(offset(dst, 16*i), 4*neonRows, offset(src, 4*i*stride), stride, n)
		}
	},
	expandColumns: simd.Expand,
	expandWeights: simd.ExpandWeights,
	product:       simd.Product,
	condense:      simd.Condense,
	requant:       simd.Requant,
	residual:      simd.Residual,
	gate:          simd.Gate,
	squares:       simd.Squares,
	// Shifts of 64 bits round by themselves here.
	scale: func(dst *int8, src *int32, n int, inv, _, _, shift uint64) {
		simd.Scale(dst, src, n, inv, shift)
	},
	scores: simd.Scores,
	mix: func(dst, v *int8, stride int, weights *int32, rows int, inv, _, _, shift uint64) {
		simd.Mix(dst, v, stride, weights, rows, inv, shift)
	},
	peak: simd.Peak, peakOps: 24 * 16 * 2, issues: "SDOT",
}

const neonRows = 12
