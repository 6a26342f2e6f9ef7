// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtrpc "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/app"
)

// slow is a node that makes a block with each question about it, and fails to answer some.
type slow struct {
	height int64
	tx     cmttypes.Tx // in block 5
	deaf   map[string]int
}

func (n *slow) fails(what string) error {
	if n.deaf[what]--; n.deaf[what] >= 0 {
		return fmt.Errorf("no %s yet", what)
	}
	return nil
}

func (n *slow) Status(context.Context) (*cmtrpc.ResultStatus, error) {
	n.height++
	s := new(cmtrpc.ResultStatus)
	s.SyncInfo.EarliestBlockHeight, s.SyncInfo.LatestBlockHeight = 1, n.height
	return s, n.fails("status")
}

func (n *slow) Block(_ context.Context, height *int64) (*cmtrpc.ResultBlock, error) {
	b := &cmttypes.Block{}
	if *height == 5 {
		b.Txs = cmttypes.Txs{n.tx}
	}
	return &cmtrpc.ResultBlock{Block: b}, n.fails("block")
}

func (n *slow) BlockResults(_ context.Context, height *int64) (*cmtrpc.ResultBlockResults, error) {
	return &cmtrpc.ResultBlockResults{Height: *height, TxsResults: []*abci.ExecTxResult{{Code: 7}}},
		n.fails("results")
}

// What a node does not answer is asked again until the wait is over: it has a block before that
// block's results.
func TestAnAnswerThatANodeLacksIsAskedForAgain(t *testing.T) {
	tx := cmttypes.Tx("a transaction")
	hash := fmt.Sprintf("%X", tx.Hash())
	encoding, err := app.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{encoding: encoding}
	for _, what := range []string{"status", "block", "results"} {
		for _, forever := range []bool{false, true} {
			n, failures := &slow{height: 3, tx: tx, deaf: map[string]int{}}, 2
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if forever {
				failures = 1 << 30
				ctx, cancel = context.WithTimeout(t.Context(), 4*lookEvery)
			}
			n.deaf[what] = failures
			sent := &sdk.TxResponse{TxHash: hash}
			err := s.follow(ctx, n, sent)
			cancel()
			if forever {
				if !errors.Is(err, context.DeadlineExceeded) ||
					!strings.Contains(err.Error(), "no "+what+" yet") || sent.Height != 0 {
					t.Errorf("no %s ever: %v, %+v", what, err, sent)
				}
			} else if err != nil || sent.Height != 5 || sent.Code != 7 {
				t.Errorf("no %s at first: %v, %+v", what, err, sent)
			}
		}
	}
}
