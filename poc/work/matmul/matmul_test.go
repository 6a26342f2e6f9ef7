// SPDX-License-Identifier: Apache-2.0

package matmul

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
)

var (
	testChallenge = seed.Seed{21}
	testShape     = Shape{M: 256, K: 320, Q: 1024} // K is no multiple of the depth
)

// whole computes a unit as the specification says it: all of A, all of B, all
// of C, then tiles.
func whole(challenge seed.Seed, unit uint64, s Shape) (tiles [][32]byte) {
	stream := func(matrix byte, number int) []byte {
		key := prf.Key(seed.Matrix(challenge, unit, matrix))
		out := make([]byte, s.K)
		prf.Fill(out, &key, uint64(number), 0)
		return out
	}
	rows, cols := make([][]byte, s.M), make([][]byte, s.Q)
	for i := range rows {
		rows[i] = stream('A', i)
	}
	for i := range cols {
		cols[i] = stream('B', i)
	}
	c := make([]int32, s.M*s.Q)
	for i, row := range rows {
		for j, col := range cols {
			for k := range row {
				c[i*s.Q+j] += int32(int8(row[k])) * int32(int8(col[k]))
			}
		}
	}
	for ti := 0; ti < s.M; ti += 64 {
		for tj := 0; tj < s.Q; tj += 64 {
			var msg []byte
			for i := ti; i < ti+64; i++ {
				var word uint32
				for p := range uint32(64) {
					h := uint32(c[i*s.Q+tj+int(p)]) + p*0x9E3779B9
					h ^= h >> 16
					h *= 0x85ebca6b
					h ^= h >> 13
					h *= 0xc2b2ae35
					word += h ^ h>>16
				}
				msg = binary.LittleEndian.AppendUint32(msg, word)
			}
			tiles = append(tiles, sha256.Sum256(msg))
		}
	}
	return tiles
}

// TestTilesAgreeWithFullRecomputation: every tile opened alone is the tile of
// the whole product, and opens under the unit's digest.
// Holds spec W-19, W-20.
func TestTilesAgreeWithFullRecomputation(t *testing.T) {
	s := testShape
	want := whole(testChallenge, 9, s)
	digest, err := Unit(testChallenge, 9, s)
	if err != nil {
		t.Fatal(err)
	}
	all, err := AppendTiles(nil, testChallenge, 9, s)
	if err != nil {
		t.Fatal(err)
	}
	var log commit.Log
	for i := range want {
		log.Append(commit.LeafHash(want[i][:]))
	}
	if digest != log.Root() || len(all) != s.Tiles() {
		t.Errorf("unit digest %x over %d tiles, want %x over %d", digest, len(all),
			log.Root(), len(want))
	}
	for n := range want {
		tile, err := Tile(testChallenge, 9, s, n/s.Columns(), n%s.Columns())
		if err != nil {
			t.Fatal(err)
		}
		if tile != want[n] || all[n] != want[n] {
			t.Errorf("tile %d: alone %x, in the unit %x, want %x", n, tile, all[n], want[n])
		}
		path, err := commit.Inclusion(&log, uint64(n), log.Size())
		if err != nil {
			t.Fatal(err)
		}
		if err := commit.VerifyInclusion(digest, uint64(s.Tiles()), uint64(n),
			commit.LeafHash(tile[:]), path); err != nil {
			t.Errorf("tile %d: %v", n, err)
		}
	}
}

func TestUnitsAndShapesDiffer(t *testing.T) {
	seen := map[[32]byte]string{}
	for name, at := range map[string]struct {
		challenge seed.Seed
		unit      uint64
		shape     Shape
		ti, tj    int
	}{
		"base":      {testChallenge, 9, testShape, 1, 2},
		"challenge": {seed.Seed{22}, 9, testShape, 1, 2},
		"unit":      {testChallenge, 10, testShape, 1, 2},
		"row":       {testChallenge, 9, testShape, 2, 2},
		"column":    {testChallenge, 9, testShape, 1, 3},
		"depth":     {testChallenge, 9, Shape{M: 256, K: 384, Q: 1024}, 1, 2},
	} {
		tile, err := Tile(at.challenge, at.unit, at.shape, at.ti, at.tj)
		if err != nil {
			t.Fatal(err)
		}
		if other, again := seen[tile]; again {
			t.Errorf("%s gives the tile of %s", name, other)
		}
		seen[tile] = name
	}
}

// Holds spec W-18.
func TestShapeLimits(t *testing.T) {
	for _, s := range append(Published(), Shape{256, 256, 1024}, Shape{1024, 65536, 256},
		Shape{32768, 256, 32768}) {
		if err := s.Valid(); err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
	for _, s := range []Shape{
		{}, {512, 512, 0}, {-512, 512, -512}, {256, 256, 256}, {192, 512, 2048}, {512, 192, 512},
		{520, 512, 512},
		{512, 520, 512}, {512, 512, 520}, {512, 65600, 512}, {32832, 512, 512}, {512, 512, 32832},
		{1, 1, 1 << 20},
	} {
		if err := s.Valid(); !errors.Is(err, ErrShape) {
			t.Errorf("%v: %v", s, err)
		}
		if _, err := Unit(testChallenge, 0, s); !errors.Is(err, ErrShape) {
			t.Errorf("unit of %v: %v", s, err)
		}
		if _, err := Tile(testChallenge, 0, s, 0, 0); !errors.Is(err, ErrShape) {
			t.Errorf("tile of %v: %v", s, err)
		}
	}
	for _, at := range [][2]int{{-1, 0}, {0, -1}, {4, 0}, {0, 16}} {
		if _, err := Tile(testChallenge, 0, testShape, at[0], at[1]); !errors.Is(err, ErrTile) {
			t.Errorf("tile %v: %v", at, err)
		}
	}
	s := Shape{M: 4096, K: 4096, Q: 4096}
	if s.Tiles() != 4096 || s.Ops() != 1<<37 || s.String() != "4096x4096x4096" {
		t.Errorf("%v: %d tiles, %d operations", s, s.Tiles(), s.Ops())
	}
}

// A tile allocates its working memory and little more: nothing by row or column.
func TestTileAllocations(t *testing.T) {
	n := testing.AllocsPerRun(3, func() {
		if _, err := Tile(testChallenge, 1, testShape, 0, 0); err != nil {
			panic(err)
		}
	})
	if n > 8 {
		t.Errorf("%v allocations", n)
	}
}

// An auditor recomputes one tile, 4 million multiply-adds of the unit's 268
// million.
func ExampleTile() {
	shape := Shape{M: 512, K: 1024, Q: 512}
	tile, err := Tile(seed.Seed{1}, 7, shape, 3, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("tile (3,4) of %d: %x...\n", shape.Tiles(), tile[:8])
	// Output: tile (3,4) of 64: f6497e31614c09d4...
}
