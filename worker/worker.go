// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/work"
)

var (
	// ErrSelfTest reports an engine that does not reproduce published answers.
	ErrSelfTest = errors.New("worker: the engine failed its self-test")
	// ErrDevices reports a worker that has no device left to compute with.
	ErrDevices = errors.New("worker: no device is left to compute with")
	// ErrConfig reports a worker that cannot be started.
	ErrConfig = errors.New("worker: configuration")
)

// KeyFile is the name of the device key in a worker's home.
const KeyFile = "device.key"

// maxUnacked is how many artefacts wait for the host at most: 10 MiB.
const maxUnacked = 1 << 18

// Config says which host a machine works for, and with what.
type Config struct {
	URL  string // assay://host:port#fingerprint
	Home string // holds the device key
	// Devices compute, each at its own speed.
	Devices []Device
	// Engine and Threads stand for a single device where Devices is empty; nil is
	// the reference, plain Go.
	Engine  work.Engine
	Threads int
	// NoPool takes no challenges between sprints, also where the host offers them.
	NoPool bool
	// Payout is the account on the chain that loops are paid to; it may be empty.
	Payout string
	// Node is the URL of a node of the chain, which is asked whether the host's payments are there; it
	// may be empty.
	Node string
	// AcceptLoss goes on although files of the home are missing or damaged, which are set aside.
	AcceptLoss bool
	// SelfAudit is N: one unit and one loop in N is computed twice. 0 is 256.
	SelfAudit uint64
	// Live is called once, when the home is this worker's, with what gives the status
	// of the moment from then on. Optional.
	Live func(status func() Status)
	// Pause is the owner's word: true stops all computing, false goes on. Optional.
	Pause <-chan bool
	// Nice lowers the priority of the whole process by this much, 0..19.
	Nice int
	// Agent is the program's name and version.
	Agent  string
	Logger *slog.Logger // optional
	// Status is called, one call at a time, on every change and once a minute.
	// Optional.
	Status func(Status)
	// Event is called, one call at a time and in order, with all that happens.
	// Optional.
	Event func(Event)
}

// Key returns the device key in home, making one where the home is new. A home that has lost its key
// is refused with ErrLost.
func Key(home string) (ed25519.PrivateKey, error) { return loadKey(home, false) }

func loadKey(home string, acceptLoss bool) (ed25519.PrivateKey, error) {
	if home == "" {
		return nil, fmt.Errorf("%w: no home directory", ErrConfig)
	}
	if !acceptLoss {
		if err := lostKey(home, KeyFile, HomeFile, SignedName, ReceiptsName, devicesName); err != nil {
			return nil, err
		}
	}
	return link.LoadKey(filepath.Join(home, KeyFile))
}

// Run works until ctx ends, which is no error. It returns one where going on is
// pointless: a bad configuration, a home that another worker has, no device that
// passes its self-test and does its work, or somebody else answering at the host's
// address from the start.
func Run(ctx context.Context, c Config) (err error) {
	address, err := link.ParseAddress(c.URL)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	key, err := loadKey(c.Home, c.AcceptLoss)
	if err != nil {
		return err
	}
	if len(c.Devices) == 0 {
		if c.Engine == nil {
			c.Engine = work.Reference()
		}
		c.Devices = []Device{{ID: c.Engine.Name(), Engine: c.Engine, Threads: c.Threads}}
	}
	for _, d := range c.Devices {
		if err := d.valid(); err != nil {
			return err
		}
	}
	if c.Agent == "" {
		c.Agent = "assay-worker"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Nice != 0 {
		if c.Nice < 0 || c.Nice > 19 {
			return fmt.Errorf("%w: nice %d, want 0..19", ErrConfig, c.Nice)
		}
		if err := setNice(c.Nice); err != nil {
			c.Logger.Warn("priority stays as it is", "err", err)
		}
	}
	unlock, err := lock(c.Home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	home, err := openHome(c.Home, key, c.AcceptLoss)
	if err != nil {
		return err
	}
	m := newMachine(c, address, key)
	m.home = home
	heard := m.listener()
	defer func() {
		m.stopped(err)
		<-heard
	}()
	if c.Live != nil {
		c.Live(func() Status {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.snapshot(time.Now())
		})
	}
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	running.Go(func() { m.report(ctx) })
	running.Go(func() { m.watch(ctx) })
	running.Go(func() { m.listen(ctx) })
	running.Go(func() { m.receipts.keep(ctx, c.Logger) })
	defer running.Wait()
	defer cancel(nil)
	m.test(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err := m.left(); err != nil {
		return err
	}
	for _, b := range m.benches {
		if b.out != "" {
			continue
		}
		alive, dropped := context.WithCancel(ctx)
		if !c.NoPool {
			running.Go(func() { b.challenges(alive) })
		}
		running.Go(func() {
			defer dropped()
			if err := b.run(ctx); ctx.Err() == nil {
				m.drop(b, err)
				if err := m.left(); err != nil {
					cancel(err)
				}
			}
		})
	}
	running.Go(func() { cancel(m.dial(ctx)) })
	<-ctx.Done()
	running.Wait()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// machine is what benches, session and reporter share.
type machine struct {
	config  Config
	home    *home
	address link.Address
	key     ed25519.PrivateKey
	benches []*bench // one per device

	sendWake   chan struct{} // capacity 1: something for the host
	reportWake chan struct{} // capacity 1: the status may have changed

	mu     sync.Mutex
	order  *order
	ends   string // until when order is, as the host said last
	ledger ledger // of order's segment

	receipts receipts // of the host's
	book     *book    // of what was signed for the node that the host's welcome named last

	jobs    []*job                  // samples to run again, this session's, in order of arrival
	results []*workerv1.RerunResult // for this session's host
	welcome *workerv1.Welcome       // nil while not connected
	host    mpoc.Key                // the one that welcomed
	prove   bool                    // the host asked for the node's proof
	ready   *workerv1.ModelReady    // to be sent
	told    bool                    // this session's host was told of order's model

	testing  bool      // the first self-test is not over
	paused   time.Time // since then by the owner; zero: not
	answered bool      // the host did when it was dialled last, be it with a refusal
	stranger bool      // it does not know this machine's key
	poolless bool      // it has no pool
	trouble  string    // why there is no connection
	next     string    // what the owner can do about it
	failed   []error
	reruns   uint64
	epoch    uint64 // the latest that an order named

	telling sync.Mutex // taken before mu
	journal journal    // of what was told
	missed  int        // events that found no room
	events  chan Event // for who listens
}

// progress of the model the order needs.
type progress struct {
	done, total uint64
	built       bool
	took        time.Duration
}

func newMachine(c Config, address link.Address, key ed25519.PrivateKey) *machine {
	m := &machine{
		config: c, address: address, key: key,
		sendWake: make(chan struct{}, 1), reportWake: make(chan struct{}, 1),
		order:   &order{reason: "waiting for the host's orders"},
		testing: true, events: make(chan Event, eventRoom),
		receipts: newReceipts(c.Home), book: new(book),
	}
	for _, d := range c.Devices {
		if d.Threads <= 0 {
			d.Threads = runtime.GOMAXPROCS(0)
		}
		b := &bench{machine: m, Device: d, wake: make(chan struct{}, 1), claims: make(map[*job]*claim), slice: d.Threads, out: d.Fault}
		b.models = newModels(d.Engine, func() { poke(b.wake) })
		m.benches = append(m.benches, b)
	}
	return m
}

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// changed wakes the parts that look at the state. Callers hold mu or not.
func (m *machine) changed() {
	for _, b := range m.benches {
		poke(b.wake)
	}
	poke(m.sendWake)
	poke(m.reportWake)
}
