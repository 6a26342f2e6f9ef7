// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Fleet is the workers as phases see them.
type Fleet interface {
	SetGoal(fleet.Goal) error
	SetGoals(nodes []string, goal, rest fleet.Goal) error
	Status() []fleet.WorkerStatus
	Ready(epoch uint64) []string
	URL() string
}

// Workers compute again, and are told what is held against them.
type Workers interface {
	Rerun(ctx context.Context, units []fleet.Unit) ([]transformer.Output, error)
	LeftOut(node string, m *workerv1.LeftOut)
}

// Queue brings messages to the chain.
type Queue interface {
	Want(id string, until int64, msgs ...sdk.Msg)
	Done(id string) bool
	Failed(id string) bool
}

// Books pay the pool's machines.
type Books interface {
	Promise(e sprintv1.Epoch, class transformer.Class, key leaflog.Key, count uint64)
	Strike(key leaflog.Key, reason string, shown bool)
}

// Machines are those that may work here.
type Machines interface {
	Stranger(node string) bool
	Key(node string) signed.Key
}

// Voter judges others.
type Voter interface {
	Validate(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse) error
	Reveal(now sprintv1.QueryCurrentResponse) error
	OpenMiddles(ctx context.Context, now sprintv1.QueryCurrentResponse) error
	Prune(before uint64) error
	Dispute(ctx context.Context, now sprintv1.QueryCurrentResponse) error
}

// Tamper lets an adversary bend what a host says; nil changes nothing.
type Tamper struct {
	// Open returns the opening to post, or nil to withhold it.
	Open func(*sprintv1.MsgOpen) *sprintv1.MsgOpen
	// Blind commits to logs without auditing them: the host is in it with its worker.
	Blind bool
	// Verdict bends a verdict before it is committed to; duties are what its voter was to judge.
	Verdict func(body *sprintv1.VerdictBody, duties []sprintv1.Duty)
}

// Config is what a participant's part in an epoch stands on.
type Config struct {
	Chain, Participant string
	Node               string // address of the participant's own node, for people
	HostKey            ed25519.PrivateKey

	Conn     grpc.ClientConnInterface
	Sprint   sprintv1.QueryClient
	Court    courtv1.QueryClient
	Registry registryv1.QueryClient
	Credit   creditv1.QueryClient
	Stream   streamv1.QueryClient
	Beacon   beaconv1.QueryClient
	Local    registryv1.LocalClient

	Leaves      *leaflog.Store
	LeavesDir   string // where Leaves is, for people
	EvidenceDir string

	Fleet    Fleet
	Workers  Workers
	Queue    Queue
	Books    Books
	Machines Machines
	Voter    Voter
	// Bind binds machines to this participant on chain, at a height.
	Bind func(ctx context.Context, height int64) error

	// Judge makes one.
	Judge func() *work.Judge
	// Alone reports whether no worker of the owner's is connected, so that nobody's word is
	// trusted.
	Alone func() bool
	// Full says why no new work is taken, empty while there is room; FullFor is the same for
	// machines.
	Full, FullFor func() string

	Board  *board.Board
	Logger *slog.Logger
	Tamper *Tamper
}

// Sprint is a participant's part in each phase of an epoch.
type Sprint struct {
	c Config

	Logs     *Logs
	Audits   *Audits
	Commits  *Commits
	Openings *Openings
	Evidence *Evidence
	Streams  *Streams

	forgotten uint64 // leaves and verdicts of epochs before it are deleted
	noted     uint64 // the latest epoch whose outcome is noted
}

// New puts the parts together.
func New(c Config) *Sprint {
	sp := &Sprint{c: c}
	sp.Logs = &Logs{c: &sp.c, pinned: map[leaflog.Key]uint64{}}
	sp.Audits = &Audits{c: &sp.c, logs: map[leaflog.Key]*logAudit{},
		own: &auditor{judge: c.Judge()}, strangers: &auditor{judge: c.Judge()}}
	sp.Commits = &Commits{c: &sp.c, logs: sp.Logs, audits: sp.Audits}
	sp.Openings = &Openings{c: &sp.c, own: sp.Audits.own, restores: map[leaflog.Key]*restoring{},
		seeds: map[leaflog.Key]seed.Seed{}}
	sp.Streams = &Streams{c: &sp.c, audits: sp.Audits}
	sp.Evidence = &Evidence{c: &sp.c, done: map[uint64]bool{}, written: map[string]bool{}}
	return sp
}

// Act does this participant's part of the phase that the chain is in.
func (sp *Sprint) Act(ctx context.Context, g *errgroup.Group,
	now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	if e.Number == 0 {
		sp.c.Board.Say(now, "waiting", now.Reason)
		return sp.idle(now)
	}
	me, err := sp.member(ctx, e.Number)
	if err != nil {
		return err
	}
	if err := sp.c.Bind(ctx, now.Height); err != nil {
		return err
	}
	if me == nil && e.Phase == sprintv1.PhasePrepare {
		me, err = sp.candidate(ctx, e)
		if err != nil {
			return err
		}
	}
	if me == nil {
		sp.Streams.stop()
		sp.c.Board.Say(now, "waiting",
			"takes no part in epoch "+fmt.Sprint(e.Number)+": "+sp.whyNot(ctx))
		if e.Phase == sprintv1.PhaseProof { // of its machines of the epoch before
			err = sp.openStream(ctx, g, now)
		}
		return errors.Join(err, sp.idle(now))
	}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return fmt.Errorf("the chain runs model class %q, which this version does not know: %w",
			e.Params.Class, err)
	}
	if proved := sp.Streams.Busy(); e.Phase >= sprintv1.PhaseWrapUp {
		err = sp.Streams.Act(ctx, g, now, class, me)
		if proved && !sp.Streams.Busy() { // not every phase says what machines do
			err = errors.Join(err, sp.idle(now))
		}
	} else {
		sp.Streams.stop()
	}
	return errors.Join(err, sp.part(ctx, g, now, class, me))
}

// part is what this participant does in a phase of the Sprint.
func (sp *Sprint) part(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse,
	class transformer.Class, me *sprintv1.Member) error {
	switch now.Epoch.Phase {
	case sprintv1.PhasePrepare:
		return sp.prepare(ctx, now, class, me)
	case sprintv1.PhaseCompute, sprintv1.PhaseWrapUp:
		return sp.Compute(ctx, g, now, class, me)
	case sprintv1.PhaseProof:
		if err := sp.idle(now); err != nil {
			return err
		}
		return errors.Join(sp.openStream(ctx, g, now), sp.open(ctx, g, now))
	case sprintv1.PhaseValidate:
		if err := sp.idle(now); err != nil {
			return err
		}
		return sp.c.Voter.Validate(ctx, g, now)
	case sprintv1.PhaseReveal:
		return sp.c.Voter.Reveal(now)
	case sprintv1.PhaseCheck:
		return errors.Join(sp.c.Voter.OpenMiddles(ctx, now), sp.c.Voter.Dispute(ctx, now))
	case sprintv1.PhaseDispute:
		return sp.c.Voter.Dispute(ctx, now)
	case sprintv1.PhaseFinalised, sprintv1.PhaseServe:
		return sp.finalised(ctx, now)
	default:
		sp.c.Board.Say(now, "waiting", now.Reason)
		return sp.idle(now)
	}
}

// member returns this participant's place in an epoch, nil if it has none.
func (sp *Sprint) member(ctx context.Context, epoch uint64) (*sprintv1.Member, error) {
	res, err := sp.c.Sprint.Member(ctx,
		&sprintv1.QueryMemberRequest{Epoch: epoch, Participant: sp.c.Participant})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("asking for this participant's place in epoch %d: %w", epoch, err)
	}
	return &res.Member, nil
}

// candidate is the member that a registered participant without weight becomes once it reports
// ready; nil where it cannot.
func (sp *Sprint) candidate(ctx context.Context, e sprintv1.Epoch) (*sprintv1.Member, error) {
	res, err := sp.c.Registry.Participant(ctx,
		&registryv1.QueryParticipantRequest{Address: sp.c.Participant})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("asking for this participant's registration: %w", err)
	}
	p := res.Participant
	if !p.TakesPart(e.Number) || p.JailedUntil > e.Number || p.LotteryFrom > e.Number {
		return nil, nil
	}
	m := &sprintv1.Member{Participant: p.Address, Role: sprintv1.RoleNewcomer}
	for _, n := range p.NodesAt(e.Number) {
		m.Nodes = append(m.Nodes, n.Id)
	}
	return m, nil
}

// whyNot says in a sentence what the chain makes of this participant.
func (sp *Sprint) whyNot(ctx context.Context) string {
	res, err := sp.c.Sprint.Standing(ctx,
		&sprintv1.QueryStandingRequest{Participant: sp.c.Participant})
	if err != nil {
		return status.Convert(err).Message()
	}
	return res.Reason
}

// idle has the workers idle, unless they prove between two Sprints.
func (sp *Sprint) idle(now sprintv1.QueryCurrentResponse) error {
	if sp.Streams.Busy() {
		return nil
	}
	return sp.idleFor(now, fmt.Sprintf("epoch %d, %s: %s", now.Epoch.Number,
		now.Epoch.Phase.Word(), now.Reason))
}

// idleFor has the workers idle for a reason of this host's.
func (sp *Sprint) idleFor(now sprintv1.QueryCurrentResponse, reason string) error {
	until := ""
	if now.Until > 0 {
		until = fmt.Sprintf("block %d", now.Until)
	}
	return sp.c.Fleet.SetGoal(fleet.Goal{Kind: fleet.Idle, Reason: reason, Until: until})
}

// finalised notes the outcome and writes evidence of what was proven.
func (sp *Sprint) finalised(ctx context.Context, now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	if err := sp.idle(now); err != nil {
		return err
	}
	if sp.Streams.Busy() {
		sp.c.Board.Say(now, "proving", "between Sprints: see stream")
	} else {
		sp.c.Board.Say(now, "waiting", now.Reason)
	}
	if err := sp.outcome(ctx, e); err != nil {
		return err
	}
	return sp.Evidence.Write(ctx, e)
}

// outcome notes an epoch's outcome, once.
func (sp *Sprint) outcome(ctx context.Context, e sprintv1.Epoch) error {
	if sp.noted == e.Number {
		return nil
	}
	o, found, err := client.Outcome(ctx, sp.c.Sprint, e.Number, sp.c.Participant)
	if err != nil {
		return err
	}
	sp.noted = e.Number
	owed := sp.owed(ctx)
	sp.c.Board.Set(func(s *board.Status) { s.Owed = owed })
	if found {
		sp.c.Logger.Info("epoch finalised", "epoch", e.Number, "reason", o.Reason,
			"weight", o.WeightAfter)
		sp.c.Board.Set(func(s *board.Status) {
			s.LeftOut = nil
			s.Outcome = &board.Outcome{Epoch: e.Number, Result: o.Result.String(), Reason: o.Reason,
				Weight: o.WeightAfter, Power: o.PowerAfter}
		})
	}
	return nil
}

// owed is what the chain owes this participant; nil for nothing, or where the node does not say:
// then the status lacks it, and all else goes on.
func (sp *Sprint) owed(ctx context.Context) *board.Owed {
	res, err := sp.c.Credit.Owed(ctx, &creditv1.QueryOwedRequest{Participant: sp.c.Participant,
		Pagination: &query.PageRequest{Limit: 1}})
	if err != nil {
		sp.c.Logger.Debug("the node does not say what is owed", "reason", err)
		return nil
	}
	if len(res.Owed) == 0 {
		return nil
	}
	o := &board.Owed{After: res.Owed[0].NextEpoch}
	var fault error
	o.Total, fault = ledger.ParseAmount(res.Total.String())
	if fault == nil {
		o.Next, fault = ledger.ParseAmount(res.Owed[0].Amount.String())
	}
	if fault != nil {
		sp.c.Logger.Debug("the node does not say what is owed", "reason", fault)
		return nil
	}
	return o
}

// Forget deletes what this host needs no more, before anything is written: leaves and
// verdicts of old epochs, and while there is no room of all but the last.
func (sp *Sprint) Forget(e sprintv1.Epoch) {
	keep := uint64(e.Params.KeepEpochs) + 1
	if sp.c.Full() != "" { // the streams of the epoch before may still be opened
		keep = 2
	}
	before := e.Number - min(e.Number, keep)
	if before <= sp.forgotten {
		return
	}
	ok := sp.c.Board.Attempt(board.Fault{Epoch: e.Number, What: "deleting leaves of old epochs"},
		func() error { return sp.c.Leaves.Prune(before) })
	ok = sp.c.Board.Attempt(board.Fault{Epoch: e.Number, What: "deleting verdicts of old epochs"},
		func() error { return sp.c.Voter.Prune(before) }) && ok
	ok = sp.c.Board.Attempt(board.Fault{Epoch: e.Number, What: "deleting old evidence"},
		sp.Evidence.Prune) && ok
	sp.Evidence.forget(before)
	sp.Logs.forget(before)
	sp.Openings.forget(before)
	if ok { // otherwise again at the next block
		sp.forgotten = before
	}
}
