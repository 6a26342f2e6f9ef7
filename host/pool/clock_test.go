// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/internal/clock"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// times is a host whose clocks a test moves.
type times struct {
	t    *testing.T
	dir  string
	mu   sync.Mutex
	read clock.Reading
	log  bytes.Buffer
	*Pool
	books *ledger.Ledger
}

func newTimes(t *testing.T) *times {
	h := &times{t: t, dir: t.TempDir(), read: clock.Reading{Wall: time.Unix(1_800_000_000, 0)}}
	h.open()
	t.Cleanup(func() { h.close() })
	return h
}

func (h *times) open() {
	h.t.Helper()
	rules := ledger.Rules{Unlock: 2, Strikes: 3}
	var err error
	if h.books, err = ledger.Open(filepath.Join(h.dir, "ledger"), rules,
		ledger.Amount{}); err != nil {
		h.t.Fatal(err)
	}
	source := func() clock.Reading {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.read
	}
	h.Pool, err = New(Config{HostKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)),
		Chain: "c", State: filepath.Join(h.dir, "pool"), Ledger: h.books, Rules: rules,
		Clock: clock.New(source), Logger: slog.New(slog.NewTextHandler(&h.log, nil))})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *times) close() {
	if err := h.Pool.Close(); err != nil {
		h.t.Error(err)
	}
	if err := h.books.Close(); err != nil {
		h.t.Error(err)
	}
}

// set moves the wall clock alone, pass both.
func (h *times) set(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read.Wall = h.read.Wall.Add(d)
}

func (h *times) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read.Wall, h.read.Mono = h.read.Wall.Add(d), h.read.Mono+d
}

// work lets time pass as the host works, a sweep every second.
func (h *times) work(d time.Duration) {
	h.t.Helper()
	for ; d > 0; d -= time.Second {
		h.pass(time.Second)
		h.sweepOnce()
	}
}

func (h *times) sweepOnce() {
	h.t.Helper()
	if err := h.sweep(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if err := h.prune(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

const honest = 5

// commits has honest machines that have each one receipt and one open commit, whose
// questions wait for an answer.
func (h *times) commits() {
	h.t.Helper()
	for i := range byte(honest) {
		key := signed.Key{i + 1}
		g := &giver{t: h.t, s: h.state, key: key, d: device{Accepted: 1, Since: h.lived()}}
		g.give(h.lived())
		g.d.Registration.DeviceKey = key
		terms := mpoc.Terms{ChallengeID: signed.Hash{9, i}, DeviceKey: key,
			Shape: mpoc.Shape(mpoc.Shapes()[0]), PayPerTebiop: "1", Issued: h.now(),
			Expiry: h.now() + 1000, UnlockAfter: 2, BanAfter: 3}
		r := record{Phase: committed, Terms: terms, Commit: mpoc.Commit{Loops: 1},
			Committed: h.now(), Until: h.lived() + uint64(answerTime.Milliseconds())}
		id := terms.ChallengeID
		g.d.Live = &id
		if err := h.state.save(key, &g.d, &r); err != nil {
			h.t.Fatal(err)
		}
	}
}

// silent is how many were judged to have given no answer.
func (h *times) silent() (n int) {
	h.t.Helper()
	_, err := h.state.devices(func(_ signed.Key, d device) { n += int(d.Failed) })
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *times) receiptsLeft() (n int) {
	all, err := h.state.file.Records(bucketReceipts)
	if err != nil {
		h.t.Fatal(err)
	}
	return int(all)
}

// Whatever the clocks do, nobody is judged silent and nothing is forgotten by it,
// and it is said; once the host has worked for as long as the questions stand, who
// did not answer is judged.
// Holds spec H-10.
func TestTimeThatDidNotPassJudgesNobody(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		happens func(*times)
		says    string
	}{
		"set back by a day":    {func(h *times) { h.set(-day) }, "set back by 24h"},
		"set ahead by 31 days": {func(h *times) { h.set(31 * day) }, "set ahead by 744h"},
		"set ahead and back": {func(h *times) {
			h.set(31 * day)
			h.sweepOnce()
			h.set(-31 * day)
		}, "set back by 744h"},
		"a pause of 100 s": {func(h *times) {
			h.pass(100 * time.Second)
		}, "stood still for 1m40s"},
		"sleep for 31 days":       {func(h *times) { h.set(31 * day) }, "slept"},
		"31 days away":            {func(h *times) { h.close(); h.pass(31 * day); h.open() }, ""},
		"a restart during a jump": {func(h *times) { h.set(31 * day); h.close(); h.open() }, ""},
		"a restart during a jump back": {func(h *times) {
			h.set(-day)
			h.close()
			h.open()
			h.set(day)
		}, "set ahead by 24h"},
		"a request first after a pause": {func(h *times) {
			h.pass(100 * time.Second)
			_ = h.lived()
		}, "stood still"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTimes(t)
			h.commits()
			h.work(80 * time.Second) // ten seconds are left
			c.happens(h)
			h.sweepOnce()
			h.work(80 * time.Second)
			if n := h.silent(); n != 0 {
				t.Errorf("%d of %d honest machines are judged silent", n, honest)
			}
			if n := h.receiptsLeft(); n != honest {
				t.Errorf("%d of %d receipts are left", n, honest)
			}
			if !strings.Contains(h.log.String(), c.says) {
				t.Errorf("the log does not say %q:\n%s", c.says, h.log.String())
			}
			h.work(20 * time.Second)
			if n := h.silent(); n != honest {
				t.Errorf("%d of %d that never answered are judged", n, honest)
			}
		})
	}
}

// Receipts get old by the time that the host lived through.
func TestReceiptsAgeInLivedTime(t *testing.T) {
	h := newTimes(t)
	h.commits()
	h.clock.Pass(keepJudged + time.Hour)
	h.sweepOnce() // judges the open ones, whose receipts are new
	if n := h.receiptsLeft(); n != honest {
		t.Errorf("%d receipts are left, want the %d new ones", n, honest)
	}
}

// A host whose clock was set back takes askings at once, and one asking only once.
// Holds spec M-2.
func TestAskingsAfterTheClockWasSetBack(t *testing.T) {
	h := newTimes(t)
	machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	key := signed.KeyOf(machine)
	if _, err := h.state.register(key, &device{Since: 1}, 0); err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		a := mpoc.Asking{What: mpoc.AskChallenge, HostKey: h.key, DeviceKey: key, Time: h.now()}
		return h.asking(a, a.Sign(machine))
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err == nil {
		t.Fatal("the same asking is taken twice")
	}
	h.set(-time.Hour)
	if err := ask(); err != nil {
		t.Errorf("after the clock was set back: %v", err)
	}
	if err := ask(); err == nil {
		t.Error("the same asking is taken twice after the clock was set back")
	}
}

// One damaged record stops the judging, the forgetting and the start of nobody else.
func TestADamagedRecordStopsNoOther(t *testing.T) {
	for _, bucket := range []string{bucketDevices, bucketChallenges} {
		t.Run(bucket, func(t *testing.T) {
			for i := range honest {
				h := newTimes(t)
				h.commits()
				err := h.state.file.Update(func(tx *store.Tx) error {
					at := signed.Hash{9, byte(i)}
					if bucket == bucketDevices {
						at = signed.Hash{byte(i) + 1}
					}
					return tx.PutRaw(bucket, at[:], []byte(`{"phase":`))
				})
				if err != nil {
					t.Fatal(err)
				}
				h.close()
				h.open()
				h.clock.Pass(2 * answerTime)
				err = h.sweep(t.Context())
				if n := h.silent(); n != honest-1 {
					t.Errorf("record %d: %d judged, want the %d others (%v)", i, n, honest-1, err)
				}
				if text := h.log.String(); !strings.Contains(text, "damaged") ||
					!strings.Contains(text, h.c.State) {
					t.Errorf("the log does not name it:\n%s", text)
				}
				h.clock.Pass(keepJudged + time.Hour)
				if err := h.prune(t.Context()); err != nil {
					t.Errorf("nothing is forgotten: %v", err)
				}
				if n := h.receiptsLeft(); n > 1 {
					t.Errorf("%d receipts are left", n)
				}
			}
		})
	}
}

// A machine whose challenge is damaged gets another.
func TestADamagedChallengeIsDropped(t *testing.T) {
	h := newTimes(t)
	h.commits()
	if err := h.state.file.Update(func(tx *store.Tx) error {
		id := signed.Hash{9, 0}
		return tx.PutRaw(bucketChallenges, id[:], []byte("\x00"))
	}); err != nil {
		t.Fatal(err)
	}
	d, _, err := h.state.device(signed.Key{1})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := h.live(&d); r != nil || err != nil || d.Live != nil {
		t.Errorf("%v, %v, live %v", r, err, d.Live)
	}
}

// A sweep waits for no device that has a request under way.
func TestSweepWaitsForNobody(t *testing.T) {
	h := newTimes(t)
	h.commits()
	unlock := h.lock(signed.Key{1})
	h.clock.Pass(2 * answerTime)
	h.sweepOnce()
	if n := h.silent(); n != honest-1 {
		t.Errorf("%d judged, want %d", n, honest-1)
	}
	unlock()
	h.sweepOnce()
	if n := h.silent(); n != honest {
		t.Errorf("%d judged, want %d", n, honest)
	}
}

// While there is no room no new work is given, and what is under way goes on.
// Holds spec H-9.
func TestNoNewWorkWithoutRoom(t *testing.T) {
	h := newTimes(t)
	machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	key := signed.KeyOf(machine)
	d := device{Since: 1, Registration: mpoc.Registration{DeviceKey: key, RateOps: 1 << 30}}
	if _, err := h.state.register(key, &d, 0); err != nil {
		t.Fatal(err)
	}
	count := uint64(0)
	ask := func() (signed.Hash, error) {
		count++
		a := mpoc.Asking{What: mpoc.AskChallenge, HostKey: h.key, DeviceKey: key,
			Time: h.now(), Count: count}
		c, err := h.Challenge(t.Context(), challengeRequest(a, a.Sign(machine)))
		return c.Terms.ChallengeID, err
	}
	full := "the disk is nearly full"
	h.c.Full = func() string { return full }
	if _, err := ask(); err == nil || !strings.Contains(err.Error(), full) {
		t.Errorf("a challenge without room: %v", err)
	}
	full = ""
	first, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	full = "again"
	if again, err := ask(); err != nil || again != first {
		t.Errorf("the challenge under way: %v, %v", again, err)
	}
}

func challengeRequest(a mpoc.Asking, sig signed.Signature) mpocv1.ChallengeRequest {
	return mpocv1.ChallengeRequest{Asking: a, Signature: sig}
}

// A file from before there was lived time is taken over: its dates were the wall
// clock's, and one that is wrong now makes nobody late and nothing old.
func TestAFileWithoutLivedTime(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"right": 0, "ahead": 31 * 24 * time.Hour,
		"back": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			h := newTimes(t)
			h.commits()
			h.close()
			file, _, err := store.Open(filepath.Join(h.dir, "pool"), options)
			if err != nil {
				t.Fatal(err)
			}
			err = file.Update(func(tx *store.Tx) error {
				for i := range byte(honest) {
					var r record
					id := signed.Hash{9, i}
					if _, err := read(tx, bucketChallenges, id[:], &r); err != nil {
						return err
					}
					if r.Until = 0; i%2 == 0 {
						r.Phase = offered
					}
					if err := write(tx, bucketChallenges, id[:], &r); err != nil {
						return err
					}
				}
				return tx.Delete(bucketMeta, keyLived)
			})
			if err := errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}
			h.set(wrong)
			h.open()
			h.work(80 * time.Second)
			if n, left := h.silent(), h.receiptsLeft(); n != 0 || left != honest {
				t.Errorf("%d are judged silent, and %d receipts are left", n, left)
			}
			h.work(20 * time.Second)
			if n := h.silent(); n != honest/2 {
				t.Errorf("%d are judged silent, want the %d that committed", n, honest/2)
			}
		})
	}
}
