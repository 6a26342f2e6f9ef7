// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	"github.com/cosmos/cosmos-sdk/x/feegrant"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	"google.golang.org/grpc"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/poc/coin"
	"github.com/assaynet/assay/poc/seed"
)

// Registration is what `assay host register` needs beside host.toml.
type Registration struct {
	Home     string
	HostKey  ed25519.PrivateKey
	Operator string // name of the participant's own key in the keyring
	Moniker  string
	Fees     string
	Stdin    io.Reader
	Logger   *slog.Logger
	// Waiting is told what Register waits for, whenever that changes, and "" when it goes on; nil
	// is allowed.
	Waiting func(text string)
}

// allow lets a hot key, which holds nothing, pay fees from the balance of its operator, up to a
// bound.
func allow(operator, hot sdk.AccAddress) (*feegrant.MsgGrantAllowance, error) {
	return feegrant.NewMsgGrantAllowance(&feegrant.BasicAllowance{
		SpendLimit: registryv1.HotLimit(submit.Denom)}, operator, hot)
}

// Register registers a participant with the keys of its own node and host and grants its hot key
// the protocol messages and what it may spend on fees, in one transaction signed by the operator.
// The running node proves its keys. It waits for the node to run and to have the whole chain, and
// for the account to hold what is needed, until ctx ends.
func Register(ctx context.Context, c Config, r Registration) error {
	if r.Fees != "" {
		fee, err := coin.Parse(r.Fees)
		if err != nil {
			return fmt.Errorf("host: --fees: %w", err)
		}
		r.Fees = fee.String() + submit.Denom
	}
	encoding, err := client.NewEncoding()
	if err != nil {
		return err
	}
	keys, err := OpenKeyring(r.Home, c.KeyringBackend, r.Stdin, encoding)
	if err != nil {
		return err
	}
	conn, err := client.Dial(c.GRPC, encoding)
	if err != nil {
		return err
	}
	defer conn.Close()
	say := r.Waiting
	if say == nil {
		say = func(string) {}
	}
	if err := await(ctx, time.Second, say,
		candidate{config: c, home: r.Home, conn: conn}.ready); err != nil {
		return err
	}
	say("")
	register, err := registration(ctx, c, r, conn)
	if err != nil {
		return err
	}
	grants, err := hotGrants(ctx, c, keys, conn, encoding)
	if err != nil {
		return err
	}
	params, err := registryv1.NewQueryClient(conn).Params(ctx, &registryv1.QueryParamsRequest{})
	if err != nil {
		return fmt.Errorf("host: node at %s: %w", c.GRPC, err)
	}
	if r.Logger != nil {
		r.Logger.Info(fmt.Sprintf("registering locks %s of the operator's coins until the "+
			"registration ends", coin.Text(params.Params.RegistrationDeposit.BigInt())))
	}
	queue, err := submit.New(submit.Config{Conn: conn, Encoding: encoding, Keys: keys,
		Key: r.Operator, Participant: c.Participant, Chain: c.Chain, Fees: r.Fees,
		Logger: r.Logger})
	if err != nil {
		return err
	}
	return queue.Send(ctx, blocks(sprintv1.NewQueryClient(conn), c.GRPC), "registration",
		append([]sdk.Msg{register}, grants...)...)
}

// registration is the message that registers the participant, with proofs of all its keys.
func registration(ctx context.Context, c Config, r Registration,
	conn *grpc.ClientConn) (*registryv1.MsgRegister, error) {
	possession, err := registryv1.NewLocalClient(conn).Possession(ctx,
		&registryv1.PossessionRequest{Participant: c.Participant, Next: true})
	if err != nil {
		return nil, fmt.Errorf("host: the node at %s does not prove its keys; is it running, and "+
			"does it have its own priv_validator_key.json and vrf_key.json? %w", c.GRPC, err)
	}
	hostKey := r.HostKey.Public().(ed25519.PublicKey)
	statement := seed.Possession(c.Chain, "host", c.Participant, hostKey)
	return &registryv1.MsgRegister{
		Address: c.Participant, Moniker: r.Moniker, ConsensusKey: possession.ConsensusKey,
		VrfKey: possession.VrfKey, HostKey: hostKey,
		Possession: registryv1.Possession{Consensus: possession.ConsensusProof,
			Vrf: possession.VrfProof, Host: ed25519.Sign(r.HostKey, statement[:])},
	}, nil
}

// hotGrants let the hot key do the participant's duties, and pay fees for it within bounds.
func hotGrants(ctx context.Context, c Config, keys keyring.Keyring, conn *grpc.ClientConn,
	encoding client.Encoding) (msgs []sdk.Msg, err error) {
	hot, err := keys.Key(c.Key)
	if err != nil {
		return nil, fmt.Errorf("host: hot key %q: %w", c.Key, err)
	}
	grantee, err := hot.GetAddress()
	if err != nil {
		return nil, err
	}
	granter, err := encoding.Addresses.StringToBytes(c.Participant)
	if err != nil {
		return nil, err
	}
	for _, url := range sprintv1.DutyURLs() {
		grant, err := authz.NewMsgGrant(granter, grantee, authz.NewGenericAuthorization(url), nil)
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, grant)
	}
	hotAddress, err := encoding.Addresses.BytesToString(grantee)
	if err != nil {
		return nil, err
	}
	// An allowance cannot be granted twice; one of an earlier registration stays.
	if _, err := feegrant.NewQueryClient(conn).Allowance(ctx,
		&feegrant.QueryAllowanceRequest{Granter: c.Participant, Grantee: hotAddress}); err == nil {
		return msgs, nil
	}
	allowance, err := allow(granter, grantee)
	if err != nil {
		return nil, err
	}
	return append(msgs, allowance), nil
}

// blocks waits for the next block each time it is called.
func blocks(chain sprintv1.QueryClient, node string) func(context.Context) (int64, error) {
	seen := int64(0)
	return func(ctx context.Context) (int64, error) {
		for {
			now, err := chain.Current(ctx, &sprintv1.QueryCurrentRequest{})
			if err != nil {
				return 0, fmt.Errorf("host: node at %s: %w", node, err)
			}
			if now.Height > seen {
				seen = now.Height
				return seen, nil
			}
			select {
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			case <-time.After(pollEvery):
			}
		}
	}
}
