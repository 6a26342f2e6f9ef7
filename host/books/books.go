// SPDX-License-Identifier: Apache-2.0

// Package books enters what a host owes its machines for leaves: a promise when it
// commits to them, and pay when the chain has judged their epoch. What they earn in
// the pool is entered there, and package settle pays both.
package books

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Config is whose books they are.
type Config struct {
	Ledger      *ledger.Ledger
	Machines    *machines.Machines
	Sprint      sprintv1.QueryClient
	Participant string
	// Rate is paid for 2^40 operations.
	Rate ledger.Amount
	// Verified adds work in the Sprint to a machine's standing in the pool.
	Verified func(key signed.Key, ops uint64) error
	// Recheck puts machines out that are banned.
	Recheck func()
	Logger  *slog.Logger
}

// Books belong to the loop of payments, but for Promise, Strike and Machine, which any
// goroutine may call. Those of a host without a pool are nil, and owe nobody.
type Books struct {
	c         Config
	paid      map[uint64]bool // epochs whose leaves are in the ledger; nil until it was asked
	condemned map[condemned]bool
}

// New opens the books over a ledger.
func New(c Config) *Books { return &Books{c: c, condemned: map[condemned]bool{}} }

// Condemn remembers that the chain found a node's leaves of an epoch to be forged.
func (b *Books) Condemn(epoch uint64, node string) { b.condemned[condemned{epoch, node}] = true }

// Step credits the leaves of the latest epochs that are not in the ledger:
// of this one, and of those that were finalised while the host was away.
func (b *Books) Step(ctx context.Context, now sprintv1.Epoch) error {
	if now.Phase < sprintv1.PhaseFinalised {
		if now.Number == 1 {
			return nil
		}
		now.Number--
	}
	if b.paid == nil {
		list, err := b.c.Ledger.Credited()
		if err != nil {
			return err
		}
		b.paid = map[uint64]bool{}
		for _, n := range list {
			b.paid[n] = true
		}
	}
	first := now.Number - min(now.Number-1, uint64(now.Params.KeepEpochs))
	known := now.Number // up to it all is known of what the chain found
	var failed error
	for n := first; n <= now.Number; n++ {
		if b.paid[n] {
			continue
		}
		err := b.creditEpoch(ctx, n)
		if b.paid[n] = err == nil; client.Away(err) {
			return err
		}
		if err != nil {
			known = min(known, n-1)
		}
		failed = errors.Join(failed, err) // the others do not wait for it
	}
	for c := range b.condemned {
		if c.epoch+keepCondemned < first {
			delete(b.condemned, c)
		}
	}
	return errors.Join(failed, b.fulfil(known), b.savePaid(first))
}

// savePaid writes down which epochs are credited, from one on, and forgets the others.
// A host that is started again credits none of them twice.
func (b *Books) savePaid(first uint64) error {
	var list []uint64
	for n, paid := range b.paid {
		switch {
		case n < first:
			delete(b.paid, n)
		case paid:
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return b.c.Ledger.SetCredited(list)
}

// creditEpoch credits the leaves of one epoch, unless the chain has forgotten it.
func (b *Books) creditEpoch(ctx context.Context, n uint64) error {
	res, err := b.c.Sprint.Epoch(ctx, &sprintv1.QueryEpochRequest{Number: n})
	if status.Code(err) == codes.NotFound {
		return nil
	} else if err != nil {
		return fmt.Errorf("asking for epoch %d: %w", n, err)
	}
	o, found, err := client.Outcome(ctx, b.c.Sprint, n, b.c.Participant)
	if err != nil || !found {
		return err
	}
	return b.creditLeaves(ctx, res.Epoch, o)
}

// fulfil enters what is left of promises whose epochs are over: of those that the
// chain has forgotten, because the host was away, and of logs whose commit did not
// come to be on chain. The work was done and audited, so it is paid by this host's
// own audit.
func (b *Books) fulfil(epoch uint64) error {
	list, err := b.c.Ledger.Promises(epoch, 1000)
	if err != nil {
		return err
	}
	for _, p := range list {
		ops := credit.Credited(p.Count, audit.Q64(p.Bound)) * p.Ops
		if b.condemned[condemned{p.Epoch, p.Node}] {
			ops = 0
		}
		if err := b.c.Ledger.Fulfil(p, ops, time.Now()); err != nil {
			b.c.Logger.Error("leaves could not be credited", "node", p.Node, "epoch",
				p.Epoch, "err", err)
		}
	}
	return nil
}

// keepCondemned is for how many epochs a host remembers that a node was condemned:
// longer than a promise of that epoch can wait for it.
const keepCondemned = 1000

// condemned is a node whose leaves of an epoch the chain found to be forged.
type condemned struct {
	epoch uint64
	node  string
}

// Promise enters the leaves of a pool's machine as a debt when the host commits to
// them: whatever becomes of the epoch, and of the host, they are paid some day.
func (b *Books) Promise(e sprintv1.Epoch, class transformer.Class, key leaflog.Key, count uint64) {
	d, ok := b.Machine(key.Node)
	if !ok {
		return
	}
	err := b.c.Ledger.Promise(ledger.Promise{Device: d, Source: source(key), Epoch: key.Epoch,
		Node: key.Node, Count: count, Ops: class.Ops(), Rate: b.c.Rate, Bound: uint64(OwnBound(e))})
	if err != nil {
		b.c.Logger.Error("what a machine is owed could not be written down; it is credited when "+
			"the epoch is over", "node", key.Node, "epoch", key.Epoch, "err", err)
	}
}

// OwnBound is the share of leaves that this host's own audit allows for.
func OwnBound(e sprintv1.Epoch) audit.Q64 {
	return audit.Upper(0, uint64(e.Params.Samples),
		audit.Rate{Num: uint64(e.Params.CreditEpsPpm), Den: 1_000_000})
}

// creditLeaves enters the leaves of the pool's machines that this host committed
// to, once: of each log the share that the audit left. They passed this host's own
// audit, so they count whatever became of its epoch, unless the chain found that
// node's to be forged.
func (b *Books) creditLeaves(ctx context.Context, e sprintv1.Epoch, o sprintv1.Outcome) error {
	forged := slices.Clone(o.Condemned)
	if o.Forged != nil && (o.Result == sprintv1.ResultFraud ||
		o.Result == sprintv1.ResultRejected) && !slices.Contains(forged, o.Forged.Node) {
		forged = append(forged, o.Forged.Node)
	}
	for _, node := range forged {
		b.Condemn(e.Number, node)
		if !e.Void { // this host's own audit did not see it
			b.Strike(leaflog.Key{Epoch: e.Number, Node: node}, fmt.Sprintf("the chain proved "+
				"leaves of node %s in epoch %d to be forged", node, e.Number), false)
		}
	}
	bound := audit.Q64(o.Bound)
	if bound == 0 { // the chain went no further; this host's audit allows for this share
		bound = OwnBound(e)
	}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return err
	}
	commits, err := client.Commits(ctx, b.c.Sprint, e.Number, b.c.Participant)
	if err != nil {
		return fmt.Errorf("asking for the commitments of epoch %d: %w", e.Number, err)
	}
	if o.Result != sprintv1.ResultCredited && len(commits) > 0 {
		b.c.Logger.Warn("an epoch was not credited; its machines are paid for it", "epoch",
			e.Number, "reason", o.Reason)
	}
	var failed error
	verified := map[string]uint64{}
	for _, c := range commits {
		d, ok := b.Machine(c.Node)
		if !ok || slices.Contains(forged, c.Node) {
			continue
		}
		ops := credit.Credited(c.Count, bound) * class.Ops()
		_, err := b.c.Ledger.Credit(ledger.Entry{Device: d, Kind: ledger.Leaves, Order: e.Number,
			Ops: ops, Pay: ledger.Pay(ops, b.c.Rate), At: time.Now().UnixMilli(),
			Source: source(leaflog.Key{Epoch: e.Number, Node: c.Node, Segment: c.Segment})})
		switch {
		case errors.Is(err, ledger.ErrBanned):
		case errors.Is(err, ledger.ErrCorrupt): // that account is set aside; its promise stays
			b.c.Logger.Error("leaves could not be credited", "node", c.Node, "epoch",
				e.Number, "err", err)
		default:
			failed = errors.Join(failed, err) // the other machines do not wait for it
		}
		verified[c.Node] += ops
	}
	if failed != nil || b.c.Verified == nil { // what failed is done again, and counted then
		return failed
	}
	for node, ops := range verified { // work in the Sprint keeps a place there
		if err := b.c.Verified(b.c.Machines.Key(node), ops); err != nil {
			b.c.Logger.Error("work in the Sprint could not be added to a machine's standing",
				"node", node, "err", err)
		}
	}
	return nil
}

// Machine returns the pool's account of a node, and whether it has one.
func (b *Books) Machine(node string) (d ledger.Device, ok bool) {
	if b == nil {
		return d, false
	}
	d = ledger.Device(b.c.Machines.Key(node))
	_, err := b.c.Ledger.Account(d) // a machine of host.toml has one if it registered
	return d, err == nil
}

// source names a segment's log in the ledger.
func source(key leaflog.Key) string {
	return fmt.Sprintf("epoch/%d/segment/%d", key.Epoch, key.Segment)
}

// Strike writes down that a machine of the pool forged leaves: once an epoch,
// because a broken driver makes all of them wrong. Its locked pay is forfeited if
// the host can show it; nothing is taken on the host's word.
func (b *Books) Strike(key leaflog.Key, reason string, shown bool) {
	d, ok := b.Machine(key.Node)
	if !ok {
		return
	}
	enter := b.c.Ledger.Strike
	if shown {
		enter = b.c.Ledger.Forfeit
	}
	if _, err := enter(d, ledger.Leaves, fmt.Sprintf("epoch/%d", key.Epoch), reason,
		time.Now()); err != nil {
		b.c.Logger.Error("a strike could not be written down", "node", key.Node, "err", err)
		return
	}
	b.c.Recheck() // a banned one is put out
}
