// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/gate"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/link"
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

var limits = link.Limits{Message: workerv1.MaxMessage, Write: 10 * time.Second,
	Ping: 15 * time.Second}

var (
	// ErrConfig reports a fleet that cannot be made.
	ErrConfig = errors.New("fleet: invalid configuration")
	// ErrGoal reports a goal that makes no sense.
	ErrGoal = errors.New("fleet: invalid goal")
	// ErrRerun reports samples that could not be run again.
	ErrRerun = errors.New("fleet: rerun failed")

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

// keepNodes is how many nodes are remembered, beside those that are connected.
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
			c.Logger.Warn("the address for workers is one of this machine only: for machines "+
				"elsewhere set listen, or advertise, in host.toml", "address", at)
		}
	}
	address := link.Address{HostPort: at,
		Fingerprint: link.FingerprintOf(c.HostKey.Public().(ed25519.PublicKey))}
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

// outward is the address of this machine from which it would reach others: that of the interface
// with the route out. It is the loopback's where there is none. Nothing is sent.
func outward() net.IP {
	// addresses of nobody, RFC 5737 and RFC 3849
	for _, elsewhere := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
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
