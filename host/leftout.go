// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/delivery"
)

// errLeftOut: the log was left out before this host was restarted.
var errLeftOut = errors.New("left out")

// LeftOutVersion is the only version of the file.
const LeftOutVersion = "assay-left-out/2"

// What a file is worth, said in it.
const (
	leftOutShows = "The machine signed these leaves, and they are not what their units give: assay verify checks it offline."
	leftOutHides = "This is the host's word: there is no evidence, for the reason given in `hidden`. It takes nothing from the machine."
)

// LeftOutFile is the file on a log that was not committed because a leaf in it is wrong. Its name says which log.
type LeftOutFile struct {
	Version string `json:"version"`
	Shows   string `json:"shows"` // for people
	LeftOut
	// Evidence is what anyone can check; where there is none, Hidden says why.
	Evidence *delivery.Evidence `json:"evidence,omitempty"`
	Hidden   string             `json:"hidden,omitempty"`
}

// LeftOutName names the file of one log.
func LeftOutName(key leaflog.Key) string {
	return fmt.Sprintf("left-out-epoch-%d-%s-segment-%d.json", key.Epoch, key.Node, key.Segment)
}

// file keeps what is known of a log that is left out. The host goes on without the file where it cannot be written, and
// then it has no evidence either.
func (h *Host) file(key leaflog.Key, l LeftOut, a *logAudit) LeftOutFile {
	f := LeftOutFile{Version: LeftOutVersion, Shows: leftOutShows, LeftOut: l, Evidence: a.evidence}
	if a.evidence == nil {
		f.Shows, f.Hidden = leftOutHides, a.hidden.Error()
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
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetEscapeHTML(false) // evidence has one spelling
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", raw.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// onFile finds what was written about a log. So one that is out stays out. What cannot be read is not believed: the log
// is audited again.
func (h *Host) onFile(key leaflog.Key) (f LeftOutFile, found bool) {
	path := filepath.Join(h.o.Home, EvidenceName, LeftOutName(key))
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, false
	}
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil || f.Version != LeftOutVersion || f.Epoch != key.Epoch || f.Node != key.Node || f.Segment != key.Segment {
		h.log.Error("a file of evidence is damaged", "path", path, "err", err)
		return f, false
	}
	return f, true
}
