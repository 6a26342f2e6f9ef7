// SPDX-License-Identifier: Apache-2.0

package host

import (
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"

	"github.com/assaynet/assay/host/submit"
)

// The host's own encoding can send the allowance, and what comes out is bounded: it is what a stolen hot key can burn.
func TestTheAllowanceOfAHotKey(t *testing.T) {
	encoding, err := submit.NewEncoding()
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
