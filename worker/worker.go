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

	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/worker/runner"
)

var (
	// ErrSelfTest reports an engine that does not reproduce published answers.
	ErrSelfTest = runner.ErrSelfTest
	// ErrDevices reports a worker that has no device left to compute with.
	ErrDevices = errors.New("worker: no device is left to compute with")
	// ErrConfig reports a worker that cannot be started.
	ErrConfig = errors.New("worker: invalid configuration")
)

// KeyFile is the name of the device key in a worker's home.
const KeyFile = "device.key"

// maxUnacked is how many records wait for the host at most: 10 MiB.
const maxUnacked = 1 << 18

type (
	// Device is something to compute with.
	Device = runner.Device
	// Gauges is one reading of a device's sensors.
	Gauges = runner.Gauges
)

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
	// Node is the URL of a node of the chain, which is asked whether the host's payments are there;
	// it may be empty.
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

// Key returns the device key in home, making one where the home is new. A home that has lost its
// key is refused with ErrLost.
func Key(home string) (ed25519.PrivateKey, error) { return loadKey(home, false) }

func loadKey(home string, acceptLoss bool) (ed25519.PrivateKey, error) {
	if home == "" {
		return nil, fmt.Errorf("%w: no home directory", ErrConfig)
	}
	if !acceptLoss {
		if err := lostKey(home, KeyFile, HomeFile, SignedName, ReceiptsName,
			devicesName); err != nil {
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
	if err := c.prepare(); err != nil {
		return err
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
	m := newMachine(c, address, key, home)
	heard := m.teller.listener()
	defer func() {
		m.teller.stopped(err)
		<-heard
	}()
	if c.Live != nil {
		c.Live(func() Status { return m.status(time.Now()) })
	}
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	running.Go(func() { m.report(ctx) })
	running.Go(func() { m.watch(ctx) })
	running.Go(func() { m.desk.listen(ctx, c.Pause) })
	running.Go(func() { m.receipts.keep(ctx, c.Logger) })
	defer running.Wait()
	defer cancel(nil)
	m.test(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err := m.desk.left(); err != nil {
		return err
	}
	m.work(ctx, &running, cancel)
	running.Go(func() { cancel(m.session.dial(ctx)) })
	<-ctx.Done()
	running.Wait()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// prepare fills in what the configuration leaves open, and checks the rest.
func (c *Config) prepare() error {
	if len(c.Devices) == 0 {
		if c.Engine == nil {
			c.Engine = work.Reference()
		}
		c.Devices = []Device{{ID: c.Engine.Name(), Engine: c.Engine, Threads: c.Threads}}
	}
	for _, d := range c.Devices {
		if err := d.Valid(); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
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
	return nil
}

// work has every device work that is not out, until ctx ends. Without any left it cancels with the
// reason.
func (m *machine) work(ctx context.Context, running *sync.WaitGroup,
	cancel context.CancelCauseFunc) {
	for _, b := range m.desk.places {
		if b.out != "" {
			continue
		}
		alive, dropped := context.WithCancel(ctx)
		if !m.config.NoPool {
			running.Go(func() { b.loops.run(alive) })
		}
		running.Go(func() {
			defer dropped()
			if err := b.Run(ctx); ctx.Err() == nil {
				m.desk.drop(b, err)
				if err := m.desk.left(); err != nil {
					cancel(err)
				}
			}
		})
	}
}

// machine composes desk, devices, session and teller.
type machine struct {
	config   Config
	desk     *desk
	session  *session
	teller   *teller
	receipts receipts // of the host's
}

func newMachine(c Config, address link.Address, key ed25519.PrivateKey, h *home) *machine {
	m := &machine{config: c, desk: newDesk(c.Logger), receipts: newReceipts(c.Home)}
	m.teller = newTeller(c.Event, m.status)
	m.session = &session{
		config: c, address: address, key: key, desk: m.desk, receipts: &m.receipts,
		tell: m.teller.tell, status: m.wireStatus, journal: new(journal),
	}
	for i, d := range c.Devices {
		if d.Threads <= 0 {
			d.Threads = runtime.GOMAXPROCS(0)
		}
		l := &loops{config: c, home: h, address: address, device: d, changed: m.desk.changed,
			tell: m.teller.tell}
		if i == 0 {
			l.worker = key
		}
		b := &place{desk: m.desk, session: m.session, loops: l, out: d.Fault}
		b.Runner = runner.New(runner.Config{
			Device: d, SelfAudit: c.SelfAudit, Desk: b, Changed: m.desk.changed, Logger: c.Logger,
			Differs: func(err error) { m.teller.tell(differs(d.ID, err)) },
		})
		m.desk.places = append(m.desk.places, b)
	}
	return m
}

// test compares all engines with published answers, side by side.
func (m *machine) test(ctx context.Context) {
	d := m.desk
	var running sync.WaitGroup
	for _, b := range d.places {
		if b.out != "" {
			continue
		}
		running.Go(func() {
			if err := work.SelfTest(ctx, b.Engine); err != nil && ctx.Err() == nil {
				d.drop(b, fmt.Errorf("%w: %s: %w; nothing is computed with it", ErrSelfTest,
					b.Engine.Name(), err))
			}
		})
	}
	running.Wait()
	d.mu.Lock()
	d.testing = false
	d.mu.Unlock()
	d.changed()
}

// gaugeTime is how often sensors are read.
const gaugeTime = time.Second

// watch reads sensors until ctx ends.
func (m *machine) watch(ctx context.Context) {
	tick := time.NewTicker(gaugeTime)
	defer tick.Stop()
	for now := time.Now(); ; {
		for _, b := range m.desk.places {
			if b.Sense(now) {
				m.desk.changed()
			}
		}
		select {
		case <-ctx.Done():
			return
		case now = <-tick.C:
		}
	}
}
