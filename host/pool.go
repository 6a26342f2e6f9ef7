// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/work/transformer"
)

const (
	// guestNode begins the node id of a stranger's machine; digits of its key follow.
	guestNode   = "m-"
	guestDigits = 12
	// settleTime is how long one look at the payments may keep the loop.
	settleTime = 10 * time.Second
	// accountsPage is how many accounts the status server lists at a time.
	accountsPage = 500
)

// guests is pool mode: machines of strangers, what they are owed, and which of them are nodes in the Sprint.
type guests struct {
	config  Pool
	ledger  *ledger.Ledger
	pool    *pool.Pool
	settler *settle.Settler // nil: nothing is transferred
	log     *slog.Logger

	mu     sync.Mutex
	places map[string]ledger.Device // of the strangers that are nodes now, at most MaxNodes

	// what follows belongs to the loop of Run
	epoch    uint64 // in which places were freed last
	credited uint64 // last epoch whose leaves are in the ledger
	unable   bool   // the last attempt to enter some failed
	settled  int64  // last height at which payments were looked at
}

// openGuests opens the ledger and the pool below a home.
func openGuests(c Config, o Options, node settle.Node) (g *guests, err error) {
	g = &guests{config: c.Pool, log: o.Logger, places: map[string]ledger.Device{}}
	rules := ledger.Rules{Unlock: c.Pool.Unlock, Strikes: c.Pool.BanAfter}
	if g.ledger, err = ledger.Open(filepath.Join(o.Home, ledgerName), rules); err != nil {
		return nil, err
	}
	payout := func(address string) error {
		_, err := node.Encoding.Addresses.StringToBytes(address)
		return err
	}
	config := pool.Config{Payout: payout, HostKey: o.HostKey, Chain: c.Chain, State: filepath.Join(o.Home, poolName), Ledger: g.ledger, Rules: rules, Pay: c.Pool.PayPerTebiop, Logger: o.Logger}
	if o.Engine != nil {
		config.Engine = pool.Fast(o.Engine)
	}
	if g.pool, err = pool.New(config); err != nil {
		return nil, errors.Join(err, g.ledger.Close())
	}
	if c.Pool.PayKey == "" {
		return g, nil
	}
	node.Keys, node.Key, node.ID, node.GasPrice = o.Keys, c.Pool.PayKey, c.Chain, c.Pool.GasPrice
	if node.Address, err = settle.PayAccount(o.Keys, node.Encoding, c.Pool.PayKey); err != nil {
		return nil, errors.Join(err, g.close())
	}
	g.settler = settle.New(settle.Config{Ledger: g.ledger, Chain: node, Account: node.Address, Least: c.Pool.Least, Logger: o.Logger})
	return g, nil
}

func (g *guests) close() error { return errors.Join(g.pool.Close(), g.ledger.Close()) }

// handler serves M-PoC; nil while pool mode is off.
func (g *guests) handler() http.Handler {
	if g == nil {
		return nil
	}
	return g.pool.Handler()
}

// nodeOfKey is the node id of a stranger's machine.
func nodeOfKey(key ledger.Device) string { return guestNode + key.String()[:guestDigits] }

// owner finds the account that a stranger's node id belongs to: of keys that begin alike, the one that registered
// first. The others are no nodes. So an id means the same key for good, and nothing has to be remembered.
func (g *guests) owner(node string) (owner ledger.Account, found bool, err error) {
	digits, ok := strings.CutPrefix(node, guestNode)
	if prefix, err := hex.DecodeString(digits); ok && err == nil && len(digits) == guestDigits {
		var from ledger.Device
		copy(from[:], prefix)
		for { // there is one, but for somebody who ground out others
			some, err := g.ledger.Accounts(from, 8)
			if err != nil {
				return owner, false, err
			}
			for _, a := range some {
				if nodeOfKey(a.Device) != node {
					return owner, found, nil
				}
				if !found || a.Since < owner.Since {
					owner, found = a, true
				}
				from = a.Device
			}
			if len(some) == 0 {
				return owner, found, nil
			}
		}
	}
	return owner, false, nil
}

// admit tells whether a stranger may be a node, and gives it a place. It is quick and safe for concurrent use.
func (g *guests) admit(key ledger.Device, own map[string]string) (node string, ok bool) {
	if g == nil || !g.config.Admit {
		return "", false
	}
	node = nodeOfKey(key)
	if _, taken := own[node]; taken {
		return "", false
	}
	owner, found, err := g.owner(node)
	if err != nil {
		g.log.Error("the ledger does not answer; a machine is not admitted", "key", key.String(), "err", err)
		return "", false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !found || owner.Device != key || owner.Banned {
		if g.places[node] == key {
			delete(g.places, node)
		}
		return "", false
	}
	if _, has := g.places[node]; !has {
		if len(g.places) >= g.config.MaxNodes {
			return "", false
		}
		g.places[node] = key
	}
	return node, true
}

// vacate frees the places of those that are not connected, once an epoch, so that who left does not stand in the way.
func (g *guests) vacate(epoch uint64, connected map[string]bool) {
	if epoch == g.epoch {
		return
	}
	g.epoch = epoch
	g.mu.Lock()
	defer g.mu.Unlock()
	for node := range g.places {
		if !connected[node] {
			delete(g.places, node)
		}
	}
}

// stays tells whether a node on chain is to remain there: one that nobody owns, or of a banned key, is dropped, and,
// where room is needed, one without a place.
func (g *guests) stays(node string, full bool) (bool, error) {
	if g == nil || !strings.HasPrefix(node, guestNode) {
		return true, nil
	}
	owner, found, err := g.owner(node)
	if err != nil {
		return false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, placed := g.places[node]
	return found && !owner.Banned && (placed || !full), nil
}

// settle looks at the payments once per height. It reports only to the status and the log: whether machines are paid
// does not decide about the Sprint.
func (g *guests) settle(ctx context.Context, height int64) {
	if g.settler == nil || height <= g.settled {
		return
	}
	g.settled = height
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	before := g.settler.Status().Doing
	if err := g.settler.Step(ctx, height); err != nil && before != "blocked" {
		g.log.Warn("payment is blocked; trying again at each block", "err", err)
	}
}

// payment is how settlement stands.
func (g *guests) payment() *settle.Status {
	if g.settler == nil {
		return &settle.Status{Doing: "off", Reason: "host.toml names no pay_key: what is due stays due, nothing is transferred"}
	}
	s := g.settler.Status()
	return &s
}

// status is what anyone may know, nil if the pool does not answer.
func (g *guests) status() *mpocv1.Status {
	s, err := g.pool.Status()
	if err != nil {
		g.log.Error("the pool does not answer", "err", err)
		return nil
	}
	return &s
}

// source names a segment's leaves in the ledger.
func source(epoch uint64, segment uint32) string {
	return fmt.Sprintf("epoch/%d/segment/%d", epoch, segment)
}

// credit enters what the chain credited this participant for in an epoch: each machine's committed leaves, less the
// share by which the audit's bound lies below the count. The leaves of a node that the chain condemned are none, and
// its machine has cheated. The ledger takes each log once. device finds a node's account.
func (g *guests) credit(e sprintv1.Epoch, o sprintv1.Outcome, commits []sprintv1.Commit, device func(node string) (ledger.Device, bool, error)) error {
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return err
	}
	condemned := map[string]bool{}
	if !e.Void {
		for _, node := range o.Condemned {
			condemned[node] = true
		}
	}
	total := uint64(0)
	for _, c := range commits {
		if !condemned[c.Node] {
			total += c.Count
		}
	}
	punished := map[string]bool{}
	for _, c := range commits {
		key, found, err := device(c.Node)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		switch {
		case condemned[c.Node] && !punished[c.Node]: // one strike, however many segments
			punished[c.Node] = true
			reason := fmt.Sprintf("the chain proved leaves of node %s in epoch %d to be forged", c.Node, e.Number)
			if _, err := g.ledger.Forfeit(key, ledger.Leaves, source(e.Number, c.Segment), reason, true, time.Now()); err != nil {
				return err
			}
			g.log.Warn("a machine's locked pay is forfeited", "epoch", e.Number, "node", c.Node, "key", key.String(), "reason", reason)
		case condemned[c.Node] || o.Credited == 0:
		default:
			ops := leafOps(c.Count, o.Credited, total, class)
			_, err := g.ledger.Credit(ledger.Entry{Device: key, Kind: ledger.Leaves, Source: source(e.Number, c.Segment), Ops: ops,
				Pay: ledger.Pay(ops, g.config.PayPerTebiop), At: time.Now().UnixMilli()})
			if errors.Is(err, ledger.ErrBanned) {
				g.log.Warn("leaves of a banned machine are not credited", "epoch", e.Number, "node", c.Node, "key", key.String())
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// leafOps is count*credited/total units' operations, rounded down to units. credited is at most total, but for an
// undecided epoch of a participant that had more weight before; a machine is never credited for more than it committed.
func leafOps(count, credited, total uint64, class transformer.Class) uint64 {
	hi, lo := bits.Mul64(count, min(credited, total))
	units, _ := bits.Div64(hi, lo, total) // total >= count, so that it fits
	hi, ops := bits.Mul64(units, class.Ops())
	if hi != 0 {
		return 1<<64 - 1
	}
	return ops
}

// Account is one machine's standing, as `assay host pool` lists it.
type Account struct {
	ledger.Account
	// Node is the machine's in the Sprint, if it is one now.
	Node string `json:"node,omitempty"`
	// Estimated is what the submission under way would earn.
	Estimated mpoc.Amount `json:"estimated"`
}

// Accounts is a page of them; the next one begins behind Next.
type Accounts struct {
	Accounts []Account      `json:"accounts"`
	Next     *ledger.Device `json:"next,omitempty"`
}

// accounts lists the accounts behind a device.
func (g *guests) accounts(after ledger.Device, own map[string]string) (Accounts, error) {
	list, err := g.ledger.Accounts(after, accountsPage)
	if err != nil {
		return Accounts{}, err
	}
	page := Accounts{Accounts: []Account{}}
	g.mu.Lock()
	nodes := make(map[ledger.Device]string, len(g.places))
	for node, key := range g.places {
		nodes[key] = node
	}
	g.mu.Unlock()
	for _, a := range list {
		estimated, err := g.pool.Estimated(mpoc.Key(a.Device))
		if err != nil {
			return Accounts{}, err
		}
		node := nodes[a.Device]
		if id, ok := nodeOf(own, a.Device[:]); ok {
			node = id
		}
		page.Accounts = append(page.Accounts, Account{Account: a, Node: node, Estimated: estimated})
	}
	if len(list) == accountsPage {
		page.Next = &list[len(list)-1].Device
	}
	return page, nil
}

// own is a copy of the list of this host's own machines.
func (h *Host) own() map[string]string {
	h.workers.Lock()
	defer h.workers.Unlock()
	own := make(map[string]string, len(h.config.Workers))
	for node, key := range h.config.Workers {
		own[node] = key
	}
	return own
}

// device finds the account of a node: a stranger's, or of a machine of this host that has registered with the pool too.
func (h *Host) device(node string) (key ledger.Device, found bool, err error) {
	if h.guests == nil {
		return key, false, nil
	}
	h.workers.Lock()
	text, own := h.config.Workers[node]
	h.workers.Unlock()
	if own {
		if err := key.UnmarshalText([]byte(strings.ToLower(text))); err != nil {
			return key, false, err
		}
		_, err := h.guests.ledger.Account(key)
		if errors.Is(err, ledger.ErrUnknown) {
			return key, false, nil
		}
		return key, err == nil, err
	}
	a, found, err := h.guests.owner(node)
	return a.Device, found, err
}

// trusted tells whether a node is a machine of this host's owner.
func (h *Host) trusted(node string) bool {
	h.workers.Lock()
	defer h.workers.Unlock()
	_, own := h.config.Workers[node]
	return own
}

// hosting does what pool mode asks for at a height. What fails is tried again at the next one; the Sprint goes on.
func (h *Host) hosting(ctx context.Context, now sprintv1.QueryCurrentResponse) {
	if h.guests == nil {
		return
	}
	connected := map[string]bool{}
	for _, w := range h.fleet.Status() {
		connected[w.Node] = w.Connected
	}
	h.guests.vacate(now.Epoch.Number, connected)
	h.fleet.Recheck() // who was banned leaves
	h.guests.settle(ctx, now.Height)
	err := h.creditLeaves(ctx, now.Epoch)
	if err != nil && !h.guests.unable && ctx.Err() == nil {
		h.log.Error("leaves could not be credited to their machines; trying again at each block", "err", err)
	}
	h.guests.unable = err != nil
}

// creditLeaves credits the machines for every epoch that is final and still on chain, also for those that ended while
// this host was down.
func (h *Host) creditLeaves(ctx context.Context, e sprintv1.Epoch) error {
	last := e.Number
	if e.Phase != sprintv1.PhaseFinalised {
		last -= min(last, 1)
	}
	first := max(h.guests.credited, last-min(last, uint64(e.Params.KeepEpochs))) + 1
	for n := first; n <= last; n++ {
		if err := h.creditEpoch(ctx, n); err != nil {
			return fmt.Errorf("crediting the machines for epoch %d: %w", n, err)
		}
		h.guests.credited = n
	}
	return nil
}

func (h *Host) creditEpoch(ctx context.Context, number uint64) error {
	e, err := h.sprint.Epoch(ctx, &sprintv1.QueryEpochRequest{Number: number})
	if err != nil {
		return err
	}
	outcomes, err := h.sprint.Outcomes(ctx, &sprintv1.QueryOutcomesRequest{Epoch: number})
	if err != nil {
		return err
	}
	for _, o := range outcomes.Outcomes {
		if o.Participant != h.config.Participant || o.Credited == 0 && len(o.Condemned) == 0 {
			continue
		}
		commits, err := h.sprint.Commits(ctx, &sprintv1.QueryCommitsRequest{Epoch: number, Participant: h.config.Participant})
		if err != nil {
			return err
		}
		return h.guests.credit(e.Epoch, o, commits.Commits, h.device)
	}
	return nil
}
