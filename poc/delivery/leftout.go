// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/document"
)

// LeftOutVersion is the only version of the file.
const LeftOutVersion = "assay-left-out/3"

// What a file is worth, said in it: with evidence and without.
const (
	LeftOutShows = "The machine signed these leaves, and they are not what their units give: " +
		"assay verify checks it offline."
	LeftOutHides = "This is the host's word: there is no evidence, for the reason given in " +
		"`hidden`. It takes nothing from the machine."
)

// LeftOutFile is the file on a log that was not committed because a leaf in it is wrong. Its name
// says which log. Beside evidence it says nothing that does not follow from it: of fraud, as many
// wrong leaves as convict.
type LeftOutFile struct {
	Version string `json:"version"`
	Shows   string `json:"shows"` // for people
	LeftOut
	// Evidence is what anyone can check; where there is none, Hidden says why.
	Evidence *Evidence `json:"evidence,omitempty"`
	Hidden   string    `json:"hidden,omitempty"`
	// SHA256 is over the file without it, where no evidence says what the file may say: the host
	// goes by its own word after a restart, and a bit that has flipped is not its word. Files of
	// earlier programs have none.
	SHA256 string `json:"sha256,omitempty"`
}

// Sum is what SHA256 is to be.
func (f LeftOutFile) Sum() (string, error) {
	f.SHA256 = ""
	raw, err := document.Write(f)
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), err
}

// LeftOut is a log in which the host found leaves that the units do not give.
type LeftOut struct {
	Epoch   uint64 `json:"epoch"`
	Node    string `json:"node"`
	Segment uint32 `json:"segment"`
	Leaf    uint64 `json:"leaf"` // the first wrong one
	Got     string `json:"got"`  // its digest (Body.Digest)
	Want    string `json:"want"` // the unit's
	Wrong   int    `json:"wrong"`
	Checked int    `json:"checked"`
	Samples int    `json:"samples"` // to be checked; a shorter log convicts nobody
	Reason  string `json:"reason"`
}

// Explain is the reason for people.
func (l LeftOut) Explain() string {
	why := "a faulty device, or forged: test the machine with assay-worker doctor"
	if l.Forged() {
		why = "forged: no faulty device errs so often"
	}
	return fmt.Sprintf("%d of %d leaves are wrong (%s); this log is not committed, everything "+
		"else is", l.Wrong, l.Checked, why)
}

// ErrLeftOut reports a file on a left-out log that says something else than the evidence in it.
var ErrLeftOut = errors.New("delivery: the file says something else than its evidence")

// FileOf is the file that says nothing but what evidence shows, as found on verifying it.
func FileOf(e Evidence, found Finding) LeftOutFile {
	got, want := found.Got.Digest(), found.Want.Digest()
	l := LeftOut{Epoch: e.Order.Epoch, Node: e.Order.Node, Segment: e.Order.Segment,
		Leaf: found.Leaf,
		Got:  hex.EncodeToString(got[:]), Want: hex.EncodeToString(want[:]),
		Wrong: found.Wrong, Checked: found.Checked, Samples: int(e.Samples)}
	l.Reason = l.Explain()
	return LeftOutFile{Version: LeftOutVersion, Shows: LeftOutShows, LeftOut: l, Evidence: &e}
}

// Holds checks that a file says nothing but what the evidence in it shows. Errors wrap ErrLeftOut.
func (f LeftOutFile) Holds(found Finding) error {
	want := FileOf(*f.Evidence, found)
	want.Evidence = f.Evidence
	if f != want {
		return fmt.Errorf("%w: the evidence shows of epoch %d, node %s, segment %d, that %s",
			ErrLeftOut, want.Epoch, want.Node, want.Segment, want.Reason)
	}
	return nil
}

// Forged reports whether no faulty device explains what was found.
func (l LeftOut) Forged() bool {
	return Shows(uint32(l.Samples), l.Checked, l.Wrong) == Fraud
}
