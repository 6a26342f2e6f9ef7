// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cosmossdk.io/log/v2"
	cstypes "github.com/cometbft/cometbft/consensus/types"
	cmtnode "github.com/cometbft/cometbft/node"
	cmttypes "github.com/cometbft/cometbft/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/internal/clock"
)

// Why there is no block; see registry.v1.ProgressResponse.
const (
	causePeers = "peers" // nobody to get blocks from
	causeSync  = "sync"  // this node lacks blocks, and its peers give it none
	causePower = "power" // a third of the power or more is away
	causeVotes = "votes" // enough of it votes, and does not agree
)

// progress judges whether the chain goes on, by nothing but its height: a process
// that answers, peers and votes are no sign of it.
type progress struct {
	look   func() sight
	limit  time.Duration // without a block, in lived time, before that is said
	clock  *clock.Clock
	logger log.Logger

	mu    sync.Mutex
	last  registryv1.ProgressResponse
	since uint64 // lived time of the last block, or of the start
}

// sight is what a node sees of the chain.
type sight struct {
	height int64
	at     time.Time // of that block; zero before the first
	sync   bool      // it catches up, and takes no part
	peers  int
	round  int32
	// total power of the validators, what of it was seen to vote on the next block,
	// and who was not.
	total, seen       int64
	validators, voted int
	away              []absent
}

type absent struct {
	name  func() string // it asks the state, so only for a sentence
	power int64
}

// stillAfter is how long a chain may go without a block: five of its rounds, since a
// proposer that is away costs one.
func stillAfter(commit, propose time.Duration) time.Duration {
	return max(10*time.Second, 5*(commit+propose))
}

func newProgress(look func() sight, limit time.Duration, c *clock.Clock,
	logger log.Logger) *progress {
	return &progress{look: look, limit: limit, clock: c, logger: logger, since: c.Lived()}
}

// run judges once a second until ctx ends.
func (p *progress) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.tick()
		}
	}
}

// tick looks once.
func (p *progress) tick() {
	gap := p.clock.Tick()
	now := p.look()
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.last
	moved := now.height != before.Height
	if moved || gap.Any() { // who stood still has not waited
		p.since = p.clock.Lived()
	}
	p.last = registryv1.ProgressResponse{Height: now.height, Peers: int32(now.peers),
		PowerSeen: now.seen, PowerTotal: now.total}
	if !now.at.IsZero() {
		p.last.Time = now.at.Unix()
	}
	stood := time.Duration(p.clock.Lived()-p.since) * time.Millisecond
	if stood > p.limit || before.Cause != "" && !moved {
		p.last.Cause, p.last.Reason = now.why()
	}
	switch {
	case p.last.Cause != "" && p.last.Reason != before.Reason:
		p.logger.Error("the chain stands still", "height", now.height, "reason", p.last.Reason)
	case p.last.Cause == "" && before.Cause != "":
		p.logger.Info("the chain goes on", "height", now.height)
	}
}

// report answers registry.v1.Local.
func (p *progress) report() registryv1.ProgressResponse {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// why says in a sentence what keeps the chain from going on, and what helps.
func (s sight) why() (cause, reason string) {
	since := "no block since " + s.at.UTC().Format("15:04:05 UTC")
	switch age := time.Since(s.at); {
	case s.height == 0:
		since = "no block yet"
	case age > 20*time.Hour || age < -20*time.Hour:
		since = "no block since " + s.at.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	switch {
	case s.peers == 0 && !s.enough():
		return causePeers, since + ": this node has no peers; check persistent_peers in its " +
			"config/config.toml, and that one of them runs and can be reached"
	case s.sync:
		return causeSync, fmt.Sprintf("%s: this node is behind the chain, and its %d peers give "+
			"it no blocks; it needs a peer that has them", since, s.peers)
	case !s.enough():
		return causePower, fmt.Sprintf("%s, a third of the power or more is away: %d of %d "+
			"validators are seen, with %s of the power%s; the chain goes on by itself once more "+
			"than two thirds are there",
			since, s.voted, s.validators, share(s.seen, s.total), s.missing())
	}
	return causeVotes, fmt.Sprintf("%s: validators with %s of the power are seen, and do not "+
		"agree on block %d (round %d); compare their releases and their clocks",
		since, share(s.seen, s.total), s.height+1, s.round)
}

// enough reports whether the validators that are seen can make blocks.
func (s sight) enough() bool { return s.seen > s.total*2/3 }

// mostNamed is how many absent validators a sentence names.
const mostNamed = 4

// missing names who is away, the heaviest first.
func (s sight) missing() string {
	slices.SortStableFunc(s.away, func(a, b absent) int { return cmp.Compare(b.power, a.power) })
	var list []string
	for _, a := range s.away[:min(mostNamed, len(s.away))] {
		list = append(list, fmt.Sprintf("%s (%s)", a.name(), share(a.power, s.total)))
	}
	if more := len(s.away) - mostNamed; more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	if len(list) == 0 {
		return ""
	}
	return ", away: " + strings.Join(list, ", ")
}

func share(part, whole int64) string {
	if whole <= 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", float64(part)*100/float64(whole))
}

// eyes looks at the chain from a running node.
func (g *guard) eyes(comet *cmtnode.Node, votes consensus) func() sight {
	var at time.Time
	known := int64(-1)
	return func() sight {
		s := sight{height: g.app.LastBlockHeight(), sync: comet.ConsensusReactor().WaitSync()}
		if s.height != known {
			known, at = s.height, time.Time{}
			if meta := comet.BlockStore().LoadBlockMeta(s.height); meta != nil {
				at = meta.Header.Time
			}
		}
		s.at = at
		out, in, _ := comet.Switch().NumPeers()
		s.peers = out + in
		if !s.sync {
			s.votes(votes.GetRoundState(), g.validator)
		}
		return s
	}
}

// validator names a validator for people: its participant's moniker, where it has one.
func (g *guard) validator(v *cmttypes.Validator) string {
	address := v.Address.String()
	ctx, err := g.app.CreateQueryContextWithCheckHeader(0, false, false)
	if err != nil {
		return address
	}
	p, found, err := g.app.Registry.ByConsensusAddress(ctx, v.Address)
	switch {
	case err != nil || !found:
		return address
	case p.Moniker == "":
		return p.Address
	}
	return p.Moniker
}

// consensus is what CometBFT's consensus tells of itself.
type consensus interface {
	// SetPrivValidator has it ask for its key again.
	SetPrivValidator(cmttypes.PrivValidator)
	routine
	GetRoundState() *cstypes.RoundState
}

// votes counts the validators seen to vote in the running round: the votes that it
// waits for, which are prevotes until enough are there, and precommits from then on.
func (s *sight) votes(rs *cstypes.RoundState, name func(*cmttypes.Validator) string) {
	if rs.Validators == nil || rs.Votes == nil {
		return
	}
	s.round = rs.Round
	set := rs.Votes.Prevotes(rs.Round)
	if set.HasTwoThirdsAny() {
		set = rs.Votes.Precommits(rs.Round)
	}
	for i, v := range rs.Validators.Validators {
		s.validators++
		s.total += v.VotingPower
		if set.GetByIndex(int32(i)) != nil {
			s.voted++
			s.seen += v.VotingPower
		} else {
			s.away = append(s.away, absent{func() string { return name(v) }, v.VotingPower})
		}
	}
}
