// SPDX-License-Identifier: Apache-2.0

package genesis

import (
	"testing"
	"time"

	sdkmath "cosmossdk.io/math"
	"github.com/google/go-cmp/cmp"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
)

// What was taken for offences comes over to a new chain, and so does what covers weight: no coin of
// the module's account is without a record, and both parts can be imported.
func TestANewChainKeepsWhatIsHeldAndWhatIsOnItsWayOut(t *testing.T) {
	n := sdkmath.NewInt
	e := &export{}
	e.sprint.Epoch = 40
	e.court = *court.DefaultGenesis()
	e.court.NextPenalty = 9
	penalty := func(number, epoch uint64, state courtv1.PenaltyState,
		until uint64) courtv1.Penalty {
		return courtv1.Penalty{Number: number, Epoch: epoch, Participant: "cpc1a", Amount: n(5),
			State: state, Until: until, Offence: courtv1.OffenceFraud}
	}
	e.court.Penalties = []courtv1.Penalty{penalty(1, 10, courtv1.PenaltyHeld, 46),
		penalty(4, 39, courtv1.PenaltyDue, 41), penalty(5, 39, courtv1.PenaltyReleased, 0),
		penalty(7, 40, courtv1.PenaltyTaken, 0)}
	e.court.DoubleSigns = []courtv1.DoubleSign{{Height: 900, Participant: "cpc1z"}}
	e.collateral = *collateral.DefaultGenesis()
	e.collateral.Rises = []collateralv1.Rise{{Epoch: 41, CollateralPerUnit: n(3)}}
	e.collateral.Accounts = []collateralv1.Account{{Address: "cpc1a", Deposit: n(30), Held: n(20),
		Locks: []collateralv1.Lock{{Purpose: collateral.Claim, Amount: n(1)},
			{Purpose: collateral.Lottery, Amount: n(2)},
			{Purpose: collateral.Registration, Amount: n(3)},
			{Purpose: collateral.Weight, Amount: n(4)}},
		Withdrawals: []collateralv1.Withdrawal{{Height: 700, Time: 7, Amount: n(6)},
			{Height: 800, Time: 8, Amount: n(7), RetryHeight: 999}}}}

	gs := e.penalties()
	if err := court.ValidateGenesis(*gs); err != nil {
		t.Error(err)
	}
	want := []courtv1.Penalty{penalty(1, 0, courtv1.PenaltyHeld, 6),
		penalty(4, 0, courtv1.PenaltyDue, 1), penalty(5, 0, courtv1.PenaltyReleased, 0),
		penalty(7, 0, courtv1.PenaltyDue, 0)}
	if diff := cmp.Diff(want, gs.Penalties); diff != "" || len(gs.DoubleSigns) > 0 {
		t.Errorf("%v %s", gs.DoubleSigns, diff)
	}
	deposits := e.deposits(time.Unix(5_000, 0))
	if err := collateral.ValidateGenesis(deposits); err != nil {
		t.Error(err)
	}
	account := []collateralv1.Account{{Address: "cpc1a", Deposit: n(30), Held: n(20),
		Locks: []collateralv1.Lock{{Purpose: collateral.Registration, Amount: n(3)},
			{Purpose: collateral.Weight, Amount: n(4)}},
		Withdrawals: []collateralv1.Withdrawal{{Time: 5_000, Amount: n(13)}}}}
	if diff := cmp.Diff(account, deposits.Accounts); diff != "" || deposits.Rises[0].Epoch != 1 {
		t.Errorf("%v %s", deposits.Rises, diff)
	}
}
