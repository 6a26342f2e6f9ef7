// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"google.golang.org/grpc"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/evidence"
)

// StateProof asks a node to show that its state holds an epoch's archive: the ICS-23 proofs of the
// state after the block before the last, and the header of the last block, which commits to that
// state. Package verify/state checks it.
func StateProof(ctx context.Context, node grpc.ClientConnInterface,
	epoch uint64) (*evidence.State, error) {
	q := cmtservice.NewServiceClient(node)
	latest, err := q.GetLatestBlock(ctx, &cmtservice.GetLatestBlockRequest{})
	if err != nil {
		return nil, fmt.Errorf("asking for the last block: %w", err)
	}
	//lint:ignore SA1019 sdk_block has the proposer as text, and what is proven is the hash over its bytes
	header := latest.Block.Header
	res, err := q.ABCIQuery(ctx, &cmtservice.ABCIQueryRequest{Path: "/store/" +
		sprintv1.StoreName + "/key",
		Data: sprintv1.ArchiveKey(epoch), Height: header.Height - 1, Prove: true})
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking for the archive of epoch %d at block %d: %w", epoch,
			header.Height-1, err)
	case res.Code != 0 || res.Height != header.Height-1:
		return nil, fmt.Errorf("archive of epoch %d at block %d: code %d at block %d: %s", epoch,
			header.Height-1, res.Code, res.Height, res.Log)
	case len(res.Value) == 0 || res.ProofOps == nil || len(res.ProofOps.Ops) != 2:
		return nil, fmt.Errorf("the state at block %d has no archive of epoch %d, or the node "+
			"proves nothing", header.Height-1, epoch)
	}
	raw, err := header.Marshal()
	if err != nil {
		return nil, err
	}
	ops := res.ProofOps.Ops // from the key up: in its store, and the store under the app hash
	return &evidence.State{Header: hex.EncodeToString(raw), App: hex.EncodeToString(ops[1].Data),
		Store: hex.EncodeToString(ops[0].Data)}, nil
}
