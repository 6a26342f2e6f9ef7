// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/logaudit"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

var hostKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{99}, 32))

// newHost is a host in pool mode that does not run.
func newHost(t *testing.T, home string) *Host {
	t.Helper()
	h := &Host{config: config(), o: Options{Home: home, HostKey: hostKey, Logger: slog.New(slog.DiscardHandler)}, judge: work.NewJudge(nil), bindings: map[string]registryv1.Node{}}
	h.log = h.o.Logger
	h.config.Pool.Enabled, h.config.Pool.BanAfter, h.config.Pool.MaxNodes = true, 2, 2
	if err := os.MkdirAll(filepath.Join(home, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.audits = logaudit.New(nil, h.leftOut)
	var err error
	if h.guests, err = openGuests(h.config, h.o, settle.Node{}); err != nil {
		t.Fatal(err)
	}
	if h.leaves, err = leaflog.Open(filepath.Join(home, leavesName)); err != nil {
		t.Fatal(err)
	}
	encoding, err := submit.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	keys := keyring.NewInMemory(encoding.Codec)
	if _, _, err := keys.NewMnemonic("hot", keyring.English, hd.CreateHDPath(sdk.CoinType, 0, 0).String(), keyring.DefaultBIP39Passphrase, hd.Secp256k1); err != nil {
		t.Fatal(err)
	}
	if h.queue, err = submit.New(submit.Config{Encoding: encoding, Keys: keys, Key: "hot", Participant: h.config.Participant, Chain: h.config.Chain}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

func (h *Host) close() {
	_ = h.guests.close()
	_ = h.leaves.Close()
}

// register makes a machine known to the pool; since is when.
func (h *Host) register(t *testing.T, key ledger.Device, since int64) {
	t.Helper()
	if _, err := h.guests.ledger.Register(key, "cpc1payout", time.UnixMilli(since)); err != nil {
		t.Fatal(err)
	}
}

func (h *Host) account(t *testing.T, key ledger.Device) ledger.Account {
	t.Helper()
	a, err := h.guests.ledger.Account(key)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func device(begin ...byte) (d ledger.Device) {
	copy(d[:], begin)
	d[31] = 1
	return d
}

// Registered strangers are nodes as far as there is room, under an id that is theirs for good; a banned one is none.
func TestRegisteredStrangersAreNodes(t *testing.T) {
	h := newHost(t, t.TempDir())
	admit := func(key ledger.Device) string {
		node, ok := h.allow(key[:])
		if !ok {
			return ""
		}
		return node
	}
	a, b, c := device(1, 2, 3, 4, 5, 6, 1), device(9), device(10)
	twin, named := device(1, 2, 3, 4, 5, 6, 0), device(0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa)
	if got := admit(a); got != "" {
		t.Errorf("an unknown key is node %s", got)
	}
	for i, key := range []ledger.Device{a, b, c, twin, named} {
		h.register(t, key, int64(i+1))
	}
	h.config.Workers["m-aaaaaaaaaaaa"] = "cd"
	for _, step := range []struct {
		what string
		key  ledger.Device
		want string
	}{
		{"first", a, "m-010203040506"},
		{"again", a, "m-010203040506"},
		{"a later key with the same digits", twin, ""},
		{"the id is a machine's of the owner", named, ""},
		{"second", b, "m-090000000000"},
		{"there is room for two", c, ""},
	} {
		if got := admit(step.key); got != step.want {
			t.Errorf("%s: node %q, want %q", step.what, got, step.want)
		}
	}
	if !h.trusted("w1") || h.trusted("m-090000000000") {
		t.Error("only the owner's machines are trusted")
	}
	if _, err := h.guests.ledger.Forfeit(b, ledger.Loops, "one", "forged", true, time.UnixMilli(9)); err != nil {
		t.Fatal(err)
	}
	if got := admit(b); got == "" {
		t.Error("one strike of two bans")
	}
	if _, err := h.guests.ledger.Forfeit(b, ledger.Loops, "two", "forged", true, time.UnixMilli(9)); err != nil {
		t.Fatal(err)
	}
	if got := admit(b); got != "" {
		t.Error("a banned machine is a node")
	}
	if got := admit(c); got != "m-0a0000000000" {
		t.Errorf("the banned one's place: %q", got)
	}
	for node, want := range map[string]bool{"m-090000000000": false, "m-0a0000000000": true, "m-ffffffffffff": false, "w7": true} {
		if stays, err := h.guests.stays(node, false); err != nil || stays != want {
			t.Errorf("%s stays on chain: %v, %v", node, stays, err)
		}
	}
	// who left makes room at the next epoch
	h.guests.vacate(1, map[string]bool{"m-0a0000000000": true})
	if stays, err := h.guests.stays("m-010203040506", true); err != nil || stays {
		t.Errorf("a node without a place stays where there is no room: %v, %v", stays, err)
	}
	h.register(t, device(11), 9)
	if got := admit(device(11)); got == "" {
		t.Error("a place that was left is not free")
	}
	h.config.Pool.Admit = false
	h.guests.config.Admit = false
	if got := admit(a); got != "" {
		t.Error("strangers are admitted although host.toml forbids it")
	}
}

// forge makes a log of count leaves, forged or not.
func (h *Host) forge(t *testing.T, model transformer.Model, node string, count int, forged bool) {
	t.Helper()
	log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: node, Segment: 1}, transformer.Nano.ID)
	if err != nil {
		t.Fatal(err)
	}
	records := make([]leaflog.Record, count)
	for i := range records {
		var out [1]transformer.Output
		if err := model.Run(out[:], seed.Node(h.config.Chain, h.config.Participant, node, "nano"), seed.Seed{3}, []uint64{uint64(i)}); err != nil {
			t.Fatal(err)
		}
		records[i] = leaflog.Record{Norm: out[0].Norm, Digest: out[0].Digest}
		if forged {
			records[i].Digest[0] ^= 1
		}
	}
	if err := log.Append(0, records); err != nil {
		t.Fatal(err)
	}
}

// A forging worker costs an honest host its leaves and nothing else: the log is not committed, the other's is; the
// machine loses what was locked and gets a strike; it stays so after a restart.
func TestAForgedLogIsNotCommitted(t *testing.T) {
	home := t.TempDir()
	h := newHost(t, home)
	model := reference(t)
	cheat := device(1)
	h.register(t, cheat, 1)
	if _, err := h.guests.ledger.Credit(ledger.Entry{Device: cheat, Kind: ledger.Loops, Source: "challenge", Ops: 1, Pay: digits("500"), At: 1}); err != nil {
		t.Fatal(err)
	}
	forger := nodeOfKey(cheat)
	h.forge(t, model, "w1", 20, false)
	h.forge(t, model, forger, 20, true)
	now := sprintv1.QueryCurrentResponse{Height: 10, Epoch: sprintv1.Epoch{Number: 1, Seed1: make([]byte, 32), Params: sprintv1.Params{Samples: 16},
		Segments: []sprintv1.Segment{{Index: 1, Start: 1, End: 10, CommitUntil: 20, Seed: make([]byte, 32)}}}}
	now.Epoch.Seed1[0], now.Epoch.Segments[0].Seed[0] = 1, 3
	me := &sprintv1.Member{Nodes: []string{"w1", forger}}
	h.auditUntil(t, now, me, forger)
	a := h.account(t, cheat)
	if a.Strikes != 1 || !a.Locked.IsZero() || a.Forfeited.Cmp(digits("500")) != 0 || a.Reason == "" {
		t.Errorf("the forger's account: %+v", a)
	}
	raw, err := os.ReadFile(filepath.Join(home, EvidenceName, LeftOutFile(leaflog.Key{Epoch: 1, Node: forger, Segment: 1})))
	if err != nil {
		t.Fatal(err)
	}
	var f LeftOut
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if f.Key != cheat.String() || f.Version != leftOutVersion || f.First.Got == f.First.Want || len(f.Path) == 0 || !f.Fraud() {
		t.Errorf("on file: %s", raw)
	}
	h.close()
	again := newHost(t, home)
	if _, err := again.audited(now, transformer.Nano, now.Epoch.Segments[0], again.logOf(t, forger), 20); err != nil {
		t.Fatal(err)
	}
	if r := again.audits.Results(); len(r) != 1 || r[0].State != logaudit.Out || !r[0].Fraud() {
		t.Errorf("after a restart: %+v", r)
	}
	again.auditUntil(t, now, me, forger)
	if a := again.account(t, cheat); a.Strikes != 1 {
		t.Errorf("%d strikes for one log", a.Strikes)
	}
}

func (h *Host) logOf(t *testing.T, node string) *leaflog.Log {
	t.Helper()
	log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: node, Segment: 1}, transformer.Nano.ID)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// auditUntil has the host commit what is fit, until w1's log is wanted on chain and the forger's is out for good.
func (h *Host) auditUntil(t *testing.T, now sprintv1.QueryCurrentResponse, me *sprintv1.Member, forger string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan error, 1)
	go func() { done <- h.audits.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := h.commit(ctx, now, transformer.Nano, me); err != nil {
			t.Fatal(err)
		}
		waiting, _ := h.queue.Status()
		if slices.Contains(waiting, "commit/1/"+forger+"/1") {
			t.Fatal("a forged log is to be committed")
		}
		out := slices.ContainsFunc(h.audits.Results(), func(r logaudit.Result) bool { return r.Node == forger && r.Fraud() })
		if out && slices.Contains(waiting, "commit/1/w1/1") {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waiting: %v; audits: %+v", waiting, h.audits.Results())
		}
	}
}

// At the end of the time the owner's log is committed, however little was looked at; a stranger's of which nothing was
// seen is not.
func TestUnauditedLogs(t *testing.T) {
	h := newHost(t, t.TempDir())
	key := device(1)
	h.register(t, key, 1)
	model := reference(t)
	h.forge(t, model, "w1", 5, false)
	h.forge(t, model, nodeOfKey(key), 5, false)
	now := sprintv1.QueryCurrentResponse{Height: 12, Epoch: sprintv1.Epoch{Number: 1, Seed1: make([]byte, 32), Params: sprintv1.Params{Samples: 16}}}
	s := sprintv1.Segment{Index: 1, End: 10, CommitUntil: 13, Seed: make([]byte, 32)}
	for node, want := range map[string]bool{"w1": true, nodeOfKey(key): false} {
		if fit, err := h.audited(now, transformer.Nano, s, h.logOf(t, node), 5); err != nil || fit != want {
			t.Errorf("%s: %v, %v; want %v", node, fit, err, want)
		}
	}
	h.o.Tamper = &Tamper{Unaudited: true}
	if fit, err := h.audited(now, transformer.Nano, s, h.logOf(t, nodeOfKey(key)), 5); err != nil || !fit {
		t.Errorf("an adversary that looks away: %v, %v", fit, err)
	}
}

// finals is a chain that has finalised epochs.
type finals struct {
	sprintv1.QueryClient
	outcomes map[uint64]sprintv1.Outcome
	commits  []sprintv1.Commit
	asked    []uint64
}

func (f *finals) Epoch(_ context.Context, q *sprintv1.QueryEpochRequest, _ ...grpc.CallOption) (*sprintv1.QueryEpochResponse, error) {
	f.asked = append(f.asked, q.Number)
	return &sprintv1.QueryEpochResponse{Epoch: sprintv1.Epoch{Number: q.Number, Params: sprintv1.Params{Class: "nano"}}}, nil
}

func (f *finals) Outcomes(_ context.Context, q *sprintv1.QueryOutcomesRequest, _ ...grpc.CallOption) (*sprintv1.QueryOutcomesResponse, error) {
	return &sprintv1.QueryOutcomesResponse{Outcomes: []sprintv1.Outcome{{Participant: "cpc1other", Credited: 7}, f.outcomes[q.Epoch]}}, nil
}

func (f *finals) Commits(context.Context, *sprintv1.QueryCommitsRequest, ...grpc.CallOption) (*sprintv1.QueryCommitsResponse, error) {
	return &sprintv1.QueryCommitsResponse{Commits: f.commits}, nil
}

// The machines' shares of what the chain credited are entered once, also for epochs that ended while the host was down.
func TestLeavesAreCreditedOnce(t *testing.T) {
	home := t.TempDir()
	h := newHost(t, home)
	good, cheat, own := device(1), device(2), ledger.Device(bytes.Repeat([]byte{0xab}, 32)) // w1's, see config
	for i, key := range []ledger.Device{good, cheat, own} {
		h.register(t, key, int64(i))
	}
	a, b := nodeOfKey(good), nodeOfKey(cheat)
	chain := &finals{outcomes: map[uint64]sprintv1.Outcome{
		1: {Participant: h.config.Participant, Credited: 1000},                             // no longer on chain
		4: {Participant: h.config.Participant, Credited: 90},                               // of 30 + 70 + 60 + 40 = 200
		5: {Participant: h.config.Participant, Credited: 100, Condemned: []string{b}},      // of 160
		6: {Participant: h.config.Participant, Result: sprintv1.ResultRejected},            // nothing
		7: {Participant: h.config.Participant, Credited: 5000},                             // undecided: more than was committed
		8: {Participant: h.config.Participant, Credited: 200, Result: sprintv1.ResultVoid}, // still running
	}, commits: []sprintv1.Commit{{Node: a, Segment: 1, Count: 30}, {Node: a, Segment: 2, Count: 70}, {Node: "w1", Segment: 1, Count: 60}, {Node: b, Segment: 1, Count: 10},
		{Node: b, Segment: 2, Count: 30}}}
	h.sprint = chain
	current := sprintv1.Epoch{Number: 8, Phase: sprintv1.PhaseCompute, Params: sprintv1.Params{KeepEpochs: 4}}
	check := func(what string) {
		t.Helper()
		ops := transformer.Nano.Ops()
		for key, want := range map[ledger.Device]uint64{
			good:  (30*90/200 + 70*90/200 + 30*100/160 + 70*100/160 + 100) * ops,
			own:   (60*90/200 + 60*100/160 + 60) * ops,
			cheat: (10*90/200 + 30*90/200 + 40) * ops,
		} {
			if a := h.account(t, key); a.Ops != want {
				t.Errorf("%s: %s has %d units, want %d", what, key, a.Ops/ops, want/ops)
			}
		}
		if a := h.account(t, cheat); a.Strikes != 1 {
			t.Errorf("%s: %d strikes for an epoch in which the chain condemned the node", what, a.Strikes)
		}
		if err := h.guests.ledger.Check(); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := h.creditLeaves(t.Context(), current); err != nil {
			t.Fatal(err)
		}
		check("running")
	}
	if diff := cmp.Diff([]uint64{4, 5, 6, 7}, chain.asked); diff != "" {
		t.Errorf("epochs asked for (-want +got):\n%s", diff)
	}
	h.close()
	h = newHost(t, home)
	h.sprint = chain
	if err := h.creditLeaves(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	check("restarted")
	e, found, err := h.guests.ledger.Entry(good, ledger.Leaves, "epoch/4/segment/2")
	if want := ledger.Pay(31*transformer.Nano.Ops(), h.config.Pool.PayPerTebiop); err != nil || !found || e.Pay.Cmp(want) != 0 {
		t.Errorf("epoch 4, segment 2: %+v, %v; want %s", e, err, want)
	}
}

// One URL serves workers and M-PoC: a stranger reaches the pool's status there.
func TestAStrangerReachesThePool(t *testing.T) {
	h := newHost(t, t.TempDir())
	var err error
	h.fleet, err = fleet.New(fleet.Config{HostKey: hostKey, Listen: "127.0.0.1:0", Chain: h.config.Chain, Participant: h.config.Participant,
		Allow: h.allow, Trusted: h.trusted, Guests: h.guests.handler(), Logs: h.leaves})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.fleet.Run(ctx) }()
	address, err := link.ParseAddress(h.fleet.URL())
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := link.ClientTLS(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), address.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: stranger}}
	defer client.CloseIdleConnections()
	get := func(path string) (int, []byte) {
		res, err := client.Get("https://" + address.HostPort + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var body bytes.Buffer
		if _, err := body.ReadFrom(res.Body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body.Bytes()
	}
	code, body := get(mpocv1.PathStatus)
	var s mpocv1.Status
	if err := json.Unmarshal(body, &s); err != nil || code != http.StatusOK || s.Chain != h.config.Chain || s.Policy.BanAfter != 2 {
		t.Errorf("%d %s, %v", code, body, err)
	}
	if code, body := get("/status"); code != http.StatusNotFound {
		t.Errorf("the owner's status is answered to a stranger: %d %s", code, body)
	}
	socket, err := link.Dial(t.Context(), address, mpocv1.PathSocket, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), link.Limits{Message: 1 << 20, Write: time.Minute, Ping: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Abort()
	if err := socket.Send(t.Context(), []byte(`{"type":"status","id":7,"body":{}}`)); err != nil {
		t.Fatal(err)
	}
	if raw, err := socket.Receive(t.Context()); err != nil || !bytes.Contains(raw, []byte(`"id":7`)) || !bytes.Contains(raw, []byte(h.config.Chain)) {
		t.Errorf("over the socket: %s, %v", raw, err)
	}
	cancel() // which ends the socket too
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// The status server lists accounts page by page, and gives Prometheus the figures of the status document.
func TestTheOwnerSeesThePool(t *testing.T) {
	h := newHost(t, t.TempDir())
	var err error
	if h.fleet, err = fleet.New(fleet.Config{HostKey: hostKey, Listen: "127.0.0.1:0", Chain: h.config.Chain, Participant: h.config.Participant, Allow: h.allow, Logs: h.leaves}); err != nil {
		t.Fatal(err)
	}
	const machines = accountsPage + 3
	for i := range machines {
		h.register(t, device(byte(i>>8), byte(i), 1), 1)
	}
	named := device(0, 4, 1)
	if node, ok := h.allow(named[:]); !ok || node != "m-000401000000" {
		t.Errorf("node %q", node)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serveStatus(ctx, l, h, h.log) }()
	get := func(path string) (int, []byte) {
		res, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body
	}
	var all []Account
	for path := "/pool"; path != ""; {
		_, body := get(path)
		var page Accounts
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Accounts...)
		if path = ""; page.Next != nil {
			path = "/pool?after=" + page.Next.String()
		}
	}
	if len(all) != machines || all[4].Node != "m-000401000000" || all[5].Node != "" || all[4].Estimated != "0" {
		t.Errorf("%d accounts, the fifth is %+v", len(all), all[4])
	}
	if code, _ := get("/pool?after=x"); code != http.StatusBadRequest {
		t.Errorf("a malformed page: %d", code)
	}
	_, figures := get("/metrics")
	for _, want := range []string{"assay_host_node_reachable 0", "assay_host_pool_accepted 0", "assay_host_payment_blocked 0", "assay_host_logs_out 0"} {
		if !bytes.Contains(figures, []byte("\n"+want+"\n")) {
			t.Errorf("no %q in:\n%s", want, figures)
		}
	}
	_, status := get("/status")
	var s Status
	if err := json.Unmarshal(status, &s); err != nil || s.Pool == nil || s.Settlement == nil || s.Settlement.Doing != "off" {
		t.Errorf("%s, %v", status, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
