// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/signed"
)

// ReceiptVersion is the only version of the format.
const ReceiptVersion = "assay-leaf-receipt/1"

// MaxFileSize is the largest receipt or evidence that is read, in bytes.
const MaxFileSize = 512 << 10

// ErrFile reports a file that is not in its format.
var ErrFile = errors.New("delivery: malformed file")

// Receipt is what a machine keeps: a batch as it signed it, and the host's
// signature that it has all leaves up to this batch's end. Who wants to know
// what became of them compares it with the host's commitment on chain.
type Receipt struct {
	Version         string           `json:"version"` // ReceiptVersion
	Order           Order            `json:"order"`
	Batch           Batch            `json:"batch"`
	DeviceSignature signed.Signature `json:"device_signature"` // of the statement
	HostSignature   signed.Signature `json:"host_signature"`   // Acknowledge
}

// Statement is what the machine signed.
func (r Receipt) Statement() Statement { return Statement{r.Order, r.Batch} }

// Verify checks both signatures. Errors wrap ErrFile, ErrStatement or
// signed.ErrSignature.
func (r Receipt) Verify() error {
	if err := r.valid(); err != nil {
		return err
	}
	if err := r.Statement().Verify(r.DeviceSignature); err != nil {
		return err
	}
	return r.VerifyHost()
}

// VerifyHost checks the host's signature alone: for the machine, which made the
// other. Errors wrap signed.ErrSignature.
func (r Receipt) VerifyHost() error {
	return signed.Check("host", r.Order.HostKey, acknowledgement(r.Statement().Digest()),
		r.HostSignature)
}

func (r Receipt) valid() error {
	if r.Version != ReceiptVersion {
		return fmt.Errorf("%w: version %.40q", ErrFile, r.Version)
	}
	if err := errors.Join(r.Order.valid(), r.Batch.valid()); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return nil
}

// ParseReceipt reads a receipt. Apart from white space there is one accepted
// spelling: Marshal's. It checks form only. Errors wrap ErrFile.
func ParseReceipt(data []byte) (Receipt, error) {
	var r Receipt
	if err := parse(data, &r); err != nil {
		return Receipt{}, err
	}
	return r, r.valid()
}

// Marshal writes the receipt, indented for people. Errors wrap ErrFile.
func (r Receipt) Marshal() ([]byte, error) {
	if err := r.valid(); err != nil {
		return nil, err
	}
	return write(r)
}

// parse reads v from a file. Errors wrap ErrFile.
func parse(data []byte, v any) error {
	if err := document.Parse(data, v, MaxFileSize); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return nil
}

// write is parse's other way.
func write(v any) ([]byte, error) {
	text, err := document.Write(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return text, nil
}
