// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/poc/evidence"
)

// KeepEvidence is how many files of evidence stay.
const KeepEvidence = 1000

// Evidence is the files on what the chain judged.
type Evidence struct {
	c       *Config
	done    map[uint64]bool // epochs whose evidence is written
	written map[string]bool // files that are, of the epoch in of
	of      uint64
}

// Done reports whether all evidence of an epoch is written.
func (ev *Evidence) Done(epoch uint64) bool { return ev.done[epoch] }

// forget deletes what is kept of epochs before one.
func (ev *Evidence) forget(before uint64) {
	for epoch := range ev.done {
		if epoch < before {
			delete(ev.done, epoch)
		}
	}
}

// Write stores, for every contested leaf that the chain judged in an epoch, a file that proves the
// judgement offline.
func (ev *Evidence) Write(ctx context.Context, e sprintv1.Epoch) error {
	if ev.done[e.Number] {
		return nil
	}
	contested, err := client.ContestedIn(ctx, ev.c.Court, e.Number)
	if err != nil {
		return fmt.Errorf("asking for the judgements of epoch %d: %w", e.Number, err)
	}
	var state *evidence.State
	if len(contested) > 0 {
		// the files hold without it, against a node
		if state, err = client.StateProof(ctx, ev.c.Conn, e.Number); err != nil {
			ev.c.Logger.Warn("evidence is written without a proof of the chain's state: assay "+
				"verify will need --node", "epoch", e.Number, "err", err)
		}
	}
	if len(ev.written) > 0 && ev.of != e.Number {
		clear(ev.written)
	}
	ev.of = e.Number
	all := true
	for _, j := range contested { // each file stands alone
		path := filepath.Join(ev.c.EvidenceDir, EvidenceFile(e.Number, j))
		if ev.written[path] {
			continue
		}
		what := board.Fault{Epoch: e.Number, What: "evidence on a leaf of " + j.Leaf.Participant,
			Node: j.Leaf.Node, Segment: j.Leaf.Segment}
		if !ev.c.Board.Attempt(what, func() error { return ev.one(ctx, e, j, state, path) }) {
			all = false // again at the next block
			continue
		}
		ev.written[path] = true
	}
	ev.done[e.Number] = all
	return nil
}

// one stores the evidence of one judgement.
func (ev *Evidence) one(ctx context.Context, e sprintv1.Epoch, j courtv1.Judgement,
	state *evidence.State, path string) error {
	f, err := client.Evidence(ctx, ev.c.Sprint, ev.c.Chain, e, j)
	if err != nil {
		return fmt.Errorf("evidence on leaf %d of node %s of %s: %w", j.Leaf.Nonce, j.Leaf.Node,
			j.Leaf.Participant, err)
	}
	f.State = state
	raw, err := f.Marshal()
	if err != nil {
		return err
	}
	if err := durable.Replace(path, raw, 0o644); err != nil {
		return err
	}
	ev.c.Logger.Info("evidence written", "epoch", e.Number, "participant", j.Leaf.Participant,
		"leaf", j.Leaf.Nonce, "path", path)
	return nil
}

// EvidenceFile names the file of one judgement.
func EvidenceFile(epoch uint64, j courtv1.Judgement) string {
	claim := evidence.Honest
	if j.Mismatch {
		claim = evidence.Forged
	}
	return fmt.Sprintf("epoch-%d-%s-%s-segment-%d-leaf-%d-%s.json", epoch, j.Leaf.Participant,
		j.Leaf.Node, j.Leaf.Segment, j.Leaf.Nonce, claim)
}

var epochInName = regexp.MustCompile(`epoch-(\d+)-`)

// Prune deletes the oldest epochs' files where there are too many.
func (ev *Evidence) Prune() error {
	dir := ev.c.EvidenceDir
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) <= KeepEvidence {
		return nil
	}
	type file struct {
		name  string
		epoch uint64
	}
	var files []file
	for _, e := range list {
		m := epochInName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		epoch, perr := strconv.ParseUint(m[1], 10, 64)
		if perr == nil {
			files = append(files, file{e.Name(), epoch})
		}
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.name, b.name))
	})
	errs := []error{err}
	for _, f := range files[:max(0, len(files)-KeepEvidence)] {
		errs = append(errs, os.Remove(filepath.Join(dir, f.name)))
	}
	return errors.Join(errs...)
}
