// SPDX-License-Identifier: Apache-2.0

package collateral

import errorsmod "cosmossdk.io/errors"

var (
	// ErrInvalid: an amount, an address or a purpose that cannot be.
	ErrInvalid = errorsmod.Register(Name, 2, "invalid")
	// ErrNotFree: the deposit has less free than is asked for.
	ErrNotFree = errorsmod.Register(Name, 3, "not enough free collateral")
	// ErrNotLocked: less is locked for the purpose than is to be released or taken.
	ErrNotLocked = errorsmod.Register(Name, 4, "not locked")
	// ErrInvariant: coins and records do not add up.
	ErrInvariant = errorsmod.Register(Name, 5, "collateral does not add up")
	// ErrParams: parameters outside their bounds.
	ErrParams = errorsmod.Register(Name, 6, "parameters out of bounds")
	// ErrFull: an account has as many open withdrawals as it may have.
	ErrFull = errorsmod.Register(Name, 7, "too many open withdrawals")
)
