// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"crypto/ed25519"
	"fmt"
	"regexp"

	"github.com/assaynet/assay/poc/signed"
)

// TransferVersion is the only version of the format.
const TransferVersion = "assay-mpoc-transfer/1"

// Transfer is a host's signed statement that a transaction on its chain paid a device. It takes the
// place of the receipts that it covers: anyone who reads the chain sees whether the transaction is
// there, and if it is not, the statement shows that the host still owes the amount, and lied.
type Transfer struct {
	Version   string     `json:"version"` // TransferVersion
	Chain     string     `json:"chain"`
	HostKey   signed.Key `json:"host_key"`
	DeviceKey signed.Key `json:"device_key"`
	// Payout is the account that received Amount, in acpc.
	Payout string `json:"payout"`
	Amount Amount `json:"amount"`
	// TxHash names the transaction: 64 hexadecimal digits, capitals.
	TxHash string `json:"tx_hash"`
	// Time is when the host saw it in a block, in unix milliseconds of its clock.
	Time          uint64           `json:"time"`
	HostSignature signed.Signature `json:"host_signature"`
}

var txHash = regexp.MustCompile(`^[0-9A-F]{64}$`)

// SignBytes returns the message that the host signs.
func (t Transfer) SignBytes() []byte {
	return *signed.Say("assay/1/mpoc-transfer").Text(t.Version).Text(t.Chain).Part(
		t.HostKey[:]).Part(t.DeviceKey[:]).
		Text(t.Payout).Text(string(t.Amount)).Text(t.TxHash).Number(t.Time)
}

// Sign sets the host's signature.
func (t *Transfer) Sign(key ed25519.PrivateKey) {
	t.HostSignature = signed.Sign(key, t.SignBytes())
}

// Verify checks form and signature. It does not read the chain. Errors wrap ErrFile or
// signed.ErrSignature.
func (t Transfer) Verify() error {
	if err := t.valid(); err != nil {
		return err
	}
	return signed.Check("host", t.HostKey, t.SignBytes(), t.HostSignature)
}

func (t Transfer) valid() error {
	switch {
	case t.Version != TransferVersion:
		return fmt.Errorf("%w: version %.40q", ErrFile, t.Version)
	case !printable(t.Chain, 1, maxChain) || !printable(t.Payout, 1, 90):
		return fmt.Errorf("%w: chain or payout", ErrFile)
	case !txHash.MatchString(t.TxHash):
		return fmt.Errorf("%w: %.70q does not name a transaction", ErrFile, t.TxHash)
	case t.Time > maxTime:
		return fmt.Errorf("%w: a number above 2^53", ErrFile)
	}
	if err := t.Amount.Valid(); err != nil {
		return form(err)
	}
	return nil
}

// ParseTransfer reads a transfer. Apart from white space there is one accepted spelling: Marshal's.
// It checks form only. Errors wrap ErrFile.
func ParseTransfer(data []byte) (Transfer, error) {
	var t Transfer
	if err := parse(data, &t); err != nil {
		return Transfer{}, err
	}
	if err := t.valid(); err != nil {
		return Transfer{}, err
	}
	return t, nil
}

// Marshal writes the transfer, indented for people. Errors wrap ErrFile.
func (t Transfer) Marshal() ([]byte, error) {
	if err := t.valid(); err != nil {
		return nil, err
	}
	return write(t)
}
