// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/registry"
)

// EndBlock pays what is due, moves the validator set one block towards what the holdings say and
// tells CometBFT what changed.
func (k *Keeper) EndBlock(ctx context.Context) ([]abci.ValidatorUpdate, error) {
	if err := k.payOut(ctx); err != nil {
		return nil, err
	}
	seats, err := k.Seats(ctx)
	if err != nil {
		return nil, fmt.Errorf("credit: seats: %w", err)
	}
	enters, err := k.next(ctx, seats)
	if err != nil {
		return nil, err
	}
	var updates []abci.ValidatorUpdate
	for i, s := range advance(seats, enters) {
		was := seats[i]
		if i == enters && rekeys(was) && s.Told > 0 {
			if err := k.seats.Remove(ctx, registry.ConsensusAddress(s.ConsensusKey)); err != nil {
				return nil, fmt.Errorf("credit: seat of %s: %w", s.Participant, err)
			}
			updates = append(updates, abci.Ed25519ValidatorUpdate(s.ConsensusKey, 0))
			s.ConsensusKey, s.NextKey, was.Told = s.NextKey, nil, 0
		}
		if s.Power != was.Power { // scaled after a cut
			h, err := k.Holding(ctx, s.Participant)
			if err != nil {
				return nil, fmt.Errorf("credit: holding of %s: %w", s.Participant, err)
			}
			h.Power, h.ConsensusKey = s.Power, bearer(s)
			if err := k.store(ctx, h); err != nil {
				return nil, err
			}
		}
		if s.Told != was.Told {
			updates = append(updates, abci.Ed25519ValidatorUpdate(s.ConsensusKey, int64(s.Told)))
		}
		if s.Told != was.Told || s.Power != was.Power {
			if err := k.setSeat(ctx, s); err != nil {
				return nil, err
			}
		}
	}
	return updates, nil
}

// rekeys reports whether another key of the same participant is to take a seat in the set over. It
// takes all of it in one block: no participant has two keys in a set.
func rekeys(s creditv1.Seat) bool { return len(s.NextKey) > 0 && s.Told > 0 && present(s) }

// bearer is the key that a seat's power goes to.
func bearer(s creditv1.Seat) []byte {
	if len(s.NextKey) > 0 {
		return s.NextKey
	}
	return s.ConsensusKey
}

// next is the key that enters the set in this block, a newcomer's or one that takes a seat over: -1
// for none. The beacon of the block draws it: the least hash of its value and the key.
func (k *Keeper) next(ctx context.Context, seats []creditv1.Seat) (int, error) {
	enters := func(s creditv1.Seat) bool { return waits(s) || rekeys(s) }
	first := slices.IndexFunc(seats, enters)
	if first < 0 || !slices.ContainsFunc(seats[first+1:], enters) {
		return first, nil
	}
	value, err := k.beacon.Value(ctx, sdk.UnwrapSDKContext(ctx).BlockHeight())
	if err != nil {
		return 0, fmt.Errorf("credit: joining order: %w", err)
	}
	best := -1
	var least [32]byte
	for i, s := range seats {
		if !enters(s) {
			continue
		}
		if h := sha256.Sum256(append(value.Bytes(), bearer(s)...)); best < 0 ||
			bytes.Compare(h[:], least[:]) < 0 {
			best, least = i, h
		}
	}
	return best, nil
}

// advance (spec P-6) returns the seats after one more block, in the same order: who is in the set
// and gains gets all of it, one newcomer enters, and whoever loses gives up as much of its loss as
// the others have taken of their gains. With R the gains that are outstanding before the block and
// R' those after it, a loss of x that is outstanding becomes x * R' / R.
//
// Let M be what moves between two settlements. For every set on the way holds, to a unit of
// rounding a name and block:
//
//   - The powers add up to TotalPower: outstanding losses are R before and R' after the block.
//   - A name is between what the two settlements give it: a gain is taken whole or not at all, a
//     loss only shrinks.
//   - A group of names is at most M/4 above the larger of what the two give it. Let its members
//     gain g and lose l in all, as parts of M. When they have taken x <= g, outstanding in all is
//     at most 1-x of the gains and so of every loss: the group has given up x*l at least and is at
//     most x - x*l = x(1-l) above its start. At the end it is g-l above. If l <= g, then x(1-l) -
//     (g-l) <= g(1-l) - g + l = l(1-g) <= l(1-l). If l > g, then x(1-l) <= g(1-g). Both are at most
//     1/4.
//
// A cut is no move: its seat leaves at once, and those who stay keep their proportions, in the set
// as in what they move to. Each share grows by what was cut and the three hold from there. A seat
// that is offline leaves the set in the same way and keeps what it is to have: the next settlement
// starts from there, so to come back is no move either.
//
// The set is never empty. Powers add up to TotalPower, so somebody in it keeps some, or a newcomer
// enters. If all who were to have power were cut, those in the set keep what they have; if they
// were, too, the set stays.
func advance(seats []creditv1.Seat, enters int) []creditv1.Seat {
	out := slices.Clone(seats)
	if !scale(out, power) {
		for i := range out {
			if !out[i].Cut {
				out[i].Power = out[i].Told
			}
		}
		if !scale(out, power) {
			return seats
		}
	}
	way := slices.Clone(out)
	for i := range way {
		if way[i].Offline > 0 {
			way[i].Power = 0
		}
	}
	if !scale(way, power) { // all who are to have power are offline
		for i := range way {
			if present(way[i]) {
				way[i].Power = way[i].Told
			}
		}
		if !scale(way, power) {
			return out
		}
	}
	step(way, enters)
	for i := range out {
		out[i].Told = way[i].Told
	}
	return out
}

// present reports whether a seat stays in the set: neither cut nor offline.
func present(s creditv1.Seat) bool { return !s.Cut && s.Offline == 0 }

// step takes the set one block towards powers that add up to TotalPower.
func step(out []creditv1.Seat, enters int) {
	expel(out)
	var before, after uint64 // R and R'
	for i := range out {
		s := &out[i]
		if s.Power <= s.Told {
			continue
		}
		before += s.Power - s.Told
		if s.Told > 0 || i == enters {
			s.Told = s.Power
		} else {
			after += s.Power
		}
	}
	var had, has uint64 // outstanding losses of the seats so far, before and after
	for i := range out {
		s := &out[i]
		if s.Told <= s.Power {
			continue
		}
		had += s.Told - s.Power
		whole := had * after / before // below 2^40: powers are parts of a million
		s.Told, has = s.Power+whole-has, whole
	}
	expel(out)
}

// expel takes those who were cut or are offline out of the set, unless nobody else is in it.
func expel(seats []creditv1.Seat) {
	if !slices.ContainsFunc(seats, func(s creditv1.Seat) bool {
		return s.Told > 0 && present(s)
	}) {
		return
	}
	for i := range seats {
		if !present(seats[i]) {
			seats[i].Told = 0
		}
	}
	scale(seats, told)
}

func power(s *creditv1.Seat) *uint64 { return &s.Power }
func told(s *creditv1.Seat) *uint64  { return &s.Told }

// scale makes the powers of seats add up to TotalPower, in proportion; it reports false if they
// have none.
func scale(seats []creditv1.Seat, of func(*creditv1.Seat) *uint64) bool {
	sum := uint64(0)
	for i := range seats {
		sum += *of(&seats[i])
	}
	if sum == TotalPower || sum == 0 {
		return sum > 0
	}
	had, has := uint64(0), uint64(0)
	for i := range seats {
		p := of(&seats[i])
		had += *p
		whole := had * TotalPower / sum
		*p, has = whole-has, whole
	}
	return true
}
