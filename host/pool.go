// SPDX-License-Identifier: Apache-2.0

package host

import (
	"crypto/ed25519"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"log/slog"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	"google.golang.org/grpc"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/books"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/internal/clock"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
)

// payroll is a host's side towards the machines of others: its pool, what it owes
// them, and who pays. Without a pool all of it is nil.
type payroll struct {
	config   Config
	home     string
	hostKey  ed25519.PrivateKey
	keys     keyring.Keyring
	wanted   bool // a pool, also where host.toml has none
	engine   work.Engine
	clock    *clock.Clock
	log      *slog.Logger
	conn     *grpc.ClientConn
	sprint   sprintv1.QueryClient
	machines *machines.Machines
	recheck  func() // puts out machines that were banned
	fullFor  func() string
	news     func() *sprintv1.QueryCurrentResponse

	pool    *pool.Pool
	ledger  *ledger.Ledger
	settler *settle.Settler // nil where nobody pays
	books   *books.Books
	failed  string // why there is no pool, although one is wanted
}

// open opens the pool, the ledger and, where there is a key that pays, the
// settler; nothing where the host has no pool.
func (p *payroll) open(encoding client.Encoding) (closeAll func(), err error) {
	closeAll = func() {}
	c := p.config.pool()
	if !c.Enabled && !p.wanted {
		return closeAll, nil
	}
	rate, err := ledger.ParseAmount(c.PayPerTebiop)
	if err != nil {
		return closeAll, err
	}
	rules := ledger.Rules{Unlock: c.UnlockAfter, Strikes: c.BanAfter}
	least, err := ledger.ParseAmount(c.Least)
	if err != nil {
		return closeAll, err
	}
	if p.ledger, err = openLedger(p.home, rules, least); errors.Is(err, store.ErrDamaged) ||
		errors.Is(err, store.ErrVersion) || errors.Is(err, errMissing) {
		// The Sprint does not need it; what is owed waits until it is mended.
		p.failed = err.Error()
		p.log.Error("the pool does not open; the host does all else", "err", err, "next",
			"stop the host and run: assay host check --home "+p.home)
		return closeAll, nil
	} else if err != nil {
		return closeAll, err
	}
	for _, what := range p.ledger.Mended {
		p.log.Warn("the ledger was damaged and is mended", "what", what)
	}
	config := pool.Config{
		HostKey: p.hostKey, Chain: p.config.Chain, State: filepath.Join(p.home, poolName),
		Ledger: p.ledger, Rules: rules, Pay: rate,
		Duration: time.Duration(c.DurationMS) * time.Millisecond, Logger: p.log,
		Full: p.fullFor, Clock: p.clock,
		Payout:    p.payable(encoding),
		Admitted:  func(key signed.Key, _ mpoc.Registration) { p.machines.Admit(key) },
		Forgotten: p.machines.Dismiss,
	}
	if p.engine != nil {
		config.Engine = pool.On(p.engine)
	}
	if c.PayKey == "" {
		config.Unpaid = "no paying account"
	}
	if p.pool, err = pool.New(config); err != nil {
		return closeAll, errors.Join(err, p.ledger.Close())
	}
	closeAll = func() {
		if err := errors.Join(p.pool.Close(), p.ledger.Close()); err != nil {
			p.log.Error("the pool's files", "err", err)
		}
	}
	p.books = p.newBooks(rate)
	if err := p.pool.Proven(func(key signed.Key,
		_ mpoc.Registration) {
		p.machines.Admit(key)
	}); err != nil {
		closeAll()
		return func() {}, err
	}
	if c.PayKey == "" {
		p.log.Warn("the pool owes what machines earn and pays nobody", "next",
			"name the key of an account with coins in host.toml, section [pool], pay_key")
	} else {
		if err := p.openSettler(encoding, c, least); err != nil {
			closeAll()
			return func() {}, err
		}
	}
	return closeAll, nil
}

// handler answers the pool's machines; nil without a pool.
func (p *payroll) handler() http.Handler {
	if p.pool == nil {
		return nil
	}
	return p.pool.Handler()
}

// newBooks opens the books over the ledger.
func (p *payroll) newBooks(rate ledger.Amount) *books.Books {
	return books.New(books.Config{Ledger: p.ledger, Machines: p.machines, Sprint: p.sprint,
		Participant: p.config.Participant, Rate: rate,
		Verified: p.pool.Verified, Recheck: p.recheck, Logger: p.log})
}

// pool are the pool's settings.
func (c Config) pool() Pool {
	if c.Pool != nil {
		return *c.Pool
	}
	return DefaultPool()
}

// status adds how the pool and its payments stand.
func (p *payroll) status(s *Status) {
	if p.failed != "" {
		s.Payment = &settle.Status{Doing: "off", Reason: "the pool did not open: " + p.failed}
	}
	if p.pool == nil {
		return
	}
	if st, err := p.pool.Status(); err == nil {
		s.Pool = &st
	}
	pay := settle.Status{Doing: "off", Reason: noPayKey}
	if p.settler != nil {
		pay = p.settler.Status()
	}
	s.Payment = &pay
}

// PoolAccount is a machine's account, the name of its node, and what the submission
// under way may earn.
type PoolAccount struct {
	Node      string      `json:"node"`
	Estimated mpoc.Amount `json:"estimated"`
	// Pending is earned and not paid yet: locked, due and settling together.
	Pending ledger.Amount `json:"pending"`
	ledger.Account
}

// PoolPage is how many accounts one answer lists; the next begins behind the last.
const PoolPage = 1000

// accounts lists the pool's machines behind a device.
func (p *payroll) accounts(after ledger.Device) ([]PoolAccount, error) {
	if p.ledger == nil {
		return nil, errNoPool
	}
	list, err := p.ledger.Accounts(after, PoolPage)
	if err != nil {
		return nil, err
	}
	out := make([]PoolAccount, len(list))
	for i, a := range list {
		if out[i].Estimated, err = p.pool.Estimated(signed.Key(a.Device)); err != nil {
			return nil, err
		}
	}
	for i, a := range list {
		node := p.machines.Node(signed.Key(a.Device))
		out[i].Node, out[i].Account, out[i].Pending = node, a, a.Locked.Add(a.Due).Add(a.Settling)
	}
	return out, nil
}

// tidy puts out who was banned since. At an epoch's begin it frees the places of
// machines that left, and ranks them by the work of the recent past.
func (p *payroll) tidy(begin bool, workers []fleet.WorkerStatus) {
	if begin {
		connected := map[string]bool{}
		for _, w := range workers {
			connected[w.Node] = w.Connected
		}
		p.machines.Vacate(connected)
		p.machines.Rank(func(node string) uint64 {
			standing, err := p.pool.Recent(p.machines.Key(node))
			if err != nil {
				p.log.Error("the standing of a machine cannot be read; its place is ranked last",
					"node", node, "err", err)
			}
			return standing
		})
	}
	p.recheck()
}
