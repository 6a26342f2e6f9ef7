// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

const (
	// namesPerNode is how many mismatches the chain lets a verdict name per node.
	namesPerNode = 4
	// spotChecks is how many of a member's own re-runs are held against the engine in the host.
	spotChecks = 4
	// verdictGas and verdictBytes keep a verdict within what the chain takes of a verdict, with room for what carries it.
	verdictGas, verdictBytes = 55_000_000, 500 << 10
	// marginBlocks before its deadline a member abstains on what it has not finished.
	marginBlocks = 2
	// rerunsAhead is how many participants' leaves are with the workers at a time.
	rerunsAhead = 4
)

// checks is what this host found when it re-ran leaves in the running round.
type checks struct {
	epoch   uint64
	round   uint32
	started bool
	cancel  context.CancelFunc
	done    chan result // holds at most one
	found   map[sprintv1.LeafRef]transformer.Output
	verdict *verdict
}

// verdict is what must survive a kill: without its salt a commitment cannot be revealed.
type verdict struct {
	Epoch uint64 `json:"epoch"`
	Round uint32 `json:"round"`
	Salt  []byte `json:"salt"`
	Body  []byte `json:"body"`
}

type result struct {
	body   *sprintv1.VerdictBody
	duties []duty
	found  map[sprintv1.LeafRef]transformer.Output
	err    error
}

// opened is one leaf as its owner opened it.
type opened struct {
	ref    sprintv1.LeafRef
	norm   uint64
	digest [32]byte
}

// duty is one participant to judge.
type duty struct {
	target string
	weight uint64 // of the target at the epoch's start
	leaves []opened
	// drawn leaves of each node, all members' shares together
	perNode map[string]uint64
}

// validate re-runs the drawn leaves on this host's workers, beside the loop, and commits to the verdict.
func (h *Host) validate(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse, class transformer.Class) error {
	e := now.Epoch
	r := e.Rounds[len(e.Rounds)-1]
	c := &h.checks
	if c.epoch != e.Number || c.round != r.Number {
		if c.cancel != nil {
			c.cancel()
		}
		*c = checks{epoch: e.Number, round: r.Number, done: make(chan result, 1)}
		if v, err := h.loadVerdict(e.Number, r.Number); err != nil {
			return err
		} else if v != nil {
			c.verdict = v
		}
	}
	if c.verdict != nil {
		h.say(now, "waiting", "verdict committed; other members still re-run their leaves")
		h.wantVerdict(now, r)
		return nil
	}
	if !c.started {
		duties, err := h.duties(ctx, e, r)
		if err != nil {
			return err
		}
		if len(duties) == 0 {
			h.say(now, "waiting", "not a member of this round's committee")
			return nil
		}
		ctx, cancel := context.WithCancel(ctx)
		c.started, c.cancel = true, cancel
		done := c.done
		g.Go(func() error {
			defer cancel()
			body, found, err := h.verdict(ctx, e, class, duties)
			done <- result{body, duties, found, err}
			return nil
		})
	}
	select {
	case res := <-c.done:
		return h.conclude(ctx, now, r, res)
	default:
	}
	if now.Height >= r.ValidateUntil-marginBlocks {
		h.log.Error("the re-runs are not done in time; abstaining on what is left", "epoch", e.Number)
		c.cancel()
		return h.conclude(ctx, now, r, <-c.done)
	}
	h.say(now, "validating", "workers re-run the drawn leaves of the other participants")
	return nil
}

// conclude makes a verdict of what the re-runs found.
func (h *Host) conclude(ctx context.Context, now sprintv1.QueryCurrentResponse, r sprintv1.Round, res result) error {
	if res.err != nil {
		h.log.Error("re-running the drawn leaves failed; abstaining", "epoch", now.Epoch.Number, "err", res.err)
		return h.abstain(ctx, now, r)
	}
	h.checks.found = res.found
	if t := h.o.Tamper; t != nil && t.Verdict != nil {
		leaves := map[string][]sprintv1.LeafRef{}
		for _, d := range res.duties {
			for _, l := range d.leaves {
				leaves[d.target] = append(leaves[d.target], l.ref)
			}
		}
		t.Verdict(res.body, leaves)
	}
	return h.decide(now, r, res.body)
}

// duties fetches what this member judges, with the leaves as they were opened.
func (h *Host) duties(ctx context.Context, e sprintv1.Epoch, r sprintv1.Round) ([]duty, error) {
	res, err := h.sprint.Duties(ctx, &sprintv1.QueryDutiesRequest{Epoch: e.Number, Round: r.Number, Voter: h.config.Participant})
	if err != nil {
		return nil, fmt.Errorf("asking for this member's duties: %w", err)
	}
	members, err := h.sprint.Members(ctx, &sprintv1.QueryMembersRequest{Epoch: e.Number})
	if err != nil {
		return nil, fmt.Errorf("asking for the members of epoch %d: %w", e.Number, err)
	}
	weights := map[string]uint64{}
	for _, m := range members.Members {
		weights[m.Participant] = m.Weight
	}
	var duties []duty
	for _, d := range res.Duties {
		all, err := h.openedLeaves(ctx, e.Number, d.Target)
		if err != nil {
			return nil, err
		}
		out := duty{target: d.Target, weight: weights[d.Target], perNode: map[string]uint64{}}
		for ref := range all {
			out.perNode[ref.Node]++
		}
		for _, ref := range d.Leaves {
			out.leaves = append(out.leaves, all[ref])
		}
		duties = append(duties, out)
	}
	return duties, nil
}

// openedLeaves pairs a participant's drawn leaves with what it opened for them; both are in order.
func (h *Host) openedLeaves(ctx context.Context, epoch uint64, target string) (map[sprintv1.LeafRef]opened, error) {
	samples, err := h.sprint.Samples(ctx, &sprintv1.QuerySamplesRequest{Epoch: epoch, Participant: target})
	if err != nil {
		return nil, fmt.Errorf("asking for the drawn leaves of %s: %w", target, err)
	}
	opening, err := h.sprint.Opening(ctx, &sprintv1.QueryOpeningRequest{Epoch: epoch, Participant: target})
	if err != nil {
		return nil, fmt.Errorf("asking for the opening of %s: %w", target, err)
	}
	all := make(map[sprintv1.LeafRef]opened, len(samples.Leaves))
	i := 0
	for _, o := range opening.Opening.Logs {
		for b := o.Leaves; len(b) >= 40 && i < len(samples.Leaves); b, i = b[40:], i+1 {
			norm, digest := recordAt(b, 0)
			all[samples.Leaves[i]] = opened{samples.Leaves[i], norm, digest}
		}
	}
	if i != len(samples.Leaves) {
		return nil, fmt.Errorf("%s opened %d of %d drawn leaves", target, i, len(samples.Leaves))
	}
	return all, nil
}

// voteOf leaves out nodes beyond the fault bound and judges what remains, as the chain will.
func voteOf(p sprintv1.Params, drawn, wrong map[string]uint64) sprintv1.Vote {
	rate, bound := audit.Rate{Num: uint64(p.FaultRatePpm), Den: 1_000_000}, audit.Rate{Num: 1, Den: p.FailPInverse}
	beyond := func(n, x uint64) bool { return x > 0 && x >= audit.Threshold(n, rate, bound) }
	var n, x uint64
	for node, k := range drawn {
		if !beyond(k, wrong[node]) {
			n, x = n+k, x+wrong[node]
		}
	}
	if n == 0 || beyond(n, x) {
		return sprintv1.VoteFail
	}
	return sprintv1.VotePass
}

func (h *Host) unit(e sprintv1.Epoch, class transformer.Class, ref sprintv1.LeafRef) fleet.Unit {
	return fleet.Unit{Epoch: e.Number, Class: class, Seed1: toSeed(e.Seed1), Nonce: ref.Nonce,
		NodeSeed:    seed.Node(h.config.Chain, ref.Participant, ref.Node, class.Name),
		SegmentSeed: toSeed(e.Segments[ref.Segment-1].Seed)}
}

// abstain judges nobody: never a "no" for want of ability.
func (h *Host) abstain(ctx context.Context, now sprintv1.QueryCurrentResponse, r sprintv1.Round) error {
	res, err := h.sprint.Duties(ctx, &sprintv1.QueryDutiesRequest{Epoch: now.Epoch.Number, Round: r.Number, Voter: h.config.Participant})
	if err != nil {
		return err
	}
	body := &sprintv1.VerdictBody{}
	for _, d := range res.Duties {
		body.Verdicts = append(body.Verdicts, sprintv1.TargetVerdict{Target: d.Target, Vote: sprintv1.VoteAbstain})
	}
	return h.decide(now, r, body)
}

// decide stores a verdict, then commits to it.
func (h *Host) decide(now sprintv1.QueryCurrentResponse, r sprintv1.Round, body *sprintv1.VerdictBody) error {
	raw, err := body.Marshal()
	if err != nil {
		return err
	}
	v := &verdict{Epoch: now.Epoch.Number, Round: r.Number, Salt: make([]byte, 32), Body: raw}
	if _, err := rand.Read(v.Salt); err != nil {
		return err
	}
	if err := h.saveVerdict(v); err != nil {
		return err
	}
	h.checks.verdict = v
	h.wantVerdict(now, r)
	return nil
}

func (h *Host) wantVerdict(now sprintv1.QueryCurrentResponse, r sprintv1.Round) {
	v := h.checks.verdict
	hash := seed.VerdictCommit(h.config.Chain, v.Epoch, v.Round, h.config.Participant, toSeed(v.Salt), v.Body)
	h.queue.Want(fmt.Sprintf("verdict/%d/%d", v.Epoch, v.Round), r.ValidateUntil,
		&sprintv1.MsgCommitVerdict{Participant: h.config.Participant, Epoch: v.Epoch, Round: v.Round, Hash: hash[:]})
}

// reveal shows what was committed to.
func (h *Host) reveal(now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	r := e.Rounds[len(e.Rounds)-1]
	v, err := h.loadVerdict(e.Number, r.Number)
	if err != nil {
		return err
	}
	if v == nil {
		h.say(now, "waiting", "no verdict of this host to reveal")
		return nil
	}
	h.say(now, "revealing", "")
	h.queue.Want(fmt.Sprintf("reveal/%d/%d", e.Number, r.Number), r.RevealUntil,
		&sprintv1.MsgRevealVerdict{Participant: h.config.Participant, Epoch: e.Number, Round: r.Number, Salt: v.Salt, Body: v.Body})
	return nil
}

// dispute holds the middle digests that others revealed against those this host computed itself. One wrong digest
// convicts its voter, so one dispute per voter is enough.
func (h *Host) dispute(ctx context.Context, now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	r := e.Rounds[len(e.Rounds)-1]
	h.say(now, "watching", now.Reason)
	if h.checks.epoch != e.Number || h.checks.round != r.Number || len(h.checks.found) == 0 {
		return nil // restarted since, or not a member: other members watch
	}
	res, err := h.sprint.Verdicts(ctx, &sprintv1.QueryVerdictsRequest{Epoch: e.Number, Round: r.Number})
	if err != nil {
		return fmt.Errorf("asking for the verdicts of round %d: %w", r.Number, err)
	}
	for _, record := range res.Records {
		if record.Voter == h.config.Participant || record.Body == nil {
			continue
		}
		duties, err := h.sprint.Duties(ctx, &sprintv1.QueryDutiesRequest{Epoch: e.Number, Round: r.Number, Voter: record.Voter})
		if err != nil {
			return err
		}
		if ref, ok := h.wrongMiddle(e.Number, record, duties.Duties); ok {
			h.log.Warn("a voter revealed a middle digest that its leaf does not give", "participant", record.Voter, "leaf", ref.Nonce, "node", ref.Node)
			h.queue.Want(fmt.Sprintf("dispute/%d/%d/%s", e.Number, r.Number, record.Voter), r.DisputeUntil,
				&sprintv1.MsgDispute{Participant: h.config.Participant, Epoch: e.Number, Leaf: ref, Voter: record.Voter, Round: r.Number})
		}
	}
	return nil
}

func (h *Host) wrongMiddle(epoch uint64, record sprintv1.VerdictRecord, duties []sprintv1.Duty) (sprintv1.LeafRef, bool) {
	for i, d := range duties {
		if i >= len(record.Body.Verdicts) {
			break
		}
		middles := record.Body.Verdicts[i].Middles
		for j, ref := range d.Leaves {
			out, known := h.checks.found[ref]
			if !known || len(middles) < 8*(j+1) {
				continue
			}
			want := seed.Middle(h.config.Chain, epoch, record.Voter, ref.Participant, ref.Node, ref.Segment, ref.Nonce, out.Middle)
			if [8]byte(middles[8*j:8*j+8]) != want {
				return ref, true
			}
		}
	}
	return sprintv1.LeafRef{}, false
}

// recordAt reads the i-th opened leaf: 40 bytes each, LE64 norm and digest.
func recordAt(leaves []byte, i int) (norm uint64, digest [32]byte) {
	b := leaves[40*i : 40*i+40]
	return binary.LittleEndian.Uint64(b), [32]byte(b[8:])
}

func (h *Host) verdictPath(epoch uint64, round uint32) string {
	return filepath.Join(h.o.Home, verdictName, fmt.Sprintf("%d-%d.json", epoch, round))
}

// saveVerdict puts a verdict on disk before its commitment is sent.
func (h *Host) saveVerdict(v *verdict) error {
	path := h.verdictPath(v.Epoch, v.Round)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(raw); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("storing a verdict: %w", err)
	}
	return os.Rename(path+".new", path)
}

// loadVerdict returns a stored verdict, nil if there is none.
func (h *Host) loadVerdict(epoch uint64, round uint32) (*verdict, error) {
	path := h.verdictPath(epoch, round)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	v := &verdict{}
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, fmt.Errorf("%s is damaged; remove it, and this host abstains: %w", path, err)
	}
	return v, nil
}
