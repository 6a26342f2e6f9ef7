// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	errorsmod "cosmossdk.io/errors"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// Refusals a host reacts to by code.
var (
	// ErrPhase: the message came outside its window; nothing is changed, the next epoch is another
	// chance.
	ErrPhase = errorsmod.Register(Name, sprintv1.CodePhase, "not in this phase")
	// ErrNotMember: the sender takes no part in this epoch.
	ErrNotMember = errorsmod.Register(Name, sprintv1.CodeNotMember, "not a member of this epoch")
	// ErrDone: the same thing was accepted before; there is nothing left to do.
	ErrDone = errorsmod.Register(Name, sprintv1.CodeDone, "already done")
	// ErrInvalid: the message is malformed or does not check out.
	ErrInvalid = errorsmod.Register(Name, sprintv1.CodeInvalid, "invalid")
	// ErrNotDrawn: the sender was not drawn for this.
	ErrNotDrawn = errorsmod.Register(Name, sprintv1.CodeNotDrawn, "not drawn")
)
