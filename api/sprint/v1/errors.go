// SPDX-License-Identifier: Apache-2.0

package sprintv1

// Codespaces and codes of refusals that hosts react to. The modules register their errors by these
// numbers.
const (
	// Codespace of x/sprint.
	Codespace = "sprint"
	// CodePhase: the message came outside its window; the next epoch is another chance.
	CodePhase = 2
	// CodeNotMember: the sender takes no part in this epoch.
	CodeNotMember = 3
	// CodeDone: the same thing was accepted before; there is nothing left to do.
	CodeDone = 4
	// CodeInvalid: the message is malformed or does not check out.
	CodeInvalid = 5
	// CodeNotDrawn: the sender was not drawn for this.
	CodeNotDrawn = 6

	// LaneCodespace of the protocol lane.
	LaneCodespace = "assay"
	// CodeOpening: the transaction opens more bytes than a block may carry.
	CodeOpening = 3
	// CodeSpent: both free attempts at the duty are used up; it is accepted for a fee.
	CodeSpent = 5
	// CodeNotAlone: the second attempt has to be alone in its transaction.
	CodeNotAlone = 6
	// CodeNotFree: the transaction is not free and pays no fee.
	CodeNotFree = 7
)
