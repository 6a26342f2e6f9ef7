// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/poc/coin"
)

// Rotation is what `assay host rotate-keys` needs beside host.toml.
type Rotation struct {
	Home     string
	Operator string // name of the participant's own key in the keyring
	// Consensus and VRF say which of the node's keys change; one of them at least.
	Consensus, VRF bool
	Fees           string
	Stdin          io.Reader
	Logger         *slog.Logger
}

// RotateKeys has the participant's own node make new keys and registers them, in one transaction
// signed by the operator. It returns the epoch with whose begin they change, and the current one.
// While a rotation is open it sends nothing, so the same command can be given again after whatever
// ended it.
func RotateKeys(ctx context.Context, c Config, r Rotation) (from, now uint64, err error) {
	if r.Fees != "" {
		fee, err := coin.Parse(r.Fees)
		if err != nil {
			return 0, 0, fmt.Errorf("host: --fees: %w", err)
		}
		r.Fees = fee.String() + submit.Denom
	}
	encoding, err := client.NewEncoding()
	if err != nil {
		return 0, 0, err
	}
	conn, err := client.Dial(c.GRPC, encoding)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	chain := sprintv1.NewQueryClient(conn)
	open := func() (uint64, error) {
		current, err := chain.Current(ctx, &sprintv1.QueryCurrentRequest{})
		if err != nil {
			return 0, fmt.Errorf("host: node at %s: %w", c.GRPC, err)
		}
		now = current.Epoch.Number
		p, err := registryv1.NewQueryClient(conn).Participant(ctx,
			&registryv1.QueryParticipantRequest{Address: c.Participant})
		if err != nil {
			return 0, fmt.Errorf("host: %s is not registered on %s (%w); register it with assay "+
				"host register, with the keys that its node has", c.Participant, c.Chain, err)
		}
		if p.Participant.Rotation == nil {
			return 0, nil
		}
		return p.Participant.Rotation.Epoch, nil
	}
	if from, err = open(); err != nil || from > 0 {
		return from, now, err
	}
	made, err := registryv1.NewLocalClient(conn).Possession(ctx,
		&registryv1.PossessionRequest{Participant: c.Participant, Next: true})
	if err != nil {
		return 0, now, fmt.Errorf("host: the node at %s does not make new keys; it has to be the "+
			"participant's own, with its key files in its home: %w", c.GRPC, err)
	}
	msg := &registryv1.MsgRotateKeys{Address: c.Participant}
	if r.Consensus {
		msg.ConsensusKey, msg.Possession.Consensus = made.ConsensusKey, made.ConsensusProof
	}
	if r.VRF {
		msg.VrfKey, msg.Possession.Vrf = made.VrfKey, made.VrfProof
	}
	keys, err := OpenKeyring(r.Home, c.KeyringBackend, r.Stdin, encoding)
	if err != nil {
		return 0, now, err
	}
	queue, err := submit.New(submit.Config{Conn: conn, Encoding: encoding, Keys: keys,
		Key: r.Operator, Participant: c.Participant, Chain: c.Chain, Fees: r.Fees,
		Logger: r.Logger})
	if err != nil {
		return 0, now, err
	}
	if err := queue.Send(ctx, blocks(chain, c.GRPC), "rotation of keys", msg); err != nil {
		return 0, now, err
	}
	if from, err = open(); err == nil && from == 0 {
		err = fmt.Errorf("host: the transaction is in a block, and the node at %s shows no open "+
			"rotation; see assay query registry participant %s", c.GRPC, c.Participant)
	}
	return from, now, err
}
