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
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/worker/runner"
)

const (
	// flushTime is how long a record waits for company before it is sent.
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

var limits = link.Limits{Message: workerv1.MaxMessage, Write: 10 * time.Second,
	Ping: 15 * time.Second}

// session is this worker's connection to its host, one after another. What others look at belongs
// to desk.mu.
type session struct {
	config   Config
	address  link.Address
	key      ed25519.PrivateKey
	desk     *desk
	receipts *receipts // of the host's
	tell     func(Event)
	status   func(time.Time) *workerv1.Status // its caller holds desk.mu

	// of what was signed for the node that the host's welcome named last
	journal *journal
	welcome *workerv1.Welcome // nil while not connected
	host    signed.Key        // the one that welcomed
	prove   bool              // the host asked for the node's proof

	answered bool   // the host did when it was dialled last, be it with a refusal
	stranger bool   // it does not know this machine's key
	trouble  string // why there is no connection
	next     string // what the owner can do about it
}

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
func (s *session) why(err error) (reason, next string, stranger bool) {
	var r *refused
	switch {
	case errors.As(err, &r):
		return r.Error(), r.next,
			strings.Contains(r.reason, hex.EncodeToString(s.key.Public().(ed25519.PublicKey)))
	case errors.Is(err, link.ErrClosed) && strings.Contains(err.Error(), takenOver):
		return "another machine connected with this machine's key and replaced this one",
			"stop one of them, or give each machine a --home, and with it a key, of its own", false
	case errors.Is(err, errHost):
		return err.Error(), "run the same version of assay on both machines", false
	case errors.Is(err, sealed.ErrDamaged): // the journal says what to do
		return err.Error(), "", false
	}
	reason, next = link.Explain(err, s.address.HostPort)
	return reason, next, false
}

// dial keeps the worker connected until ctx ends.
func (s *session) dial(ctx context.Context) error {
	d := s.desk
	pause := pauseMin
	met := false // the host was reached at least once
	seen := time.Now()
	since, tries, answered := time.Time{}, 0, false // alike: unanswered, or refused
	for {
		welcomed, err := s.connect(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if welcomed {
			met, pause, seen, tries = true, pauseMin, time.Now(), 0
		}
		reason, next, stranger := s.why(err)
		if errors.Is(err, link.ErrFingerprint) && !met {
			return link.Explained(err, s.address.HostPort)
		}
		if strings.Contains(err.Error(), takenOver) {
			pause = takenOverPause
		}
		d.mu.Lock()
		s.welcome, d.backlog.open = nil, false
		s.trouble, s.next, s.stranger = reason, next, stranger
		s.answered = errors.As(err, new(*refused))
		if !d.order.idle() && time.Since(seen) > patience {
			d.order, d.ends = &order{reason: "the host has been away for " + patience.String()}, ""
		}
		d.mu.Unlock()
		d.changed()
		s.config.Logger.Info("no connection", "host", s.address.HostPort, "reason",
			reason, "next", next)

		if s.answered != answered { // only this goroutine sets it
			answered, tries = s.answered, 0
		}
		if tries++; tries == 1 {
			since = time.Now()
		}
		length := pause/2 + rand.N(pause/2) // many workers must not come back at once
		if !stranger && worthSaying(tries, pause) {
			s.tell(event("connecting", again(reason, length, tries, since), "", next))
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

// worthSaying reports whether the owner is told of another try after a pause: while
// pauses that can be noticed grow, and then less and less often.
func worthSaying(tries int, pause time.Duration) bool {
	return pause >= 2*time.Second && pause < pauseMax || tries >= 8 && tries&(tries-1) == 0
}

// again says why there is no connection, and that another try follows.
func again(reason string, length time.Duration, tries int, since time.Time) string {
	return fmt.Sprintf("%s; trying again in %v (%s time); since %s", reason,
		length.Round(time.Second), ordinal(tries+1), since.Format(time.TimeOnly))
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
func (s *session) connect(ctx context.Context) (welcomed bool, err error) {
	d := s.desk
	first, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	socket, err := link.Dial(first, s.address, workerv1.Path, s.key, limits)
	if err != nil {
		return false, err
	}
	defer socket.Abort()
	welcome, err := s.hello(first, socket)
	if err != nil {
		return false, err
	}
	host := signed.Key(socket.Host())
	signed, err := openJournal(s.config.Home, welcome.Chain, welcome.Participant,
		welcome.Node, host)
	if err != nil {
		return false, fmt.Errorf("worker: %w", err)
	}
	d.mu.Lock()
	if signed.path != s.journal.path { // or what is known is as good, and newer than a cut
		s.journal = signed
	}
	s.welcome, s.host, s.trouble, s.next, s.answered, s.stranger = welcome,
		host, "", "", true, false
	d.jobs, d.results, s.prove, d.ready, d.told = nil, nil, false, nil, false
	d.backlog.open = false
	d.mu.Unlock()
	d.changed()
	s.config.Logger.Info("connected", "host", s.address.HostPort, "node", welcome.Node,
		"chain", welcome.Chain)
	return true, socket.Run(ctx, s.handle, (&outbox{session: s, socket: socket}).write)
}

// hello introduces the worker and waits to be admitted.
func (s *session) hello(ctx context.Context, socket *link.Socket) (*workerv1.Welcome, error) {
	d := s.desk
	d.mu.Lock()
	engines := d.engines()
	var devices []string
	for _, b := range d.live() {
		devices = append(devices, workerv1.Clip(b.Describe(), workerv1.MaxDevice))
	}
	d.mu.Unlock()
	hello := &workerv1.Hello{
		Protocol:   workerv1.Protocol,
		Agent:      workerv1.Clip(s.config.Agent, 64),
		Engine:     workerv1.Clip(engines, 64),
		Devices:    devices[:min(len(devices), workerv1.MaxDevices)],
		SelfTestOk: true, // or the worker would not be here
		Key:        s.key.Public().(ed25519.PublicKey),
	}
	if err := send(ctx, socket,
		&workerv1.Envelope{Message: &workerv1.Envelope_Hello{Hello: hello}}); err != nil {
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
func (s *session) handle(message []byte) error {
	e, err := workerv1.FromHost(message)
	if err != nil {
		return fmt.Errorf("%w: %w", errHost, err)
	}
	if ack := e.GetAck(); ack != nil {
		return s.acknowledged(ack)
	}
	d := s.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.changed()
	switch h := e.Message.(type) {
	case *workerv1.Envelope_Idle:
		d.setOrder(&order{reason: h.Idle.Reason, until: h.Idle.Until}, 0, 0)
	case *workerv1.Envelope_Prepare:
		model, err := parseModel(h.Prepare.Class, h.Prepare.Seed1)
		if err != nil {
			return err
		}
		if d.told && d.order.Epoch == h.Prepare.Epoch && d.order.Model == model &&
			d.order.segment == 0 {
			d.ends = h.Prepare.Until // and nothing else changes
			return nil
		}
		d.setOrder(&order{Need: runner.Need{Model: model, Epoch: h.Prepare.Epoch},
			until: h.Prepare.Until}, 0, 0)
	case *workerv1.Envelope_Compute:
		o, err := computeOrder(h.Compute, s.welcome, s.host, signed.KeyOf(s.key))
		if err != nil {
			return err
		}
		if d.backlog.open && d.order.sameSegment(o) {
			d.backlog.stop, d.ends = h.Compute.Stop, h.Compute.Until // and nothing else changes
			return nil
		}
		if err := s.journal.resumes(o.signed, h.Compute.First); err != nil {
			d.abstain(err)
			return nil
		}
		d.setOrder(o, h.Compute.First, h.Compute.Stop)
	case *workerv1.Envelope_Rerun:
		if len(d.jobs) >= workerv1.MaxReruns {
			return fmt.Errorf("%w: more than %d jobs at once", errHost, workerv1.MaxReruns)
		}
		model, err := parseModel(h.Rerun.Class, h.Rerun.Seed1)
		if err != nil {
			d.results = append(d.results,
				&workerv1.RerunResult{Job: h.Rerun.Job,
					Error: workerv1.Clip(err.Error(), workerv1.MaxText)})
			return nil
		}
		d.jobs = append(d.jobs, &job{rerun: h.Rerun, need: runner.Need{Model: model},
			refused: make(map[*place]error)})
	case *workerv1.Envelope_ProveNode:
		s.prove = true
	case *workerv1.Envelope_LeftOut:
		return s.leftOut(h.LeftOut)
	case *workerv1.Envelope_Refuse:
		return &refused{h.Refuse.Reason, h.Refuse.NextStep}
	default:
		return fmt.Errorf("%w: a second %T", errHost, h)
	}
	return nil
}

// acknowledged forgets what the host has, once it has the host's name for it. Only
// the reader, which calls it, drops or restarts the backlog; the arithmetic is done
// without the lock.
func (s *session) acknowledged(a *workerv1.Ack) error {
	d := s.desk
	d.mu.Lock()
	o, over := d.order, d.order.segment != a.Segment || d.order.Epoch != a.Epoch || !d.backlog.open
	base, sent := d.backlog.base, d.backlog.sent
	batch, found := s.journal.endingAt(o.signed, a.Size)
	d.mu.Unlock()
	switch {
	case over:
		return nil // of a segment that is over
	case a.Size < base || a.Size > sent:
		return fmt.Errorf("%w: %d leaves acknowledged, between %d and %d are possible",
			errHost, a.Size, base, sent)
	case !found:
		return fmt.Errorf("%w: %d leaves acknowledged, where no batch ends", errHost, a.Size)
	}
	r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: o.signed, Batch: batch,
		HostSignature: signed.Signature(a.Signature)}
	r.DeviceSignature = r.Statement().Sign(s.key) // the same one again
	if err := r.VerifyHost(); err != nil {
		return fmt.Errorf("%w: the receipt for %d leaves: %w", errHost, a.Size, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.changed()
	if d.order != o {
		return nil
	}
	d.backlog.drop(a.Size)
	s.receipts.received(r)
	return nil
}

// leftOut keeps what the host holds against this machine, if the host can show it,
// for its owner to check. The caller holds mu.
func (s *session) leftOut(l *workerv1.LeftOut) error {
	log := s.config.Logger.With("epoch", l.Epoch, "segment", l.Segment, "reason", l.Reason)
	if len(l.Evidence) == 0 {
		log.Error("the host left our leaves out, and shows nothing", "next", "ask its owner why")
		return nil
	}
	e, err := delivery.Parse(l.Evidence)
	if err != nil {
		return fmt.Errorf("%w: evidence: %w", errHost, err)
	}
	if e.Order.DeviceKey != signed.KeyOf(s.key) {
		return fmt.Errorf("%w: evidence about another machine", errHost)
	}
	if err := (delivery.Statement{Order: e.Order,
		Batch: e.Last.Batch}).Verify(e.Last.Signature); err != nil {
		return fmt.Errorf("%w: evidence about a log that this machine never made: %w", errHost, err)
	}
	path := s.receipts.accused(e)
	log.Error("the host left our leaves out, and shows wrong ones", "path", path, "next",
		"check it with assay verify, and the machine with assay-worker doctor")
	return nil
}

// waits adds to a reason why nothing more of the segment is computed, where the host
// wants no more of it so far. The caller holds desk.mu.
func (s *session) waits(reason string) string {
	l := &s.desk.backlog
	was, signed := s.journal.at(s.desk.order.signed, l.sent)
	why := ""
	switch {
	case l.sent >= l.stop:
		why = fmt.Sprintf("waits for the host: the %d units that it asked for so far are computed",
			l.stop)
	case l.full() && signed && was.End() > l.stop:
		why = fmt.Sprintf("waits for the host: units %d to %d were signed as one batch, and it "+
			"asked for none from %d on", was.First, was.End()-1, l.stop)
	default:
		return reason
	}
	if reason != "" {
		why = reason + "; " + why
	}
	return why
}
