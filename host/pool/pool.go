// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/gate"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/internal/clock"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// ErrConfig reports a pool that cannot be made.
var ErrConfig = errors.New("pool: invalid configuration")

var errStopping = errors.New("the host is stopping; reconnect later")

// Times of a challenge, in lived time.
const (
	// commitSlack is how long after its duration a commit may still arrive.
	commitSlack = 60 * time.Second
	// lateTime is how much longer one that arrives then gets a receipt for it.
	lateTime = 60 * time.Second
	// answerTime is how long the questions of a round stand: long enough for a
	// machine that was restarted to come back and answer.
	answerTime = 90 * time.Second
	// heldTime is how long an answer that holds, and that the host could not check,
	// may take to come again. It was in time: the wait is the host's.
	heldTime = time.Hour
	// firstMS is how long a key's first challenge lasts at most.
	firstMS = 10_000
	// skew is how far the date in an Asking may be from the host's.
	skew = 2 * time.Minute
	// nonceTime is how long a registration's nonce lasts.
	nonceTime = 2 * time.Minute
	// waitingAnswers is how many answers of newcomers may wait for an audit.
	waitingAnswers = 512
	// wary is how many submissions after a finding are checked harder.
	wary = 20
)

// Config is what a pool works with.
type Config struct {
	HostKey ed25519.PrivateKey
	Chain   string // chain id
	State   string // path of the pool's file
	Ledger  *ledger.Ledger
	Rules   ledger.Rules // of challenges from now on; those that are open keep theirs
	// Pay is what 2^40 verified operations earn.
	Pay ledger.Amount
	// Unpaid is why nothing is transferred, in ASCII; empty where the host pays. Machines are told.
	Unpaid string
	// Rule says how likely a full audit is; the zero value is the default.
	Rule audit.Adaptive
	// Engine recomputes what is checked; nil is the reference. What it finds
	// wrong the reference recomputes too.
	Engine mpoc.Recompute
	// Duration, if not 0, replaces the planned time of every challenge; for
	// local networks.
	Duration time.Duration
	// Payout reports whether an address can be paid; nil is any.
	Payout func(address string) error
	// Admitted is called when a proof of a key is accepted that had no standing,
	// Forgotten when nothing is remembered of a key that once had some. Optional.
	Admitted  func(signed.Key, mpoc.Registration)
	Forgotten func(signed.Key)
	// Full says why no new work can be taken at present, or nothing. Optional.
	Full   func() string
	Logger *slog.Logger // optional
	Clock  *clock.Clock // optional; tests
}

// Pool is safe for concurrent use. A device's requests are taken one at a time.
type Pool struct {
	c      Config
	key    signed.Key
	secret []byte // for tokens and registration nonces
	state  *state
	log    *slog.Logger
	run    string // names this run to machines (mpocv1.HeaderRun)

	still atomic.Pointer[string] // why the chain makes no block; nil or empty while it does

	time  sync.Mutex // held while deadlines are extended; no other is taken meanwhile
	clock *clock.Clock
	owed  bool // what is open is to be extended; under time

	// One token per audit under way, and one more for each of a newcomer, which
	// get half of them: keys cost nothing, and who makes many of them must not
	// stand before those who have worked.
	audits, newcomers chan struct{}
	// One token per newcomer's answer that waits, decoded, or is checked.
	waiting chan struct{}

	gate, registers   *gate.Rates
	proven, strangers *gate.Room

	mu     sync.Mutex
	locks  map[signed.Key]*keyLock    // of the devices with requests under way
	asked  map[signed.Key]mpoc.Asking // the latest of each key
	totals totals

	ended   context.Context // by Close
	end     context.CancelCauseFunc
	sockets sync.WaitGroup // Add only under mu while ended stands
}

// keyLock is one device's; users, under Pool.mu, are those who hold or want it.
type keyLock struct {
	sync.Mutex
	users int
}

// totals since the start, and what the state held then.
type totals struct {
	devices, accepted, faulty, rejected, failed, late uint64
	ops                                               uint64
	open                                              uint64 // challenges at the last sweep
	unproven                                          int    // devices without accepted work
}

// forget takes devices without accepted work off.
func (t *totals) forget(n int) {
	t.devices -= min(t.devices, uint64(n))
	t.unproven -= n
}

// New opens the pool's state. The caller runs [Pool.Run] and serves
// [Pool.Handler], and closes the pool after both have ended.
func New(c Config) (*Pool, error) {
	switch {
	case len(c.HostKey) != ed25519.PrivateKeySize:
		return nil, fmt.Errorf("%w: no host key", ErrConfig)
	case c.Chain == "" || c.State == "" || c.Ledger == nil:
		return nil, fmt.Errorf("%w: chain, state and ledger are needed", ErrConfig)
	}
	if c.Rules.Unlock > mpoc.MaxUnlock || c.Rules.Strikes < 1 || c.Rules.Strikes > mpoc.MaxBan {
		return nil, fmt.Errorf("%w: pay is due after %d submissions, at most %d; a ban comes "+
			"after %d cheats, 1 to %d", ErrConfig, c.Rules.Unlock, mpoc.MaxUnlock,
			c.Rules.Strikes, mpoc.MaxBan)
	}
	if err := mpoc.Amount(c.Pay.String()).Valid(); err != nil {
		return nil, fmt.Errorf("%w: pay: %w", ErrConfig, err)
	}
	if c.Rule == (audit.Adaptive{}) {
		c.Rule = audit.DefaultAdaptive()
	}
	if c.Engine == nil {
		c.Engine = mpoc.Reference()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = clock.New(nil)
	}
	if c.Full == nil {
		c.Full = func() string { return "" }
	}
	// rand.Read never fails
	st, secret, hurt, err := openState(c.State, func(b []byte) { _, _ = rand.Read(b) })
	if err != nil {
		return nil, err
	}
	p := &Pool{
		c: c, key: signed.KeyOf(c.HostKey), secret: secret, state: st, log: c.Logger,
		clock: c.Clock, run: rand.Text(),
		asked: map[signed.Key]mpoc.Asking{}, locks: map[signed.Key]*keyLock{},
	}
	p.damaged(hurt)
	// One core is left for who only waits for an answer.
	audits := max(1, runtime.NumCPU()-1)
	p.audits, p.newcomers = make(chan struct{}, audits), make(chan struct{}, (audits+1)/2)
	p.waiting = make(chan struct{}, waitingAnswers)
	p.gate, p.registers = gate.NewRates(perAddress, burst), gate.NewRates(registers, registerBurst)
	p.proven, p.strangers = gate.NewRoom(provenRoom), gate.NewRoom(strangerRoom)
	p.ended, p.end = context.WithCancelCause(context.Background())
	lived, err := st.timeKept(p.now())
	if err != nil {
		return nil, errors.Join(err, st.file.Close())
	}
	p.clock.Resume(lived)
	// On a full disk the pool goes on, and judges nothing by its time until it can be written.
	var disk *fs.PathError
	if err := errors.Join(p.extend(), p.saveTime()); errors.As(err, &disk) {
		p.owed = true
		p.log.Error("deadlines could not be extended; trying again", "err", err)
	} else if err != nil {
		return nil, errors.Join(err, st.file.Close())
	}
	damaged, err := st.devices(func(_ signed.Key, d device) {
		p.totals.devices++
		if d.Accepted == 0 {
			p.totals.unproven++
		}
		p.totals.accepted += d.Accepted
		p.totals.faulty += d.Faulty
		p.totals.rejected += d.Rejected
		p.totals.failed += d.Failed
		p.totals.late += d.Late
	})
	if err != nil {
		return nil, errors.Join(err, st.file.Close())
	}
	p.damaged(damaged)
	if err := p.stand(); err != nil {
		return nil, errors.Join(err, st.file.Close())
	}
	return p, nil
}

// Proven calls f for every key that is remembered of which a proof was accepted, the
// first to register first.
func (p *Pool) Proven(f func(signed.Key, mpoc.Registration)) error {
	var proven []device
	_, err := p.state.devices(func(_ signed.Key, d device) { // New has named what is damaged
		if d.Accepted > 0 {
			proven = append(proven, d)
		}
	})
	slices.SortStableFunc(proven, func(a, b device) int { return cmp.Compare(a.Since, b.Since) })
	for _, d := range proven {
		f(d.Registration.DeviceKey, d.Registration)
	}
	return err
}

// Halt tells every machine, from the next answer on, why the chain makes no block; an empty reason
// ends it.
func (p *Pool) Halt(reason string) {
	reason = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, reason)
	reason = reason[:min(len(reason), mpocv1.MaxStill)]
	p.still.Store(&reason)
}

// Close ends the sockets and closes the state.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.end(errStopping)
	p.mu.Unlock()
	p.sockets.Wait()
	return errors.Join(p.saveTime(), p.state.file.Close())
}

// lock makes a device's requests follow each other. It is held through audits,
// so no device shares its lock with another.
func (p *Pool) lock(key signed.Key) (unlock func()) {
	p.mu.Lock()
	l := p.locks[key]
	if l == nil {
		l = new(keyLock)
		p.locks[key] = l
	}
	l.users++
	p.mu.Unlock()
	l.Lock()
	return p.unlocker(key, l)
}

// unlocker gives a lock back, once.
func (p *Pool) unlocker(key signed.Key, l *keyLock) func() {
	return func() {
		l.Unlock()
		p.mu.Lock()
		defer p.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(p.locks, key)
		}
	}
}

// idle is lock for a device of which no request is under way.
func (p *Pool) idle(key signed.Key) (unlock func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.locks[key] != nil {
		return nil, false
	}
	l := &keyLock{users: 1}
	l.Lock()
	p.locks[key] = l
	return p.unlocker(key, l), true
}

// waiters is how many requests of one key may wait for each other: an honest
// machine has one under way, and perhaps one that it gave up.
const waiters = 4

// turn is lock for a request: it refuses where too many of the key wait already.
func (p *Pool) turn(key signed.Key) (unlock func(), err error) {
	p.mu.Lock()
	full := p.locks[key] != nil && p.locks[key].users >= waiters
	p.mu.Unlock()
	if full {
		e := refuse(mpocv1.CodeBusy, "wait for the answer to what was sent before",
			"%d requests of this key are under way", waiters)
		e.RetryAfterMS = 1000
		return nil, e
	}
	return p.lock(key), nil
}

// mac authenticates parts to the host itself, each behind its length.
func (p *Pool) mac(tag string, parts ...[]byte) signed.Hash {
	h := hmac.New(sha256.New, p.secret)
	for _, part := range append([][]byte{[]byte(tag)}, parts...) {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return signed.Hash(h.Sum(nil))
}

// token is the MAC that a submission brings: of the terms, which hold the key,
// the shape and the expiry.
func (p *Pool) token(t mpoc.Terms) signed.Hash {
	digest := t.Digest()
	return p.mac("assay/1/mpoc-token", digest[:])
}

// registrationNonce is good for a key until the end of the given window.
func (p *Pool) registrationNonce(key signed.Key, window uint64) signed.Hash {
	return p.mac("assay/1/mpoc-registration-nonce", key[:], store.Number(window))
}

// Run judges what was not answered in time, and forgets what is old, until ctx
// ends.
func (p *Pool) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		if n%int(saved/time.Second) == 0 { // room first, then what may need it
			if err := p.prune(ctx); err != nil {
				p.log.Error("old challenges could not be forgotten", "err", err)
			}
			if err := p.saveTime(); err != nil {
				p.log.Error("the time could not be written down", "err", err)
			}
		}
		if err := p.sweep(ctx); err != nil {
			p.log.Error("challenges could not be swept", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// prune forgets what is old.
func (p *Pool) prune(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		forgot, rest, err := p.state.prune(p.lived())
		if err != nil {
			return err
		}
		p.count(func(t *totals) { t.forget(forgot) })
		more = rest
	}
	return p.fade()
}

// sweep ends every challenge whose time is over. A device with a request under way
// is left to that, and to the next sweep. What fails for one holds up no other.
func (p *Pool) sweep(ctx context.Context) (failed error) {
	if err := p.tick(); err != nil {
		return err
	}
	keys, open, damaged, err := p.state.overdue(p.lived())
	if err != nil {
		return err
	}
	p.damaged(damaged)
	p.count(func(t *totals) { t.open = open - uint64(len(keys)) })
	for _, key := range keys {
		if ctx.Err() != nil {
			return failed
		}
		unlock, ok := p.idle(key)
		if !ok {
			continue
		}
		d, known, err := p.state.device(key)
		if err == nil && known {
			_, err = p.live(&d)
		}
		unlock()
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("device %s: %w", key, err))
		}
		if err := p.tick(); err != nil { // many take long, and the host works
			return errors.Join(failed, err)
		}
	}
	return failed
}

// ends is the last moment of the lived time at which what a challenge waits for
// may come, be it only to be told that it is late.
func ends(r *record) uint64 {
	switch {
	case r.Verdict != nil:
		return 0
	case r.Phase == offered:
		return r.Until + uint64(lateTime.Milliseconds())
	}
	return r.Until
}

// over reports whether a challenge waits for something that can no longer come in
// time.
func over(r *record, lived uint64) bool { return lived > r.Until }

// live returns a device's challenge, nil where it has none, after ending one
// whose time is over. The caller holds the device's lock.
func (p *Pool) live(d *device) (*record, error) {
	if d.Live == nil {
		return nil, nil
	}
	r, known, err := p.state.challenge(*d.Live)
	if errors.Is(err, errDamaged) { // it can never be judged, and its machine goes on with another
		p.damaged([]error{err})
		id := *d.Live
		d.Live = nil
		d.Expired++
		return nil, p.state.drop(d.Registration.DeviceKey, d, id)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !known || r.Phase == judged:
		d.Live = nil
		return nil, nil
	case r.Verdict != nil: // a crash came between the verdict and its receipt
		_, err := p.judge(d, &r, *r.Verdict, r.Why)
		return nil, err
	case !over(&r, p.lived()):
		return &r, nil
	case r.Phase == committed:
		return nil, p.unanswered(d, &r)
	}
	d.Live = nil
	d.Expired++
	return nil, p.state.drop(r.Terms.DeviceKey, d, r.Terms.ChallengeID)
}

// estimate is what a challenge that is not judged yet may earn.
func estimate(r *record) mpoc.Amount {
	if r == nil || r.Phase != committed {
		return "0"
	}
	return r.Terms.Pay(r.Commit.Loops * r.Terms.Shape.Matmul().Ops())
}

// Estimated is what a key's submission under way may earn.
func (p *Pool) Estimated(key signed.Key) (mpoc.Amount, error) {
	d, known, err := p.state.device(key)
	if err != nil || !known || d.Live == nil {
		return "0", err
	}
	r, known, err := p.state.challenge(*d.Live)
	if err != nil || !known {
		return "0", err
	}
	return estimate(&r), nil
}

// Status is what anyone may know.
func (p *Pool) Status() (mpocv1.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.totals
	return mpocv1.Status{
		Chain: p.c.Chain, HostKey: p.key, Now: p.now(),
		Devices: t.devices, Live: t.open,
		Accepted: t.accepted, Faulty: t.faulty, Rejected: t.rejected,
		Failed: t.failed, Late: t.late,
		VerifiedOps: t.ops, Pay: mpoc.Amount(p.c.Pay.String()),
		Policy: mpocv1.Policy{
			Picks: mpoc.DefaultPicks, Light: mpoc.DefaultLight, Whole: 3,
			Kappa:       fmt.Sprintf("%d/%d", p.c.Rule.Kappa.Num, p.c.Rule.Kappa.Den),
			Floor:       fmt.Sprintf("%d/%d", p.c.Rule.Floor.Num, p.c.Rule.Floor.Den),
			UnlockAfter: uint32(p.c.Rules.Unlock), BanAfter: uint32(p.c.Rules.Strikes),
		},
	}, nil
}
