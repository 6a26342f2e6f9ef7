// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
)

// outbox decides what the session sends next. It belongs to the writer.
type outbox struct {
	session *session
	socket  *link.Socket
	flushed time.Time // when the last batch left
	batchOf *order    // the one that it belongs to
	told    *workerv1.Status
	toldAt  time.Time
}

func (o *outbox) write(ctx context.Context) error {
	for {
		e, wait := o.next(time.Now())
		if b := e.GetBatch(); b != nil {
			if err := o.sign(b); errors.Is(err, errSigned) {
				continue
			} else if err != nil {
				return err
			}
		}
		if e != nil {
			if err := send(ctx, o.socket, e); err != nil {
				return err
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return errors.New("the worker is stopping")
		case <-o.session.desk.sendWake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// sign puts the machine's name under the batch that next returned, without the
// lock, once it is in the journal. Where the journal forbids it the machine abstains: the
// error wraps errSigned.
func (o *outbox) sign(b *workerv1.Batch) error {
	s := delivery.Statement{Order: o.batchOf.signed, Batch: delivery.BatchOf(b.First, b.Records)}
	d := o.session.desk
	d.mu.Lock()
	again, err := o.session.journal.check(s)
	if err != nil && d.order == o.batchOf {
		d.abstain(err)
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if !again {
		if err := o.session.journal.write(s); err != nil {
			return fmt.Errorf("worker: what is signed must be kept first: %w", err)
		}
		d.mu.Lock()
		o.session.journal.wrote(s)
		d.mu.Unlock()
	}
	sig := s.Sign(o.session.key)
	b.Signature = sig[:]
	return nil
}

// next returns a message, or how long there is certainly none unless the
// machine changes.
func (o *outbox) next(now time.Time) (*workerv1.Envelope, time.Duration) {
	d := o.session.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.session.prove {
		o.session.prove = false
		w := o.session.welcome
		statement := seed.Possession(w.Chain, "node/"+w.Node, w.Participant,
			o.session.key.Public().(ed25519.PublicKey))
		return &workerv1.Envelope{
			Message: &workerv1.Envelope_NodeProof{NodeProof: &workerv1.NodeProof{
				Signature: ed25519.Sign(o.session.key, statement[:]),
			}}}, 0
	}
	if r := d.ready; r != nil {
		d.ready = nil
		return &workerv1.Envelope{Message: &workerv1.Envelope_ModelReady{ModelReady: r}}, 0
	}
	if len(d.results) > 0 {
		r := d.results[0]
		d.results = d.results[1:]
		return &workerv1.Envelope{Message: &workerv1.Envelope_RerunResult{RerunResult: r}}, 0
	}
	wait := o.toldAt.Add(statusTime).Sub(now)
	if s := o.session.status(now); wait <= 0 || !sameStatus(s, o.told) {
		if wait = o.toldAt.Add(statusPace).Sub(now); wait <= 0 {
			o.told, o.toldAt = s, now
			return &workerv1.Envelope{Message: &workerv1.Envelope_Status{Status: s}}, 0
		}
	}
	if l := &d.backlog; l.open && d.order.segment != 0 && l.ready() > l.sent {
		due, most := o.flushed.Add(flushTime).Sub(now), uint64(workerv1.MaxBatch)
		if was, signed := o.session.journal.at(d.order.signed, l.sent); signed {
			most = was.Count // as a whole, or it is another statement
			if due = 0; l.ready() < was.End() {
				due = statusTime // results wake, and orders
			}
		} else if l.full() {
			due = 0 // the host may want more once it has this
		}
		if l.ready()-l.sent >= most || due <= 0 {
			first, records := l.batch(most)
			l.sent += uint64(len(records) / record.Size)
			o.flushed, o.batchOf = now, d.order
			return &workerv1.Envelope{Message: &workerv1.Envelope_Batch{Batch: &workerv1.Batch{
				Epoch: d.order.Epoch, Segment: d.order.segment, First: first, Records: records,
			}}}, 0
		}
		wait = min(wait, due)
	}
	return nil, wait
}

// sameStatus reports whether b need not follow a: only counters moved, or the
// build went on by less than a tenth.
func sameStatus(a, b *workerv1.Status) bool {
	return a != nil && b != nil && a.State == b.State && a.Reason == b.Reason &&
		a.Until == b.Until &&
		a.Epoch == b.Epoch && a.Segment == b.Segment &&
		tenths(a.BuildDone, a.BuildTotal) == tenths(b.BuildDone, b.BuildTotal)
}

func tenths(done, total uint64) uint64 {
	if total == 0 {
		return 0
	}
	return done / (total/10 + 1)
}
