// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	"github.com/assaynet/assay/accounts"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/books"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/host/voter"
	"github.com/assaynet/assay/internal/clock"
	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/quiet"
	"github.com/assaynet/assay/poc/work"
)

// pollEvery is how often the chain is asked for news. A poll cannot miss an event and needs no recovery. While the node
// does not answer it gets rarer, up to pollMost: a phase must not be over before the node is found again.
const (
	pollEvery = 200 * time.Millisecond
	pollMost  = 5 * time.Second
)

// payTime is how long a look at the payments may take.
const payTime = 10 * time.Second

// Tamper lets an adversary bend what a host says, for `localnet --cheat` and for tests; nil changes nothing.
type Tamper struct {
	// Open returns the opening to post, or nil to withhold it.
	Open func(*sprintv1.MsgOpen) *sprintv1.MsgOpen
	// Blind commits to logs without auditing them: the host is in it with its worker.
	Blind bool
	// Verdict bends a verdict before it is committed to; duties are what its voter was to judge.
	Verdict func(body *sprintv1.VerdictBody, duties []sprintv1.Duty)
}

// Options are what a host needs beside its configuration.
type Options struct {
	Home    string
	HostKey ed25519.PrivateKey
	// Keys may be nil: then the keyring below Home is opened with Stdin for a passphrase.
	Keys   keyring.Keyring
	Stdin  io.Reader
	Logger *slog.Logger
	// Started is called once workers can connect, with their URL and the address of the status server.
	Started func(url, status string)
	// Live is called before Started, with what gives the status of any moment. Optional.
	Live func(status func() Status)
	// Engine double-checks what workers find; what it disputes, the reference decides. Nil is the reference alone.
	Engine work.Engine
	// Pool offers challenges also where host.toml does not.
	Pool   bool
	Tamper *Tamper
	// Clock is nil but in tests.
	Clock *clock.Clock
	// Space measures disks; nil is the system's.
	Space func(folder string) (disk.Space, error)
}

// Host is one participant's daemon.
type Host struct {
	config Config
	o      Options
	log    *slog.Logger

	conn           *grpc.ClientConn
	sprint         sprintv1.QueryClient
	court          courtv1.QueryClient
	registry       registryv1.QueryClient
	local          registryv1.LocalClient
	queue          *submit.Queue
	fleet          *fleet.Fleet
	leaves         *leaflog.Store
	disks          []*disk.Watch
	board          board.Board
	pace           pace
	hot            hotKey
	judge          *work.Judge
	own, strangers auditor         // of the logs of the owner's machines, and of the pool's
	pool           *pool.Pool      // nil where there is none
	ledger         *ledger.Ledger  // likewise
	settler        *settle.Settler // nil where nobody pays
	poolError      string          // why there is no pool, although one is wanted
	news           atomic.Pointer[sprintv1.QueryCurrentResponse]
	machines       *machines.Machines
	voter          *voter.Voter
	books          *books.Books // nil where there is no pool

	// what follows belongs to the loop of Run
	logs       map[leaflog.Key]*logAudit
	last       sprintv1.QueryCurrentResponse
	still      *still
	evidence   map[uint64]bool // epochs whose evidence is written
	written    map[string]bool // files that are, of the epoch evidenceOf
	evidenceOf uint64
	restores   map[leaflog.Key]*restoring
	pinned     map[leaflog.Key]uint64 // sizes of the logs of segments that are over
	forgotten  uint64                 // leaves and verdicts of epochs before it are deleted
	binder     *machines.Binder
}

// OpenKeyring opens the keyring below a host's home.
func OpenKeyring(home, backend string, stdin io.Reader, encoding client.Encoding) (keyring.Keyring, error) {
	keys, err := accounts.Open(home, backend, stdin, encoding.Codec)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	if err := keys.Unlock(); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	return keys, nil
}

// Run is the daemon: it returns when ctx ends (nil) or on an error that waiting does not mend.
func Run(ctx context.Context, c Config, o Options) error {
	if err := c.Valid(); err != nil {
		return fmt.Errorf("host: configuration: %w", err)
	}
	unlock, err := lock(o.Home)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }() // what it can say, the end of the process mends
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = slog.New(quiet.New(o.Logger.Handler()))
	h := &Host{config: c, o: o, log: o.Logger,
		logs: map[leaflog.Key]*logAudit{}, still: newStill(clock.New(nil)), evidence: map[uint64]bool{}, written: map[string]bool{}, pinned: map[leaflog.Key]uint64{}}
	for _, folder := range []string{leavesName, dataName} { // which may be different disks
		h.disks = append(h.disks, disk.NewWatch(filepath.Join(o.Home, folder), o.Space))
	}
	h.lookAtDisks()
	h.board.Logger = h.log
	h.judge, h.own.judge, h.strangers.judge = h.newJudge(), h.newJudge(), h.newJudge()
	encoding, err := client.NewEncoding()
	if err != nil {
		return err
	}
	if o.Keys == nil {
		if o.Keys, err = OpenKeyring(o.Home, c.KeyringBackend, o.Stdin, encoding); err != nil {
			return err
		}
	}
	h.o.Keys = o.Keys
	if h.conn, err = client.Dial(c.GRPC, encoding); err != nil {
		return err
	}
	defer h.conn.Close()
	h.sprint, h.court, h.registry, h.local = sprintv1.NewQueryClient(h.conn), courtv1.NewQueryClient(h.conn), registryv1.NewQueryClient(h.conn), registryv1.NewLocalClient(h.conn)
	if h.queue, err = submit.New(submit.Config{Conn: h.conn, Encoding: encoding, Keys: o.Keys, Key: c.Key, Participant: c.Participant, Chain: c.Chain, Logger: o.Logger}); err != nil {
		return err
	}
	if err := checkMarks(o.Home); errors.Is(err, ErrLost) {
		return err
	} else if err != nil { // on a full disk the duties go on
		h.log.Warn("the host's folders could not be marked; the next start tries again", "err", err)
	}
	if h.leaves, err = leaflog.Open(filepath.Join(o.Home, leavesName)); err != nil {
		return err
	}
	defer h.leaves.Close()
	for _, dir := range []string{EvidenceName, verdictName} { // this host's alone, as the leaves are
		if err := durable.Sweep(filepath.Join(o.Home, dir)); err != nil { // what is left disturbs nobody
			h.log.Warn("unfinished files could not be removed", "path", filepath.Join(o.Home, dir), "err", err)
		}
	}
	h.machines = h.newMachines()
	handler, closePool, err := h.openPool(encoding)
	if err != nil {
		return err
	}
	defer closePool()
	if h.fleet, err = fleet.New(fleet.Config{Pool: handler, Trusted: func(node string) bool { return !h.machines.Stranger(node) }, HostKey: o.HostKey, Listen: c.Listen, Advertise: c.Advertise, Chain: c.Chain, Participant: c.Participant,
		Allow: h.machines.Allow, Logs: h.leaves, Logger: o.Logger}); err != nil {
		return err
	}
	h.voter = h.newVoter()
	h.binder = machines.NewBinder(h.machines, h.fleet, h.queue, h.registry, c.Participant)
	h.board.Set(func(s *Status) {
		s.Participant, s.Chain, s.WorkersURL = c.Participant, c.Chain, h.fleet.URL()
		s.Doing, s.Reason = "starting", "asking the node where the chain stands"
	})
	g, ctx := errgroup.WithContext(ctx)
	statusAt := ""
	if c.Status != "" {
		l, err := net.Listen("tcp", c.Status)
		if err != nil {
			return fmt.Errorf("host: status at %s: %w: choose another address in host.toml (status)", c.Status, err)
		}
		statusAt = l.Addr().String()
		g.Go(func() error { return h.serveStatus(ctx, l) })
	}
	if o.Live != nil {
		o.Live(h.Status)
	}
	if o.Started != nil {
		o.Started(h.fleet.URL(), statusAt)
	}
	g.Go(func() error { return h.fleet.Run(ctx) })
	if h.pool != nil {
		g.Go(func() error { return h.pool.Run(ctx) })
	}
	if h.ledger != nil {
		g.Go(func() error { return h.pay(ctx) })
	}
	g.Go(func() error { return h.watchHotKey(ctx, encoding) })
	g.Go(func() error { return h.loop(ctx, g) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	} else if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (h *Host) newJudge() *work.Judge {
	j := work.NewJudge(h.o.Engine)
	j.Failed = func(err error) {
		h.log.Error("the engine cannot judge, plain Go does until the next epoch; run: assay-worker doctor", "err", err)
	}
	return j
}

// verdicts is where this host keeps them until they are revealed.
func (h *Host) verdicts() voter.Folder { return voter.Folder(filepath.Join(h.o.Home, verdictName)) }

func (h *Host) newVoter() *voter.Voter {
	c := voter.Config{Chain: h.config.Chain, Participant: h.config.Participant, Folder: h.verdicts(), Sprint: h.sprint, Court: h.court,
		Queue: h.queue, Fleet: h.fleet, Judge: h.judge, Board: &h.board, Logger: h.log,
		Alone: h.alone}
	if h.o.Tamper != nil {
		c.Tamper = h.o.Tamper.Verdict
	}
	return voter.New(c)
}

// alone tells whether machines of the pool are all this host has: they are given no leaves to judge others by.
func (h *Host) alone() bool {
	return h.pool != nil && !slices.ContainsFunc(h.fleet.Status(), func(w fleet.WorkerStatus) bool { return w.Connected && !h.machines.Stranger(w.Node) })
}

// Status is the document of this moment.
func (h *Host) Status() Status {
	s := h.board.Get()
	s.Workers = h.fleet.Status()
	s.Queue, s.LastError = h.queue.Status()
	s.Progress, s.HotKey = h.pace.progress(), h.hot.get()
	h.poolStatus(&s)
	return s
}

// loop reads the chain and acts, block by block.
func (h *Host) loop(ctx context.Context, g *errgroup.Group) error {
	compared, wait := false, pollEvery
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		h.lookAtDisks()
		h.still.tick()
		var err error
		if !compared {
			err = compareChain(ctx, h.conn, h.config)
			if errors.Is(err, ErrOtherChain) {
				return err
			}
			compared = err == nil
		}
		if err == nil {
			err = h.step(ctx, g)
		}
		if err == nil {
			h.lookAtNode(ctx)
		}
		down := wait > pollEvery
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			compared = false // another node may answer next
			wait = min(2*wait, pollMost)
			h.noAnswer(err)
		case down:
			h.nodeBack()
			fallthrough
		default:
			wait = pollEvery
		}
		timer.Reset(wait)
	}
}

// noAnswer says that the node cannot be asked where the chain stands: it does not answer, or says something else.
func (h *Host) noAnswer(err error) {
	if client.Away(err) {
		h.log.Warn("the node does not answer; trying again", "err", err)
		h.nodeAway(err)
		return
	}
	h.log.Error("the node's answer is of no use; trying again", "err", err)
	h.board.Set(func(s *Status) {
		s.Reachable, s.Doing, s.Reason, s.Until = true, waitingForNode, err.Error(), 0
	})
}

// ErrOtherChain reports a node that follows another chain than the host is set up for.
var ErrOtherChain = errors.New("host: another chain")

// compareChain asks the node which chain it follows: leaves computed for another one would all be refused.
func compareChain(ctx context.Context, conn *grpc.ClientConn, c Config) error {
	res, err := cmtservice.NewServiceClient(conn).GetNodeInfo(ctx, &cmtservice.GetNodeInfoRequest{})
	if err != nil {
		return fmt.Errorf("asking the node at %s which chain it follows: %w", c.GRPC, err)
	}
	if chain := res.GetDefaultNodeInfo().GetNetwork(); chain != c.Chain {
		return fmt.Errorf("%w: the node at %s follows chain %q, and this host is set up for %q: name that chain's node in host.toml (grpc), or run the host with that chain's --home", ErrOtherChain, c.GRPC, chain, c.Chain)
	}
	return nil
}

// step acts on one look at the chain; nothing is done twice for one height.
func (h *Host) step(ctx context.Context, g *errgroup.Group) error {
	now, err := h.sprint.Current(ctx, &sprintv1.QueryCurrentRequest{})
	if err != nil {
		return fmt.Errorf("asking for the current epoch: %w", err)
	}
	h.board.Set(func(s *Status) { s.Reachable, s.Height = true, now.Height })
	if now.Height == h.last.Height {
		h.standsStill(ctx)
		return nil
	}
	if h.last.Height > 0 { // the first one may be old
		h.goesOn(now.Height)
	}
	h.pace.see(*now)
	if h.pool != nil {
		h.tidy(now.Epoch.Number != h.last.Epoch.Number)
	}
	if now.Epoch.Number != h.last.Epoch.Number || now.Epoch.Phase != h.last.Epoch.Phase {
		h.log.Info("phase", "epoch", now.Epoch.Number, "stage", now.Epoch.Phase.Word(), "height", now.Height, "reason", now.Reason)
	}
	h.forget(now.Epoch)
	acted := h.act(ctx, g, *now)
	sent := h.queue.Step(ctx, now.Height) // what is wanted already, whatever else fails
	if !client.Away(acted) {
		h.board.Attempt(Fault{Epoch: now.Epoch.Number, What: "this block's part of the epoch"}, func() error { return acted })
	}
	if !client.Away(sent) {
		h.board.Attempt(Fault{Epoch: now.Epoch.Number, What: "sending messages"}, func() error { return sent })
	}
	for _, err := range []error{acted, sent} {
		if client.Away(err) {
			return err
		}
	}
	h.last = *now // what failed is tried again at the next block
	h.news.Store(now)
	return nil
}

func sortedIDs(m map[string]string) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
