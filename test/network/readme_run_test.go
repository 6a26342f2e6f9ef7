// SPDX-License-Identifier: Apache-2.0

//go:build unix

package network

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/adversary"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/localnet"
)

var workersURL = regexp.MustCompile(`assay://[^\s"]+`)

// participant is a reader with a node, a host and a machine, whose ports differ from those of
// others on this machine.
type participant struct {
	*reader
	name      string
	at        []string // p2p, rpc, grpc, api, workers, status
	host      *terminal
	url       substitution
	published home.Participant
}

func newParticipant(t *testing.T, ctx context.Context, bin, name string, left map[string]bool,
	at []string, shared []substitution) *participant {
	own := []substitution{
		{"--moniker alice", "--moniker " + name, "the other participant's name"},
		{"init participant ", fmt.Sprintf("init participant --p2p %s --rpc %s --grpc %s --api %s ",
			at[0], at[1], at[2], at[3]), "participants share this machine"},
	}
	return &participant{reader: newReader(t, ctx, bin, left, append(own, shared...)),
		name: name, at: at}
}

// configure writes what differs on a machine that all share into the settings.
func (p *participant) configure() {
	config := func(name string) string { return filepath.Join(p.home, "assay", "config", name) }
	edit(p.t, config("host.toml"),
		map[string]string{"0.0.0.0:4710": p.at[4], "127.0.0.1:4711": p.at[5]})
	edit(p.t, config("config.toml"),
		map[string]string{`timeout_commit = "4s"`: `timeout_commit = "500ms"`})
}

// serve opens the host, by a command of the README, and reads from its terminal where workers
// connect.
func (p *participant) serve(command string) {
	p.host = p.open("host", "exec "+p.text(command)) // so that it has ended where the terminal has
	p.url = substitution{"'assay://…#…'", "'" + p.host.said(workersURL)[0] + "'",
		"what the host printed"}
}

// The README's network by hand, and its pool: two participants, each with an empty folder, make a
// chain that credits both; then one of them runs a pool, and a machine that nobody has allowed is
// paid on chain.
func TestTheREADMEByHand(t *testing.T) {
	const limit = 5 * time.Minute
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit,
		fmt.Errorf("it took more than %s", limit))
	t.Cleanup(cancel)
	left, bin, shared, at := toRun(t, byHand), programsFolder(t), common(), ports(t, 12)
	alice := newParticipant(t, ctx, bin, "alice", left, at[:6], shared)
	bob := newParticipant(t, ctx, bin, "bob", left, at[6:], shared)
	both := []*participant{alice, bob}

	for _, p := range both {
		passphrase := filepath.Join(p.home, "passphrase")
		if err := os.WriteFile(passphrase, []byte("correct horse of "+p.name+"\n"),
			0o600); err != nil {
			t.Fatal(err)
		}
		p.prelude = p.text("export ASSAY_KEYRING_PASSPHRASE_FILE=FILE",
			substitution{"FILE", passphrase, "its name"}) + "\n"
		p.run("assay init participant --home ~/assay --chain-id my-net --moniker alice")
		var err error
		if p.published, err = home.ReadParticipant(filepath.Join(p.home, "assay",
			home.Public)); err != nil {
			t.Fatal(err)
		}
		for _, other := range both { // handed to the others
			copyFile(t, filepath.Join(p.home, "assay", home.Public),
				filepath.Join(other.home, p.name+".json"))
		}
	}
	var genesis [][]byte
	for _, p := range both {
		p.run("assay init genesis --chain-id my-net --time 2026-12-01T12:00:00Z --participants " +
			"alice.json,bob.json --output genesis.json")
		text, err := os.ReadFile(filepath.Join(p.home, "genesis.json"))
		if err != nil {
			t.Fatal(err)
		}
		genesis = append(genesis, text)
		p.run("assay init join --home ~/assay --genesis genesis.json --participants " +
			"alice.json,bob.json")
		p.configure()
	}
	if !bytes.Equal(genesis[0], genesis[1]) {
		t.Error("the same files give two geneses")
	}
	for _, p := range both {
		p.open("node", p.text("assay node --home ~/assay"))
		p.serve("assay host --home ~/assay")
		id := regexp.MustCompile(`(?m)^key\s+(\S+)`).FindStringSubmatch(p.run("assay-worker id"))
		if id == nil {
			t.Fatal("assay-worker id prints no key")
		}
		p.run("assay host allow KEY --home ~/assay", substitution{"KEY", id[1], "what id printed"})
		p.open("worker", p.text("assay-worker start --host 'assay://…#…'", p.url))
	}
	bothCredited(t, ctx, both)

	alice.prelude += alice.text("export ASSAY_HOME=~/assay") + "\n"
	if alice.run("assay host status") == "" {
		t.Error("assay host status says nothing")
	}
	to := substitution{"cpc1…", bob.must("assay keys add gift --home ~/assay >made 2>&1; assay " +
		"keys show gift -a --home ~/assay"), "whoever gets the coins"}
	alice.run("assay tx bank send operator cpc1… 1.5cpc --home ~/assay", to)
	if said := bob.run("assay query bank balances cpc1… --home ~/assay",
		to); !strings.Contains(said, "1.5cpc") {
		t.Errorf("1.5cpc were sent, and the balance is %s", said)
	}
	for _, program := range []string{"assay", "assay-worker"} {
		if alice.run(program+" completion SHELL", substitution{"SHELL", "bash", "a shell"}) == "" {
			t.Errorf("no completion of %s", program)
		}
	}
	alice.run("assay audit explain")
	aPoolPays(t, alice, newReader(t, ctx, bin, left, shared))
}

// bothCredited waits for an epoch in which both participants are.
func bothCredited(t *testing.T, ctx context.Context, both []*participant) {
	t.Helper()
	q, err := localnet.Client(both[0].at[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := localnet.Until(ctx, "an epoch that credits both", func() (bool, error) {
		now, err := q.Current(ctx, &sprintv1.QueryCurrentRequest{})
		if err != nil {
			for _, p := range both {
				p.host.running()
			}
			return false, err
		}
		last := now.Epoch.Number
		if now.Epoch.FinalisedHeight == 0 {
			last--
		}
		if now.Epoch.Number == 0 || last == 0 {
			return false, nil
		}
		res, err := q.Outcomes(ctx, &sprintv1.QueryOutcomesRequest{Epoch: last})
		if err != nil {
			return false, err
		}
		credited := 0
		for _, o := range res.Outcomes {
			if o.Result == sprintv1.ResultCredited && o.Credited > 0 && o.Mismatches == 0 {
				credited++
			} else if last > 3 {
				t.Fatalf("epoch %d: %s is %v (%s)", last, o.Participant, o.Result, o.Reason)
			}
		}
		return credited == 2, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// aPoolPays is the section for machine owners: a participant's host, started again as a pool, and a
// stranger's machine.
func aPoolPays(t *testing.T, p *participant, owner *reader) {
	p.host.close(syscall.SIGTERM)
	p.run("assay host check")
	p.run(`assay keys add pay --home ~/assay`)
	p.run(`assay tx bank send operator "$(assay keys show pay -a --home ~/assay)" 20cpc --home ~/assay`)
	edit(t, filepath.Join(p.home, "assay", "config", "host.toml"), map[string]string{
		`pay_key = ""`: `pay_key = "pay"`, // as the README says
		// the first transfer within a minute, where it would be an hour
		`least = "0.1cpc"`:  `least = "1acpc"`,
		"unlock_after = 20": "unlock_after = 1",                  // the same
		"ban_after = 3":     "ban_after = 3\nduration_ms = 5000", // the same
	})
	p.serve("assay host --pool --home ~/assay")
	payout := p.must("assay keys add owner --home ~/assay >made 2>&1; assay keys show owner -a " +
		"--home ~/assay")
	url := substitution{"URL", p.url.to, "what the host printed"}
	owner.run("assay-worker doctor --host URL", url)
	worker := owner.open("worker", owner.text("assay-worker start --host 'assay://…#…' --payout "+
		"cpc1…", p.url, substitution{"cpc1…", payout, "the owner's address"}))
	conn, err := client.DialNode(p.at[2])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := localnet.Until(p.ctx, "a payment on chain", func() (bool, error) {
		p.host.running()
		worker.running()
		res, err := banktypes.NewQueryClient(conn).Balance(p.ctx,
			&banktypes.QueryBalanceRequest{Address: payout, Denom: "acpc"})
		return err == nil && res.Balance != nil && res.Balance.Amount.IsPositive(), err
	}); err != nil {
		t.Fatal(err)
	}
	inBlock, said := regexp.MustCompile(`machines +block \d`), ""
	if err := localnet.Until(p.ctx, "the host to find its payment in a block",
		func() (bool, error) {
			said = p.run("assay host payments")
			return inBlock.MatchString(said), nil
		}); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	if said := owner.run("assay-worker status"); !strings.Contains(said, "CPC") &&
		!strings.Contains(said, "cpc") {
		t.Errorf("status of a machine that was paid: %s", said)
	}
	receipts := filepath.Join(owner.home, ".assay-worker", "devices", "cpu", "receipts")
	if said := owner.run("assay verify FILE|FOLDER",
		substitution{"FILE|FOLDER", receipts, "the folder it names"}); said == "" {
		t.Error("assay verify says nothing of the receipts")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The README's section on joining, as one script: from empty folders to voting power in a running
// local network.
func TestTheREADMEJoining(t *testing.T) {
	n := start(t, localnet.Options{Cheat: adversary.None, Participants: 3})
	p1, at := n.Members[0], ports(t, 6)
	left := toRun(t, joining)
	r := newReader(t, n.ctx, programsFolder(t), left, append(common(),
		substitution{"init participant ", fmt.Sprintf("init participant --p2p %s --rpc %s --grpc "+
			"%s --api %s ", at[0], at[1], at[2], at[3]), "all nodes share this machine"},
		substitution{"./assay init join ", fmt.Sprintf("sed -i.old 's/0.0.0.0:4710/%s/; "+
			"s/127.0.0.1:4711/%s/' ~/p5/config/host.toml\n./assay init join ", at[4], at[5]),
			"so do all hosts"}))
	// what localnet prints
	r.prelude = fmt.Sprintf("NET=%s CHAIN=%s PEER=%s\n", n.Home, n.Chain, p1.Peer)
	r.run("go build -o . ./cmd/...")
	var script []string
	for _, c := range commandsOfTheREADME(t) {
		if decided[c.text] == joining && c.block > 0 {
			script = append(script, r.text(c.text))
		}
	}
	fifth := r.open("fifth", strings.Join(script, "\n"))

	conn, err := n.Conn(0)
	if err != nil {
		t.Fatal(err)
	}
	var p5 home.Participant
	registry := registryv1.NewQueryClient(conn)
	if err := localnet.Until(n.ctx, "its node to be bound", func() (bool, error) {
		fifth.running()
		if p5, err = home.ReadParticipant(filepath.Join(r.home, "p5", home.Public)); err != nil {
			return false, err
		}
		res, err := registry.Participant(n.ctx,
			&registryv1.QueryParticipantRequest{Address: p5.Address})
		return err == nil && len(res.Participant.Nodes) == 1, err
	}); err != nil {
		t.Fatal(err)
	}
	joined := n.until(0, "the chain", func(*sprintv1.QueryCurrentResponse) bool {
		return true
	}).Epoch.Number + 1
	o, ok := n.outcomes(joined)[p5.Address]
	if !ok { // its node was bound as that epoch began
		joined++
		o, ok = n.outcomes(joined)[p5.Address]
	}
	if !ok || o.Result != sprintv1.ResultCredited {
		t.Fatalf("epoch %d: the newcomer is %v (%s)", joined, o.Result, o.Reason)
	}
	if o.PowerBefore != 0 || o.PowerAfter == 0 {
		t.Errorf("epoch %d: power %d before and %d after its first finalised epoch", joined,
			o.PowerBefore, o.PowerAfter)
	}
	res, err := creditv1.NewQueryClient(conn).Holding(n.ctx,
		&creditv1.QueryHoldingRequest{Participant: p5.Address})
	if err != nil || res.Holding.Power != o.PowerAfter {
		t.Errorf("holding %+v, %v; want power %d", res, err, o.PowerAfter)
	}
	// it signs blocks and votes in the epoch after
	if o := n.outcomes(joined + 1)[p5.Address]; o.Result != sprintv1.ResultCredited {
		t.Errorf("epoch %d: %v (%s)", joined+1, o.Result, o.Reason)
	}
}

// The README's first command, with ASSAY_LONG=1: the cheat is caught, the printed evidence proves
// it, before and after the network was stopped, and the printed command goes on.
func TestTheREADMELocalnet(t *testing.T) {
	if os.Getenv("ASSAY_LONG") == "" {
		t.Skip("ASSAY_LONG=1 runs a whole local network of ordinary length (5 minutes)")
	}
	const limit = 20 * time.Minute
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit,
		fmt.Errorf("it took more than %s", limit))
	t.Cleanup(cancel)
	r := newReader(t, ctx, programsFolder(t), toRun(t, onHost), common())
	network := r.open("localnet", "exec "+r.text("go run ./cmd/assay localnet"))
	// A program in the temporary folder takes itself for one of go run, and prints commands of it.
	printed := func(line string) string {
		return strings.Replace(network.said(regexp.MustCompile(line))[1],
			"go run ./cmd/assay", "assay", 1)
	}
	resume := printed(`resume +(.*)`)
	for _, want := range []string{`chain +assay-localnet-\w+`,
		`join +.*--genesis \S+ --peers \S+@\S+`, `epoch 1 finalised`, `\(forge\).*fraud`} {
		network.said(regexp.MustCompile(want))
	}
	evidence := printed(`evidence: +(.*)`)
	r.must(evidence)
	network.close(syscall.SIGINT)
	if network.err != nil {
		t.Errorf("Ctrl-C: %v\n%s", network.err, localnet.Tail(network.log, 5))
	}
	r.must(evidence)
	if said := r.must(resume + " --epochs 1"); !strings.Contains(said, "done: 1 epoch") {
		t.Errorf("resumed: %s", said)
	}
}
