// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/cmd/assay/cli"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/localnet"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/verify/leaves"
	"github.com/assaynet/assay/worker"
)

// Strangers at an honest host's pool. One works: its loops are verified, its leaves go into the
// host's commitments, and what it earned is transferred to it on chain. One forges its leaves: the
// host finds out before it commits, leaves that machine's log out and nothing else, and is credited
// for the rest. The forger's locked pay is forfeited, on evidence that anyone can check; the honest
// one has receipts for its leaves, and all of them are committed to.
func TestStrangersAtAPool(t *testing.T) {
	n := start(t, localnet.Options{Pool: true, Cheat: adversary.None, Participants: 2})
	p1 := n.Members[0]
	url, err := p1.URL()
	if err != nil {
		t.Fatal(err)
	}
	payout := n.assay("keys", "add", "miner", "--keyring-backend", "test", "--home",
		p1.Home, "--output", "json")
	var made struct{ Address string }
	if err := json.Unmarshal([]byte(payout), &made); err != nil {
		t.Fatalf("%v: %s", err, payout)
	}
	dir := t.TempDir()
	nodeOf := func(home string) string {
		var id struct{ Key string }
		if err := json.Unmarshal([]byte(n.assay("localnet", "worker", "id", "--home", home,
			"--json")), &id); err != nil {
			t.Fatal(err)
		}
		return "m-" + id.Key[:12]
	}
	honest, forger := filepath.Join(dir, "honest"), filepath.Join(dir, "forger")
	good, bad := nodeOf(honest), nodeOf(forger)
	n.spawn(filepath.Join(dir, "honest.log"), "localnet", "worker", "start", "--host", url,
		"--home", honest, "--payout", made.Address, "--node", "http://"+n.Members[1].RPC, "--nice",
		"19", "--threads", "1")
	cheat := strings.Join([]string{adversary.Forge, n.Chain, p1.Address, bad, n.Members[1].Address,
		localnet.NodeID}, ":")
	n.spawn(filepath.Join(dir, "forger.log"), "localnet", "worker", "--cheat", cheat, "start",
		"--host", url, "--home", forger, "--nice", "19", "--threads", "1")

	conn, err := n.Conn(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := localnet.Until(n.ctx, "a payment on chain", func() (bool, error) {
		res, err := banktypes.NewQueryClient(conn).Balance(n.ctx,
			&banktypes.QueryBalanceRequest{Address: made.Address, Denom: "acpc"})
		return err == nil && res.Balance != nil && res.Balance.Amount.IsPositive(), err
	}); err != nil {
		t.Fatal(err)
	}
	var left delivery.LeftOut
	if err := localnet.Until(n.ctx, "the forger's log to be left out", func() (bool, error) {
		s, err := p1.Status(n.ctx)
		if err != nil {
			return false, err
		}
		for _, l := range s.LeftOut {
			if l.Node != bad {
				t.Fatalf("an honest log is left out: %+v", l)
			}
			left = l
		}
		return left.Node != "", nil
	}); err != nil {
		t.Fatal(err)
	}
	o := n.outcomes(left.Epoch)[p1.Address]
	if o.Result != sprintv1.ResultCredited || o.Mismatches != 0 {
		t.Errorf("epoch %d: the host of a forging machine: %v (%s), %d mismatches", left.Epoch,
			o.Result, o.Reason, o.Mismatches)
	}
	q, err := n.Sprint(0)
	if err != nil {
		t.Fatal(err)
	}
	commits, err := q.Commits(n.ctx, &sprintv1.QueryCommitsRequest{Epoch: left.Epoch,
		Participant: p1.Address})
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]int{}
	for _, c := range commits.Commits {
		by[c.Node]++
	}
	if by[localnet.NodeID] != 2 || by[good] == 0 || by[bad] != 0 {
		t.Errorf("commitments of epoch %d by node: %v", left.Epoch, by)
	}

	var accounts []host.PoolAccount
	if err := json.Unmarshal([]byte(n.assay("host", "pool", "--home", p1.Home, "--json")),
		&accounts); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range accounts {
		seen[a.Node] = true
		switch {
		case a.Node == good && (a.Strikes != 0 || a.Settled.IsZero() || !a.Forfeited.IsZero()):
			t.Errorf("the honest machine: %+v", a)
		case a.Node == bad && (a.Strikes == 0 || !strings.Contains(a.Reason, "forged") ||
			a.Forfeited.IsZero()):
			t.Errorf("the forger: %+v", a)
		}
	}
	if !seen[good] || !seen[bad] {
		t.Errorf("accounts of %v", seen)
	}
	verify := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := cli.Run(n.ctx, append([]string{"verify"}, args...), nil,
			&out, &errs); code != 0 {
			t.Errorf("assay verify %v: exit %d\n%s%s", args, code, out.String(), errs.String())
		}
		return out.String()
	}
	first := func(pattern ...string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(pattern...))
		if err != nil || len(found) == 0 {
			t.Fatalf("no file is like %s: %v", filepath.Join(pattern...), err)
		}
		return found[0]
	}
	verify(first(honest, "devices", "*", "receipts", "*.json"))
	// The payment that the host signed counts, because the other participant's node has it.
	if err := localnet.Until(n.ctx, "a payment that the machine found on the chain",
		func() (bool, error) {
			found, err := filepath.Glob(filepath.Join(honest, "devices", "*",
				"transfers", "*.json"))
			return len(found) > 0, err
		}); err != nil {
		t.Fatal(err)
	}
	if said := verify(first(honest, "devices", "*", "transfers", "*.json")); !strings.Contains(said,
		"paid") || !strings.Contains(said, made.Address) {
		t.Errorf("the payment: %s", said)
	}

	// what is on file against the forger, by itself and with the chain
	evidence := first(p1.Home, host.EvidenceName, "left-out-epoch-*-"+bad+"-segment-*.json")
	for _, args := range [][]string{{evidence}, {evidence, "--node", n.Members[1].GRPC}} {
		if said := verify(args...); !strings.Contains(said, "proven: fraud") ||
			!strings.Contains(said, "shown to have cheated: 0x"+bad[2:]) {
			t.Errorf("assay verify %v: %s", args, said)
		}
	}
	// the forger has it too
	if said := verify(first(forger, worker.ReceiptsName,
		"left-out-*.json")); !strings.Contains(said, "proven: fraud") {
		t.Errorf("what the forger was sent: %s", said)
	}
	raw, err := os.ReadFile(evidence)
	if err != nil {
		t.Fatal(err)
	}
	bent := filepath.Join(dir, "bent.json")
	if err := os.WriteFile(bent, bytes.Replace(raw, []byte(`"node": "`+bad+`",
      "class"`), []byte(`"node": "`+good+`",
      "class"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := cli.Run(n.ctx, []string{"verify", bent}, nil, &out, &errs); code == 0 ||
		!strings.Contains(errs.String(), "not signed by this key") {
		t.Errorf("evidence against another machine: exit %d, %s", code, errs.String())
	}

	// what the honest machine can show, of an epoch that is over
	whole := 0
	for _, c := range commits.Commits {
		if c.Node != good {
			continue
		}
		receipt := first(honest, worker.ReceiptsName,
			fmt.Sprintf("leaves-%012d-%05d-%s-*.json", left.Epoch, c.Segment, good))
		var r leaves.Report
		if err := json.Unmarshal([]byte(verify(receipt, "--node", n.Members[1].GRPC, "--json")),
			&r); err != nil {
			t.Fatal(err)
		}
		if !r.Proven || r.Committed == nil || *r.Committed != c.Count || r.Leaves > c.Count {
			t.Errorf("%s: %+v; %d leaves are committed to", receipt, r, c.Count)
		} else if r.Leaves == c.Count {
			whole++
		}
	}
	if whole == 0 {
		t.Error("no receipt is for all leaves of a commitment")
	}
	// Nothing is left on disk that nobody has a bound and a pruner for.
	table := append(host.Kept(), node.Kept()...)
	table = append(table, kept.Thing{Where: "*.log"})
	for _, thing := range worker.Kept() {
		if thing.Where != "" {
			thing.Where = "worker/" + thing.Where
			table = append(table, thing)
		}
	}
	if list, err := kept.Unlisted(p1.Home, table); err != nil || len(list) > 0 {
		t.Errorf("in no table: %v, %v", list, err)
	}
}
