// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// errLeftOut: the log was left out before this host was restarted.
var errLeftOut = errors.New("left out")

// leftOutVersion is the only version of the file.
const leftOutVersion = "assay-left-out/1"

// leftOutShows is what the file is worth, said in it.
const leftOutShows = "Anyone can recompute the unit of this leaf from the seeds and see that `want` is right and `got` is not. " +
	"That the machine sent `got` is this host's word: what machines send is not signed, and this host has signed nothing either."

// LeftOutFile is the file on a log that was not committed because a leaf in it is wrong. Its name says which log.
type LeftOutFile struct {
	Version     string `json:"version"`
	Shows       string `json:"shows"` // for people
	Chain       string `json:"chain"`
	Participant string `json:"participant"`
	Class       string `json:"class"`
	Seed1       string `json:"seed1"`
	SegmentSeed string `json:"segment_seed"`
	// Key is the machine's, where it has an account with the pool.
	Key   string `json:"key,omitempty"`
	Count uint64 `json:"count"`
	// Root is the log's over all its leaves, and Path leads to it from the first wrong one, lowest hash first.
	Root string   `json:"root"`
	Path []string `json:"path"`
	LeftOut
}

// LeftOutName names the file of one log.
func LeftOutName(key leaflog.Key) string {
	return fmt.Sprintf("left-out-epoch-%d-%s-segment-%d.json", key.Epoch, key.Node, key.Segment)
}

// file keeps what is known of a log that is left out. The host goes on without the file where it cannot be written.
func (h *Host) file(l LeftOut, e sprintv1.Epoch, class transformer.Class, s sprintv1.Segment, log *leaflog.Log, size uint64) {
	f := LeftOutFile{Version: leftOutVersion, Shows: leftOutShows, Chain: h.config.Chain, Participant: h.config.Participant, Class: class.Name,
		Seed1: hex.EncodeToString(e.Seed1), SegmentSeed: hex.EncodeToString(s.Seed), Count: size, LeftOut: l}
	if d, ok := h.machine(l.Node); ok {
		f.Key = d.String()
	}
	path, err := h.saveLeftOut(f, log)
	if err != nil {
		h.log.Error("the evidence could not be written", "node", l.Node, "epoch", l.Epoch, "segment", l.Segment, "err", err)
		return
	}
	h.log.Info("evidence written", "node", l.Node, "epoch", l.Epoch, "segment", l.Segment, "path", path)
}

func (h *Host) saveLeftOut(f LeftOutFile, log *leaflog.Log) (path string, err error) {
	root, err := log.Root(f.Count)
	if err != nil {
		return "", err
	}
	hashes, err := commit.Inclusion(log, f.Leaf, f.Count)
	if err != nil {
		return "", err
	}
	f.Root, f.Path = hex.EncodeToString(root[:]), []string{}
	for _, hash := range hashes {
		f.Path = append(f.Path, hex.EncodeToString(hash[:]))
	}
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(h.o.Home, EvidenceName)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path = filepath.Join(dir, LeftOutName(log.Key()))
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o644); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}

// onFile finds what was written about a log. So one that is out stays out, also for a host that was restarted and would
// draw other leaves. What cannot be read is not believed: the log is audited again.
func (h *Host) onFile(key leaflog.Key) (l LeftOut, found bool) {
	path := filepath.Join(h.o.Home, EvidenceName, LeftOutName(key))
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, false
	}
	var f LeftOutFile
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil || f.Version != leftOutVersion || f.Epoch != key.Epoch || f.Node != key.Node || f.Segment != key.Segment {
		h.log.Error("a file of evidence is damaged", "path", path, "err", err)
		return l, false
	}
	return f.LeftOut, true
}
