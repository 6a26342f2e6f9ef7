// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"encoding/binary"
	"unsafe"

	"github.com/assaynet/assay/poc/prf"
)

// set is an instruction set: the order in which its product wants the factors,
// and its loops. All else in this package is the same for every processor.
//
// Factors are packed in words of four bytes along the depth: two elements
// widened to int16, or four as they are. Words lie in panels, [words][rows] of A
// and [words][columns] of B, as wide as a register tile. Functions take pointers
// to packed words, distances in bytes and depths in elements, and check nothing.
type set struct {
	name string // of the engine

	per       int // elements of a word, 2 or 4
	tileRows  int // of a register tile, and of a panel of A
	tileCols  int // of a register tile, and of a panel of B; divides 64
	groupRows int // packed at a time: a multiple of tileRows and of lanes that divides strip
	lanes     int // prf streams side by side; divides tileCols
	// of a block along K, a multiple of 64: a panel of B stays in the first-level cache
	depth int
	head  int // words before every panel of B, which correct fills

	// expandRows makes blocks of 64 elements of a group of A out of its streams,
	// groupRows/lanes states one after the other: panels that are panel bytes apart.
	// room is for groupRows * depth elements.
	expandRows func(dst *uint32, panel int, states *uint32, blocks int, room []uint32)
	// packRows makes n elements of a group of A out of rows stride bytes apart.
	packRows func(dst *uint32, panel int, src *int8, stride, n int, room []uint32)
	// expandColumns makes blocks of 64 elements of as many columns of B as there
	// are lanes; pitch is the distance from a word to the next one of its column.
	expandColumns func(dst *uint32, pitch int, state *uint32, blocks int)
	// expandWeights is expandColumns for weights: quads of int8, -128 made 0.
	expandWeights func(dst *uint32, pitch int, state *uint32, blocks int)
	// widen makes a panel of B of n elements out of one of weights. nil where they
	// are the same.
	widen func(dst, src *uint32, n int)
	// correct fills the head of a panel of B, n elements deep. nil where there is
	// none.
	correct func(panel *uint32, n int)
	// product multiplies panels of A, one after the other, by one panel of B, n
	// elements deep, into tiles one below the other: C = A*B, or C += A*B if add is
	// not 0.
	product func(tiles, n int, a, b *uint32, c *int32, stride, add int)

	// The steps between products; package simd says what each does. A panel of
	// results is [rows][tileCols].
	condense func(dst *uint32, src *int32, words, stride int, pos, step uint32)
	requant  func(dst *int8, stride int, src *int32, rows, round, shift int)
	residual func(h *int32, stride int, src *int32, rows, round, shift, limit int)
	gate     func(dst, gates, ups *int8, n, round, shift int)
	squares  func(src *int32, n int) uint64
	scale    func(dst *int8, src *int32, n int, inv, round, bias, shift uint64)
	scores   func(dst *[4][4]int32, q, k *int8, stride int)
	mix      func(dst, v *int8, stride int, weights *int32, rows int, inv,
		round, bias, shift uint64)

	// peak issues what the product is made of without touching memory: peakOps
	// operations a round, rounds being a multiple of 4.
	peak    func(rounds int)
	peakOps int
	issues  string // what peak issues
}

// streams is room for the states of n ChaCha8 streams: groups of lanes side by
// side, in them words of the state, in them lanes.
func (s *set) streams(n int) []uint32 { return make([]uint32, 16*n) }

// position is a place in the streams of a key; see prf.
type position struct{ nonce, block uint64 }

// start puts the first stream of a key at a position and each one after it a
// step further.
func (s *set) start(streams []uint32, key *prf.Key, at, step position) {
	words := [12]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
	for i := range 8 {
		words[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	same := streams[:12*s.lanes] // in all groups
	for w, v := range words {
		lanes := same[w*s.lanes:][:s.lanes]
		for l := range lanes {
			lanes[l] = v
		}
	}
	for ; len(streams) > 0; streams = streams[16*s.lanes:] {
		copy(streams, same)
		block, nonce := streams[12*s.lanes:][:2*s.lanes], streams[14*s.lanes:][:2*s.lanes]
		for l := range s.lanes {
			block[l], block[s.lanes+l] = uint32(at.block), uint32(at.block>>32)
			nonce[l], nonce[s.lanes+l] = uint32(at.nonce), uint32(at.nonce>>32)
			at.block += step.block
			at.nonce += step.nonce
		}
	}
}

// room is memory for expandRows and packRows.
func (s *set) room() []uint32 { return make([]uint32, s.groupRows*s.depth/s.per) }

// offset is p moved by bytes within what it points into.
func offset[T any](p *T, bytes int) *T { return (*T)(unsafe.Add(unsafe.Pointer(p), bytes)) }
