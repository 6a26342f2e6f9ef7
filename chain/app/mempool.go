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
const poolSize = 5_000

// CometPoolSize is how many transactions CometBFT's own list has to have room for. It says that a transaction was
// taken before it looks for room a second time, and drops it silently when it finds none; so this pool has to be the
// one that is full first.
const CometPoolSize = 2 * poolSize

// pool holds the transactions that wait for a block, the most urgent first, and
// of one sender in the order of their sequence numbers.
//
// Every node has to use it, proposers or not: executing a block takes its
// transactions out of the pool, and an error there would be part of the result.
type pool struct {
	*mempool.PriorityNonceMempool[int64]
	size int
	// decided are the transactions of the block that was executed and is not committed yet. Executing and committing
	// never overlap, so that no lock is needed.
	decided []sdk.Tx
}

var _ mempool.ExtMempool = (*pool)(nil)

// newPool makes a pool for up to size transactions; poolSize when size is not positive.
func newPool(size int) *pool {
	if size <= 0 {
		size = poolSize
	}
	return &pool{size: size, PriorityNonceMempool: mempool.NewPriorityMempool(mempool.PriorityNonceMempoolConfig[int64]{
		TxPriority:      mempool.NewDefaultTxPriority(),
		SignerExtractor: signers{},
		MaxTx:           size,
	})}
}

// crowded tells whether only those still find room who have a share of it reserved.
func (p *pool) crowded() bool { return p.CountTx() >= p.size-p.size/4 }

// room tells whether a transaction finds room. Payments fill the pool up to three quarters, duties of participants
// without weight up to seven eighths: waiting costs nothing until a block takes a transaction, and if it kept out
// those who compute, it would cost them the epoch.
func (p *pool) room(protocol bool, weight uint64) bool {
	most := p.size
	switch {
	case !protocol:
		most -= p.size / 4
	case weight == 0:
		most -= p.size / 8
	}
	return p.CountTx() < most
}

// Remove takes a transaction out. One that never was in the pool, as the beacon
// proof, which nobody signs, is not found.
func (p *pool) Remove(tx sdk.Tx) error {
	if all, err := (signers{}).GetSigners(tx); err != nil || len(all) == 0 {
		return mempool.ErrTxNotFound
	}
	return p.PriorityNonceMempool.Remove(tx)
}

// RemoveWithReason is Remove, and remembers what a block holds.
func (p *pool) RemoveWithReason(_ context.Context, tx sdk.Tx, reason mempool.RemoveReason) error {
	err := p.Remove(tx)
	if reason.Caller == mempool.CallerRunTxFinalize {
		p.decided = append(p.decided, tx)
	}
	return err
}

// committed takes the transactions of the block out once more. Until its commit, one of them that gossip brings late
// is still valid against the state of checks and enters the pool; CometBFT drops it from its own list with the block
// and never has it checked again. Here it would stay for good and hold back whatever its sender sends later.
func (p *pool) committed() {
	for _, tx := range p.decided {
		_ = p.Remove(tx) // not being there is the rule
	}
	clear(p.decided)
	p.decided = p.decided[:0]
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
