// SPDX-License-Identifier: Apache-2.0

package sprint

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
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
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

// Audits are those of a host's own logs.
type Audits struct {
	c              *Config
	logs           map[leaflog.Key]*logAudit
	own, strangers *auditor // of the logs of the owner's machines, and of the pool's
}

// Checked is how many leaves of a log its finished audit of this epoch has checked.
func (au *Audits) Checked(key leaflog.Key) int {
	if a := au.logs[key]; a != nil {
		<-a.done
		return a.checked
	}
	return 0
}

// Failed reports whether the finished audit of a log found it wrong: it stays out.
func (au *Audits) Failed(key leaflog.Key) bool {
	a := au.logs[key]
	if a == nil {
		return false
	}
	select {
	case <-a.done:
		return len(a.wrong) > 0 || errors.Is(a.err, errLeftOut)
	default:
		return false
	}
}

// logAudit is one log's audit. The rest is there once done is closed.
type logAudit struct {
	again   bool // an earlier one failed, and that was told; belongs to the host's loop
	done    chan struct{}
	checked int
	samples int // to be checked, of a log that has as many
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

// Clean reports whether a finished log may be committed: its audit found nothing
// wrong. One that fails begins again at every block. Where none is over as the
// window ends, a machine of the owner's is trusted and a stranger's is not: one
// unseen forged log can cost the host all its credit.
func (au *Audits) Clean(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse,
	class transformer.Class, log *leaflog.Log, s sprintv1.Segment, size uint64) bool {
	if au.c.Tamper != nil && au.c.Tamper.Blind {
		return true
	}
	e, key := now.Epoch, log.Key()
	stranger := au.c.Machines.Stranger(key.Node)
	a := au.logs[key]
	if a == nil {
		if f, found := au.OnFile(ctx, key); found { // from before a restart: it stays out
			a = &logAudit{done: make(chan struct{}),
				err: fmt.Errorf("%w: %s", errLeftOut, f.Reason)}
			close(a.done)
			au.logs[key] = a
			au.c.Board.Set(func(s *board.Status) {
				s.LeftOut = append(slices.Clone(s.LeftOut), f.LeftOut)
			})
			au.tell(key, f) // again, if a crash came between
			au.punish(key, f)
			return false
		}
		for old := range au.logs {
			if old.Epoch != e.Number {
				delete(au.logs, old)
			}
		}
		a = au.audit(ctx, g, e, class, log, s, size)
	}
	select {
	case <-a.done:
		switch {
		case len(a.wrong) > 0:
			au.leaveOut(key, a)
			return false
		case a.err == nil:
			return true
		case errors.Is(a.err, errLeftOut), ctx.Err() != nil:
			return false
		}
		if !a.again { // said once
			au.c.Logger.Error("a log could not be audited; trying again at every block", "node",
				key.Node, "epoch", key.Epoch, "segment", key.Segment, "err", a.err)
		}
		au.audit(ctx, g, e, class, log, s, size).again = true
	default:
	}
	if stranger || now.Height < s.CommitUntil-lastBlocks {
		return false
	}
	au.c.Logger.Warn("a log is committed before its audit is over, because its window ends", "node",
		key.Node, "segment", key.Segment)
	return true
}

// audit begins a log's audit.
func (au *Audits) audit(ctx context.Context, g *errgroup.Group, e sprintv1.Epoch,
	class transformer.Class, log *leaflog.Log, s sprintv1.Segment, size uint64) *logAudit {
	key := log.Key()
	a := &logAudit{done: make(chan struct{})}
	au.logs[key] = a
	by := au.own
	if au.c.Machines.Stranger(key.Node) {
		by = au.strangers // the owner's machines do not wait for theirs
	}
	order := Computing(e, class, s).Order(au.c.HostKey, au.c.Chain, au.c.Participant, key.Node,
		au.c.Machines.Key(key.Node))
	nonce := delivery.Nonce(au.c.HostKey, order)
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
func (a *logAudit) run(ctx context.Context, by *auditor, class transformer.Class, o delivery.Order,
	nonce signed.Hash, log *leaflog.Log, size uint64, samples uint32) {
	defer close(a.done)
	by.turn.Lock()
	defer by.turn.Unlock()
	last, err := log.Batch(size - 1)
	if err != nil {
		a.err = err
		return
	}
	end := delivery.Signed{Batch: delivery.BatchOf(last.First, last.Records),
		Signature: last.Signature}
	leaves := delivery.Questions(o, nonce, samples, end)
	claimed := make([]record.Record, len(leaves))
	for i, leaf := range leaves {
		body, err := log.Body(leaf)
		if err != nil {
			a.err = err
			return
		}
		claimed[i] = record.At(body, 0)
	}
	node := seed.Node(o.Chain, o.Participant, o.Node, class.Name)
	out, err := by.judge.Units(ctx, class, seed.Seed(o.Seed1), node, seed.Seed(o.SegmentSeed),
		leaves, claimed)
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
func (a *logAudit) show(ctx context.Context, by *auditor, o delivery.Order, nonce signed.Hash,
	samples uint32, end delivery.Signed, log *leaflog.Log) error {
	var found []delivery.Found
	for _, w := range a.wrong {
		b, err := log.Batch(w.leaf)
		if err != nil {
			return err
		}
		found = append(found, delivery.Found{Leaf: w.leaf, First: b.First, Records: b.Records,
			Signature: b.Signature})
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
func (au *Audits) leaveOut(key leaflog.Key, a *logAudit) {
	told := slices.ContainsFunc(au.c.Board.Get().LeftOut, func(l delivery.LeftOut) bool {
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
	au.c.Logger.Error("a machine's leaves are wrong", "node", key.Node, "epoch", key.Epoch,
		"segment", key.Segment, "leaf", l.Leaf, "reason", l.Reason)
	au.c.Board.Set(func(s *board.Status) { s.LeftOut = append(slices.Clone(s.LeftOut), l) })
	f := au.file(key, l, a)
	au.tell(key, f)
	au.punish(key, f)
}

// tell sends the machine what is held against it.
func (au *Audits) tell(key leaflog.Key, f delivery.LeftOutFile) {
	m := &workerv1.LeftOut{Epoch: key.Epoch, Segment: key.Segment,
		Reason: workerv1.Clip(f.Reason, workerv1.MaxText)}
	if f.Evidence != nil {
		var err error
		if m.Evidence, err = f.Evidence.Marshal(); err != nil {
			au.c.Logger.Error("evidence cannot be sent", "node", key.Node, "err", err)
		}
	}
	au.c.Workers.LeftOut(key.Node, m)
}

// punish strikes a machine of the pool that forged. Its locked pay is forfeited if
// that is on file for everyone to check.
func (au *Audits) punish(key leaflog.Key, f delivery.LeftOutFile) {
	if !f.Forged() {
		return
	}
	shown, reason := f.Evidence != nil && f.Evidence.Claim == delivery.Fraud, f.Reason
	if shown {
		reason += "; the host's file " + LeftOutName(key) + " shows it" // its owner may ask for it
	}
	au.c.Books.Strike(key, reason, shown)
}
