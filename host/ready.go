// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/poc/coin"
)

// waiting is what a registration waits for, in a sentence for a person. It is no failure: the same
// question may be answered otherwise in a moment.
type waiting struct{ text string }

func (w *waiting) Error() string { return w.text }

func wait(format string, args ...any) error { return &waiting{fmt.Sprintf(format, args...)} }

// await asks ready until it has nothing to wait for, and says what it waits for whenever that
// changes. It returns another error of ready's at once, and what was waited for when ctx ends.
func await(ctx context.Context, every time.Duration, say func(string),
	ready func(context.Context) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for last := ""; ; {
		err := ready(ctx)
		var w *waiting
		waits, over := errors.As(err, &w), ctx.Err() != nil
		switch {
		case err == nil:
			return nil
		case over && waits && last == "": // its first question was cut short
			last = w.text
		case over:
		case !waits:
			return err
		case w.text != last:
			last = w.text
			say(last)
		}
		select {
		case <-ctx.Done():
			if last == "" {
				return context.Cause(ctx)
			}
			return fmt.Errorf("host: %w, while %s", context.Cause(ctx), last)
		case <-ticker.C:
		}
	}
}

// candidate is a participant that wants to register, and its node.
type candidate struct {
	config Config
	home   string
	conn   *grpc.ClientConn
}

// ready returns nil once the participant can be registered: its node follows the chain and has all
// of it, and its account holds what a registration takes. It returns a *waiting for what may come
// by itself.
func (c candidate) ready(ctx context.Context) error {
	// a node that hangs is one that does not answer
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := compareChain(ctx, c.conn, c.config); errors.Is(err, ErrOtherChain) {
		return err
	} else if err != nil {
		return wait("waiting for the node at %s, which does not answer; is it running? assay "+
			"node --home %s", c.config.GRPC, c.home)
	}
	service := cmtservice.NewServiceClient(c.conn)
	sync, err := service.GetSyncing(ctx, &cmtservice.GetSyncingRequest{})
	if err != nil {
		return c.asked(err)
	}
	block, err := service.GetLatestBlock(ctx, &cmtservice.GetLatestBlockRequest{})
	if err != nil {
		return wait("waiting for the node's first block: the chain has not started, or no peer " +
			"gives it blocks")
	}
	if header := block.GetSdkBlock().GetHeader(); sync.Syncing {
		return wait("waiting for the node to catch up with the chain: it has block %d, of %s",
			header.Height, header.Time.UTC().Format(time.RFC3339))
	}
	return c.funded(ctx)
}

// asked is about a question that a node did not answer.
func (c candidate) asked(err error) error {
	return wait("waiting for the node at %s: %s", c.config.GRPC,
		strings.TrimPrefix(err.Error(), "rpc error: "))
}

// funded returns nil once the account can pay for the registration.
func (c candidate) funded(ctx context.Context) error {
	registry := registryv1.NewQueryClient(c.conn)
	address := c.config.Participant
	if _, err := registry.Participant(ctx,
		&registryv1.QueryParticipantRequest{Address: address}); err == nil {
		return fmt.Errorf("host: %s is registered already; nothing to do", address)
	} else if code := status.Code(err); code == codes.Unavailable ||
		code == codes.DeadlineExceeded {
		return c.asked(err)
	}
	params, err := registry.Params(ctx, &registryv1.QueryParamsRequest{})
	if err != nil {
		return c.asked(err)
	}
	deposit, err := collateralv1.NewQueryClient(c.conn).Account(ctx,
		&collateralv1.QueryAccountRequest{Address: address})
	if err != nil && status.Code(err) != codes.NotFound {
		return c.asked(err)
	}
	need := params.Params.RegistrationDeposit.BigInt()
	if deposit != nil && !deposit.Free.IsNil() {
		need.Sub(need, deposit.Free.BigInt())
	}
	balance, err := banktypes.NewQueryClient(c.conn).Balance(ctx,
		&banktypes.QueryBalanceRequest{Address: address, Denom: submit.Denom})
	if err != nil {
		return c.asked(err)
	}
	has := new(big.Int)
	if balance.Balance != nil {
		has = balance.Balance.Amount.BigInt()
	}
	return enough(address, has, need)
}

// enough compares a balance with the deposit that is missing. A fee comes on top, so a balance has
// to be more.
func enough(address string, has, need *big.Int) error {
	if need.Sign() < 0 {
		need = new(big.Int)
	}
	if has.Cmp(need) > 0 {
		return nil
	}
	return wait("waiting for coins: %s holds %s, and registering locks %s and costs a fee; send "+
		"it more than %s: assay tx bank send FROM %s AMOUNT",
		address, coin.Text(has), coin.Text(need), coin.Text(new(big.Int).Sub(need, has)), address)
}
