// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/mempool"
	"github.com/cosmos/cosmos-sdk/x/auth/signing"
)

// poolSize is how many transactions wait at most, unless configured otherwise.
const poolSize = 10_000

// pool holds the transactions that wait for a block, the most urgent first, and
// of one sender in the order of their sequence numbers.
//
// Every node has to use it, proposers or not: executing a block takes its
// transactions out of the pool, and an error there would be part of the result.
type pool struct {
	*mempool.PriorityNonceMempool[int64]
}

var _ mempool.ExtMempool = pool{}

// newPool makes a pool for up to size transactions; poolSize when size is not positive.
func newPool(size int) pool {
	if size <= 0 {
		size = poolSize
	}
	return pool{mempool.NewPriorityMempool(mempool.PriorityNonceMempoolConfig[int64]{
		TxPriority:      mempool.NewDefaultTxPriority(),
		SignerExtractor: signers{},
		MaxTx:           size,
	})}
}

// Remove takes a transaction out. One that never was in the pool, as the beacon
// proof, which nobody signs, is not found.
func (p pool) Remove(tx sdk.Tx) error {
	if all, err := (signers{}).GetSigners(tx); err != nil || len(all) == 0 {
		return mempool.ErrTxNotFound
	}
	return p.PriorityNonceMempool.Remove(tx)
}

// RemoveWithReason is Remove; the reason does not matter here.
func (p pool) RemoveWithReason(_ context.Context, tx sdk.Tx, _ mempool.RemoveReason) error {
	return p.Remove(tx)
}

// signers reads who signed a transaction from its messages. The SDK's own way
// goes by the public keys in it, which senders may leave out once the chain knows
// them.
type signers struct{}

var _ mempool.SignerExtractionAdapter = signers{}

func (signers) GetSigners(tx sdk.Tx) ([]mempool.SignerData, error) {
	signed, ok := tx.(signing.SigVerifiableTx)
	if !ok {
		return nil, fmt.Errorf("app: a transaction of type %T has no signers", tx)
	}
	signatures, err := signed.GetSignaturesV2()
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	addresses, err := signed.GetSigners()
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	if len(signatures) != len(addresses) {
		return nil, fmt.Errorf("app: %d signatures of %d signers", len(signatures), len(addresses))
	}
	all := make([]mempool.SignerData, len(addresses))
	for i, address := range addresses {
		all[i] = mempool.NewSignerData(address, signatures[i].Sequence)
	}
	return all, nil
}
