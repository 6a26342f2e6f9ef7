// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"

	"cosmossdk.io/math"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/table"
)

// MaxNodes is the hard bound of Params.max_nodes: what one registration can make
// every node of the network verify and store.
const MaxNodes = sprintv1.MaxNodes

// Bounds of Params.lapse_epochs. The least is more than a participant needs that
// missed two epochs in a row.
const (
	minLapse = 3
	maxLapse = 10_000
)

// coin is one CPC in its base unit.
func coin() math.Int { return math.NewIntWithDecimal(1, 18) }

// DefaultParams are the parameters of a real network.
func DefaultParams() registryv1.Params {
	return registryv1.Params{MaxNodes: 64, RegistrationDeposit: coin().MulRaw(10), LapseEpochs: 100}
}

// LocalnetParams are those of a network on one machine, whose epochs take a minute.
func LocalnetParams() registryv1.Params {
	return registryv1.Params{MaxNodes: 64, RegistrationDeposit: coin(), LapseEpochs: 10}
}

// ValidateParams checks parameters against their hard bounds. Errors wrap ErrParams.
func ValidateParams(p registryv1.Params) error {
	least, most := coin().QuoRaw(10), coin().MulRaw(100_000)
	switch {
	case p.MaxNodes < 1 || p.MaxNodes > MaxNodes:
		return ErrParams.Wrapf("max_nodes %d is outside 1..%d: every node of the network "+
			"verifies each machine's key", p.MaxNodes, MaxNodes)
	case p.RegistrationDeposit.IsNil() || p.RegistrationDeposit.LT(least) ||
		p.RegistrationDeposit.GT(most):
		return ErrParams.Wrapf("registration_deposit %s is outside %s..%s acpc: less lets anyone "+
			"have names without number, more keeps everybody out",
			p.RegistrationDeposit, least, most)
	case p.LapseEpochs < minLapse || p.LapseEpochs > maxLapse:
		return ErrParams.Wrapf("lapse_epochs %d is outside %d..%d: a short outage must not end a "+
			"registration, an idle one must end", p.LapseEpochs, minLapse, maxLapse)
	}
	return nil
}

// Params are the parameters in force.
func (k *Keeper) Params(ctx context.Context) (registryv1.Params, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return p, fmt.Errorf("registry: reading the parameters: %w", err)
	}
	return p, nil
}

// pendingParams are those that the next epoch starts with; nil when nothing changes.
func (k *Keeper) pendingParams(ctx context.Context) (*registryv1.Params, error) {
	p, err := table.Optional(ctx, k.pending)
	if err != nil {
		return nil, fmt.Errorf("registry: reading the pending parameters: %w", err)
	}
	return p, nil
}

// Adopt puts the parameters in force that a vote has passed since the last epoch
// began. x/sprint calls it at each epoch's begin, so an epoch has one set of them.
func (k *Keeper) Adopt(ctx context.Context) error {
	if err := table.Adopt(ctx, k.pending, k.params); err != nil {
		return fmt.Errorf("registry: pending parameters: %w", err)
	}
	return nil
}
