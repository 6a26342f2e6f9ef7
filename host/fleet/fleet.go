// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/gate"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/commit"
)

const (
	// lobby bounds the connections of strangers that are being refused at a time.
	// Known keys never wait behind them.
	lobby = 64
	// helloTime is how long a connection may take to say who it is.
	helloTime = 10 * time.Second
	// poolTime is how long a request to the pool may take in all; that of its body
	// is the pool's own.
	poolTime = 3 * time.Minute
	// diskTime is how long SetGoal waits for what is being written.
	diskTime = 2 * time.Second
)

var limits = link.Limits{Message: workerv1.MaxMessage, Write: 10 * time.Second, Ping: 15 * time.Second}

var (
	// ErrConfig reports a fleet that cannot be made.
	ErrConfig = errors.New("fleet: configuration")
	// ErrGoal reports a goal that makes no sense.
	ErrGoal = errors.New("fleet: goal")
	// ErrRerun reports samples that could not be run again.
	ErrRerun = errors.New("fleet: rerun")

	errStopping = errors.New("the host is stopping; reconnect later")
	errRevoked  = errors.New("the host's owner took this key off the list")
	errReplaced = errors.New("another connection of this node took over")
)

// Config says who the host is and whom it admits.
type Config struct {
	HostKey ed25519.PrivateKey
	// Listen is the address to listen on, host:port; port 0 takes a free one.
	Listen string
	// Advertise is the host:port that workers dial, where it is not the listening
	// address (behind a router). Optional.
	Advertise   string
	Chain       string // chain id
	Participant string // the host's account
	// Allow names the node of a device key, or refuses it. It is called for every
	// connection and must be quick, safe for concurrent use, and not call the fleet.
	Allow func(key ed25519.PublicKey) (node string, ok bool)
	// Trusted tells whose results count in the host's own name: other nodes get no
	// samples to run again, because one wrong middle digest would convict the host.
	// Nil trusts all. It is called as Allow is.
	Trusted func(node string) bool
	Logs    *leaflog.Store
	// Pool answers what comes below /mpoc/, of known keys and of strangers. Optional.
	Pool   http.Handler
	Logger *slog.Logger // optional
}

// Fleet is all workers of one host. Lock order: Fleet.mu, conn.mu, then desk.mu or
// allowance.mu.
type Fleet struct {
	config   Config
	log      *slog.Logger
	listener net.Listener
	url      string
	lobby    chan struct{} // holds one token per stranger
	desk     *desk

	mu       sync.Mutex
	stopping bool
	serving  sync.WaitGroup // handlers; Add only under mu while not stopping
	goal     Goal
	others   Goal            // of nodes that goal is not for
	chosen   map[string]bool // those it is for; nil is all
	share    *allowance      // of goal's segment; nil where it is none
	halt     string          // why the chain stands still; empty while it goes on
	nodes    map[string]*node
	unknown  map[string]bool
}

// node outlives its connections.
type node struct {
	conn    *conn // nil while not connected
	last    WorkerStatus
	leftOut *workerv1.LeftOut // the latest, told on each connection
}

// keepNodes is how many nodes are remembered, those that are connected besides.
const keepNodes = 1000

// forget drops nodes that are not connected when there are many: what is known of
// them is for the status. The caller holds f.mu.
func (f *Fleet) forget() {
	for name, n := range f.nodes {
		if len(f.nodes) < keepNodes {
			return
		}
		if n.conn == nil {
			delete(f.nodes, name)
		}
	}
}

// New listens. The caller runs [Fleet.Run] next, which closes the listener.
func New(c Config) (*Fleet, error) {
	switch {
	case len(c.HostKey) != ed25519.PrivateKeySize:
		return nil, fmt.Errorf("%w: no host key", ErrConfig)
	case c.Chain == "" || c.Participant == "" || c.Allow == nil || c.Logs == nil:
		return nil, fmt.Errorf("%w: chain, participant, allow-list and logs are needed", ErrConfig)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("fleet: listen for workers: %w", err)
	}
	at := c.Advertise
	if at == "" {
		addr := listener.Addr().(*net.TCPAddr)
		if addr.IP.IsUnspecified() {
			addr.IP = outward()
		}
		at = addr.String()
		if addr.IP.IsLoopback() {
			c.Logger.Warn("the address for workers is one of this machine only: for machines elsewhere set listen, or advertise, in host.toml", "address", at)
		}
	}
	address := link.Address{HostPort: at, Fingerprint: link.FingerprintOf(c.HostKey.Public().(ed25519.PublicKey))}
	return &Fleet{
		config:   c,
		log:      c.Logger,
		listener: gate.Listen(listener),
		url:      address.String(),
		lobby:    make(chan struct{}, lobby),
		desk:     newDesk(),
		goal:     Goal{Kind: Idle, Reason: "the host has not said what to do yet"},
		nodes:    map[string]*node{},
		unknown:  map[string]bool{},
	}, nil
}

// outward is the address of this machine from which it would reach others: that of the interface with the route out. It
// is the loopback's where there is none. Nothing is sent.
func outward() net.IP {
	for _, elsewhere := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} { // addresses of nobody, RFC 5737 and RFC 3849
		c, err := net.Dial("udp", elsewhere)
		if err != nil {
			continue
		}
		ip := c.LocalAddr().(*net.UDPAddr).IP
		c.Close()
		return ip
	}
	return net.IPv4(127, 0, 0, 1)
}

// URL is what a worker is started with: assay://host:port#fingerprint.
func (f *Fleet) URL() string { return f.url }

// Run serves the workers until ctx ends, which is no error.
func (f *Fleet) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tls, err := link.ServerTLS(f.config.HostKey)
	if err != nil {
		f.listener.Close()
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+workerv1.Path, func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		if f.stopping {
			f.mu.Unlock()
			http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
			return
		}
		f.serving.Add(1)
		f.mu.Unlock()
		f.serve(ctx, w, r, f.serving.Done)
	})
	if f.config.Pool != nil {
		mux.HandleFunc("/mpoc/", func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			if f.stopping {
				f.mu.Unlock()
				http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
				return
			}
			f.serving.Add(1) // what the pool needs to answer is closed after Run
			f.mu.Unlock()
			defer f.serving.Done()
			// An error says that the connection is gone; a socket takes it back.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(poolTime))
			f.config.Pool.ServeHTTP(w, r)
		})
	}
	server := &http.Server{
		Handler:           mux,
		TLSConfig:         tls,
		ConnContext:       link.ConnContext,
		ReadHeaderTimeout: helloTime, // covers the handshake
		IdleTimeout:       helloTime,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(f.listener, "", "") }()
	select {
	case <-ctx.Done():
		err = nil
	case err = <-served:
		err = fmt.Errorf("fleet: serve workers: %w", err)
		served <- nil
	}
	f.mu.Lock()
	f.stopping = true
	f.mu.Unlock()
	cancel(errStopping)
	server.Close()
	<-served
	f.serving.Wait()
	return err
}

// serve answers a request for a connection, whose life is attend's, and calls
// done when that is over. It does not wait: the server's goroutine, its stack as
// large as a handshake made it, and the request are given back.
func (f *Fleet) serve(ctx context.Context, w http.ResponseWriter, r *http.Request, done func()) {
	key, err := link.PeerKey(*r.TLS)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		done()
		return
	}
	node, known := f.config.Allow(key)
	if !known || commit.ValidNode(node) != nil {
		node = ""
		select {
		case f.lobby <- struct{}{}:
			answered := done
			done = func() { <-f.lobby; answered() }
		default:
			http.Error(w, "too many unknown workers at once", http.StatusServiceUnavailable)
			done()
			return
		}
	}
	socket, err := link.Accept(w, r, limits)
	if err != nil { // the request was answered
		done()
		return
	}
	from := r.RemoteAddr
	go func() {
		defer done()
		f.attend(ctx, socket, key, node, from)
	}()
}

// attend is the life of one connection. node is empty for a stranger's.
func (f *Fleet) attend(ctx context.Context, socket *link.Socket, key ed25519.PublicKey, node, from string) {
	defer socket.Abort()
	known := node != ""
	log := f.log.With("key", hex.EncodeToString(key), "addr", from)
	hello, refusal := f.hear(ctx, socket, key)
	if hello != nil && !known {
		next := "ask the host's owner to run: assay host allow " + hex.EncodeToString(key)
		refusal = &workerv1.Refuse{Reason: "this host does not know key " + hex.EncodeToString(key), NextStep: next}
		f.noteUnknown(key, next)
	}
	if refusal != nil {
		log.Debug("worker refused", "reason", refusal.Reason)
		_ = f.send(ctx, socket, &workerv1.Envelope{Message: &workerv1.Envelope_Refuse{Refuse: refusal}})
		socket.Close(refusal.Reason)
		return
	}
	if hello == nil {
		return // it broke
	}
	c := newConn(f, node, key, socket, hello)
	welcome := &workerv1.Welcome{Chain: f.config.Chain, Participant: f.config.Participant, Node: node}
	if f.send(ctx, socket, &workerv1.Envelope{Message: &workerv1.Envelope_Welcome{Welcome: welcome}}) != nil {
		return
	}
	f.join(c)
	log = log.With("node", c.node)
	log.Info("worker connected", "engine", c.hello.Engine, "agent", c.hello.Agent)
	err := c.run(ctx)
	f.leave(c, err)
	log.Info("worker gone", "reason", err)
}

// hear waits for the Hello and returns it, or why it is refused, or neither when
// the connection broke.
func (f *Fleet) hear(ctx context.Context, socket *link.Socket, key ed25519.PublicKey) (*workerv1.Hello, *workerv1.Refuse) {
	first, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	message, err := socket.Receive(first)
	if err != nil {
		return nil, nil
	}
	e, err := workerv1.FromWorker(message)
	if err != nil {
		return nil, &workerv1.Refuse{Reason: workerv1.Clip(err.Error(), workerv1.MaxText)}
	}
	hello := e.GetHello()
	switch {
	case hello == nil:
		return nil, &workerv1.Refuse{Reason: "the first message must be Hello"}
	case hello.Protocol != workerv1.Protocol:
		return nil, &workerv1.Refuse{
			Reason:   fmt.Sprintf("this host speaks worker protocol %d, the worker %d", workerv1.Protocol, hello.Protocol),
			NextStep: "run the same version of assay on both machines",
		}
	case !key.Equal(ed25519.PublicKey(hello.Key)):
		return nil, &workerv1.Refuse{Reason: "the key in Hello is not the connection's"}
	case !hello.SelfTestOk:
		return nil, &workerv1.Refuse{
			Reason:   "engine " + hello.Engine + " failed its self-test",
			NextStep: "run: assay-worker doctor",
		}
	}
	return hello, nil
}

// noteUnknown logs each unknown key once; a flood of them is not written down.
func (f *Fleet) noteUnknown(key ed25519.PublicKey, next string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := string(key); !f.unknown[k] && len(f.unknown) < 256 {
		f.unknown[k] = true
		warn := f.log.Warn
		if f.config.Pool != nil { // it may be registering
			warn = f.log.Debug
		}
		warn("a worker with an unknown key asks to join", "key", hex.EncodeToString(key), "next", next)
	}
}

func (f *Fleet) send(ctx context.Context, socket *link.Socket, e *workerv1.Envelope) error {
	message, err := workerv1.Encode(e)
	if err != nil {
		return err
	}
	return socket.Send(ctx, message)
}

// join makes c the node's connection and puts it on the goal. The one before,
// if any, takes nothing more from here on.
func (f *Fleet) join(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[c.node]
	if n == nil {
		f.forget()
		n = &node{}
		f.nodes[c.node] = n
	}
	if n.conn != nil {
		c.before = n.conn.end(errReplaced)
	}
	n.conn = c
	c.aim(f.goalOf(c.node))
	c.tell(n.leftOut)
	f.recheck(c) // the list may have changed since the handshake
}

func (f *Fleet) leave(c *conn, why error) {
	c.end(why)
	f.desk.leave(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.nodes[c.node]; n.conn == c {
		n.conn = nil
		if c.quit() {
			f.refill()
		}
		n.last = c.status()
		n.last.Connected, n.last.Granted = false, n.last.Size
		n.last.State, n.last.Reason, n.last.Until = "away", workerv1.Clip("not connected: "+why.Error(), workerv1.MaxText), ""
	}
}

// SetGoal puts every worker, present and future, on a goal. When it returns, no
// leaf that belongs to an earlier goal is taken any more. What was being written is
// waited for, up to diskTime in all: a disk that hangs holds up one batch of a node,
// which nobody was told is stored, and nothing else. Stating the same goal again
// disturbs nobody. Errors wrap ErrGoal.
func (f *Fleet) SetGoal(g Goal) error { return f.setGoals(nil, g, Goal{}) }

// SetGoals is SetGoal for some nodes, and puts all others on another goal, which is
// not to compute. It is for one goroutine.
func (f *Fleet) SetGoals(nodes []string, g, others Goal) error {
	chosen := make(map[string]bool, len(nodes))
	for _, node := range nodes {
		chosen[node] = true
	}
	return f.setGoals(chosen, g, others)
}

func (f *Fleet) setGoals(chosen map[string]bool, g, others Goal) error {
	if err := errors.Join(g.valid(), others.valid()); err != nil {
		return err
	}
	if others.Kind == Compute {
		return fmt.Errorf("%w: the nodes that the goal is not for compute too", ErrGoal)
	}
	share := f.shareOf(chosen, g)
	enough := time.After(diskTime)
	for name, storing := range f.aimAll(chosen, g, others, share) {
		select {
		case <-storing:
		case <-enough:
			f.log.Error("the disk does not take a batch in time; it is left out", "node", name)
			enough = time.After(0) // nor are others waited for
		}
	}
	return nil
}

// aimAll puts the nodes on their goals, and returns what is being written.
func (f *Fleet) aimAll(chosen map[string]bool, g, others Goal, share *allowance) map[string]<-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goal, f.others, f.chosen, f.share = g, others, chosen, share
	writing := map[string]<-chan struct{}{}
	for name, n := range f.nodes {
		if n.conn == nil {
			continue
		}
		if storing := n.conn.aim(f.goalOf(name)); storing != nil {
			writing[name] = storing
		}
	}
	f.refill()
	return writing
}

// shareOf is the allowance of a goal: the one that there is, for the same segment, or
// a new one that knows what the nodes have stored. It may have to read long logs, so
// the caller does not hold the lock; of a segment without an allowance no log grows.
func (f *Fleet) shareOf(chosen map[string]bool, g Goal) *allowance {
	if g.Kind != Compute {
		return nil
	}
	f.mu.Lock()
	share, known := f.share, f.chosen
	if share == nil || !f.goal.same(g) {
		share, known = newAllowance(g.Most, g.Class.MiOps()), map[string]bool{}
	}
	f.mu.Unlock()
	share.bound(g.Most)
	if known == nil || chosen != nil && maps.Equal(chosen, known) {
		return share
	}
	for _, key := range f.config.Logs.Keys() {
		if key.Epoch != g.Epoch || key.Segment != g.Segment || known[key.Node] || chosen != nil && !chosen[key.Node] {
			continue
		}
		log, err := f.config.Logs.Log(key, g.Class.ID)
		if err != nil {
			f.log.Error("a log cannot be read, and is not counted", "node", key.Node, "epoch", key.Epoch, "segment", key.Segment, "err", err)
			continue
		}
		share.know(key.Node, log.Size())
	}
	return share
}

// refill has all workers go on with what is left. The caller holds the lock.
func (f *Fleet) refill() {
	for _, n := range f.nodes {
		if n.conn != nil {
			n.conn.refill()
		}
	}
}

// goalOf is a node's goal, and what it has a share of. The caller holds the lock.
func (f *Fleet) goalOf(node string) (Goal, *allowance) {
	if f.chosen == nil || f.chosen[node] {
		return f.goal.during(f.halt), f.share
	}
	return f.others.during(f.halt), nil
}

// Halt tells every worker, present and future, why the chain stands still: a goal's
// end is a block that does not come. The goals stay. An empty reason ends it.
func (f *Fleet) Halt(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.halt == reason {
		return
	}
	f.halt = reason
	for name, n := range f.nodes {
		if n.conn != nil {
			n.conn.aim(f.goalOf(name)) // no leaf is of an earlier goal
		}
	}
}

// Recheck asks Allow again about every connected worker, and ends the
// connections it no longer admits. The host calls it when its list changed.
func (f *Fleet) Recheck() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes {
		if n.conn != nil {
			f.recheck(n.conn)
		}
	}
}

func (f *Fleet) recheck(c *conn) {
	if node, ok := f.config.Allow(c.key); !ok || node != c.node {
		c.end(errRevoked)
	}
}

// Ready lists the nodes whose worker has built the model of an epoch and is
// connected, in order.
func (f *Fleet) Ready(epoch uint64) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ready []string
	for name, n := range f.nodes {
		if n.conn != nil && n.conn.builtFor(epoch) {
			ready = append(ready, name)
		}
	}
	slices.Sort(ready)
	return ready
}

// NodeProof returns a node's device key and its signature over
// seed.Possession(chain, "node/<node>", participant, key), if it is there yet. The
// first call asks the connected worker for it, and nobody waits: a stranger may
// never answer.
func (f *Fleet) NodeProof(name string) (key ed25519.PublicKey, proof []byte, ok bool) {
	f.mu.Lock()
	var c *conn
	if n := f.nodes[name]; n != nil {
		c = n.conn
	}
	f.mu.Unlock()
	if c == nil {
		return nil, nil, false
	}
	select {
	case <-c.prove():
		return c.key, c.proof, true
	default:
		return nil, nil, false
	}
}

// LeftOut tells a node's machine that a log of its is left out, now or when it
// comes back. A machine that was never here is not waited for.
func (f *Fleet) LeftOut(name string, m *workerv1.LeftOut) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[name]
	if n == nil {
		return
	}
	n.leftOut = m
	if n.conn != nil {
		n.conn.tell(m)
	}
}

// WorkerStatus is what the host knows of one worker.
type WorkerStatus struct {
	Node      string   `json:"node"`
	Key       string   `json:"key"` // hex
	Connected bool     `json:"connected"`
	Agent     string   `json:"agent"`
	Engine    string   `json:"engine"`
	Devices   []string `json:"devices,omitempty"`
	// State is one of the protocol's states in lower case, or "away".
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // why, always there when nothing is computed
	Until  string `json:"until,omitempty"`
	// Fault is what keeps the host from storing its leaves, with the file; for the
	// host's owner.
	Fault string `json:"fault,omitempty"`

	Epoch   uint64 `json:"epoch,omitempty"`
	Segment uint32 `json:"segment,omitempty"`
	// Rate1m is the worker's own figure, units per 1,000 seconds over a minute.
	Rate1m uint64 `json:"rate_1m_milli"`
	Size   uint64 `json:"stored"` // durable leaves of the segment
	// Granted is how many leaves of the segment it may have so far.
	Granted uint64 `json:"granted,omitempty"`
	LoadMS  uint64 `json:"load_ms,omitempty"`
	// Accepted counts leaves stored over this connection, Late those that came
	// after their segment, Reruns samples run again.
	Accepted uint64 `json:"accepted"`
	Late     uint64 `json:"late"`
	Reruns   uint64 `json:"reruns"`
}

// Status lists all nodes that were ever connected, in order.
func (f *Fleet) Status() []WorkerStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]WorkerStatus, 0, len(f.nodes))
	for _, n := range f.nodes {
		if n.conn != nil {
			all = append(all, n.conn.status())
		} else {
			all = append(all, n.last)
		}
	}
	slices.SortFunc(all, func(a, b WorkerStatus) int { return cmp.Compare(a.Node, b.Node) })
	return all
}
