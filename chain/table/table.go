// SPDX-License-Identifier: Apache-2.0

// Package table holds what modules do alike with the tables of their state.
package table

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
)

// Values lists the values of a range in the order of their keys.
func Values[K, V any](ctx context.Context, m collections.Map[K, V],
	r collections.Ranger[K]) ([]V, error) {
	it, err := m.Iterate(ctx, r)
	if err != nil {
		return nil, err
	}
	return it.Values()
}

// Optional is an item's value, nil where it is not set.
func Optional[V any](ctx context.Context, item collections.Item[V]) (*V, error) {
	v, err := item.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// Find is a map's value at a key; ok is false where there is none.
func Find[K, V any](ctx context.Context, m collections.Map[K, V], key K) (v V, ok bool, err error) {
	v, err = m.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		return v, false, nil
	}
	return v, err == nil, err
}

// Adopt makes pending parameters, if there are any, those in force.
func Adopt[V any](ctx context.Context, pending, inForce collections.Item[V]) error {
	v, err := Optional(ctx, pending)
	if err != nil || v == nil {
		return err
	}
	if err := inForce.Set(ctx, *v); err != nil {
		return err
	}
	return pending.Remove(ctx)
}

// DropBefore removes up to limit entries of epochs before one, oldest first, and says how many. The
// epoch leads the key.
func DropBefore[K, V any](ctx context.Context, m collections.Map[K, V], before uint64, limit int,
	epoch func(K) uint64) (int, error) {
	var keys []K
	it, err := m.Iterate(ctx, nil)
	if err != nil {
		return 0, err
	}
	for ; it.Valid() && len(keys) < limit; it.Next() {
		key, err := it.Key()
		if err != nil {
			it.Close()
			return 0, err
		}
		if epoch(key) >= before {
			break
		}
		keys = append(keys, key)
	}
	if err := it.Close(); err != nil {
		return 0, err
	}
	for _, key := range keys {
		if err := m.Remove(ctx, key); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
