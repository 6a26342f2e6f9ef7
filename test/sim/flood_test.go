// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/keyfile"
	"github.com/assaynet/assay/chain/x/registry"
)

// long runs take minutes; they are asked for.
var long = os.Getenv("ASSAY_LONG") != ""

// gossip stands in for CometBFT: it keeps what the app's pool took, lets the app fill the blocks,
// and has what is left checked again.
type gossip struct {
	*network
	list []sent
}

// sent is a transaction on its way.
type sent struct {
	raw  []byte
	at   int64 // height when it was offered
	who  *host
	kind string
}

// pooled makes a network whose blocks the app fills itself, of the size and gas of a real chain.
func pooled(t testing.TB, members []string, weight func(string) uint64, options ...option) *gossip {
	home := t.TempDir()
	for i, name := range members { // it proposes for whoever's turn it is
		path := filepath.Join(home, app.VRFKeyFile)
		if i > 0 {
			path = app.Later(home, i).VRF
		}
		if _, err := keyfile.Create(path, bytes.NewReader(secret("vrf", name))); err != nil {
			t.Fatal(err)
		}
	}
	return &gossip{network: startNamed(t, members, weight, append(options,
		func(n *network) { n.home, n.maxGas = home, 400_000_000 })...)}
}

// offer shows the app a transaction; it says whether the pool takes it.
func (g *gossip) offer(who *host, kind string, raw []byte) *abci.ResponseCheckTx {
	g.t.Helper()
	r, err := g.app.CheckTx(&abci.RequestCheckTx{Tx: raw, Type: abci.CheckTxType_New})
	if err != nil {
		g.t.Fatal(err)
	}
	if r.Code == 0 {
		g.list = append(g.list, sent{raw: raw, at: g.height, who: who, kind: kind})
	}
	return r
}

// fill makes the next block of what waits, and returns what landed in it and what was dropped.
func (g *gossip) fill() (landed, dropped []sent) {
	g.t.Helper()
	prepared, err := g.app.PrepareProposal(&abci.RequestPrepareProposal{Height: g.height + 1,
		Time:            blockTime(g.height + 1),
		ProposerAddress: registry.ConsensusAddress(g.proposer().consensusKey()),
		MaxTxBytes:      4 << 20})
	if err != nil {
		g.t.Fatal(err)
	}
	in := make(map[string]bool)
	for _, tx := range prepared.Txs[1:] {
		in[string(tx)] = true
	}
	g.block(prepared.Txs[1:]...) // with the proposer's own proof
	var rest []sent
	for _, s := range g.list {
		if in[string(s.raw)] {
			landed = append(landed, s)
			continue
		}
		r, err := g.app.CheckTx(&abci.RequestCheckTx{Tx: s.raw, Type: abci.CheckTxType_Recheck})
		if err != nil {
			g.t.Fatal(err)
		}
		if r.Code == 0 {
			rest = append(rest, s)
		} else {
			dropped = append(dropped, s)
		}
	}
	g.list = rest
	return landed, dropped
}

// resync reads a sender's next sequence number from the state of blocks.
func (g *gossip) resync(h *host) {
	g.t.Helper()
	var r authtypes.QueryAccountInfoResponse
	if err := (conn{g.app, g.ctx()}).Invoke(context.Background(),
		"/cosmos.auth.v1beta1.Query/AccountInfo",
		&authtypes.QueryAccountInfoRequest{Address: h.addr}, &r); err != nil {
		g.t.Fatal(err)
	}
	h.sequence = r.Info.Sequence
}

// spam is everything that a participant may try for free, each worth nothing.
func spam(h *host, e sprintv1.Epoch, i int64) sdk.Msg {
	segment := uint32(max(1, len(e.Segments)))
	large := 20_000
	if h.name == "heavy" { // signing a megabyte for everybody would take the test an hour
		large = 1_000_000
	}
	switch i % 8 {
	case 0:
		return &sprintv1.MsgReady{Participant: h.addr, Epoch: e.Number, Height: 1,
			Signature: make([]byte, 64)}
	case 1, 2:
		return &sprintv1.MsgCommit{Participant: h.addr, Epoch: e.Number,
			Node: h.nodes[int(i)/8%len(h.nodes)], Segment: 1 + uint32(i/8)%segment, Count: 1,
			Root: make([]byte, 32), Signature: make([]byte, 64)}
	case 3:
		return &sprintv1.MsgOpen{Participant: h.addr, Epoch: e.Number,
			Logs: []sprintv1.LogOpening{{Node: "gpu-1", Leaves: make([]byte, 1_000)}}}
	case 4:
		return &sprintv1.MsgOpen{Participant: h.addr, Epoch: e.Number,
			Logs: []sprintv1.LogOpening{{Node: "gpu-1", Leaves: make([]byte, large)}}}
	case 5:
		proof := 2_500 // as much as is owed
		if h == h.net.host("heavy") {
			proof = 15_000
		}
		return &registryv1.MsgSetNodes{Address: h.addr,
			Nodes: []registryv1.Node{{Id: "gpu-1", Key: make([]byte, 32),
				Proof: make([]byte, proof)}}}
	case 6:
		if e.Phase == sprintv1.PhaseValidate {
			return &sprintv1.MsgCommitVerdict{Participant: h.addr, Epoch: e.Number,
				Hash: make([]byte, 32)}
		}
		return &sprintv1.MsgRevealVerdict{Participant: h.addr, Epoch: e.Number,
			Salt: make([]byte, 32), Body: make([]byte, min(large/2, 60_000))}
	default:
		return &sprintv1.MsgDispute{Participant: h.addr, Epoch: e.Number,
			Leaf: courtv1.LeafRef{Participant: h.addr, Node: "gpu-1", Segment: 1, Nonce: uint64(i)}}
	}
}

// C1, C2, C10 together: a heavy member and many identities without weight send all they may for
// free, in each block. Every duty of the honest lands in its window, so that they are credited, and
// payments go on.
func TestAFloodedNetworkGoesOn(t *testing.T) {
	identities, blocks := 60, int64(60)
	if long {
		identities, blocks = 1_000, 200
	}
	honest := []string{"p1", "p2", "p3", "p4", "p5", "p6"}
	names := append(slices.Clone(honest), "heavy")
	for i := range identities {
		names = append(names, fmt.Sprintf("free-%d", i))
	}
	payers := []string{"payer-1", "payer-2", "payer-3", "payer-4", "payer-5"}
	g := pooled(t, names, func(name string) uint64 {
		switch name[0] {
		case 'p':
			return 1_000
		case 'h':
			return 4_000
		}
		return 0
	}, withAccounts(payers...), withNodes("heavy", machines(64)...))
	heavy := g.host("heavy")
	flooders := []*host{heavy}
	for i := range identities {
		flooders = append(flooders, g.host(fmt.Sprintf("free-%d", i)))
	}
	for _, name := range payers {
		g.host(name).gas = 200_000
	}
	var (
		backlog            = make(map[*host][]sdk.Msg)
		delays, pays       []int64
		offered, free, fit int
		freeBytes          int
		fullest            int64
	)
	for g.height < blocks {
		if g.height > 0 {
			now := g.now()
			// The flood comes first, so that it is in the pool before anything honest is.
			for i, h := range flooders {
				tries := int64(1)
				if h == heavy {
					tries = 16
				}
				for try := range tries {
					offered++
					msg := spam(h, now.Epoch, g.height*tries+try+int64(i))
					if r := g.offer(h, "spam", h.tx(msg)); r.Code == 0 {
						free++
					} else if h.sequence--; r.Code == 32 {
						// wrong sequence: an earlier one was dropped
						g.resync(h)
					}
				}
			}
			for _, name := range honest {
				h := g.host(name)
				if backlog[h] = append(backlog[h], h.act(now)...); len(backlog[h]) == 0 {
					continue
				}
				kind := sdk.MsgTypeURL(backlog[h][0])
				if r := g.offer(h, kind, h.tx(backlog[h]...)); r.Code != 0 {
					t.Fatalf("block %d: the pool refuses %s of %s: %s", g.height, kind, name, r.Log)
				}
				backlog[h] = nil
			}
			for _, name := range payers {
				h := g.host(name)
				if r := g.offer(h, "payment",
					h.tx(&banktypes.MsgSend{FromAddress: h.addr, ToAddress: heavy.addr,
						Amount: sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1))})); r.Code != 0 {
					t.Fatalf("block %d: the pool refuses a payment of %s: %s",
						g.height, name, r.Log)
				}
			}
		}
		landed, dropped := g.fill()
		if long && g.height%10 == 0 {
			t.Logf("block %d, epoch %d in %s", g.height, g.now().Epoch.Number,
				g.now().Epoch.Phase.Word())
		}
		var size int64
		for _, s := range landed {
			size += int64(len(s.raw))
			switch s.kind {
			case "spam":
				fit++
				freeBytes += len(s.raw)
			case "payment":
				pays = append(pays, g.height-s.at)
			default:
				delays = append(delays, g.height-s.at)
			}
		}
		fullest = max(fullest, size)
		for _, s := range dropped {
			if s.kind != "spam" {
				t.Fatalf("block %d: %s of %s was dropped", g.height, s.kind, s.who.name)
			}
			g.resync(s.who)
		}
	}
	slices.Sort(delays)
	slices.Sort(pays)
	t.Logf("%d identities, %d blocks: %d messages of spam offered, %d taken, %d (%d KiB) in "+
		"blocks, the fullest %d KiB; %d duties after %d blocks at the median and %d at most; %d "+
		"payments after %d and %d; %d in the pool",
		identities, blocks, offered, free, fit, freeBytes>>10, fullest>>10, len(delays),
		delays[len(delays)/2], delays[len(delays)-1], len(pays), pays[len(pays)/2],
		pays[len(pays)-1], len(g.list))
	if m := pays[len(pays)/2]; m > 3 {
		t.Errorf("the median payment enters after %d blocks", m)
	}
	running := g.now().Epoch.Number
	// two attempts at what each owes in an epoch
	if most := (identities + 1) * int(running) * 12 << 10; freeBytes > most {
		t.Errorf("%d KiB of spam are stored for free, want at most %d", freeBytes>>10, most>>10)
	}
	if running < 2 {
		t.Errorf("no epoch finished in %d blocks", blocks)
	}
	for epoch := uint64(1); epoch < running; epoch++ {
		out := g.outcomes(epoch)
		for _, name := range honest {
			if o, ok := out[name]; !ok {
				t.Errorf("epoch %d: %s has no outcome", epoch, name)
			} else if o.Result != sprintv1.ResultCredited {
				t.Errorf("epoch %d: %s: %s", epoch, name, o.Reason)
			}
		}
	}
}
