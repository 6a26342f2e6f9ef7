// SPDX-License-Identifier: Apache-2.0

package poc

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/mpoc"
)

// ErrDocument reports bytes that are not a document of a kind that Open knows, in its one spelling.
var ErrDocument = errors.New("poc: no document that proves something")

// MaxSize is the length in bytes of the longest document of any kind.
const MaxSize = mpoc.MaxFileSize

// Kind says what a document is about, whatever its version.
type Kind string

// The kinds.
const (
	KindEvidence     Kind = "evidence"      // a committed leaf is forged or honest
	KindLeafReceipt  Kind = "leaf-receipt"  // a host has a machine's leaves
	KindLeafEvidence Kind = "leaf-evidence" // a machine signed wrong leaves
	KindLeftOut      Kind = "left-out"      // a host did not commit to a log
	KindReceipt      Kind = "receipt"       // the result of a submission of loops
	KindLoopEvidence Kind = "mpoc-evidence" // a device or a host broke the rules of loops
	KindTransfer     Kind = "transfer"      // a host states a payment
)

// format is a version of a kind of document.
type format struct {
	version string
	kind    Kind
	open    func(data []byte) (Document, error)
}

// formats are all that Open reads: spec F-7. There is no other list, and nothing else chooses by a
// version.
var formats = []format{
	{evidence.Version, KindEvidence, openEvidence},
	{evidence.Version1, KindEvidence, openEvidence},
	{delivery.ReceiptVersion, KindLeafReceipt, openLeafReceipt},
	{delivery.EvidenceVersion, KindLeafEvidence, openLeafEvidence},
	{delivery.LeftOutVersion, KindLeftOut, openLeftOut},
	{mpoc.ReceiptVersion, KindReceipt, openReceipt},
	{mpoc.EvidenceVersion, KindLoopEvidence, openLoopEvidence},
	{mpoc.TransferVersion, KindTransfer, openTransfer},
}

// Versions lists the values of the key "version" that Open reads, current and old.
func Versions() []string {
	all := make([]string, len(formats))
	for i, f := range formats {
		all[i] = f.version
	}
	return all
}

// OpenError says why bytes are not a document. It wraps ErrDocument and the fault.
type OpenError struct {
	Kind Kind // by the document's version; "" where that is unknown
	Err  error
}

// Error is the fault's own text.
func (e *OpenError) Error() string { return e.Err.Error() }

// Unwrap returns ErrDocument and the fault.
func (e *OpenError) Unwrap() []error { return []error{ErrDocument, e.Err} }

// Open reads a document of any kind and of every version that was ever written. It checks the
// spelling and the form, and not one claim: that is Verify's. Errors are *OpenError.
func Open(data []byte) (Document, error) {
	var head struct {
		Version string `json:"version"`
	}
	readable := json.Unmarshal(data, &head) == nil
	for _, f := range formats {
		if !readable || f.version != head.Version {
			continue
		}
		d, err := f.open(data)
		if err != nil {
			return nil, &OpenError{Kind: f.kind, Err: err}
		}
		return d, nil
	}
	if readable {
		return nil, &OpenError{Err: fmt.Errorf("of no kind that proves something by itself "+
			"(version %.40q): what a machine kept of its host's words is for people to read",
			head.Version)}
	}
	_, err := evidence.Parse(data) // says what is wrong with the text
	return nil, &OpenError{Err: err}
}
