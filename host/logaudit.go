// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Before a host commits to a node's log it audits it as the chain will: as many
// leaves, drawn uniformly, by its own randomness. A log with a wrong leaf is left
// out. So a machine that forges costs its host this machine's leaves, and not the
// credit of all its machines, nor its collateral.

// logAudit is one log's audit. done is closed when the rest is there; until then
// so says how far it is.
type logAudit struct {
	done chan struct{}

	mu      sync.Mutex
	checked int
	wrong   []mismatch
	err     error
}

type mismatch struct {
	leaf      uint64
	got, want transformer.Output // Middle is not in a log
}

// so is what was found up to now.
func (a *logAudit) so() (checked int, wrong []mismatch, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checked, slices.Clone(a.wrong), a.err
}

// lastBlocks is how long before its window's end a log is committed with what was
// checked by then.
const lastBlocks = 2

// clean tells whether a finished log may be committed: its audit found nothing
// wrong, or found nothing wrong so far and the window is about to end.
func (h *Host) clean(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse, class transformer.Class, log *leaflog.Log, s sprintv1.Segment, size uint64) bool {
	if h.o.Tamper != nil && h.o.Tamper.Blind {
		return true
	}
	e, key := now.Epoch, log.Key()
	a := h.logs[key]
	if a == nil {
		for old := range h.logs {
			if old.Epoch != e.Number {
				delete(h.logs, old)
			}
		}
		a = &logAudit{done: make(chan struct{})}
		h.logs[key] = a
		nodeSeed := seed.Node(h.config.Chain, h.config.Participant, key.Node, class.Name)
		g.Go(func() error {
			a.run(ctx, &h.auditing, h.auditor, class, toSeed(e.Seed1), nodeSeed, toSeed(s.Seed), log, size, int(e.Params.Samples))
			return nil
		})
	}
	over := false
	select {
	case <-a.done:
		over = true
	default:
	}
	checked, wrong, err := a.so()
	switch {
	case len(wrong) > 0 && over:
		h.leaveOut(now, key, checked, wrong)
		return false
	case len(wrong) > 0:
		return false
	case over && err != nil && ctx.Err() == nil:
		h.log.Error("a log could not be audited; it is committed as it is", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "err", err)
		return true
	case !over && now.Height < s.CommitUntil-lastBlocks:
		return false
	case !over:
		h.log.Warn("a log is committed before its audit is over, because its window ends", "node", key.Node, "segment", key.Segment, "checked", checked)
	}
	return true
}

// run audits a log. Audits take turns: the judge has one goroutine.
func (a *logAudit) run(ctx context.Context, turn *sync.Mutex, judge *work.Judge, class transformer.Class, seed1, node, segment seed.Seed, log *leaflog.Log, size uint64, n int) {
	defer close(a.done)
	turn.Lock()
	defer turn.Unlock()
	var fresh seed.Seed
	_, _ = rand.Read(fresh[:]) // never fails
	for _, leaf := range audit.Draw(fresh, size, n) {
		r, err := log.Record(leaf)
		var out transformer.Output
		if err == nil {
			out, err = judge.Unit(ctx, class, seed1, node, segment, leaf, work.Claim{Norm: r.Norm, Digest: r.Digest})
		}
		a.mu.Lock()
		a.checked++
		if err != nil {
			a.err = err
		} else if out.Norm != r.Norm || out.Digest != r.Digest {
			a.wrong = append(a.wrong, mismatch{leaf, transformer.Output{Norm: r.Norm, Digest: r.Digest}, out})
		}
		a.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// leaveOut says, once, that a log is not committed. A machine of the pool whose
// leaves no faulty hardware explains loses its locked pay and gets a strike.
func (h *Host) leaveOut(now sprintv1.QueryCurrentResponse, key leaflog.Key, checked int, wrong []mismatch) {
	told := slices.ContainsFunc(h.board.get().LeftOut, func(l LeftOut) bool {
		return l.Epoch == key.Epoch && l.Node == key.Node && l.Segment == key.Segment
	})
	if told {
		return
	}
	fraud := audit.Flaky().Decide(uint64(checked), uint64(len(wrong))) == audit.Fraud
	why := "a faulty device, or forged: test the machine with assay-worker doctor"
	if fraud {
		why = "forged: no faulty device errs so often"
	}
	first := wrong[0]
	l := LeftOut{
		Epoch: key.Epoch, Node: key.Node, Segment: key.Segment, Leaf: first.leaf,
		Got: hex.EncodeToString(first.got.Digest[:]), Want: hex.EncodeToString(first.want.Digest[:]),
		Wrong: len(wrong), Checked: checked,
		Reason: fmt.Sprintf("%d of %d leaves are wrong (%s); this log is not committed, everything else is", len(wrong), checked, why),
	}
	h.log.Error("a machine's leaves are wrong", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "leaf", l.Leaf, "reason", l.Reason)
	h.board.set(func(s *Status) { s.LeftOut = append(slices.Clone(s.LeftOut), l) })
	if fraud {
		h.strike(key, l.Reason)
	}
}
