// SPDX-License-Identifier: Apache-2.0

package credit

import "cosmossdk.io/collections"

// Name is the module's name and store key.
const Name = "credit"

var (
	prefixParams   = collections.NewPrefix(0) // parameters in force
	prefixHoldings = collections.NewPrefix(1) // participant -> what its compute gives it
	prefixSeats    = collections.NewPrefix(2) // consensus address -> place in the validator set
	prefixPending  = collections.NewPrefix(3) // parameters voted, in force from the next epoch on
	prefixBase     = collections.NewPrefix(4) // sum of the weights before an outage
	prefixMoney    = collections.NewPrefix(5) // totals of what was minted, burned and promised
	prefixOwed     = collections.NewPrefix(6) // next epoch, epoch, participant -> pay
	prefixOpen     = collections.NewPrefix(7) // next epoch, epoch: those of which pay is open
	prefixAbsences = collections.NewPrefix(8) // consensus address -> first block it did not sign
)
