// SPDX-License-Identifier: Apache-2.0

package stream

import (
	errorsmod "cosmossdk.io/errors"

	streamv1 "github.com/assaynet/assay/api/stream/v1"
)

// Refusals of a commit, by code, in the order in which they are looked for. None of them writes
// anything.
var (
	// ErrOff: streams are off in this epoch, or it is void.
	ErrOff = errorsmod.Register(Name, streamv1.CodeOff, "continuous proof is off")
	// ErrWindow: the commit is for another epoch, or came outside its window.
	ErrWindow = errorsmod.Register(Name, streamv1.CodeWindow, "not in the window of a stream")
	// ErrNode: the sender, or the node, has no stream in this epoch.
	ErrNode = errorsmod.Register(Name, streamv1.CodeNode, "no node with a stream")
	// ErrBlock: a node commits once a block.
	ErrBlock = errorsmod.Register(Name, streamv1.CodeBlock, "second commit in a block")
	// ErrCap: the node has made all commits of the epoch.
	ErrCap = errorsmod.Register(Name, streamv1.CodeCap, "no commits left in this epoch")
	// ErrNumber: the logs of a node have rising numbers.
	ErrNumber = errorsmod.Register(Name, streamv1.CodeNumber, "number is not above the last")
	// ErrFew: the log is too short to be worth a commit.
	ErrFew = errorsmod.Register(Name, streamv1.CodeFew, "too few leaves")
	// ErrUtilization: utilisation is a part of the time.
	ErrUtilization = errorsmod.Register(Name, streamv1.CodeUtilization, "utilisation over 10000")
	// ErrRoot: a root has 32 bytes.
	ErrRoot = errorsmod.Register(Name, streamv1.CodeRoot, "malformed root")
	// ErrSeed: the log's seed is too old, or from before the log before it.
	ErrSeed = errorsmod.Register(Name, streamv1.CodeSeed, "height of the seed is out of range")
	// ErrGrowth: the node's Sprint does not show that it computes so fast.
	ErrGrowth = errorsmod.Register(Name, streamv1.CodeGrowth, "more leaves than the bound")
	// ErrSignature: the host key does not sign the commit.
	ErrSignature = errorsmod.Register(Name, streamv1.CodeSignature, "not signed by the host key")
)
