// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/assaynet/assay/internal/webproxy"
	"github.com/assaynet/assay/poc/mpoc"
)

// A node that the owner names is asked over CometBFT's RPC. It is believed about what is in a
// block; what the transaction says is read from its bytes, which its hash names.

// errNotYet says that a node does not confirm a transfer now, and may later.
var errNotYet = errors.New("pool: not confirmed yet")

const (
	nodeWait   = 3 * time.Second
	nodeAnswer = 4 << 20
	denom      = "acpc"
)

// nodes asks nodes.
var nodes = http.Client{Transport: &http.Transport{Proxy: webproxy.For,
	IdleConnTimeout: time.Minute}}

// parseNode checks a node's URL; an empty one is none.
func parseNode(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a node's RPC; it looks like "+
			"http://192.0.2.7:26657", s)
	}
	return u, nil
}

// onChain reports whether a transfer is in a block and pays what the host says. The error wraps
// errNotYet where that may change.
func (m *Machine) onChain(ctx context.Context, t mpoc.Transfer) error {
	var status struct {
		NodeInfo struct {
			Network string `json:"network"`
		} `json:"node_info"`
	}
	if err := m.node(ctx, "/status", &status); err != nil {
		return err
	}
	if status.NodeInfo.Network != t.Chain {
		return fmt.Errorf("%w: node %s is of chain %q, and the host pays on %q", errNotYet,
			m.c.Node, status.NodeInfo.Network, t.Chain)
	}
	var answer struct {
		TxResult struct {
			Code uint32 `json:"code"`
		} `json:"tx_result"`
		Tx []byte `json:"tx"`
	}
	if err := m.node(ctx, "/tx?hash=0x"+t.TxHash, &answer); err != nil {
		return err
	}
	if sum := sha256.Sum256(answer.Tx); !strings.EqualFold(hex.EncodeToString(sum[:]), t.TxHash) {
		return fmt.Errorf("%w: node %s answers with another transaction", errNotYet, m.c.Node)
	}
	if answer.TxResult.Code != 0 {
		return fmt.Errorf("the transaction failed with code %d", answer.TxResult.Code)
	}
	paid, err := paidTo(answer.Tx, t.Payout)
	if err != nil {
		return err
	}
	for _, amount := range paid {
		if amount.Cmp(t.Amount.Big()) == 0 {
			return nil
		}
	}
	return fmt.Errorf("the transaction does not send %s acpc to %s", t.Amount, t.Payout)
}

// node asks the owner's node.
func (m *Machine) node(ctx context.Context, path string, result any) error {
	ctx, cancel := context.WithTimeout(ctx, nodeWait)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet,
		strings.TrimSuffix(m.c.Node, "/")+path, nil)
	if err != nil {
		return err
	}
	a, err := nodes.Do(q)
	if err != nil {
		return fmt.Errorf("%w: node %s does not answer: %w", errNotYet, m.c.Node, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, nodeAnswer))
	if err != nil {
		return fmt.Errorf("%w: node %s: %w", errNotYet, m.c.Node, err)
	}
	var body struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Message string `json:"message"`
			Data    string `json:"data"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(text, &body); {
	case err != nil:
		return fmt.Errorf("%w: node %s answers %s, which is not a node's answer",
			errNotYet, m.c.Node, a.Status)
	case body.Error != nil:
		return fmt.Errorf("%w: node %s answers: %s %s", errNotYet, m.c.Node, body.Error.Message,
			body.Error.Data)
	}
	if err := json.Unmarshal(body.Result, result); err != nil {
		return fmt.Errorf("%w: node %s: %w", errNotYet, m.c.Node, err)
	}
	return nil
}

// paidTo lists what a transaction's bank messages send to an account, one amount a message, in
// acpc.
func paidTo(tx []byte, account string) (amounts []*big.Int, err error) {
	body, err := field(tx, 1)
	if err != nil || len(body) != 1 {
		return nil, fmt.Errorf("the transaction cannot be read: %w", orEmpty(err))
	}
	messages, err := field(body[0], 1)
	if err != nil {
		return nil, fmt.Errorf("the transaction cannot be read: %w", err)
	}
	for _, any := range messages {
		kind, err1 := field(any, 1)
		value, err2 := field(any, 2)
		if err1 != nil || err2 != nil || len(kind) != 1 || len(value) != 1 ||
			string(kind[0]) != "/cosmos.bank.v1beta1.MsgSend" {
			continue
		}
		to, err1 := field(value[0], 2)
		coins, err2 := field(value[0], 3)
		if err1 != nil || err2 != nil || len(to) != 1 || string(to[0]) != account {
			continue
		}
		for _, coin := range coins {
			name, err1 := field(coin, 1)
			amount, err2 := field(coin, 2)
			if err1 != nil || err2 != nil || len(name) != 1 || len(amount) != 1 ||
				!bytes.Equal(name[0], []byte(denom)) {
				continue
			}
			if n, ok := new(big.Int).SetString(string(amount[0]), 10); ok {
				amounts = append(amounts, n)
			}
		}
	}
	return amounts, nil
}

// orEmpty is err, or that there is not one body.
func orEmpty(err error) error {
	if err != nil {
		return err
	}
	return errors.New("it has no body")
}

// field returns all values of a length-delimited protobuf field.
func field(message []byte, number protowire.Number) (values [][]byte, err error) {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		message = message[size:]
		if n == number && kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(message)
			if size < 0 {
				return nil, protowire.ParseError(size)
			}
			values, message = append(values, value), message[size:]
			continue
		}
		if size = protowire.ConsumeFieldValue(n, kind, message); size < 0 {
			return nil, protowire.ParseError(size)
		}
		message = message[size:]
	}
	return values, nil
}
