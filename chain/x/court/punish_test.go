// SPDX-License-Identifier: Apache-2.0

package court_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"cosmossdk.io/core/comet"

	abci "github.com/cometbft/cometbft/abci/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/court"
)

// Every offence has a sentence, and this is all of them: only what is proven takes power, pay and
// coins, silence jails and no more.
// Holds spec J-6.
func TestEveryOffenceHasItsSentence(t *testing.T) {
	// 7 + 1 + jail_epochs 4
	const jail, forever, cut = "jail eve until 12: why", "jail eve until 18446744073709551615: why",
		"cut eve"
	const owed = "burn what eve is owed"
	want := map[courtv1.Offence][]string{
		courtv1.OffenceFraud: {jail, cut, owed, "take 200 of eve"},
		courtv1.OffenceDoubleSign: {forever, cut, owed, "take 50 of eve",
			"burn 50 of eve, 0 bps to []"},
		courtv1.OffenceFalseVerdict: {jail, "take 10 of eve"},
		courtv1.OffenceSilence:      {jail},
		courtv1.OffenceUnopened:     {jail},
	}
	for number := range courtv1.Offence_name {
		offence := courtv1.Offence(number)
		if offence == courtv1.OffenceUnspecified {
			continue
		}
		lines, known := want[offence]
		if !known {
			t.Errorf("%s is in no table of this test", offence)
			continue
		}
		c := begin(t)
		c.deposits["eve"] = 1_000
		if err := c.Punish(c.ctx, "eve", offence, "why"); err != nil {
			t.Errorf("%s: %v", offence, err)
		}
		c.wants(lines...)
		if !slices.ContainsFunc(c.ctx.EventManager().Events().ToABCIEvents(),
			func(e abci.Event) bool { return e.Type == "court_punished" }) {
			t.Errorf("%s: no event says so", offence)
		}
	}
	c := begin(t)
	for _, unknown := range []courtv1.Offence{courtv1.OffenceUnspecified, 99} {
		if err := c.Punish(c.ctx, "eve", unknown, "why"); err == nil {
			t.Errorf("%s is punished", unknown)
		}
	}
	c.wants()
}

// evidence is what CometBFT reports.
type evidence struct {
	kind    comet.MisbehaviorType
	address string
	power   int64 // of a million
}

func (e evidence) Type() comet.MisbehaviorType { return e.kind }
func (e evidence) Validator() comet.Validator  { return e }
func (e evidence) Height() int64               { return 90 }
func (e evidence) Time() time.Time             { return time.Time{} }
func (e evidence) TotalVotingPower() int64     { return 1_000_000 }
func (e evidence) Address() []byte             { return []byte(e.address) }
func (e evidence) Power() int64                { return e.power }

type reported []evidence

func (r reported) Len() int                        { return len(r) }
func (r reported) Get(i int) comet.Evidence        { return r[i] }
func (r reported) GetEvidence() comet.EvidenceList { return r }
func (reported) GetValidatorsHash() []byte         { return nil }
func (reported) GetProposerAddress() []byte        { return nil }
func (reported) GetLastCommit() comet.CommitInfo   { return nil }

// A double sign takes everything, for good, and once: CometBFT may report both votes of a round,
// and again later.
func TestADoubleSignIsPunishedOnce(t *testing.T) {
	c := begin(t)
	// jailed for less already
	c.owners["eve's key"] = registryv1.Participant{Address: "eve", JailedUntil: 9}
	twice := reported{{comet.DuplicateVote, "eve's key", 1},
		{comet.LightClientAttack, "eve's key", 1}, {comet.DuplicateVote, "nobody's key", 1},
		{comet.Unknown, "bob's key", 1}}
	c.deposits["eve"] = 100
	c.owners["bob's key"] = registryv1.Participant{Address: "bob"}
	for range 2 {
		if err := c.BeginBlock(c.ctx.WithCometInfo(twice)); err != nil {
			t.Fatal(err)
		}
	}
	c.wants("jail eve until 18446744073709551615: double sign at height 90", "cut eve",
		"burn what eve is owed", "take 5 of eve", "burn 5 of eve, 0 bps to []")
	if err := c.BeginBlock(c.ctx); err != nil {
		t.Errorf("a block without a report: %v", err)
	}
}

// Voted parameters are in force from the next epoch on, which Adopt begins.
func TestVotedParametersWaitForTheNextEpoch(t *testing.T) {
	c := begin(t)
	usual, err := c.Params(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.ExportGenesis(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	voted := court.LocalnetParams()
	g.PendingParams = &voted
	if err := c.InitGenesis(c.ctx, *g); err != nil {
		t.Fatal(err)
	}
	if now, err := c.Params(c.ctx); err != nil || now != usual {
		t.Errorf("in force before the epoch's end: %v, %v", now, err)
	}
	for range 2 {
		if err := c.Adopt(c.ctx); err != nil {
			t.Fatal(err)
		}
		if now, err := c.Params(c.ctx); err != nil || now != voted {
			t.Errorf("in force: %v, %v", now, err)
		}
	}
}

// A case that cannot be read stops the block: state is broken then, and no node may go on alone.
// Holds spec J-7.
func TestABrokenCaseStopsTheBlock(t *testing.T) {
	c := begin(t)
	broken := errors.New("broken")
	c.SetCase(brokenCase{c, broken})
	c.file(courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 1), Source: courtv1.SourceChain})
	if err := c.EndBlock(c.ctx); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type brokenCase struct {
	court.Case
	err error
}

func (b brokenCase) Exhibit(context.Context, uint64, courtv1.LeafRef) (court.Exhibit, bool, error) {
	return court.Exhibit{}, false, b.err
}
