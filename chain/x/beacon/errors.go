// SPDX-License-Identifier: Apache-2.0

package beacon

import errorsmod "cosmossdk.io/errors"

var (
	// ErrTx reports a transaction that is not the encoding of one proof.
	ErrTx = errorsmod.Register(Name, 2, "not a beacon transaction")
	// ErrProof reports a proof that is not the one its block needs.
	ErrProof = errorsmod.Register(Name, 3, "invalid proof")
	// ErrMissing reports a height whose output is not in state.
	ErrMissing = errorsmod.Register(Name, 4, "output not in state")
	// ErrClient reports a proof that a client tried to submit.
	ErrClient = errorsmod.Register(Name, 5, "a proof is put into its block by the proposer; it "+
		"cannot be submitted")
	// ErrGenesis reports a genesis state that cannot be used.
	ErrGenesis = errorsmod.Register(Name, 6, "invalid genesis state")
)
