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
	"time"

	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/worker/pool"
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

// poolKey is the key of a device's account: the first device has the worker's
// own, so that the account and the node of the Sprint are one.
func (m *machine) poolKey(b *bench) (ed25519.PrivateKey, error) {
	if err := m.home.folder(devicesName + "/" + filepath.Base(m.poolHome(b))); err != nil {
		return nil, err
	}
	if b == m.benches[0] {
		return m.key, nil
	}
	if !m.config.AcceptLoss {
		if err := lostKey(m.poolHome(b), KeyFile, "mpoc"); err != nil {
			return nil, err
		}
	}
	return link.LoadKey(filepath.Join(m.poolHome(b), KeyFile))
}

// poolHome keeps a device's challenge, receipts and evidence.
func (m *machine) poolHome(b *bench) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, b.ID)
	return filepath.Join(m.config.Home, devicesName, name)
}

// challenges computes loops on a device until ctx ends. What stops it, a ban or
// a host that cheats, stops the loops and nothing else; the device's row says so.
func (b *bench) challenges(ctx context.Context) {
	key, err := b.awaitKey(ctx)
	if err == nil && key != nil {
		err = b.enrol(ctx, key)
	}
	if err != nil && ctx.Err() == nil {
		b.config.Logger.Error("no more challenges are taken", "device", b.ID, "err", err)
		b.mu.Lock()
		b.ended = err.Error()
		b.mu.Unlock()
	}
}

// awaitKey is poolKey that waits for a disk which does not take a new device's folder or key; it is nil
// where ctx has ended.
func (b *bench) awaitKey(ctx context.Context) (ed25519.PrivateKey, error) {
	for pause := keyPause; ; pause = min(2*pause, time.Minute) {
		key, err := b.poolKey(b)
		var file *fs.PathError
		waits := errors.As(err, &file) && !errors.Is(err, ErrLost) && !errors.Is(err, link.ErrKeyFile)
		reason, next := "", ""
		if waits {
			reason, next = link.Explain(err, b.address.HostPort)
			b.config.Logger.Error("no challenges are taken until the disk can be written", "device", b.ID, "err", err, "next", next)
		}
		b.mu.Lock()
		b.waits, b.waitsNext = reason, next
		b.mu.Unlock()
		b.changed()
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

func (b *bench) enrol(ctx context.Context, key ed25519.PrivateKey) error {
	config := pool.Config{
		Address: b.config.URL, Key: key, Home: b.poolHome(b), Engine: b.Engine, Agent: b.config.Agent,
		Device: mpoc.Claimed{ID: b.ID, Name: workerName(b.Name), Engine: b.Engine.Name(), RateOps: 1},
		Payout: b.config.Payout, Node: b.config.Node, AcceptLoss: b.config.AcceptLoss, SelfAudit: b.config.SelfAudit, Gate: &b.gate, Logger: b.config.Logger,
		Event: func(e pool.Event) { b.tell(Event{Device: b.ID, Event: e}) },
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
			b.config.Logger.Debug("the host does not say whether it has a pool", "err", err)
		} else {
			b.mu.Lock()
			b.poolless = true
			b.mu.Unlock()
			b.changed()
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
	if config.Device.RateOps, err = measure(ctx, b.Engine); err != nil {
		return err
	}
	if p, err = pool.New(config); err != nil {
		return err
	}
	b.mu.Lock()
	b.pool, b.poolless = p, false
	if b.machine.epoch != 0 {
		p.Begin(b.machine.epoch)
	}
	b.mu.Unlock()
	b.changed()
	return p.Run(ctx)
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

// tend opens the gate for loops while there is nothing more urgent.
func (b *bench) tend(busy bool) {
	b.mu.Lock()
	reason, until := b.halted()
	switch o := b.machine.order; {
	case !b.paused.IsZero():
		reason, until = b.ownerPaused(), ownerResumes
	case reason != "":
	case !o.idle() && b.welcome == nil:
		reason = fmt.Sprintf("kept for the Sprint of epoch %d while the host is away", o.epoch)
	case !o.idle():
		reason, until = fmt.Sprintf("the Sprint of epoch %d has it", o.epoch), o.until
	case busy || len(b.jobs) > 0:
		reason = "the host's verdicts need it"
	}
	b.mu.Unlock()
	if state := reason + "\n" + until; state != b.tended {
		b.tended = state
		if reason == "" {
			b.gate.Open()
		} else {
			b.gate.Close(reason, until)
		}
	}
}

const ownerResumes = "it is resumed"

// ownerPaused is why nothing is computed. The caller holds mu.
func (m *machine) ownerPaused() string { return "by its owner at " + m.paused.Format(time.TimeOnly) }

// listen takes the owner's word until ctx ends.
func (m *machine) listen(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case paused := <-m.config.Pause:
			m.mu.Lock()
			switch {
			case !paused:
				m.paused = time.Time{}
			case m.paused.IsZero():
				m.paused = time.Now()
			}
			m.mu.Unlock()
			m.changed()
		}
	}
}
