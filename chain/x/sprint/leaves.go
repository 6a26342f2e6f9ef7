// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"
	"slices"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
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

// drawLeaves draws min(n, total) leaves over all logs of a participant in the order given, which is
// by (node, segment).
func drawLeaves(chain string, epoch uint64, participant string, mix seed.Seed, n int,
	logs []sprintv1.Commit) []drawnLog {
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

// sampled draws the leaves of a claim of an epoch whose samples are known, or remembers them.
func (k *Keeper) sampled(ctx context.Context, e sprintv1.Epoch, s subject,
	c sprintv1.Claim) ([]drawnLog, error) {
	if e.ChallengeHeight == 0 || c.Leaves == 0 {
		return nil, nil
	}
	key := leavesKey{s.mix(e.SampleMix), c.Participant}
	return remember(&k.drawn, e.Number, func(m *cache) map[leavesKey][]drawnLog {
		return m.leaves
	}, key, func() ([]drawnLog, error) {
		logs, err := k.logs(ctx, e, s, c.Participant)
		if err != nil {
			return nil, err
		}
		return drawLeaves(chainID(ctx), e.Number, c.Participant, key.mix,
			int(samplesFor(e, s)), logs), nil
	})
}

// logs are what the leaves of a claim are drawn from.
func (k *Keeper) logs(ctx context.Context, e sprintv1.Epoch, s subject,
	participant string) ([]sprintv1.Commit, error) {
	if s == ofStream {
		return k.stream.Logs(ctx, s.epoch(e.Number), participant)
	}
	return k.logsOf(ctx, e.Number, participant)
}

// isTarget: the claim is judged, once it is opened.
func isTarget(e sprintv1.Epoch, m sprintv1.Member) bool {
	return m.Leaves >= e.Params.MinClaimLeaves && allowed(m)
}

// allowed: may commit in the epoch. Newcomers may once the lottery took them.
func allowed(m sprintv1.Member) bool {
	return !m.Jailed && (m.Role != sprintv1.RoleNewcomer || m.Taken)
}

// convicted: was proven wrong in this epoch.
func convicted(m sprintv1.Member) bool { return m.Fraud || m.ProvenFalse }

// leafRefs lists drawn leaves in order.
func leafRefs(participant string, drawn []drawnLog) []courtv1.LeafRef {
	var refs []courtv1.LeafRef
	for _, d := range drawn {
		for _, nonce := range d.nonces {
			refs = append(refs, courtv1.LeafRef{Participant: participant, Node: d.commit.Node,
				Segment: d.commit.Segment, Nonce: nonce})
		}
	}
	return refs
}

// verifyOpening checks that an opening opens exactly the drawn leaves of every log.
func verifyOpening(class transformer.Class, drawn []drawnLog, logs []sprintv1.LogOpening) error {
	if len(logs) != len(drawn) {
		return fmt.Errorf("%w: %d logs opened, %d were drawn from", ErrOpening,
			len(logs), len(drawn))
	}
	for i, d := range drawn {
		o, c := logs[i], d.commit
		if o.Node != c.Node || o.Segment != c.Segment {
			return fmt.Errorf("%w: log %d is %s/%d, the draw wants %s/%d", ErrOpening, i, o.Node,
				o.Segment, c.Node, c.Segment)
		}
		if len(o.Leaves) != len(d.nonces)*record.Size {
			return fmt.Errorf("%w: log %s/%d opens %d bytes of leaves, %d leaves were drawn",
				ErrOpening, c.Node, c.Segment, len(o.Leaves), len(d.nonces))
		}
		if len(o.Proof)%32 != 0 || len(o.Proof)/32 > commit.MultiSize(c.Count, len(d.nonces)) {
			return fmt.Errorf("%w: proof of log %s/%d has %d bytes", ErrOpening, c.Node,
				c.Segment, len(o.Proof))
		}
		hashes := make([]commit.Hash, len(d.nonces))
		for j, nonce := range d.nonces {
			hashes[j] = record.Leaf{Class: class.ID, Node: c.Node, Index: nonce,
				Record: record.At(o.Leaves, j)}.Hash()
		}
		proof := make([]commit.Hash, len(o.Proof)/32)
		for j := range proof {
			proof[j] = commit.Hash(o.Proof[32*j:])
		}
		if err := commit.VerifyMulti(commit.Hash(c.Root), c.Count, d.nonces,
			hashes, proof); err != nil {
			return fmt.Errorf("%w: log %s/%d: %w", ErrOpening, c.Node, c.Segment, err)
		}
	}
	return nil
}

// findOpened returns what a participant opened for a leaf; false when the leaf was not drawn.
func findOpened(drawn []drawnLog, o sprintv1.Opening, leaf courtv1.LeafRef) (record.Record, bool) {
	for i, d := range drawn {
		if d.commit.Node != leaf.Node || d.commit.Segment != leaf.Segment {
			continue
		}
		if j, found := slices.BinarySearch(d.nonces, leaf.Nonce); found && i < len(o.Logs) {
			return record.At(o.Logs[i].Leaves, j), true
		}
	}
	return record.Record{}, false
}

// openingBytes bounds what opening the drawn leaves takes on chain.
func openingBytes(drawn []drawnLog) uint64 {
	var n uint64
	for _, d := range drawn {
		n += uint64(len(d.nonces)*record.Size + 32*commit.MultiSize(d.commit.Count,
			len(d.nonces)) + 64)
	}
	return n
}
