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
	"github.com/assaynet/assay/poc/work"
)

var (
	// ErrSelfTest reports an engine that does not reproduce published answers.
	ErrSelfTest = errors.New("worker: the engine failed its self-test")
	// ErrConfig reports a worker that cannot be started.
	ErrConfig = errors.New("worker: configuration")
)

// maxUnacked is how many artefacts wait for the host at most: 10 MiB.
const maxUnacked = 1 << 18

// Config says which host a machine works for, and with what.
type Config struct {
	URL  string // assay://host:port#fingerprint
	Home string // holds the device key
	// Engine computes; nil is the reference, plain Go.
	Engine work.Engine
	// Devices names what the engine runs on, for the host's owner.
	Devices []string
	// Threads is how many slices the engine gets at a time; 0 is one per core,
	// right for the reference. An engine that is parallel inside wants 1.
	Threads int
	// Nice lowers the priority of the whole process by this much, 0..19.
	Nice int
	// Agent is the program's name and version.
	Agent  string
	Logger *slog.Logger // optional
	// Status is called, one call at a time, on every change and once a minute.
	// Optional.
	Status func(Status)
}

// Key returns the device key in home, making one when there is none.
func Key(home string) (ed25519.PrivateKey, error) {
	if home == "" {
		return nil, fmt.Errorf("%w: no home directory", ErrConfig)
	}
	return link.LoadKey(filepath.Join(home, "device.key"))
}

// Run works until ctx ends, which is no error. It returns one where going on is
// pointless: a bad configuration, an engine that fails its self-test, or
// somebody else answering at the host's address from the start.
func Run(ctx context.Context, c Config) error {
	address, err := link.ParseAddress(c.URL)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	key, err := Key(c.Home)
	if err != nil {
		return err
	}
	if c.Engine == nil {
		c.Engine = work.Reference()
	}
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
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
	m := newMachine(c, address, key)
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	running.Go(func() { m.report(ctx) })
	defer running.Wait()
	defer cancel(nil)
	if err := work.SelfTest(ctx, c.Engine); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%w: %s: %w; nothing is computed with it", ErrSelfTest, c.Engine.Name(), err)
	}
	m.mu.Lock()
	m.testing = false
	m.mu.Unlock()
	running.Go(func() { cancel(m.bench(ctx)) })
	running.Go(func() { cancel(m.dial(ctx)) })
	<-ctx.Done()
	running.Wait()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// machine is what bench, session and reporter share.
type machine struct {
	config  Config
	address link.Address
	key     ed25519.PrivateKey
	models  *models

	benchWake  chan struct{} // capacity 1: orders, room, models, samples
	sendWake   chan struct{} // capacity 1: something for the host
	reportWake chan struct{} // capacity 1: the status may have changed

	mu     sync.Mutex
	order  *order
	ledger ledger // of order's segment

	jobs    []*job                  // samples to run again, in order of arrival
	running *job                    // the one at work
	results []*workerv1.RerunResult // for this session's host
	session uint64                  // counts connections; jobs of an earlier one are void
	welcome *workerv1.Welcome       // nil while not connected
	prove   bool                    // the host asked for the node's proof
	ready   *workerv1.ModelReady    // to be sent
	told    bool                    // this session's host was told of order's model

	testing bool   // the first self-test is not over
	trouble string // why there is no connection
	next    string // what the owner can do about it
	fault   string // why the order cannot be carried out
	build   progress
	rate    meter
	reruns  uint64
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
		benchWake: make(chan struct{}, 1), sendWake: make(chan struct{}, 1), reportWake: make(chan struct{}, 1),
		order:   &order{reason: "waiting for the host's orders"},
		testing: true,
	}
	m.models = newModels(c.Engine, func() { poke(m.benchWake) })
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
	poke(m.benchWake)
	poke(m.sendWake)
	poke(m.reportWake)
}
