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
	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/host/voter"
	"github.com/assaynet/assay/internal/clock"
	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/quiet"
	"github.com/assaynet/assay/poc/work"
)

// pollEvery is how often the chain is asked for news. A poll cannot miss an event and needs no
// recovery. While the node does not answer it gets rarer, up to pollMost: a phase must not be over
// before the node is found again.
const (
	pollEvery = 200 * time.Millisecond
	pollMost  = 5 * time.Second
)

// payTime is how long a look at the payments may take.
const payTime = 10 * time.Second

// Tamper lets an adversary bend what a host says, for `localnet --cheat` and for tests; nil changes
// nothing.
type Tamper = sprint.Tamper

// Options are what a host needs beside its configuration.
type Options struct {
	Home    string
	HostKey ed25519.PrivateKey
	// Keys may be nil: then the keyring below Home is opened with Stdin for a passphrase.
	Keys   keyring.Keyring
	Stdin  io.Reader
	Logger *slog.Logger
	// Started is called once workers can connect, with their URL and the address of the status
	// server.
	Started func(url, status string)
	// Live is called before Started, with what gives the status of any moment. Optional.
	Live func(status func() Status)
	// Engine double-checks what workers find; what it disputes, the reference decides. Nil is the
	// reference alone.
	Engine work.Engine
	// Pool offers challenges also where host.toml does not.
	Pool   bool
	Tamper *Tamper
	// Clock is nil but in tests.
	Clock *clock.Clock
	// Space measures disks; nil is the system's.
	Space func(folder string) (disk.Space, error)
}

// Host is one participant's daemon. It puts the parts together, and reads the chain block by block.
type Host struct {
	config Config
	o      Options
	log    *slog.Logger

	conn     *grpc.ClientConn
	sprint   sprintv1.QueryClient
	court    courtv1.QueryClient
	registry registryv1.QueryClient
	local    registryv1.LocalClient
	queue    *submit.Queue
	fleet    *fleet.Fleet
	leaves   *leaflog.Store
	disks    *disks
	board    board.Board
	pace     pace
	hot      hotKey
	pay      *payroll
	news     atomic.Pointer[sprintv1.QueryCurrentResponse]
	machines *machines.Machines

	// what follows belongs to the loop of Run
	duties *sprint.Sprint
	last   sprintv1.QueryCurrentResponse
	still  *still
}

// OpenKeyring opens the keyring below a host's home.
func OpenKeyring(home, backend string, stdin io.Reader, encoding client.Encoding) (keyring.Keyring,
	error) {
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
	h := newHost(c, o)
	h.disks.look()
	encoding, err := client.NewEncoding()
	if err != nil {
		return err
	}
	if err := h.reach(encoding); err != nil {
		return err
	}
	defer h.conn.Close()
	closeStores, err := h.openStores(encoding)
	if err != nil {
		return err
	}
	defer closeStores()
	if err := h.compose(encoding); err != nil {
		return err
	}
	return h.run(ctx)
}

// reach opens the keyring and the way to the node.
func (h *Host) reach(encoding client.Encoding) (err error) {
	c := h.config
	if h.o.Keys == nil {
		if h.o.Keys, err = OpenKeyring(h.o.Home, c.KeyringBackend, h.o.Stdin,
			encoding); err != nil {
			return err
		}
	}
	if h.conn, err = client.Dial(c.GRPC, encoding); err != nil {
		return err
	}
	h.sprint, h.court = sprintv1.NewQueryClient(h.conn), courtv1.NewQueryClient(h.conn)
	h.registry, h.local = registryv1.NewQueryClient(h.conn), registryv1.NewLocalClient(h.conn)
	h.queue, err = submit.New(submit.Config{Conn: h.conn, Encoding: encoding, Keys: h.o.Keys,
		Key: c.Key, Participant: c.Participant,
		Chain: c.Chain, Logger: h.log})
	return err
}

// openStores opens what this host keeps below its home: leaves, and the pool's files where it has
// one.
func (h *Host) openStores(encoding client.Encoding) (closeAll func(), err error) {
	home := h.o.Home
	if err := checkMarks(home); errors.Is(err, ErrLost) {
		return nil, err
	} else if err != nil { // on a full disk the duties go on
		h.log.Warn("the host's folders could not be marked; the next start tries again", "err", err)
	}
	if h.leaves, err = leaflog.Open(filepath.Join(home, leavesName)); err != nil {
		return nil, err
	}
	// this host's alone, as the leaves are
	for _, dir := range []string{EvidenceName, verdictName, streamVerdictName} {
		// what is left disturbs nobody
		if err := durable.Sweep(filepath.Join(home, dir)); err != nil {
			h.log.Warn("unfinished files could not be removed", "path",
				filepath.Join(home, dir), "err", err)
		}
	}
	h.machines = h.newMachines()
	h.pay = h.newPayroll()
	closePool, err := h.pay.open(encoding)
	if err != nil {
		_ = h.leaves.Close() // nothing was written
		return nil, err
	}
	return func() {
		closePool()
		_ = h.leaves.Close() // each batch is on disk before its machine hears of it
	}, nil
}

// compose puts the parts together that work on what is open.
func (h *Host) compose(encoding client.Encoding) (err error) {
	c := h.config
	if h.fleet, err = fleet.New(fleet.Config{Pool: h.pay.handler(),
		Trusted: func(node string) bool { return !h.machines.Stranger(node) },
		HostKey: h.o.HostKey, Listen: c.Listen, Advertise: c.Advertise, Chain: c.Chain,
		Participant: c.Participant,
		Allow:       h.machines.Allow, Logs: h.leaves, Logger: h.log}); err != nil {
		return err
	}
	h.still.local, h.duties = h.local, h.newDuties()
	h.hot.conn, h.hot.encoding, h.hot.participant, h.hot.log = h.conn, encoding,
		c.Participant, h.log
	if h.hot.address, err = settle.PayAccount(h.o.Keys, encoding, c.Key); err != nil {
		return err
	}
	h.board.Set(func(s *Status) {
		s.Participant, s.Chain, s.WorkersURL = c.Participant, c.Chain, h.fleet.URL()
		s.Doing, s.Reason = "starting", "asking the node where the chain stands"
	})
	return nil
}

// run has all parts work until ctx ends.
func (h *Host) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	statusAt := ""
	if h.config.Status != "" {
		l, err := net.Listen("tcp", h.config.Status)
		if err != nil {
			return fmt.Errorf(
				"host: status at %s: %w: choose another address in host.toml (status)",
				h.config.Status, err)
		}
		statusAt = l.Addr().String()
		g.Go(func() error { return h.serveStatus(ctx, l) })
	}
	if h.o.Live != nil {
		h.o.Live(h.Status)
	}
	if h.o.Started != nil {
		h.o.Started(h.fleet.URL(), statusAt)
	}
	g.Go(func() error { return h.fleet.Run(ctx) })
	if h.pay.pool != nil {
		g.Go(func() error { return h.pay.pool.Run(ctx) })
	}
	if h.pay.ledger != nil {
		g.Go(func() error { return h.pay.run(ctx) })
	}
	g.Go(func() error { return h.hot.watch(ctx) })
	g.Go(func() error { return h.loop(ctx, g) })
	if err := g.Wait(); err != nil && (ctx.Err() == nil || !errors.Is(err, context.Canceled)) {
		return err
	}
	return nil
}

// newHost is a host whose parts are not yet open.
func newHost(c Config, o Options) *Host {
	h := &Host{config: c, o: o, log: o.Logger}
	h.board.Logger = h.log
	h.disks = &disks{board: &h.board, log: h.log}
	for _, folder := range []string{leavesName, dataName} {
		h.disks.list = append(h.disks.list, disk.NewWatch(filepath.Join(o.Home, folder), o.Space))
	}
	h.still = (&still{clock: clock.New(nil), node: c.GRPC, home: o.Home, board: &h.board,
		log: h.log, full: h.disks.full, halt: h.halt}).begin()
	return h
}

// newPayroll is the pool's side, not yet open.
func (h *Host) newPayroll() *payroll {
	return &payroll{config: h.config, home: h.o.Home, hostKey: h.o.HostKey, keys: h.o.Keys,
		wanted: h.o.Pool, engine: h.o.Engine, clock: h.o.Clock, log: h.log,
		conn: h.conn, sprint: h.sprint, machines: h.machines, recheck: func() {
			h.fleet.Recheck()
		}, fullFor: h.disks.fullFor, news: h.news.Load}
}

// halt tells machines why there is no block: those of the Sprint and those of the pool, in the same
// words.
func (h *Host) halt(why string) {
	h.fleet.Halt(why)
	if h.pay.pool != nil {
		h.pay.pool.Halt(why)
	}
}

func (h *Host) newJudge() *work.Judge {
	j := work.NewJudge(h.o.Engine)
	j.Failed = func(err error) {
		h.log.Error("the engine cannot judge, plain Go does until the next epoch; run: "+
			"assay-worker doctor", "err", err)
	}
	return j
}

// verdicts is where the host of a home keeps them until they are revealed.
func verdicts(home string) voter.Folder { return voter.Folder(filepath.Join(home, verdictName)) }

// streamVerdicts is where those about streams are.
func streamVerdicts(home string) voter.Folder {
	return voter.Folder(filepath.Join(home, streamVerdictName))
}

// newVoter judges Sprints and streams, each on verdicts of its own.
func (h *Host) newVoter() voter.Both {
	c := voter.Config{Chain: h.config.Chain, Participant: h.config.Participant,
		Folder: verdicts(h.o.Home), Sprint: h.sprint, Court: h.court,
		Queue: h.queue, Fleet: h.fleet, Judge: h.newJudge(), Board: &h.board,
		Logger: h.log, Alone: h.alone}
	if h.o.Tamper != nil {
		c.Tamper = h.o.Tamper.Verdict
	}
	streams := c
	streams.Folder = streamVerdicts(h.o.Home)
	streams.Streams = streamv1.NewQueryClient(h.conn)
	return voter.Both{Sprints: voter.New(c), Streams: voter.New(streams)}
}

// newDuties puts together this participant's part in an epoch.
func (h *Host) newDuties() *sprint.Sprint {
	binder := machines.NewBinder(h.machines, h.fleet, h.queue, h.registry, h.config.Participant)
	return sprint.New(sprint.Config{Chain: h.config.Chain, Participant: h.config.Participant,
		Node: h.config.GRPC, HostKey: h.o.HostKey,
		Conn: h.conn, Sprint: h.sprint, Court: h.court, Registry: h.registry, Local: h.local,
		Credit: creditv1.NewQueryClient(h.conn),
		Leaves: h.leaves, LeavesDir: filepath.Join(h.o.Home, leavesName),
		EvidenceDir: filepath.Join(h.o.Home, EvidenceName),
		Stream:      streamv1.NewQueryClient(h.conn), Beacon: beaconv1.NewQueryClient(h.conn),
		Fleet: h.fleet, Workers: h.fleet, Queue: h.queue, Books: h.pay.books, Machines: h.machines,
		Voter: h.newVoter(), Bind: binder.Step,
		Judge: h.newJudge, Alone: h.alone, Full: h.disks.full, FullFor: h.disks.fullFor,
		Board: &h.board, Logger: h.log, Tamper: h.o.Tamper})
}

// alone reports whether machines of the pool are all this host has: they are given no leaves to
// judge others by.
func (h *Host) alone() bool {
	return h.pay.pool != nil && !slices.ContainsFunc(h.fleet.Status(),
		func(w fleet.WorkerStatus) bool { return w.Connected && !h.machines.Stranger(w.Node) })
}

// Status is the document of this moment.
func (h *Host) Status() Status {
	s := h.board.Get()
	s.Workers = h.fleet.Status()
	s.Queue, s.LastError = h.queue.Status()
	s.Progress, s.HotKey = h.pace.progress(), h.hot.get()
	h.pay.status(&s)
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
		h.disks.look()
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
			h.still.askNode(ctx)
		}
		down := wait > pollEvery
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			compared = false // another node may answer next
			wait = min(2*wait, pollMost)
			h.still.noAnswer(err)
		case down:
			h.still.nodeBack()
			fallthrough
		default:
			wait = pollEvery
		}
		timer.Reset(wait)
	}
}

// ErrOtherChain reports a node that follows another chain than the host is set up for.
var ErrOtherChain = errors.New("host: another chain")

// compareChain asks the node which chain it follows: leaves computed for another one would all be
// refused.
func compareChain(ctx context.Context, conn *grpc.ClientConn, c Config) error {
	res, err := cmtservice.NewServiceClient(conn).GetNodeInfo(ctx, &cmtservice.GetNodeInfoRequest{})
	if err != nil {
		return fmt.Errorf("asking the node at %s which chain it follows: %w", c.GRPC, err)
	}
	if chain := res.GetDefaultNodeInfo().GetNetwork(); chain != c.Chain {
		return fmt.Errorf("%w: the node at %s follows chain %q, and this host is set up for %q: "+
			"name that chain's node in host.toml (grpc), or run the host with that chain's --home",
			ErrOtherChain, c.GRPC, chain, c.Chain)
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
		h.still.standsStill(ctx)
		return nil
	}
	if h.last.Height > 0 { // the first one may be old
		h.still.goesOn(now.Height)
	}
	h.pace.see(*now)
	if h.pay.pool != nil {
		h.pay.tidy(now.Epoch.Number != h.last.Epoch.Number, h.fleet.Status())
	}
	if now.Epoch.Number != h.last.Epoch.Number || now.Epoch.Phase != h.last.Epoch.Phase {
		h.log.Info("phase", "epoch", now.Epoch.Number, "stage", now.Epoch.Phase.Word(), "height",
			now.Height, "reason", now.Reason)
	}
	h.duties.Forget(now.Epoch)
	acted := h.duties.Act(ctx, g, *now)
	sent := h.queue.Step(ctx, now.Height) // what is wanted already, whatever else fails
	if !client.Away(acted) {
		h.board.Attempt(Fault{Epoch: now.Epoch.Number, What: "this block's part of the epoch"},
			func() error { return acted })
	}
	if !client.Away(sent) {
		h.board.Attempt(Fault{Epoch: now.Epoch.Number, What: "sending messages"},
			func() error { return sent })
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

// newMachines lists who may work here.
func (h *Host) newMachines() *machines.Machines {
	return machines.New(machines.Config{
		Workers: h.config.Workers, Places: h.config.pool().MaxNodes, Logger: h.log,
		Reload: workersOf(h.o.Home),
		Banned: func(key ed25519.PublicKey) bool {
			a, err := h.pay.ledger.Account(ledger.Device(key))
			return err == nil && a.Banned
		},
	})
}
