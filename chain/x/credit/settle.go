// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"cosmossdk.io/collections"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/credit"
)

// Settlement is one participant's part of a finalised epoch.
type Settlement struct {
	Participant  string
	ConsensusKey []byte
	// Weight in units of 2^20 verified operations, and the part of it that the Sprint gives: claims
	// of later Sprints are compared with it.
	Weight, Sprint uint64
	// Powerable: its consensus key is alive and it is not jailed; otherwise weight gives no power.
	Powerable bool
}

// Finalise replaces all weights by those of a finalised epoch and moves the powers towards them. A
// participant that is not listed has weight 0: absence is never last epoch's weight. live is the
// weight that members who were live in the epoch had before it; during an outage the move limit
// shrinks with it. What the epoch earned becomes owed to those who weigh something.
//
// While newcomers of the settlement before are still entering, no power moves: one move after the
// other, each between two sets that obey the rails. That takes more newcomers than an epoch has
// blocks, and the next settlement moves.
func (k *Keeper) Finalise(ctx context.Context, epoch uint64, settlements []Settlement,
	live uint64) error {
	params, err := k.params.Get(ctx)
	if err != nil {
		return fmt.Errorf("credit: params: %w", err)
	}
	holdings, err := k.Holdings(ctx)
	if err != nil {
		return fmt.Errorf("credit: holdings: %w", err)
	}
	for i := range holdings {
		holdings[i].Weight, holdings[i].Credited = 0, 0
	}
	backed, err := k.backing(ctx)
	if err != nil {
		return err
	}
	var target []credit.Share
	known := len(holdings)
	for _, s := range settlements {
		i, ok := slices.BinarySearchFunc(holdings[:known], s.Participant,
			func(h creditv1.Holding, name string) int {
				return strings.Compare(h.Participant, name)
			})
		if !ok {
			i = len(holdings)
			// before it came it weighed nothing, and that counts when it votes
			holdings = append(holdings,
				creditv1.Holding{Participant: s.Participant,
					History: make([]uint64, params.TallyEpochs)})
		}
		h := &holdings[i]
		h.Weight = min(s.Weight, MaxWeight)
		h.Credited, h.ConsensusKey = min(s.Sprint, h.Weight), s.ConsensusKey
		counts, err := backed(s.Participant, h.Weight)
		if err != nil {
			return err
		}
		if s.Powerable && counts > 0 {
			target = append(target, credit.Share{ID: s.Participant, Weight: counts})
		}
	}
	rules, err := k.rails(ctx, params, live)
	if err != nil {
		return err
	}
	seats, err := k.Seats(ctx)
	if err != nil {
		return fmt.Errorf("credit: seats: %w", err)
	}
	if !slices.ContainsFunc(seats, waits) {
		move(holdings, target, params, rules)
	}
	for i := range holdings {
		remember(&holdings[i], holdings[i].Weight, params.TallyEpochs)
		if err := k.store(ctx, holdings[i]); err != nil {
			return err
		}
	}
	if err := k.reward(ctx, epoch, holdings); err != nil {
		return err
	}
	return k.seat(ctx, seats, holdings)
}

// rails are the rules of a settlement. After void epochs the move limit is move_bps * live / base
// until two thirds of the base are back. The base loses a hundredth with every epoch that settles,
// so that an outage that lasts, or one that was only rented weight, does not hold the powers for
// ever; void epochs, which move nothing, take nothing off.
func (k *Keeper) rails(ctx context.Context, p creditv1.Params, live uint64) (credit.Rules, error) {
	rules := Rules(p)
	base, err := k.outage(ctx)
	if err != nil || base == 0 {
		return rules, err
	}
	if back(live, base) {
		return rules, k.base.Remove(ctx)
	}
	rules.Live, rules.Base = live, base
	hi, lo := bits.Mul64(base, 99)
	base, _ = bits.Div64(hi, lo, 100)
	if base == 0 {
		return rules, k.base.Remove(ctx)
	}
	return rules, k.base.Set(ctx, base)
}

// outage is the weight before the first void epoch of the outage that goes on, 0 if none does.
func (k *Keeper) outage(ctx context.Context) (uint64, error) {
	base, err := k.base.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("credit: base: %w", err)
	}
	return base, nil
}

// back reports whether live is at least two thirds of the base.
func back(live, base uint64) bool {
	lh, ll := bits.Mul64(live, 3)
	bh, bl := bits.Mul64(base, 2)
	return lh > bh || lh == bh && ll >= bl
}

// move sets the powers that follow from the weights. At most MaxValidators names get power and at
// most twice as many hold some: those who leave do so within the move limit, and while there are
// many of them the lightest newcomers wait.
func move(holdings []creditv1.Holding, target []credit.Share, p creditv1.Params,
	rules credit.Rules) {
	slices.SortFunc(target, func(a, b credit.Share) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), strings.Compare(a.ID, b.ID))
	})
	target = target[:min(len(target), int(p.MaxValidators))]
	old, holds := make([]credit.Share, 0, len(holdings)), map[string]bool{}
	for _, h := range holdings {
		if h.Power > 0 {
			old, holds[h.Participant] = append(old,
				credit.Share{ID: h.Participant, Weight: h.Power}), true
		}
	}
	room := max(0, 2*int(p.MaxValidators)-len(old))
	target = slices.DeleteFunc(target, func(s credit.Share) bool {
		if holds[s.ID] {
			return false
		}
		room--
		return room < 0
	})
	powers := credit.Powers(old, target, rules)
	for i := range holdings {
		at, ok := slices.BinarySearchFunc(powers, holdings[i].Participant,
			func(s credit.Share, id string) int { return strings.Compare(s.ID, id) })
		holdings[i].Power = 0
		if ok {
			holdings[i].Power = powers[at].Weight
		}
	}
}

// seat gives every holding with power its place and tells the other seats that theirs is gone.
// Those that were offline may enter again. A consensus key that replaces one in the set takes its
// seat over.
func (k *Keeper) seat(ctx context.Context, seats []creditv1.Seat,
	holdings []creditv1.Holding) error {
	known, kept := make(map[string]creditv1.Seat, len(seats)), map[string]bool{}
	sits := make(map[string]creditv1.Seat, len(seats)) // in the set, by participant
	for _, s := range seats {
		known[string(s.ConsensusKey)] = s
		if s.Told > 0 && present(s) {
			sits[s.Participant] = s
		}
	}
	for _, h := range holdings {
		if h.Power == 0 {
			continue
		}
		next := creditv1.Seat{Participant: h.Participant, ConsensusKey: h.ConsensusKey,
			Power: h.Power}
		s, ok := known[string(h.ConsensusKey)]
		if old, in := sits[h.Participant]; in && !ok {
			s, next.ConsensusKey, next.NextKey = old, old.ConsensusKey, h.ConsensusKey
		}
		next.Told = s.Told
		kept[string(next.ConsensusKey)] = true
		if s.Participant == next.Participant && s.Power == next.Power && present(s) &&
			bytes.Equal(s.NextKey, next.NextKey) {
			continue
		}
		if err := k.setSeat(ctx, next); err != nil {
			return err
		}
	}
	for _, s := range seats {
		if kept[string(s.ConsensusKey)] || s.Power == 0 && s.Offline == 0 {
			continue
		}
		s.Power, s.Offline, s.NextKey = 0, 0, nil
		if err := k.setSeat(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// setSeat stores a seat; one that has no power, is to have none and lost none by its absence is
// removed.
func (k *Keeper) setSeat(ctx context.Context, s creditv1.Seat) error {
	at := registry.ConsensusAddress(s.ConsensusKey)
	var err error
	if s.Power == 0 && s.Told == 0 && s.Offline == 0 {
		err = k.seats.Remove(ctx, at)
	} else {
		err = k.seats.Set(ctx, at, s)
	}
	if err != nil {
		return fmt.Errorf("credit: seat of %s: %w", s.Participant, err)
	}
	return nil
}

// Shown is what a participant was found to compute in a void epoch.
type Shown struct {
	Participant string
	Weight      uint64
}

// Void records a void epoch. What somebody showed of its weight stays, and counts when it votes. Of
// the rest half goes at most: no weight falls below half of what it was. Those in wrong were proven
// wrong and weigh 0. No power moves, and nothing is paid.
func (k *Keeper) Void(ctx context.Context, epoch uint64, shown []Shown, wrong []string) error {
	params, err := k.params.Get(ctx)
	if err != nil {
		return fmt.Errorf("credit: params: %w", err)
	}
	holdings, err := k.Holdings(ctx)
	if err != nil {
		return fmt.Errorf("credit: holdings: %w", err)
	}
	shows, lies := make(map[string]uint64, len(shown)), set(wrong)
	for _, s := range shown {
		shows[s.Participant] = s.Weight
	}
	before := uint64(0)
	for _, h := range holdings {
		before = add(before, h.Weight)
		kept := min(h.Weight, shows[h.Participant])
		if h.Weight = max(kept, h.Weight/2); lies[h.Participant] {
			kept, h.Weight, h.Credited = 0, 0, 0
		}
		remember(&h, kept, params.TallyEpochs)
		if err := k.store(ctx, h); err != nil {
			return err
		}
	}
	if err := k.passVoid(ctx, epoch); err != nil {
		return err
	}
	if base, err := k.outage(ctx); err != nil || base > 0 || before == 0 {
		return err
	}
	return k.base.Set(ctx, before)
}

func set(names []string) map[string]bool {
	in := make(map[string]bool, len(names))
	for _, n := range names {
		in[n] = true
	}
	return in
}

// Cut takes a participant's weight, power and vote at once. CometBFT hears of it at the end of the
// block; if nobody else is left there, once somebody is: an empty set is a dead chain.
func (k *Keeper) Cut(ctx context.Context, participant string) error {
	h, err := k.holdings.Get(ctx, participant)
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("credit: holding of %s: %w", participant, err)
	}
	h.Weight, h.Power, h.Credited = 0, 0, 0
	clear(h.History)
	if err := k.store(ctx, h); err != nil {
		return err
	}
	seats, err := k.Seats(ctx)
	if err != nil {
		return fmt.Errorf("credit: seats: %w", err)
	}
	for _, s := range seats {
		if s.Participant != participant {
			continue
		}
		s.Power, s.Cut = 0, true
		if err := k.setSeat(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// store keeps a holding, or drops it if it is as if it had never come: work and state follow those
// who compute.
func (k *Keeper) store(ctx context.Context, h creditv1.Holding) error {
	var err error
	if h.Weight == 0 && h.Power == 0 && !slices.ContainsFunc(h.History,
		func(w uint64) bool { return w > 0 }) {
		err = k.holdings.Remove(ctx, h.Participant)
	} else {
		err = k.holdings.Set(ctx, h.Participant, h)
	}
	if err != nil {
		return fmt.Errorf("credit: holding of %s: %w", h.Participant, err)
	}
	return nil
}

// remember adds an epoch to a holding's history.
func remember(h *creditv1.Holding, shown, epochs uint64) {
	h.History = last(append(h.History, shown), epochs)
}

// waits reports whether a seat's owner has yet to enter the set. One that was taken out because its
// key did not sign waits for the next settlement first.
func waits(s creditv1.Seat) bool { return s.Told == 0 && s.Power > 0 && s.Offline == 0 }
