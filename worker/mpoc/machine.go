// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/commit"
	poc "github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

var (
	// ErrConfig reports a machine that cannot be made.
	ErrConfig = errors.New("mpoc: configuration")
	// ErrBanned says that the host takes no more work of this key.
	ErrBanned = errors.New("mpoc: banned by the host")
	// ErrUnstable reports a device that gave two results for one loop.
	ErrUnstable = errors.New("mpoc: the device is unstable")

	// ErrCopied says that another machine works with this machine's key, or that the
	// home is an older copy of what it was.
	ErrCopied = errors.New("another machine works with this machine's key, or this home is an older copy of itself")

	// errOver ends a challenge without a judgement, which was told.
	errOver = errors.New("mpoc: the challenge is over")
	// errWait says that there is no challenge to compute yet.
	errWait = errors.New("mpoc: no challenge yet")
	// errUnheard says that a receipt was asked for and not given.
	errUnheard = errors.New("mpoc: no receipt")
)

const (
	sliceTime = 100 * time.Millisecond
	// tries is how often a loop that is opened is computed until it is what was
	// committed.
	tries = 3
	// accountTime is about how often the account is looked at; after a receipt it is
	// at once. accountWait is how long a device stands still for it at most.
	accountTime = 30 * time.Second
	accountWait = 5 * time.Second
	// restMin and restMax are how long an unstable device rests.
	restMin = time.Minute
	restMax = time.Hour
	// early is how much later than by the host's clock a challenge ends for the
	// machine: the clock is known to a request's time only.
	early = 2_000
)

// Engine is what the machine needs of a work.Engine.
type Engine interface {
	Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape, units []uint64) error
	Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape, unit uint64) error
}

// Config says for whom a device works, and how.
type Config struct {
	Address string             // assay://host:port#fingerprint
	Key     ed25519.PrivateKey // of this device, and no other
	Home    string             // of this device, and no other
	Engine  Engine             // has passed its self-test
	Device  poc.Claimed        // RateOps is its measured rate
	Payout  string             // account on the chain; may be empty
	Agent   string             // program and version
	// Threads is how many parts of a slice are computed at a time; 0 is 1, right
	// for engines that are parallel inside.
	Threads int
	// SelfAudit is N: one loop in N is computed twice. 0 is 256.
	SelfAudit uint64
	Gate      *Gate        // optional
	Event     func(Event)  // called by Run's goroutine; optional
	Logger    *slog.Logger // optional
}

// Machine is one device at work for one host.
type Machine struct {
	c       Config
	address link.Address
	log     *slog.Logger
	client  *client

	// Of the host, since it was registered with. These belong to Run.
	chain string
	host  poc.Key
	asked poc.Asking // the latest
	look  time.Time  // when to look at the account again
	// The hashes of the transfers that the account showed then.
	transfers map[string]bool
	resumed   bool // the challenge is an earlier run's
	resting   time.Duration
	shown     time.Time // progress
	rest      uint64    // operations that make no full 10^6 yet
	*store

	mu      sync.Mutex
	status  Status
	loops   meter
	started time.Time
	// When the epoch began, and how many loops had been computed then.
	epochBegan time.Time
	epochLoops uint64
}

// New makes a machine. Errors wrap ErrConfig.
func New(c Config) (*Machine, error) {
	address, err := link.ParseAddress(c.Address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	case len(c.Key) != ed25519.PrivateKeySize || c.Home == "" || c.Engine == nil:
		return nil, fmt.Errorf("%w: key, home and engine are needed", ErrConfig)
	case c.Device.RateOps == 0:
		return nil, fmt.Errorf("%w: device %q has no measured rate; run its benchmark", ErrConfig, c.Device.ID)
	}
	if c.Agent == "" {
		c.Agent = "assay-worker"
	}
	if c.SelfAudit == 0 {
		c.SelfAudit = 256
	}
	c.Threads = max(c.Threads, 1)
	if c.Gate == nil {
		c.Gate = new(Gate)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Machine{c: c, address: address, log: c.Logger.With("device", c.Device.ID)}
	if m.client, err = newClient(c, address); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	m.status = Status{
		Device: c.Device.ID, Name: c.Device.Name, Key: poc.KeyOf(c.Key).String(), Host: address.HostPort,
		State: "connecting", Reason: "not started yet",
	}
	return m, nil
}

// Run works until ctx ends, which is no error. It returns one where going on is
// pointless: a host that cheats (poc/mpoc.ErrHost), a ban, somebody else at the
// host's address, a disk that does not keep what is written.
func (m *Machine) Run(ctx context.Context) (err error) {
	if m.store, err = openStore(m.c.Home); err != nil {
		return err
	}
	m.resumed = true
	m.mu.Lock()
	m.started, m.status.InAll = time.Now(), m.store.counts()
	if m.epochBegan.IsZero() {
		m.epochBegan = m.started
	}
	m.status.Missing = uint64(len(m.missing))
	m.mu.Unlock()
	defer func() {
		m.client.http.CloseIdleConnections()
		err = errors.Join(err, m.store.close())
		if err != nil {
			m.is("ended", err.Error(), "", next(err))
		} else {
			m.is("ended", Stopped, "", "")
		}
	}()
	for pause := pauseMin; ; {
		err := m.turn(ctx)
		wait := pause/2 + rand.N(pause/2)
		var refused *mpocv1.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			pause = pauseMin
			continue
		case code(err) == mpocv1.CodeBanned:
			return fmt.Errorf("%w: %w", ErrBanned, err)
		case errors.Is(err, ErrUnstable):
			wait = max(restMin, m.resting)
			m.resting = min(2*wait, restMax)
			m.is("unstable", err.Error(), time.Now().Add(wait).UTC().Format(time.RFC3339), next(err))
		case errors.Is(err, ErrCopied):
			wait = restMin // who has one machine, put back from a copy, goes on after it
			m.is("idle", err.Error(), time.Now().Add(wait).UTC().Format(time.RFC3339), next(err))
		case code(err) == mpocv1.CodeUnknownDevice: // a host that lost its memory
			m.host = poc.Key{}
			fallthrough
		case errors.Is(err, errOver):
			m.is("asking", "", "", "")
		case errors.Is(err, errWait), errors.As(err, &refused):
			m.is("idle", reason(err), "", next(err))
		default:
			return err
		}
		m.log.Warn("not computing", "reason", err, "next", next(err), "for", wait.Round(time.Millisecond))
		if sleep(ctx, wait) != nil {
			return nil
		}
		pause = min(2*pause, pauseMax)
	}
}

// reason is an error in words for people: a refusal's without its code.
func reason(err error) string {
	var e *mpocv1.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// next is what the owner can do about an error.
func next(err error) string {
	var e *mpocv1.Error
	switch {
	case errors.As(err, &e):
		return e.NextStep
	case errors.Is(err, ErrUnstable):
		return "lower the device's clocks and temperature and test its memory; it goes on by itself after a rest"
	case errors.Is(err, ErrCopied):
		return "stop one of the machines, or give each a --home, and with it a key, of its own"
	case errors.Is(err, poc.ErrHost):
		return "run assay verify on the file, show it to others, and work for another host"
	case errors.Is(err, link.ErrFingerprint), errors.Is(err, errOver), errors.Is(err, errWait):
		return ""
	}
	return "check that the host runs and that this machine can reach it"
}

// turn brings one challenge, begun or not, to its end.
func (m *Machine) turn(ctx context.Context) error {
	if m.host == (poc.Key{}) {
		if err := m.register(ctx); err != nil {
			return err
		}
		if c := m.current; c != nil && c.Phase != Over && (c.Terms.HostKey != m.host || c.Terms.Chain != m.chain || c.Terms.DeviceKey != poc.KeyOf(m.c.Key)) {
			if err := m.over(WasDropped, dropped, "it was another host's, chain's or key's"); !errors.Is(err, errOver) {
				return err
			}
		}
	}
	m.account(ctx)
	if err := m.collect(ctx); err != nil {
		return err
	}
	if m.current == nil || m.current.Phase == Over {
		if err := m.free(ctx, 0); err != nil {
			return err
		}
		if err := m.challenge(ctx); err != nil {
			return err
		}
	}
	m.progress()
	var err error
	for err == nil && m.current.Phase != Over {
		switch m.current.Phase {
		case Computing:
			err = m.compute(ctx)
		case Committed:
			err = m.commit(ctx)
		case Drawn:
			err = m.prove(ctx)
		default:
			err = m.over(WasDropped, dropped, "its file is in the phase "+string(m.current.Phase))
		}
		m.progress()
	}
	return err
}

// progress shows the challenge at hand.
func (m *Machine) progress() {
	c := m.current
	p := &Progress{
		ID: c.Terms.ChallengeID.String(), Phase: c.Phase, Shape: c.Terms.Shape.String(),
		Loops: uint64(len(m.digests)), Deadline: clock(c.Terms.Expiry), Rules: rulesOf(c.Terms),
	}
	if p.Expected = p.Loops; c.Phase == Computing {
		left := c.Terms.Issued + c.Terms.DurationMS - min(m.client.now(), c.Terms.Issued+c.Terms.DurationMS)
		rate := m.c.Device.RateOps * 1000 / c.Terms.Shape.Matmul().Ops() // loops in 1,000 s, before there are any
		if m.tookMS > 0 {
			rate = p.Loops * 1_000_000 / m.tookMS
		}
		p.Expected = min(p.Loops+rate*left/1_000_000, c.Terms.MaxLoops)
	}
	if c.Phase == Drawn {
		p.Deadline = clock(c.Draw.Deadline)
	}
	if c.Phase == Over {
		p = nil
	}
	m.change(func(s *Status) { s.Challenge = p })
	if c.Phase == Computing && time.Since(m.shown) >= progressTime {
		m.shown = time.Now()
		m.tell(m.current, Event{Type: InProgress, Loops: p.Loops, Expected: p.Expected, Deadline: p.Deadline})
	}
}

// over ends the current challenge without a judgement, counts it, and tells of it
// in an event of the given type. The receipt of what was committed is asked for
// later. It returns an error that wraps errOver.
func (m *Machine) over(kind string, n func(*Counts), why string) error {
	if p := m.current.Phase; p == Committed || p == Drawn {
		if err := m.miss(*m.current); err != nil {
			return err
		}
		m.change(func(s *Status) { s.Missing = uint64(len(m.missing)) })
		if kind == WasDropped {
			kind, n = ReceiptMissing, nothing
		}
	}
	return m.end(kind, n, why)
}

// end is over where no receipt is to be expected.
func (m *Machine) end(kind string, n func(*Counts), why string) error {
	m.count(n)
	m.current.Phase = Over
	if err := m.save(); err != nil {
		return err
	}
	m.change(func(s *Status) { s.LastReason = why })
	m.tell(m.current, Event{Type: kind, Reason: why})
	return fmt.Errorf("%w: %s", errOver, why)
}

// Counts that over adds to.
func dropped(c *Counts)   { c.Dropped++ }
func nothing(*Counts)     {}
func late(c *Counts)      { c.Late++ }
func abstained(c *Counts) { c.Abstained++ }

// save keeps the state, and the counts with it.
func (m *Machine) save() error {
	m.mu.Lock()
	counts := m.status.InAll
	m.mu.Unlock()
	return m.store.save(counts)
}

// begin makes a challenge the current one.
func (m *Machine) begin(c challenge) error {
	m.mu.Lock()
	counts := m.status.InAll
	m.mu.Unlock()
	return m.store.begin(c, counts)
}

// cheated keeps what shows what the host did. The challenge is over.
func (m *Machine) cheated(c *challenge, what string, text []byte, merr, err error) error {
	if merr != nil {
		return errors.Join(err, merr)
	}
	path, serr := m.evidence(c.Terms.ChallengeID, what, text)
	if serr != nil {
		return errors.Join(err, serr)
	}
	m.change(func(s *Status) { s.EvidenceSaved = path })
	m.log.Error("the host cheats", "reason", err, "evidence", path)
	if serr := m.settled(c); serr != nil {
		return serr
	}
	m.change(func(s *Status) { s.LastReason = err.Error() })
	m.tell(c, Event{Type: HostCheats, Reason: err.Error() + "; kept as " + path, Evidence: path, Next: next(err)})
	return fmt.Errorf("%w; kept as %s", err, path)
}

// settled notes that nothing more comes for a challenge.
func (m *Machine) settled(c *challenge) error {
	if err := m.found(c.Terms.ChallengeID); err != nil {
		return err
	}
	m.change(func(s *Status) { s.Missing = uint64(len(m.missing)) })
	if c == m.current {
		c.Phase = Over
	}
	if m.current == nil {
		return nil
	}
	return m.save()
}

// show keeps what the host said where its signatures alone show nothing.
func (m *Machine) show(c *challenge, what string, answer any, err error) error {
	text, merr := json.MarshalIndent(struct {
		Note   string           `json:"note"`
		Terms  poc.SignedTerms  `json:"terms"`
		Commit poc.SignedCommit `json:"commit"`
		Answer any              `json:"answer"`
	}{err.Error(), poc.SignedTerms{Terms: c.Terms, Signature: c.Signature}, poc.SignedCommit{Commit: c.Commit, Signature: c.log().Sign(m.c.Key)}, answer}, "", "  ")
	return m.cheated(c, what, text, merr, err)
}

// challenge asks for work and checks the terms.
func (m *Machine) challenge(ctx context.Context) error {
	m.is("asking", "", "", "")
	a, err := post[mpocv1.Challenge](ctx, m, mpocv1.PathChallenge, func() any {
		q, sig := m.ask(poc.AskChallenge, nil)
		return mpocv1.ChallengeRequest{Asking: q, Signature: sig}
	})
	if err != nil {
		return err
	}
	t := a.Terms
	if err := t.Verify(a.HostSignature); err != nil {
		return fmt.Errorf("%w: %w", poc.ErrHost, err)
	}
	if t.HostKey != m.host || t.DeviceKey != poc.KeyOf(m.c.Key) || t.Chain != m.chain {
		return fmt.Errorf("%w: the challenge is for another host, chain or key", poc.ErrHost)
	}
	now := m.client.now()
	if last := m.current; last != nil && last.Terms.ChallengeID == t.ChallengeID {
		if last.Terms.Digest() != t.Digest() {
			e := poc.Evidence{
				Version: poc.EvidenceVersion, Claim: poc.TwoTerms,
				Terms:      &poc.SignedTerms{Terms: last.Terms, Signature: last.Signature},
				OtherTerms: &poc.SignedTerms{Terms: t, Signature: a.HostSignature},
			}
			text, merr := e.Marshal()
			return m.cheated(last, "two-terms", text, merr, fmt.Errorf("%w: two offers of one challenge", poc.ErrHost))
		}
		return fmt.Errorf("%w: the host still has the one that ended here, until %s at the latest", errWait, clock(max(t.Expiry, last.Draw.Deadline)))
	}
	if now+early < t.Issued || now >= t.Expiry {
		return fmt.Errorf("%w: offered %s, expired %s, and it is %s", errWait, clock(t.Issued), clock(t.Expiry), clock(now))
	}
	// An open challenge keeps its rules, and so does the pay of earlier ones. What a
	// host offers next it may change, and the owner is told.
	if last := m.current; last == nil || last.Terms.HostKey != t.HostKey || rulesOf(last.Terms) != rulesOf(t) {
		m.log.Info("the host's rules", "rules", rulesOf(t).String())
		m.tell(nil, Event{Type: TheRules, Reason: rulesOf(t).String()})
	}
	m.log.Info("challenge", "id", t.ChallengeID.String(), "shape", t.Shape.String(), "duration_ms", t.DurationMS)
	if err := m.begin(challenge{Phase: Computing, Terms: t, Signature: a.HostSignature, Token: a.Token}); err != nil {
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
	for uint64(len(m.digests)) < t.MaxLoops && (m.client.now() < stop || len(m.digests) == 0) {
		end := stop
		if len(m.digests) == 0 {
			end = t.Expiry
		}
		if err := m.free(ctx, end); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // the time is over
		}
		if m.client.now() >= t.Expiry {
			return m.expired()
		}
		m.is("computing", "", "", "")
		n := min(count, int(t.MaxLoops)-len(m.digests))
		units := make([]uint64, n)
		for i := range units {
			units[i] = uint64(len(m.digests) + i)
		}
		digests := make([][32]byte, n)
		began := time.Now()
		slice, cancel := m.c.Gate.during(ctx)
		err := m.matmul(slice, digests, units)
		closed := slice.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && closed: // the slice is lost
			continue
		case err != nil:
			return m.unstable(fmt.Errorf("%w: %s: computing loop %d: %w", ErrUnstable, m.c.Device.ID, units[0], err))
		}
		took := time.Since(began)
		if err := m.add(digests, took); err != nil {
			return err
		}
		m.mu.Lock()
		m.loops.add(time.Now(), uint64(n))
		m.mu.Unlock()
		m.count(func(c *Counts) { c.Loops += uint64(n) })
		m.progress()
		m.account(ctx)
		// What was chosen in earlier slices comes now, in another batch.
		if err := m.selfAudit(ctx, &suspects); err != nil {
			return err
		}
		for _, unit := range units {
			if rand.Uint64N(m.c.SelfAudit) == 0 {
				suspects = append(suspects, unit)
			}
		}
		left := time.Duration(max(stop, m.client.now())-m.client.now()) * time.Millisecond
		count = max(1, int(min(float64(2*n), float64(n)*float64(min(sliceTime, left))/float64(max(took, 1)))))
	}
	if len(m.digests) == 0 {
		return m.expired()
	}
	if err := m.selfAudit(ctx, &suspects); err != nil {
		return err
	}
	m.current.Commit = poc.Commit{Loops: uint64(len(m.digests)), ComputeTime: poc.Seconds(m.tookMS), MerkleRoot: m.tree().Root()}
	m.current.Phase = Committed
	return m.save()
}

func (m *Machine) expired() error {
	return m.over(WasDropped, dropped, fmt.Sprintf("it expired at %s with %d loops computed and nothing committed", clock(m.current.Terms.Expiry), len(m.digests)))
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
			return m.unstable(fmt.Errorf("%w: %s: computing loop %d: %w", ErrUnstable, m.c.Device.ID, unit, err))
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
		m.log.Error("failed self-check", "loop", unit, "challenge", m.current.Terms.ChallengeID.String())
		err := fmt.Errorf("%w: %s (%s) gave two results for loop %d", ErrUnstable, m.c.Device.ID, m.c.Device.Name, unit)
		m.tell(m.current, Event{Type: SelfCheckFailed, Loops: unit, Reason: err.Error(), Next: next(err)})
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

// commit sends the root and takes the draw.
func (m *Machine) commit(ctx context.Context) error {
	m.is("answering", "sending the commit", clock(m.current.Terms.Expiry), "")
	c := m.current
	l := c.log()
	// Sent before, perhaps: asked for as long as an answer to it may be waited for.
	within, cancel := m.client.until(ctx, c.Terms.Expiry+3*60_000)
	defer cancel()
	a, err := post[mpocv1.CommitAnswer](within, m, mpocv1.PathCommits, func() any {
		return mpocv1.CommitRequest{
			ChallengeID: c.Terms.ChallengeID, Token: c.Token, Seed: c.Terms.Seed, Commit: c.Commit, DeviceSignature: l.Sign(m.c.Key),
		}
	})
	if err != nil {
		return m.lost(ctx, err)
	}
	if err := a.Draw.VerifySignature(l, a.HostSignature); err != nil {
		return m.show(c, "draw", a, fmt.Errorf("%w: %w", poc.ErrHost, err))
	}
	if err := a.Draw.Verify(l); err != nil {
		e := poc.Evidence{
			Version: poc.EvidenceVersion, Claim: poc.BadDraw,
			Terms:  &poc.SignedTerms{Terms: c.Terms, Signature: c.Signature},
			Commit: &poc.SignedCommit{Commit: c.Commit, Signature: l.Sign(m.c.Key)},
			Draw:   &poc.SignedDraw{Draw: a.Draw, Signature: a.HostSignature},
		}
		text, merr := e.Marshal()
		return m.cheated(c, "bad-draw", text, merr, fmt.Errorf("%w: %w", poc.ErrHost, err))
	}
	if q := a.Draw.Questions(l); !slices.Equal(a.Indices, q.Samples()) || !slices.Equal(a.Picks, q.Picks(0)) {
		return m.show(c, "questions", a, fmt.Errorf("%w: it asks other loops or tiles than follow from its nonce", poc.ErrHost))
	}
	c.Draw, c.DrawSignature, c.Phase = a.Draw, a.HostSignature, Drawn
	if err := m.save(); err != nil {
		return err
	}
	m.tell(m.current, Event{Type: Commitment, Deadline: clock(c.Draw.Deadline)})
	return nil
}

// lost is what becomes of a submission that the host does not take.
func (m *Machine) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch code(err) {
	case mpocv1.CodeUnknownDevice, mpocv1.CodeBanned:
		return err
	}
	if code(err) == mpocv1.CodeNoChallenge { // so it has no receipt either
		return m.end(WasLate, late, err.Error())
	}
	return m.over(ReceiptMissing, nothing, err.Error())
}

// findTime is how long a receipt is asked for at a time.
const findTime = 30 * time.Second

// find asks for the receipt of a submission, and takes it.
func (m *Machine) find(ctx context.Context, c *challenge) error {
	within, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	a, err := post[mpocv1.FindAnswer](within, m, mpocv1.PathFind, func() any {
		q, sig := m.ask(poc.AskReceipt, &c.Terms.ChallengeID)
		return mpocv1.FindRequest{Asking: q, Signature: sig}
	})
	switch {
	case err == nil:
		return m.receive(ctx, c, a.Receipt)
	case code(err) == mpocv1.CodeUnknownDevice:
		return err
	case code(err) != "" || within.Err() != nil:
		return fmt.Errorf("%w: %w", errUnheard, err)
	}
	return err
}

// collect asks for the receipts that are missing. What this host does not say now
// waits for the next time.
func (m *Machine) collect(ctx context.Context) error {
	if c := m.current; m.resumed && c != nil && (c.Phase == Committed || c.Phase == Drawn) {
		// Perhaps it was judged before this program died, and nothing has to be
		// opened again.
		if err := m.find(ctx, c); err != nil && !errors.Is(err, errUnheard) {
			return err
		}
	}
	m.resumed = false
	for _, c := range slices.Clone(m.missing) {
		if c.Terms.HostKey != m.host || c.Terms.DeviceKey != poc.KeyOf(m.c.Key) {
			continue
		}
		err := m.find(ctx, &c)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case code(err) == mpocv1.CodeNoChallenge:
			m.count(func(n *Counts) { n.Failed++ })
			m.change(func(s *Status) { s.LastReason = err.Error() })
			m.log.Warn("no receipt", "challenge", c.Terms.ChallengeID.String(), "reason", err)
			m.tell(&c, Event{Type: NoAnswer, Reason: reason(err)})
			err = m.settled(&c)
		case errors.Is(err, errUnheard):
			m.log.Info("the receipt is still missing", "challenge", c.Terms.ChallengeID.String(), "reason", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// prove answers every round and takes the receipt.
func (m *Machine) prove(ctx context.Context) error {
	c := m.current
	l, tree := c.log(), m.tree()
	if uint64(len(m.digests)) != c.Commit.Loops || tree.Root() != c.Commit.MerkleRoot {
		return m.over(ReceiptMissing, nothing, "the file of its digests was damaged after the commit")
	}
	q := c.Draw.Questions(l)
	deadline := c.Draw.Deadline
	for round := uint32(0); ; {
		m.is("answering", fmt.Sprintf("opening what round %d asks", round), clock(deadline), "")
		p, err := m.open(ctx, q, tree, round)
		if err != nil {
			return err
		}
		a, err := m.send(ctx, mpocv1.ProofRequest{
			ChallengeID: c.Terms.ChallengeID, Token: c.Token, Seed: c.Terms.Seed, Commit: c.Commit,
			Round: p.Round, Samples: p.Samples, Tiles: p.Tiles, DeviceSignature: p.Sign(l, c.Draw, m.c.Key),
		}, deadline)
		switch {
		case err != nil:
			return m.lost(ctx, err)
		case a.Receipt != nil:
			return m.receive(ctx, c, *a.Receipt)
		case a.More.Round <= round || a.More.Round >= c.Terms.MaxRounds() || !slices.Equal(a.More.Picks, q.Picks(a.More.Round)):
			return m.show(c, "questions", a, fmt.Errorf("%w: round %d after round %d asks other tiles than follow from its nonce", poc.ErrHost, a.More.Round, round))
		}
		round, deadline = a.More.Round, a.More.Deadline
	}
}

// send sends the answer to a round until it is taken: for some time after the
// deadline, since the host may be rounds ahead of what was known before a restart,
// and for as long as the host says that the wait is its own.
func (m *Machine) send(ctx context.Context, q mpocv1.ProofRequest, deadline uint64) (mpocv1.ProofAnswer, error) {
	for {
		within, cancel := m.client.until(ctx, max(deadline, m.client.now())+60_000)
		a, err := post[mpocv1.ProofAnswer](within, m, mpocv1.PathProofs, func() any { return q })
		cancel()
		if code(err) != mpocv1.CodeBusy || ctx.Err() != nil {
			return a, err
		}
	}
}

// open makes the openings of a round. Loops of which tiles are opened are
// computed again. It does not wait for the gate.
func (m *Machine) open(ctx context.Context, q poc.Questions, tree *commit.Log, round uint32) (poc.Proof, error) {
	t, l := m.current.Terms, m.current.log()
	// Lists, also where they are empty: null is no list.
	p := poc.Proof{Round: round, Samples: []poc.Sample{}, Tiles: []poc.TileOpening{}}
	if round == 0 {
		for _, index := range q.Samples() {
			s, err := l.OpenSample(tree, index, m.digests[index])
			if err != nil {
				return p, err
			}
			p.Samples = append(p.Samples, s)
		}
	}
	tiles := make([][32]byte, t.Shape.Matmul().Tiles())
	for i, pick := range q.Picks(round) { // rising, so a loop's tiles follow each other
		if i == 0 || pick.Index != p.Tiles[i-1].Index {
			if err := m.again(ctx, tiles, pick.Index); err != nil {
				return p, err
			}
		}
		o, err := l.OpenTile(tree, pick, tiles)
		if err != nil {
			return p, err
		}
		p.Tiles = append(p.Tiles, o)
	}
	return p, nil
}

// again computes the tiles of a loop that was committed. Where they stay others
// than they were the loop cannot be opened.
func (m *Machine) again(ctx context.Context, tiles [][32]byte, unit uint64) error {
	t := m.current.Terms
	var err error
	for range tries {
		if err = m.c.Engine.Tiles(ctx, tiles, seed.Seed(t.Seed), t.Shape.Matmul(), unit); ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			if err = m.check(unit, matmul.Root(tiles)); err == nil {
				return nil
			}
		} else {
			err = fmt.Errorf("%w: %s: computing the tiles of loop %d: %w", ErrUnstable, m.c.Device.ID, unit, err)
		}
	}
	return m.unstable(err)
}

// receive checks the receipt of a challenge, keeps it and signs it back.
func (m *Machine) receive(ctx context.Context, c *challenge, r poc.Receipt) error {
	if r.Log().Digest() != c.log().Digest() {
		if r.Terms.Digest() == c.Terms.Digest() && r.Log().Verify(r.CommitSignature) == nil {
			return m.copied(c) // the host did as it has to: the first commit stands
		}
		return m.show(c, "receipt", r, fmt.Errorf("%w: the receipt is about another submission", poc.ErrHost))
	}
	if r.Draw != nil && c.DrawSignature != (poc.Signature{}) && *r.Draw != c.Draw {
		return m.show(c, "receipt", struct {
			Draw    poc.SignedDraw `json:"draw"`
			Receipt poc.Receipt    `json:"receipt"`
		}{poc.SignedDraw{Draw: c.Draw, Signature: c.DrawSignature}, r}, fmt.Errorf("%w: the receipt has another draw than the host answered with", poc.ErrHost))
	}
	switch err := r.Verify(ctx, poc.Reference()); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, poc.ErrHost):
		text, merr := r.Marshal()
		return m.cheated(c, "receipt", text, merr, err)
	case err != nil:
		return m.show(c, "receipt", r, fmt.Errorf("%w: %w", poc.ErrHost, err))
	}
	switch first, err := m.kept(c.Terms.ChallengeID); {
	case err != nil:
		return err
	case first != nil && first.Digest() != r.Digest():
		e := poc.Evidence{Version: poc.EvidenceVersion, Claim: poc.TwoReceipts, Receipt: first, OtherReceipt: &r}
		text, merr := e.Marshal()
		return m.cheated(c, "two-receipts", text, merr, fmt.Errorf("%w: two receipts for one submission", poc.ErrHost))
	}
	sig := r.Countersign(m.c.Key)
	r.DeviceSignature = &sig
	path, err := m.receipt(r)
	if err != nil {
		return err
	}
	status, why := r.Outcome.Status, r.Reason
	kind := map[poc.Status]string{poc.Accepted: WasAccepted, poc.Late: WasLate, poc.Faulty: WasFaulty, poc.Rejected: WasRejected}[status]
	if kind == "" {
		kind = NoAnswer
	}
	m.log.Info("receipt", "status", string(status), "loops", c.Commit.Loops, "pay", string(r.Outcome.Pay), "reason", why)
	_, err = post[mpocv1.ReceiptAnswer](ctx, m, mpocv1.PathReceipts, func() any {
		return mpocv1.ReceiptRequest{ChallengeID: c.Terms.ChallengeID, Receipt: r.Digest(), DeviceSignature: sig}
	})
	switch {
	case ctx.Err() != nil: // it is sent after a restart
		return ctx.Err()
	case err != nil:
		m.log.Warn("the host did not take the countersignature", "err", err)
	}
	// Counted with the state in which the challenge is over, so never twice.
	mops := m.verified(r.Outcome.Ops)
	m.count(func(n *Counts) {
		n.VerifiedMops += mops
		switch status {
		case poc.Accepted:
			n.Accepted++
		case poc.Late:
			n.Late++
		case poc.Faulty:
			n.Faulty++
		case poc.Rejected:
			n.Rejected++
		default:
			n.Failed++
		}
	})
	m.change(func(s *Status) {
		s.LastReceipt = path
		if status != poc.Accepted {
			s.LastReason = why
		}
	})
	if err := m.settled(c); err != nil {
		return err
	}
	m.tell(c, Event{Type: kind, Reason: why, Ops: r.Outcome.Ops, Pay: r.Outcome.Pay, Receipt: path})
	if status == poc.Faulty || status == poc.Rejected { // and the receipt shows it
		return fmt.Errorf("%w: %s (%s): %s", ErrUnstable, m.c.Device.ID, m.c.Device.Name, why)
	}
	m.resting = 0
	m.look = time.Time{}
	return nil
}

// copied ends a challenge to which this key signed another commit, which stands.
func (m *Machine) copied(c *challenge) error {
	m.count(dropped)
	m.change(func(s *Status) { s.LastReason = ErrCopied.Error() })
	if err := m.settled(c); err != nil {
		return err
	}
	m.tell(c, Event{Type: WasDropped, Reason: ErrCopied.Error(), Next: next(ErrCopied)})
	return fmt.Errorf("%w; challenge %.10s has its commit and not this one's", ErrCopied, c.Terms.ChallengeID.String())
}

// verified is how many full 10^6 operations there are with ops more.
func (m *Machine) verified(ops uint64) (mops uint64) {
	mops = ops/1_000_000 + (m.rest+ops%1_000_000)/1_000_000
	m.rest = (m.rest + ops%1_000_000) % 1_000_000
	return mops
}

// unlockAfter is the host's latest rule; 0 is not known.
func (m *Machine) unlockAfter() uint32 {
	if m.current == nil {
		return 0
	}
	return m.current.Terms.UnlockAfter
}

// account looks at the account now and then; it is only shown.
func (m *Machine) account(ctx context.Context) {
	if time.Now().Before(m.look) {
		return
	}
	m.look = time.Now().Add(accountTime/2 + rand.N(accountTime)) // many machines must not ask at once
	ctx, cancel := context.WithTimeout(ctx, accountWait)
	defer cancel()
	q, sig := m.ask(poc.AskAccount, nil)
	// From behind the last one: the receipts are here already.
	a, err := once[mpocv1.Account](ctx, m.client, http.MethodPost, mpocv1.PathAccount, mpocv1.AccountRequest{Asking: q, From: 1<<53 - 1, Signature: sig})
	if err != nil {
		m.log.Info("the account is not shown", "err", err)
		return
	}
	first, after := m.Snapshot().Account == nil, money(a, m.unlockAfter())
	after.AsOf, after.Unpaid = time.Now().UTC().Format(time.RFC3339), m.client.unpaid.Load()
	m.change(func(s *Status) { s.Account = after })
	m.paid(first, a.Settlements, after)
}
