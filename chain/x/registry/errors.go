// SPDX-License-Identifier: Apache-2.0

package registry

import errorsmod "cosmossdk.io/errors"

var (
	// ErrInvalid reports a registration whose fields break a rule.
	ErrInvalid = errorsmod.Register(Name, 2, "invalid participant")
	// ErrPossession reports a key whose owner did not show that it holds it.
	ErrPossession = errorsmod.Register(Name, 3, "no proof of possession")
	// ErrTaken reports a key or an account that is registered already.
	ErrTaken = errorsmod.Register(Name, 4, "already registered")
	// ErrUnknown reports an account that is no participant.
	ErrUnknown = errorsmod.Register(Name, 5, "not a participant")
	// ErrAuthority reports a message that only governance may send.
	ErrAuthority = errorsmod.Register(Name, 6, "only governance may do this")
	// ErrParams reports parameters outside their hard bounds.
	ErrParams = errorsmod.Register(Name, 7, "invalid parameters")
	// ErrGenesis reports a genesis state that cannot be used.
	ErrGenesis = errorsmod.Register(Name, 8, "invalid genesis state")
	// ErrHeartbeat reports a heartbeat that the participant's key did not sign.
	ErrHeartbeat = errorsmod.Register(Name, 9, "invalid heartbeat")
	// ErrDeposit reports a sender that cannot pay the deposit of a registration.
	ErrDeposit = errorsmod.Register(Name, 10, "deposit missing")
	// ErrLeft reports a participant whose owner has ended its registration.
	ErrLeft = errorsmod.Register(Name, 11, "registration ended")
	// ErrRotation reports a rotation of keys that comes too early after another one.
	ErrRotation = errorsmod.Register(Name, 12, "keys cannot be rotated now")
)
