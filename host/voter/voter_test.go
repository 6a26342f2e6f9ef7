// SPDX-License-Identifier: Apache-2.0

package voter

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/voter/votertest"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A participant whose opening cannot be read is abstained on, and the others are judged. Where the
// node does not answer, nobody is.
// Holds spec H-1.
func TestOneOpeningKeepsNobodyFromBeingJudged(t *testing.T) {
	for _, bad := range votertest.Targets {
		w := voting(t.TempDir())
		w.c.Sprint = votertest.Judging{Bad: bad}
		duties, err := w.duties(t.Context(), sprintv1.Epoch{Number: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range duties {
			if d.target != votertest.Targets[i] || (d.err != nil) != (d.target == bad) ||
				(len(d.leaves) == 0) != (d.target == bad) {
				t.Errorf("%s is bad: duty %d on %s has %d leaves, %v", bad, i, d.target,
					len(d.leaves), d.err)
			}
		}
		if f := w.c.Board.Get().Faults; len(f) != 1 || !strings.Contains(f[0].Reason, bad) {
			t.Errorf("%s is not named: %+v", bad, f)
		}
		// The verdict has the others in their places, and leaves this one out.
		f, err := w.verdict(t.Context(), votertest.SegmentOver().Epoch,
			votertest.SegmentOver().Epoch,
			slices.DeleteFunc(duties, func(d duty) bool { return d.err == nil }), 10)
		if err != nil || len(f.body.Votes) != 0 {
			t.Errorf("%s is bad: votes %v, %v", bad, f.body.Votes, err)
		}
		w.c.Sprint = votertest.Judging{Bad: bad, Failed: status.Error(codes.Unavailable, "gone")}
		if _, err := w.duties(t.Context(), sprintv1.Epoch{Number: 1}); !client.Away(err) {
			t.Errorf("a node that is gone: %v", err)
		}
	}
}

// A voter whose checks cannot be had keeps nobody else from being watched.
func TestOneVoterKeepsNobodyFromBeingWatched(t *testing.T) {
	for _, bad := range votertest.Targets {
		w := voting(t.TempDir())
		w.c.Sprint = votertest.Judging{Bad: bad,
			Failed: status.Error(codes.Internal, "broken record")}
		w.checks = checks{epoch: 1, watched: map[string]bool{},
			found: map[courtv1.LeafRef]transformer.Output{votertest.Leaves("cpc1a")[0]: {}}}
		if err := w.Dispute(t.Context(), votertest.SegmentOver()); err == nil || client.Away(err) {
			t.Errorf("%s: %v", bad, err)
		}
		got := w.c.Queue.(*queue).ids // what they opened is wrong
		var want []string
		for _, name := range votertest.Targets {
			if name != bad {
				want = append(want, "dispute/1/"+name+"/0")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is bad, disputes (-want +got):\n%s", bad, diff)
		}
	}
}

// A verdict that the disk does not take is committed to and revealed all the same, and stored once
// it can be.
func TestAVerdictWithoutADiskIsGiven(t *testing.T) {
	home := t.TempDir()
	inTheWay := filepath.Join(home, "verdicts")
	w := voting(inTheWay)
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now := votertest.SegmentOver()
	now.Epoch.Round = sprintv1.Round{ValidateUntil: 30, RevealUntil: 40}
	w.checks.epoch = 1
	if err := w.decide(now, finding{body: &sprintv1.VerdictBody{}}); err != nil {
		t.Fatal(err)
	}
	if f := w.c.Board.Get().Faults; len(f) != 1 || !strings.Contains(f[0].Reason, inTheWay) {
		t.Errorf("faults %+v", f)
	}
	if err := w.Reveal(now); err != nil {
		t.Fatal(err)
	}
	if got := w.c.Queue.(*queue).ids; !slices.Equal(got, []string{"reveal/1", "verdict/1"}) {
		t.Errorf("wanted: %v", got)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := w.Reveal(now); err != nil || len(w.c.Board.Get().Faults) != 0 {
		t.Errorf("%v, %+v", err, w.c.Board.Get().Faults)
	}
	if v, err := w.c.Folder.Load(1); err != nil || v == nil {
		t.Errorf("stored: %v, %v", v, err)
	}
}

// A verdict's file that is damaged is named, and costs this host its vote and nothing else.
func TestADamagedVerdictIsAbstainedOn(t *testing.T) {
	w := voting(t.TempDir())
	if err := w.c.Folder.Save(&Verdict{Epoch: 1, Salt: make([]byte, 32)}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.c.Folder.Path(1), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Reveal(votertest.SegmentOver()); err != nil {
		t.Error(err)
	}
	if s := w.c.Board.Get(); s.Doing != "abstaining" || len(s.Faults) != 1 ||
		!strings.Contains(s.Faults[0].Reason, w.c.Folder.Path(1)) {
		t.Errorf("%s, faults %+v", s.Doing, s.Faults)
	}
}
