// SPDX-License-Identifier: Apache-2.0

package client

import "github.com/cosmos/cosmos-sdk/types/query"

// Pages asks a node for one page of a list after the other, each of up to limit entries; 0 leaves
// that to the node.
func Pages(limit uint64, ask func(*query.PageRequest) (*query.PageResponse, error)) error {
	for page := (&query.PageRequest{Limit: limit}); ; {
		res, err := ask(page)
		if err != nil || len(res.GetNextKey()) == 0 {
			return err
		}
		page = &query.PageRequest{Limit: limit, Key: res.NextKey}
	}
}
