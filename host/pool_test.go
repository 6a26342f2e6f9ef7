// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/leaflog/leaflogtest"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/machines"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// poolHost is a host with a pool that does not run; closed by the test or at its end.
func poolHost(t *testing.T, home string) (h *Host, closeAll func()) {
	return poolHostAs(t, home, func(*Host) {})
}

// poolHostAs is poolHost with something changed before it opens.
func poolHostAs(t *testing.T, home string, edit func(*Host)) (h *Host, closeAll func()) {
	t.Helper()
	encoding, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	keys := keyring.NewInMemory(encoding.Codec)
	if _, _, err := keys.NewMnemonic("hot", keyring.English,
		hd.CreateHDPath(sdk.CoinType, 0, 0).String(), keyring.DefaultBIP39Passphrase,
		hd.Secp256k1); err != nil {
		t.Fatal(err)
	}
	h = newHost(config(), Options{Home: home,
		HostKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{99}, 32)), Keys: keys,
		Logger: slog.New(slog.DiscardHandler)})
	p := DefaultPool()
	p.Enabled, p.BanAfter, p.MaxNodes = true, 2, 2
	h.config.Pool = &p
	edit(h)
	h.machines = h.newMachines()
	h.pay = h.newPayroll()
	closePool, err := h.pay.open(encoding)
	if err != nil {
		t.Fatal(err)
	}
	if h.leaves, err = leaflog.Open(filepath.Join(home, leavesName)); err != nil {
		t.Fatal(err)
	}
	if h.queue, err = submit.New(submit.Config{Encoding: encoding, Keys: keys, Key: "hot",
		Participant: h.config.Participant, Chain: h.config.Chain}); err != nil {
		t.Fatal(err)
	}
	if h.fleet, err = fleet.New(fleet.Config{HostKey: h.o.HostKey, Listen: "127.0.0.1:0",
		Chain: h.config.Chain, Participant: h.config.Participant, Allow: h.machines.Allow,
		Logs: h.leaves}); err != nil {
		t.Fatal(err)
	}
	h.duties = h.newDuties()
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

// sees has the host see another chain.
func (h *Host) sees(chain sprintv1.QueryClient) {
	h.sprint, h.pay.sprint, h.pay.machines = chain, chain, h.machines
	rate, err := ledger.ParseAmount(h.config.pool().PayPerTebiop)
	if err != nil {
		panic(err)
	}
	h.pay.books = h.pay.newBooks(rate)
	h.duties = h.newDuties()
}

func reference(t *testing.T) transformer.Model {
	t.Helper()
	model, err := work.Reference().Transformer(context.Background(), transformer.Nano,
		seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// owns gives the host's owner other machines.
func (h *Host) owns(workers map[string]string) {
	h.config.Workers = workers
	h.machines = h.newMachines()
	h.sees(h.sprint)
}

// prove makes a machine known to the pool, as one of which a proof was accepted.
func (h *Host) prove(t *testing.T, key ledger.Device) {
	t.Helper()
	if _, err := h.pay.ledger.Register(key, "cpc1payout", time.UnixMilli(1)); err != nil {
		t.Fatal(err)
	}
	h.machines.Admit(signed.Key(key))
}

func (h *Host) standing(t *testing.T, key ledger.Device) ledger.Account {
	t.Helper()
	a, err := h.pay.ledger.Account(key)
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

// Machines that proved themselves are nodes as far as there is room. Who was banned, or left, makes
// room for others.
func TestPlacesInTheSprint(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	allow := func(key ledger.Device) string {
		node, ok := h.machines.Allow(key[:])
		if !ok {
			return ""
		}
		return node
	}
	a, b, c, twin, named := device(1, 2, 3, 4, 5, 6, 7), device(9), device(10),
		device(1, 2, 3, 4, 5, 6, 8), device(0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa)
	if got := allow(a); got != "" {
		t.Errorf("an unknown key is node %s", got)
	}
	h.owns(map[string]string{"m-aaaaaaaaaaaa": "cd"})
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
			h.pay.books.Strike(leaflog.Key{Epoch: i + 1, Node: "m-090000000000"}, "forged", false)
		}
	}
	if got := allow(b); got != "" || h.standing(t, b).Strikes != 2 {
		t.Errorf("a machine with %d strikes is node %q", h.standing(t, b).Strikes, got)
	}
	if got := allow(c); got != "m-0a0000000000" {
		t.Errorf("the banned one's place: %q", got)
	}
	for node, want := range map[string]bool{"m-090000000000": true, "m-0a0000000000": false,
		"m-ffffffffffff": true, "m-aaaaaaaaaaaa": false, "w7": false} {
		if h.machines.Gone(node, false) != want {
			t.Errorf("%s gone: %v", node, !want)
		}
	}
	h.machines.Vacate(map[string]bool{"m-0a0000000000": true})
	if h.machines.Gone("m-010203040506", false) || !h.machines.Gone("m-010203040506", true) {
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
	if m, ok := h.pay.books.Machine("m-010203040506"); !ok || m != a {
		t.Error("a machine without a place has lost its account")
	}
}

// A machine that was bound in the middle of an epoch is not told to compute what the chain would
// not take of it. It is told since when it takes part.
func TestAMachineThatComesLateWaitsForTheNextEpoch(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	h.prove(t, ledger.Device(machine.Public().(ed25519.PublicKey)))
	node, _ := h.machines.Allow(machine.Public().(ed25519.PublicKey))
	ctx, stop := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error { return h.fleet.Run(ctx) })
	defer func() {
		stop()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	}()
	e := sprintv1.Epoch{Number: 5, Phase: sprintv1.PhaseCompute, Seed1: bytes.Repeat([]byte{1}, 32),
		Segments: []sprintv1.Segment{{Index: 1, Seed: bytes.Repeat([]byte{2}, 32),
			End: 20, CommitUntil: 30}}}
	compute := func(nodes ...string) {
		t.Helper()
		me := &sprintv1.Member{Participant: h.config.Participant, Nodes: nodes}
		if err := h.duties.Compute(ctx, &g, sprintv1.QueryCurrentResponse{Height: 10, Epoch: e},
			transformer.Nano, me); err != nil {
			t.Fatal(err)
		}
	}
	compute()
	address, err := link.ParseAddress(h.fleet.URL())
	if err != nil {
		t.Fatal(err)
	}
	socket, err := link.Dial(ctx, address, workerv1.Path, machine,
		link.Limits{Message: workerv1.MaxMessage, Write: 5 * time.Second, Ping: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Abort()
	hello, err := workerv1.Encode(&workerv1.Envelope{
		Message: &workerv1.Envelope_Hello{Hello: &workerv1.Hello{
			Protocol: workerv1.Protocol, Agent: "test", Engine: "none", SelfTestOk: true,
			Key: machine.Public().(ed25519.PublicKey)}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Send(ctx, hello); err != nil {
		t.Fatal(err)
	}
	hear := func() *workerv1.Envelope {
		t.Helper()
		message, err := socket.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		heard, err := workerv1.FromHost(message)
		if err != nil {
			t.Fatal(err)
		}
		return heard
	}
	if w := hear().GetWelcome(); w.GetNode() != node || node == "" {
		t.Fatalf("welcomed as %v, want %q", w, node)
	}
	if m := hear().GetIdle(); !strings.HasPrefix(m.GetReason(), "takes part from epoch 6 on") ||
		m.GetUntil() != "epoch 6" {
		t.Errorf("a machine that came too late is told %v", m)
	}
	compute(node)
	// of the 2^32 that are free
	if m := hear().GetCompute(); m.GetEpoch() != 5 || m.GetSegment() != 1 || m.GetStop() != 1<<18 {
		t.Errorf("a machine of the epoch is told %v", m)
	}
}

// forge makes a log of 20 leaves that a machine signed, the first so many of them
// forged. The goal is that of the epoch in TestAForgedLogStaysOut.
func (h *Host) forge(t *testing.T, model transformer.Model, goal fleet.Goal, node string,
	machine ed25519.PrivateKey, forged int) {
	t.Helper()
	log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: node, Segment: 1}, transformer.Nano.ID)
	if err != nil {
		t.Fatal(err)
	}
	out, nonces := make([]transformer.Output, 20), make([]uint64, 20)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := model.Run(out, seed.Node(h.config.Chain, h.config.Participant, node, "nano"),
		seed.Seed{3}, nonces); err != nil {
		t.Fatal(err)
	}
	for i := range forged {
		out[i].Digest[0] ^= 1
	}
	leaflogtest.Deliver(t, log, goal.Order(h.o.HostKey, h.config.Chain, h.config.Participant, node,
		signed.KeyOf(machine)), machine, out)
}

// A forging machine costs an honest host its leaves and nothing else: its log is not committed, the
// other's is. It is put on file, and stays out after a restart. Who forged loses its locked pay, on
// evidence; a flipped bit is no fraud and costs the log alone; what cannot be shown takes no pay.
// Holds spec M-25.
func TestAForgedLogStaysOut(t *testing.T) {
	machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	for name, c := range map[string]struct {
		forged    int
		signer    ed25519.PrivateKey
		strikes   int
		forfeited bool
		claim     delivery.Claim
	}{
		"forged":                {20, machine, 1, true, delivery.Fraud},
		"a flipped bit":         {1, machine, 0, false, delivery.Faulty},
		"signed by another key": {20, other, 1, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			h, closeAll := poolHost(t, home)
			model := reference(t)
			pay, err := ledger.ParseAmount("1000")
			if err != nil {
				t.Fatal(err)
			}
			cheat := ledger.Device(signed.KeyOf(machine))
			h.prove(t, cheat)
			if _, err := h.pay.ledger.Credit(ledger.Entry{Device: cheat, Kind: ledger.Loops,
				Source: "challenge", Ops: 1, Pay: pay, At: 1}); err != nil {
				t.Fatal(err)
			}
			node := machines.Name(signed.Key(cheat))
			now := sprintv1.QueryCurrentResponse{Height: 10,
				Epoch: sprintv1.Epoch{Number: 1, Seed1: make([]byte, 32),
					Params: sprintv1.Params{Samples: 20},
					Segments: []sprintv1.Segment{{Index: 1, Start: 1, End: 10, CommitUntil: 20,
						Seed: make([]byte, 32)}}}}
			now.Epoch.Seed1[0], now.Epoch.Segments[0].Seed[0] = 1, 3
			goal := sprint.Computing(now.Epoch, transformer.Nano, now.Epoch.Segments[0])
			h.forge(t, model, goal, "w1", other, 0)
			h.forge(t, model, goal, node, c.signer, c.forged)
			nodes := []string{"w1", node}
			commit := func(h *Host) (waiting []string) {
				g := new(errgroup.Group)
				for range 2 { // the audits begin; they are over
					if err := h.duties.Commits.Commit(t.Context(), g, now, transformer.Nano,
						nodes, 1<<32); err != nil {
						t.Fatal(err)
					}
					_ = g.Wait()
				}
				if err := h.duties.Commits.Commit(t.Context(), g, now, transformer.Nano,
					nodes, 1<<32); err != nil {
					t.Fatal(err)
				}
				waiting, _ = h.queue.Status()
				return waiting
			}
			punished := func(h *Host) {
				t.Helper()
				a := h.standing(t, cheat)
				if a.Strikes != c.strikes || a.Forfeited.IsZero() == c.forfeited ||
					a.Locked.IsZero() != c.forfeited {
					t.Errorf("the machine's account: %+v", a)
				}
			}
			if diff := cmp.Diff([]string{"commit/1/w1/1"}, commit(h)); diff != "" {
				t.Errorf("to be committed (-want +got):\n%s", diff)
			}
			punished(h)
			raw, err := os.ReadFile(filepath.Join(home, EvidenceName,
				sprint.LeftOutName(leaflog.Key{Epoch: 1, Node: node, Segment: 1})))
			if err != nil {
				t.Fatal(err)
			}
			var f delivery.LeftOutFile
			if err := json.Unmarshal(raw, &f); err != nil {
				t.Fatal(err)
			}
			wrong := c.forged // where there is evidence the file says what it shows
			if f.Evidence != nil {
				wrong = len(f.Evidence.Wrong)
			}
			if f.Version != delivery.LeftOutVersion || f.Got == f.Want || f.Wrong != wrong ||
				(f.Evidence == nil) != (c.claim == "") || (f.Hidden == "") != (c.claim != "") {
				t.Errorf("on file: %s", raw)
			}
			if c.claim != "" {
				found, err := f.Evidence.Verify(t.Context(), work.NewJudge(nil))
				if err != nil || f.Evidence.Claim != c.claim {
					t.Errorf("evidence of %s: %v", f.Evidence.Claim, err)
				}
				if err := f.Holds(found); err != nil {
					t.Error(err)
				}
			}
			// the same log, as it would look to an audit that misses what is wrong, and a
			// crash before the ledger was told
			closeAll()
			for _, gone := range []string{leavesName, ledgerName, poolName} {
				if err := os.RemoveAll(filepath.Join(home, gone)); err != nil {
					t.Fatal(err)
				}
			}
			again, _ := poolHost(t, home)
			again.prove(t, cheat)
			if _, err := again.pay.ledger.Credit(ledger.Entry{Device: cheat, Kind: ledger.Loops,
				Source: "challenge", Ops: 1, Pay: pay, At: 1}); err != nil {
				t.Fatal(err)
			}
			again.forge(t, model, goal, "w1", other, 0)
			again.forge(t, model, goal, node, machine, 0)
			for range 2 { // and no second strike
				if diff := cmp.Diff([]string{"commit/1/w1/1"}, commit(again)); diff != "" {
					t.Errorf("after a restart (-want +got):\n%s", diff)
				}
				again.duties = again.newDuties()
			}
			if l := again.board.Get().LeftOut; len(l) == 0 || l[0] != f.LeftOut {
				t.Errorf("the status after a restart: %+v", l)
			}
			punished(again)
		})
	}
}

// Logs that hold more than the chain takes of a segment are committed by the names of their nodes
// as far as it reaches, the last one up to a batch's end, and that much of it is audited. The
// status says what is left, once, and a restart decides the same.
func TestCommitsFitTheBound(t *testing.T) {
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	h.config.Workers = map[string]string{}
	now := sprintv1.QueryCurrentResponse{Height: 10,
		Epoch: sprintv1.Epoch{Number: 1, Seed1: make([]byte, 32),
			Params: sprintv1.Params{Samples: 20},
			Segments: []sprintv1.Segment{{Index: 1, Start: 1, End: 10, CommitUntil: 20,
				Seed: make([]byte, 32)}}}}
	now.Epoch.Seed1[0], now.Epoch.Segments[0].Seed[0] = 1, 3
	goal := sprint.Computing(now.Epoch, transformer.Nano, now.Epoch.Segments[0])
	nodes := []string{"w3", "w1", "w2", "w0"}
	for i, node := range []string{"w1", "w2", "w3"} {
		machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32))
		h.config.Workers[node] = hex.EncodeToString(machine.Public().(ed25519.PublicKey))
		log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: node, Segment: 1}, transformer.Nano.ID)
		if err != nil {
			t.Fatal(err)
		}
		out, nonces := make([]transformer.Output, 20), make([]uint64, 20)
		for i := range nonces {
			nonces[i] = uint64(i)
		}
		if err := reference(t).Run(out, seed.Node(h.config.Chain, h.config.Participant, node,
			"nano"), seed.Seed{3}, nonces); err != nil {
			t.Fatal(err)
		}
		out[15].Digest[0] ^= byte(i & 1) // w2 has a wrong leaf, behind those that are committed
		order := goal.Order(h.o.HostKey, h.config.Chain, h.config.Participant, node,
			signed.KeyOf(machine))
		for _, part := range [][]transformer.Output{out[:8], out[8:14], out[14:]} {
			leaflogtest.Deliver(t, log, order, machine, part)
		}
	}
	h.owns(h.config.Workers)
	reason := func(n int) string {
		return fmt.Sprintf("%d of 20 leaves are committed: this participant may commit 30 in "+
			"segment 1, all machines together", n)
	}
	for range 2 {
		g := new(errgroup.Group)
		for range 3 { // audits begin, they are over, and nothing changes
			if err := h.duties.Commits.Commit(t.Context(), g, now, transformer.Nano,
				nodes, 30); err != nil {
				t.Fatal(err)
			}
			_ = g.Wait()
		}
		waiting, _ := h.queue.Status()
		if diff := cmp.Diff([]string{"commit/1/w1/1", "commit/1/w2/1"}, waiting); diff != "" {
			t.Errorf("to be committed (-want +got):\n%s", diff)
		}
		want := []Excess{
			{Epoch: 1, Node: "w2", Segment: 1, Stored: 20, Committed: 8, Reason: reason(8)},
			{Epoch: 1, Node: "w3", Segment: 1, Stored: 20, Committed: 0, Reason: reason(0)},
		}
		if diff := cmp.Diff(want, h.board.Get().Excess); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		if n := h.duties.Audits.Checked(leaflog.Key{Epoch: 1, Node: "w2", Segment: 1}); n != 8 ||
			len(h.board.Get().LeftOut) > 0 {
			t.Errorf("%d leaves of w2 were audited, and %v is left out", n, h.board.Get().LeftOut)
		}
		workers := h.config.Workers
		closeAll()
		h, closeAll = poolHost(t, home)
		h.owns(workers)
	}
	for most, want := range map[uint64][]uint64{0: {0, 0, 0}, 7: {0, 0, 0}, 19: {14, 0, 0},
		20: {20, 0, 0}, 59: {20, 20, 14}, 60: {20, 20, 20}, 1 << 40: {20, 20, 20}} {
		var got []uint64
		// w0 has none
		for _, p := range h.duties.Logs.Portions(1, sprintv1.Segment{Index: 1}, 1,
			transformer.Nano, nodes, most) {
			got = append(got, p.Count)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of %d leaves (-want +got):\n%s", most, diff)
		}
	}
}

// An audit that fails once is done again, and the log is committed after all: a stranger's too.
// Without an audit it would be committed as the window ends if its machine is the owner's.
func TestAnAuditThatFailsBeginsAgain(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	var said bytes.Buffer
	h.log = slog.New(slog.NewTextHandler(&said, nil))
	h.duties = h.newDuties()
	machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	h.prove(t, ledger.Device(signed.KeyOf(machine)))
	e := sprintv1.Epoch{Number: 1, Seed1: make([]byte, 32), Params: sprintv1.Params{Samples: 20}}
	s := sprintv1.Segment{Index: 1, Start: 1, End: 10, CommitUntil: 20, Seed: make([]byte, 32)}
	e.Seed1[0], s.Seed[0] = 1, 3
	node := machines.Name(signed.KeyOf(machine))
	for _, node := range []string{node, "w1"} {
		h.forge(t, reference(t), sprint.Computing(e, transformer.Nano, s), node, machine, 0)
	}
	clean := func(node string, height int64, size uint64) bool {
		t.Helper()
		log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: node, Segment: 1}, transformer.Nano.ID)
		if err != nil {
			t.Fatal(err)
		}
		g := new(errgroup.Group)
		ok := h.duties.Audits.Clean(t.Context(), g, sprintv1.QueryCurrentResponse{Height: height,
			Epoch: e}, transformer.Nano, log, s, size)
		_ = g.Wait()
		return ok
	}
	const lost = 100 // leaves; the disk gives 20
	for height := range int64(3) {
		for _, node := range []string{node, "w1"} {
			if clean(node, 10+height, lost) {
				t.Errorf("block %d: the log of %s is committed unseen", 10+height, node)
			}
		}
	}
	if n := strings.Count(said.String(), "could not be audited"); n != 2 {
		t.Errorf("said %d times of 2 logs:\n%s", n, said.String())
	}
	if clean(node, 18, lost) || !clean("w1", 18, lost) {
		t.Error("as the window ends the owner's machine alone is trusted")
	}
	clean(node, 18, 20)
	if !clean(node, 19, 20) {
		t.Error("a log is given up because one audit failed")
	}
}
