// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A host that starts again within the epochs that the chain keeps credits none of them
// twice, gives no second strike and no standing twice: also where a fast machine's loops
// have pushed the epoch's sources out of those that the ledger remembers.
func TestARestartCreditsNothingAgain(t *testing.T) {
	y := newYear(t, 1, 6)
	y.epoch = 10 // the first and the sixth machine compute in it
	y.open()
	defer func() { y.stop() }()
	honest, forger := y.machines[0], y.machines[5]
	for _, m := range []*yearMachine{honest, forger} {
		y.register(m)
		y.submit(m)
	}
	recent := func(m *yearMachine) uint64 {
		t.Helper()
		n, err := y.h.pay.pool.Recent(signed.Key(m.device()))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := recent(honest)
	y.sprint()
	o := y.chain.outcomes[y.epoch]
	o.Condemned = []string{machines.Name(signed.Key(forger.device()))}
	y.chain.outcomes[y.epoch] = o
	y.credit()
	if recent(honest) <= before {
		t.Errorf("work in the Sprint adds nothing to the standing, %d", before)
	}
	for _, m := range []*yearMachine{honest, forger} {
		for i := range 200 {
			e := ledger.Entry{Device: m.device(), Kind: ledger.Loops,
				Source: fmt.Sprint("later ", i), Order: uint64(time.Now().UnixMilli()) + uint64(i)}
			if _, err := y.h.pay.ledger.Credit(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	type state struct {
		ops, locked, due string
		strikes          int
		recent           uint64
	}
	now := func(m *yearMachine) state {
		a := y.h.standing(t, m.device())
		return state{a.Ops.String(), a.Locked.String(), a.Due.String(), a.Strikes, recent(m)}
	}
	was := [2]state{now(honest), now(forger)}
	if was[1].strikes != 1 {
		t.Fatalf("the forger has %d strikes", was[1].strikes)
	}
	y.stop()
	y.open()
	y.credit()
	if is := [2]state{now(honest), now(forger)}; is != was {
		t.Errorf("after the restart\n%+v, before\n%+v", is, was)
	}
}

// silent is a chain that does not tell of one epoch.
type silent struct {
	*finals
	epoch uint64
}

func (s silent) Commits(ctx context.Context, q *sprintv1.QueryCommitsRequest,
	o ...grpc.CallOption) (*sprintv1.QueryCommitsResponse, error) {
	if q.Epoch == s.epoch {
		return nil, status.Error(codes.Internal, "the database is closed")
	}
	return s.finals.Commits(ctx, q, o...)
}

func (s silent) Outcomes(ctx context.Context, q *sprintv1.QueryOutcomesRequest,
	o ...grpc.CallOption) (*sprintv1.QueryOutcomesResponse, error) {
	if q.Epoch == s.epoch {
		return nil, status.Error(codes.Internal, "the database is closed")
	}
	return s.finals.Outcomes(ctx, q, o...)
}

// What a node cannot tell of an epoch now is no word that nothing was forged in it: the
// host's own audit decides where the chain has forgotten the epoch, and not before.
func TestAPromiseWaitsForTheChainsWord(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	good, forger := device(1), device(2)
	h.prove(t, good)
	h.prove(t, forger)
	e := sprintv1.Epoch{Number: 5, Params: sprintv1.Params{KeepEpochs: 4, Samples: 200,
		CreditEpsPpm: 1000}}
	node := machines.Name(signed.Key(forger))
	h.pay.books.Promise(e, transformer.Nano,
		leaflog.Key{Epoch: 4, Node: machines.Name(signed.Key(good)), Segment: 1}, 100)
	h.pay.books.Promise(e, transformer.Nano, leaflog.Key{Epoch: 5, Node: node, Segment: 1}, 100)
	chain := &finals{outcomes: map[uint64]sprintv1.Outcome{
		5: {Participant: h.config.Participant, Result: sprintv1.ResultCredited, Credited: 80,
			Bound: 1 << 63, Condemned: []string{node}},
	}}
	now := sprintv1.Epoch{Number: 8, Phase: sprintv1.PhaseFinalised, Params: e.Params}
	h.sees(silent{chain, 5})
	if err := h.pay.books.Step(t.Context(), now); err == nil {
		t.Error("nothing is said of the epoch that the node does not tell of")
	}
	if a := h.standing(t, forger); !a.Ops.IsZero() {
		t.Errorf("leaves that nobody has judged are paid: %+v", a)
	}
	if a := h.standing(t, good); a.Ops.IsZero() {
		t.Error("an epoch before it is not credited")
	}
	h.sees(chain)
	if err := h.pay.books.Step(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if a := h.standing(t, forger); !a.Ops.IsZero() || a.Strikes != 1 {
		t.Errorf("forged leaves: %+v", a)
	}
	if list, err := h.pay.ledger.Promises(100, 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
