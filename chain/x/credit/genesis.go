// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/chain/x/registry"
)

// ValidateGenesis checks a genesis state on its own. It takes whatever a chain may export: a set on
// its way between two settlements, histories longer than votes now look back, a seat that was cut
// and is the last.
func ValidateGenesis(g creditv1.GenesisState) error {
	if err := ValidateParams(g.Params); err != nil {
		return err
	}
	if g.PendingParams != nil {
		if err := ValidateParams(*g.PendingParams); err != nil {
			return fmt.Errorf("pending: %w", err)
		}
	}
	if err := validateMoney(g.Money, g.Owed); err != nil {
		return err
	}
	seen, keys := map[string]bool{}, map[string]string{}
	var total uint64
	for _, h := range g.Holdings {
		if err := validateHolding(h); err != nil {
			return err
		}
		if seen[h.Participant] {
			return fmt.Errorf("credit: %s holds twice", h.Participant)
		}
		if other, taken := keys[string(h.ConsensusKey)]; taken && len(h.ConsensusKey) > 0 {
			return fmt.Errorf("credit: %s and %s have one consensus key; it could sign two "+
				"blocks of a height", other, h.Participant)
		}
		seen[h.Participant], keys[string(h.ConsensusKey)] = true, h.Participant
		if total += h.Power; total > TotalPower {
			return fmt.Errorf("credit: voting powers add up to over %d", TotalPower)
		}
	}
	if err := validateAbsences(g.Absences); err != nil {
		return err
	}
	if len(g.Seats) > 0 {
		return validateSeats(g.Seats, g.Holdings)
	}
	if total == 0 {
		return errors.New("credit: nobody has voting power; give at least one participant weight " +
			"in genesis")
	}
	return nil
}

func validateHolding(h creditv1.Holding) error {
	switch {
	case h.Participant == "":
		return errors.New("credit: a holding has no participant")
	case len(h.ConsensusKey) != ed25519.PublicKeySize && (h.Power > 0 || len(h.ConsensusKey) > 0):
		return fmt.Errorf("credit: %s has power %d and a consensus key of %d bytes; want %d",
			h.Participant, h.Power, len(h.ConsensusKey), ed25519.PublicKeySize)
	case h.Power > TotalPower:
		return fmt.Errorf("credit: %s has power %d of %d", h.Participant, h.Power, TotalPower)
	case h.Weight > MaxWeight || h.Credited > MaxWeight:
		return fmt.Errorf("credit: %s weighs %d and was credited %d; at most %d is possible",
			h.Participant, h.Weight, h.Credited, uint64(MaxWeight))
	case len(h.History) > maxTallyEpochs:
		return fmt.Errorf("credit: %s has a history of %d epochs; at most %d are kept",
			h.Participant, len(h.History), maxTallyEpochs)
	}
	for _, w := range h.History {
		if w > MaxWeight {
			return fmt.Errorf(
				"credit: the history of %s has a weight of %d; at most %d is possible",
				h.Participant, w, uint64(MaxWeight))
		}
	}
	return nil
}

// validateSeats holds seats against the holdings they follow.
func validateSeats(seats []creditv1.Seat, holdings []creditv1.Holding) error {
	moves := map[string]uint64{} // by participant and key
	keys := map[string]bool{}
	var told, offline uint64
	for _, s := range seats {
		switch {
		case s.Participant == "":
			return errors.New("credit: a seat has no participant")
		case len(s.ConsensusKey) != ed25519.PublicKeySize:
			return fmt.Errorf("credit: the seat of %s has a consensus key of %d bytes; want %d",
				s.Participant, len(s.ConsensusKey), ed25519.PublicKeySize)
		case keys[string(s.ConsensusKey)]:
			return fmt.Errorf("credit: two seats have the consensus key of %s", s.Participant)
		case s.Power == 0 && s.Told == 0 && s.Offline == 0:
			return fmt.Errorf("credit: the seat of %s has no power and is to have none",
				s.Participant)
		case s.Cut && s.Power > 0:
			return fmt.Errorf("credit: the seat of %s was cut and is to have power %d",
				s.Participant, s.Power)
		case s.Told > TotalPower:
			return fmt.Errorf("credit: the seat of %s has power %d of %d", s.Participant,
				s.Told, TotalPower)
		}
		keys[string(s.ConsensusKey)] = true
		if n := len(s.NextKey); n > 0 && (n != ed25519.PublicKeySize || keys[string(s.NextKey)]) {
			return fmt.Errorf("credit: the key that takes the seat of %s over has %d bytes, or a "+
				"seat already", s.Participant, n)
		}
		keys[string(bearer(s))] = true
		if s.Power > 0 {
			moves[s.Participant+string(bearer(s))] = s.Power
		}
		if told += s.Told; told > TotalPower {
			return fmt.Errorf("credit: voting powers in force add up to over %d", TotalPower)
		}
		if s.Offline > TotalPower || !spared(offline, s.Offline) {
			return errors.New("credit: those offline held a third of the power or more")
		}
		offline += s.Offline
	}
	if told == 0 {
		return errors.New("credit: nobody's voting power is in force")
	}
	for _, h := range holdings {
		at := h.Participant + string(h.ConsensusKey)
		if moves[at] != h.Power {
			return fmt.Errorf("credit: %s has power %d and a seat that moves to %d", h.Participant,
				h.Power, moves[at])
		}
		delete(moves, at)
	}
	if len(moves) > 0 {
		return fmt.Errorf("credit: %d seats move to a power that no holding has", len(moves))
	}
	return nil
}

func validateAbsences(absences []creditv1.Absence) error {
	for i, a := range absences {
		switch {
		case len(a.ConsensusAddress) != addressSize || a.Since < 1:
			return fmt.Errorf("credit: an absence of %X since block %d: an address has %d bytes, "+
				"and blocks count from 1", a.ConsensusAddress, a.Since, addressSize)
		case i > 0 && bytes.Compare(absences[i-1].ConsensusAddress, a.ConsensusAddress) >= 0:
			return fmt.Errorf("credit: absences do not stand in the order of their addresses, or "+
				"one stands twice: %X", a.ConsensusAddress)
		}
	}
	return nil
}

// InitGenesis stores the state and returns the validator set in force.
func (k *Keeper) InitGenesis(ctx context.Context, g creditv1.GenesisState) ([]abci.ValidatorUpdate,
	error) {
	if err := ValidateGenesis(g); err != nil {
		return nil, err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return nil, err
	}
	if g.PendingParams != nil {
		if err := k.pending.Set(ctx, *g.PendingParams); err != nil {
			return nil, err
		}
	}
	if g.Base > 0 {
		if err := k.base.Set(ctx, g.Base); err != nil {
			return nil, err
		}
	}
	for _, h := range g.Holdings {
		if err := k.holdings.Set(ctx, h.Participant, h); err != nil {
			return nil, err
		}
		if h.Power > 0 && len(g.Seats) == 0 {
			seat := creditv1.Seat{Participant: h.Participant, ConsensusKey: h.ConsensusKey,
				Power: h.Power, Told: h.Power}
			if err := k.setSeat(ctx, seat); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range g.Seats {
		if err := k.setSeat(ctx, s); err != nil {
			return nil, err
		}
	}
	if err := k.initMoney(ctx, g.Money, g.Owed); err != nil {
		return nil, err
	}
	for _, a := range g.Absences {
		if err := k.absences.Set(ctx, a.ConsensusAddress, a.Since); err != nil {
			return nil, err
		}
	}
	return k.inForce(ctx)
}

// inForce returns the validator set. Each of its keys has to be registered, by the one whose power
// it carries: a proposer without a registered key can prove no beacon.
func (k *Keeper) inForce(ctx context.Context) ([]abci.ValidatorUpdate, error) {
	seats, err := k.Seats(ctx)
	if err != nil {
		return nil, err
	}
	var updates []abci.ValidatorUpdate
	for _, s := range seats {
		if s.Told == 0 {
			continue
		}
		owner, ok, err := k.registry.ByConsensusAddress(ctx,
			registry.ConsensusAddress(s.ConsensusKey))
		if err != nil {
			return nil, fmt.Errorf("credit: owner of a consensus key: %w", err)
		}
		if !ok || owner.Address != s.Participant {
			return nil, fmt.Errorf("credit: the consensus key %X has power for %s and is "+
				"registered by %q", s.ConsensusKey, s.Participant, owner.Address)
		}
		updates = append(updates, abci.Ed25519ValidatorUpdate(s.ConsensusKey, int64(s.Told)))
	}
	return updates, nil
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*creditv1.GenesisState, error) {
	g := &creditv1.GenesisState{}
	var err error
	if g.Params, err = k.params.Get(ctx); err != nil {
		return nil, fmt.Errorf("credit: params: %w", err)
	}
	if g.PendingParams, err = table.Optional(ctx, k.pending); err != nil {
		return nil, fmt.Errorf("credit: pending params: %w", err)
	}
	if g.Base, err = k.outage(ctx); err != nil {
		return nil, err
	}
	if g.Holdings, err = k.Holdings(ctx); err != nil {
		return nil, fmt.Errorf("credit: holdings: %w", err)
	}
	if g.Seats, err = k.Seats(ctx); err != nil {
		return nil, fmt.Errorf("credit: seats: %w", err)
	}
	if g.Money, err = k.books(ctx); err != nil {
		return nil, err
	}
	if g.Owed, err = table.Values(ctx, k.owed, nil); err != nil {
		return nil, fmt.Errorf("credit: pay: %w", err)
	}
	if g.Absences, err = k.absent(ctx); err != nil {
		return nil, err
	}
	return g, nil
}
