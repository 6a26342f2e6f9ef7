// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Product writes the product of two matrices to c, exact whatever their bytes: a
// and c lie row by row, b column by column. It is what a unit of matmul/1
// contains, with factors out of memory, and like Matmul it uses every core. Who
// holds a work.Engine asks it for the method.
func (e *engine) Product(ctx context.Context, c []int32, a, b []int8, shape matmul.Shape) error {
	if err := shape.Valid(); err != nil {
		return err
	}
	if len(a) != shape.M*shape.K || len(b) != shape.K*shape.Q || len(c) != shape.M*shape.Q {
		return fmt.Errorf("%w: %d and %d elements into %d for a product %v", work.ErrCall, len(a),
			len(b), len(c), shape)
	}
	f := e.factors.Get().(*factors)
	defer e.factors.Put(f)
	side := operandElements / shape.K / itemCols * itemCols
	for row := 0; row < shape.M; row += side {
		for col := 0; col < shape.Q; col += side {
			at := block{row: row, rows: min(side, shape.M-row), col: col,
				cols: min(side, shape.Q-col)}
			if err := e.productBlock(ctx, c, a, b, f, shape, at); err != nil {
				return fmt.Errorf("cpu: product %v: %w", shape, err)
			}
		}
	}
	return nil
}

// factors are those of one block, packed.
type factors struct {
	a leftPanels
	b rightPanels
}

// productBlock computes one block: all cores pack, then all multiply.
func (e *engine) productBlock(ctx context.Context, c []int32, a, b []int8, f *factors,
	shape matmul.Shape, at block) error {
	s := e.set
	f.a.reset(s, at.rows, shape.K)
	f.b.reset(s, at.cols, shape.K, s.per)
	panels := f.b.panels()
	err := parallel(ctx, panels+f.a.groups(), func(i int) {
		w := e.workspaces.Get().(*workspace)
		if i < panels {
			f.b.pack(i, b[(at.col+i*s.tileCols)*shape.K:], w.room)
		} else {
			f.a.packGroup(i-panels, a[(at.row+(i-panels)*s.groupRows)*shape.K:], w.room)
		}
		e.workspaces.Put(w)
	})
	if err != nil {
		return err
	}
	across := (at.cols + itemCols - 1) / itemCols
	down := (at.rows + strip - 1) / strip
	return parallel(ctx, across*down, func(i int) {
		row, col := i/across*strip, i%across*itemCols
		rows, cols := min(strip, at.rows-row), min(itemCols, at.cols-col)
		w := e.workspaces.Get().(*workspace)
		for from := 0; from < shape.K; from += s.depth {
			for j := 0; j < cols; j += s.tileCols {
				f.a.product(w.c[j:], cStride, row, rows, from,
					&f.b.panel((col+j)/s.tileCols, from)[0])
			}
		}
		for r := range rows {
			copy(c[(at.row+row+r)*shape.Q+at.col+col:], w.c[r*cStride:][:cols])
		}
		e.workspaces.Put(w)
	})
}

// packGroup fills one group of panels from rows of int8, k long. Where x holds
// fewer than a group, the others' results are not read.
func (p *leftPanels) packGroup(group int, x []int8, room []uint32) {
	s := p.set
	if whole := s.groupRows * p.k; len(x) < whole {
		x = append(make([]int8, 0, whole), x...)[:whole]
	}
	for from := 0; from < p.k; from += s.depth {
		s.packRows(p.row(group*s.groupRows, from), p.panelBytes(from), &x[from],
			p.k, p.deep(from), room)
	}
}

// pack fills one panel of every block from columns of int8, k long.
func (p *rightPanels) pack(i int, x []int8, room []uint32) {
	s := p.set
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), s.tileCols*p.k)
	for from := 0; from < p.k; from += s.depth {
		n, panel := p.deep(from), p.panel(i, from)
		quads := panel[s.head:]
		if s.widen != nil {
			quads = room
		}
		for col := 0; col < s.tileCols; col += 4 { // by fours: fewer checks of bounds
			var columns [4][]byte
			for i := range columns {
				columns[i] = bytes[(col+i)*p.k+from:][:n]
			}
			for row := 0; row < n; row += 4 {
				words := quads[row/4*s.tileCols+col:][:4]
				words[0] = binary.LittleEndian.Uint32(columns[0][row:])
				words[1] = binary.LittleEndian.Uint32(columns[1][row:])
				words[2] = binary.LittleEndian.Uint32(columns[2][row:])
				words[3] = binary.LittleEndian.Uint32(columns[3][row:])
			}
		}
		if s.widen != nil {
			s.widen(&panel[s.head], &quads[0], n)
		}
		if s.correct != nil {
			s.correct(&panel[0], n)
		}
	}
}
