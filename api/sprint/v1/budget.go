// SPDX-License-Identifier: Apache-2.0

package sprintv1

import (
	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
)

// Gas that the chain charges for work, before it is done. One unit is priced at GasSignature for
// one Ed25519 verification; BenchmarkGasPrices measures the others against it.
const (
	// GasSignature pays for one Ed25519 signature, GasTxSignature for the secp256k1 signature of a
	// transaction.
	GasSignature   = 20_000
	GasTxSignature = 75_000
	// GasKey pays for the check that a key is a point of the prime-order group, GasVRF for a VRF
	// proof.
	GasKey = 22_000
	GasVRF = 75_000
	// GasOpenedLeaf and GasProofHash pay for hashing an opening up to its root.
	GasOpenedLeaf = 2_000
	GasProofHash  = 500
	// GasVerdict and GasVerdictByte pay for reading a verdict.
	GasVerdict     = 200_000
	GasVerdictByte = 20
	// GasClaim pays for a claim's place in the judging queue.
	GasClaim = 100_000
	// GasRecord pays for rewriting the record of a participant or member.
	GasRecord = 20_000
	// GasOwed pays for asking the state whether one message is owed.
	GasOwed = 10_000
)

// What is fraud, whatever the parameters are. Chain and voters have to agree: a voter need not name
// more.
const (
	// NamesPerNode is how many mismatches a verdict may name per node, and how many proven ones of
	// one node are fraud: one flipped bit on an honest machine is not.
	NamesPerNode = 4
	// FraudOfAll is how many proven ones of a participant are fraud, whatever nodes they are of.
	FraudOfAll = 6
)

// Hard bounds on sizes, whatever the parameters are.
const (
	// MaxSamples and MaxLeafBytes bound an opening: an opened leaf takes the most where it is alone
	// in its log, with its path in a tree of up to 2^48 leaves and the log's name around it.
	MaxSamples      = 1_000
	MaxLeafBytes    = 40 + 48*32 + 64
	MaxOpeningBytes = MaxSamples*MaxLeafBytes + 512
	// MaxVerdictBytes bounds the body of a verdict.
	MaxVerdictBytes = 64 << 10
	// MaxMiddlesBytes bounds an opening of middle digests: 8 of up to 2^24 with their paths.
	MaxMiddlesBytes = 8*(8+24*32) + 512
	// MaxNodes bounds the machines of one participant, nodeBytes an entry of their list.
	MaxNodes  = 256
	nodeBytes = 32 + 32 + 64 + 16
	// TxFrame bounds what a duty's transaction has around its messages: the wrapping for a hot key,
	// signature and fee.
	TxFrame = 1_024
	// MaxDuties is how many messages a free transaction may carry: a commit for every machine.
	MaxDuties = MaxNodes
)

// StreamSegments is the number above which segments are logs of a stream: 1000 + the log's number.
const StreamSegments = 1_000

// How much an epoch counts of one participant. A unit's operations are given in MiOps: units of
// 2^20 operations.
const (
	// FreeMiOps is what a participant may commit in a segment without having been credited before:
	// 2^57 operations.
	FreeMiOps = 1 << 37
	// Growth is how many times its last credit a participant may commit, spread over the segments.
	Growth = 4
	// MaxWeight is far above what anybody computes in an epoch, in MiOps. It keeps sums of weights
	// within 64 bits even where a committee passes whatever count was claimed: a draw by weights
	// that wrapped around would stop the chain.
	MaxWeight = 1 << 50
)

// MayCommit is how many leaves a participant, all its nodes together, may commit in a segment: the
// chain refuses a commit beyond it, and hosts grant no more to their machines. credited is
// Member.Credited, segments Params.Segments, unitMiOps the operations of one unit of the epoch's
// class, at least 1.
func MayCommit(credited uint64, segments uint32, unitMiOps uint64) uint64 {
	return max(FreeMiOps, Growth*min(credited, MaxWeight)/uint64(max(1, segments))) / unitMiOps
}

// WindowBlocks is how many blocks the compute window of an epoch has.
func (e Epoch) WindowBlocks() uint64 { return uint64(max(0, e.ComputeEnd-e.ComputeStart+1)) }

// NextStart is the first block with which the epoch after this one may begin (spec S-31), as far as
// it is known: one that is not finalised may take longer. A void one is no exception: an outage of
// an hour would else be many void epochs, each of which halves what nobody has shown again.
func (e Epoch) NextStart() int64 {
	return max(e.FinalisedHeight+1, e.Start+int64(e.Params.EpochBlocks))
}

// Bounds from above on the gas that a transaction of duties may use; test/sim holds them against
// what is used. The lane takes no transaction that asks for more.
const (
	gasTx       = 150_000
	gasPerDuty  = 150_000
	GasPerByte  = 80
	GasPerNamed = 130_000
	gasPerNode  = 90_000
)

// GasBound bounds from above what one transaction with these messages uses.
func GasBound(msgs ...sdk.Msg) uint64 {
	gas := uint64(gasTx)
	for _, m := range msgs {
		gas += gasPerDuty + uint64(MsgSize(m))*GasPerByte
		switch m := m.(type) {
		case *MsgRevealVerdict:
			gas += GasVerdict
			var body VerdictBody
			if err := body.Unmarshal(m.Body); err != nil {
				continue // the chain refuses it for that
			}
			gas += uint64(len(body.Mismatches)) * GasPerNamed
		case *MsgDispute:
			gas += GasPerNamed
		case *registryv1.MsgSetNodes:
			gas += uint64(len(m.Nodes)) * gasPerNode
		case *registryv1.MsgRegister:
			gas += gasRegister + uint64(len(m.Nodes))*gasPerNode
		case *registryv1.MsgRotateKeys:
			gas += gasRegister
		}
	}
	return gas
}

// gasRegister is what checking the three keys of a registration adds.
const gasRegister = 3*GasKey + 2*GasSignature + GasVRF + 200_000

// NodesBytes bounds a list of so many machines.
func NodesBytes(n int) uint64 { return uint64(n)*nodeBytes + 512 }

// MsgSize is the encoded size of a message.
func MsgSize(m sdk.Msg) int {
	if s, ok := m.(interface{ Size() int }); ok {
		return s.Size()
	}
	return 0
}
