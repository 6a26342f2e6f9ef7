// SPDX-License-Identifier: Apache-2.0

package court

import (
	"encoding/binary"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
)

// Name is the module's name and store key.
const Name = "court"

var (
	prefixParams     = collections.NewPrefix(0) // parameters in force
	prefixPending    = collections.NewPrefix(1) // parameters voted, in force from the next epoch on
	prefixClaims     = collections.NewPrefix(2) // number -> claim that waits
	prefixNext       = collections.NewPrefix(3) // number of the next claim
	prefixJudgements = collections.NewPrefix(4) // (epoch, participant, leaf) -> judgement
	prefixClaimants  = collections.NewPrefix(5) // (epoch, participant) -> what it asked for
	prefixPenalties  = collections.NewPrefix(6) // (epoch, number) -> coins taken for an offence
	prefixNextFine   = collections.NewPrefix(7) // number of the next one
	// (epoch from which it is settled, epoch, number) of penalties whose fate is known
	prefixSettling    = collections.NewPrefix(8)
	prefixDoubleSigns = collections.NewPrefix(9)  // (height, participant) -> double signature
	prefixFailures    = collections.NewPrefix(10) // penalties in coins that failed
)

type (
	// epoch, participant, node/segment/nonce in an order that sorts
	leafKey = collections.Triple[uint64, string, []byte]
	// epoch, participant
	claimantKey = collections.Pair[uint64, string]
	// epoch, number
	penaltyKey = collections.Pair[uint64, uint64]
	// epoch from which it is settled, epoch, number
	settlingKey = collections.Triple[uint64, uint64, uint64]
	// height of the report, participant
	doubleSignKey = collections.Pair[uint64, string]
)

// leafKeyOf orders leaves by node, segment, nonce.
func leafKeyOf(epoch uint64, l courtv1.LeafRef) leafKey {
	b := append([]byte(l.Node), 0) // no node id contains a zero byte
	b = binary.BigEndian.AppendUint32(b, l.Segment)
	b = binary.BigEndian.AppendUint64(b, l.Nonce)
	return collections.Join3(epoch, l.Participant, b)
}
