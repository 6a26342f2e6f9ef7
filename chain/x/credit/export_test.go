// SPDX-License-Identifier: Apache-2.0

package credit

import sdkmath "cosmossdk.io/math"

// Split is split by names, for the tests outside.
func Split(pot sdkmath.Int, weights map[string]uint64, order []string) map[string]sdkmath.Int {
	var shares []share
	for _, name := range order {
		shares = append(shares, share{name, weights[name]})
	}
	parts := map[string]sdkmath.Int{}
	for i, amount := range split(pot, shares) {
		parts[shares[i].participant] = amount
	}
	return parts
}
