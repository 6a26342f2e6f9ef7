// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"

	"log/slog"

	"google.golang.org/grpc"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/poc/coin"
)

const (
	// hotEvery is how often the node is asked for the hot key's means, and hotTime how long it may
	// take.
	hotEvery = time.Minute
	hotTime  = 10 * time.Second
	// lowPart of the first grant is little, and a grant that ends within soon is worth a word.
	lowPart = 10
	soon    = 7 * 24 * time.Hour
)

// hotKey holds what was found last.
type hotKey struct {
	conn                 *grpc.ClientConn
	encoding             client.Encoding
	participant, address string
	log                  *slog.Logger

	mu  sync.Mutex
	now *HotKey
}

func (k *hotKey) get() *HotKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now == nil {
		return nil
	}
	c := *k.now
	return &c
}

func (k *hotKey) set(now HotKey) (worse bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	worse = now.Reason != "" && (k.now == nil || k.now.Reason != now.Reason)
	k.now = &now
	return worse
}

// watch asks once a minute, beside the loop of duties, what the hot key may spend.
func (k *hotKey) watch(ctx context.Context) error {
	k.set(HotKey{Address: k.address})
	ticker := time.NewTicker(hotEvery)
	defer ticker.Stop()
	for {
		k.ask(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (k *hotKey) ask(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, hotTime)
	defer cancel()
	now := HotKey{Address: k.address, Known: true}
	grant, err := feegrant.NewQueryClient(k.conn).Allowance(within,
		&feegrant.QueryAllowanceRequest{Granter: k.participant, Grantee: k.address})
	var allowance feegrant.FeeAllowanceI
	switch {
	case noGrant(err):
		err = nil
	case err == nil:
		err = k.encoding.Registry.UnpackAny(grant.Allowance.Allowance, &allowance)
	}
	if err == nil {
		var res *banktypes.QueryBalanceResponse
		if res, err = banktypes.NewQueryClient(k.conn).Balance(within,
			&banktypes.QueryBalanceRequest{Address: k.address, Denom: submit.Denom}); err == nil &&
			res.Balance != nil {
			now.Balance, err = ledger.ParseAmount(res.Balance.Amount.String())
		}
	}
	if err == nil {
		err = allowed(&now, allowance, k.participant, time.Now())
	}
	if err == nil {
		var missing []string
		if missing, err = notGranted(within, authz.NewQueryClient(k.conn), k.participant,
			k.address); err == nil && len(missing) > 0 {
			now.Reason = mayNotSend(missing, k.address)
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		now = HotKey{Address: k.address,
			Reason: "the node does not say what it may spend: " + status.Convert(err).Message()}
	}
	if k.set(now) && err == nil {
		k.log.Warn("fees", "hot key", k.address, "reason", now.Reason)
	}
}

// notGranted lists the duties that a hot key may not send for a participant.
func notGranted(ctx context.Context, chain authz.QueryClient, participant,
	address string) (missing []string, err error) {
	if participant == address {
		return nil, nil
	}
	for _, url := range sprintv1.DutyURLs() {
		_, err := chain.Grants(ctx, &authz.QueryGrantsRequest{Granter: participant,
			Grantee: address, MsgTypeUrl: url})
		switch {
		case noGrant(err):
			missing = append(missing, url)
		case err != nil:
			return nil, err
		}
	}
	return missing, nil
}

// mayNotSend says which grants are missing, and how to give the first.
func mayNotSend(missing []string, address string) string {
	names := make([]string, len(missing))
	for i, url := range missing {
		names[i] = url[strings.LastIndex(url, ".")+1:]
	}
	return fmt.Sprintf("it may not send %s for this participant; for each: assay tx authz grant "+
		"%s generic --msg-type %s --from OPERATOR", strings.Join(names, ", "), address, missing[0])
}

// noGrant reports an answer that there is no grant.
func noGrant(err error) bool {
	code := status.Code(err)
	return code == codes.NotFound || (code == codes.Internal || code == codes.Unknown) &&
		strings.Contains(err.Error(), "not found")
}

// allowed enters an allowance, nil for none, and what is amiss with it.
func allowed(k *HotKey, a feegrant.FeeAllowanceI, participant string, now time.Time) error {
	renew := fmt.Sprintf("to grant again: assay tx feegrant revoke %s %s, then assay tx feegrant "+
		"grant %s %s --spend-limit 10cpc", participant, k.Address, participant, k.Address)
	if a == nil {
		k.Reason = fmt.Sprintf("the participant pays no fees for it, so a message that was "+
			"refused twice is not sent again; grant it: assay tx feegrant grant %s %s "+
			"--spend-limit 10cpc", participant, k.Address)
		return nil
	}
	limit, expires, err := terms(a)
	if err != nil {
		return err
	}
	k.Granted = true
	if limit != nil {
		left, err := ledger.ParseAmount(limit.AmountOf(submit.Denom).String())
		if err != nil {
			return err
		}
		k.Left = &left
		if few := registryv1.HotLimit(submit.Denom).AmountOf(submit.Denom).QuoRaw(
			lowPart); limit.AmountOf(submit.Denom).LT(few) {
			k.Reason = fmt.Sprintf("it may spend less than %s on fees; %s",
				coin.Text(few.BigInt()), renew)
		}
	}
	if expires != nil {
		k.Expires = expires.UTC().Format(time.RFC3339)
		switch left := expires.Sub(now); {
		case left <= 0:
			k.Granted, k.Reason = false, "its grant for fees has ended; "+renew
		case left < soon:
			k.Reason = fmt.Sprintf("its grant for fees ends within %d days; %s",
				int(soon.Hours())/24, renew)
		}
	}
	return nil
}

// terms are the bound of an allowance, nil for none, and its end.
func terms(a feegrant.FeeAllowanceI) (limit sdk.Coins, expires *time.Time, err error) {
	switch a := a.(type) {
	case *feegrant.BasicAllowance:
		return a.SpendLimit, a.Expiration, nil
	case *feegrant.PeriodicAllowance:
		limit = a.PeriodCanSpend
		if limit == nil {
			limit = sdk.Coins{} // spent, until the next period
		}
		if a.Basic.SpendLimit != nil {
			limit = limit.Min(a.Basic.SpendLimit)
		}
		return limit, a.Basic.Expiration, nil
	case *feegrant.AllowedMsgAllowance:
		inner, err := a.GetAllowance()
		if err != nil {
			return nil, nil, err
		}
		return terms(inner)
	}
	return nil, nil, errors.New("the grant is of a kind that this version does not know")
}
