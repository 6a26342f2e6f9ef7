// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/mempool"
)

// While others wait, protocol transactions take at most laneShare of shareUnit
// of a block's bytes and of its gas, so that governance and payments go on during openings. What
// one side leaves free, the other may use.
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

// candidate is a waiting transaction with what it needs of a block.
type candidate struct {
	tx       sdk.Tx
	bytes    uint64
	gas      uint64
	openings uint64
	protocol bool
}

// fits tells whether the block still takes a candidate; within tells whether
// it stays in its lane.
func (b budget) fits(c candidate) bool {
	return c.bytes <= b.bytes && c.openings <= b.openings && (!b.limited || c.gas <= b.gas)
}
func (b budget) within(c candidate) bool {
	return !c.protocol || c.bytes <= b.lane && (!b.limited || c.gas <= b.laneGas)
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

// prepare fills a block: the proof, then what waits, most urgent first. Whatever
// it verifies it also takes, because verifying leaves its mark (sequence numbers,
// quotas) on the state that the next transaction is verified against.
func (p proposals) prepare(ctx sdk.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	if p.app.self.vrf == nil {
		return nil, fmt.Errorf("app: cannot propose block %d: there is no VRF key at %s", req.Height, p.app.self.vrfPath)
	}
	proof, err := p.app.Beacon.Prove(ctx, req.ProposerAddress, p.app.self.vrf)
	if err != nil {
		return nil, err
	}
	openings, err := p.lane.openingLimit(ctx)
	if err != nil {
		return nil, err
	}
	var (
		txs  = [][]byte{proof}
		free = newBudget(ctx, req.MaxTxBytes-txSize(proof), openings)
		// A sender whose transaction is left out has to wait with its later ones, too.
		waiting = make(map[string]bool)
		// later holds protocol transactions beyond their share, for what the others leave.
		later   []candidate
		invalid []sdk.Tx
	)
	take := func(c candidate) bool {
		raw, err := p.app.PrepareProposalVerifyTx(c.tx)
		switch {
		case err == nil:
			free.take(c)
			txs = append(txs, raw)
			return true
		case !errors.Is(err, sdkerrors.ErrWrongSequence) && !errors.Is(err, ErrQuota):
			invalid = append(invalid, c.tx)
		}
		return false
	}
	p.pool.SelectBy(ctx, req.Txs, func(pooled mempool.PooledTx) bool {
		c, senders, err := p.candidate(ctx, pooled)
		if err != nil {
			invalid = append(invalid, pooled.Tx)
			return true
		}
		held := false
		for _, s := range senders {
			held = held || waiting[s]
		}
		switch {
		case !held && free.fits(c) && free.within(c) && take(c):
			return true
		case free.fits(c) && !free.within(c):
			later = append(later, c)
		}
		for _, s := range senders {
			waiting[s] = true
		}
		return free.bytes > 0
	})
	for _, c := range later {
		if free.fits(c) {
			take(c)
		}
	}
	for _, tx := range invalid {
		if err := p.pool.Remove(tx); err != nil && !errors.Is(err, mempool.ErrTxNotFound) {
			return nil, fmt.Errorf("app: dropping an invalid transaction: %w", err)
		}
	}
	return &abci.ResponsePrepareProposal{Txs: txs}, nil
}

func (p proposals) candidate(ctx sdk.Context, pooled mempool.PooledTx) (candidate, []string, error) {
	raw, err := p.app.TxEncode(pooled.Tx)
	if err != nil {
		return candidate{}, nil, err
	}
	signed, err := signers{}.GetSigners(pooled.Tx)
	if err != nil {
		return candidate{}, nil, err
	}
	var senders []string
	for _, s := range signed {
		senders = append(senders, string(s.Signer))
	}
	_, protocol, err := p.lane.participant(ctx, pooled.Tx)
	if err != nil {
		return candidate{}, nil, err
	}
	return candidate{
		tx: pooled.Tx, bytes: uint64(txSize(raw)), gas: pooled.GasWanted,
		openings: openings(pooled.Tx), protocol: protocol,
	}, senders, nil
}

// txSize is what a transaction adds to a block, its length prefix included.
func txSize(tx []byte) int64 {
	return cmttypes.ComputeProtoSizeForTxs([]cmttypes.Tx{tx})
}

// process judges a proposal. A rejected one costs its proposer the round.
func (p proposals) process(ctx sdk.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	if err := p.judge(ctx, req); err != nil {
		ctx.Logger().Error("rejected a proposal", "height", req.Height, "proposer", fmt.Sprintf("%X", req.ProposerAddress), "reason", err.Error())
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
			return fmt.Errorf("app: transaction %d: the block's gas or its %d bytes of openings are used up", i+1, limit)
		}
		free.take(c)
	}
	return nil
}
