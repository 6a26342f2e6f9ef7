// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// ErrOpening is what every refused opening wraps.
var ErrOpening = errors.New("sprint: opening refused")

// drawnLog is one log and the nonces drawn from it, rising.
type drawnLog struct {
	commit sprintv1.Commit
	nonces []uint64
}

// drawLeaves draws min(n, total) leaves over all logs of a participant in the order given, which is by (node, segment).
func drawLeaves(chain string, epoch uint64, participant string, mix seed.Seed, n int, logs []sprintv1.Commit) []drawnLog {
	var total uint64
	for _, l := range logs {
		total += l.Count
	}
	if total == 0 {
		return nil
	}
	drawn := make([]drawnLog, 0, len(logs))
	i, base := 0, uint64(0)
	var current *drawnLog
	for _, index := range audit.Draw(seed.Samples(chain, epoch, participant, mix), total, n) {
		for index >= base+logs[i].Count {
			base += logs[i].Count
			i++
			current = nil
		}
		if current == nil {
			drawn = append(drawn, drawnLog{commit: logs[i]})
			current = &drawn[len(drawn)-1]
		}
		current.nonces = append(current.nonces, index-base)
	}
	return drawn
}

// sampled draws the leaves of a participant of an epoch whose samples are known, or remembers them. How many logs
// others committed is not for the sender of a message to pay; what it costs is bounded by the memory.
func (k *Keeper) sampled(ctx context.Context, e sprintv1.Epoch, participant string) ([]drawnLog, error) {
	if e.ChallengeHeight == 0 {
		return nil, nil
	}
	key := leavesKey{toSeed(e.SampleMix), participant}
	return remember(&k.drawn, e.Number, func(m *memory) map[leavesKey][]drawnLog { return m.leaves }, key, func() ([]drawnLog, bool, error) {
		logs, err := k.logsOf(k.unmetered(ctx, e.Number), e.Number, participant)
		if err != nil {
			return nil, false, err
		}
		drawn := drawLeaves(chainID(ctx), e.Number, participant, key.mix, int(e.Params.Samples), logs)
		return drawn, len(drawn) > 0, nil // queries may ask for anybody
	})
}

// leafRefs lists drawn leaves in order.
func leafRefs(participant string, drawn []drawnLog) []sprintv1.LeafRef {
	var refs []sprintv1.LeafRef
	for _, d := range drawn {
		for _, nonce := range d.nonces {
			refs = append(refs, sprintv1.LeafRef{Participant: participant, Node: d.commit.Node, Segment: d.commit.Segment, Nonce: nonce})
		}
	}
	return refs
}

// Each opened leaf is 40 bytes: LE64 norm, digest.
const openedLeafBytes = 8 + 32

// An opened leaf takes the most where it is alone in its log: with its path, in a tree of up to 2^48 leaves, and
// with the log's name around it.
const maxOpenedLeafBytes = openedLeafBytes + 48*32 + 64

// verifyOpening checks that an opening opens exactly the drawn leaves of every log.
func verifyOpening(class transformer.Class, drawn []drawnLog, logs []sprintv1.LogOpening) error {
	if len(logs) != len(drawn) {
		return fmt.Errorf("%w: %d logs opened, %d were drawn from", ErrOpening, len(logs), len(drawn))
	}
	for i, d := range drawn {
		o, c := logs[i], d.commit
		if o.Node != c.Node || o.Segment != c.Segment {
			return fmt.Errorf("%w: log %d is %s/%d, the draw wants %s/%d", ErrOpening, i, o.Node, o.Segment, c.Node, c.Segment)
		}
		if len(o.Leaves) != len(d.nonces)*openedLeafBytes {
			return fmt.Errorf("%w: log %s/%d opens %d bytes of leaves, %d leaves were drawn", ErrOpening, c.Node, c.Segment, len(o.Leaves), len(d.nonces))
		}
		if len(o.Proof)%32 != 0 || len(o.Proof)/32 > commit.MultiSize(c.Count, len(d.nonces)) {
			return fmt.Errorf("%w: proof of log %s/%d has %d bytes", ErrOpening, c.Node, c.Segment, len(o.Proof))
		}
		hashes := make([]commit.Hash, len(d.nonces))
		for j, nonce := range d.nonces {
			norm, digest := openedLeaf(o, j)
			hashes[j] = commit.Leaf{Class: class.ID, Node: c.Node, Index: nonce, Norm: norm, Digest: digest}.Hash()
		}
		proof := make([]commit.Hash, len(o.Proof)/32)
		for j := range proof {
			proof[j] = commit.Hash(o.Proof[32*j:])
		}
		if err := commit.VerifyMulti(commit.Hash(c.Root), c.Count, d.nonces, hashes, proof); err != nil {
			return fmt.Errorf("%w: log %s/%d: %w", ErrOpening, c.Node, c.Segment, err)
		}
	}
	return nil
}

func openedLeaf(o sprintv1.LogOpening, j int) (norm uint64, digest [32]byte) {
	b := o.Leaves[j*openedLeafBytes:]
	return binary.LittleEndian.Uint64(b), [32]byte(b[8:openedLeafBytes])
}

// findOpened returns what a participant opened for a leaf; false when the leaf was not drawn.
func findOpened(drawn []drawnLog, o sprintv1.Opening, leaf sprintv1.LeafRef) (norm uint64, digest [32]byte, ok bool) {
	for i, d := range drawn {
		if d.commit.Node != leaf.Node || d.commit.Segment != leaf.Segment {
			continue
		}
		if j, found := slices.BinarySearch(d.nonces, leaf.Nonce); found && i < len(o.Logs) {
			norm, digest = openedLeaf(o.Logs[i], j)
			return norm, digest, true
		}
	}
	return 0, digest, false
}

// openingBytes bounds what opening the drawn leaves takes on chain.
func openingBytes(drawn []drawnLog) uint64 {
	var n uint64
	for _, d := range drawn {
		n += uint64(len(d.nonces)*openedLeafBytes + 32*commit.MultiSize(d.commit.Count, len(d.nonces)) + 64)
	}
	return n
}

// committee is one round's members for one target.
type committee struct {
	// members are all voters but the target, rising by address
	members []string
	// votes[i] is what members[i] weighs; 0: not drawn, or no leaf fell to its slots
	votes []uint64
	// positions[i] are the drawn leaves that members[i] re-runs, rising; nil when everyone re-runs everything
	positions [][]uint16
}

// eligible voters: live, with weight at the epoch's start, not jailed. Rising by address as the roster is.
func eligible(roster []sprintv1.Member) []sprintv1.Member {
	var out []sprintv1.Member
	for _, m := range roster {
		if m.Live && m.Weight > 0 && !m.Jailed {
			out = append(out, m)
		}
	}
	return out
}

// drawCommittee draws the members that judge a target, of whom n leaves are drawn; nobody judges itself. With few
// voters all are members and weigh their weight. Otherwise slots are drawn by weight, each leaf falls to some of
// them, and a member weighs its slots that got a leaf: who has nothing to re-run owes no verdict and counts nowhere.
func drawCommittee(s seed.Seed, r sprintv1.Round, replicas int, voters []sprintv1.Member, target string, n int) committee {
	c := committee{members: make([]string, 0, len(voters)), votes: make([]uint64, 0, len(voters))}
	ends := make([]uint64, 0, len(voters)) // ends[i]: the weights of members[:i+1] together
	var total uint64
	for _, v := range voters {
		if v.Participant != target {
			total += v.Weight
			c.members, c.votes, ends = append(c.members, v.Participant), append(c.votes, v.Weight), append(ends, total)
		}
	}
	if r.Everyone || total == 0 {
		return c
	}
	clear(c.votes)
	c.positions = make([][]uint16, len(c.members))
	slots := make([]int, r.Slots)
	for at := range slots {
		// slot draws and leaf draws share a seed function; the top bit keeps their indices apart
		pick := audit.Draw(seed.Share(s, 1<<63|uint64(at)), total, 1)[0]
		slots[at], _ = slices.BinarySearch(ends, pick+1)
	}
	used := make([]bool, len(slots))
	for j := range n {
		for _, at := range audit.Assign(s, len(slots), replicas, uint64(j)) {
			i := slots[at]
			if !used[at] {
				used[at] = true
				c.votes[i]++
			}
			if p := c.positions[i]; len(p) == 0 || p[len(p)-1] != uint16(j) {
				c.positions[i] = append(p, uint16(j))
			}
		}
	}
	return c
}

// duty lists the positions among n drawn leaves that a member re-runs, rising.
func (c committee) duty(voter string, n int) []uint16 {
	i, ok := slices.BinarySearch(c.members, voter)
	if !ok || c.votes[i] == 0 {
		return nil
	}
	if c.positions != nil {
		return c.positions[i]
	}
	all := make([]uint16, n)
	for j := range all {
		all[j] = uint16(j)
	}
	return all
}

// committee draws the members for a target, or remembers them.
func (k *Keeper) committee(ctx context.Context, e sprintv1.Epoch, r sprintv1.Round, voters []sprintv1.Member, target string, n int) committee {
	s := seed.Committee(chainID(ctx), e.Number, r.Number, target, toSeed(r.Mix))
	draw := func() (committee, bool, error) {
		return drawCommittee(s, r, int(e.Params.Replicas), voters, target, n), true, nil
	}
	if r.Everyone {
		c, _, _ := draw()
		return c
	}
	c, _ := remember(&k.drawn, e.Number, func(m *memory) map[committeeKey]committee { return m.committees }, committeeKey{s, n}, draw)
	return c
}

// samples is how many leaves are drawn from a participant.
func (k *Keeper) samples(ctx context.Context, e sprintv1.Epoch, participant string) (int, error) {
	drawn, err := k.sampled(ctx, e, participant)
	n := 0
	for _, d := range drawn {
		n += len(d.nonces)
	}
	return n, err
}

// hall is who votes in a round whose mix is known, and on whom.
type hall struct {
	voters  []sprintv1.Member
	targets []string
}

// hall reads a round's voters and targets, or remembers them: both are fixed before the mix is.
func (k *Keeper) hall(ctx context.Context, e sprintv1.Epoch, r sprintv1.Round) (hall, error) {
	return remember(&k.drawn, e.Number, func(m *memory) map[seed.Seed]hall { return m.halls }, toSeed(r.Mix), func() (hall, bool, error) {
		free := k.unmetered(ctx, e.Number)
		roster, err := k.roster(free, e.Number)
		if err != nil {
			return hall{}, false, err
		}
		targets, err := k.targets(free, e, r)
		return hall{eligible(roster), targets}, err == nil, err
	})
}

// targets lists who is judged in a round: everyone that opened and, in a later round, was left open by the one before.
func (k *Keeper) targets(ctx context.Context, e sprintv1.Epoch, r sprintv1.Round) ([]string, error) {
	var out []string
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return nil, err
	}
	for _, m := range roster {
		key := memberKeyOf(e.Number, m.Participant)
		if opened, err := k.openings.Has(ctx, key); err != nil {
			return nil, err
		} else if !opened {
			continue
		}
		if r.Number > 1 {
			// the round that decides a target only rises, so this holds for the rounds before it, too
			o, err := k.outcomes.Get(ctx, key)
			if err != nil {
				return nil, err
			}
			if o.Round < r.Number {
				continue
			}
		}
		out = append(out, m.Participant)
	}
	return out, nil
}

// duties returns what a voter re-runs in a round, by target; empty when it was not drawn.
func (k *Keeper) duties(ctx context.Context, e sprintv1.Epoch, r sprintv1.Round, voter string) ([]sprintv1.Duty, error) {
	if len(r.Mix) == 0 {
		return nil, nil
	}
	h, err := k.hall(ctx, e, r)
	if err != nil {
		return nil, err
	}
	var out []sprintv1.Duty
	for _, target := range h.targets {
		d, err := k.duty(ctx, e, r, h.voters, voter, target)
		if err != nil {
			return nil, err
		}
		if len(d.Leaves) > 0 {
			out = append(out, d)
		}
	}
	return out, nil
}

// duty returns what a voter re-runs of one target.
func (k *Keeper) duty(ctx context.Context, e sprintv1.Epoch, r sprintv1.Round, voters []sprintv1.Member, voter, target string) (sprintv1.Duty, error) {
	d := sprintv1.Duty{Target: target}
	n, err := k.samples(ctx, e, target)
	if err != nil {
		return d, err
	}
	positions := k.committee(ctx, e, r, voters, target, n).duty(voter, n)
	if len(positions) == 0 {
		return d, nil
	}
	drawn, err := k.sampled(ctx, e, target)
	if err != nil {
		return d, err
	}
	refs := leafRefs(target, drawn)
	for _, j := range positions {
		d.Leaves = append(d.Leaves, refs[j])
	}
	return d, nil
}
