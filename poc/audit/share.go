// SPDX-License-Identifier: Apache-2.0

package audit

import "math/big"

// Caught returns 1 - (1-f)^k, rounded down: how likely k independent looks meet
// a share f of forged tiles. Looks without replacement, as Draw has them, do a
// little better: see Detection, of which this is the limit for large logs. It is
// 0 for k > MaxSample and where f is no share.
func Caught(f Rate, k uint64) Q64 {
	if k > MaxSample || f.Den == 0 || f.Num > f.Den {
		return 0
	}
	den := power(new(big.Int).SetUint64(f.Den), k)
	missed := power(new(big.Int).SetUint64(f.Den-f.Num), k)
	return quotient(missed.Sub(den, missed), den, false)
}

// KFor returns the least k with 1 - (1-f)^k >= target, both exact. The second
// result is false where no k up to MaxSample will do, or a rate is no share.
func KFor(target, f Rate) (uint64, bool) {
	if f.Den == 0 || f.Num > f.Den || target.Den == 0 || target.Num > target.Den {
		return 0, false
	}
	scale := new(big.Int).SetUint64(target.Den)
	may := new(big.Int).SetUint64(target.Den - target.Num)
	reached := func(k uint64) bool { // (1-f)^k <= 1-target
		missed := power(new(big.Int).SetUint64(f.Den-f.Num), k)
		limit := power(new(big.Int).SetUint64(f.Den), k)
		return missed.Mul(missed, scale).Cmp(limit.Mul(limit, may)) <= 0
	}
	if !reached(MaxSample) {
		return 0, false
	}
	lo, hi := uint64(0), uint64(MaxSample)
	for lo < hi {
		if k := (lo + hi) / 2; reached(k) {
			hi = k
		} else {
			lo = k + 1
		}
	}
	return lo, true
}
