// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Before a host commits to a node's log it audits it as the chain will: as many
// leaves, drawn uniformly. A log with a wrong leaf is left out. So a machine that
// forges costs its host this machine's leaves, and not the credit of all its
// machines, nor its collateral.
//
// The draw is one that neither side chose (package delivery), so what is found can
// be shown: a forger's locked pay is forfeited, on evidence. What a faulty device
// explains costs the log and nothing else.

// logAudit is one log's audit. The rest is there once done is closed.
type logAudit struct {
	again   bool // an earlier one failed, and that was told; belongs to the host's loop
	done    chan struct{}
	checked int
	samples int // to be looked at, of a log that has as many
	wrong   []mismatch
	err     error
	// evidence is about wrong, and holds; hidden says why there is none.
	evidence *delivery.Evidence
	found    delivery.Finding // what the evidence shows
	hidden   error
}

type mismatch struct {
	leaf      uint64
	got, want [32]byte // digests
}

// lastBlocks is how long before its window's end a log is committed with what was
// checked by then.
const lastBlocks = 2

// clean tells whether a finished log may be committed: its audit found nothing
// wrong. One that fails begins again at every block. Where none is over as the
// window ends, a machine of the owner's is trusted and a stranger's is not: one
// unseen forged log can cost the host all its credit.
func (h *Host) clean(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse, class transformer.Class, log *leaflog.Log, s sprintv1.Segment, size uint64) bool {
	if h.o.Tamper != nil && h.o.Tamper.Blind {
		return true
	}
	e, key := now.Epoch, log.Key()
	stranger := h.machines.Stranger(key.Node)
	a := h.logs[key]
	if a == nil {
		if f, found := h.onFile(ctx, key); found { // from before a restart: it stays out
			a = &logAudit{done: make(chan struct{}), err: fmt.Errorf("%w: %s", errLeftOut, f.Reason)}
			close(a.done)
			h.logs[key] = a
			h.board.Set(func(s *Status) { s.LeftOut = append(slices.Clone(s.LeftOut), f.LeftOut) })
			h.tell(key, f) // again, if a crash came between
			h.punish(key, f)
			return false
		}
		for old := range h.logs {
			if old.Epoch != e.Number {
				delete(h.logs, old)
			}
		}
		a = h.audit(ctx, g, e, class, log, s, size)
	}
	select {
	case <-a.done:
		switch {
		case len(a.wrong) > 0:
			h.leaveOut(key, a)
			return false
		case a.err == nil:
			return true
		case errors.Is(a.err, errLeftOut), ctx.Err() != nil:
			return false
		}
		if !a.again { // said once
			h.log.Error("a log could not be audited; trying again at every block", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "err", a.err)
		}
		h.audit(ctx, g, e, class, log, s, size).again = true
	default:
	}
	if stranger || now.Height < s.CommitUntil-lastBlocks {
		return false
	}
	h.log.Warn("a log is committed before its audit is over, because its window ends", "node", key.Node, "segment", key.Segment)
	return true
}

// audit begins a log's audit.
func (h *Host) audit(ctx context.Context, g *errgroup.Group, e sprintv1.Epoch, class transformer.Class, log *leaflog.Log, s sprintv1.Segment, size uint64) *logAudit {
	key := log.Key()
	a := &logAudit{done: make(chan struct{})}
	h.logs[key] = a
	by := &h.own
	if h.machines.Stranger(key.Node) {
		by = &h.strangers // the owner's machines do not wait for theirs
	}
	order := computing(e, class, s).Order(h.o.HostKey, h.config.Chain, h.config.Participant, key.Node, h.machines.Key(key.Node))
	nonce := delivery.Nonce(h.o.HostKey, order)
	g.Go(func() error {
		a.run(ctx, by, class, order, nonce, log, size, e.Params.Samples)
		return nil
	})
	return a
}

// auditor audits logs one after the other.
type auditor struct {
	turn  sync.Mutex
	judge *work.Judge // guarded by turn
}

// run audits the first size leaves of a log, as order has announced.
func (a *logAudit) run(ctx context.Context, by *auditor, class transformer.Class, o delivery.Order, nonce mpoc.Hash, log *leaflog.Log, size uint64, samples uint32) {
	defer close(a.done)
	by.turn.Lock()
	defer by.turn.Unlock()
	last, err := log.Batch(size - 1)
	if err != nil {
		a.err = err
		return
	}
	end := delivery.Signed{Batch: delivery.BatchOf(last.First, last.Records), Signature: last.Signature}
	leaves := delivery.Questions(o, nonce, samples, end)
	claimed := make([]record.Record, len(leaves))
	for i, leaf := range leaves {
		r, err := log.Record(leaf)
		if err != nil {
			a.err = err
			return
		}
		claimed[i] = r
	}
	node := seed.Node(o.Chain, o.Participant, o.Node, class.Name)
	out, err := by.judge.Units(ctx, class, seed.Seed(o.Seed1), node, seed.Seed(o.SegmentSeed), leaves, claimed)
	if err != nil {
		a.err = err
		return
	}
	a.checked, a.samples = len(leaves), int(samples)
	for i, o := range out {
		if o.Norm != claimed[i].Norm || o.Digest != claimed[i].Digest {
			a.wrong = append(a.wrong, mismatch{leaves[i], claimed[i].Digest, o.Digest})
		}
	}
	if len(a.wrong) > 0 {
		a.hidden = a.show(ctx, by, o, nonce, samples, end, log)
	}
}

// show makes evidence of what is wrong, and checks it as anyone would. A log that a
// machine had under another key gives none.
func (a *logAudit) show(ctx context.Context, by *auditor, o delivery.Order, nonce mpoc.Hash, samples uint32, end delivery.Signed, log *leaflog.Log) error {
	var found []delivery.Found
	for _, w := range a.wrong {
		b, err := log.Batch(w.leaf)
		if err != nil {
			return err
		}
		found = append(found, delivery.Found{Leaf: w.leaf, First: b.First, Records: b.Records, Signature: b.Signature})
	}
	e, err := delivery.Accuse(o, nonce, samples, end, found, "left out before the host committed")
	if err == nil {
		a.found, err = e.Verify(ctx, by.judge)
	}
	if err == nil {
		a.evidence = &e
	}
	return err
}

// leaveOut says, once, that a log is not committed, puts it on file, and punishes
// a machine of the pool whose leaves no faulty hardware explains.
func (h *Host) leaveOut(key leaflog.Key, a *logAudit) {
	told := slices.ContainsFunc(h.board.Get().LeftOut, func(l delivery.LeftOut) bool {
		return l.Epoch == key.Epoch && l.Node == key.Node && l.Segment == key.Segment
	})
	if told {
		return
	}
	first := a.wrong[0]
	l := delivery.LeftOut{
		Epoch: key.Epoch, Node: key.Node, Segment: key.Segment, Leaf: first.leaf,
		Got: hex.EncodeToString(first.got[:]), Want: hex.EncodeToString(first.want[:]),
		Wrong: len(a.wrong), Checked: a.checked, Samples: a.samples,
	}
	l.Reason = l.Explain()
	h.log.Error("a machine's leaves are wrong", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "leaf", l.Leaf, "reason", l.Reason)
	h.board.Set(func(s *Status) { s.LeftOut = append(slices.Clone(s.LeftOut), l) })
	f := h.file(key, l, a)
	h.tell(key, f)
	h.punish(key, f)
}

// tell sends the machine what is held against it.
func (h *Host) tell(key leaflog.Key, f delivery.LeftOutFile) {
	m := &workerv1.LeftOut{Epoch: key.Epoch, Segment: key.Segment, Reason: workerv1.Clip(f.Reason, workerv1.MaxText)}
	if f.Evidence != nil {
		var err error
		if m.Evidence, err = f.Evidence.Marshal(); err != nil {
			h.log.Error("evidence cannot be sent", "node", key.Node, "err", err)
		}
	}
	h.fleet.LeftOut(key.Node, m)
}

// punish strikes a machine of the pool that forged. Its locked pay is forfeited if
// that is on file for everyone to check.
func (h *Host) punish(key leaflog.Key, f delivery.LeftOutFile) {
	if !f.Forged() {
		return
	}
	shown, reason := f.Evidence != nil && f.Evidence.Claim == delivery.Fraud, f.Reason
	if shown {
		reason += "; the host's file " + LeftOutName(key) + " shows it" // its owner may ask for it
	}
	h.books.Strike(key, reason, shown)
}
