// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"

	"github.com/assaynet/assay/client"
)

// The host's own encoding can send the allowance, and what comes out is bounded: it is what a
// stolen hot key can burn.
func TestTheAllowanceOfAHotKey(t *testing.T) {
	encoding, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	msg, err := allow(make(sdk.AccAddress, 20), append(make(sdk.AccAddress, 19), 1))
	if err != nil {
		t.Fatal(err)
	}
	builder := encoding.TxConfig.NewTxBuilder()
	if err := builder.SetMsgs(msg); err != nil {
		t.Fatal(err)
	}
	raw, err := encoding.TxConfig.TxEncoder()(builder.GetTx())
	if err != nil {
		t.Fatal(err)
	}
	tx, err := encoding.TxConfig.TxDecoder()(raw)
	if err != nil {
		t.Fatal(err)
	}
	allowance, err := tx.GetMsgs()[0].(*feegrant.MsgGrantAllowance).GetFeeAllowanceI()
	if err != nil {
		t.Fatal(err)
	}
	basic, ok := allowance.(*feegrant.BasicAllowance)
	if !ok || basic.SpendLimit.String() != "10000000000000000000acpc" {
		t.Errorf("the hot key may spend %v", allowance)
	}
}

// What may come by itself is waited for and said once; anything else ends it, and so does the
// person.
func TestARegistrationWaits(t *testing.T) {
	answers := []error{wait("waiting for the node"), wait("waiting for the node"),
		wait("waiting for coins"), nil}
	asked, said := 0, []string{}
	say := func(text string) { said = append(said, text) }
	err := await(t.Context(), time.Microsecond, say, func(context.Context) error {
		asked++
		return answers[asked-1]
	})
	if err != nil || asked != 4 ||
		!slices.Equal(said, []string{"waiting for the node", "waiting for coins"}) {
		t.Errorf("%v after %d questions, saying %v", err, asked, said)
	}
	if err := await(t.Context(), time.Microsecond, say,
		func(context.Context) error { return ErrOtherChain }); !errors.Is(err, ErrOtherChain) {
		t.Errorf("another chain: %v", err)
	}
	stopped := errors.New("10m0s are over")
	ctx, cancel := context.WithCancelCause(t.Context())
	err = await(ctx, time.Microsecond, func(string) {
		cancel(stopped)
	}, func(context.Context) error { return wait("waiting for coins") })
	if !errors.Is(err, stopped) || !strings.Contains(err.Error(), "waiting for coins") {
		t.Errorf("at the end of its time: %v", err)
	}
	err = await(ctx, time.Microsecond, func(string) {
		t.Error("said after the end")
	}, func(context.Context) error { return wait("waiting for the node") })
	if !errors.Is(err, stopped) || !strings.Contains(err.Error(), "waiting for the node") {
		t.Errorf("at the end of its time, at its first question: %v", err)
	}
}

// Nobody is there: the question is for the node, and names how to start it.
func TestARegistrationWaitsForItsNode(t *testing.T) {
	conn, err := client.DialNode("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := config()
	c.GRPC = "127.0.0.1:1"
	err = candidate{config: c, home: "/there", conn: conn}.ready(t.Context())
	var w *waiting
	if !errors.As(err, &w) || !strings.Contains(w.text, "assay node --home /there") {
		t.Errorf("without a node: %v", err)
	}
}

func TestARegistrationWaitsForCoins(t *testing.T) {
	for _, c := range []struct {
		has, need int64
		want      string
	}{{0, 10, "send it more than 10cpc"}, {4, 10, "send it more than 6cpc"}, {10, 10, "a fee"},
		{11, 10, ""}, {0, -5, "a fee"}, {1, -5, ""}} {
		coins := func(n int64) *big.Int {
			return new(big.Int).Mul(big.NewInt(n), big.NewInt(1_000_000_000_000_000_000))
		}
		err := enough("cpc1x", coins(c.has), coins(c.need))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d of %d: %v; want %q", c.has, c.need, err, c.want)
		}
	}
}
