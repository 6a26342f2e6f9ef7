// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"sync"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/poc/seed"
)

// cache keeps what was drawn in the newest epoch. It only saves time: everything in it is a pure
// function of its key and of records that were closed before the mix in the key was known, so a
// node that just started computes the same. Gas must not depend on what a node remembers: blocks
// read for it unmetered, and queries, whose gas is no part of the state, pay for what is not there
// yet.
type cache struct {
	mu         sync.Mutex // messages come one by one, queries beside them
	epoch      uint64
	assemblies map[seed.Seed]*assembly
	leaves     map[leavesKey][]drawnLog
}

type leavesKey struct {
	mix         seed.Seed // of the subject
	participant string
}

// remember returns what a place of the cache holds for a key, or computes it. Epochs before the
// newest are computed each time, so that questions about the past do not push out what blocks need.
func remember[K comparable, V any](m *cache, epoch uint64, place func(*cache) map[K]V, key K,
	compute func() (V, error)) (V, error) {
	m.mu.Lock()
	if epoch > m.epoch {
		m.epoch = epoch
		m.assemblies, m.leaves = map[seed.Seed]*assembly{}, map[leavesKey][]drawnLog{}
	}
	if epoch == m.epoch {
		if v, ok := place(m)[key]; ok {
			m.mu.Unlock()
			return v, nil
		}
	}
	m.mu.Unlock()
	v, err := compute()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch == m.epoch {
		place(m)[key] = v
	}
	return v, nil
}

// unmetered reads at nobody's expense, for messages: how much others committed or how many they are
// is not for the sender to pay, and charged it could make a duty too dear for whoever has it. What
// is read so is bounded by the epoch's records and remembered.
func unmetered(ctx context.Context) context.Context {
	return sdk.UnwrapSDKContext(ctx).WithGasMeter(storetypes.NewInfiniteGasMeter())
}
