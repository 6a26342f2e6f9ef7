// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"

	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/verify/state"
)

// Trust returns what `assay verify` needs to check an evidence file against this network, also when
// it runs no more: the hash that member i's node has of the block which the file's proof stands on.
func (n *Network) Trust(ctx context.Context, i int, path string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := poc.Open(raw)
	if err != nil {
		return nil, fmt.Errorf("localnet: %s: %w", path, err)
	}
	e, ok := d.(*poc.Evidence)
	if !ok {
		return nil, fmt.Errorf("localnet: %s: a document of the kind %q is about no block",
			path, d.Kind())
	}
	f := e.File
	if f.State == nil { // its host could not get one
		return []string{"--node", n.Members[i].GRPC}, nil
	}
	header, err := state.Header(f)
	if err != nil {
		return nil, fmt.Errorf("localnet: %s: %w", path, err)
	}
	conn, err := n.Conn(i)
	if err != nil {
		return nil, err
	}
	block, err := cmtservice.NewServiceClient(conn).GetBlockByHeight(ctx,
		&cmtservice.GetBlockByHeightRequest{Height: header.Height})
	if err != nil {
		return nil, fmt.Errorf("localnet: block %d: %w", header.Height, err)
	}
	return []string{"--trust", strings.ToUpper(hex.EncodeToString(block.BlockId.Hash))}, nil
}
