// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/internal/sealed"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
)

const (
	// flushTime is how long an artefact waits for company before it is sent.
	flushTime = 250 * time.Millisecond
	// statusTime is how often the host hears of a worker on which nothing changes.
	statusTime = 10 * time.Second
	// statusPace is the least time between two statuses, for host and owner alike:
	// a state that came and went within it was nothing to tell.
	statusPace = 100 * time.Millisecond
	// helloTime bounds dialling, and the host's answer to Hello.
	helloTime = 20 * time.Second
	// patience is how long the last order is worked on without a host.
	patience = 2 * time.Minute

	pauseMin = 250 * time.Millisecond
	pauseMax = 30 * time.Second
	// takenOverPause keeps two machines with one key from taking turns at once.
	takenOverPause = 5 * time.Second
)

var limits = link.Limits{Message: workerv1.MaxMessage, Write: 10 * time.Second, Ping: 15 * time.Second}

// errHost is wrapped by everything that only a faulty host does.
var errHost = errors.New("protocol violation by the host")

// refused is the host's answer to a Hello it does not like.
type refused struct{ reason, next string }

func (r *refused) Error() string { return "refused by the host: " + r.reason }

// takenOver is what a host says on closing a connection whose key came again. It
// says so to people, too, so no more than this is looked for.
const takenOver = "took over"

// why says for people why there is no connection, and what to do. stranger tells
// whether it is because the host does not know the key: the refusal names it.
func (m *machine) why(err error) (reason, next string, stranger bool) {
	var r *refused
	switch {
	case errors.As(err, &r):
		return r.Error(), r.next, strings.Contains(r.reason, hex.EncodeToString(m.key.Public().(ed25519.PublicKey)))
	case errors.Is(err, link.ErrClosed) && strings.Contains(err.Error(), takenOver):
		return "another machine works with this machine's key, and the host went over to it",
			"stop one of them, or give each machine a --home, and with it a key, of its own", false
	case errors.Is(err, errHost):
		return err.Error(), "run the same version of assay on both machines", false
	case errors.Is(err, sealed.ErrDamaged): // the book says what to do
		return err.Error(), "", false
	}
	reason, next = link.Explain(err, m.address.HostPort)
	return reason, next, false
}

// dial keeps the worker connected until ctx ends.
func (m *machine) dial(ctx context.Context) error {
	pause := pauseMin
	met := false // the host was reached at least once
	seen := time.Now()
	since, tries, answered := time.Time{}, 0, false // alike: unanswered, or refused
	for {
		welcomed, err := m.connect(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if welcomed {
			met, pause, seen, tries = true, pauseMin, time.Now(), 0
		}
		reason, next, stranger := m.why(err)
		if errors.Is(err, link.ErrFingerprint) && !met {
			return link.Explained(err, m.address.HostPort)
		}
		if strings.Contains(err.Error(), takenOver) {
			pause = takenOverPause
		}
		m.mu.Lock()
		m.welcome, m.ledger.open = nil, false
		m.trouble, m.next, m.stranger = reason, next, stranger
		m.answered = errors.As(err, new(*refused))
		if !m.order.idle() && time.Since(seen) > patience {
			m.order, m.ends = &order{reason: "the host has been away for " + patience.String()}, ""
		}
		m.mu.Unlock()
		m.changed()
		m.config.Logger.Info("no connection", "host", m.address.HostPort, "reason", reason, "next", next)

		if m.answered != answered { // only this goroutine sets it
			answered, tries = m.answered, 0
		}
		if tries++; tries == 1 {
			since = time.Now()
		}
		length := pause/2 + rand.N(pause/2) // many workers must not come back at once
		if !stranger && worthSaying(tries, pause) {
			m.tell(event("connecting", again(reason, length, tries, since), "", next))
		}
		wait := time.NewTimer(length)
		select {
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		case <-wait.C:
		}
		pause = min(2*pause, pauseMax)
	}
}

// worthSaying tells whether the owner is told of another try after a pause: while
// pauses that can be noticed grow, and then less and less often.
func worthSaying(tries int, pause time.Duration) bool {
	return pause >= 2*time.Second && pause < pauseMax || tries >= 8 && tries&(tries-1) == 0
}

// again says why there is no connection, and that another try follows.
func again(reason string, length time.Duration, tries int, since time.Time) string {
	return fmt.Sprintf("%s; trying again in %v (%s time); since %s", reason, length.Round(time.Second), ordinal(tries+1), since.Format(time.TimeOnly))
}

// ordinal is 1st, 2nd, 3rd, 4th, 11th, 21st.
func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}

// connect makes one connection and serves it until it ends.
func (m *machine) connect(ctx context.Context) (welcomed bool, err error) {
	first, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	socket, err := link.Dial(first, m.address, workerv1.Path, m.key, limits)
	if err != nil {
		return false, err
	}
	defer socket.Abort()
	welcome, err := m.hello(first, socket)
	if err != nil {
		return false, err
	}
	host := mpoc.Key(socket.Host())
	signed, err := openBook(m.config.Home, welcome.Chain, welcome.Participant, welcome.Node, host)
	if err != nil {
		return false, fmt.Errorf("worker: %w", err)
	}
	m.mu.Lock()
	if signed.path != m.book.path { // or what is known is as good, and newer than a cut
		m.book = signed
	}
	m.welcome, m.host, m.trouble, m.next, m.answered, m.stranger = welcome, host, "", "", true, false
	m.jobs, m.results, m.prove, m.ready, m.told = nil, nil, false, nil, false
	m.ledger.open = false
	m.mu.Unlock()
	m.changed()
	m.config.Logger.Info("connected", "host", m.address.HostPort, "node", welcome.Node, "chain", welcome.Chain)
	return true, socket.Run(ctx, m.handle, (&outbox{machine: m, socket: socket}).write)
}

// hello introduces the worker and waits to be admitted.
func (m *machine) hello(ctx context.Context, socket *link.Socket) (*workerv1.Welcome, error) {
	m.mu.Lock()
	engines := m.engines()
	var devices []string
	for _, b := range m.live() {
		devices = append(devices, workerv1.Clip(b.describe(), workerv1.MaxDevice))
	}
	m.mu.Unlock()
	hello := &workerv1.Hello{
		Protocol:   workerv1.Protocol,
		Agent:      workerv1.Clip(m.config.Agent, 64),
		Engine:     workerv1.Clip(engines, 64),
		Devices:    devices[:min(len(devices), workerv1.MaxDevices)],
		SelfTestOk: true, // or the worker would not be here
		Key:        m.key.Public().(ed25519.PublicKey),
	}
	if err := send(ctx, socket, &workerv1.Envelope{Message: &workerv1.Envelope_Hello{Hello: hello}}); err != nil {
		return nil, err
	}
	message, err := socket.Receive(ctx)
	if err != nil {
		return nil, err
	}
	e, err := workerv1.FromHost(message)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHost, err)
	}
	switch a := e.Message.(type) {
	case *workerv1.Envelope_Welcome:
		return a.Welcome, nil
	case *workerv1.Envelope_Refuse:
		return nil, &refused{a.Refuse.Reason, a.Refuse.NextStep}
	}
	return nil, fmt.Errorf("%w: %T before Welcome", errHost, e.Message)
}

func send(ctx context.Context, socket *link.Socket, e *workerv1.Envelope) error {
	message, err := workerv1.Encode(e)
	if err != nil {
		return err
	}
	return socket.Send(ctx, message)
}

// handle takes one message of the host. An error closes the connection.
func (m *machine) handle(message []byte) error {
	e, err := workerv1.FromHost(message)
	if err != nil {
		return fmt.Errorf("%w: %w", errHost, err)
	}
	if ack := e.GetAck(); ack != nil {
		return m.acknowledged(ack)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.changed()
	switch h := e.Message.(type) {
	case *workerv1.Envelope_Idle:
		m.setOrder(&order{reason: h.Idle.Reason, until: h.Idle.Until}, 0, 0)
	case *workerv1.Envelope_Prepare:
		model, err := parseModel(h.Prepare.Class, h.Prepare.Seed1)
		if err != nil {
			return err
		}
		if m.told && m.order.epoch == h.Prepare.Epoch && m.order.model == model && m.order.segment == 0 {
			m.ends = h.Prepare.Until // and nothing else changes
			return nil
		}
		m.setOrder(&order{epoch: h.Prepare.Epoch, model: model, until: h.Prepare.Until}, 0, 0)
	case *workerv1.Envelope_Compute:
		o, err := computeOrder(h.Compute, m.welcome, m.host, mpoc.KeyOf(m.key))
		if err != nil {
			return err
		}
		if m.ledger.open && m.order.sameSegment(o) {
			m.ledger.stop, m.ends = h.Compute.Stop, h.Compute.Until // and nothing else changes
			return nil
		}
		if err := m.book.resumes(o.signed, h.Compute.First); err != nil {
			m.abstain(err)
			return nil
		}
		m.setOrder(o, h.Compute.First, h.Compute.Stop)
	case *workerv1.Envelope_Rerun:
		if len(m.jobs) >= workerv1.MaxReruns {
			return fmt.Errorf("%w: more than %d jobs at once", errHost, workerv1.MaxReruns)
		}
		model, err := parseModel(h.Rerun.Class, h.Rerun.Seed1)
		if err != nil {
			m.results = append(m.results, &workerv1.RerunResult{Job: h.Rerun.Job, Error: workerv1.Clip(err.Error(), workerv1.MaxText)})
			return nil
		}
		m.jobs = append(m.jobs, &job{rerun: h.Rerun, model: model, refused: make(map[*bench]error)})
	case *workerv1.Envelope_ProveNode:
		m.prove = true
	case *workerv1.Envelope_LeftOut:
		return m.leftOut(h.LeftOut)
	case *workerv1.Envelope_Refuse:
		return &refused{h.Refuse.Reason, h.Refuse.NextStep}
	default:
		return fmt.Errorf("%w: a second %T", errHost, h)
	}
	return nil
}

// acknowledged forgets what the host has, once it has the host's name for it. Only
// the reader, which calls it, drops or restarts the ledger; the arithmetic is done
// without the lock.
func (m *machine) acknowledged(a *workerv1.Ack) error {
	m.mu.Lock()
	o, over := m.order, m.order.segment != a.Segment || m.order.epoch != a.Epoch || !m.ledger.open
	base, sent := m.ledger.base, m.ledger.sent
	batch, found := m.book.endingAt(o.signed, a.Size)
	m.mu.Unlock()
	switch {
	case over:
		return nil // of a segment that is over
	case a.Size < base || a.Size > sent:
		return fmt.Errorf("%w: %d leaves acknowledged, between %d and %d are possible", errHost, a.Size, base, sent)
	case !found:
		return fmt.Errorf("%w: %d leaves acknowledged, where no batch ends", errHost, a.Size)
	}
	r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: o.signed, Batch: batch, HostSignature: mpoc.Signature(a.Signature)}
	r.DeviceSignature = r.Statement().Sign(m.key) // the same one again
	if err := r.VerifyHost(); err != nil {
		return fmt.Errorf("%w: the receipt for %d leaves: %w", errHost, a.Size, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.changed()
	if m.order != o {
		return nil
	}
	m.ledger.drop(a.Size)
	m.receipts.received(r)
	return nil
}

// leftOut keeps what the host holds against this machine, if the host can show it,
// for its owner to check. The caller holds mu.
func (m *machine) leftOut(l *workerv1.LeftOut) error {
	log := m.config.Logger.With("epoch", l.Epoch, "segment", l.Segment, "reason", l.Reason)
	if len(l.Evidence) == 0 {
		log.Error("the host left our leaves out, and shows nothing", "next", "ask its owner why")
		return nil
	}
	e, err := delivery.Parse(l.Evidence)
	if err != nil {
		return fmt.Errorf("%w: evidence: %w", errHost, err)
	}
	if e.Order.DeviceKey != mpoc.KeyOf(m.key) {
		return fmt.Errorf("%w: evidence about another machine", errHost)
	}
	if err := (delivery.Statement{Order: e.Order, Batch: e.Last.Batch}).Verify(e.Last.Signature); err != nil {
		return fmt.Errorf("%w: evidence about a log that this machine never made: %w", errHost, err)
	}
	path := m.receipts.accused(e)
	log.Error("the host left our leaves out, and shows wrong ones", "path", path, "next", "check it with assay verify, and the machine with assay-worker doctor")
	return nil
}

// abstain stops computing for an order whose leaves the machine would not sign. The
// host is told, and may have it do other things. The caller holds mu.
func (m *machine) abstain(why error) {
	m.config.Logger.Error("nothing is signed", "err", why)
	m.setOrder(&order{reason: why.Error()}, 0, 0)
	m.changed()
}

// setOrder replaces the order. The same segment again, after a reconnect, goes
// on without a break. Of a segment nonces first..stop-1 are wanted. The caller
// holds mu.
func (m *machine) setOrder(o *order, first, stop uint64) {
	m.ends = o.until
	if o.epoch != 0 && o.epoch != m.epoch {
		m.epoch = o.epoch
		for _, b := range m.benches {
			if b.pool != nil {
				b.pool.Begin(o.epoch)
			}
		}
	}
	if !m.order.sameSegment(o) {
		m.order, m.told = o, false
		m.ledger = ledger{}
		m.ready = nil
		for _, b := range m.benches {
			b.build, b.fault = progress{}, ""
		}
	}
	if o.segment != 0 {
		m.ledger.restart(first, stop)
	}
}

// outbox decides what the session sends next. It belongs to the writer.
type outbox struct {
	machine *machine
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
		case <-o.machine.sendWake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// sign puts the machine's name under the batch that next returned, without the
// lock, once it is in the book. Where the book forbids it the machine abstains: the
// error wraps errSigned.
func (o *outbox) sign(b *workerv1.Batch) error {
	s := delivery.Statement{Order: o.batchOf.signed, Batch: delivery.BatchOf(b.First, b.Records)}
	m := o.machine
	m.mu.Lock()
	again, err := m.book.check(s)
	if err != nil && m.order == o.batchOf {
		m.abstain(err)
	}
	m.mu.Unlock()
	if err != nil {
		return err
	}
	if !again {
		if err := m.book.write(s); err != nil {
			return fmt.Errorf("worker: what is signed must be kept first: %w", err)
		}
		m.mu.Lock()
		m.book.wrote(s)
		m.mu.Unlock()
	}
	sig := s.Sign(m.key)
	b.Signature = sig[:]
	return nil
}

// next returns a message, or how long there is certainly none unless the
// machine changes.
func (o *outbox) next(now time.Time) (*workerv1.Envelope, time.Duration) {
	m := o.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.prove {
		m.prove = false
		w := m.welcome
		statement := seed.Possession(w.Chain, "node/"+w.Node, w.Participant, m.key.Public().(ed25519.PublicKey))
		return &workerv1.Envelope{Message: &workerv1.Envelope_NodeProof{NodeProof: &workerv1.NodeProof{
			Signature: ed25519.Sign(m.key, statement[:]),
		}}}, 0
	}
	if r := m.ready; r != nil {
		m.ready = nil
		return &workerv1.Envelope{Message: &workerv1.Envelope_ModelReady{ModelReady: r}}, 0
	}
	if len(m.results) > 0 {
		r := m.results[0]
		m.results = m.results[1:]
		return &workerv1.Envelope{Message: &workerv1.Envelope_RerunResult{RerunResult: r}}, 0
	}
	wait := o.toldAt.Add(statusTime).Sub(now)
	if s := m.wireStatus(now); wait <= 0 || !sameStatus(s, o.told) {
		if wait = o.toldAt.Add(statusPace).Sub(now); wait <= 0 {
			o.told, o.toldAt = s, now
			return &workerv1.Envelope{Message: &workerv1.Envelope_Status{Status: s}}, 0
		}
	}
	if l := &m.ledger; l.open && m.order.segment != 0 && l.ready() > l.sent {
		due, most := o.flushed.Add(flushTime).Sub(now), uint64(workerv1.MaxBatch)
		if was, signed := m.book.at(m.order.signed, l.sent); signed {
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
			o.flushed, o.batchOf = now, m.order
			return &workerv1.Envelope{Message: &workerv1.Envelope_Batch{Batch: &workerv1.Batch{
				Epoch: m.order.epoch, Segment: m.order.segment, First: first, Records: records,
			}}}, 0
		}
		wait = min(wait, due)
	}
	return nil, wait
}

// sameStatus reports whether b need not follow a: only counters moved, or the
// build went on by less than a tenth.
func sameStatus(a, b *workerv1.Status) bool {
	return a != nil && b != nil && a.State == b.State && a.Reason == b.Reason && a.Until == b.Until &&
		a.Epoch == b.Epoch && a.Segment == b.Segment && tenths(a.BuildDone, a.BuildTotal) == tenths(b.BuildDone, b.BuildTotal)
}

func tenths(done, total uint64) uint64 {
	if total == 0 {
		return 0
	}
	return done / (total/10 + 1)
}
