// SPDX-License-Identifier: Apache-2.0

// Package voter judges the participants that fall to this member: it has the drawn
// leaves re-run, commits to a verdict, reveals it, opens the middle digests that the
// beacon draws of it, and disputes those of others that their leaves do not give.
package voter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/cosmos/cosmos-sdk/types/query"
	"golang.org/x/sync/errgroup"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Queue takes wishes for transactions, by name.
type Queue interface {
	Want(id string, until int64, msgs ...sdk.Msg)
	Done(id string) bool
}

// Fleet computes units on the host's workers.
type Fleet interface {
	Rerun(ctx context.Context, units []fleet.Unit) ([]transformer.Output, error)
}

// Config is for whom a voter votes, and with what.
type Config struct {
	Chain, Participant string
	Folder             Folder
	Sprint             sprintv1.QueryClient
	Court              courtv1.QueryClient
	Queue              Queue
	Fleet              Fleet
	// Alone reports whether there is no worker that may judge others: then all is computed here.
	Alone func() bool
	// Judge is this host's own engine: what would accuse somebody is checked on it.
	Judge *work.Judge
	Board *board.Board
	// Streams is set where streams of the epoch before are judged, else Sprints are.
	Streams streamv1.QueryClient
	// bends a verdict, for cheats and tests; optional
	Tamper func(body *sprintv1.VerdictBody, duties []sprintv1.Duty)
	Logger *slog.Logger
}

// Voter is a member's part in judging others. It belongs to one goroutine.
type Voter struct {
	c      Config
	checks checks
}

// New makes a voter.
func New(c Config) *Voter { return &Voter{c: c} }

// streams reports whether streams are judged.
func (w *Voter) streams() bool { return w.c.Streams != nil }

// id names a wish of this voter's.
func (w *Voter) id(what string, epoch uint64) string {
	if w.streams() {
		what += "-stream"
	}
	return fmt.Sprintf("%s/%d", what, epoch)
}

// round is the number under which a verdict is hidden.
func (w *Voter) round() uint32 {
	if w.streams() {
		return 2
	}
	return 1
}

// work is the epoch whose leaves are judged in e.
func (w *Voter) work(ctx context.Context, e sprintv1.Epoch) (sprintv1.Epoch, error) {
	if !w.streams() {
		return e, nil
	}
	res, err := w.c.Sprint.Epoch(ctx, &sprintv1.QueryEpochRequest{Number: e.Number - 1})
	if err != nil {
		return e, fmt.Errorf("asking for epoch %d: %w", e.Number-1, err)
	}
	return res.Epoch, nil
}

// seeds are those of the segments that a target's leaves are of.
func (w *Voter) seeds(ctx context.Context, of sprintv1.Epoch,
	target string) (map[segment]seed.Seed, error) {
	if !w.streams() {
		return nil, nil
	}
	commits, err := client.StreamCommits(ctx, w.c.Streams, of.Number, target)
	if err != nil {
		return nil, fmt.Errorf("asking for the stream of %s: %w", target, err)
	}
	all := make(map[segment]seed.Seed, len(commits))
	for _, c := range commits {
		all[segment{c.Node, sprintv1.StreamSegments + c.Number}] = seed.From(c.Seed)
	}
	return all, nil
}

// segment is one of a node.
type segment struct {
	node   string
	number uint32
}

const (
	// mostNames keeps a verdict within the gas that the chain takes of one participant in a block.
	mostNames = 400
	// spotChecks is how many of a member's own re-runs are held against the engine in the host.
	spotChecks = 4
	// MarginBlocks before a deadline a host does without what is not done: here a member abstains
	// on what it has not finished.
	MarginBlocks = 2
	// rerunsAhead is how many participants' leaves are with the workers at a time.
	rerunsAhead = 4
)

// checks is what this host found when it re-ran leaves in the running round.
type checks struct {
	epoch   uint64
	started bool
	cancel  context.CancelFunc
	done    chan result // holds at most one
	found   map[courtv1.LeafRef]transformer.Output
	verdict *Verdict
	unsaved bool            // it is in memory only
	watched map[string]bool // voters whose opened middle digests were checked
}

type result struct {
	finding
	duties []duty
	err    error
}

// finding is a verdict before it is hidden.
type finding struct {
	body    *sprintv1.VerdictBody
	middles []byte
	found   map[courtv1.LeafRef]transformer.Output
}

// opened is one leaf as its owner opened it.
type opened struct {
	ref courtv1.LeafRef
	record.Record
}

// duty is one participant to judge.
type duty struct {
	target string
	weight uint64 // of the target at the epoch's start
	leaves []opened
	// drawn leaves of each node, all members' shares together
	perNode map[string]uint64
	// of the logs of a stream
	seeds map[segment]seed.Seed
	// err is why its leaves are not known: this host abstains on it
	err error
}

// Validate re-runs the drawn leaves on this host's workers, beside the loop, and commits to the
// verdict.
func (w *Voter) Validate(ctx context.Context, g *errgroup.Group,
	now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	c := &w.checks
	if c.epoch != e.Number {
		if c.cancel != nil {
			c.cancel()
		}
		*c = checks{epoch: e.Number, done: make(chan result, 1), watched: map[string]bool{}}
	}
	if v, ok := w.verdictOf(now); !ok {
		return nil
	} else if v != nil {
		w.c.Board.Say(now, "waiting", "verdict committed; other members still re-run their leaves")
		w.wantVerdict(now)
		return nil
	}
	if !c.started {
		duties, err := w.duties(ctx, e)
		if err != nil {
			return err
		}
		if len(duties) == 0 {
			w.c.Board.Say(now, "waiting", "no participant fell to this host to judge")
			return nil
		}
		of, err := w.work(ctx, e)
		if err != nil {
			return err
		}
		names, err := w.namesLeft(ctx, e)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(ctx)
		c.started, c.cancel = true, cancel
		done := c.done
		g.Go(func() error {
			defer cancel()
			f, err := w.verdict(ctx, e, of, duties, names)
			done <- result{f, duties, err}
			return nil
		})
	}
	select {
	case res := <-c.done:
		return w.conclude(now, res)
	default:
	}
	if now.Height >= e.Round.ValidateUntil-MarginBlocks {
		w.c.Logger.Error("the re-runs are not done in time; abstaining on what is left",
			"epoch", e.Number)
		c.cancel()
		return w.conclude(now, <-c.done)
	}
	w.c.Board.Say(now, "validating", "workers re-run the drawn leaves of the other participants")
	return nil
}

// conclude makes a verdict of what the re-runs found.
func (w *Voter) conclude(now sprintv1.QueryCurrentResponse, res result) error {
	if res.err != nil {
		w.c.Logger.Error("re-running the drawn leaves failed; abstaining", "epoch",
			now.Epoch.Number, "err", res.err)
		// every duty is left out: never a "no" for want of ability
		res.finding = finding{body: &sprintv1.VerdictBody{}}
	}
	w.checks.found = res.found
	if w.c.Tamper != nil {
		duties := make([]sprintv1.Duty, len(res.duties))
		for i, d := range res.duties {
			duties[i].Target = d.target
			for _, l := range d.leaves {
				duties[i].Leaves = append(duties[i].Leaves, l.ref)
			}
		}
		w.c.Tamper(res.body, duties)
	}
	return w.decide(now, res.finding)
}

// namesLeft is how many leaves this host may still name in the epoch.
func (w *Voter) namesLeft(ctx context.Context, e sprintv1.Epoch) (int, error) {
	res, err := w.c.Court.Claimant(ctx, &courtv1.QueryClaimantRequest{Epoch: e.Number,
		Participant: w.c.Participant})
	if err != nil {
		return 0, fmt.Errorf("asking for this member's budget of claims: %w", err)
	}
	if res.Claimant.Refuted || res.Claimant.Spent >= res.Budget {
		return 0, nil
	}
	left := int(res.Budget - res.Claimant.Spent)
	if e.Streams > 0 { // a verdict on Sprints and one on streams share it
		left /= 2
	}
	return min(mostNames, left), nil
}

// duties fetches what this member judges, with the leaves as they were opened.
func (w *Voter) duties(ctx context.Context, e sprintv1.Epoch) ([]duty, error) {
	var duties []duty
	of, err := w.work(ctx, e)
	if err != nil {
		return nil, err
	}
	err = client.Pages(0, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := w.c.Sprint.Duties(ctx, &sprintv1.QueryDutiesRequest{Epoch: e.Number,
			Voter: w.c.Participant, Pagination: page, Stream: w.streams()})
		if err != nil {
			return nil, fmt.Errorf("asking for this member's duties: %w", err)
		}
		for _, d := range res.Duties {
			all, err := w.openedLeaves(ctx, e.Number, d.Target)
			var seeds map[segment]seed.Seed
			if err == nil {
				seeds, err = w.seeds(ctx, of, d.Target)
			}
			if client.Away(err) || ctx.Err() != nil {
				return nil, err
			}
			out := duty{target: d.Target, weight: d.Weight, perNode: map[string]uint64{},
				seeds: seeds, err: err}
			if err != nil { // one whose opening cannot be read keeps nobody from being judged
				w.c.Board.Fault(board.Fault{Epoch: e.Number, What: "judging " + d.Target,
					Reason: err.Error() + ": this host abstains on it"})
				duties = append(duties, out)
				continue
			}
			for ref := range all {
				out.perNode[ref.Node]++
			}
			for _, ref := range d.Leaves {
				out.leaves = append(out.leaves, all[ref])
			}
			duties = append(duties, out)
		}
		return res.Pagination, nil
	})
	return duties, err
}

// openedLeaves pairs a participant's drawn leaves with what it opened for them; both are in order.
func (w *Voter) openedLeaves(ctx context.Context, epoch uint64,
	target string) (map[courtv1.LeafRef]opened, error) {
	samples, err := w.c.Sprint.Samples(ctx,
		&sprintv1.QuerySamplesRequest{Epoch: epoch, Participant: target, Stream: w.streams()})
	if err != nil {
		return nil, fmt.Errorf("asking for the drawn leaves of %s: %w", target, err)
	}
	opening, err := w.c.Sprint.Opening(ctx,
		&sprintv1.QueryOpeningRequest{Epoch: epoch, Participant: target, Stream: w.streams()})
	if err != nil {
		return nil, fmt.Errorf("asking for the opening of %s: %w", target, err)
	}
	all := make(map[courtv1.LeafRef]opened, len(samples.Leaves))
	i := 0
	for _, o := range opening.Opening.Logs {
		for b := o.Leaves; len(b) >= record.Size && i < len(samples.Leaves); b,
			i = b[record.Size:], i+1 {
			all[samples.Leaves[i]] = opened{samples.Leaves[i], record.At(b, 0)}
		}
	}
	if i != len(samples.Leaves) {
		return nil, fmt.Errorf("%s opened %d of %d drawn leaves", target, i, len(samples.Leaves))
	}
	return all, nil
}

// voteOf leaves out nodes beyond the fault bound and judges what remains, as the chain will, by
// what is named.
func voteOf(p sprintv1.Params, drawn, named map[string]uint64) sprintv1.Vote {
	var nodes []audit.Node
	for _, id := range slices.Sorted(maps.Keys(drawn)) {
		nodes = append(nodes, audit.Node{ID: id, Drawn: drawn[id], Wrong: named[id]})
	}
	if _, _, _, pass := audit.NewRule(p.FaultRatePpm, p.FailPInverse).Judge(nodes); pass {
		return sprintv1.VotePass
	}
	return sprintv1.VoteFail
}

// unit is what a leaf of a duty has to hold; of is the epoch whose leaf it is.
func (w *Voter) unit(of sprintv1.Epoch, class transformer.Class, d duty,
	ref courtv1.LeafRef) fleet.Unit {
	u := fleet.Unit{Epoch: of.Number, Class: class, Seed1: seed.From(of.Seed1), Nonce: ref.Nonce,
		NodeSeed: seed.Node(w.c.Chain, ref.Participant, ref.Node, class.Name)}
	if w.streams() {
		u.SegmentSeed = d.seeds[segment{ref.Node, ref.Segment}]
	} else {
		u.SegmentSeed = seed.From(of.Segments[ref.Segment-1].Seed)
	}
	return u
}

// decide stores a verdict, then commits to it.
func (w *Voter) decide(now sprintv1.QueryCurrentResponse, f finding) error {
	raw, err := f.body.Marshal()
	if err != nil {
		return err
	}
	v := &Verdict{Epoch: now.Epoch.Number, Salt: make([]byte, 32), Body: raw, Middles: f.middles}
	if _, err := rand.Read(v.Salt); err != nil {
		return err
	}
	w.checks.verdict, w.checks.unsaved = v, true
	w.keepVerdict()
	w.wantVerdict(now)
	return nil
}

// keepVerdict puts the verdict of the running round on disk. Where the disk does not take it, this
// host votes all the same, tries again at every block, and cannot reveal only if it is killed
// before.
func (w *Voter) keepVerdict() {
	c := &w.checks
	if c.verdict == nil || !c.unsaved {
		return
	}
	c.unsaved = !w.c.Board.Attempt(board.Fault{Epoch: c.verdict.Epoch, What: "storing the verdict"},
		func() error { return w.c.Folder.Save(c.verdict) })
}

// verdictOf is this host's verdict of the running round, nil where there is none. Where its file
// cannot be read, which is said, ok is false and this host abstains: what was committed to cannot
// be made again.
func (w *Voter) verdictOf(now sprintv1.QueryCurrentResponse) (v *Verdict, ok bool) {
	c, epoch := &w.checks, now.Epoch.Number
	if c.verdict != nil && c.verdict.Epoch == epoch {
		w.keepVerdict()
		return c.verdict, true
	}
	ok = w.c.Board.Attempt(board.Fault{Epoch: epoch, What: "reading the verdict"},
		func() (err error) {
			v, err = w.c.Folder.Load(epoch)
			return err
		})
	if !ok {
		w.c.Board.Say(now, "abstaining", "this host's verdict cannot be read: see the faults")
	}
	if v != nil && c.epoch == epoch {
		c.verdict = v
	}
	return v, ok
}

func (w *Voter) wantVerdict(now sprintv1.QueryCurrentResponse) {
	v := w.checks.verdict
	hash := seed.VerdictCommit(w.c.Chain, v.Epoch, w.round(), w.c.Participant,
		seed.From(v.Salt), v.Body)
	w.c.Queue.Want(w.id("verdict", v.Epoch), now.Epoch.Round.ValidateUntil,
		&sprintv1.MsgCommitVerdict{Participant: w.c.Participant, Epoch: v.Epoch, Hash: hash[:],
			Stream: w.streams()})
}

// Reveal shows what was committed to.
func (w *Voter) Reveal(now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	v, ok := w.verdictOf(now)
	if !ok {
		return nil
	}
	if v == nil {
		w.c.Board.Say(now, "waiting", "no verdict of this host to reveal")
		return nil
	}
	w.c.Board.Say(now, "revealing", "")
	w.c.Queue.Want(w.id("reveal", e.Number), e.Round.RevealUntil,
		&sprintv1.MsgRevealVerdict{Participant: w.c.Participant, Epoch: e.Number,
			Salt: v.Salt, Body: v.Body, Stream: w.streams()})
	return nil
}

// OpenMiddles opens the middle digests that the beacon drew of this host's verdict.
func (w *Voter) OpenMiddles(ctx context.Context, now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	id := w.id("middles", e.Number)
	if len(e.Round.CheckMix) == 0 || w.c.Queue.Done(id) {
		w.c.Board.Say(now, "waiting", now.Reason)
		return nil
	}
	v, ok := w.verdictOf(now)
	if !ok {
		return nil
	}
	if v == nil || len(v.Middles) == 0 {
		w.c.Board.Say(now, "waiting", "no verdict of this host is checked")
		return nil
	}
	res, err := w.c.Sprint.Checks(ctx, &sprintv1.QueryChecksRequest{Epoch: e.Number,
		Voter: w.c.Participant, Stream: w.streams()})
	if err != nil {
		return fmt.Errorf("asking for the drawn middle digests: %w", err)
	}
	if len(res.Positions) == 0 {
		w.c.Board.Say(now, "waiting", "this host's verdict was not revealed in time, so nothing "+
			"of it is checked")
		return nil
	}
	msg := &sprintv1.MsgOpenMiddles{Participant: w.c.Participant, Epoch: e.Number,
		Stream: w.streams()}
	var positions []uint64
	for _, p := range res.Positions {
		if at := 8 * int(p); at+8 <= len(v.Middles) {
			msg.Middles = append(msg.Middles, v.Middles[at:at+8]...)
			positions = append(positions, uint64(p))
		}
	}
	tree := middlesTree(v.Middles)
	proof, err := commit.Multi(tree, tree.Size(), positions)
	if err != nil {
		return fmt.Errorf("opening middle digests: %w", err)
	}
	for _, hash := range proof {
		msg.Proof = append(msg.Proof, hash[:]...)
	}
	w.c.Board.Say(now, "opening middle digests",
		fmt.Sprintf("%d that the beacon drew", len(positions)))
	w.c.Queue.Want(id, e.Round.CheckUntil, msg)
	return nil
}

// middlesTree commits to middle digests of 8 bytes each.
func middlesTree(middles []byte) *commit.Log {
	t := &commit.Log{}
	for ; len(middles) >= 8; middles = middles[8:] {
		t.Append(commit.LeafHash(middles[:8]))
	}
	return t
}

// Dispute holds the middle digests that others opened against those this host computed itself.
func (w *Voter) Dispute(ctx context.Context, now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	if e.Phase == sprintv1.PhaseDispute {
		w.c.Board.Say(now, "watching", now.Reason)
	}
	if w.checks.epoch != e.Number || len(w.checks.found) == 0 {
		return nil // restarted since, or nothing fell to it: other members watch
	}
	var failed []error // one voter's keeps nobody from the others
	err := client.Pages(0, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := w.c.Sprint.Verdicts(ctx,
			&sprintv1.QueryVerdictsRequest{Epoch: e.Number, Pagination: page,
				Stream: w.streams()})
		if err != nil {
			return nil, fmt.Errorf("asking for the verdicts of epoch %d: %w", e.Number, err)
		}
		for _, record := range res.Records {
			if err := w.watch(ctx, e, record); err != nil {
				failed = append(failed, err)
			}
		}
		return res.Pagination, nil
	})
	return errors.Join(append(failed, err)...)
}

// watch disputes every middle digest of a voter that differs from this host's own.
func (w *Voter) watch(ctx context.Context, e sprintv1.Epoch, record sprintv1.VerdictRecord) error {
	if ctx.Err() != nil || record.Voter == w.c.Participant || record.OpenHeight == 0 ||
		w.checks.watched[record.Voter] {
		return nil
	}
	res, err := w.c.Sprint.Checks(ctx,
		&sprintv1.QueryChecksRequest{Epoch: e.Number, Voter: record.Voter, Stream: w.streams()})
	if err != nil {
		return fmt.Errorf("asking for the checks of %s: %w", record.Voter, err)
	}
	w.checks.watched[record.Voter] = true
	for i, ref := range res.Leaves {
		out, known := w.checks.found[ref]
		if !known || len(record.Opened) < 8*(i+1) {
			continue
		}
		want := seed.Middle(w.c.Chain, e.Number, record.Voter, ref.Participant, ref.Node,
			ref.Segment, ref.Nonce, out.Middle)
		if [8]byte(record.Opened[8*i:8*i+8]) != want {
			w.c.Logger.Warn("a voter opened a middle digest that its leaf does not give",
				"participant", record.Voter, "leaf", ref.Nonce, "node", ref.Node)
			w.c.Queue.Want(fmt.Sprintf("%s/%s/%d", w.id("dispute", e.Number), record.Voter, i),
				max(e.Round.DisputeUntil, e.Round.CheckUntil+2),
				&sprintv1.MsgDispute{Participant: w.c.Participant, Epoch: e.Number, Leaf: ref,
					Voter: record.Voter})
		}
	}
	return nil
}
