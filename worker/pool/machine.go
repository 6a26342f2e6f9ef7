// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

var (
	// ErrConfig reports a machine that cannot be made.
	ErrConfig = errors.New("pool: invalid configuration")
	// ErrBanned says that the host takes no more work of this key.
	ErrBanned = errors.New("pool: banned by the host")
	// ErrUnstable reports a device that gave two results for one loop.
	ErrUnstable = errors.New("pool: the device is unstable")

	// ErrCopied says that another machine works with this machine's key, or that the
	// home is an older copy of what it was.
	ErrCopied = errors.New("another machine works with this machine's key, or this home is an " +
		"older copy of itself")

	// errOver ends a challenge without a judgement, which was told.
	errOver = errors.New("pool: the challenge is over")
	// errWait says that there is no challenge to compute yet.
	errWait = errors.New("pool: no challenge yet")
	// errUnheard says that a receipt was asked for and not given.
	errUnheard = errors.New("pool: no receipt")
)

const (
	sliceTime = 100 * time.Millisecond
	// tries is how often a loop that is opened is computed until it is what was
	// committed.
	tries = 3
	// accountTime is about how often the account is checked; after a receipt it is
	// at once. accountWait is how long a device stands still for it at most.
	accountTime = 30 * time.Second
	accountWait = 5 * time.Second
	// restMin and restMax are how long an unstable device rests.
	restMin = time.Minute
	restMax = time.Hour
	// early is how much later than by the host's clock a challenge ends for the
	// machine: the clock is known to a request's time only.
	early = 2_000
	// reserveMS is how long before a challenge expires its commit is sent at the latest.
	reserveMS = 10_000
)

// Engine is what the machine needs of a work.Engine.
type Engine interface {
	Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
		units []uint64) error
	Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
		unit uint64) error
}

// Config says for whom a device works, and how.
type Config struct {
	Address string             // assay://host:port#fingerprint
	Key     ed25519.PrivateKey // of this device, and no other
	Home    string             // of this device, and no other
	Engine  Engine             // has passed its self-test
	Device  mpoc.Claimed       // RateOps is its measured rate
	Payout  string             // account on the chain; may be empty
	// Node is the URL of a node of the chain that is asked whether what the host says it paid was
	// paid, such as http://192.0.2.7:26657; may be empty.
	Node  string
	Agent string // program and version
	// Threads is how many parts of a slice are computed at a time; 0 is 1, right
	// for engines that are parallel inside.
	Threads int
	// SelfAudit is N: one loop in N is computed twice. 0 is 256.
	SelfAudit uint64
	// AcceptLoss goes on although files of Home are missing or damaged.
	AcceptLoss bool
	Gate       *Gate        // optional
	Event      func(Event)  // called by Run's goroutine; optional
	Logger     *slog.Logger // optional
}

// Machine is one device at work for one host.
type Machine struct {
	c       Config
	address link.Address
	log     *slog.Logger
	client  *client

	// Of the host, since it was registered with. These belong to Run.
	chain string
	host  signed.Key
	asked mpoc.Asking // the latest
	look  time.Time   // when to look at the account again
	// claims is when to ask again whether the host knows what it owes, and run its program's when
	// it was asked last.
	claims time.Time
	run    string
	// The hashes of the transfers that the account showed then.
	transfers map[string]bool
	disputed  map[string]bool // hashes of those that do not count
	resumed   bool            // the challenge is an earlier run's
	resting   time.Duration
	shown     time.Time // progress
	warned    string    // what was logged last of why nothing is computed
	warnedAt  time.Time
	rest      uint64 // operations that make no full 10^6 yet
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
		return nil, fmt.Errorf("%w: device %q has no measured rate; run its benchmark",
			ErrConfig, c.Device.ID)
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
	if _, err := parseNode(c.Node); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	m := &Machine{c: c, address: address, log: c.Logger.With("device", c.Device.ID)}
	if m.client, err = newClient(c, address); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	m.status = Status{
		Device: c.Device.ID, Name: c.Device.Name, Key: signed.KeyOf(c.Key).String(),
		Host:  address.HostPort,
		State: "connecting", Reason: "not started yet",
	}
	return m, nil
}

// Run works until ctx ends, which is no error. It returns one where going on is
// pointless: a host that cheats (poc/mpoc.ErrHost), a ban, somebody else at the
// host's address, files that are lost (ErrLost). A disk that does not take what has
// to be kept is waited for.
func (m *Machine) Run(ctx context.Context) (err error) {
	if m.store, err = m.openStore(ctx); err != nil || m.store == nil {
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
		var file *fs.PathError
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
			m.is("unstable", err.Error(), time.Now().Add(wait).UTC().Format(time.RFC3339),
				next(err))
		case errors.Is(err, ErrOwed):
			wait = restMin // it may pay
			m.is("idle", err.Error(), "it pays", next(err))
		case errors.Is(err, ErrCopied):
			wait = restMin // who has one machine, put back from a copy, goes on after it
			m.is("idle", err.Error(), time.Now().Add(wait).UTC().Format(time.RFC3339), next(err))
		case code(err) == mpocv1.CodeUnknownDevice: // a host that lost its memory
			m.host = signed.Key{}
			fallthrough
		case errors.Is(err, errOver):
			m.is("asking", "", "", "")
		case errors.Is(err, errWait), errors.As(err, &refused):
			m.is("idle", reason(err), "", next(err))
		case errors.As(err, &file):
			m.is("idle", m.diskReason(err), "it can be written", next(err))
		default:
			return err
		}
		m.warn(err, wait)
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

// openStore waits for a disk that cannot be written. Without a store ctx has ended.
func (m *Machine) openStore(ctx context.Context) (*store, error) {
	for pause := time.Second; ; pause = min(2*pause, restMin) {
		s, err := openStore(m.c.Home, m.c.AcceptLoss)
		if err == nil {
			s.damaged = func(path string, err error) {
				m.log.Error("a receipt is damaged and shows nothing; put it back from a copy",
					"path", path, "err", err)
			}
		}
		var file *fs.PathError
		if err == nil || errors.Is(err, ErrLost) || !errors.As(err, &file) {
			return s, err
		}
		m.is("idle", m.diskReason(err), "it can be written", next(err))
		m.warn(err, pause)
		if sleep(ctx, pause) != nil {
			return nil, nil
		}
	}
}

// warn logs why nothing is computed, the same at most once a minute.
func (m *Machine) warn(err error, wait time.Duration) {
	if now := time.Now(); err.Error() != m.warned || now.Sub(m.warnedAt) >= time.Minute {
		m.warned, m.warnedAt = err.Error(), now
		m.log.Warn("not computing", "reason", err, "next", next(err), "for",
			wait.Round(time.Millisecond))
	}
}

// diskReason says that it is this machine's disk that fails, and nobody else.
func (m *Machine) diskReason(err error) string {
	if disk.Full(err) {
		return fmt.Sprintf("this machine's disk is full, so nothing is computed for the pool: %v",
			err)
	}
	return fmt.Sprintf("this machine's disk does not take what has to be kept, so nothing is "+
		"computed for the pool: %v", err)
}

// next is what the owner can do about an error.
func next(err error) string {
	var e *mpocv1.Error
	var file *fs.PathError
	switch {
	case errors.As(err, &e):
		return e.NextStep
	case disk.Full(err):
		return "free some space on this machine's disk; it goes on by itself"
	case errors.As(err, &file):
		return "see to this machine's disk (assay-worker doctor); it goes on by itself"
	case errors.Is(err, ErrLost):
		return ""
	case errors.Is(err, ErrUnstable):
		return "lower the device's clocks and temperature and test its memory; it goes on by " +
			"itself after a rest"
	case errors.Is(err, ErrOwed):
		return "name the account to be paid with --payout if none is, ask the host's owner, or " +
			"work for another host; who keeps the receipts elsewhere moves them there, and it " +
			"goes on"
	case errors.Is(err, ErrCopied):
		return "stop one of the machines, or give each a --home, and with it a key, of its own"
	case errors.Is(err, mpoc.ErrHost):
		return "run assay verify on the file, show it to others, and work for another host"
	case errors.Is(err, link.ErrFingerprint), errors.Is(err, errOver), errors.Is(err, errWait):
		return ""
	}
	return "check that the host runs and that this machine can reach it"
}

// turn brings one challenge, begun or not, to its end.
func (m *Machine) turn(ctx context.Context) error {
	if m.host == (signed.Key{}) {
		if err := m.register(ctx); err != nil {
			return err
		}
		if c := m.current; c != nil && c.Phase != Over &&
			(c.Terms.HostKey != m.host || c.Terms.Chain != m.chain ||
				c.Terms.DeviceKey != signed.KeyOf(m.c.Key)) {
			if err := m.over(WasDropped, dropped,
				"it was another host's, chain's or key's"); !errors.Is(err, errOver) {
				return err
			}
		}
	}
	m.account(ctx)
	if err := m.collect(ctx); err != nil {
		return err
	}
	if err := m.reclaim(ctx); err != nil {
		return err
	}
	m.change(func(s *Status) {
		now := m.summary(m.host)
		if s.Proofs != nil {
			now.Trouble = s.Proofs.Trouble
		}
		s.Proofs = now
	})
	if m.current == nil || m.current.Phase == Over {
		if err := m.full(m.host); err != nil {
			return err
		}
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
		left := c.Terms.Issued + c.Terms.DurationMS - min(m.client.now(),
			c.Terms.Issued+c.Terms.DurationMS)
		// loops in 1,000 s, before there are any
		rate := m.c.Device.RateOps * 1000 / c.Terms.Shape.Matmul().Ops()
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
		m.tell(m.current, Event{Type: InProgress, Loops: p.Loops, Expected: p.Expected,
			Deadline: p.Deadline})
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
	if err := m.counting(n, func() error {
		m.current.Phase = Over
		return m.save()
	}); err != nil {
		return err
	}
	m.change(func(s *Status) { s.LastReason = why })
	m.tell(m.current, Event{Type: kind, Reason: why})
	return fmt.Errorf("%w: %s", errOver, why)
}

// counting counts what save makes durable, and does not where it fails: it comes again.
func (m *Machine) counting(n func(*Counts), save func() error) error {
	m.mu.Lock()
	counts, all := m.status.Counts, m.status.InAll
	m.mu.Unlock()
	m.count(n)
	err := save()
	if err != nil {
		m.change(func(s *Status) { s.Counts, s.InAll = counts, all })
	}
	return err
}

// Counts that over adds to.
func dropped(c *Counts) { c.Dropped++ }

func nothing(*Counts) {}

func late(c *Counts) { c.Late++ }

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
	m.tell(c, Event{Type: HostCheats, Reason: err.Error() + "; kept as " + path, Evidence: path,
		Next: next(err)})
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
		Note   string            `json:"note"`
		Terms  mpoc.SignedTerms  `json:"terms"`
		Commit mpoc.SignedCommit `json:"commit"`
		Answer any               `json:"answer"`
	}{err.Error(), mpoc.SignedTerms{Terms: c.Terms, Signature: c.Signature},
		mpoc.SignedCommit{Commit: c.Commit, Signature: c.log().Sign(m.c.Key)}, answer}, "", "  ")
	return m.cheated(c, what, text, merr, err)
}
