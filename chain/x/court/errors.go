// SPDX-License-Identifier: Apache-2.0

package court

import errorsmod "cosmossdk.io/errors"

var (
	// ErrSpent: the claimant has no budget left, or lost a claim in this epoch.
	ErrSpent = errorsmod.Register(Name, 2, "no further claims in this epoch")
	// ErrInvalid: the message is malformed or does not check out.
	ErrInvalid = errorsmod.Register(Name, 3, "invalid")
	// ErrBond: the claimant has neither weight nor a deposit that covers the bond.
	ErrBond = errorsmod.Register(Name, 4, "no bond")
	// ErrNotHeld: there is no penalty that a vote could release.
	ErrNotHeld = errorsmod.Register(Name, 5, "nothing is held")
)
