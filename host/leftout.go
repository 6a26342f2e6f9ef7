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
	"time"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/logaudit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// leftOutVersion is the only version of the file.
const leftOutVersion = "assay-left-out/1"

// leftOutShows is what the file is worth, said in it.
const leftOutShows = "Anyone can recompute the unit of this leaf from the seeds and see that `want` is right and `got` is not. " +
	"That the worker sent `got` is this host's word: what workers send is not signed, and this host has signed nothing either."

// LeftOut is the file on a log that was not committed because a leaf in it is wrong.
type LeftOut struct {
	Version     string `json:"version"`
	Shows       string `json:"shows"` // for people
	Chain       string `json:"chain"`
	Participant string `json:"participant"`
	Class       string `json:"class"`
	Seed1       string `json:"seed1"`
	SegmentSeed string `json:"segment_seed"`
	// Key is the device's, where it has an account with the pool.
	Key string `json:"key,omitempty"`
	// Root is the log's over all its leaves, and Path leads to it from the first wrong one, lowest hash first.
	Root string   `json:"root"`
	Path []string `json:"path"`
	logaudit.Result
}

// LeftOutFile names the file of one log.
func LeftOutFile(key leaflog.Key) string {
	return fmt.Sprintf("left-out-epoch-%d-%s-segment-%d.json", key.Epoch, key.Node, key.Segment)
}

// audited tells whether a log of a segment that is over may be committed now. It never waits: the audit runs beside
// the loop.
func (h *Host) audited(now sprintv1.QueryCurrentResponse, class transformer.Class, s sprintv1.Segment, log *leaflog.Log, count uint64) (bool, error) {
	if t := h.o.Tamper; t != nil && t.Unaudited {
		return true, nil
	}
	key := log.Key()
	if !h.audits.Known(key) {
		if old, found, err := h.loadLeftOut(key); err != nil {
			return false, err
		} else if found {
			h.audits.Restore(old)
		}
	}
	r := h.audits.Look(logaudit.Log{Key: key, Leaves: log, Count: count, Class: class, Seed1: toSeed(now.Epoch.Seed1),
		Seed: seed.Node(h.config.Chain, h.config.Participant, key.Node, class.Name), Segment: toSeed(s.Seed),
		Samples: int(now.Epoch.Params.Samples), Until: s.CommitUntil})
	if r.State == logaudit.Running && now.Height >= max(s.End+1, s.CommitUntil-marginBlocks) {
		r = h.audits.Stop(key)
		h.log.Warn("no time to audit all drawn leaves of a log", "epoch", key.Epoch, "node", key.Node, "segment", key.Segment, "reason", r.Reason)
	}
	switch r.State {
	case logaudit.Clean:
		return true, nil
	case logaudit.Partial: // of a stranger's log, something must have been seen
		return r.Checked > 0 || h.trusted(key.Node), nil
	}
	return false, nil
}

// leftOut ends the story of a log with a wrong leaf: it is put on file, and a machine that forged is penalised.
func (h *Host) leftOut(l logaudit.Log, r logaudit.Result) {
	h.log.Warn("a log is not committed: its worker sent a wrong leaf", "epoch", r.Epoch, "node", r.Node, "segment", r.Segment, "leaf", r.First.Nonce,
		"got", r.First.Got.Digest, "want", r.First.Want.Digest, "decision", r.Decision, "reason", r.Reason)
	key, found, err := h.device(r.Node)
	if err != nil {
		h.log.Error("the ledger does not answer", "node", r.Node, "err", err)
	}
	if found && r.Fraud() {
		reason := fmt.Sprintf("epoch %d, node %s, segment %d: %s", r.Epoch, r.Node, r.Segment, r.Reason)
		if _, err := h.guests.ledger.Forfeit(key, ledger.Leaves, source(r.Epoch, r.Segment), reason, true, time.Now()); err != nil {
			h.log.Error("a machine's pay could not be forfeited", "node", r.Node, "key", key.String(), "err", err)
		}
	}
	f := LeftOut{Version: leftOutVersion, Shows: leftOutShows, Chain: h.config.Chain, Participant: h.config.Participant, Class: l.Class.Name,
		Seed1: l.Seed1.String(), SegmentSeed: l.Segment.String(), Result: r}
	if found {
		f.Key = key.String()
	}
	path, err := h.saveLeftOut(f, l.Leaves)
	if err != nil {
		h.log.Error("the evidence could not be written", "node", r.Node, "err", err)
		return
	}
	h.log.Info("evidence written", "epoch", r.Epoch, "node", r.Node, "segment", r.Segment, "path", path)
}

func (h *Host) saveLeftOut(f LeftOut, log *leaflog.Log) (path string, err error) {
	root, err := log.Root(f.Count)
	if err != nil {
		return "", err
	}
	hashes, err := commit.Inclusion(log, f.First.Nonce, f.Count)
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
	path = filepath.Join(dir, LeftOutFile(f.Result.Key()))
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o644); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}

// loadLeftOut finds what is on file about a log. So one that is out stays out, also for a host that was restarted and
// would draw other leaves.
func (h *Host) loadLeftOut(key leaflog.Key) (r logaudit.Result, found bool, err error) {
	path := filepath.Join(h.o.Home, EvidenceName, LeftOutFile(key))
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	} else if err != nil {
		return r, false, err
	}
	var f LeftOut
	if err := json.Unmarshal(raw, &f); err != nil || f.Result.Key() != key || f.State != logaudit.Out {
		return r, false, fmt.Errorf("%s is damaged; remove it, and the log is audited again", path)
	}
	return f.Result, true, nil
}
