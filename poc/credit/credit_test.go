// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/audit"
)

// Holds spec A-11.
func TestCredited(t *testing.T) {
	for _, c := range []struct {
		count uint64
		fu    audit.Q64
		want  uint64
	}{
		{1000, 0, 1000}, {1000, audit.One, 0}, {0, 5, 0}, {1000, 1 << 63, 500}, {3, 1 << 63, 1},
		{1000, 1, 999}, // less than all is not all
		{math.MaxUint64, 1 << 62, 13835058055282163711}, // floor(3 * (2^64-1) / 4)
		{1, math.MaxUint64 - 1, 0},
	} {
		if got := Credited(c.count, c.fu); got != c.want {
			t.Errorf("%d less %v: %d, want %d", c.count, c.fu, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.Uint64().Draw(t, "count")
		fu := audit.Q64(rapid.Uint64Max(math.MaxUint64-1).Draw(t, "fu"))
		got := Credited(count, fu)
		rest := new(big.Int).Lsh(big.NewInt(1), 64)
		rest.Sub(rest, new(big.Int).SetUint64(uint64(fu)))
		rest.Mul(rest, new(big.Int).SetUint64(count)).Rsh(rest, 64)
		if got > count || got != rest.Uint64() {
			t.Fatalf("%d, want %v", got, rest)
		}
	})
}
