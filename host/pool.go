// SPDX-License-Identifier: Apache-2.0

package host

import (
	"crypto/ed25519"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/books"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/poc/mpoc"
)

// openPool opens the pool, the ledger and, where there is a key that pays, the
// settler; nothing where the host has no pool.
func (h *Host) openPool(encoding client.Encoding) (handler http.Handler, closeAll func(), err error) {
	closeAll = func() {}
	c := h.poolConfig()
	if !c.Enabled && !h.o.Pool {
		return nil, closeAll, nil
	}
	rate, err := ledger.ParseAmount(c.PayPerTebiop)
	if err != nil {
		return nil, closeAll, err
	}
	rules := ledger.Rules{Unlock: c.UnlockAfter, Strikes: c.BanAfter}
	least, err := ledger.ParseAmount(c.Least)
	if err != nil {
		return nil, closeAll, err
	}
	if h.ledger, err = openLedger(h.o.Home, rules, least); errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrVersion) || errors.Is(err, errMissing) {
		// The Sprint does not need it; what is owed waits until it is mended.
		h.poolError = err.Error()
		h.log.Error("the pool does not open; the host does all else", "err", err, "next", "stop the host and run: assay host check --home "+h.o.Home)
		return nil, closeAll, nil
	} else if err != nil {
		return nil, closeAll, err
	}
	for _, what := range h.ledger.Mended {
		h.log.Warn("the ledger was damaged and is mended", "what", what)
	}
	config := pool.Config{
		HostKey: h.o.HostKey, Chain: h.config.Chain, State: filepath.Join(h.o.Home, poolName), Ledger: h.ledger, Rules: rules, Pay: rate,
		Duration: time.Duration(c.DurationMS) * time.Millisecond, Logger: h.log, Full: h.fullFor, Clock: h.o.Clock,
		Payout:    h.payable(encoding),
		Admitted:  func(key mpoc.Key, _ mpoc.Registration) { h.machines.Admit(key) },
		Forgotten: h.machines.Dismiss,
	}
	if h.o.Engine != nil {
		config.Engine = pool.On(h.o.Engine)
	}
	if c.PayKey == "" {
		config.Unpaid = "no paying account"
	}
	if h.pool, err = pool.New(config); err != nil {
		return nil, closeAll, errors.Join(err, h.ledger.Close())
	}
	closeAll = func() {
		if err := errors.Join(h.pool.Close(), h.ledger.Close()); err != nil {
			h.log.Error("the pool's files", "err", err)
		}
	}
	h.books = h.newBooks(rate)
	if err := h.pool.Proven(func(key mpoc.Key, _ mpoc.Registration) { h.machines.Admit(key) }); err != nil {
		closeAll()
		return nil, func() {}, err
	}
	if c.PayKey == "" {
		h.log.Warn("the pool owes what machines earn and pays nobody", "next", "name the key of an account with coins in host.toml, section [pool], pay_key")
	} else {
		if err := h.openSettler(encoding, c, least); err != nil {
			closeAll()
			return nil, func() {}, err
		}
	}
	return h.pool.Handler(), closeAll, nil
}

// newMachines lists who may work here.
func (h *Host) newMachines() *machines.Machines {
	return machines.New(machines.Config{
		Workers: h.config.Workers, Places: h.poolConfig().MaxNodes, Logger: h.log,
		Reload: workersOf(h.o.Home),
		Banned: func(key ed25519.PublicKey) bool {
			a, err := h.ledger.Account(ledger.Device(key))
			return err == nil && a.Banned
		},
	})
}

// tidy puts out who was banned since. At an epoch's begin it frees the places of
// machines that left, and ranks them by the work of the recent past.
func (h *Host) tidy(begin bool) {
	if begin {
		connected := map[string]bool{}
		for _, w := range h.fleet.Status() {
			connected[w.Node] = w.Connected
		}
		h.machines.Vacate(connected)
		h.machines.Rank(func(node string) uint64 {
			standing, err := h.pool.Recent(h.machines.Key(node))
			if err != nil {
				h.log.Error("the standing of a machine cannot be read; its place is ranked last", "node", node, "err", err)
			}
			return standing
		})
	}
	h.fleet.Recheck()
}

// newBooks opens the books over the ledger.
func (h *Host) newBooks(rate ledger.Amount) *books.Books {
	return books.New(books.Config{Ledger: h.ledger, Machines: h.machines, Sprint: h.sprint, Participant: h.config.Participant, Rate: rate,
		Verified: h.pool.Verified, Recheck: func() { h.fleet.Recheck() }, Logger: h.log})
}

func (h *Host) poolConfig() Pool {
	if h.config.Pool != nil {
		return *h.config.Pool
	}
	return DefaultPool()
}

// poolStatus adds how the pool and its payments stand.
func (h *Host) poolStatus(s *Status) {
	if h.poolError != "" {
		s.Payment = &settle.Status{Doing: "off", Reason: "the pool did not open: " + h.poolError}
	}
	if h.pool == nil {
		return
	}
	if st, err := h.pool.Status(); err == nil {
		s.Pool = &st
	}
	p := settle.Status{Doing: "off", Reason: noPayKey}
	if h.settler != nil {
		p = h.settler.Status()
	}
	s.Payment = &p
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
func (h *Host) accounts(after ledger.Device) ([]PoolAccount, error) {
	if h.ledger == nil {
		return nil, errNoPool
	}
	list, err := h.ledger.Accounts(after, PoolPage)
	if err != nil {
		return nil, err
	}
	out := make([]PoolAccount, len(list))
	for i, a := range list {
		if out[i].Estimated, err = h.pool.Estimated(mpoc.Key(a.Device)); err != nil {
			return nil, err
		}
	}
	for i, a := range list {
		node := h.machines.Node(mpoc.Key(a.Device))
		out[i].Node, out[i].Account, out[i].Pending = node, a, a.Locked.Add(a.Due).Add(a.Settling)
	}
	return out, nil
}
