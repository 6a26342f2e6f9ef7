// SPDX-License-Identifier: Apache-2.0

package registryv1

import (
	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// HotLimit is how much of its operator's balance a participant's hot key may spend
// on fees before the operator grants it more: 10 CPC, in the base unit denom. A
// genesis and a registration grant the same.
func HotLimit(denom string) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(denom, math.NewIntWithDecimal(10, 18)))
}
