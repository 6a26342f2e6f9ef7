// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
)

const (
	// remembered is how many earlier segments a late batch may belong to.
	remembered = 8
	// A worker may send smallBurst messages at once that are not full batches or
	// results, and one every smallTime in the long run; an honest one sends a few
	// a second. Each small batch costs the disk all nodes share a flush.
	smallTime  = 20 * time.Millisecond
	smallBurst = 50
	// A node whose leaves could not be stored is tried again after againMin, and
	// after twice as long each time, up to againMax.
	againMin = time.Second
	againMax = time.Minute
)

// errProtocol is wrapped by everything that only a faulty worker does.
var errProtocol = errors.New("protocol violation")

// conn is one worker's connection. What it owes the worker lies in fields of
// fixed size, the latest value of each; wake tells the writer to look.
type conn struct {
	fleet  *Fleet
	node   string
	key    ed25519.PublicKey
	socket *link.Socket
	hello  *workerv1.Hello
	wake   chan struct{} // capacity 1
	// closed when the connection before this one stores no more; nil where none did
	before <-chan struct{}
	ended  context.Context
	stop   context.CancelCauseFunc // of ended

	mu     sync.Mutex
	closed bool       // nothing more is taken
	goal   Goal       // the last one aimed at
	share  *allowance // of goal's segment; nil where it is none
	want   bool       // goal is to be made an order
	order  *order     // nil from aim until the writer has drafted the next
	past   []segment  // orders that are over, the latest last
	ack    *ack       // owed
	news   *workerv1.LeftOut
	// storing is closed when the batch that is being written is on disk, or is not;
	// nil where none is. The disk is waited for without mu.
	storing chan struct{}
	tries   int // in a row in which leaves could not be stored

	idleFrom   time.Time     // smallTime after the last small message; owned by the reader
	proof      []byte        // owned by the reader until proved is closed
	proved     chan struct{} // closed when proof is there
	proveAsked bool          // somebody wants the proof
	proveSent  bool

	reported *workerv1.Status // nil until the first
	built    *Goal            // the order whose model is built
	loadMS   uint64
	accepted uint64
	late     uint64
	reruns   uint64
}

// ack is what is acknowledged next: the segment's leaves up to the end of the
// batch with this statement.
type ack struct {
	segment   segment
	size      uint64
	statement signed.Hash
}

func newConn(f *Fleet, node string, key ed25519.PublicKey, socket *link.Socket,
	hello *workerv1.Hello) *conn {
	c := &conn{
		fleet: f, node: node, key: key, socket: socket, hello: hello,
		wake: make(chan struct{}, 1), proved: make(chan struct{}),
	}
	c.ended, c.stop = context.WithCancelCause(context.Background())
	return c
}

// poke makes the writer look for something to send.
func (c *conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run serves the connection until it ends, and says why it did.
func (c *conn) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ended, func() { cancel(context.Cause(c.ended)) })()
	if trusted := c.fleet.config.Trusted; trusted == nil || trusted(c.node) {
		c.fleet.desk.join(c) // who has no seat is given no samples
	}
	return c.socket.Run(ctx, c.handle, c.write)
}

// end stops the connection. When it returns, nothing more is taken, and none is
// stored once the channel is closed, if there is one.
func (c *conn) end(why error) (storing <-chan struct{}) {
	c.mu.Lock()
	c.closed = true
	storing = c.storing
	c.mu.Unlock()
	c.stop(why)
	return storing
}

// aim puts the worker on a goal. When it returns, no leaf of an earlier one is
// taken, and none is stored once the channel is closed, if there is one. The order
// itself is drafted and sent by the writer, since it may have to read a long log
// first.
func (c *conn) aim(g Goal, share *allowance) (storing <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (c.want || c.order != nil) && c.goal.same(g) && c.share == share {
		if o := c.order; o != nil && o.goal.Until != g.Until {
			o.goal.Until, o.until = g.Until, true
			c.poke()
		}
		c.goal.Until = g.Until
		return nil
	}
	if c.share != nil {
		c.share.leave(c.node)
	}
	c.closeOrder()
	c.goal, c.share, c.want, c.order, c.ack = g, share, true, nil, nil
	c.poke()
	return c.storing
}

// closeOrder remembers the segment of the order that is over. The caller holds mu.
func (c *conn) closeOrder() {
	if c.order == nil || c.order.log == nil {
		return
	}
	s := segment{c.order.goal.Epoch, c.order.goal.Segment}
	c.past = append(slices.DeleteFunc(c.past, func(old segment) bool { return old == s }), s)
	if len(c.past) > remembered {
		c.past = c.past[1:]
	}
}

// block has the worker idle because its leaves could not be stored. The connection
// stays: the machine has other duties. The caller holds mu.
func (c *conn) block(o *order, err error) {
	o.allowance.leave(c.node)
	c.closeOrder()
	c.order = c.fleet.blocked(o.goal, c.node, err)
	c.tryAgain()
	c.poke()
}

// tryAgain has a blocked order drafted again after a while. The caller holds mu.
func (c *conn) tryAgain() {
	o := c.order
	if o.fault == nil || lasting(o.fault) {
		return
	}
	wait := min(againMin<<min(c.tries, 16), againMax)
	c.tries++
	time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.order == o && !c.closed {
			c.want, c.order = true, nil
			c.poke()
		}
	})
}

// refill grants the node more, where there is more than when it was asked last.
func (c *conn) refill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.order; o != nil && o.log != nil && !c.closed &&
		o.grant(o.allowance.grow(c.node, o.log.Size())) {
		c.poke()
	}
}

// quit gives back what the node was granted and has not stored, after end. It reports
// whether others may wait for it.
func (c *conn) quit() (wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.share != nil && c.share.leave(c.node)
}

// write sends what the worker is owed until ctx ends.
func (c *conn) write(ctx context.Context) error {
	for {
		e, owed := c.next()
		if owed != nil {
			e = c.acknowledge(owed)
		}
		if e == nil {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-c.wake:
				continue
			}
		}
		if err := c.fleet.send(ctx, c.socket, e); err != nil {
			return err
		}
	}
}

// acknowledge is the worker's receipt, signed without a lock. One stands for all
// batches that came while it was made.
func (c *conn) acknowledge(a *ack) *workerv1.Envelope {
	sig := delivery.Acknowledge(a.statement, c.fleet.config.HostKey)
	return &workerv1.Envelope{Message: &workerv1.Envelope_Ack{Ack: &workerv1.Ack{
		Epoch: a.segment.epoch, Segment: a.segment.number, Size: a.size, Signature: sig[:],
	}}}
}

// next picks what goes out next, a message or an acknowledgement; neither when
// nothing is owed.
func (c *conn) next() (*workerv1.Envelope, *ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.want && !c.closed {
		goal, share := c.goal, c.share
		c.mu.Unlock()
		if c.before != nil {
			<-c.before
		}
		order := c.fleet.draft(goal, share, c.node, c.key)
		c.mu.Lock()
		if c.want && !c.closed && c.goal.same(goal) && c.share == share {
			c.order, c.want = order, false
			order.begin(c.node)
			c.tryAgain()
		}
	}
	if c.order != nil {
		if e := c.order.next(c.fleet, c.node, c.ack == nil); e != nil {
			return e, nil
		}
	}
	switch {
	case c.proveAsked && !c.proveSent:
		c.proveSent = true
		return &workerv1.Envelope{
			Message: &workerv1.Envelope_ProveNode{ProveNode: &workerv1.ProveNode{}}}, nil
	case c.news != nil:
		news := c.news
		c.news = nil
		return &workerv1.Envelope{Message: &workerv1.Envelope_LeftOut{LeftOut: news}}, nil
	case c.ack != nil:
		owed := c.ack
		c.ack = nil
		return nil, owed
	}
	if job := c.fleet.desk.take(c); job != nil {
		return &workerv1.Envelope{Message: &workerv1.Envelope_Rerun{Rerun: job}}, nil
	}
	return nil, nil
}

// handle takes one message of the worker. An error closes the connection.
func (c *conn) handle(message []byte) error {
	e, err := workerv1.FromWorker(message)
	if err != nil {
		return fmt.Errorf("%w: %w", errProtocol, err)
	}
	if len(e.GetBatch().GetRecords()) < workerv1.MaxBatch*record.Size && e.GetRerunResult() == nil {
		c.throttle(time.Now())
	}
	switch m := e.Message.(type) {
	case *workerv1.Envelope_Batch:
		return c.batch(m.Batch)
	case *workerv1.Envelope_Status:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reported = m.Status
		return nil
	case *workerv1.Envelope_ModelReady:
		c.mu.Lock()
		defer c.mu.Unlock()
		// An answer to an order that is over has no meaning any longer.
		if o := c.order; o != nil && o.goal.Kind != Idle && o.goal.Epoch == m.ModelReady.Epoch {
			c.built, c.loadMS = &o.goal, m.ModelReady.LoadMs
		}
		return nil
	case *workerv1.Envelope_RerunResult:
		done, err := c.fleet.desk.result(c, m.RerunResult)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reruns += uint64(done)
		return err
	case *workerv1.Envelope_NodeProof:
		return c.takeProof(m.NodeProof.Signature)
	default: // a second Hello
		return fmt.Errorf("%w: %T after the first message", errProtocol, m)
	}
}

// throttle makes a worker that sends too many small messages wait for itself.
func (c *conn) throttle(now time.Time) {
	if earliest := now.Add(-smallBurst * smallTime); c.idleFrom.Before(earliest) {
		c.idleFrom = earliest
	}
	c.idleFrom = c.idleFrom.Add(smallTime)
	if wait := c.idleFrom.Sub(now); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.ended.Done():
		}
	}
}

// batch makes a batch durable and has it acknowledged.
func (c *conn) batch(b *workerv1.Batch) error {
	leaves := record.Count(b.Records)
	o, err := c.belongs(b, leaves)
	if o == nil {
		return err
	}
	// Nothing is kept that its machine did not sign: it could be held against
	// nobody. Others do not wait for the arithmetic.
	statement := delivery.Statement{Order: o.signed, Batch: delivery.BatchOf(b.First, b.Records)}
	if err := statement.Verify(signed.Signature(b.Signature)); err != nil {
		return fmt.Errorf("%w: leaves %d..%d of epoch %d segment %d: %w", errProtocol, b.First,
			statement.End()-1, b.Epoch, b.Segment, err)
	}
	owed := &ack{segment{b.Epoch, b.Segment}, statement.End(), statement.Digest()}

	stored, ok := c.storeNext(o, leaves)
	if !ok {
		return nil
	}
	before := o.log.Size()
	err = o.log.Append(b.First, b.Records, leaflog.Signature(b.Signature))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.storing = nil
	close(stored)
	switch {
	case errors.Is(err, leaflog.ErrOrder):
		return fmt.Errorf("%w: %w", errProtocol, err)
	case err != nil && c.order == o && !c.closed:
		c.block(o, err)
		return nil
	case err != nil:
		return nil // over, or about to be closed with a reason
	}
	c.tries = 0
	c.accepted += o.log.Size() - before
	if c.order != o || c.closed { // over meanwhile, and nobody waits for the acknowledgement
		o.allowance.know(c.node, o.log.Size())
		return nil
	}
	o.grant(o.allowance.grow(c.node, o.log.Size()))
	c.ack = owed
	c.poke()
	return nil
}

// storeNext announces that a batch is being written, unless its order is over.
func (c *conn) storeNext(o *order, leaves int) (stored chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, false // the connection is about to be closed with a reason
	case c.order != o: // over meanwhile
		c.late += uint64(leaves)
		return nil, false
	}
	c.storing = make(chan struct{})
	return c.storing, true
}

// belongs returns the order that a batch is for. There is none, and no error
// either, where it came too late.
func (c *conn) belongs(b *workerv1.Batch, leaves int) (*order, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil // the connection is about to be closed with a reason
	}
	o := c.order
	if o == nil || o.log == nil || o.goal.Epoch != b.Epoch || o.goal.Segment != b.Segment {
		for _, s := range c.past {
			if s == (segment{b.Epoch, b.Segment}) {
				c.late += uint64(leaves)
				return nil, nil
			}
		}
		return nil, fmt.Errorf("%w: leaves of epoch %d segment %d, which this worker was not "+
			"told to compute", errProtocol, b.Epoch, b.Segment)
	}
	if end := b.First + uint64(leaves); end > o.stop { // it knows its stop
		return nil, fmt.Errorf("%w: leaves %d..%d of epoch %d segment %d, beyond its stop at %d",
			errProtocol, b.First, end-1, b.Epoch, b.Segment, o.stop)
	}
	return o, nil
}

// tell has the worker told of a log that is left out; nil is no news.
func (c *conn) tell(m *workerv1.LeftOut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.news = m
	c.poke()
}

// prove asks for the node's proof; proof may be read once the channel is closed.
func (c *conn) prove() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proveAsked = true
	c.poke()
	return c.proved
}

func (c *conn) takeProof(signature []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.proveSent || c.proof != nil {
		return fmt.Errorf("%w: a node proof that nobody asked for", errProtocol)
	}
	statement := seed.Possession(c.fleet.config.Chain, "node/"+c.node,
		c.fleet.config.Participant, c.key)
	if !signed.Verify(c.key, statement[:], signature) {
		return fmt.Errorf("%w: the node proof does not verify", errProtocol)
	}
	c.proof = signature
	close(c.proved)
	return nil
}

func (c *conn) builtFor(epoch uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.built != nil && c.built.Epoch == epoch
}

func (c *conn) status() WorkerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := WorkerStatus{
		Node: c.node, Key: hex.EncodeToString(c.key), Connected: true,
		Agent: c.hello.Agent, Engine: c.hello.Engine, Devices: c.hello.Devices,
		Epoch: c.goal.Epoch, Segment: c.goal.Segment, LoadMS: c.loadMS,
		Accepted: c.accepted, Late: c.late, Reruns: c.reruns,
		State: "idle", Reason: c.goal.Reason, Until: c.goal.Until,
	}
	if c.order != nil {
		s.Reason, s.Until = c.order.goal.Reason, c.order.goal.Until
		if c.order.log != nil {
			s.Size, s.Granted = c.order.log.Size(), c.order.stop
			if c.order.spent() {
				s.Reason = c.order.goal.Spent
			}
		}
		if c.order.fault != nil {
			s.Fault = workerv1.Clip(c.order.fault.Error(), workerv1.MaxText)
		}
	}
	if r := c.reported; r != nil {
		s.State = strings.ToLower(strings.TrimPrefix(r.State.String(), "STATE_"))
		s.Rate1m = r.Rate_1MMilli
		if r.Reason != "" {
			s.Reason = r.Reason
		}
	}
	if s.Reason == "" && s.State == "idle" {
		s.Reason = "the worker has not taken up its order yet"
	}
	return s
}
