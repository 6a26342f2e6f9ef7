// SPDX-License-Identifier: Apache-2.0

package matmul

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/condense"
	"github.com/assaynet/assay/poc/work/quad"
)

// TileSide is the number of rows and of columns of a tile.
const TileSide = 64

// Limits of a shape.
const (
	minSide = 256
	maxK    = 65536 // 65,536 * 128^2 = 2^30 fits int32
	maxMQ   = 1 << 15
	minArea = 1 << 18
)

var (
	// ErrShape reports a shape outside the limits.
	ErrShape = errors.New("matmul: shape not allowed")
	// ErrTile reports a tile that the shape does not have.
	ErrTile = errors.New("matmul: no such tile")
)

// Shape is the size of a unit's product: A is M x K, B is K x Q. It is set by
// a challenge or the chain, never by who works, and one log has one shape.
type Shape struct{ M, K, Q int }

// Published returns the shapes that challenges choose from by default, by
// rising work. K is 4096 where it can be: condensing is then small beside the
// product on a GPU too.
func Published() []Shape {
	return []Shape{
		{M: 512, K: 1024, Q: 512},
		{M: 1024, K: 4096, Q: 1024},
		{M: 4096, K: 4096, Q: 4096},
		{M: 8192, K: 8192, Q: 8192},
	}
}

// Valid checks the limits: M, K, Q multiples of 64 and at least 256, M and Q at
// most 2^15, K at most 2^16, M*Q at least 2^18. Errors wrap ErrShape.
func (s Shape) Valid() error {
	for _, side := range [...]int{s.M, s.K, s.Q} {
		if side < minSide || side%TileSide != 0 {
			return fmt.Errorf("%w: %v: sides are multiples of %d from %d on", ErrShape,
				s, TileSide, minSide)
		}
	}
	if s.K > maxK || s.M > maxMQ || s.Q > maxMQ {
		return fmt.Errorf("%w: %v: at most %d x %d by %d", ErrShape, s, maxMQ, maxK, maxMQ)
	}
	if s.M*s.Q < minArea {
		return fmt.Errorf("%w: %v: fewer than %d results", ErrShape, s, minArea)
	}
	return nil
}

// String returns the shape as "MxKxQ".
func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.M, s.K, s.Q) }

// ParseShape reads what String writes, in that one spelling. Errors wrap ErrShape.
func ParseShape(text string) (Shape, error) {
	var s Shape
	if n, err := fmt.Sscanf(text, "%dx%dx%d", &s.M, &s.K, &s.Q); n != 3 || err != nil ||
		s.String() != text {
		return Shape{}, fmt.Errorf("%w: %.40q is not MxKxQ", ErrShape, text)
	}
	return s, s.Valid()
}

// Ops is the number of nominal operations of a unit, 2*M*K*Q.
func (s Shape) Ops() uint64 { return 2 * uint64(s.M) * uint64(s.K) * uint64(s.Q) }

// Rows is the number of tiles one below the other.
func (s Shape) Rows() int { return s.M / TileSide }

// Columns is the number of tiles side by side.
func (s Shape) Columns() int { return s.Q / TileSide }

// Tiles is the number of tiles of a unit. Tile (ti, tj) has number
// ti*Columns + tj.
func (s Shape) Tiles() int { return s.Rows() * s.Columns() }

// Tile returns the digest of tile (ti, tj) of a unit: 64 rows of A, 64 columns
// of B and 4096*K multiply-adds, whatever the unit's size. This is what an
// audit costs. Errors wrap ErrShape or ErrTile.
func Tile(challenge seed.Seed, unit uint64, shape Shape, ti, tj int) ([32]byte, error) {
	if err := shape.Valid(); err != nil {
		return [32]byte{}, err
	}
	if ti < 0 || ti >= shape.Rows() || tj < 0 || tj >= shape.Columns() {
		return [32]byte{}, fmt.Errorf("%w: (%d, %d) of %v", ErrTile, ti, tj, shape)
	}
	t := newTiler(challenge, unit, shape)
	return t.tile(ti, tj), nil
}

// AppendTiles appends the digests of all tiles of a unit to dst in row-major
// order. Errors wrap ErrShape.
func AppendTiles(dst [][32]byte, challenge seed.Seed, unit uint64,
	shape Shape) ([][32]byte, error) {
	if err := shape.Valid(); err != nil {
		return dst, err
	}
	t := newTiler(challenge, unit, shape)
	for ti := range shape.Rows() {
		for tj := range shape.Columns() {
			dst = append(dst, t.tile(ti, tj))
		}
	}
	return dst, nil
}

// Unit returns a unit's digest, Root over its tiles. Errors wrap ErrShape.
func Unit(challenge seed.Seed, unit uint64, shape Shape) ([32]byte, error) {
	tiles, err := AppendTiles(nil, challenge, unit, shape)
	if err != nil {
		return [32]byte{}, err
	}
	return Root(tiles), nil
}

// Root is the RFC 6962 root over tile digests in row-major order; a leaf's data
// is the 32 bytes of a digest. It is a unit's digest, and an opening of a tile
// is an inclusion proof under it (package commit).
func Root(tiles [][32]byte) [32]byte {
	var f commit.Frontier
	for i := range tiles {
		f.Append(commit.LeafHash(tiles[i][:]))
	}
	return f.Root()
}

// Digest is the digest of a tile's exact results: each row condenses to one
// word, positions being columns in the tile, and SHA-256 is taken over the 64
// words as LE32.
func Digest(c *[TileSide * TileSide]int32) [32]byte {
	var buf [4 * TileSide]byte
	for row := range TileSide {
		w := condense.Word((*[condense.Width]int32)(c[row*TileSide:]), 0)
		binary.LittleEndian.PutUint32(buf[4*row:], w)
	}
	return sha256.Sum256(buf[:])
}

// depth is how much of K a tile takes at a time, so that its working memory
// stays in the cache.
const depth = 256

// tiler computes tiles of one unit, reusing its memory.
type tiler struct {
	shape Shape
	a, b  prf.Key
	c     [TileSide * TileSide]int32
	raw   [depth]byte
	rows  [4][depth]int8                  // of A, before they are packed
	quads [TileSide / 4 * 2 * depth]int64 // four rows of A packed, see package quad
	cols  [TileSide * depth]int8
}

func newTiler(challenge seed.Seed, unit uint64, shape Shape) *tiler {
	return &tiler{
		shape: shape,
		a:     prf.Key(seed.Matrix(challenge, unit, 'A')),
		b:     prf.Key(seed.Matrix(challenge, unit, 'B')),
	}
}

func (t *tiler) tile(ti, tj int) [32]byte {
	t.c = [TileSide * TileSide]int32{}
	for at := 0; at < t.shape.K; at += depth {
		n := min(depth, t.shape.K-at)
		t.expand(uint64(ti*TileSide), uint64(tj*TileSide), uint64(at), n)
		t.multiply(n)
	}
	return Digest(&t.c)
}

// expand loads n elements of the tile's rows and columns from position at on.
func (t *tiler) expand(row, col, at uint64, n int) {
	for i := range TileSide {
		t.stream(t.rows[i%4][:n], &t.a, row+uint64(i), at)
		if i%4 == 3 {
			quad.Pack(t.quads[i/4*2*depth:], t.rows[0][:n], t.rows[1][:n],
				t.rows[2][:n], t.rows[3][:n])
		}
		t.stream(t.cols[i*depth:][:n], &t.b, col+uint64(i), at)
	}
}

// stream reads part of one row of A or column of B.
func (t *tiler) stream(dst []int8, key *prf.Key, number, at uint64) {
	raw := t.raw[:len(dst)]
	prf.Fill(raw, key, number, at)
	for i, b := range raw {
		dst[i] = int8(b)
	}
}

// multiply adds the products over the n loaded elements to c.
func (t *tiler) multiply(n int) {
	for four := range TileSide / 4 {
		packed := t.quads[four*2*depth:][:2*n]
		c := t.c[four*4*TileSide:][:4*TileSide]
		for col := range TileSide {
			d0, d1, d2, d3 := quad.Dot(t.cols[col*depth:][:n], packed)
			c[col] += d0
			c[col+TileSide] += d1
			c[col+2*TileSide] += d2
			c[col+3*TileSide] += d3
		}
	}
}
