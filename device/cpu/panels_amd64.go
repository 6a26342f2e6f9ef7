// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"encoding/binary"

	"github.com/assaynet/assay/device/cpu/internal/simd"
	"github.com/assaynet/assay/poc/prf"
)

// The sizes that everything is cut into. A panel of B is 16 columns of one
// depth block, 16 KiB as int16, and stays in the first-level cache while the 32
// panels of A, 192 KiB, pass from the second.
const (
	tileRows  = 6   // of a register tile, and of a panel of A
	tileCols  = 16  // of a register tile, and of a panel of B
	groupRows = 24  // what is packed at a time: three groups of eight streams, four panels of A
	strip     = 192 // rows of A per pass over B: three tiles of matmul/1, 48 nonces of transformer/1
	depth     = 512 // of a block along K
)

// grow returns s with length n, with its memory if that suffices. What it holds
// is undefined.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// roundUp rounds n up to a multiple of m.
func roundUp(n, m int) int { return (n + m - 1) / m * m }

// streams is the state of eight ChaCha8 streams side by side, as simd wants it.
type streams [16][8]uint32

// setKey starts all eight streams of a key; see prf.
func (s *streams) setKey(key *prf.Key) {
	var words [12]uint32
	words[0], words[1], words[2], words[3] = 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574
	for i := range 8 {
		words[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	for w, v := range words {
		for lane := range s[w] {
			s[w][lane] = v
		}
	}
}

// seek puts a lane at a block of the stream of a nonce.
func (s *streams) seek(lane int, nonce, block uint64) {
	s[12][lane], s[13][lane] = uint32(block), uint32(block>>32)
	s[14][lane], s[15][lane] = uint32(nonce), uint32(nonce>>32)
}

// leftPanels is A packed for the product: blocks of depth, in them panels of six
// rows. Rows are rounded up to whole groups; what the rows above are is nobody's
// concern, their results are not read.
type leftPanels struct {
	data  []int16
	rows  int // in groups of groupRows
	k     int
	stage []int16 // one group, before it is cut into panels
}

func (p *leftPanels) reset(rows, k int) {
	p.rows, p.k = roundUp(rows, groupRows), k
	p.data = grow(p.data, p.rows*k)
}

// at is where panel number i of the block starting at depth from is.
func (p *leftPanels) at(i, from int) *int16 {
	return &p.data[p.rows*from+i*tileRows*min(depth, p.k-from)]
}

// packRows fills the panels of a matrix of int8, whose rows are k long, a
// multiple of 64. x holds whole groups of rows.
func (p *leftPanels) packRows(x []int8) {
	p.stage = grow(p.stage, depth*groupRows)
	for row := 0; row < p.rows; row += groupRows {
		for from := 0; from < p.k; from += depth {
			n := min(depth, p.k-from)
			for i := 0; i < groupRows; i += 8 {
				simd.Transpose(&p.stage[2*i], 4*groupRows, &x[(row+i)*p.k+from], p.k, n/32)
			}
			simd.Pack(p.at(row/tileRows, from), 2*tileRows*n, &p.stage[0], n/2)
		}
	}
}

// product computes rows (at most strip) of A, from panel number first on, times
// one panel of B's block at depth from: into c, whose rows are stride elements
// apart, or onto what is there already. c has room for whole tiles.
func (p *leftPanels) product(c []int32, stride, first, rows, from int, b *int16) {
	add := 0
	if from > 0 {
		add = 1
	}
	simd.Product((rows+tileRows-1)/tileRows, min(depth, p.k-from)/2, p.at(first, from), b, &c[0], 4*stride, add)
}
