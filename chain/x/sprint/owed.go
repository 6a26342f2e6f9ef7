// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/x/court"
)

// Owed is what the state says about one message of the protocol lane.
type Owed struct {
	Epoch       uint64
	Participant string
	// Weight ranks the participant; 0: a newcomer.
	Weight uint64
	// Duty names what is owed among all duties of the participant in the epoch; Times is how often
	// it is owed, Used how many attempts were made for free.
	Duty        []byte
	Times, Used uint64
	// Bytes is the largest message that discharges the duty.
	Bytes uint64
}

// Owed returns what the state expects of a message's sender. An error with a code of this module
// says why the message is not owed now: it came outside its window, was accepted before, is too
// large, or its sender has no say. Reading is not metered; whoever asks charges sprintv1.GasOwed.
func (k *Keeper) Owed(ctx context.Context, msg sdk.Msg) (Owed, error) {
	kind, participant, ok := sprintv1.DutyOf(msg)
	if !ok {
		return Owed{}, ErrNotMember.Wrapf("%s is no duty", sdk.MsgTypeURL(msg))
	}
	free := unmetered(ctx)
	o, err := k.expected(free, msg, participant)
	if err != nil {
		return Owed{}, err
	}
	if o.Bytes == 0 || o.Bytes > kind.Bytes {
		o.Bytes = kind.Bytes
	}
	if uint64(sprintv1.MsgSize(msg)) > o.Bytes {
		return Owed{}, ErrInvalid.Wrapf("%s has %d bytes; the state expects at most %d", kind.URL,
			sprintv1.MsgSize(msg), o.Bytes)
	}
	o.Used, err = k.attempts.Get(free, attemptOf(o))
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return Owed{}, err
	}
	return o, nil
}

// expected finds the duty that a message would discharge. Bytes is left at 0 where the kind's own
// bound is enough.
func (k *Keeper) expected(ctx context.Context, msg sdk.Msg, participant string) (Owed, error) {
	if _, ok := msg.(*registryv1.MsgSetNodes); ok {
		return k.nodesOwed(ctx, participant)
	}
	epoch, ok := epochNamed(msg)
	if !ok {
		return Owed{}, ErrPhase.Wrapf("%s names no epoch", sdk.MsgTypeURL(msg))
	}
	e, err := k.running(ctx, epoch)
	if err != nil {
		return Owed{}, err
	}
	p, err := k.registry.Record(ctx, participant)
	if err != nil {
		return Owed{}, ErrNotMember.Wrapf("%s is not registered: %v", participant, err)
	}
	m, err := k.announced(ctx, e, p) // who is no member yet may still become one
	if open, ok := msg.(*sprintv1.MsgOpen); ok && open.Stream && errors.Is(err, ErrNotMember) {
		m, err = sprintv1.Member{}, nil // who left may have left a stream
	}
	if err != nil {
		return Owed{}, err
	}
	if p.JailedUntil > e.Number || convicted(m) {
		return Owed{}, ErrNotMember.Wrapf("%s is jailed or convicted in epoch %d",
			participant, e.Number)
	}
	o := Owed{Epoch: e.Number, Participant: participant, Weight: m.Weight, Times: 1}
	switch msg := msg.(type) {
	case *sprintv1.MsgReady:
		o.Duty = []byte("ready")
		return o, readyOwed(e, m)
	case *sprintv1.MsgCommit:
		o.Duty = fmt.Appendf(nil, "commit/%s/%d", msg.Node, msg.Segment)
		return o, k.commitOwed(ctx, e, m, msg)
	case *sprintv1.MsgOpen:
		o.Duty = about(msg.Stream).duty("open")
		o.Bytes, err = k.openOwed(ctx, e, about(msg.Stream), participant)
		return o, err
	case *sprintv1.MsgCommitVerdict:
		o.Duty = about(msg.Stream).duty("verdict")
		_, err = k.record(ctx, e, about(msg.Stream), participant, sprintv1.PhaseValidate)
		return o, err
	case *sprintv1.MsgRevealVerdict:
		o.Duty = about(msg.Stream).duty("reveal")
		_, err = k.record(ctx, e, about(msg.Stream), participant, sprintv1.PhaseReveal)
		return o, err
	case *sprintv1.MsgOpenMiddles:
		o.Duty = about(msg.Stream).duty("middles")
		_, err = k.record(ctx, e, about(msg.Stream), participant, sprintv1.PhaseCheck)
		return o, err
	case *sprintv1.MsgDispute:
		o.Duty = []byte("dispute")
		o.Times, err = k.disputesOwed(ctx, e, m)
		return o, err
	case *streamv1.MsgSubmitContinuousPoCCommit:
		o.Duty = []byte("stream")
		o.Times, err = k.streamOwed(ctx, e, m, msg)
		return o, err
	}
	return Owed{}, ErrPhase.Wrapf("%s is not taken in %s", sdk.MsgTypeURL(msg), e.Phase.Word())
}

// epochNamed is the epoch that a message is for.
func epochNamed(msg sdk.Msg) (uint64, bool) {
	switch m := msg.(type) {
	case interface{ GetEpoch() uint64 }:
		return m.GetEpoch(), true
	case interface{ GetEpochIndex() uint64 }:
		return m.GetEpochIndex(), true
	}
	return 0, false
}

func readyOwed(e sprintv1.Epoch, m sprintv1.Member) error {
	if e.Phase != sprintv1.PhasePrepare || len(e.Seed1) == 0 {
		return ErrPhase.Wrapf("readiness is reported between Seed_1 and the compute window; "+
			"epoch %d is in %s", e.Number, e.Phase.Word())
	}
	if m.Live {
		return ErrDone.Wrapf("%s is ready already", m.Participant)
	}
	return nil
}

func (k *Keeper) commitOwed(ctx context.Context, e sprintv1.Epoch, m sprintv1.Member,
	msg *sprintv1.MsgCommit) error {
	if _, err := committable(e, m, msg, height(ctx)); err != nil {
		return err
	}
	return k.uncommitted(ctx, e, msg)
}

// openOwed returns how many bytes the drawn leaves take.
func (k *Keeper) openOwed(ctx context.Context, e sprintv1.Epoch, s subject,
	participant string) (bytes uint64, err error) {
	_, drawn, err := k.toOpen(ctx, e, s, participant)
	return openingBytes(drawn) + openingFrame, err
}

// openingFrame bounds what an opening has around its logs.
const openingFrame = 128

// disputesOwed returns the budget of claims: a member with weight may raise so many, each in one
// attempt or two.
func (k *Keeper) disputesOwed(ctx context.Context, e sprintv1.Epoch,
	m sprintv1.Member) (budget uint64, err error) {
	if err := disputable(e, height(ctx)); err != nil {
		return 0, err
	}
	budget = uint64(court.Budget(m.Weight, e.TotalWeight))
	if budget == 0 {
		return 0, ErrNotMember.Wrapf("%s has no weight in epoch %d; its disputes pay",
			m.Participant, e.Number)
	}
	c, err := k.court.Claimant(ctx, e.Number, m.Participant)
	if err != nil {
		return 0, err
	}
	if c.Refuted || uint64(c.Spent) >= budget {
		return 0, ErrDone.Wrapf("%s has raised %d of its %d claims of this epoch, or one was "+
			"refuted", m.Participant, c.Spent, budget)
	}
	return budget, nil
}

// freeStream and freeStreamShare are how many commits of its stream a participant makes for free in
// an epoch: so many, and so many more in proportion to its weight.
const (
	freeStream      = 100
	freeStreamShare = 200_000
)

// streamOwed returns how many commits of its stream a participant makes for free in an epoch.
func (k *Keeper) streamOwed(ctx context.Context, e sprintv1.Epoch, m sprintv1.Member,
	msg *streamv1.MsgSubmitContinuousPoCCommit) (free uint64, err error) {
	made, err := k.stream.Owed(ctx, msg)
	if err != nil {
		return 0, err
	}
	free = freeStream
	if e.TotalWeight > 0 {
		free += mulDiv(m.Weight, freeStreamShare, e.TotalWeight)
	}
	if uint64(made) >= free {
		return 0, ErrDone.Wrapf("%s has made %d commits of its stream of epoch %d, which is all "+
			"that are free; a further one pays a fee", m.Participant, made, e.Number)
	}
	return free, nil
}

// nodesOwed: every participant may change its machines once an epoch, and at most double their
// number or have freeNodes for free. Longer lists pay, or identities without a machine would fill
// blocks with them.
func (k *Keeper) nodesOwed(ctx context.Context, participant string) (Owed, error) {
	e, err := k.epoch(ctx)
	if err != nil {
		return Owed{}, err
	}
	p, err := k.registry.Get(ctx, participant)
	if err != nil {
		return Owed{}, ErrNotMember.Wrapf("%s is not registered: %v", participant, err)
	}
	m, err := k.members.Get(ctx, memberKeyOf(e.Number, participant))
	// who registered now is no member yet
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return Owed{}, err
	}
	if e.Number == 0 || p.JailedUntil > e.Number || convicted(m) {
		return Owed{}, ErrNotMember.Wrapf("%s may not change its machines for free in epoch %d",
			participant, e.Number)
	}
	times := uint64(1)
	if p.NodesEpoch >= e.Number && p.JoinedEpoch < e.Number {
		times = 0 // changed in this epoch already: a further change is taken for a fee
	}
	return Owed{Epoch: e.Number, Participant: participant, Weight: m.Weight, Duty: []byte("nodes"),
		Times: times,
		Bytes: sprintv1.NodesBytes(max(freeNodes, 2*len(p.Nodes)))}, nil
}

// freeNodes is how many machines any participant may list for free.
const freeNodes = 16

// Attempt uses up one free attempt at a duty. It belongs into the state before the message runs, so
// that a message that fails has used it, too.
func (k *Keeper) Attempt(ctx context.Context, o Owed) error {
	return k.attempts.Set(unmetered(ctx), attemptOf(o), o.Used+1)
}

// attemptOf hashes the duty's name, which holds what its sender wrote, to a fixed length.
func attemptOf(o Owed) attemptKey {
	name := sha256.Sum256(o.Duty)
	return collections.Join3(o.Epoch, o.Participant, name[:16])
}

// attemptsOf lists the attempts of an epoch by participant and duty.
func (k *Keeper) attemptsOf(ctx context.Context, epoch uint64) ([]sprintv1.Attempts, error) {
	var all []sprintv1.Attempts
	err := k.attempts.Walk(ctx, collections.NewPrefixedTripleRange[uint64, string, []byte](epoch),
		func(key attemptKey, used uint64) (bool, error) {
			all = append(all, sprintv1.Attempts{Participant: key.K2(), Duty: key.K3(), Used: used})
			return false, nil
		})
	return all, err
}
