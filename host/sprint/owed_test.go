// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"cosmossdk.io/math"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/ledger"
)

// payer answers what is owed.
type payer struct {
	creditv1.QueryClient
	res *creditv1.QueryOwedResponse
	err error
}

func (p payer) Owed(_ context.Context, req *creditv1.QueryOwedRequest,
	_ ...grpc.CallOption) (*creditv1.QueryOwedResponse, error) {
	if req.Participant != "me" {
		return nil, errors.New("asked for " + req.Participant)
	}
	return p.res, p.err
}

// A host shows what its participant is owed and when the first of it is paid; a node that does not
// say costs the host nothing but this line.
func TestWhatIsOwedIsShown(t *testing.T) {
	amount := func(s string) ledger.Amount {
		a, err := ledger.ParseAmount(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, c := range map[string]struct {
		node payer
		want *board.Owed
	}{
		"two epochs": {payer{res: &creditv1.QueryOwedResponse{Total: math.NewInt(12),
			Owed: []creditv1.Owed{{Amount: math.NewInt(5), Epoch: 3, DueEpoch: 6, NextEpoch: 7}}}},
			&board.Owed{Total: amount("12"), Next: amount("5"), After: 7}},
		"nothing":       {payer{res: &creditv1.QueryOwedResponse{Total: math.ZeroInt()}}, nil},
		"an older node": {payer{err: errors.New("unknown method Owed")}, nil},
	} {
		sp := &Sprint{c: Config{Participant: "me", Credit: c.node, Logger: slog.New(
			slog.DiscardHandler)}}
		same := cmp.Comparer(func(a, b ledger.Amount) bool { return a.String() == b.String() })
		if diff := cmp.Diff(c.want, sp.owed(t.Context()), same); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
