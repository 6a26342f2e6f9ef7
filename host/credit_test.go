// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/google/go-cmp/cmp"

	"context"

	"google.golang.org/grpc"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// finals is a chain that has finalised epochs.
type finals struct {
	sprintv1.QueryClient
	outcomes map[uint64]sprintv1.Outcome
	commits  []sprintv1.Commit
	asked    []uint64
	// commitsOf, if set, stands for commits.
	commitsOf func(epoch uint64) []sprintv1.Commit
}

func onePage[T any](all []T, q *query.PageRequest) ([]T, *query.PageResponse) {
	n := 0
	if q != nil && len(q.Key) > 0 {
		n = int(q.Key[0])
	}
	if n >= len(all) {
		return nil, nil
	}
	next := &query.PageResponse{}
	if n+1 < len(all) {
		next.NextKey = []byte{byte(n + 1)}
	}
	return all[n : n+1], next
}

// Leaves are credited once, also for epochs that ended while the host was down; a machine whose
// node the chain condemned has a strike instead. They count whatever became of the epoch.
func TestLeavesAreCreditedOnce(t *testing.T) {
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	// w1's, see config
	good, cheat, forger, own := device(1), device(2), device(3),
		ledger.Device(bytes.Repeat([]byte{0xab}, 32))
	for _, key := range []ledger.Device{good, cheat, forger, own} {
		h.prove(t, key)
	}
	a, b, c := machines.Name(signed.Key(good)), machines.Name(signed.Key(cheat)),
		machines.Name(signed.Key(forger))
	chain := &finals{outcomes: map[uint64]sprintv1.Outcome{
		// no longer on chain
		1: {Participant: h.config.Participant, Result: sprintv1.ResultCredited, Credited: 1000},
		4: {Participant: h.config.Participant, Result: sprintv1.ResultCredited,
			Credited: 100, Bound: 1 << 63},
		5: {Participant: h.config.Participant, Result: sprintv1.ResultCredited, Credited: 80,
			Bound: 1 << 63, Condemned: []string{b}},
		6: {Participant: h.config.Participant, Result: sprintv1.ResultRejected, Credited: 100,
			Bound: 1 << 63, Forged: &courtv1.LeafRef{Node: c}},
		7: {Participant: h.config.Participant, Result: sprintv1.ResultUnjudged,
			Credited: 10, Bound: 1 << 63},
		8: {Participant: h.config.Participant, Result: sprintv1.ResultWithheld},
	}, commits: []sprintv1.Commit{{Node: a, Segment: 1, Count: 30},
		{Node: a, Segment: 2, Count: 70}, {Node: "w1", Segment: 1, Count: 60},
		{Node: b, Segment: 1, Count: 40}, {Node: c, Segment: 1, Count: 10}}}
	h.sees(chain)
	current := sprintv1.Epoch{Number: 8, Phase: sprintv1.PhaseFinalised,
		Params: sprintv1.Params{KeepEpochs: 4}}
	check := func(what string, h *Host) {
		t.Helper()
		ops := transformer.Nano.Ops()
		for key, want := range map[ledger.Device]uint64{good: (4*(15+35) + 29 + 68) * ops,
			own: (4*30 + 59) * ops, cheat: (3*20 + 39) * ops, forger: (3*5 + 9) * ops} {
			if a := h.standing(t, key); a.Ops.String() != fmt.Sprint(want) {
				t.Errorf("%s: %s has %s operations, want %d", what, key, a.Ops, want)
			}
		}
		for _, key := range []ledger.Device{cheat, forger} {
			if s := h.standing(t, key).Strikes; s != 1 {
				t.Errorf("%s: %d strikes for an epoch in which the chain condemned the node",
					what, s)
			}
		}
		if err := h.pay.ledger.Check(); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := h.pay.books.Step(t.Context(), current); err != nil {
			t.Fatal(err)
		}
		check("running", h)
	}
	if diff := cmp.Diff([]uint64{4, 5, 6, 7, 8}, chain.asked); diff != "" {
		t.Errorf("epochs asked for (-want +got):\n%s", diff)
	}
	closeAll()
	again, _ := poolHost(t, home)
	for _, key := range []ledger.Device{good, cheat, forger, own} {
		again.prove(t, key)
	}
	again.sees(chain)
	if err := again.pay.books.Step(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	check("restarted", again)
}

// A debt is entered when the host commits. Where the chain forgets the epoch before
// the host comes back it is paid all the same, once, and nothing for a node whose
// leaves were forged.
func TestWhatTheChainForgotIsPaid(t *testing.T) {
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	good, forger := device(1), device(2)
	h.prove(t, good)
	h.prove(t, forger)
	e := sprintv1.Epoch{Number: 2, Params: sprintv1.Params{KeepEpochs: 2, Samples: 200,
		CreditEpsPpm: 1000}}
	for range 2 {
		h.pay.books.Promise(e, transformer.Nano,
			leaflog.Key{Epoch: 2, Node: machines.Name(signed.Key(good)), Segment: 1}, 100)
		h.pay.books.Promise(e, transformer.Nano,
			leaflog.Key{Epoch: 3, Node: machines.Name(signed.Key(forger)), Segment: 1}, 100)
	}
	// no account
	h.pay.books.Promise(e, transformer.Nano, leaflog.Key{Epoch: 2, Node: "unknown", Segment: 1},
		100)
	closeAll()
	h, _ = poolHost(t, home)
	h.prove(t, good)
	h.prove(t, forger)
	h.sees(&finals{})
	h.pay.books.Condemn(3, machines.Name(signed.Key(forger)))
	for range 2 {
		if err := h.pay.books.Step(t.Context(),
			sprintv1.Epoch{Number: 20, Phase: sprintv1.PhaseFinalised,
				Params: e.Params}); err != nil {
			t.Fatal(err)
		}
	}
	if a := h.standing(t, good); a.Ops.IsZero() || a.Entries != 1 {
		t.Errorf("%+v", a)
	}
	if a := h.standing(t, forger); !a.Ops.IsZero() {
		t.Errorf("%+v", a)
	}
	if list, err := h.pay.ledger.Promises(100, 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// The pool's files are made together, and one without the other is refused, not made
// again; a damaged ledger costs the pool, and not the Sprint.
func TestALostLedgerIsNoFreshStart(t *testing.T) {
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	h.prove(t, device(1))
	closeAll()
	books := filepath.Join(home, ledgerName)
	raw, err := os.ReadFile(books)
	if err != nil {
		t.Fatal(err)
	}
	opens := func() string {
		encoding, err := client.NewEncoding()
		if err != nil {
			t.Fatal(err)
		}
		pay := newHost(h.config, h.o).newPayroll()
		done, err := pay.open(encoding)
		if err != nil {
			t.Fatal(err)
		}
		done()
		return pay.failed
	}
	if why := opens(); why != "" {
		t.Fatal(why)
	}
	for _, lost := range []string{ledgerName, poolName} {
		path := filepath.Join(home, lost)
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if why := opens(); !strings.Contains(why, "backup") || !strings.Contains(why, path) {
			t.Errorf("without %s: %q", lost, why)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(books, raw[:len(raw)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if why := opens(); !strings.Contains(why, "damaged") || !strings.Contains(why, books) {
		t.Errorf("half a ledger: %q", why)
	}
}

// The account that pays has no other role.
// Holds spec H-15.
func TestThePayingKeyHasNoOtherRole(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	encoding, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	record, _, err := h.o.Keys.NewMnemonic("operator", keyring.English,
		hd.CreateHDPath(sdk.CoinType, 0, 0).String(), keyring.DefaultBIP39Passphrase, hd.Secp256k1)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.GetAddress()
	if err == nil {
		h.pay.config.Participant, err = encoding.Addresses.BytesToString(raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"hot", "operator"} {
		err := h.pay.openSettler(encoding, Pool{PayKey: key}, ledger.Amount{})
		if err == nil || !strings.Contains(err.Error(), "no other role") ||
			!strings.Contains(err.Error(), "assay keys add pay") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, _, err := h.o.Keys.NewMnemonic("pay", keyring.English,
		hd.CreateHDPath(sdk.CoinType, 0, 1).String(), keyring.DefaultBIP39Passphrase,
		hd.Secp256k1); err != nil {
		t.Fatal(err)
	}
	if err := h.pay.openSettler(encoding, Pool{PayKey: "pay"}, ledger.Amount{}); err != nil {
		t.Error(err)
	}
}

func (f *finals) Epoch(_ context.Context, q *sprintv1.QueryEpochRequest,
	_ ...grpc.CallOption) (*sprintv1.QueryEpochResponse, error) {
	f.asked = append(f.asked, q.Number)
	return &sprintv1.QueryEpochResponse{Epoch: sprintv1.Epoch{Number: q.Number,
		Params: sprintv1.Params{Class: "nano", Samples: 200, CreditEpsPpm: 50_000}}}, nil
}

// Outcomes and Commits have pages of one entry.
func (f *finals) Outcomes(_ context.Context, q *sprintv1.QueryOutcomesRequest,
	_ ...grpc.CallOption) (*sprintv1.QueryOutcomesResponse, error) {
	all := []sprintv1.Outcome{{Participant: "cpc1other", Credited: 7}, f.outcomes[q.Epoch]}
	page, next := onePage(all, q.Pagination)
	return &sprintv1.QueryOutcomesResponse{Outcomes: page, Pagination: next}, nil
}

func (f *finals) Commits(_ context.Context, q *sprintv1.QueryCommitsRequest,
	_ ...grpc.CallOption) (*sprintv1.QueryCommitsResponse, error) {
	all := f.commits
	if f.commitsOf != nil {
		all = f.commitsOf(q.Epoch)
	}
	page, next := onePage(all, q.Pagination)
	return &sprintv1.QueryCommitsResponse{Commits: page, Pagination: next}, nil
}
