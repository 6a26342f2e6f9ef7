// SPDX-License-Identifier: Apache-2.0

// Package credit turns verdicts into weight, and weight into voting power.
//
// Credited takes off a claim what its sample could not rule out. Powers moves
// the validators' voting powers towards the new weights between two rails:
//
//	weights -> level -> move limit -> integers
//
// The level answers two questions at once. A cap keeps one name at a quarter of
// the power. The power it cuts off has to go to somebody, and whoever receives
// it is lifted above its share of the compute: with a cap alone one large
// participant beside four tiny names hands three quarters of the power to the
// tiny ones. So the lift is bounded, too: nobody gets more than lambda (6/5)
// times its share of the weight. Where the two conflict the cap yields, because
// a large participant has at least done the work:
//
//	share = min(L, s * own)
//
// s is the least value from 1 on at which the shares under the cap add up to
// 1. If s is at most lambda then L is the cap. Otherwise s is lambda and L is
// the least level at which the shares add up to 1.
//
//	ten equal             10 % each
//	24/22/20/18/16        unchanged
//	60/40                 52/48
//	60/20/20              52/24/24
//	one large, four tiny  the tiny ones get 6/5 of next to nothing
//
// Since nobody is above lambda times its own, splitting into many names gains
// at most that factor and nothing by their number.
//
// The move limit bounds the power that changes hands in one epoch: whoever
// brings a large fleet for one epoch cannot take the chain with it, and clients
// that follow the chain from a distance keep their footing.
//
// Powers computes with integers over a common denominator and conserves the
// total: powers sum to TotalPower whatever the weights are. There is one
// rounding, at the end, to the nearest units by largest remainder; it moves each
// power by less than one unit of a million.
package credit

import (
	"math/bits"

	"github.com/assaynet/assay/poc/audit"
)

// Credited returns floor(count * (1 - fu)): the leaves that count when at most
// the share fu of them may be bad. It never exceeds count.
func Credited(count uint64, fu audit.Q64) uint64 {
	switch fu {
	case 0:
		return count
	case audit.One:
		return 0
	}
	hi, _ := bits.Mul64(count, -uint64(fu)) // 2^64 - fu
	return hi
}
