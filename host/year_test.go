// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bech32 "github.com/cosmos/cosmos-sdk/codec/address"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/host/books"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/settle/settletest"
	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/internal/clock"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A year in the life of a host: every day each of its machines makes one submission
// of its pool, and some compute leaves of one epoch; every day the host pays. Its
// disk fails, and is slow, in one change of twenty; it is restarted when it likes;
// its clock is set and it stands still; twice its files are put back from backups of
// days before. It begins with files of version 1. In the end every unit that was
// verified is paid once, and no honest machine was ever judged.
//
// The chain that pays is settletest's, which test/sim holds against the real one.
//
// ASSAY_LONG=1 is the whole year with 100 machines (make year); else two weeks with 6.

// yearMachine is one of the pool's, which keeps what it is owed by.
type yearMachine struct {
	key      ed25519.PrivateKey
	asked    uint64
	receipts []mpoc.Receipt
	earned   ledger.Amount // by receipts and leaves, all that was verified
}

func (m *yearMachine) device() ledger.Device { return ledger.Device(signed.KeyOf(m.key)) }

func (m *yearMachine) payout() string {
	d := m.device()
	text, err := bech32.NewBech32Codec(client.Prefix).BytesToString(d[:20])
	if err != nil {
		panic(err) // 20 bytes are an address
	}
	return text
}

type year struct {
	t        *testing.T
	r        *rand.Rand
	home     string
	engine   work.Engine
	mu       sync.Mutex
	read     clock.Reading
	bank     *settletest.Bank
	chain    *finals
	machines []*yearMachine
	epoch    uint64
	commits  map[uint64][]sprintv1.Commit

	h        *Host
	clock    *clock.Clock
	closeAll func()
	stop     func()

	// opening is on while the host starts: what fails then is a start that did not
	// happen, and the owner starts it again.
	opening atomic.Bool

	restarts, restores, failed, entered int
}

func newYear(t *testing.T, start uint64, machines int) *year {
	t.Helper()
	engine, err := cpu.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	y := &year{t: t, r: rand.New(rand.NewPCG(start, 1)), home: t.TempDir(),
		engine:  &looker{Engine: engine},
		read:    clock.Reading{Wall: time.UnixMilli(1_800_000_000_000)},
		commits: map[uint64][]sprintv1.Commit{},
		bank:    settletest.New("1000000000000000000000000000"),
		chain:   &finals{outcomes: map[uint64]sprintv1.Outcome{}}}
	y.chain.commitsOf = func(epoch uint64) []sprintv1.Commit { return y.commits[epoch] }
	for i := range machines {
		s := make([]byte, ed25519.SeedSize)
		binary.LittleEndian.PutUint64(s, uint64(i)+1)
		y.machines = append(y.machines, &yearMachine{key: ed25519.NewKeyFromSeed(s)})
	}
	return y
}

func (y *year) open() {
	y.opening.Store(true)
	defer y.opening.Store(false)
	y.clock = clock.New(func() clock.Reading {
		y.mu.Lock()
		defer y.mu.Unlock()
		return y.read
	})
	y.h, y.closeAll = poolHostAs(y.t, y.home, func(h *Host) {
		h.o.Clock, h.o.Engine = y.clock, y.engine
		h.config.Pool.DurationMS, h.config.Pool.UnlockAfter, h.config.Pool.MaxNodes,
			h.config.Pool.Least = 1, 3, len(y.machines), "1"
	})
	if y.h.pay.ledger == nil {
		y.t.Fatalf("day %d: the pool does not open: %s", y.epoch, y.h.pay.failed)
	}
	y.h.sees(y.chain)
	y.h.pay.settler = settle.New(settle.Config{Ledger: y.h.pay.ledger, Chain: y.bank,
		Account: "cpc1payer", Logger: y.h.log})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = y.h.pay.pool.Run(ctx) })
	y.stop = func() {
		y.opening.Store(true)
		cancel()
		running.Wait()
		y.closeAll()
	}
	for _, m := range y.machines {
		y.h.machines.Admit(signed.Key(m.device()))
	}
}

// again restarts the host; its machines find back and show what they hold.
func (y *year) again() {
	y.stop()
	y.open()
	y.restarts++
	for _, m := range y.machines {
		y.register(m)
		y.claim(m)
	}
}

// until tries something until the disk lets it, and restarts the host now and then
// instead.
func (y *year) until(what string, do func() error) {
	y.t.Helper()
	for try := range 60 {
		err := do()
		if err == nil {
			return
		}
		y.failed++
		if try == 59 {
			y.t.Fatalf("day %d: %s: %v", y.epoch, what, err)
		}
		if y.r.IntN(40) == 0 {
			y.stop()
			y.open()
			y.restarts++
		}
	}
}

func (y *year) asking(m *yearMachine, what string) (mpoc.Asking, signed.Signature) {
	m.asked++
	q := mpoc.Asking{HostKey: signed.KeyOf(y.h.o.HostKey), DeviceKey: signed.KeyOf(m.key),
		What: what, Time: uint64(y.clock.Wall().UnixMilli()), Count: m.asked}
	return q, q.Sign(m.key)
}

func (y *year) register(m *yearMachine) {
	y.until("register", func() error {
		n, err := y.h.pay.pool.Nonce(y.t.Context(),
			mpocv1.NonceRequest{DeviceKey: signed.KeyOf(m.key)})
		if err != nil {
			return err
		}
		r := mpoc.Registration{Chain: n.Chain, HostKey: n.HostKey, DeviceKey: signed.KeyOf(m.key),
			Nonce: n.Nonce, Agent: "year", Engine: "cpu", Payout: m.payout(),
			Devices: []mpoc.Claimed{{ID: "cpu-0", Engine: "cpu"}}, RateOps: 2_000_000_000}
		_, err = y.h.pay.pool.Register(y.t.Context(),
			mpocv1.RegisterRequest{Registration: r, Signature: r.Sign(m.key)})
		return err
	})
}

// claim brings what the host's ledger lacks.
func (y *year) claim(m *yearMachine) {
	var lacking []mpocv1.Held
	ask := func(held []mpocv1.Held, bring []mpoc.Receipt) {
		y.until("claim", func() error {
			q := mpocv1.ClaimRequest{Held: held, Receipts: bring}
			q.Asking, q.Signature = y.asking(m, mpoc.AskAccount)
			a, err := y.h.pay.pool.Claim(y.t.Context(), q)
			lacking, y.entered = a.Lacking, y.entered+int(a.Entered)
			return err
		})
	}
	var held []mpocv1.Held
	for _, r := range m.receipts {
		held = append(held, mpocv1.Held{ChallengeID: r.Terms.ChallengeID, Issued: r.Terms.Issued})
	}
	ask(held, nil)
	want := map[signed.Hash]bool{}
	for _, l := range lacking {
		want[l.ChallengeID] = true
	}
	var bring []mpoc.Receipt
	for _, r := range m.receipts {
		if want[r.Terms.ChallengeID] {
			bring = append(bring, r)
		}
	}
	for len(bring) > 0 {
		n := min(10, len(bring))
		ask(nil, bring[:n])
		bring = bring[n:]
	}
}

// submit makes one submission of one loop, whatever comes between.
func (y *year) submit(m *yearMachine) {
	var receipt *mpoc.Receipt
	for receipt == nil {
		var c mpocv1.Challenge
		y.until("challenge", func() (err error) {
			q, sig := y.asking(m, mpoc.AskChallenge)
			c, err = y.h.pay.pool.Challenge(y.t.Context(),
				mpocv1.ChallengeRequest{Asking: q, Signature: sig})
			return err
		})
		tiles := make([][32]byte, c.Terms.Shape.Matmul().Tiles())
		if err := y.engine.Tiles(y.t.Context(), tiles, seed.Seed(c.Terms.Seed),
			c.Terms.Shape.Matmul(), 0); err != nil {
			y.t.Fatal(err)
		}
		y.mu.Lock() // or it would be the fastest machine in the world, and get the largest shape
		y.read.Wall, y.read.Mono = y.read.Wall.Add(3*time.Second), y.read.Mono+3*time.Second
		y.mu.Unlock()
		var tree commit.Log
		tree.Append(c.Terms.LeafHash(0, matmul.Root(tiles)))
		log := mpoc.Log{Terms: c.Terms, Commit: mpoc.Commit{Loops: 1, ComputeTime: 1,
			MerkleRoot: tree.Root()}}
		var draw mpoc.Draw
		y.until("commit", func() error {
			a, err := y.h.pay.pool.Commit(y.t.Context(),
				mpocv1.CommitRequest{ChallengeID: c.Terms.ChallengeID, Token: c.Token,
					Seed: c.Terms.Seed, Commit: log.Commit, DeviceSignature: log.Sign(m.key)})
			draw = a.Draw
			return err
		})
		questions := draw.Questions(log)
		proof := mpoc.Proof{Samples: []mpoc.Sample{}, Tiles: []mpoc.TileOpening{}}
		for _, i := range questions.Samples() {
			s, err := log.OpenSample(&tree, i, matmul.Root(tiles))
			if err != nil {
				y.t.Fatal(err)
			}
			proof.Samples = append(proof.Samples, s)
		}
		for _, pick := range questions.Picks(0) {
			o, err := log.OpenTile(&tree, pick, tiles)
			if err != nil {
				y.t.Fatal(err)
			}
			proof.Tiles = append(proof.Tiles, o)
		}
		y.until("proof", func() error {
			a, err := y.h.pay.pool.Proof(y.t.Context(),
				mpocv1.ProofRequest{ChallengeID: c.Terms.ChallengeID, Token: c.Token,
					Seed: c.Terms.Seed, Commit: log.Commit,
					Samples: proof.Samples, Tiles: proof.Tiles,
					DeviceSignature: proof.Sign(log, draw, m.key)})
			receipt = a.Receipt
			return err
		})
	}
	if receipt.Outcome.Status != mpoc.Accepted {
		y.t.Fatalf("day %d: an honest machine is judged: %s: %s", y.epoch, receipt.Outcome.Status,
			receipt.Reason)
	}
	pay, err := ledger.ParseAmount(string(receipt.Outcome.Pay))
	if err != nil {
		y.t.Fatal(err)
	}
	m.receipts, m.earned = append(m.receipts, *receipt), m.earned.Add(pay)
}

// sprint is one epoch: some machines' leaves are stored, committed to, and the chain
// credits the epoch.
func (y *year) sprint() {
	e := sprintv1.Epoch{Number: y.epoch, Params: sprintv1.Params{Class: "nano", Samples: 200,
		CreditEpsPpm: 50_000, KeepEpochs: 3}}
	bound := books.OwnBound(e)
	rate, err := ledger.ParseAmount(y.h.config.pool().PayPerTebiop)
	if err != nil {
		y.t.Fatal(err)
	}
	for i, m := range y.machines {
		if (i+int(y.epoch))%5 != 0 {
			continue
		}
		key := leaflog.Key{Epoch: y.epoch, Node: machines.Name(signed.Key(m.device())), Segment: 1}
		count := uint64(100 + y.r.IntN(100))
		y.until("leaves", func() error {
			log, err := y.h.leaves.Log(key, 1)
			if err != nil {
				return err
			}
			return log.Append(0, make([]byte, count*record.Size), leaflog.Signature{})
		})
		y.h.pay.books.Promise(e, transformer.Nano, key, count)
		y.commits[y.epoch] = append(y.commits[y.epoch],
			sprintv1.Commit{Node: key.Node, Segment: 1, Count: count})
		ops := credit.Credited(count, bound) * transformer.Nano.Ops()
		m.earned = m.earned.Add(ledger.Pay(ops, rate))
	}
	y.chain.outcomes[y.epoch] = sprintv1.Outcome{Participant: y.h.config.Participant,
		Result: sprintv1.ResultCredited, Credited: 1}
}

// credit is what the loop of payments does with epochs.
func (y *year) credit() {
	e := sprintv1.Epoch{Number: y.epoch, Phase: sprintv1.PhaseFinalised,
		Params: sprintv1.Params{KeepEpochs: 3}}
	y.until("credit", func() error { return y.h.pay.books.Step(y.t.Context(), e) })
	y.until("prune", func() error {
		if y.epoch > 4 {
			return y.h.leaves.Prune(y.epoch - 4)
		}
		return nil
	})
}

// pay lets some blocks pass; a person looks after it where it stops.
func (y *year) pay(blocks int) {
	for range blocks {
		_ = y.h.pay.settler.Step(y.t.Context(), y.bank.Height) // the next one tries again
		if st := y.h.pay.settler.Status(); st.Doing == "stopped" &&
			st.Plan != nil && st.Plan.Ready {
			if st.Plan.Missing != "" {
				y.t.Fatalf("day %d: %s", y.epoch, st.Plan.Missing)
			}
			if err := y.h.pay.settler.Resolve(st.Plan.Digest, ""); err != nil {
				y.t.Fatal(err)
			}
		}
		y.bank.Make(y.r.IntN(6) != 0)
	}
}

// copies are the pool's files, while nothing has them open.
func (y *year) copies() map[string][]byte {
	files := map[string][]byte{}
	for _, name := range []string{ledgerName, poolName} {
		raw, err := os.ReadFile(filepath.Join(y.home, name))
		if err != nil {
			y.t.Fatal(err)
		}
		files[name] = raw
	}
	return files
}

func TestAYear(t *testing.T) {
	days, machines := 15, 6
	if os.Getenv("ASSAY_LONG") != "" {
		days, machines = 365, 100
	}
	start := uint64(time.Now().UnixNano())
	if text := os.Getenv("ASSAY_SEED"); text != "" {
		var err error
		if start, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ASSAY_SEED=%d", start)
	y := newYear(t, start, machines)
	y.bank.Height, y.bank.Sequence = 1000, 7 // where the ledger of version 1 left it
	y.version1()
	y.open()
	defer func() { y.stop() }()
	for _, m := range y.machines {
		y.register(m)
	}
	defer store.Inject(y.disk())()
	var backup map[string][]byte
	most := int64(0)
	for day := 1; day <= days; day++ {
		y.epoch = uint64(day)
		if day > 1 { // a key that shows no work on its first day is forgotten
			y.clockDay()
		}
		if day%(days/3) == days/3-2 {
			y.stop()
			backup = y.copies()
			y.open()
		}
		if day%(days/3) == 0 && day < days && backup != nil { // two days later
			y.stop()
			for name, raw := range backup {
				if err := os.WriteFile(filepath.Join(y.home, name), raw, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			y.open()
			y.restores++
			for _, m := range y.machines {
				y.register(m)
				y.claim(m)
			}
		}
		for i, n := range y.r.Perm(len(y.machines)) {
			y.submit(y.machines[n])
			if y.r.IntN(3*len(y.machines)) == 0 {
				y.again()
			}
			if i%25 == 24 {
				y.pay(2)
			}
		}
		y.sprint()
		y.credit()
		y.pay(12)
		if size := y.size(); size > most {
			most = size
		}
	}
	y.end(machines, days, most)
}

// version1 puts the files of an older version there, before the first start.
func (y *year) version1() {
	for name, from := range map[string]string{ledgerName: "ledger/testdata/version1.db",
		poolName: "pool/testdata/version1.db"} {
		raw, err := os.ReadFile(from)
		if err == nil {
			path := filepath.Join(y.home, name)
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700),
				os.WriteFile(path, raw, 0o600))
		}
		if err != nil {
			y.t.Fatal(err)
		}
	}
}

// disk fails one change of forty before it is made or after, and is slow in as many.
func (y *year) disk() func(string, bool) error {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(8, y.r.Uint64()))
	return func(path string, done bool) error {
		if y.opening.Load() {
			return nil
		}
		mu.Lock()
		n := r.IntN(80)
		mu.Unlock()
		switch n {
		case 0:
			return &fs.PathError{Op: "write", Path: path, Err: fmt.Errorf("input/output error "+
				"(after it was done: %v)", done)}
		case 1:
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	}
}

// clockDay lets a day pass; the clock is set now and then, and the host stands still.
func (y *year) clockDay() {
	y.clock.Pass(24 * time.Hour)
	jump := time.Duration(0)
	switch y.r.IntN(20) {
	case 0:
		jump = 31 * 24 * time.Hour
	case 1:
		jump = -3 * time.Hour
	}
	stood := time.Duration(0)
	if y.r.IntN(10) == 0 {
		stood = time.Duration(y.r.IntN(300)) * time.Second
	}
	y.mu.Lock()
	y.read.Wall = y.read.Wall.Add(stood + jump)
	y.read.Mono += stood
	y.mu.Unlock()
}

func (y *year) size() (n int64) {
	_ = filepath.WalkDir(filepath.Join(y.home, "data"),
		func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				if info, err := d.Info(); err == nil {
					n += info.Size()
				}
			}
			return nil
		})
	return n
}

// end makes everything due, pays it, and counts.
func (y *year) end(machines, days int, most int64) {
	t := y.t
	store.Inject(func(string, bool) error { return nil })
	for range 4 { // what the last submissions are locked behind
		for _, m := range y.machines {
			y.submit(m)
		}
	}
	y.credit()
	y.pay(60)
	if err := y.h.pay.ledger.Check(); err != nil {
		t.Error(err)
	}
	for i, m := range y.machines {
		a := y.h.standing(t, m.device())
		have := y.bank.Paid[m.payout()].Add(a.Locked).Add(a.Due)
		ahead, err := y.h.pay.ledger.Ahead(m.device().Prefix())
		if err != nil {
			t.Fatal(err)
		}
		if have.Cmp(m.earned) != 0 || !ahead.IsZero() || !a.Settling.IsZero() {
			t.Errorf("machine %d earned %s; it was paid %s and is owed %s locked, %s due; ahead "+
				"%s, settling %s", i, m.earned, y.bank.Paid[m.payout()], a.Locked,
				a.Due, ahead, a.Settling)
		}
		if a.Strikes != 0 || !a.Forfeited.IsZero() {
			t.Errorf("machine %d was judged: %+v", i, a)
		}
	}
	// What the ledger of version 1 owed: see its test.
	for payout, want := range map[string]string{"cpc1payout1": "100", "cpc1payout2": "70"} {
		if have := y.bank.Paid[payout].String(); have != want {
			t.Errorf("%s was paid %s, want %s", payout, have, want)
		}
	}
	status, err := y.h.pay.pool.Status()
	if err != nil {
		t.Fatal(err)
	}
	if status.Failed+status.Rejected+status.Faulty > 0 {
		t.Errorf("judged: %+v", status)
	}
	t.Logf("%d machines, %d days: %d restarts, %d restores, %d calls failed, %d receipts brought "+
		"back, %d settlements; at most %.1f MB on disk",
		machines, days, y.restarts, y.restores, y.failed, y.entered, y.bank.Sequence,
		float64(most)/1e6)
	if bound := int64(machines)*400_000 + 20_000_000; most > bound {
		t.Errorf("%d bytes on disk, more than %d", most, bound)
	}
	if y.restores == 0 || y.entered == 0 || y.failed == 0 || y.restarts == 0 {
		t.Error("the year was too quiet")
	}
}
