// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/mempool"
	"github.com/cosmos/cosmos-sdk/x/auth/signing"
)

const (
	// poolSize and poolBytes are how many transactions wait at most, unless configured otherwise,
	// and how many bytes they have together.
	poolSize  = 5_000
	poolBytes = 256 << 20
	// CometPoolSize and CometPoolBytes are what CometBFT's own list has to have room for: what
	// waits here and what gave way since the last block, which CometBFT holds until it has it
	// checked again. It says that a transaction was taken before it looks for room a second time,
	// and drops it silently when it finds none; so this pool has to be the one that is full first.
	CometPoolSize  = 3 * poolSize
	CometPoolBytes = 3 * poolBytes
	// laneRoom is how many transactions of one participant's duties wait at most.
	laneRoom = 64
	// outbid is by which part a payment has to be dearer than the one that gives way to it: an
	// eighth. Else a flood of payments, each a little dearer than the last, would fill CometBFT's
	// list between two blocks.
	outbid = 8
)

// waiting is a transaction in the pool.
type waiting struct {
	tx       sdk.Tx
	hash     [sha256.Size]byte
	size     int
	gas      uint64
	sender   string
	sequence uint64
	place    place
	// floor is the least urgent place of this transaction and of those of its sender that have to
	// go before it.
	floor place
}

// pool holds the transactions that wait for a block: for each sender in the order of their sequence
// numbers. When it is full, the least urgent gives way to a more urgent one. Urgent is first what
// is owed by those with weight, then what pays, by price, then what is owed by newcomers. Of what
// is owed, one transaction of each participant comes before anybody's second.
//
// Every node has to use it, proposers or not: executing a block takes its
// transactions out of the pool, and an error there would be part of the result.
type pool struct {
	size  int
	bytes int

	mu     sync.Mutex // guards what follows
	chains map[string][]*waiting
	count  int
	held   int
	// lanes counts the free transactions of each participant.
	lanes map[string]int
	// gaveWay counts evictions since the last block for those without weight.
	gaveWay int

	// decided are the transactions of the block that was executed and is not committed yet.
	// Executing and committing never overlap, so that no lock is needed.
	decided []sdk.Tx
}

var _ mempool.ExtMempool = (*pool)(nil)

// newPool makes a pool for up to size transactions; poolSize when size is not positive.
func newPool(size int) *pool {
	if size <= 0 {
		size = poolSize
	}
	return &pool{size: size, bytes: poolBytes, chains: make(map[string][]*waiting),
		lanes: make(map[string]int)}
}

// CountTx is how many transactions wait.
func (p *pool) CountTx() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Insert takes a transaction in that the ante handler gave a place, and lets others give way to it
// if it has to.
func (p *pool) Insert(ctx context.Context, tx sdk.Tx, option mempool.InsertOption) error {
	sender, sequence, err := firstSigner(tx)
	if err != nil {
		return err
	}
	c := sdk.UnwrapSDKContext(ctx)
	at, ok := c.Value(placeKey{}).(place)
	if !ok {
		return errors.New("app: a transaction without a place in the pool")
	}
	w := &waiting{tx: tx, hash: sha256.Sum256(c.TxBytes()), size: len(c.TxBytes()),
		gas:    option.GasWanted,
		sender: sender, sequence: sequence, place: at}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(sender, sequence)
	victims, err := p.victims(sender, w.size, at)
	if err != nil {
		return err
	}
	for _, v := range victims {
		p.remove(v.sender, v.sequence)
		if at.class != owedWithWeight {
			p.gaveWay++
		}
	}
	p.add(w)
	return nil
}

// room reports whether Insert will find room.
func (p *pool) room(tx sdk.Tx, size int, at place) error {
	sender, _, err := firstSigner(tx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = p.victims(sender, size, at)
	return err
}

// victims returns who has to give way to a transaction, or why none do.
func (p *pool) victims(sender string, size int, at place) (all []*waiting, err error) {
	most := max(1, min(laneRoom, p.size/8))
	switch {
	case at.free() && p.lanes[at.participant] >= most:
		return nil, errorsmod.Wrapf(sdkerrors.ErrMempoolIsFull, "%d transactions of %s wait, at "+
			"most %d; put several messages into one", p.lanes[at.participant], at.participant, most)
	case !at.free() && len(p.chains[sender]) >= max(1, p.size/4):
		return nil, errorsmod.Wrapf(sdkerrors.ErrMempoolIsFull, "%d transactions of this sender "+
			"wait; send it again in a moment", len(p.chains[sender]))
	}
	count, held := p.count+1, p.held+size
	dropped := make(map[string]int)
	for count > p.size || held > p.bytes {
		v := p.least(sender, dropped)
		if v == nil || !p.outranks(at, v, dropped) || at.class != owedWithWeight &&
			p.gaveWay+len(all) >= p.size/2 {
			return nil, errorsmod.Wrapf(sdkerrors.ErrMempoolIsFull, "%d transactions wait on "+
				"this node and none is less urgent; send it again in a moment", p.count)
		}
		all = append(all, v)
		dropped[v.sender]++
		if v.place.free() {
			dropped[v.place.participant+lanePrefix]++
		}
		count, held = count-1, held-v.size
	}
	return all, nil
}

// lanePrefix keeps participants apart from senders.
const lanePrefix = "/lane"

// round is how many transactions of its participant come before the last one.
func (p *pool) round(at place, dropped map[string]int) int {
	return p.lanes[at.participant] - dropped[at.participant+lanePrefix]
}

// least finds the least urgent last transaction of any sender but one. Only a last one may go:
// those behind it could not enter a block.
func (p *pool) least(but string, dropped map[string]int) (least *waiting) {
	for sender, chain := range p.chains {
		n := len(chain) - dropped[sender]
		if n == 0 || sender == but {
			continue
		}
		if w := chain[n-1]; least == nil || p.compare(w, least, dropped) < 0 {
			least = w
		}
	}
	return least
}

// compare orders two waiting transactions by urgency; equal ones by who came, to be the same on
// each walk of the map.
func (p *pool) compare(a, b *waiting, dropped map[string]int) int {
	return cmp.Or(
		cmp.Compare(a.floor.class, b.floor.class),
		-cmp.Compare(p.round(a.floor, dropped), p.round(b.floor, dropped)),
		a.floor.compare(b.floor),
		cmp.Compare(a.sender, b.sender))
}

// outranks: v gives way to a new transaction.
func (p *pool) outranks(at place, v *waiting, dropped map[string]int) bool {
	if c := cmp.Compare(at.class, v.floor.class); c != 0 {
		return c > 0
	}
	if at.class == payment {
		return at.price > v.floor.price && at.price-v.floor.price > v.floor.price/outbid
	}
	// the new one would be one round behind those of its participant, v is the last of its own
	mine, its := p.lanes[at.participant], p.round(v.floor, dropped)-1
	return mine < its || mine == its && at.weight > v.floor.weight
}

// find returns where a sequence stands, or would stand, among its sender's transactions.
func (p *pool) find(sender string, sequence uint64) (at int, found bool) {
	return slices.BinarySearchFunc(p.chains[sender], sequence,
		func(w *waiting, sequence uint64) int { return cmp.Compare(w.sequence, sequence) })
}

func (p *pool) add(w *waiting) {
	i, _ := p.find(w.sender, w.sequence)
	p.chains[w.sender] = slices.Insert(p.chains[w.sender], i, w)
	p.count++
	p.held += w.size
	if w.place.free() {
		p.lanes[w.place.participant]++
	}
	p.sink(w.sender)
}

// remove takes a transaction out, if it is there.
func (p *pool) remove(sender string, sequence uint64) *waiting {
	i, found := p.find(sender, sequence)
	if !found {
		return nil
	}
	chain := p.chains[sender]
	w := chain[i]
	if p.chains[sender] = slices.Delete(chain, i, i+1); len(p.chains[sender]) == 0 {
		delete(p.chains, sender)
	}
	p.count--
	p.held -= w.size
	p.leave(w.place)
	p.sink(sender)
	return w
}

func (p *pool) leave(at place) {
	if !at.free() {
		return
	}
	if p.lanes[at.participant]--; p.lanes[at.participant] == 0 {
		delete(p.lanes, at.participant)
	}
}

// sink computes the floors of a sender's transactions.
func (p *pool) sink(sender string) {
	for i, w := range p.chains[sender] {
		w.floor = w.place
		if i > 0 {
			if before := p.chains[sender][i-1].floor; before.compare(w.floor) < 0 {
				w.floor = before
			}
		}
	}
}

// keep gives a transaction that is checked again its new place; false if it gave way to another.
func (p *pool) keep(tx sdk.Tx, raw []byte, at place) bool {
	sender, sequence, err := firstSigner(tx)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i, found := p.find(sender, sequence)
	if !found || p.chains[sender][i].hash != sha256.Sum256(raw) {
		return false
	}
	w := p.chains[sender][i]
	p.leave(w.place)
	if w.place = at; at.free() {
		p.lanes[at.participant]++
	}
	p.sink(sender)
	return true
}

// senders returns each sender's transactions in order, by sender.
func (p *pool) senders() (all [][]*waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, chain := range p.chains {
		all = append(all, slices.Clone(chain))
	}
	slices.SortFunc(all, func(a, b []*waiting) int { return cmp.Compare(a[0].sender, b[0].sender) })
	return all
}

// Remove takes a transaction out. One that never was in the pool, as the beacon
// proof, which nobody signs, is not found.
func (p *pool) Remove(tx sdk.Tx) error {
	sender, sequence, err := firstSigner(tx)
	if err != nil {
		return mempool.ErrTxNotFound //nolint:nilerr // see above
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.remove(sender, sequence) == nil {
		return mempool.ErrTxNotFound
	}
	return nil
}

// RemoveWithReason is Remove, and remembers what a block holds. What fails when it is checked again
// may have given way to another before.
func (p *pool) RemoveWithReason(_ context.Context, tx sdk.Tx, reason mempool.RemoveReason) error {
	if reason.Caller == mempool.CallerRunTxRecheck {
		if !errors.Is(reason.Error, sdkerrors.ErrMempoolIsFull) {
			_ = p.Remove(tx) // not being there is fine
		}
		return nil
	}
	err := p.Remove(tx)
	if reason.Caller == mempool.CallerRunTxFinalize {
		p.decided = append(p.decided, tx)
	}
	return err
}

// committed takes the transactions of the block out once more. Until its commit, one of them that
// gossip brings late is still valid against the state of checks and enters the pool; CometBFT drops
// it from its own list with the block and never has it checked again. Here it would stay for good
// and hold back whatever its sender sends later.
func (p *pool) committed() {
	for _, tx := range p.decided {
		_ = p.Remove(tx) // not being there is the rule
	}
	clear(p.decided)
	p.decided = p.decided[:0]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaveWay = 0
}

// Select walks what waits, sender by sender. Proposals are made otherwise: see proposals.
func (p *pool) Select(context.Context, [][]byte) mempool.Iterator {
	var all iterator
	for _, chain := range p.senders() {
		for _, w := range chain {
			all = append(all, mempool.NewPooledTx(w.tx, w.gas))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// SelectBy hands what Select walks to f until it has enough.
func (p *pool) SelectBy(ctx context.Context, txs [][]byte, f func(mempool.PooledTx) bool) {
	for it := p.Select(ctx, txs); it != nil && f(it.Tx()); it = it.Next() {
	}
}

type iterator []mempool.PooledTx

func (i iterator) Tx() mempool.PooledTx { return i[0] }
func (i iterator) Next() mempool.Iterator {
	if len(i) == 1 {
		return nil
	}
	return i[1:]
}

// firstSigner reads from a transaction's messages who signed it first, and that account's sequence
// number. The SDK's own way goes by the public keys in it, which senders may leave out once the
// chain knows them.
func firstSigner(tx sdk.Tx) (sender string, sequence uint64, err error) {
	signed, ok := tx.(signing.SigVerifiableTx)
	if !ok {
		return "", 0, fmt.Errorf("app: a transaction of type %T has no signers", tx)
	}
	signatures, err := signed.GetSignaturesV2()
	if err != nil {
		return "", 0, fmt.Errorf("app: %w", err)
	}
	addresses, err := signed.GetSigners()
	if err != nil {
		return "", 0, fmt.Errorf("app: %w", err)
	}
	if len(signatures) != len(addresses) || len(addresses) == 0 {
		return "", 0, fmt.Errorf("app: %d signatures of %d signers",
			len(signatures), len(addresses))
	}
	return string(addresses[0]), signatures[0].Sequence, nil
}
