// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
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

// logAudit is one log's audit. The rest is there once done is closed.
type logAudit struct {
	done    chan struct{}
	checked int
	wrong   []mismatch
	err     error
}

type mismatch struct {
	leaf      uint64
	got, want [32]byte // digests
}

// lastBlocks is how long before its window's end a log is committed with what was
// checked by then.
const lastBlocks = 2

// clean tells whether a finished log may be committed: its audit found nothing
// wrong. Where it is not over as the window ends, or could not be done, a machine
// of the owner's is trusted and a stranger's is not: one unseen forged log can
// cost the host all its credit.
func (h *Host) clean(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse, class transformer.Class, log *leaflog.Log, s sprintv1.Segment, size uint64) bool {
	if h.o.Tamper != nil && h.o.Tamper.Blind {
		return true
	}
	e, key := now.Epoch, log.Key()
	stranger := h.stranger(key.Node)
	a := h.logs[key]
	if a == nil {
		if l, found := h.onFile(key); found { // from before a restart: it stays out
			a = &logAudit{done: make(chan struct{}), err: fmt.Errorf("%w: %s", errLeftOut, l.Reason)}
			close(a.done)
			h.logs[key] = a
			h.board.set(func(s *Status) { s.LeftOut = append(slices.Clone(s.LeftOut), l) })
			return false
		}
		for old := range h.logs {
			if old.Epoch != e.Number {
				delete(h.logs, old)
			}
		}
		a = &logAudit{done: make(chan struct{})}
		h.logs[key] = a
		by := &h.own
		if stranger {
			by = &h.strangers // the owner's machines do not wait for theirs
		}
		nodeSeed := seed.Node(h.config.Chain, h.config.Participant, key.Node, class.Name)
		g.Go(func() error {
			a.run(ctx, by, class, toSeed(e.Seed1), nodeSeed, toSeed(s.Seed), log, size, int(e.Params.Samples))
			return nil
		})
	}
	select {
	case <-a.done:
		switch {
		case len(a.wrong) > 0:
			if l, fresh := h.leaveOut(key, a); fresh {
				h.file(l, e, class, s, log, size)
			}
			return false
		case errors.Is(a.err, errLeftOut):
			return false
		case a.err != nil && ctx.Err() == nil:
			h.log.Error("a log could not be audited", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "committed", !stranger, "err", a.err)
			return !stranger
		}
		return a.err == nil
	default:
	}
	if stranger || now.Height < s.CommitUntil-lastBlocks {
		return false
	}
	h.log.Warn("a log is committed before its audit is over, because its window ends", "node", key.Node, "segment", key.Segment)
	return true
}

// auditor audits logs one after the other.
type auditor struct {
	turn  sync.Mutex
	judge *work.Judge // guarded by turn
}

// run audits a log.
func (a *logAudit) run(ctx context.Context, by *auditor, class transformer.Class, seed1, node, segment seed.Seed, log *leaflog.Log, size uint64, n int) {
	defer close(a.done)
	by.turn.Lock()
	defer by.turn.Unlock()
	var fresh seed.Seed
	_, _ = rand.Read(fresh[:]) // never fails
	leaves := audit.Draw(fresh, size, n)
	claimed := make([]work.Claim, len(leaves))
	for i, leaf := range leaves {
		r, err := log.Record(leaf)
		if err != nil {
			a.err = err
			return
		}
		claimed[i] = work.Claim{Norm: r.Norm, Digest: r.Digest}
	}
	out, err := by.judge.Units(ctx, class, seed1, node, segment, leaves, claimed)
	if err != nil {
		a.err = err
		return
	}
	a.checked = len(leaves)
	for i, o := range out {
		if o.Norm != claimed[i].Norm || o.Digest != claimed[i].Digest {
			a.wrong = append(a.wrong, mismatch{leaves[i], claimed[i].Digest, o.Digest})
		}
	}
}

// leaveOut says, once, that a log is not committed. A machine of the pool whose
// leaves no faulty hardware explains gets a strike.
func (h *Host) leaveOut(key leaflog.Key, a *logAudit) (l LeftOut, fresh bool) {
	checked, wrong := a.checked, a.wrong
	told := slices.ContainsFunc(h.board.get().LeftOut, func(l LeftOut) bool {
		return l.Epoch == key.Epoch && l.Node == key.Node && l.Segment == key.Segment
	})
	if told {
		return l, false
	}
	fraud := audit.Flaky().Decide(uint64(checked), uint64(len(wrong))) == audit.Fraud
	why := "a faulty device, or forged: test the machine with assay-worker doctor"
	if fraud {
		why = "forged: no faulty device errs so often"
	}
	first := wrong[0]
	l = LeftOut{
		Epoch: key.Epoch, Node: key.Node, Segment: key.Segment, Leaf: first.leaf,
		Got: hex.EncodeToString(first.got[:]), Want: hex.EncodeToString(first.want[:]),
		Wrong: len(wrong), Checked: checked,
		Reason: fmt.Sprintf("%d of %d leaves are wrong (%s); this log is not committed, everything else is", len(wrong), checked, why),
	}
	h.log.Error("a machine's leaves are wrong", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "leaf", l.Leaf, "reason", l.Reason)
	h.board.set(func(s *Status) { s.LeftOut = append(slices.Clone(s.LeftOut), l) })
	if fraud {
		h.strike(key, l.Reason)
	}
	return l, true
}
