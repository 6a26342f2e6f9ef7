// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/adversary"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/cmd/assay/cli"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/localnet"
)

// A forger among four: the others are credited, it is not, and what proves it holds offline and
// against the chain.
func TestAForgerIsCaughtAndTheEvidenceHolds(t *testing.T) {
	p := quick()
	// of a quarter that is forged, fewer than 3 are drawn once in 400,000 runs; of 32, once in 150
	p.Samples = 64
	n := start(t, localnet.Options{Cheat: adversary.Forge, Params: p})
	cheat := n.Members[3]
	for i := range 3 {
		n.credited(1, i)
	}
	o := n.outcomes(1)[cheat.Address]
	if o.Result != sprintv1.ResultFraud || o.WeightAfter != 0 || o.PowerAfter != 0 ||
		o.Mismatches < 3 {
		t.Errorf("the forger: %v (%s), weight %d, power %d, %d mismatches", o.Result, o.Reason,
			o.WeightAfter, o.PowerAfter, o.Mismatches)
	}
	if o.Forged == nil || !strings.Contains(o.Reason, "forged") {
		t.Fatalf("the reason names no leaf: %q", o.Reason)
	}

	q, err := n.Court(0)
	if err != nil {
		t.Fatal(err)
	}
	judged, err := q.Judgements(n.ctx, &courtv1.QueryJudgementsRequest{Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	named := false
	for _, j := range judged.Judgements {
		if j.Leaf != *o.Forged {
			continue
		}
		named = true
		path := filepath.Join(n.Members[0].Home, host.EvidenceName, sprint.EvidenceFile(1, j))
		if err := localnet.Until(n.ctx, "evidence", func() (bool,
			error) {
			return exists(path), nil
		}); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if code := cli.Run(n.ctx, []string{"verify", "--node", n.Members[1].GRPC, path}, nil, &out,
			&errs); code != 0 || !strings.Contains(out.String(), "is forged") {
			t.Errorf("assay verify: exit %d\n%s%s", code, out.String(), errs.String())
		}
		// with the hash that another node has of the block, and with nothing
		trust, err := n.Trust(n.ctx, 1, path)
		if err != nil {
			t.Fatal(err)
		}
		if code := cli.Run(n.ctx, append([]string{"verify", path}, trust...), nil, &out,
			&errs); code != 0 || trust[0] != "--trust" {
			t.Errorf("assay verify %v: exit %d\n%s%s", trust, code, out.String(), errs.String())
		}
		if code := cli.Run(n.ctx, []string{"verify", path}, nil, &out, &errs); code != 2 ||
			!strings.Contains(out.String(), "taken from the file: ") {
			t.Errorf("assay verify with nothing to compare: exit %d\n%s%s", code,
				out.String(), errs.String())
		}
	}
	if !named {
		t.Errorf("the chain judged %d leaves, but not the one that the outcome names",
			len(judged.Judgements))
	}

	// the next epoch goes on without it
	for i := range 3 {
		n.credited(2, i)
	}
	if o, ok := n.outcomes(2)[cheat.Address]; ok {
		t.Errorf("epoch 2: the forger is %v; want it jailed, and so no member", o.Result)
	}
}
