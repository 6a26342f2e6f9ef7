// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"cmp"

	"github.com/assaynet/assay/device/cpu/internal/simd"
	"github.com/assaynet/assay/poc/prf"
)

// sets are the instruction sets that this processor has, the fastest first.
func sets() (found []*set) {
	if simd.VNNI() {
		found = append(found, avx512)
	}
	if simd.AVX2() {
		found = append(found, avx2)
	}
	return found
}

// brand is what the processor calls itself.
func brand() string { return cmp.Or(simd.Brand(), "amd64") }

// avx2 has no exact product of full-range bytes (the obvious one saturates), so
// both factors are widened to int16 and multiplied in pairs. Of four
// neighbouring bytes 0 and 2 make a pair, and 1 and 3: any pairing that both
// factors share gives the same sum, and this one is two shifts. A panel of B is
// 16 KiB, the 32 panels of a strip of A are 192 KiB.
var avx2 = &set{
	name: "cpu/avx2",
	per:  2, tileRows: 6, tileCols: 16, groupRows: avx2Group, lanes: 8, depth: 512,
	expandRows:    expandRowsAVX2,
	packRows:      packRowsAVX2,
	expandColumns: simd.ExpandWide,
	expandWeights: simd.ExpandWeights,
	widen:         simd.Widen,
	product:       simd.Product,
	condense:      simd.Condense,
	requant:       simd.Requant,
	residual:      simd.Residual,
	gate:          simd.Gate,
	squares:       simd.Squares,
	scale:         simd.Scale,
	scores:        simd.Scores,
	mix:           simd.Mix,
	peak:          simd.Peak, peakOps: 12 * 16 * 2, issues: "VPMADDWD and VPADDD",
}

// avx2Group is three groups of eight streams, and four panels of A.
const avx2Group = 24

// expandRowsAVX2 expands to a stage of 6 KiB and cuts that into panels.
func expandRowsAVX2(dst *uint32, panel int, states *uint32, blocks int, room []uint32) {
	const stage = 2 // blocks
	for at := 0; at < blocks; at += stage {
		n := min(stage, blocks-at)
		for i := range avx2Group / 8 {
			simd.ExpandWide(&room[8*i], 4*avx2Group, offset(states, 4*16*8*i), n)
		}
		simd.Pack(offset(dst, 4*6*prf.BlockSize/2*at), panel, &room[0], n*prf.BlockSize/2)
	}
}

func packRowsAVX2(dst *uint32, panel int, src *int8, stride, n int, room []uint32) {
	for i := range avx2Group / 8 {
		simd.Transpose(&room[8*i], 4*avx2Group, offset(src, 8*i*stride), stride, n/32)
	}
	simd.Pack(dst, panel, &room[0], n/2)
}

// avx512 multiplies signed bytes by unsigned ones: A is packed with 128 added,
// and sums start from -128 times the sum of B's column. That wraps around like
// int32 does, so it is exact. A panel of B is 16 KiB, a strip of A 96 KiB.
var avx512 = &set{
	name: "cpu/avx512vnni",
	per:  4, tileRows: 8, tileCols: 32, groupRows: 16, lanes: 16, depth: 512, head: 32,
	expandRows: func(dst *uint32, panel int, states *uint32, blocks int, _ []uint32) {
		simd.ExpandRowBytes(dst, panel, states, blocks)
	},
	packRows: func(dst *uint32, panel int, src *int8, stride, n int, _ []uint32) {
		simd.PackBytes(dst, src, stride, n)
		simd.PackBytes(offset(dst, panel), offset(src, 8*stride), stride, n)
	},
	expandColumns: simd.ExpandColumnBytes,
	expandWeights: simd.ExpandWeightBytes,
	correct:       simd.CorrectBytes,
	product:       simd.ProductBytes,
	condense:      simd.CondenseWide,
	requant:       simd.RequantWide,
	residual:      simd.ResidualWide,
	gate:          simd.GateWide,
	squares:       simd.SquaresWide,
	scale:         simd.ScaleWide,
	scores:        simd.Scores,
	mix:           simd.MixWide,
	peak:          simd.PeakBytes, peakOps: 16 * 64 * 2, issues: "VPDPBUSD",
}
