// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"cmp"
	"container/heap"
	"crypto/sha256"
	"errors"
	"math/bits"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
)

// filling is a block being made. It takes from the front of each sender's queue: what is owed by
// those with weight, then what newcomers owe, both in rounds of one transaction per participant
// until the lane's share is used up; then payments by price; then what is owed beyond the share.
// Whatever it verifies it also takes, because verifying leaves its mark (sequence numbers,
// attempts) on the state that the next transaction is verified against.
type filling struct {
	app  *App
	free budget
	txs  [][]byte
	// invalid are transactions that will never be valid.
	invalid []sdk.Tx
}

// queue is what waits of one sender.
type queue struct {
	waiting []*waiting
	// lot decides among equals. It is drawn again in each block, so that no address is a good one.
	lot [sha256.Size]byte
}

func (q *queue) head() *waiting {
	if len(q.waiting) == 0 {
		return nil
	}
	return q.waiting[0]
}

// participant is who has duties in some queues.
type participant struct {
	queues []*queue
	weight uint64
	lot    [sha256.Size]byte
	name   string
}

// next is the participant's next duty and its queue; nil if something else comes first in all of
// its queues.
func (p *participant) next() (*queue, *waiting) {
	for _, q := range p.queues {
		if w := q.head(); w != nil && w.place.free() && w.place.participant == p.name {
			return q, w
		}
	}
	return nil, nil
}

// draw returns the lot of a name in the block after the one with this beacon value.
func draw(value []byte, name string) [sha256.Size]byte {
	return sha256.Sum256(append(slices.Clone(value), name...))
}

// fill fills the block from what waits of each sender. value is the last block's beacon value.
func (f *filling) fill(senders [][]*waiting, value []byte) {
	var queues []*queue
	byName := make(map[string]*participant)
	var all []*participant
	for _, chain := range senders {
		q := &queue{waiting: chain, lot: draw(value, chain[0].sender)}
		queues = append(queues, q)
		for _, w := range chain {
			if !w.place.free() {
				continue
			}
			p := byName[w.place.participant]
			if p == nil {
				p = &participant{name: w.place.participant, weight: w.place.weight,
					lot: draw(value, w.place.participant)}
				byName[p.name], all = p, append(all, p)
			}
			if !slices.Contains(p.queues, q) {
				p.queues = append(p.queues, q)
			}
		}
	}
	slices.SortFunc(all, func(a, b *participant) int {
		return cmp.Or(cmp.Compare(bits.Len64(b.weight), bits.Len64(a.weight)),
			bytes.Compare(a.lot[:], b.lot[:]))
	})
	newcomers := slices.IndexFunc(all, func(p *participant) bool { return p.weight == 0 })
	if newcomers < 0 {
		newcomers = len(all)
	}
	f.rounds(all[:newcomers], budget.within)
	f.rounds(all[newcomers:], budget.within)
	f.payments(queues)
	f.rounds(all, budget.fits)
}

// rounds takes one transaction of each participant in turn, as long as the block takes any.
func (f *filling) rounds(all []*participant, takes func(budget, candidate) bool) {
	for again := true; again; {
		again = false
		for _, p := range all {
			if q, w := p.next(); w != nil && f.try(q, takes) {
				again = true
			}
		}
	}
}

// payments takes the dearest payment at the front of any queue, as long as one fits.
func (f *filling) payments(queues []*queue) {
	var dearest byPrice
	for _, q := range queues {
		if w := q.head(); w != nil && !w.place.free() {
			dearest = append(dearest, q)
		}
	}
	heap.Init(&dearest)
	for len(dearest) > 0 {
		q := dearest[0]
		if f.try(q, budget.fits) && q.head() != nil && !q.head().place.free() {
			heap.Fix(&dearest, 0)
			continue
		}
		heap.Pop(&dearest)
	}
}

// try takes the transaction at the front of a queue if the block takes it. One that is not valid
// closes the queue for this block: what is behind it would not be valid either.
func (f *filling) try(q *queue, takes func(budget, candidate) bool) bool {
	w := q.head()
	c := candidate{bytes: uint64(protoSize(w.size)), gas: w.gas, openings: openings(w.tx),
		protocol: w.place.free()}
	if !takes(f.free, c) {
		return false
	}
	raw, err := f.app.PrepareProposalVerifyTx(w.tx)
	if err != nil {
		q.waiting = nil
		if !errors.Is(err, sdkerrors.ErrWrongSequence) {
			f.invalid = append(f.invalid, w.tx)
		}
		return false
	}
	q.waiting = q.waiting[1:]
	f.free.take(c)
	f.txs = append(f.txs, raw)
	return true
}

// byPrice is a heap of queues whose front is a payment, the dearest first.
type byPrice []*queue

func (h byPrice) Len() int { return len(h) }
func (h byPrice) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(b.head().place.price, a.head().place.price),
		bytes.Compare(a.lot[:], b.lot[:])) < 0
}
func (h byPrice) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byPrice) Push(x any)   { *h = append(*h, x.(*queue)) }
func (h *byPrice) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
