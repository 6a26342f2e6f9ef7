// SPDX-License-Identifier: Apache-2.0

// Package paging bounds the lists that queries answer with.
package paging

import "github.com/cosmos/cosmos-sdk/types/query"

// Most is how many entries one page holds at most, Usual how many it holds unless asked for more or fewer.
const (
	Most  = 1_000
	Usual = 100
)

// Bound returns a page request that a node is willing to answer: at most Most entries, no skipping by offset and no
// counting of the rest, both of which read what they do not show.
func Bound(r *query.PageRequest) *query.PageRequest {
	if r == nil {
		return &query.PageRequest{Limit: Usual}
	}
	bounded := &query.PageRequest{Key: r.Key, Limit: min(r.Limit, Most), Reverse: r.Reverse}
	if r.Limit == 0 {
		bounded.Limit = Usual
	}
	return bounded
}
