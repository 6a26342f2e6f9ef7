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
	// Weight is what covers a participant's weight, so that it gives power, votes and pay
	// (x/credit). It leaves by a withdrawal only.
	Weight = "weight"
)

// purposes is the table of all of them, in rising order.
var purposes = []string{Claim, Lottery, Registration, Weight}

var (
	// every account that has something here, by its bech32 address; one that has nothing has no
	// record
	prefixAccounts = collections.NewPrefix(0)
	prefixParams   = collections.NewPrefix(1) // parameters in force
	prefixPending  = collections.NewPrefix(2) // parameters voted, in force from the next epoch on
	prefixRises    = collections.NewPrefix(3) // epoch -> price of a unit of weight from it on
	// (height, address) of open withdrawals that nobody tried to pay
	prefixOpen = collections.NewPrefix(4)
	// (height of the next try, address, height) of those that the bank refused
	prefixRefused = collections.NewPrefix(5)
)

type (
	openKey    = collections.Pair[uint64, string]
	refusedKey = collections.Triple[uint64, string, uint64]
)
