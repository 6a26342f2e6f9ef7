// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
)

// challenge asks for work and checks the terms.
func (m *Machine) challenge(ctx context.Context) error {
	m.is("asking", "", "", "")
	a, err := post[mpocv1.Challenge](ctx, m, mpocv1.PathChallenge, func() any {
		q, sig := m.ask(mpoc.AskChallenge, nil)
		return mpocv1.ChallengeRequest{Asking: q, Signature: sig}
	})
	if err != nil {
		return err
	}
	t := a.Terms
	if err := t.Verify(a.HostSignature); err != nil {
		return fmt.Errorf("%w: %w", mpoc.ErrHost, err)
	}
	if t.HostKey != m.host || t.DeviceKey != signed.KeyOf(m.c.Key) || t.Chain != m.chain {
		return fmt.Errorf("%w: the challenge is for another host, chain or key", mpoc.ErrHost)
	}
	now := m.client.now()
	if last := m.current; last != nil && last.Terms.ChallengeID == t.ChallengeID {
		if last.Terms.Digest() != t.Digest() {
			e := mpoc.Evidence{
				Version: mpoc.EvidenceVersion, Claim: mpoc.TwoTerms,
				Terms:      &mpoc.SignedTerms{Terms: last.Terms, Signature: last.Signature},
				OtherTerms: &mpoc.SignedTerms{Terms: t, Signature: a.HostSignature},
			}
			text, merr := e.Marshal()
			return m.cheated(last, "two-terms", text, merr, fmt.Errorf("%w: two offers of one "+
				"challenge", mpoc.ErrHost))
		}
		return fmt.Errorf("%w: the host still has the one that ended here, until %s at the latest",
			errWait, clock(max(t.Expiry, last.Draw.Deadline)))
	}
	if now+early < t.Issued || now >= t.Expiry {
		return fmt.Errorf("%w: offered %s, expired %s, and it is %s", errWait, clock(t.Issued),
			clock(t.Expiry), clock(now))
	}
	// An open challenge keeps its rules, and so does the pay of earlier ones. What a
	// host offers next it may change, and the owner is told.
	if last := m.current; last == nil || last.Terms.HostKey != t.HostKey ||
		rulesOf(last.Terms) != rulesOf(t) {
		m.log.Info("the host's rules", "rules", rulesOf(t).String())
		m.tell(nil, Event{Type: TheRules, Reason: rulesOf(t).String()})
	}
	m.log.Info("challenge", "id", t.ChallengeID.String(), "shape", t.Shape.String(),
		"duration_ms", t.DurationMS)
	if err := m.begin(challenge{Phase: Computing, Terms: t, Signature: a.HostSignature,
		Token: a.Token}); err != nil {
		return err
	}
	m.shown = time.Now()
	m.tell(m.current, Event{Type: Begun, Deadline: clock(t.Expiry)})
	return nil
}

// free waits until the gate is open, at most until the host's clock shows ms; 0
// is without end.
func (m *Machine) free(ctx context.Context, ms uint64) error {
	if ms != 0 {
		until, cancel := m.client.until(ctx, ms)
		defer cancel()
		ctx = until
	}
	for said := ""; ; {
		closed, reason, until, changed := m.c.Gate.state()
		if !closed {
			return nil
		}
		m.is("paused", reason, until, "")
		if now := reason + "\n" + until; now != said {
			said = now
			m.log.Info("paused", "reason", reason, "until", until)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-time.After(time.Until(m.look)): // it is paid for while it does other work
			m.account(ctx)
		}
	}
}

// compute makes loops until the time is over, and fixes the commit.
func (m *Machine) compute(ctx context.Context) error {
	t := m.current.Terms
	stop := t.Issued + t.DurationMS
	count := 1 // loops of a slice
	var suspects []uint64
	if m.client.now() >= t.Expiry {
		return m.expired()
	}
	// Too few loops for the host to check are not committed to while there is time
	// for more: a commit is signed once.
	last, worth := t.Expiry-min(t.Expiry, reserveMS), m.worth(t)
	goesOn := func() bool {
		if now := m.client.now(); len(m.digests) > 0 {
			return now < stop || now < last && uint64(len(m.digests)) < worth
		}
		return true
	}
	for uint64(len(m.digests)) < t.MaxLoops && goesOn() {
		end := stop
		switch {
		case len(m.digests) == 0:
			end = t.Expiry
		case uint64(len(m.digests)) < worth:
			end = max(stop, last)
		}
		if err := m.free(ctx, end); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if m.client.now() >= t.Expiry {
				return m.expired()
			}
			continue // the time is over
		}
		if m.client.now() >= t.Expiry {
			return m.expired()
		}
		m.is("computing", "", "", "")
		n := min(count, int(t.MaxLoops)-len(m.digests))
		took, lost, err := m.slice(ctx, n, &suspects)
		if err != nil {
			return err
		}
		if lost {
			continue
		}
		left := time.Duration(max(stop, m.client.now())-m.client.now()) * time.Millisecond
		count = max(1, int(min(float64(2*n),
			float64(n)*float64(min(sliceTime, left))/float64(max(took, 1)))))
	}
	if len(m.digests) == 0 {
		return m.expired()
	}
	if err := m.selfAudit(ctx, &suspects); err != nil {
		return err
	}
	m.current.Commit = mpoc.Commit{Loops: uint64(len(m.digests)),
		ComputeTime: mpoc.Seconds(m.tookMS), MerkleRoot: m.tree().Root()}
	m.current.Phase = Committed
	return m.save()
}

// slice computes the next n loops, and audits what was chosen in earlier ones; lost says that the
// device's time was over first. suspects are the units that the device computes twice.
func (m *Machine) slice(ctx context.Context, n int, suspects *[]uint64) (took time.Duration,
	lost bool, err error) {
	units := make([]uint64, n)
	for i := range units {
		units[i] = uint64(len(m.digests) + i)
	}
	digests := make([][32]byte, n)
	began := time.Now()
	slice, cancel := m.c.Gate.during(ctx)
	err = m.matmul(slice, digests, units)
	closed := slice.Err() != nil
	cancel()
	switch {
	case ctx.Err() != nil:
		return 0, false, ctx.Err()
	case err != nil && closed:
		return 0, true, nil
	case err != nil:
		return 0, false, m.unstable(fmt.Errorf("%w: %s: computing loop %d: %w", ErrUnstable,
			m.c.Device.ID, units[0], err))
	}
	took = time.Since(began)
	if err := m.add(digests, took); err != nil {
		return 0, false, err
	}
	m.mu.Lock()
	m.loops.add(time.Now(), uint64(n))
	m.mu.Unlock()
	m.count(func(c *Counts) { c.Loops += uint64(n) })
	m.progress()
	m.account(ctx)
	// What was chosen in earlier slices comes now, in another batch.
	if err := m.selfAudit(ctx, suspects); err != nil {
		return 0, false, err
	}
	for _, unit := range units {
		if rand.Uint64N(m.c.SelfAudit) == 0 {
			*suspects = append(*suspects, unit)
		}
	}
	return took, false, nil
}

// worth is how many loops a host should take: a fifth of what it planned with. Its
// plan is a tenth of the most that it takes, or less; this device's own is what it
// makes at its measured rate.
func (m *Machine) worth(t mpoc.Terms) uint64 {
	hi, lo := bits.Mul64(m.c.Device.RateOps, t.DurationMS)
	own := t.MaxLoops
	if unit := t.Shape.Matmul().Ops() * 1000; hi < unit {
		own, _ = bits.Div64(hi, lo, unit)
	}
	return min(t.MaxLoops/50, own/5)
}

func (m *Machine) expired() error {
	return m.over(WasDropped, dropped, fmt.Sprintf("it expired at %s with %d loops computed and "+
		"nothing committed", clock(m.current.Terms.Expiry), len(m.digests)))
}

// matmul computes units in as many parts as the engine likes.
func (m *Machine) matmul(ctx context.Context, dst [][32]byte, units []uint64) error {
	t := m.current.Terms
	part := (len(units) + m.c.Threads - 1) / m.c.Threads
	var running sync.WaitGroup
	errs := make([]error, m.c.Threads)
	i := 0
	for some := range slices.Chunk(units, part) {
		at, err := dst[i*part:][:len(some)], &errs[i]
		running.Go(func() {
			*err = m.c.Engine.Matmul(ctx, at, seed.Seed(t.Seed), t.Shape.Matmul(), some)
		})
		i++
	}
	running.Wait()
	return errors.Join(errs...)
}

// selfAudit computes loops again, each on its own, unless the gate closes.
func (m *Machine) selfAudit(ctx context.Context, suspects *[]uint64) error {
	for _, unit := range *suspects {
		free, cancel := m.c.Gate.during(ctx)
		again := make([][32]byte, 1)
		err := m.matmul(free, again, []uint64{unit})
		closed := free.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && closed:
			continue // the device is not ours now; others follow
		case err != nil:
			return m.unstable(fmt.Errorf("%w: %s: computing loop %d: %w", ErrUnstable,
				m.c.Device.ID, unit, err))
		}
		if err := m.check(unit, again[0]); err != nil {
			return m.unstable(err)
		}
	}
	*suspects = nil
	return nil
}

// check compares a loop with what it was at first.
func (m *Machine) check(unit uint64, again [32]byte) error {
	wrong := again != m.digests[unit]
	m.count(func(c *Counts) {
		c.SelfChecks++
		if wrong {
			c.FailedSelfChecks++
		}
	})
	if wrong {
		m.log.Error("failed self-check", "loop", unit, "challenge",
			m.current.Terms.ChallengeID.String())
		err := fmt.Errorf("%w: %s (%s) gave two results for loop %d", ErrUnstable, m.c.Device.ID,
			m.c.Device.Name, unit)
		m.tell(m.current, Event{Type: SelfCheckFailed, Loops: unit, Reason: err.Error(),
			Next: next(err)})
		return err
	}
	return nil
}

// unstable abstains from the current submission because of err.
func (m *Machine) unstable(err error) error {
	oerr := m.over(HasAbstained, abstained, "abstained: "+err.Error())
	if !errors.Is(oerr, errOver) {
		return oerr
	}
	return err
}

// tree is the log of all loops.
func (m *Machine) tree() *commit.Log {
	var tree commit.Log
	for i, d := range m.digests {
		tree.Append(m.current.Terms.LeafHash(uint64(i), d))
	}
	return &tree
}
