// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"math/bits"

	abci "github.com/cometbft/cometbft/abci/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/mempool"
)

// While others wait, the lane takes at most laneShare of shareUnit of a block's bytes and of its
// gas, so that governance and payments go on while many duties are due. What one side leaves free,
// the other may use. The largest duty fits into the lane's share of the smallest block that
// governance may choose.
const (
	laneShare = 3
	shareUnit = 4
)

// proposals makes and judges blocks.
type proposals struct {
	app  *App
	pool *pool
	lane lane
}

// budget is what still fits into a block.
type budget struct {
	bytes, openings uint64
	// lane is the part of bytes that protocol transactions may take up.
	lane uint64
	// gas is what the block's transactions may ask for together, laneGas the part of
	// protocol transactions; unlimited without a limit.
	gas, laneGas uint64
	limited      bool
}

func newBudget(ctx sdk.Context, bytes int64, openings uint64) budget {
	b := budget{bytes: uint64(max(bytes, 0)), openings: openings}
	b.lane = b.bytes / shareUnit * laneShare
	if block := ctx.ConsensusParams().Block; block != nil && block.MaxGas > 0 {
		b.gas, b.limited = uint64(block.MaxGas), true
		b.laneGas = b.gas / shareUnit * laneShare
	}
	return b
}

// candidate is what a transaction needs of a block.
type candidate struct {
	bytes    uint64
	gas      uint64
	openings uint64
	protocol bool
}

// fits reports whether the block still takes a candidate, within whether it takes it in the lane's
// share.
func (b budget) fits(c candidate) bool {
	return c.bytes <= b.bytes && c.openings <= b.openings && (!b.limited || c.gas <= b.gas)
}

func (b budget) within(c candidate) bool {
	return b.fits(c) && c.bytes <= b.lane && (!b.limited || c.gas <= b.laneGas)
}

func (b *budget) take(c candidate) {
	b.bytes -= c.bytes
	b.openings -= c.openings
	if b.limited {
		b.gas -= c.gas
	}
	if c.protocol {
		b.lane -= min(b.lane, c.bytes)
		b.laneGas -= min(b.laneGas, c.gas)
	}
}

// prepare makes a block: the proof, then what waits.
func (p proposals) prepare(ctx sdk.Context,
	req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	owner, _, err := p.app.Registry.ByConsensusAddress(ctx, req.ProposerAddress)
	if err != nil {
		return nil, err
	}
	key := p.app.self.held(owner.VrfKey, vrfKeys)
	if key == nil {
		return nil, fmt.Errorf("app: cannot propose block %d: the VRF key %x of %s is not at %s",
			req.Height, owner.VrfKey, owner.Moniker, p.app.self.first.VRF)
	}
	proof, err := p.app.Beacon.Prove(ctx, req.ProposerAddress, key)
	if err != nil {
		return nil, err
	}
	openings, err := p.lane.openingLimit(ctx)
	if err != nil {
		return nil, err
	}
	last, err := p.app.Beacon.Latest(ctx)
	if err != nil {
		return nil, err
	}
	f := filling{app: p.app, free: newBudget(ctx, req.MaxTxBytes-protoSize(len(proof)), openings),
		txs: [][]byte{proof}}
	f.fill(p.pool.senders(), last.Value)
	for _, tx := range f.invalid {
		if err := p.pool.Remove(tx); err != nil && !errors.Is(err, mempool.ErrTxNotFound) {
			return nil, fmt.Errorf("app: dropping an invalid transaction: %w", err)
		}
	}
	return &abci.ResponsePrepareProposal{Txs: f.txs}, nil
}

// protoSize is what a transaction of so many bytes adds to a block, its length prefix included.
func protoSize(n int) int64 {
	return int64(1 + uvarintSize(uint64(n)) + n)
}

func uvarintSize(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

// process judges a proposal. A rejected one costs its proposer the round.
func (p proposals) process(ctx sdk.Context,
	req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	if err := p.judge(ctx, req); err != nil {
		ctx.Logger().Error("rejected a proposal", "height", req.Height, "proposer",
			fmt.Sprintf("%X", req.ProposerAddress), "reason", err.Error())
		return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

func (p proposals) judge(ctx sdk.Context, req *abci.RequestProcessProposal) error {
	if len(req.Txs) == 0 {
		return errors.New("app: no beacon proof")
	}
	if _, err := p.app.Beacon.Verify(ctx, req.ProposerAddress, req.Txs[0]); err != nil {
		return err
	}
	limit, err := p.lane.openingLimit(ctx)
	if err != nil {
		return err
	}
	// MaxBytes is held by CometBFT, before it asks.
	free := newBudget(ctx, 0, limit)
	for i, raw := range req.Txs[1:] {
		tx, gas, err := p.app.ProcessProposalVerifyTx(raw)
		if err != nil {
			return fmt.Errorf("app: transaction %d: %w", i+1, err)
		}
		c := candidate{gas: gas, openings: openings(tx)}
		if !free.fits(c) {
			return fmt.Errorf("app: transaction %d: the block's gas or its %d bytes of openings "+
				"are used up", i+1, limit)
		}
		free.take(c)
	}
	return nil
}
