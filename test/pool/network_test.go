// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/internal/clock"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	workerpool "github.com/assaynet/assay/worker/pool"
)

const chain = "assay-test"

func keyOf(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

// engine is shared: choosing it costs a self-test.
var engine = sync.OnceValue(func() work.Engine {
	e, err := cpu.New(context.Background())
	if err != nil {
		panic(err)
	}
	return e
})

// looker recomputes on the engine, and keeps the tiles of its latest units.
type looker struct {
	mu    sync.Mutex
	units map[loop]*tiles
}

type loop struct {
	challenge seed.Seed
	shape     matmul.Shape
	unit      uint64
}

type tiles struct {
	once sync.Once
	all  [][32]byte
	err  error
}

func (l *looker) tiles(ctx context.Context, at loop) ([][32]byte, error) {
	l.mu.Lock()
	u := l.units[at]
	if u == nil {
		if u = new(tiles); l.units == nil || len(l.units) >= 256 {
			l.units = map[loop]*tiles{}
		}
		l.units[at] = u
	}
	l.mu.Unlock()
	u.once.Do(func() {
		u.all = make([][32]byte, at.shape.Tiles())
		u.err = engine().Tiles(context.WithoutCancel(ctx), u.all, at.challenge, at.shape, at.unit)
	})
	return u.all, u.err
}

func (l *looker) Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64,
	tile uint32) ([32]byte, error) {
	all, err := l.tiles(ctx, loop{challenge, shape, unit})
	if err != nil {
		return [32]byte{}, err
	}
	return all[tile], nil
}

func (l *looker) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) ([32]byte, error) {
	all, err := l.tiles(ctx, loop{challenge, shape, unit})
	if err != nil {
		return [32]byte{}, err
	}
	return matmul.Root(all), nil
}

// events is poked by everything that may be waited for.
type events chan struct{}

func (e events) poke() {
	select {
	case e <- struct{}{}:
	default:
	}
}

// wait blocks until a condition holds, looking after every event.
func (e events) wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-e:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// logger makes every line an event.
func (e events) logger(t testing.TB, who string) *slog.Logger {
	return slog.New(slog.NewTextHandler(logged{e, t, who}, nil))
}

type logged struct {
	events
	t   testing.TB
	who string
}

func (l logged) Write(line []byte) (int, error) {
	l.t.Logf("%s: %s", l.who, bytes.TrimSpace(line))
	l.poke()
	return len(line), nil
}

// network is one host, which can be stopped and started again.
type network struct {
	t      testing.TB
	dir    string
	at     string // host:port
	config pool.Config
	events events
	// bend, if set, stands before the handler.
	bend func(http.Handler) http.Handler

	quiet bool // no log

	clock  *clock.Clock // the host's
	pool   *pool.Pool
	ledger *ledger.Ledger
	stop   func()
}

// newNetwork starts a host; edit may change its configuration.
func newNetwork(t testing.TB, edit func(*network)) *network {
	t.Helper()
	n := &network{t: t, dir: t.TempDir(), at: "127.0.0.1:0", events: make(events, 1),
		clock: clock.New(nil)}
	pay, err := ledger.ParseAmount("1000000000000")
	if err != nil {
		t.Fatal(err)
	}
	n.config = pool.Config{
		HostKey: keyOf(1), Chain: chain, State: filepath.Join(n.dir, "pool.db"),
		Rules: ledger.Rules{Unlock: 2, Strikes: 3}, Pay: pay, Engine: new(looker),
		Duration: 20 * time.Millisecond,
		Clock:    n.clock,
	}
	if edit != nil {
		edit(n)
	}
	n.start()
	t.Cleanup(func() { n.stop() })
	return n
}

func (n *network) start() {
	t := n.t
	t.Helper()
	var err error
	if n.ledger, err = ledger.Open(filepath.Join(n.dir, "ledger.db"), n.config.Rules,
		ledger.Amount{}); err != nil {
		t.Fatal(err)
	}
	c := n.config
	if c.Ledger = n.ledger; !n.quiet {
		c.Logger = n.events.logger(t, "host")
	}
	p, err := pool.New(c)
	if err != nil {
		t.Fatal(err)
	}
	n.pool = p
	config, err := link.ServerTLS(c.HostKey)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", n.at)
	if err != nil {
		t.Fatal(err)
	}
	n.at = listener.Addr().String()
	handler := p.Handler()
	if n.bend != nil {
		handler = n.bend(handler)
	}
	told := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer n.events.poke()
		handler.ServeHTTP(w, r)
	})
	server := &http.Server{Handler: told, TLSConfig: config, ConnContext: link.ConnContext,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	running.Go(func() { _ = server.ServeTLS(listener, "", "") })
	n.stop = sync.OnceFunc(func() {
		cancel()
		_ = server.Close()
		running.Wait()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := n.ledger.Check(); err != nil {
			t.Error(err)
		}
		if err := n.ledger.Close(); err != nil {
			t.Error(err)
		}
	})
}

// restart kills the host and starts it again on what it had on disk.
func (n *network) restart() {
	n.stop()
	n.start()
}

func (n *network) address() string {
	return link.Address{HostPort: n.at,
		Fingerprint: link.FingerprintOf(n.config.HostKey.Public().(ed25519.PublicKey))}.String()
}

func (n *network) status() mpocv1.Status {
	n.t.Helper()
	s, err := n.pool.Status()
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

// standing is a key's account.
func (n *network) standing(key ed25519.PrivateKey) ledger.Account {
	n.t.Helper()
	a, err := n.pool.Standing(signed.KeyOf(key))
	if err != nil {
		n.t.Fatal(err)
	}
	return a
}

// machine is a real worker on one network.
type machine struct {
	*workerpool.Machine
	home  string
	ended chan error
	kill  context.CancelFunc
}

func machineConfig(address string, key ed25519.PrivateKey, home string) workerpool.Config {
	return workerpool.Config{
		Address: address, Key: key, Home: home, Engine: engine(),
		Device: mpoc.Claimed{ID: "cpu-0", Name: "a processor", Engine: "cpu",
			RateOps: 2_000_000_000},
		Payout: "cpc1test", Agent: "test/1",
	}
}

// work starts a machine on a home; edit may change its configuration.
func (n *network) work(key ed25519.PrivateKey, home string,
	edit func(*workerpool.Config)) *machine {
	t := n.t
	t.Helper()
	c := machineConfig(n.address(), key, home)
	c.Logger = n.events.logger(t, "machine")
	if edit != nil {
		edit(&c)
	}
	m, err := workerpool.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &machine{Machine: m, home: home, ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.ended <- m.Run(ctx)
		n.events.poke()
	}()
	w.kill = func() { cancel(); <-done }
	t.Cleanup(w.kill)
	return w
}

// over waits until the machine's Run has ended and returns its error.
func (n *network) over(w *machine) error {
	n.t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(30 * time.Second):
		n.t.Fatal("the machine goes on")
		return nil
	}
}
