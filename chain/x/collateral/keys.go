// SPDX-License-Identifier: Apache-2.0

package collateral

import "cosmossdk.io/collections"

// Name is the name of the module, of its store and of its account.
const Name = "collateral"

// Purposes that coins are locked for, each the business of one module.
const (
	// Registration is what keeping a participant's record takes (x/registry).
	Registration = "registration"
	// Lottery is what a newcomer enters the lottery of an epoch with (x/sprint).
	Lottery = "lottery"
	// Claim is what a claim against a leaf is answered for with (x/court).
	Claim = "claim"
)

// purposes is the table of all of them, in rising order.
var purposes = []string{Claim, Lottery, Registration}

// prefixAccounts holds every account with a deposit, by its bech32 address. An
// account whose deposit is gone has no record.
var prefixAccounts = collections.NewPrefix(0)
