// SPDX-License-Identifier: Apache-2.0

package beacon

import (
	"bytes"
	"fmt"

	"github.com/cosmos/gogoproto/proto"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
)

// MaxTxSize bounds the encoded transaction, in bytes. The rest of a block has
// to leave that much room.
const MaxTxSize = 256

// EncodeTx writes a message as the transaction that carries it: one message, an
// empty fee, no signature. A message has exactly one such encoding.
func EncodeTx(msg *beaconv1.MsgPublish) ([]byte, error) {
	packed, err := codectypes.NewAnyWithValue(msg)
	if err != nil {
		return nil, fmt.Errorf("beacon: packing the proof: %w", err)
	}
	body, err := proto.Marshal(&txtypes.TxBody{Messages: []*codectypes.Any{packed}})
	if err != nil {
		return nil, fmt.Errorf("beacon: encoding the proof's transaction: %w", err)
	}
	auth, err := proto.Marshal(&txtypes.AuthInfo{Fee: &txtypes.Fee{}})
	if err != nil {
		return nil, fmt.Errorf("beacon: encoding the proof's transaction: %w", err)
	}
	raw, err := proto.Marshal(&txtypes.TxRaw{BodyBytes: body, AuthInfoBytes: auth})
	if err != nil {
		return nil, fmt.Errorf("beacon: encoding the proof's transaction: %w", err)
	}
	return raw, nil
}

// DecodeTx reads what EncodeTx writes and nothing else: encoding the result
// gives tx again. Errors wrap ErrTx.
func DecodeTx(tx []byte) (*beaconv1.MsgPublish, error) {
	if len(tx) > MaxTxSize {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrTx, len(tx), MaxTxSize)
	}
	var (
		raw  txtypes.TxRaw
		body txtypes.TxBody
		msg  beaconv1.MsgPublish
	)
	if err := proto.Unmarshal(tx, &raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTx, err)
	}
	if err := proto.Unmarshal(raw.BodyBytes, &body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTx, err)
	}
	if len(body.Messages) != 1 || body.Messages[0].TypeUrl != TypeURL {
		return nil, fmt.Errorf("%w: not exactly one %s", ErrTx, TypeURL)
	}
	if err := proto.Unmarshal(body.Messages[0].Value, &msg); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTx, err)
	}
	again, err := EncodeTx(&msg)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, tx) {
		return nil, fmt.Errorf("%w: it carries more than the proof, or is not in canonical form",
			ErrTx)
	}
	return &msg, nil
}
