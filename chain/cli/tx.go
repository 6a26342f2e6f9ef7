// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cmtrpc "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client/flags"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/poc/coin"
)

const (
	flagWait = "wait"
	// waitTime is many blocks: what is not in one by then is not taken by their proposers.
	waitTime = time.Minute
	// lookEvery is how often the chain is asked for a new block.
	lookEvery = 300 * time.Millisecond
)

// texts are flags whose value is anybody's words, also where they look like an amount.
var texts = []string{flags.FlagNote, flags.FlagFrom, "moniker", "title", "summary", "metadata",
	"details", "expiration"}

// amounts puts the base unit into every amount of a command line: the chain knows no other.
func amounts(args []string) ([]string, error) {
	args = slices.Clone(args)
	for i, arg := range args {
		name, value, assigned := strings.Cut(arg, "=")
		prefix := ""
		switch {
		case strings.HasPrefix(arg, "--") && assigned:
			if slices.Contains(texts, name[2:]) {
				continue
			}
			prefix = name + "="
		case i > 0 && strings.HasPrefix(args[i-1], "--") && slices.Contains(texts, args[i-1][2:]):
			continue
		default:
			value = arg
		}
		parts := strings.Split(value, ",")
		for j, part := range parts {
			switch {
			case !coin.Is(part):
			case strings.HasSuffix(strings.ToLower(part), coin.Base):
				// prices of gas may have fractions of it
				parts[j] = strings.ToLower(part)
			default:
				n, err := coin.Parse(part)
				if err != nil {
					return nil, err
				}
				parts[j] = n.String() + coin.Base
			}
		}
		args[i] = prefix + strings.Join(parts, ",")
	}
	return args, nil
}

// broadcasts reports whether a command can send a transaction.
func broadcasts(c *cobra.Command) bool { return c.Flags().Lookup(flags.FlagBroadcastMode) != nil }

// finish ends a command that sent a transaction: it waits for the block, says what became of it,
// and fails if the chain refused it.
func (s *session) finish(ran *cobra.Command) error {
	sent := s.out.response
	if sent == nil {
		return nil
	}
	wait, err := ran.Flags().GetDuration(flagWait)
	if err != nil {
		return err
	}
	if mode, _ := ran.Flags().GetString(flags.FlagBroadcastMode); mode == flags.BroadcastAsync {
		wait = 0
	}
	missed := error(nil)
	if sent.Code == 0 && wait > 0 {
		within, cancel := context.WithTimeout(ran.Context(), wait)
		defer cancel()
		if missed = s.await(within, sent); missed != nil && ran.Context().Err() == nil {
			missed = fmt.Errorf("transaction %s was sent, and is in no block after %s (%w); it "+
				"may still come: assay query tx %s", sent.TxHash, wait, missed, sent.TxHash)
		}
	}
	return errors.Join(s.print(sent), missed, refusal(sent))
}

// refusal is nil for a transaction that the chain took, or may yet.
func refusal(r *sdk.TxResponse) error {
	if r.Code == 0 {
		return nil
	}
	why := clean(r.RawLog)
	if why == "" {
		why = "the node gives no reason"
	}
	where := "the node refuses the transaction"
	if r.Height > 0 {
		where = fmt.Sprintf("the transaction failed in block %d, and its fee is paid", r.Height)
	}
	return fmt.Errorf("%s: %s (%s %d)", where, why, r.Codespace, r.Code)
}

// print shows what is known of a transaction.
func (s *session) print(r *sdk.TxResponse) error {
	if !s.human {
		text, err := s.encoding.Codec.MarshalJSON(r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out.w, "%s\n", text)
		return err
	}
	lines := fmt.Sprintf("transaction %s\n", r.TxHash)
	if r.Height > 0 {
		lines += fmt.Sprintf("block       %d\ngas         %d of %d\n", r.Height,
			r.GasUsed, r.GasWanted)
	}
	if s.out.fee != "" {
		lines += fmt.Sprintf("fee         %s\n", s.out.fee)
	}
	_, err := fmt.Fprint(s.out.w, lines)
	return err
}

// blocks is what await asks of a node.
type blocks interface {
	Status(context.Context) (*cmtrpc.ResultStatus, error)
	Block(ctx context.Context, height *int64) (*cmtrpc.ResultBlock, error)
	BlockResults(ctx context.Context, height *int64) (*cmtrpc.ResultBlockResults, error)
}

// await reads blocks from the one that the node has on, until the transaction is in one, and fills
// in what became of it. No index of transactions is asked: a node may have none.
func (s *session) await(ctx context.Context, sent *sdk.TxResponse) error {
	node, err := dialRPC(s.node)
	if err != nil {
		return err
	}
	return s.follow(ctx, node, sent)
}

// follow asks again what a node does not answer: it may have a block and not yet its results, or be
// started again.
func (s *session) follow(ctx context.Context, node blocks, sent *sdk.TxResponse) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for next, found := int64(0), false; ; {
		status, err := node.Status(ctx)
		if err == nil && next == 0 { // it may have been taken between the sending and this question
			next = max(status.SyncInfo.EarliestBlockHeight, status.SyncInfo.LatestBlockHeight-2, 1)
		}
		for err == nil && next <= status.SyncInfo.LatestBlockHeight {
			if found, err = s.lookIn(ctx, node, next, sent); found {
				return nil
			}
			if err == nil {
				next++
			}
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("%w; the node: %w", context.Cause(ctx), err)
			}
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// lookIn looks for the transaction in one block.
func (s *session) lookIn(ctx context.Context, node blocks, height int64,
	sent *sdk.TxResponse) (found bool, err error) {
	block, err := node.Block(ctx, &height)
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(block.Block.Txs,
		func(tx cmttypes.Tx) bool { return fmt.Sprintf("%X", tx.Hash()) == sent.TxHash })
	if at < 0 {
		return false, nil
	}
	results, err := node.BlockResults(ctx, &height)
	if err != nil {
		return false, err
	}
	if at >= len(results.TxsResults) {
		return false, fmt.Errorf("block %d has no result of the transaction", height)
	}
	r := results.TxsResults[at]
	sent.Height, sent.Code, sent.Codespace, sent.RawLog = height, r.Code, r.Codespace, r.Log
	sent.GasUsed, sent.GasWanted, sent.Events, sent.Timestamp = r.GasUsed, r.GasWanted, r.Events,
		block.Block.Time.UTC().Format(time.RFC3339)
	sent.Data = fmt.Sprintf("%X", r.Data)
	if tx, err := s.encoding.TxConfig.TxDecoder()(block.Block.Txs[at]); err == nil {
		if paid, ok := tx.(sdk.FeeTx); ok {
			s.out.fee = coinsText(paid.GetFee())
		}
	}
	return true, nil
}

// coinsText writes coins for people.
func coinsText(all sdk.Coins) string {
	var list []string
	for _, c := range all {
		if c.Denom == coin.Base {
			list = append(list, coin.Text(c.Amount.BigInt()))
		} else {
			list = append(list, c.String())
		}
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
