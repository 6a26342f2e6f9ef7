// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/internal/sealed"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/work"
)

// errLeftOut: the log was left out before this host was restarted.
var errLeftOut = errors.New("left out")

// LeftOutVersion is the only version of the file.
const LeftOutVersion = "assay-left-out/3"

// What a file is worth, said in it.
const (
	leftOutShows = "The machine signed these leaves, and they are not what their units give: assay verify checks it offline."
	leftOutHides = "This is the host's word: there is no evidence, for the reason given in `hidden`. It takes nothing from the machine."
)

// LeftOutFile is the file on a log that was not committed because a leaf in it is wrong. Its name says which log. Beside
// evidence it says nothing that does not follow from it: of fraud, as many wrong leaves as convict.
type LeftOutFile struct {
	Version string `json:"version"`
	Shows   string `json:"shows"` // for people
	LeftOut
	// Evidence is what anyone can check; where there is none, Hidden says why.
	Evidence *delivery.Evidence `json:"evidence,omitempty"`
	Hidden   string             `json:"hidden,omitempty"`
	// SHA256 is over the file without it, where no evidence says what the file may say: the host goes by its own word after
	// a restart, and a bit that has flipped is not its word. Files of earlier programs have none.
	SHA256 string `json:"sha256,omitempty"`
}

// sum is what SHA256 is to be.
func (f LeftOutFile) sum() (string, error) {
	f.SHA256 = ""
	raw, err := document.Write(f)
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), err
}

// whole checks that a file is what this host wrote.
func (f LeftOutFile) whole(ctx context.Context, judge *work.Judge) error {
	if f.Evidence != nil {
		found, err := f.Evidence.Verify(ctx, judge)
		if err != nil {
			return err
		}
		return f.Holds(found)
	}
	if sum, err := f.sum(); err != nil || f.SHA256 != "" && f.SHA256 != sum {
		return errors.Join(sealed.ErrDamaged, err)
	}
	return nil
}

// explain is the reason for people.
func (l LeftOut) explain() string {
	why := "a faulty device, or forged: test the machine with assay-worker doctor"
	if forged(l.Wrong, l.Checked, l.Samples) {
		why = "forged: no faulty device errs so often"
	}
	return fmt.Sprintf("%d of %d leaves are wrong (%s); this log is not committed, everything else is", l.Wrong, l.Checked, why)
}

// ErrLeftOut reports a file on a left-out log that says something else than the evidence in it.
var ErrLeftOut = errors.New("host: the file says something else than its evidence")

// FileOf is the file that says nothing but what evidence shows, as found on verifying it.
func FileOf(e delivery.Evidence, found delivery.Finding) LeftOutFile {
	l := LeftOut{Epoch: e.Order.Epoch, Node: e.Order.Node, Segment: e.Order.Segment, Leaf: found.Leaf,
		Got: hex.EncodeToString(found.Got.Digest[:]), Want: hex.EncodeToString(found.Want.Digest[:]),
		Wrong: found.Wrong, Checked: found.Checked, Samples: int(e.Samples)}
	l.Reason = l.explain()
	return LeftOutFile{Version: LeftOutVersion, Shows: leftOutShows, LeftOut: l, Evidence: &e}
}

// Holds checks that a file says nothing but what the evidence in it shows. Errors wrap ErrLeftOut.
func (f LeftOutFile) Holds(found delivery.Finding) error {
	want := FileOf(*f.Evidence, found)
	want.Evidence = f.Evidence
	if f != want {
		return fmt.Errorf("%w: the evidence shows of epoch %d, node %s, segment %d, that %s", ErrLeftOut, want.Epoch, want.Node, want.Segment, want.Reason)
	}
	return nil
}

// LeftOutName names the file of one log.
func LeftOutName(key leaflog.Key) string {
	return fmt.Sprintf("left-out-epoch-%d-%s-segment-%d.json", key.Epoch, key.Node, key.Segment)
}

// file keeps what is known of a log that is left out. The host goes on without the file where it cannot be written, and
// then it has no evidence either.
func (h *Host) file(key leaflog.Key, l LeftOut, a *logAudit) LeftOutFile {
	f := LeftOutFile{Version: LeftOutVersion, Shows: leftOutHides, LeftOut: l}
	if a.evidence != nil {
		f = FileOf(*a.evidence, a.found)
	} else {
		f.Hidden = a.hidden.Error()
		var err error
		if f.SHA256, err = f.sum(); err != nil {
			h.log.Error("a file of evidence has no checksum", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "err", err)
		}
		h.log.Error("there is no evidence on a machine's leaves", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "err", a.hidden)
	}
	path := filepath.Join(h.o.Home, EvidenceName, LeftOutName(key))
	if err := f.save(path); err != nil {
		h.log.Error("the evidence could not be written", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "err", err)
		f.Evidence = nil
		return f
	}
	h.log.Info("evidence written", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "path", path)
	return f
}

func (f LeftOutFile) save(path string) error {
	raw, err := document.Write(f) // evidence has one spelling
	if err != nil {
		return err
	}
	return replaceFile(path, raw, 0o644)
}

// onFile finds what was written about a log. So one that is out stays out. What cannot be read is not believed: the log
// is audited again.
func (h *Host) onFile(ctx context.Context, key leaflog.Key) (f LeftOutFile, found bool) {
	path := filepath.Join(h.o.Home, EvidenceName, LeftOutName(key))
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, false
	}
	if err == nil {
		err = document.Parse(raw, &f, 2*delivery.MaxFileSize)
	}
	if err == nil && (f.Version != LeftOutVersion || f.Epoch != key.Epoch || f.Node != key.Node || f.Segment != key.Segment) {
		err = fmt.Errorf("it is %q of epoch %d, node %s, segment %d", f.Version, f.Epoch, f.Node, f.Segment)
	}
	if err == nil {
		err = f.whole(ctx, h.newJudge())
	}
	if err != nil {
		h.log.Error("a file of evidence is damaged; its log is audited again", "path", path, "err", err)
		return f, false
	}
	return f, true
}
