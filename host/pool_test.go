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
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// poolHost is a host with a pool that does not run; closed by the test or at its end.
func poolHost(t *testing.T, home string) (h *Host, closeAll func()) {
	t.Helper()
	encoding, err := submit.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	keys := keyring.NewInMemory(encoding.Codec)
	if _, _, err := keys.NewMnemonic("hot", keyring.English, hd.CreateHDPath(sdk.CoinType, 0, 0).String(), keyring.DefaultBIP39Passphrase, hd.Secp256k1); err != nil {
		t.Fatal(err)
	}
	h = &Host{config: config(), log: slog.New(slog.DiscardHandler), judge: work.NewJudge(nil), own: auditor{judge: work.NewJudge(nil)}, strangers: auditor{judge: work.NewJudge(nil)},
		admitted: map[string]string{}, places: map[string]bool{}, logs: map[leaflog.Key]*logAudit{}, paid: map[uint64]bool{}, bindings: map[string]registryv1.Node{}}
	h.o = Options{Home: home, HostKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{99}, 32)), Keys: keys, Logger: h.log}
	p := DefaultPool()
	p.Enabled, p.BanAfter, p.MaxNodes = true, 2, 2
	h.config.Pool = &p
	_, closePool, err := h.openPool(encoding)
	if err != nil {
		t.Fatal(err)
	}
	if h.leaves, err = leaflog.Open(filepath.Join(home, leavesName)); err != nil {
		t.Fatal(err)
	}
	if h.queue, err = submit.New(submit.Config{Encoding: encoding, Keys: keys, Key: "hot", Participant: h.config.Participant, Chain: h.config.Chain}); err != nil {
		t.Fatal(err)
	}
	if h.fleet, err = fleet.New(fleet.Config{HostKey: h.o.HostKey, Listen: "127.0.0.1:0", Chain: h.config.Chain, Participant: h.config.Participant, Allow: h.allow, Logs: h.leaves}); err != nil {
		t.Fatal(err)
	}
	closed := false
	closeAll = func() {
		if !closed {
			closed = true
			closePool()
			_ = h.leaves.Close()
		}
	}
	t.Cleanup(closeAll)
	return h, closeAll
}

// prove makes a machine known to the pool, as one of which a proof was accepted.
func (h *Host) prove(t *testing.T, key ledger.Device) {
	t.Helper()
	if _, err := h.ledger.Register(key, "cpc1payout", time.UnixMilli(1)); err != nil {
		t.Fatal(err)
	}
	h.admit(mpoc.Key(key))
}

func (h *Host) standing(t *testing.T, key ledger.Device) ledger.Account {
	t.Helper()
	a, err := h.ledger.Account(key)
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

// Machines that proved themselves are nodes as far as there is room. Who was banned, or left, makes room for others.
func TestPlacesInTheSprint(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	allow := func(key ledger.Device) string {
		node, ok := h.allow(key[:])
		if !ok {
			return ""
		}
		return node
	}
	a, b, c, twin, named := device(1, 2, 3, 4, 5, 6, 7), device(9), device(10), device(1, 2, 3, 4, 5, 6, 8), device(0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa)
	if got := allow(a); got != "" {
		t.Errorf("an unknown key is node %s", got)
	}
	h.config.Workers["m-aaaaaaaaaaaa"] = "cd"
	for _, key := range []ledger.Device{a, b, c, twin, named} {
		h.prove(t, key)
	}
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
		if got := allow(step.key); got != step.want {
			t.Errorf("%s: node %q, want %q", step.what, got, step.want)
		}
	}
	for range 2 {
		for i := range uint64(2) {
			h.strike(leaflog.Key{Epoch: i + 1, Node: "m-090000000000"}, "forged")
		}
	}
	if got := allow(b); got != "" || h.standing(t, b).Strikes != 2 {
		t.Errorf("a machine with %d strikes is node %q", h.standing(t, b).Strikes, got)
	}
	if got := allow(c); got != "m-0a0000000000" {
		t.Errorf("the banned one's place: %q", got)
	}
	for node, want := range map[string]bool{"m-090000000000": true, "m-0a0000000000": false, "m-ffffffffffff": true, "m-aaaaaaaaaaaa": false, "w7": false} {
		if h.gone(node, false) != want {
			t.Errorf("%s gone: %v", node, !want)
		}
	}
	h.vacate(map[string]bool{"m-0a0000000000": true})
	if h.gone("m-010203040506", false) || !h.gone("m-010203040506", true) {
		t.Error("a machine that left stays on chain as long as there is room, and no longer")
	}
	d := device(11)
	h.prove(t, d)
	if got := allow(d); got == "" {
		t.Error("the place of a machine that left is not free")
	}
	if got := allow(a); got != "" {
		t.Error("a third machine is admitted to two places")
	}
	if m, ok := h.machine("m-010203040506"); !ok || m != a {
		t.Error("a machine without a place has lost its account")
	}
}

// A stranger may take its time to no end: this host is ready without it, unless it has no other machines.
func TestStrangersDoNotHoldUpReadiness(t *testing.T) {
	stranger := func(node string) bool { return node[0] == 'm' }
	all := []fleet.WorkerStatus{{Node: "m-1", Connected: true}, {Node: "w1"}, {Node: "w2", Connected: true}, {Node: "m-2"}}
	nodes := func(all []fleet.WorkerStatus) (list []string) {
		for node := range counted(all, stranger) {
			list = append(list, node)
		}
		slices.Sort(list)
		return list
	}
	if diff := cmp.Diff([]string{"w2"}, nodes(all)); diff != "" {
		t.Error(diff)
	}
	all[2].Connected = false
	if diff := cmp.Diff([]string{"m-1"}, nodes(all)); diff != "" {
		t.Error(diff)
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

// A forging machine costs an honest host its leaves and nothing else: its log is not committed, the other's is. It is
// put on file, and stays out after a restart, when other leaves would be drawn.
func TestAForgedLogStaysOut(t *testing.T) {
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	model := reference(t)
	cheat := device(1)
	h.prove(t, cheat)
	forger := nodeName(mpoc.Key(cheat))
	h.forge(t, model, "w1", 20, false)
	h.forge(t, model, forger, 20, true)
	now := sprintv1.QueryCurrentResponse{Height: 10, Epoch: sprintv1.Epoch{Number: 1, Seed1: make([]byte, 32), Params: sprintv1.Params{Samples: 16},
		Segments: []sprintv1.Segment{{Index: 1, Start: 1, End: 10, CommitUntil: 20, Seed: make([]byte, 32)}}}}
	now.Epoch.Seed1[0], now.Epoch.Segments[0].Seed[0] = 1, 3
	me := &sprintv1.Member{Nodes: []string{"w1", forger}}
	commit := func(h *Host) (waiting []string) {
		g := new(errgroup.Group)
		for range 2 { // the audits begin; they are over
			if err := h.commit(t.Context(), g, now, transformer.Nano, me); err != nil {
				t.Fatal(err)
			}
			_ = g.Wait()
		}
		if err := h.commit(t.Context(), g, now, transformer.Nano, me); err != nil {
			t.Fatal(err)
		}
		waiting, _ = h.queue.Status()
		return waiting
	}
	if diff := cmp.Diff([]string{"commit/1/w1/1"}, commit(h)); diff != "" {
		t.Errorf("to be committed (-want +got):\n%s", diff)
	}
	if a := h.standing(t, cheat); a.Strikes != 1 {
		t.Errorf("the forger's account: %+v", a)
	}
	raw, err := os.ReadFile(filepath.Join(home, EvidenceName, LeftOutName(leaflog.Key{Epoch: 1, Node: forger, Segment: 1})))
	if err != nil {
		t.Fatal(err)
	}
	var f LeftOutFile
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if f.Key != cheat.String() || f.Version != leftOutVersion || f.Got == f.Want || len(f.Path) == 0 || f.Count != 20 {
		t.Errorf("on file: %s", raw)
	}
	// the same log, as it would look to a draw that misses what is wrong
	closeAll()
	if err := os.RemoveAll(filepath.Join(home, leavesName)); err != nil {
		t.Fatal(err)
	}
	again, _ := poolHost(t, home)
	again.prove(t, cheat)
	again.forge(t, model, "w1", 20, false)
	again.forge(t, model, forger, 20, false)
	if diff := cmp.Diff([]string{"commit/1/w1/1"}, commit(again)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	if l := again.board.get().LeftOut; len(l) != 1 || l[0] != f.LeftOut {
		t.Errorf("the status after a restart: %+v", l)
	}
	if a := again.standing(t, cheat); a.Strikes != 1 {
		t.Errorf("%d strikes for one log", a.Strikes)
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

// Leaves are credited once, also for epochs that ended while the host was down; a machine whose node the chain
// condemned has a strike instead. What was left undecided counts as credited.
func TestLeavesAreCreditedOnce(t *testing.T) {
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	good, cheat, own := device(1), device(2), ledger.Device(bytes.Repeat([]byte{0xab}, 32)) // w1's, see config
	for _, key := range []ledger.Device{good, cheat, own} {
		h.prove(t, key)
	}
	a, b := nodeName(mpoc.Key(good)), nodeName(mpoc.Key(cheat))
	chain := &finals{outcomes: map[uint64]sprintv1.Outcome{
		1: {Participant: h.config.Participant, Result: sprintv1.ResultCredited, Credited: 1000}, // no longer on chain
		4: {Participant: h.config.Participant, Result: sprintv1.ResultCredited, Credited: 100, Bound: 1 << 63},
		5: {Participant: h.config.Participant, Result: sprintv1.ResultCredited, Credited: 80, Bound: 1 << 63, Condemned: []string{b}},
		6: {Participant: h.config.Participant, Result: sprintv1.ResultRejected, Credited: 100},
		7: {Participant: h.config.Participant, Result: sprintv1.ResultUndecided, Credited: 10, Bound: 1 << 63},
		8: {Participant: h.config.Participant, Result: sprintv1.ResultUndecidedAgain, Bound: 1 << 63},
	}, commits: []sprintv1.Commit{{Node: a, Segment: 1, Count: 30}, {Node: a, Segment: 2, Count: 70}, {Node: "w1", Segment: 1, Count: 60}, {Node: b, Segment: 1, Count: 40}}}
	h.sprint = chain
	current := sprintv1.Epoch{Number: 8, Phase: sprintv1.PhaseFinalised, Params: sprintv1.Params{KeepEpochs: 4}}
	check := func(what string, h *Host) {
		t.Helper()
		ops := transformer.Nano.Ops()
		for key, want := range map[ledger.Device]uint64{good: 4 * (15 + 35) * ops, own: 4 * 30 * ops, cheat: 3 * 20 * ops} {
			if a := h.standing(t, key); a.Ops != want {
				t.Errorf("%s: %s has %d units, want %d", what, key, a.Ops/ops, want/ops)
			}
		}
		if s := h.standing(t, cheat).Strikes; s != 1 {
			t.Errorf("%s: %d strikes for an epoch in which the chain condemned the node", what, s)
		}
		if err := h.ledger.Check(); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := h.creditEpochs(t.Context(), current); err != nil {
			t.Fatal(err)
		}
		check("running", h)
	}
	if diff := cmp.Diff([]uint64{4, 5, 6, 7, 8}, chain.asked); diff != "" {
		t.Errorf("epochs asked for (-want +got):\n%s", diff)
	}
	closeAll()
	again, _ := poolHost(t, home)
	for _, key := range []ledger.Device{good, cheat, own} {
		again.prove(t, key)
	}
	again.sprint = chain
	if err := again.creditEpochs(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	check("restarted", again)
}

// The status server lists accounts page by page, and gives Prometheus the figures of the status document.
func TestTheOwnerSeesThePool(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	const machines = PoolPage + 3
	g := new(errgroup.Group) // they share flushes
	g.SetLimit(64)
	for i := range machines {
		g.Go(func() error {
			_, err := h.ledger.Register(device(byte(i>>8), byte(i), 1), "", time.UnixMilli(1))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.serveStatus(ctx, l) }()
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
	seen := map[ledger.Device]bool{}
	for path, n := "/pool", PoolPage; n == PoolPage; {
		var page []PoolAccount
		_, body := get(path)
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			seen[a.Device] = true
		}
		n = len(page)
		path = "/pool?after=" + page[n-1].Device.String()
	}
	if len(seen) != machines {
		t.Errorf("%d accounts, want %d", len(seen), machines)
	}
	if code, _ := get("/pool?after=x"); code != http.StatusBadRequest {
		t.Errorf("a malformed page: %d", code)
	}
	_, figures := get("/metrics")
	for _, want := range []string{"assay_host_node_reachable 0", "assay_host_pool_accepted 0", "assay_host_payment_blocked 0", "assay_host_logs_left_out 0"} {
		if !bytes.Contains(figures, []byte("\n"+want+"\n")) {
			t.Errorf("no %q in:\n%s", want, figures)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
