// SPDX-License-Identifier: Apache-2.0

package submit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
)

// ErrGone reports a block that the node does not have any longer: it was pruned, or
// the node began behind it.
var ErrGone = errors.New("submit: the node does not have that block")

// keepBlocks is how many blocks a reader remembers: those that transactions under
// way could be in.
const keepBlocks = 64

// BlockTx is a transaction in a block.
type BlockTx struct {
	Raw       []byte
	Hash      string // 64 upper-case hex digits
	Code      uint32 // 0: it took effect
	Codespace string
	Log       string
	// Ran says that it used its account's number: it took effect, or failed in a
	// message. One that was refused before is in a block that a proposer filled
	// carelessly, and may yet take effect in another.
	Ran bool
}

// Blocks reads blocks from a node. What became of a transaction is decided by them:
// a node's index of transactions can be off, or behind, and a block that is there
// is complete. It is safe for concurrent use.
type Blocks struct {
	conn *grpc.ClientConn

	mu   sync.Mutex
	kept map[int64][]BlockTx
}

// NewBlocks reads from the node behind a connection.
func NewBlocks(conn *grpc.ClientConn) *Blocks {
	return &Blocks{conn: conn, kept: map[int64][]BlockTx{}}
}

// Hash is a transaction's name on the chain.
func Hash(raw []byte) string { return fmt.Sprintf("%X", sha256.Sum256(raw)) }

// At returns the transactions of a block that the chain has committed. Errors wrap
// ErrGone where the node no longer has it; others mean that it did not answer.
func (b *Blocks) At(ctx context.Context, height int64) ([]BlockTx, error) {
	b.mu.Lock()
	list, known := b.kept[height]
	b.mu.Unlock()
	if known {
		return list, nil
	}
	client := cmtservice.NewServiceClient(b.conn)
	block, err := client.GetBlockByHeight(ctx, &cmtservice.GetBlockByHeightRequest{Height: height})
	if err != nil {
		return nil, gone(err, height)
	}
	raws := block.GetSdkBlock().GetData().Txs
	list = make([]BlockTx, len(raws))
	if len(raws) > 0 {
		results, err := client.GetBlockResults(ctx,
			&cmtservice.GetBlockResultsRequest{Height: height})
		if err != nil {
			return nil, gone(err, height)
		}
		if len(results.TxsResults) != len(raws) {
			return nil, fmt.Errorf("submit: block %d has %d transactions and %d results", height,
				len(raws), len(results.TxsResults))
		}
		for i, raw := range raws {
			r := results.TxsResults[i]
			list[i] = BlockTx{Raw: raw, Hash: Hash(raw), Code: r.Code, Codespace: r.Codespace,
				Log: r.Log, Ran: Ran(r)}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for h := range b.kept {
		if h+keepBlocks <= height {
			delete(b.kept, h)
		}
	}
	b.kept[height] = list
	return list, nil
}

// Ran reports whether a transaction used its account's number. What was refused before
// its messages has no events, whatever else became of it.
func Ran(r *abci.ExecTxResult) bool { return r.Code == 0 || len(r.Events) > 0 }

// gone tells a block that is missing from a node that does not answer.
func gone(err error, height int64) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "bigger than the chain length"):
		// not committed yet, as this node sees it
	case strings.Contains(text, "lowest height is"), strings.Contains(text, "nil Block"),
		strings.Contains(text, "could not find results"),
		strings.Contains(text, "not available"), strings.Contains(text, "not persisting"),
		status.Code(err) == codes.NotFound:
		return fmt.Errorf("%w: %d", ErrGone, height)
	}
	return fmt.Errorf("submit: block %d: %w", height, err)
}

// Find looks for a transaction in the blocks behind one height up to another, both
// committed. complete reports whether all of them were checked; if not, some are
// gone.
func (b *Blocks) Find(ctx context.Context, hash string, behind, to int64) (tx BlockTx, height int64,
	found, complete bool, err error) {
	complete = true
	for h := behind + 1; h <= to; h++ {
		list, err := b.At(ctx, h)
		if errors.Is(err, ErrGone) {
			complete = false
			continue
		} else if err != nil {
			return BlockTx{}, 0, false, false, err
		}
		for _, tx := range list {
			if tx.Hash == hash {
				return tx, h, true, true, nil
			}
		}
	}
	return BlockTx{}, 0, false, complete, nil
}
