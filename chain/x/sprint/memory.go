// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"sync"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/poc/seed"
)

// memory keeps what was drawn in the newest epoch. It only saves time: everything in it is a pure function of its
// key and of records that were closed before the mix in the key was known, so a node that just started computes
// the same. Gas must not depend on what a node remembers: whoever fills the memory reads unmetered.
type memory struct {
	mu         sync.Mutex // messages come one by one, queries beside them
	epoch      uint64
	committees map[committeeKey]committee
	leaves     map[leavesKey][]drawnLog
	halls      map[seed.Seed]hall
}

type committeeKey struct {
	seed  seed.Seed
	drawn int
}

type leavesKey struct {
	mix         seed.Seed
	participant string
}

// remember returns what a place of the memory holds for a key, or computes it, and keeps it if keep says so. Epochs
// before the newest are computed each time, so that questions about the past do not push out what blocks need.
func remember[K comparable, V any](m *memory, epoch uint64, place func(*memory) map[K]V, key K, compute func() (v V, keep bool, err error)) (V, error) {
	m.mu.Lock()
	if epoch > m.epoch {
		m.epoch = epoch
		m.committees, m.leaves, m.halls = map[committeeKey]committee{}, map[leavesKey][]drawnLog{}, map[seed.Seed]hall{}
	}
	if epoch == m.epoch {
		if v, ok := place(m)[key]; ok {
			m.mu.Unlock()
			return v, nil
		}
	}
	m.mu.Unlock()
	v, keep, err := compute()
	if err != nil || !keep {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch == m.epoch {
		place(m)[key] = v
	}
	return v, nil
}

// unmetered reads of the current epoch at nobody's expense. It is for work whose size others decide: were it charged,
// they could make a duty too dear for whoever has it. The memory bounds it. Questions about the past, which are not
// remembered, stay within the gas that a node allows a query.
func (k *Keeper) unmetered(ctx context.Context, epoch uint64) context.Context {
	free := sdk.UnwrapSDKContext(ctx).WithGasMeter(storetypes.NewInfiniteGasMeter())
	if current, err := k.CurrentEpoch(free); err != nil || epoch < current {
		return ctx
	}
	return free
}
