// SPDX-License-Identifier: Apache-2.0

// Package paging bounds the lists that queries answer with.
package paging

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"
)

// Most is how many entries one page holds at most, Usual how many it holds unless asked for more or
// fewer.
const (
	Most  = 1_000
	Usual = 100
)

// Bound returns a page request that a node is willing to answer: at most Most entries, Usual where
// none are asked for. Pages follow each other by key; an offset or a count of the rest would read
// what they do not show. Errors are InvalidArgument and say what to ask instead.
func Bound(r *query.PageRequest) (*query.PageRequest, error) {
	if r == nil {
		return &query.PageRequest{Limit: Usual}, nil
	}
	switch {
	case r.Offset > 0 || r.CountTotal:
		return nil, status.Error(codes.InvalidArgument, "pages have no offset and no count; ask "+
			"for the next one with the key that the last one gave")
	case r.Limit > Most:
		return nil, status.Errorf(codes.InvalidArgument, "a page has at most %d entries, not %d",
			Most, r.Limit)
	}
	bounded := &query.PageRequest{Key: r.Key, Limit: r.Limit, Reverse: r.Reverse}
	if bounded.Limit == 0 {
		bounded.Limit = Usual
	}
	return bounded, nil
}

// List is a page of a collection, bounded.
func List[K, V, T any, C query.Collection[K, V]](ctx context.Context, c C, r *query.PageRequest,
	entry func(K, V) (T, error), options ...func(*query.CollectionsPaginateOptions[K])) ([]T,
	*query.PageResponse, error) {
	bounded, err := Bound(r)
	if err != nil {
		return nil, nil, err
	}
	return query.CollectionPaginate(ctx, c, bounded, entry, options...)
}

// Same is for lists that are shown as they are stored.
func Same[K, V any](_ K, v V) (V, error) { return v, nil }
