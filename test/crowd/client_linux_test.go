// SPDX-License-Identifier: Apache-2.0

package crowd

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// crowdPlan is what a client process plays: machines From to From+N of a kind.
type crowdPlan struct {
	Host    address
	Kind    string
	From, N int
	Pool    bool          // idle ones: at the pool, not at the fleet
	Every   time.Duration // between two batches, or submissions, of a machine
	Loops   uint64        // of a submission
	Pace    time.Duration // that a submission takes at least
}

// window is what a client process saw since it was asked last.
type window struct {
	Took     map[string][]float64 // by step, milliseconds
	Done     int                  // batches acknowledged, submissions accepted
	Sent     uint64               // bytes of bodies of submissions
	Failures []string             // of honest machines: there should be none
	Acts     map[string]int       // of hostile ones, by kind
}

// diary collects a window. It is safe for concurrent use.
type diary struct {
	mu sync.Mutex
	w  window
}

func (d *diary) note(f func(*window)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.w.Took == nil {
		d.w = window{Took: map[string][]float64{}, Acts: map[string]int{}}
	}
	f(&d.w)
}

func (d *diary) took(step string, since time.Time) {
	ms := float64(time.Since(since).Microseconds()) / 1000
	d.note(func(w *window) { w.Took[step] = append(w.Took[step], ms) })
}

func (d *diary) failed(who string, err error) {
	d.note(func(w *window) { w.Failures = append(w.Failures, fmt.Sprintf("%s: %v", who, err)) })
}

// answer says that all have begun, and gives a window for each question until
// the test has no more.
func (d *diary) answer(to port) error {
	if err := to.out.Encode(true); err != nil {
		return err
	}
	for {
		var q struct{}
		if err := to.in.Decode(&q); err != nil {
			return err
		}
		var w window
		d.note(func(now *window) {
			w, *now = *now, window{Took: map[string][]float64{}, Acts: map[string]int{}}
		})
		if err := to.out.Encode(w); err != nil {
			return err
		}
	}
}

// machine is one client with a key and an address of its own.
type machine struct {
	name string
	key  ed25519.PrivateKey
	from net.IP
}

// kinds give each kind its own network.
var kinds = map[string]byte{"idle": 10, "batches": 11, "miners": 12, "hostile": 13}

func machineOf(kind string, i int) machine {
	return machine{fmt.Sprintf("%s-%d", kind, i), keyOf(kind, i),
		net.IPv4(127, kinds[kind], byte(i>>8), byte(i))}
}

// connect opens a TLS connection.
func (m machine) connect(ctx context.Context, to string) (net.Conn, error) {
	config, err := link.ClientTLS(m.key, link.FingerprintOf(hostKey.Public().(ed25519.PublicKey)))
	if err != nil {
		return nil, err
	}
	dialer := tls.Dialer{NetDialer: m.dialer(), Config: config}
	return dialer.DialContext(ctx, "tcp", to)
}

func (m machine) dialer() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: m.from}}
}

// client speaks HTTP over connections of the machine.
func (m machine) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, to string) (net.Conn, error) {
			return m.connect(ctx, to)
		},
	}}
}

// socket opens a WebSocket.
func (m machine) socket(ctx context.Context, to, path string) (*websocket.Conn, error) {
	c, _, err := websocket.Dial(ctx, "wss://"+to+path,
		&websocket.DialOptions{HTTPClient: m.client()})
	if err == nil {
		c.SetReadLimit(1 << 20)
	}
	return c, err
}

// member is a machine at the fleet.
type member struct {
	machine
	conn    *websocket.Conn
	welcome *workerv1.Welcome // once it was heard
}

func say(ctx context.Context, c *websocket.Conn, e *workerv1.Envelope) error {
	message, err := workerv1.Encode(e)
	if err != nil {
		return err
	}
	return c.Write(ctx, websocket.MessageBinary, message)
}

func (m *member) hear(ctx context.Context) (*workerv1.Envelope, error) {
	_, message, err := m.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	e, err := workerv1.FromHost(message)
	if w := e.GetWelcome(); w != nil {
		m.welcome = w
	}
	return e, err
}

// hand signs records and sends them, as the order's from leaf first on.
func (m *member) hand(ctx context.Context, c *workerv1.Compute, first uint64,
	records []byte) error {
	s := delivery.Statement{Order: delivery.Order{
		Chain: m.welcome.Chain, HostKey: signed.KeyOf(hostKey), DeviceKey: signed.KeyOf(m.key),
		Participant: m.welcome.Participant, Epoch: c.Epoch, Node: m.welcome.Node,
		Class: c.Class, Seed1: signed.Hash(c.Seed1), Segment: c.Segment,
		SegmentSeed: signed.Hash(c.SegmentSeed), Audit: signed.Hash(c.Audit),
	}, Batch: delivery.BatchOf(first, records)}
	sig := s.Sign(m.key)
	return say(ctx, m.conn,
		&workerv1.Envelope{Message: &workerv1.Envelope_Batch{Batch: &workerv1.Batch{
			Epoch: c.Epoch, Segment: c.Segment, First: first, Records: records, Signature: sig[:],
		}}})
}

// until hears what the host says, until it is what is waited for.
func (m *member) until(ctx context.Context,
	awaited func(*workerv1.Envelope) bool) (*workerv1.Envelope, error) {
	for {
		e, err := m.hear(ctx)
		if err != nil || awaited(e) {
			return e, err
		}
	}
}

// never does not come: who waits for it hears everything until the connection ends.
func never(*workerv1.Envelope) bool { return false }

// join connects and says Hello.
func (m machine) join(ctx context.Context, to string) (*member, error) {
	c, err := m.socket(ctx, to, workerv1.Path)
	if err != nil {
		return nil, err
	}
	hello := &workerv1.Hello{Protocol: workerv1.Protocol, Agent: "crowd", Engine: "none",
		SelfTestOk: true, Key: m.key.Public().(ed25519.PublicKey)}
	return &member{machine: m, conn: c},
		say(ctx, c, &workerv1.Envelope{Message: &workerv1.Envelope_Hello{Hello: hello}})
}

// idle connects machines and lets them wait for work.
func idle(ctx context.Context, to port) error {
	var plan crowdPlan
	if err := to.in.Decode(&plan); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var d diary
	var connecting sync.WaitGroup
	room := make(chan struct{}, 16)
	for i := range plan.N {
		room <- struct{}{}
		connecting.Go(func() {
			defer func() { <-room }()
			m := machineOf(plan.Kind, plan.From+i)
			begin := time.Now()
			wait, err := m.idle(ctx, plan)
			if err != nil {
				d.failed(m.name, err)
				return
			}
			d.took("connect", begin)
			go func() {
				if err := wait(); ctx.Err() == nil {
					d.failed(m.name, err)
				}
			}()
		})
	}
	connecting.Wait()
	return d.answer(to)
}

// idle connects one machine; wait returns why the connection ended.
func (m machine) idle(ctx context.Context, plan crowdPlan) (wait func() error, err error) {
	if plan.Pool {
		x, err := m.miner(ctx, plan.Host.Pool)
		if err != nil {
			return nil, err
		}
		return func() error { _, _, err := x.conn.Read(ctx); return err }, nil
	}
	w, err := m.join(ctx, plan.Host.Fleet)
	if err != nil {
		return nil, err
	}
	if _, err := w.until(ctx, func(e *workerv1.Envelope) bool {
		return e.GetIdle() != nil
	}); err != nil {
		return nil, err
	}
	return func() error { _, err := w.until(ctx, never); return err }, nil
}

// hired joins, waits for the host's first order to compute, and goes on with it.
func (m machine) hired(ctx context.Context, plan crowdPlan,
	run func(*member, *workerv1.Compute) error) error {
	w, err := m.join(ctx, plan.Host.Fleet)
	if err != nil {
		return err
	}
	defer w.conn.CloseNow()
	e, err := w.until(ctx, func(e *workerv1.Envelope) bool { return e.GetCompute() != nil })
	if err != nil {
		return err
	}
	return run(w, e.GetCompute())
}

// sendBatches plays honest members of the fleet.
func sendBatches(ctx context.Context, to port) error {
	return play(ctx, to, func(ctx context.Context, plan crowdPlan, m machine, d *diary,
		ready func()) error {
		return m.hired(ctx, plan, func(w *member, order *workerv1.Compute) error {
			ready()
			const records = 100
			for size := order.First; pause(ctx, plan.Every); {
				var packed []byte
				for i := range uint64(records) {
					digest := [32]byte{byte(size + i)}
					packed = record.Record{Norm: size + i, Digest: digest}.Append(packed)
				}
				begin := time.Now()
				if err := w.hand(ctx, order, size, packed); err != nil {
					return err
				}
				size += records
				if _, err := w.until(ctx, func(e *workerv1.Envelope) bool {
					return e.GetAck().GetSize() == size
				}); err != nil {
					return err
				}
				d.took("batch", begin)
				d.note(func(w *window) { w.Done++ })
			}
			return nil
		})
	})
}

// play runs honest machines until the test has no more questions. What one of
// them returns, or has to wait for after that, is a failure.
func play(ctx context.Context, to port, run func(context.Context, crowdPlan, machine, *diary,
	func()) error) error {
	var plan crowdPlan
	if err := to.in.Decode(&plan); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var d diary
	var running, starting sync.WaitGroup
	room := make(chan struct{}, 16)
	for i := range plan.N {
		m := machineOf(plan.Kind, plan.From+i)
		starting.Add(1)
		room <- struct{}{}
		ready := sync.OnceFunc(func() { <-room; starting.Done() })
		running.Go(func() {
			defer ready()
			if err := run(ctx, plan, m, &d, ready); err != nil && ctx.Err() == nil {
				d.failed(m.name, err)
			}
		})
	}
	starting.Wait()
	err := d.answer(to)
	cancel()
	running.Wait()
	return err
}

// pause waits about a time, half as long to one and a half as long, and tells
// whether the context still stands.
func pause(ctx context.Context, about time.Duration) bool {
	if about <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(about/2 + jitter(about))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// miner is a machine at the pool.
type miner struct {
	machine
	conn  *websocket.Conn
	id    uint64
	count uint64
	sent  uint64 // bytes of bodies
}

// miner connects to a pool's socket.
func (m machine) miner(ctx context.Context, to string) (*miner, error) {
	c, err := m.socket(ctx, to, mpocv1.PathSocket)
	if err != nil {
		return nil, err
	}
	return &miner{machine: m, conn: c}, nil
}

// ask sends a request and waits for its answer. A refusal is an *mpocv1.Error.
func ask[A any](ctx context.Context, m *miner, kind string, body any) (A, error) {
	var none A
	m.id++
	raw, err := json.Marshal(body)
	if err != nil {
		return none, err
	}
	m.sent += uint64(len(raw))
	message, err := json.Marshal(mpocv1.Frame{Type: kind, ID: m.id, Body: raw})
	if err != nil {
		return none, err
	}
	if err := m.conn.Write(ctx, websocket.MessageBinary, message); err != nil {
		return none, err
	}
	_, message, err = m.conn.Read(ctx)
	if err != nil {
		return none, err
	}
	frame, err := mpocv1.Decode[mpocv1.Frame](message)
	switch {
	case err != nil:
		return none, err
	case frame.ID != m.id:
		return none, fmt.Errorf("answer %d to request %d", frame.ID, m.id)
	case frame.Type == mpocv1.TypeError:
		refusal, err := mpocv1.Decode[mpocv1.Error](frame.Body)
		if err != nil {
			return none, err
		}
		return none, &refusal
	}
	return mpocv1.Decode[A](frame.Body)
}

func (m *miner) register(ctx context.Context) error {
	key := signed.KeyOf(m.key)
	n, err := ask[mpocv1.NonceAnswer](ctx, m, mpocv1.TypeNonce, mpocv1.NonceRequest{DeviceKey: key})
	if err != nil {
		return err
	}
	r := mpoc.Registration{
		Chain: n.Chain, HostKey: n.HostKey, DeviceKey: key, Nonce: n.Nonce,
		Agent: "crowd", Engine: "cpu",
		// the smallest shape
		Devices: []mpoc.Claimed{{ID: "cpu-0", Engine: "cpu", RateOps: 1e9}}, RateOps: 1e9,
	}
	_, err = ask[mpocv1.RegisterAnswer](ctx, m, mpocv1.TypeRegister,
		mpocv1.RegisterRequest{Registration: r, Signature: r.Sign(m.key)})
	return err
}

func (m *miner) challenge(ctx context.Context) (mpocv1.Challenge, error) {
	m.count++
	a := mpoc.Asking{HostKey: signed.KeyOf(hostKey), DeviceKey: signed.KeyOf(m.key),
		What: mpoc.AskChallenge, Time: uint64(time.Now().UnixMilli()), Count: m.count}
	c, err := ask[mpocv1.Challenge](ctx, m, mpocv1.TypeChallenge,
		mpocv1.ChallengeRequest{Asking: a, Signature: a.Sign(m.key)})
	if err == nil {
		err = c.Terms.Verify(c.HostSignature)
	}
	return c, err
}

// computed is a log with what its openings need.
type computed struct {
	mpoc.Log
	tree  commit.Log
	tiles [][][32]byte
}

// compute makes the log of a challenge with an engine. A nil engine is a
// forger's: it makes up every digest.
func compute(ctx context.Context, engine work.Engine, terms mpoc.Terms,
	loops uint64) (*computed, error) {
	shape := terms.Shape.Matmul()
	c := &computed{Log: mpoc.Log{Terms: terms}, tiles: make([][][32]byte, loops)}
	for i := range c.tiles {
		c.tiles[i] = make([][32]byte, shape.Tiles())
		if engine == nil {
			c.tiles[i][0] = [32]byte{byte(i), byte(i >> 8), 1}
		} else if err := engine.Tiles(ctx, c.tiles[i], seed.Seed(terms.Seed), shape,
			uint64(i)); err != nil {
			return nil, err
		}
		c.tree.Append(terms.LeafHash(uint64(i), matmul.Root(c.tiles[i])))
	}
	c.Commit = mpoc.Commit{Loops: loops, ComputeTime: mpoc.Seconds(terms.DurationMS),
		MerkleRoot: c.tree.Root()}
	return c, nil
}

// open answers the questions of a round.
func (c *computed) open(d mpoc.Draw, round uint32) (p mpoc.Proof, err error) {
	q := d.Questions(c.Log)
	p.Round = round
	if round == 0 {
		for _, index := range q.Samples() {
			s, err := c.OpenSample(&c.tree, index, matmul.Root(c.tiles[index]))
			if err != nil {
				return p, err
			}
			p.Samples = append(p.Samples, s)
		}
	}
	for _, pick := range q.Picks(round) {
		o, err := c.OpenTile(&c.tree, pick, c.tiles[pick.Index])
		if err != nil {
			return p, err
		}
		p.Tiles = append(p.Tiles, o)
	}
	return p, nil
}

// submit is one whole submission. It commits after pace at the earliest: a
// machine that looks fast is given larger loops, which take this machine's
// processors from the host.
func (m *miner) submit(ctx context.Context, engine work.Engine, loops uint64, pace time.Duration,
	d *diary) (mpoc.Outcome, error) {
	none := mpoc.Outcome{}
	begin := time.Now()
	terms, err := m.challenge(ctx)
	if err != nil {
		return none, err
	}
	d.took("challenge", begin)
	begin = time.Now()
	c, err := compute(ctx, engine, terms.Terms, loops)
	if err != nil {
		return none, err
	}
	d.took("(computing)", begin)
	until := time.NewTimer(time.Until(begin.Add(pace)))
	defer until.Stop()
	select {
	case <-until.C:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	begin = time.Now()
	drawn, err := m.commit(ctx, terms, c)
	if err != nil {
		return none, err
	}
	d.took("commit", begin)
	if err := drawn.Draw.Verify(c.Log); err != nil {
		return none, err
	}
	for round := uint32(0); ; round++ {
		p, err := c.open(drawn.Draw, round)
		if err != nil {
			return none, err
		}
		begin = time.Now()
		judged, err := m.prove(ctx, terms, c, drawn.Draw, p)
		if err != nil {
			return none, err
		}
		d.took("proof", begin)
		if judged.More != nil {
			continue
		}
		receipt := *judged.Receipt
		begin = time.Now()
		_, err = ask[mpocv1.ReceiptAnswer](ctx, m, mpocv1.TypeReceipt, mpocv1.ReceiptRequest{
			ChallengeID: terms.ChallengeID, Receipt: receipt.Digest(),
			DeviceSignature: receipt.Countersign(m.key),
		})
		if err != nil {
			return none, err
		}
		d.took("receipt", begin)
		return receipt.Outcome, nil
	}
}

func (m *miner) commit(ctx context.Context, t mpocv1.Challenge, c *computed) (mpocv1.CommitAnswer,
	error) {
	return ask[mpocv1.CommitAnswer](ctx, m, mpocv1.TypeCommit, mpocv1.CommitRequest{
		ChallengeID: t.ChallengeID, Token: t.Token, Seed: t.Seed, Commit: c.Commit,
		DeviceSignature: c.Sign(m.key),
	})
}

func (m *miner) prove(ctx context.Context, t mpocv1.Challenge, c *computed, d mpoc.Draw,
	p mpoc.Proof) (mpocv1.ProofAnswer, error) {
	return ask[mpocv1.ProofAnswer](ctx, m, mpocv1.TypeProof, mpocv1.ProofRequest{
		ChallengeID: t.ChallengeID, Token: t.Token, Seed: t.Seed, Commit: c.Commit,
		Round: p.Round, Samples: p.Samples, Tiles: p.Tiles,
		DeviceSignature: p.Sign(c.Log, d, m.key),
	})
}
