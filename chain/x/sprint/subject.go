// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/codec"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/poc/seed"
)

// subject is what of a participant an epoch judges. Both are judged in the same phases and by the
// same rules; each has draws, committees, verdicts and an outcome of its own (spec S-32).
type subject uint8

const (
	ofSprint subject = iota // what it computed in this epoch's window
	ofStream                // what it showed between the window of the epoch before and this epoch
)

var subjects = [...]subject{ofSprint, ofStream}

// about is the subject that a message or question names.
func about(stream bool) subject {
	if stream {
		return ofStream
	}
	return ofSprint
}

// subjectOf is the subject that a leaf belongs to.
func subjectOf(leaf courtv1.LeafRef) subject {
	return about(leaf.Segment > sprintv1.StreamSegments)
}

// word names a subject in a sentence.
func (s subject) word() string { return [...]string{"Sprint", "stream"}[s] }

// epoch is the one whose work a subject is, where number judges it.
func (s subject) epoch(number uint64) uint64 { return number - uint64(s) }

// judges is the epoch that judges a subject of an epoch.
func (s subject) judges(epoch uint64) uint64 { return epoch + uint64(s) }

// duty names a duty about a subject.
func (s subject) duty(name string) []byte {
	if s == ofStream {
		name += "/stream"
	}
	return []byte(name)
}

// mix is what a subject's draws come from, where the beacon's mix is raw: no draw of one says
// anything of the other's.
func (s subject) mix(raw []byte) seed.Seed {
	if s == ofSprint {
		return seed.From(raw)
	}
	return seed.Share(seed.From(raw), uint64(s))
}

// round is a subject's number in what a verdict is hidden by.
func (s subject) round() uint32 { return uint32(s) + 1 }

// records are what an epoch keeps of judging a subject.
type records struct {
	openings collections.Map[memberKey, sprintv1.Opening]
	// verdicts holds a record for every member with a duty from the draw on, without a hash until
	// it commits
	verdicts collections.Map[memberKey, sprintv1.VerdictRecord]
	outcomes collections.Map[memberKey, sprintv1.Outcome]
}

func newRecords(sb *collections.SchemaBuilder, cdc codec.BinaryCodec, name string, openings,
	verdicts, outcomes collections.Prefix) records {
	member := collections.PairKeyCodec(collections.Uint64Key, collections.StringKey)
	return records{
		openings: collections.NewMap(sb, openings, name+"openings", member,
			codec.CollValue[sprintv1.Opening](cdc)),
		verdicts: collections.NewMap(sb, verdicts, name+"verdicts", member,
			codec.CollValue[sprintv1.VerdictRecord](cdc)),
		outcomes: collections.NewMap(sb, outcomes, name+"outcomes", member,
			codec.CollValue[sprintv1.Outcome](cdc)),
	}
}

// claimOf is a member's Sprint as it is judged; one that is no target has no leaves.
func claimOf(e sprintv1.Epoch, m sprintv1.Member) sprintv1.Claim {
	c := sprintv1.Claim{Participant: m.Participant, Opened: m.Opened,
		ChainSamples: m.ChainSamples}
	if isTarget(e, m) {
		c.Leaves = m.Leaves
	}
	return c
}

// claim is what is judged of a participant; without leaves where nothing is.
func (k *Keeper) claim(ctx context.Context, e sprintv1.Epoch, s subject,
	participant string) (sprintv1.Claim, error) {
	none := sprintv1.Claim{Participant: participant}
	if s == ofStream {
		c, ok, err := table.Find(ctx, k.streams, memberKeyOf(e.Number, participant))
		if !ok {
			return none, err
		}
		return c, nil
	}
	m, ok, err := table.Find(ctx, k.members, memberKeyOf(e.Number, participant))
	if !ok {
		return none, err
	}
	return claimOf(e, m), nil
}

// claims lists what is judged of a subject, by participant.
func (k *Keeper) claims(ctx context.Context, e sprintv1.Epoch, s subject) ([]sprintv1.Claim,
	error) {
	if s == ofStream {
		return k.streamsOf(ctx, e.Number)
	}
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return nil, err
	}
	var all []sprintv1.Claim
	for _, m := range roster {
		if c := claimOf(e, m); c.Leaves > 0 {
			all = append(all, c)
		}
	}
	return all, nil
}

// setClaim notes what happened to a claim.
func (k *Keeper) setClaim(ctx context.Context, e sprintv1.Epoch, s subject,
	c sprintv1.Claim) error {
	if s == ofStream {
		gas(ctx, sprintv1.GasRecord, "record of a stream")
		return k.streams.Set(unmetered(ctx), memberKeyOf(e.Number, c.Participant), c)
	}
	m, err := k.members.Get(unmetered(ctx), memberKeyOf(e.Number, c.Participant))
	if err != nil {
		return err
	}
	m.Opened, m.ChainSamples = c.Opened, c.ChainSamples
	return k.setMember(ctx, e.Number, m)
}

// samplesOf is how many leaves are drawn of each claim at most.
func samplesFor(e sprintv1.Epoch, s subject) uint64 {
	if s == ofStream {
		return uint64(e.StreamSamples)
	}
	return uint64(e.Samples)
}

// drawnOf is how many leaves are drawn of a claim.
func drawnOf(e sprintv1.Epoch, s subject, c sprintv1.Claim) int {
	return int(min(samplesFor(e, s), c.Leaves))
}

// holds: the participant is a holder of the epoch, for whom phases wait.
func (k *Keeper) holds(ctx context.Context, e sprintv1.Epoch, participant string) (bool, error) {
	m, _, err := table.Find(unmetered(ctx), k.members, memberKeyOf(e.Number, participant))
	return m.Role == sprintv1.RoleHolder, err
}

// guilty: the participant was proven wrong in this epoch.
func (k *Keeper) guilty(ctx context.Context, epoch uint64, participant string) (bool, error) {
	m, _, err := table.Find(ctx, k.members, memberKeyOf(epoch, participant))
	return convicted(m), err
}

// judged are the subjects of an epoch.
func judged(e sprintv1.Epoch) []subject {
	if e.Streams == 0 {
		return subjects[:1]
	}
	return subjects[:]
}

// work returns the record of the epoch whose work a subject is, where e judges it.
func (k *Keeper) work(ctx context.Context, e sprintv1.Epoch, s subject) (sprintv1.Epoch, error) {
	if s == ofSprint {
		return e, nil
	}
	of, err := k.epochs.Get(ctx, s.epoch(e.Number))
	if err != nil {
		return of, fmt.Errorf("sprint: record of epoch %d: %w", s.epoch(e.Number), err)
	}
	return of, nil
}
