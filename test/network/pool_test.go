// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cosmossdk.io/math"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/adversary"
	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/localnet"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/worker"
)

// stranger is a machine that registers with a member's host and works for it.
type stranger struct {
	key  ed25519.PrivateKey
	home string
	node string
}

// stranger makes a machine known to member i's pool, over HTTP as any program could.
func (n *net) stranger(i int, payout string) stranger {
	n.t.Helper()
	s := stranger{home: filepath.Join(n.t.TempDir(), "stranger")}
	var err error
	if s.key, err = worker.Key(s.home); err != nil {
		n.t.Fatal(err)
	}
	s.node = "m-" + hex.EncodeToString(s.key.Public().(ed25519.PublicKey))[:12]
	address, err := link.ParseAddress(n.url(i))
	if err != nil {
		n.t.Fatal(err)
	}
	tls, err := link.ClientTLS(s.key, address.Fingerprint)
	if err != nil {
		n.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tls}}
	defer client.CloseIdleConnections()
	post := func(path string, question, answer any) error {
		raw, err := json.Marshal(question)
		if err != nil {
			return err
		}
		res, err := client.Post("https://"+address.HostPort+path, "application/json", bytes.NewReader(raw))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		return json.NewDecoder(res.Body).Decode(answer)
	}
	key := mpoc.KeyOf(s.key)
	var nonce mpocv1.NonceAnswer
	if err := localnet.Until(n.ctx, "the host's nonce", func() (bool, error) {
		err := post(mpocv1.PathNonce, mpocv1.NonceRequest{DeviceKey: key}, &nonce)
		return err == nil, err
	}); err != nil {
		n.t.Fatal(err)
	}
	r := mpoc.Registration{Chain: nonce.Chain, HostKey: nonce.HostKey, DeviceKey: key, Nonce: nonce.Nonce, Agent: "test", Engine: "cpu",
		Devices: []mpoc.Claimed{{ID: "cpu-0", Engine: "cpu"}}, RateOps: 1_000_000_000, Payout: payout}
	var answer mpocv1.RegisterAnswer
	if err := post(mpocv1.PathDevices, mpocv1.RegisterRequest{Registration: r, Signature: r.Sign(s.key)}, &answer); err != nil || answer.DeviceKey != key {
		n.t.Fatalf("registering: %+v, %v", answer, err)
	}
	return s
}

func (n *net) url(i int) string { return n.assay("host", "url", "--home", n.Members[i].Home) }

// account is a stranger's standing with member i, as `assay host pool` shows it.
func (n *net) account(i int, s stranger) host.Account {
	n.t.Helper()
	var all []host.Account
	if err := json.Unmarshal([]byte(n.assay("host", "pool", "--json", "--home", n.Members[i].Home)), &all); err != nil {
		n.t.Fatal(err)
	}
	for _, a := range all {
		if bytes.Equal(a.Device[:], s.key.Public().(ed25519.PublicKey)) {
			return a
		}
	}
	n.t.Fatalf("member %d has no account of the machine", i)
	return host.Account{}
}

func (n *net) balance(address string) math.Int {
	n.t.Helper()
	conn, err := n.Conn(0)
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := banktypes.NewQueryClient(conn).Balance(n.ctx, &banktypes.QueryBalanceRequest{Address: address, Denom: app.Denom})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Balance.Amount
}

// Two strangers work for honest hosts. The one that forges costs its host its own leaves and nothing else; the honest
// one is credited for its leaves, and paid on chain.
func TestStrangersWorkForHonestHosts(t *testing.T) {
	n := start(t, localnet.Options{Cheat: adversary.None, Participants: 3, Pool: true})
	victim, pays := n.Members[2], n.Members[0]
	payout := n.Members[1].Address
	before := n.balance(payout)

	forger, honest := n.stranger(2, ""), n.stranger(0, payout)
	cheat := strings.Join([]string{adversary.Forge, n.Chain, victim.Address, forger.node, pays.Address, localnet.NodeID}, ":")
	n.spawn(filepath.Join(forger.home, "worker.log"), "worker", "--cheat", cheat, "start", "--host", n.url(2), "--home", forger.home, "--nice", "19", "--threads", "1")
	n.spawn(filepath.Join(honest.home, "worker.log"), "worker", "start", "--host", n.url(0), "--home", honest.home, "--nice", "19", "--threads", "1")

	q, err := n.Sprint(0)
	if err != nil {
		t.Fatal(err)
	}
	for epoch := uint64(1); epoch <= 2; epoch++ {
		n.credited(epoch, 0)
		n.credited(epoch, 2)
	}
	o := n.outcomes(2)[victim.Address]
	if o.Mismatches != 0 || len(o.Condemned) != 0 {
		t.Errorf("the forger's host: %+v", o)
	}
	members, err := q.Members(n.ctx, &sprintv1.QueryMembersRequest{Epoch: 2})
	if err != nil {
		t.Fatal(err)
	}
	commits, err := q.Commits(n.ctx, &sprintv1.QueryCommitsRequest{Epoch: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		member    *localnet.Member
		s         stranger
		committed bool
	}{{victim, forger, false}, {pays, honest, true}} {
		if !slices.ContainsFunc(members.Members, func(m sprintv1.Member) bool {
			return m.Participant == c.member.Address && slices.Contains(m.Nodes, c.s.node)
		}) {
			t.Fatalf("node %s of %s is not on chain in epoch 2", c.s.node, c.member.Name)
		}
		if got := slices.ContainsFunc(commits.Commits, func(m sprintv1.Commit) bool { return m.Participant == c.member.Address && m.Node == c.s.node }); got != c.committed {
			t.Errorf("a log of node %s of %s committed: %v", c.s.node, c.member.Name, got)
		}
	}
	if a := n.account(2, forger); a.Strikes == 0 || a.Ops != 0 || !strings.Contains(a.Reason, "epoch 2") {
		t.Errorf("the forger's account: %+v", a)
	}
	if path := filepath.Join(victim.Home, host.EvidenceName, host.LeftOutFile(leaflog.Key{Epoch: 2, Node: forger.node, Segment: 1})); !exists(path) {
		t.Errorf("no %s", path)
	}

	if err := localnet.Until(n.ctx, "a payment", func() (bool, error) {
		a := n.account(0, honest)
		return !a.Settled.IsZero(), nil
	}); err != nil {
		t.Fatalf("%v; the account: %+v", err, n.account(0, honest))
	}
	a := n.account(0, honest)
	if got := n.balance(payout).Sub(before); got.String() != a.Settled.String() {
		t.Errorf("the payout address has received %sacpc, the ledger says %s", got, a.Settled)
	}
}
