// SPDX-License-Identifier: Apache-2.0

package sprint

import errorsmod "cosmossdk.io/errors"

// Refusals a host reacts to by code.
var (
	// ErrPhase: the message came outside its window; nothing is changed, the next epoch is another chance.
	ErrPhase = errorsmod.Register(Name, 2, "not in this phase")
	// ErrNotMember: the sender takes no part in this epoch.
	ErrNotMember = errorsmod.Register(Name, 3, "not a member of this epoch")
	// ErrDone: the same thing was accepted before; there is nothing left to do.
	ErrDone = errorsmod.Register(Name, 4, "already done")
	// ErrInvalid: the message is malformed or does not check out.
	ErrInvalid = errorsmod.Register(Name, 5, "invalid")
	// ErrNotDrawn: the sender was not drawn for this.
	ErrNotDrawn = errorsmod.Register(Name, 6, "not drawn")
)
