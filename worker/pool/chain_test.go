// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/assaynet/assay/poc/mpoc"
)

func bytesField(n protowire.Number, parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = protowire.AppendBytes(protowire.AppendTag(out, n, protowire.BytesType), p)
	}
	return out
}

// sends is a transaction of bank messages, as the SDK writes them.
func sends(kind, to, denom string, amounts ...string) []byte {
	var messages [][]byte
	for _, amount := range amounts {
		coin := append(bytesField(1, []byte(denom)), bytesField(2, []byte(amount))...)
		send := append(append(bytesField(1, []byte("cpc1host")), bytesField(2, []byte(to))...),
			bytesField(3, coin)...)
		messages = append(messages, append(bytesField(1, []byte(kind)), bytesField(2, send)...))
	}
	body := append(bytesField(1, messages...), bytesField(2, []byte("memo"))...)
	// timeout_height
	body = protowire.AppendVarint(protowire.AppendTag(body, 3, protowire.VarintType), 77)
	return append(append(bytesField(1, body), bytesField(2, []byte("auth"))...),
		bytesField(3, make([]byte, 64))...)
}

// A transfer counts only when the node has the very transaction, it succeeded, and it pays the
// account the amount.
func TestTransfersOnChain(t *testing.T) {
	const send = "/cosmos.bank.v1beta1.MsgSend"
	hash := func(tx []byte) string { return fmt.Sprintf("%X", sha256.Sum256(tx)) }
	for name, c := range map[string]struct {
		tx      []byte
		code    int
		network string
		missing bool
		other   bool // the node answers with another transaction
		ok      bool
		later   bool
	}{
		"paid":            {tx: sends(send, "cpc1test", denom, "7", "10"), ok: true},
		"failed":          {tx: sends(send, "cpc1test", denom, "10"), code: 5},
		"another account": {tx: sends(send, "cpc1other", denom, "10")},
		"less":            {tx: sends(send, "cpc1test", denom, "9")},
		"split in two":    {tx: sends(send, "cpc1test", denom, "5", "5")},
		"other coins":     {tx: sends(send, "cpc1test", "dust", "10")},
		"another message": {tx: sends("/cosmos.bank.v1beta1.MsgBurn",
			"cpc1test", denom, "10")},
		"garbage":   {tx: []byte("garbage")},
		"not there": {tx: sends(send, "cpc1test", denom, "10"), missing: true, later: true},
		"another chain": {tx: sends(send, "cpc1test", denom, "10"), network: "assay-other",
			later: true},
		"another transaction": {tx: sends(send, "cpc1test", denom, "10"),
			other: true, later: true},
		"a transaction of none": {tx: nil},
	} {
		node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			network := c.network
			if network == "" {
				network = "assay-test"
			}
			tx := c.tx
			if c.other {
				tx = sends(send, "cpc1test", denom, "10", "1")
			}
			switch {
			case r.URL.Path == "/status":
				_ = json.NewEncoder(w).Encode(map[string]any{
					"result": map[string]any{"node_info": map[string]string{"network": network}}})
			case c.missing || r.URL.Query().Get("hash") != "0x"+hash(c.tx):
				w.WriteHeader(http.StatusInternalServerError)
				fmt.Fprint(w,
					`{"jsonrpc":"2.0","id":-1,"error":{"code":-32603,"message":"Internal error","data":"tx not found"}}`)
			default:
				_ = json.NewEncoder(w).Encode(map[string]any{
					"result": map[string]any{"height": "12",
						"tx_result": map[string]int{"code": c.code}, "tx": tx}})
			}
		}))
		m := &Machine{c: Config{Node: node.URL + "/"}}
		err := m.onChain(t.Context(), mpoc.Transfer{Chain: "assay-test", Payout: "cpc1test",
			Amount: "10", TxHash: hash(c.tx)})
		if (err == nil) != c.ok || errors.Is(err, errNotYet) != c.later {
			t.Errorf("%s: %v", name, err)
		}
		node.Close()
		if err := m.onChain(t.Context(), mpoc.Transfer{}); !errors.Is(err, errNotYet) {
			t.Errorf("the node is away: %v", err)
		}
	}
}

func FuzzPaidTo(f *testing.F) {
	f.Add(sends("/cosmos.bank.v1beta1.MsgSend", "cpc1test", denom, "7"))
	f.Fuzz(func(_ *testing.T, tx []byte) { _, _ = paidTo(tx, "cpc1test") })
}

func TestNodeURL(t *testing.T) {
	for s, ok := range map[string]bool{"": true, "http://127.0.0.1:26657": true,
		"https://node.example": true, "127.0.0.1:26657": false, "tcp://127.0.0.1:26657": false,
		"http://": false} {
		if _, err := parseNode(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}
