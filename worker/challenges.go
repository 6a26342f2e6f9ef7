// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/worker/pool"
	"github.com/assaynet/assay/worker/runner"
)

// Between sprints a device computes loops for the host's pool, where it has one
// (package worker/pool). The Sprint, samples to run again, heat and its owner
// come first: a gate takes the device away within a loop.

const (
	// A host is asked whether it has a pool after askMin, then less and less often.
	askMin = time.Second
	askMax = time.Minute
	// measureTime is how long a device is timed before its first challenge.
	measureTime = 200 * time.Millisecond
	// keyPause is how long a disk is given that did not take a device's key, at first.
	keyPause = time.Second
)

// loops are a device's work for a pool.
type loops struct {
	config  Config
	home    *home // of the worker
	address link.Address
	device  runner.Device
	worker  ed25519.PrivateKey // the worker's key, where it is the device's too
	changed func()
	tell    func(Event)
	gate    pool.Gate

	mu        sync.Mutex    // over what follows
	epoch     uint64        // the Sprint's, as far as it is known
	pool      *pool.Machine // nil where the host has none
	poolless  bool          // the host said so
	ended     string        // why no more challenges are taken
	waits     string        // why none are yet, and what helps
	waitsNext string
}

// key is that of a device's account: the first device has the worker's own, so that the account and
// the node of the Sprint are one.
func (l *loops) key() (ed25519.PrivateKey, error) {
	if err := l.home.folder(devicesName + "/" + filepath.Base(l.folder())); err != nil {
		return nil, err
	}
	if l.worker != nil {
		return l.worker, nil
	}
	if !l.config.AcceptLoss {
		if err := lostKey(l.folder(), KeyFile, "mpoc"); err != nil {
			return nil, err
		}
	}
	return link.LoadKey(filepath.Join(l.folder(), KeyFile))
}

// folder keeps a device's challenge, receipts and evidence.
func (l *loops) folder() string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, l.device.ID)
	return filepath.Join(l.config.Home, devicesName, name)
}

// run computes loops on a device until ctx ends. What stops it, a ban or a host that cheats, stops
// the loops and nothing else; the device's row says so.
func (l *loops) run(ctx context.Context) {
	key, err := l.awaitKey(ctx)
	if err == nil && key != nil {
		err = l.enrol(ctx, key)
	}
	if err != nil && ctx.Err() == nil {
		l.config.Logger.Error("no more challenges are taken", "device", l.device.ID, "err", err)
		l.mu.Lock()
		l.ended = err.Error()
		l.mu.Unlock()
	}
}

// awaitKey is key that waits for a disk which does not take a new device's folder or key; it is nil
// where ctx has ended.
func (l *loops) awaitKey(ctx context.Context) (ed25519.PrivateKey, error) {
	for pause := keyPause; ; pause = min(2*pause, time.Minute) {
		key, err := l.key()
		var file *fs.PathError
		waits := errors.As(err, &file) && !errors.Is(err, ErrLost) &&
			!errors.Is(err, link.ErrKeyFile)
		reason, next := "", ""
		if waits {
			reason, next = link.Explain(err, l.address.HostPort)
			l.config.Logger.Error("no challenges are taken until the disk can be written", "device",
				l.device.ID, "err", err, "next", next)
		}
		l.mu.Lock()
		l.waits, l.waitsNext = reason, next
		l.mu.Unlock()
		l.changed()
		if !waits {
			return key, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, nil
		case <-timer.C:
		}
	}
}

func (l *loops) enrol(ctx context.Context, key ed25519.PrivateKey) error {
	c, d := l.config, l.device
	config := pool.Config{
		Address: c.URL, Key: key, Home: l.folder(), Engine: d.Engine, Agent: c.Agent,
		Device: mpoc.Claimed{ID: d.ID, Name: workerName(d.Name), Engine: d.Engine.Name(),
			RateOps: 1},
		Payout: c.Payout, Node: c.Node, AcceptLoss: c.AcceptLoss, SelfAudit: c.SelfAudit,
		Gate: &l.gate, Logger: c.Logger,
		Event: func(e pool.Event) { l.tell(Event{Device: d.ID, Event: e}) },
	}
	p, err := pool.New(config) // to ask; its rate is not known yet
	if err != nil {
		return err
	}
	for pause := askMin; ; pause = min(2*pause, askMax) {
		offered, err := p.Offered(ctx)
		if offered {
			break
		}
		if err != nil {
			c.Logger.Debug("the host does not say whether it has a pool", "err", err)
		} else {
			l.mu.Lock()
			l.poolless = true
			l.mu.Unlock()
			l.changed()
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
	if config.Device.RateOps, err = measure(ctx, d.Engine); err != nil {
		return err
	}
	if p, err = pool.New(config); err != nil {
		return err
	}
	l.mu.Lock()
	l.pool, l.poolless = p, false
	if l.epoch != 0 {
		p.Begin(l.epoch)
	}
	l.mu.Unlock()
	l.changed()
	return p.Run(ctx)
}

// begin says that an epoch of the Sprint has begun.
func (l *loops) begin(epoch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch = epoch; l.pool != nil {
		l.pool.Begin(epoch)
	}
}

// asked reports whether the host has a pool for the device, and none whether it said that it has
// none.
func (l *loops) asked() (pool, none bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pool != nil, l.poolless
}

// status is nil where the host has no pool.
func (l *loops) status() *pool.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pool == nil {
		if l.waits == "" {
			return nil
		}
		return &pool.Status{Device: l.device.ID, Name: l.device.Name, Host: l.address.HostPort,
			State: "idle", Reason: l.waits, Until: "it can be written", Next: l.waitsNext}
	}
	p := l.pool.Snapshot()
	if l.ended != "" {
		p.State, p.Reason = "ended", l.ended
	}
	return &p
}

// workerName keeps what a registration may say: printable ASCII, 80 characters.
func workerName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 80)]
}

// measure is a device's rate at the smallest loops, in nominal operations a
// second. It sizes the first challenge; after that the host's own clock does.
func measure(ctx context.Context, e work.Engine) (uint64, error) {
	shape := mpoc.Shapes()[0]
	for n := 1; ; n *= 2 {
		units := make([]uint64, n)
		for i := range units {
			units[i] = uint64(i)
		}
		began := time.Now()
		if err := e.Matmul(ctx, make([][32]byte, n), seed.Seed{}, shape, units); err != nil {
			return 0, fmt.Errorf("worker: measuring %s: %w", e.Name(), err)
		}
		if took := time.Since(began); took >= measureTime || n >= 1<<16 {
			return max(1, uint64(float64(n)*float64(shape.Ops())/took.Seconds())), nil
		}
	}
}
