// SPDX-License-Identifier: Apache-2.0

package host

import (
	"sync"
	"time"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

const (
	// paceBlocks is over how many blocks the time of one is taken.
	paceBlocks = 20
	// paceLate is how many times as long as others a block takes before their time says nothing any
	// longer, paceSlack how much longer it takes at least.
	paceLate, paceSlack = 5, 5 * time.Second
)

// pace follows phases and blocks. Its methods are for any goroutine.
type pace struct {
	clock func() time.Time // nil is the system's

	mu       sync.Mutex
	from, to int64
	seen     []sight // the latest, oldest first
}

func (p *pace) now() time.Time {
	if p.clock != nil {
		return p.clock()
	}
	return time.Now()
}

// sight is a block and when it was seen first.
type sight struct {
	height int64
	at     time.Time
}

// see enters a block. Heights that do not grow, after another node was asked, begin again.
func (p *pace) see(now sprintv1.QueryCurrentResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.to = bounds(now)
	if n := len(p.seen); n > 0 && now.Height <= p.seen[n-1].height {
		p.seen = nil
	}
	p.seen = append(p.seen, sight{now.Height, p.now()})
	if len(p.seen) > paceBlocks+1 {
		p.seen = p.seen[1:]
	}
}

// progress is how it stands now; nil before the first block.
func (p *pace) progress() *Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.seen)
	if n == 0 {
		return nil
	}
	first, last := p.seen[0], p.seen[n-1]
	r := &Progress{From: p.from, To: p.to}
	if n < 2 {
		return r
	}
	each := last.at.Sub(first.at) / time.Duration(last.height-first.height)
	if late := p.now().Sub(last.at); late <= max(paceLate*each, each+paceSlack) {
		r.BlockMS = each.Milliseconds()
	}
	return r
}

// bounds are the block before a phase and its last one, 0 where they are not known.
func bounds(now sprintv1.QueryCurrentResponse) (from, to int64) {
	e := now.Epoch
	switch e.Phase {
	case sprintv1.PhasePrepare:
		if len(e.Seed1) > 0 && e.ReadyHeight == 0 {
			from, to = e.Seed1Height, e.PrepareUntil
		}
	case sprintv1.PhaseCompute:
		from, to = e.ComputeStart-1, e.ComputeEnd
	case sprintv1.PhaseWrapUp:
		from, to = e.ComputeEnd, e.WrapupUntil
	case sprintv1.PhaseProof:
		from, to = e.ChallengeHeight, e.ProofUntil
	case sprintv1.PhaseValidate:
		from, to = e.Round.DrawHeight, e.Round.ValidateUntil
	case sprintv1.PhaseReveal:
		from, to = e.Round.ValidateUntil, e.Round.RevealUntil
	case sprintv1.PhaseCheck:
		if len(e.Round.CheckMix) > 0 {
			from, to = e.Round.CheckHeight, e.Round.CheckUntil
		}
	case sprintv1.PhaseDispute:
		from, to = e.Round.DisputeStart, e.Round.DisputeUntil
	}
	if e.Phase == sprintv1.PhaseServe {
		from, to = e.FinalisedHeight, e.Start+int64(e.Params.EpochBlocks)-1
	}
	if to <= from {
		return 0, 0
	}
	return from, to
}
