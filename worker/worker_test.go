// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/enginetest"
	"github.com/assaynet/assay/worker/pool"
	"github.com/assaynet/assay/worker/runner"
)

func TestSelfTestMismatchRefusesToRun(t *testing.T) {
	broken := brokenEngine{work.Reference()}
	err := Run(t.Context(), Config{URL: someURL, Home: t.TempDir(), Engine: broken})
	if !errors.Is(err, ErrSelfTest) || !errors.Is(err, work.ErrSelfTest) ||
		!strings.Contains(err.Error(), "nothing is computed with it") {
		t.Fatalf("ran with a broken engine: %v", err)
	}
}

const someURL = "assay://127.0.0.1:1#00112233445566778899aabbccddeeff"

type brokenEngine struct{ work.Engine }

func (e brokenEngine) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := e.Engine.Transformer(ctx, class, seed1, progress)
	return brokenModel{m}, err
}

type brokenModel struct{ transformer.Model }

func (m brokenModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	err := m.Model.Run(dst, node, segment, nonces)
	dst[len(dst)-1].Digest[31] ^= 1
	return err
}

// While a machine registers with the host's pool, that the Sprint does not know it
// is no trouble; where there is no pool it is.
func TestRegisteringIsNoTrouble(t *testing.T) {
	address, err := link.ParseAddress(someURL)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(Config{URL: someURL, Home: t.TempDir(),
		Devices: []Device{{ID: "cpu", Engine: work.Reference()}}}, address, fakeHostKey, nil)
	n := m.session
	m.desk.testing, n.stranger, n.answered, n.trouble = false, true, true,
		"refused by the host: this host does not know key 00"
	if s := m.snapshot(time.Now()); s.State != "registering" || s.Trouble != "" || s.Connected {
		t.Errorf("asking for a pool: %+v", s)
	}
	l := m.desk.places[0].loops
	if l.pool, err = poolOf(l, fakeHostKey); err != nil {
		t.Fatal(err)
	}
	if s := m.snapshot(time.Now()); s.State != "registering" || s.Trouble != "" || s.Connected {
		t.Errorf("registering: %+v", s)
	}
	l.pool, l.poolless = nil, true
	if s := m.snapshot(time.Now()); s.State != "registering" || s.Trouble != n.trouble ||
		s.Connected {
		t.Errorf("no pool: %+v", s)
	}
}

// poolOf is a device's work for a pool that is not reached yet.
func poolOf(l *loops, key ed25519.PrivateKey) (*pool.Machine, error) {
	return pool.New(pool.Config{Address: someURL, Key: key, Home: l.folder(),
		Engine: l.device.Engine, Device: mpoc.Claimed{ID: l.device.ID, Engine: "x", RateOps: 1}})
}

// A host that is away is no reason to say that its orders are waited for.
func TestAwayIsNotReady(t *testing.T) {
	address, err := link.ParseAddress(someURL)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(Config{URL: someURL, Home: t.TempDir(),
		Devices: []Device{{ID: "cpu", Engine: new(enginetest.Engine)}}}, address, fakeHostKey, nil)
	m.desk.testing, m.session.trouble = false, "nothing listens at 127.0.0.1:1"
	m.desk.order,
		m.desk.ends = &order{Need: runner.Need{Model: runner.ModelKey{Class: transformer.Nano,
		Seed1: seedOf(9)}, Epoch: 17}}, "block 9"
	b := m.desk.places[0]
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	for !b.State(time.Now(), &m.desk.order.Need).Build.Built {
		<-m.desk.reportWake
	}
	cancel()
	running.Wait() // what follows has no other reader
	b.Take(runner.Ask{})
	away := m.snapshot(time.Now())
	if away.State != "connecting" || away.Reason != m.session.trouble || away.Until != "" ||
		!strings.HasPrefix(b.tended, "kept for the Sprint of epoch 17 while the host is away") {
		t.Errorf("away: %+v, %q", away, b.tended)
	}
	m.session.welcome = &workerv1.Welcome{}
	b.Take(runner.Ask{})
	if s := m.snapshot(time.Now()); s.State != "ready" || s.Until != "block 9" ||
		!strings.HasPrefix(b.tended, "the Sprint of epoch 17 has it") {
		t.Errorf("connected: %+v, %q", s, b.tended)
	}
}

// The owner hears of further tries while their pauses grow, and now and then later.
func TestTriesAreTold(t *testing.T) {
	var told []string
	pause := pauseMin
	for tries := 1; tries <= 40; tries++ {
		if worthSaying(tries, pause) {
			told = append(told, ordinal(tries+1))
		}
		pause = min(2*pause, pauseMax)
	}
	if d := cmp.Diff(strings.Fields("5th 6th 7th 8th 9th 17th 33rd"), told); d != "" {
		t.Error(d)
	}
	if got := ordinal(11) + ordinal(21) + ordinal(112); got != "11th21st112th" {
		t.Error(got)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, c := range map[string]Config{
		"no url":  {Home: t.TempDir()},
		"no home": {URL: someURL},
		"nice":    {URL: someURL, Home: t.TempDir(), Nice: 20},
	} {
		if err := Run(t.Context(), c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two workers never share a home; when the first one ends, however it does, the
// next one can have it.
func TestHomeIsLocked(t *testing.T) {
	home := t.TempDir()
	unlock, err := lock(home)
	if err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), Config{URL: someURL, Home: home, Engine: new(enginetest.Engine)})
	if want := fmt.Sprintf("another worker (process %d) works with %s; stop it", os.Getpid(),
		home); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = lock(home); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}
