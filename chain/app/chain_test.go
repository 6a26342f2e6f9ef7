// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/seed"
)

const chainID = "assay-test"

// key derives a private key from a name.
func key(name string) ed25519.PrivateKey {
	s := seed.Possession("test key", name, "", nil)
	return ed25519.NewKeyFromSeed(s[:])
}

// nextPort is below the range from which the system takes ports for connections,
// so that nobody dials from a port that a node is about to listen at.
var nextPort = 12_000 + os.Getpid()%8_000

// freePort finds a port of this machine that nobody listens at.
func freePort(t testing.TB) string {
	t.Helper()
	for range 1_000 {
		nextPort++
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", nextPort)); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// folder is a temporary folder. CometBFT saves its address book a moment after it
// stopped, so removing the folder may take a second try.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "assay-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 100 {
			if err = os.RemoveAll(dir); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error(err)
	})
	return dir
}

// participant makes a home with one node, named after the participant.
func participant(t testing.TB, name string) (dir string, p home.Participant) {
	t.Helper()
	dir = filepath.Join(folder(t), name)
	o := home.Options{
		Dir: dir, Chain: chainID, Moniker: name, HostKey: key(name + " host"),
		KeyringBackend: keyring.BackendTest,
		Settings: home.Settings{
			P2P: freePort(t), RPC: freePort(t), GRPC: freePort(t), API: freePort(t),
			MinGasPrice: "1000" + app.Denom, BlockTime: 50 * time.Millisecond, Local: true,
		},
	}
	made, err := home.Create(o)
	if err != nil {
		t.Fatal(err)
	}
	// A machine proves its key for an account, so it can only follow the account.
	o.Nodes = []registryv1.Node{registry.ProveNode(chainID, made.Participant.Address,
		"gpu-0", key(name+" gpu-0"))}
	if made, err = home.Create(o); err != nil {
		t.Fatal(err)
	}
	if len(made.Mnemonics) != 0 {
		t.Fatal("the second run made new accounts")
	}
	return dir, made.Participant
}

// join makes a genesis of the participants and gives it to their homes.
func join(t testing.TB, dirs []string, participants []home.Participant) {
	t.Helper()
	g, err := genesis.Build(genesis.Options{
		Chain: chainID, Time: time.Now(), Preset: genesis.Presets()["localnet"],
		Participants: participants,
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := genesis.Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	for i, dir := range dirs {
		var peers []string
		for j, p := range participants {
			if i != j {
				peers = append(peers, p.Peer)
			}
		}
		if err := home.Join(dir, text, peers, home.Settings{}, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// start runs the node of a home until the test ends, or stop is called.
func start(t testing.TB, dir string) (n *node.Node, stop func()) {
	t.Helper()
	// CometBFT's routine that asks a peer for majorities sleeps and then reads the
	// store, also one that was closed meanwhile, which ends the program. A node's
	// program is over by then; this one has more tests.
	path := filepath.Join(dir, "config", "config.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	asks := regexp.MustCompile(`(?m)^peer_query_maj23_sleep_duration = .*$`)
	if !asks.Match(text) {
		t.Fatal("no peer_query_maj23_sleep_duration in config.toml")
	}
	if err := os.WriteFile(path, asks.ReplaceAll(text,
		[]byte(`peer_query_maj23_sleep_duration = "1h"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan *node.Node, 1), make(chan error, 1)
	go func() {
		ended <- node.Run(ctx, node.Options{Home: dir, Logger: log.NewNopLogger(),
			Started: func(n *node.Node) { started <- n }})
	}()
	select {
	case n = <-started:
	case err := <-ended:
		cancel()
		t.Fatalf("the node of %s: %v", filepath.Base(dir), err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopping the node of %s: %v", filepath.Base(dir), err)
		}
	}
	t.Cleanup(stop)
	return n, stop
}

// reach waits until a node has committed a height.
func reach(t testing.TB, n *node.Node, height int64) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); n.App.LastBlockHeight() <
		height; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("height %d after 30 s, want %d", n.App.LastBlockHeight(), height)
		}
	}
}

// dial connects to a node's gRPC server.
func dial(t testing.TB, n *node.Node) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(n.Config.App.GRPC.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodec(codec.NewProtoCodec(n.App.Encoding().Registry).GRPCCodec())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// A chain of one validator, CometBFT and all: 20 blocks, each with a proof that
// the services which read blocks understand, and that clients cannot send.
func TestChainOfOne(t *testing.T) {
	dir, p := participant(t, "alice")
	join(t, []string{dir}, []home.Participant{p})
	n, _ := start(t, dir)
	reach(t, n, 20)
	ctx, conn := context.Background(), dial(t, n)

	blocks := txtypes.NewServiceClient(conn)
	outputs := beaconv1.NewQueryClient(conn)
	previous := seed.Seed{}
	for height := int64(1); height <= 20; height++ {
		block, err := blocks.GetBlockWithTxs(ctx, &txtypes.GetBlockWithTxsRequest{Height: height})
		if err != nil {
			t.Fatal(err)
		}
		if len(block.Txs) != 1 || len(block.Txs[0].Body.Messages) != 1 ||
			block.Txs[0].Body.Messages[0].TypeUrl != beacon.TypeURL {
			t.Fatalf("height %d: %v", height, block.Txs)
		}
		r, err := n.Client.BlockResults(ctx, &height)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.TxsResults) != 1 || r.TxsResults[0].Code != 0 {
			t.Fatalf("height %d: %v", height, r.TxsResults)
		}
		o, err := outputs.Output(ctx, &beaconv1.QueryOutputRequest{Height: height})
		if err != nil {
			t.Fatal(err)
		}
		value := seed.BeaconValue(chainID, uint64(height), previous, o.Output.Beta,
			registry.ConsensusAddress(p.ConsensusKey))
		if height > 1 && !bytes.Equal(value[:], o.Output.Value) {
			t.Fatalf("height %d: the value does not follow from the one before", height)
		}
		previous = seed.Seed(o.Output.Value)
	}
	mix, err := outputs.Mix(ctx, &beaconv1.QueryMixRequest{Deadline: 7})
	if err != nil || mix.Mix.Height != 9 {
		t.Errorf("mix after 7: %v, %v, want it at 9", mix, err)
	}

	proof, err := beacon.EncodeTx(&beaconv1.MsgPublish{Proposer: p.Address,
		Proof: make([]byte, vrf.ProofSize)})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := blocks.BroadcastTx(ctx,
		&txtypes.BroadcastTxRequest{TxBytes: proof,
			Mode: txtypes.BroadcastMode_BROADCAST_MODE_SYNC})
	if err != nil {
		t.Fatal(err)
	}
	if r := sent.TxResponse; r.Codespace != app.ErrProofSubmitted.Codespace() ||
		r.Code != app.ErrProofSubmitted.ABCICode() ||
		!strings.Contains(r.RawLog, "cannot be submitted") {
		t.Errorf("broadcasting a proof: %s/%d: %s", r.Codespace, r.Code, r.RawLog)
	}
	if _, err := blocks.Simulate(ctx, &txtypes.SimulateRequest{TxBytes: proof}); err == nil {
		t.Error("simulated a proof")
	}
	rest, err := http.Get("http://" + strings.TrimPrefix(n.Config.App.API.Address,
		"tcp://") + "/assay/beacon/v1/outputs/3")
	if err != nil {
		t.Fatal(err)
	}
	defer rest.Body.Close()
	if text, err := io.ReadAll(rest.Body); err != nil || rest.StatusCode != http.StatusOK ||
		!bytes.Contains(text, []byte(`"height":"3"`)) {
		t.Errorf("REST: %s %s %v", rest.Status, text, err)
	}
}

// The node proves its keys to its host, for its own participant and nobody else,
// and on its gRPC server only.
func TestLocalService(t *testing.T) {
	dir, p := participant(t, "alice")
	join(t, []string{dir}, []home.Participant{p})
	n, _ := start(t, dir)
	reach(t, n, 3)
	ctx, conn := context.Background(), dial(t, n)
	local := registryv1.NewLocalClient(conn)

	known, possession := p.Registry()
	beat, err := local.Heartbeat(ctx,
		&registryv1.HeartbeatRequest{Participant: p.Address, Epoch: 5})
	if err != nil {
		t.Fatal(err)
	}
	o, err := beaconv1.NewQueryClient(conn).Output(ctx,
		&beaconv1.QueryOutputRequest{Height: beat.Height})
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.VerifyHeartbeat(known, chainID, 5, beat.Height, seed.Seed(o.Output.Value),
		beat.Signature); err != nil {
		t.Error(err)
	}
	proofs, err := local.Possession(ctx, &registryv1.PossessionRequest{Participant: p.Address})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(proofs.ConsensusProof, possession.Consensus) ||
		!bytes.Equal(proofs.VrfProof, possession.Vrf) {
		t.Error("proves its keys otherwise than its folder does")
	}
	// Its keys are registered, so the next ones are new, the same each time until they are
	// registered, too, and no reason to sign with them.
	next := &registryv1.PossessionRequest{Participant: p.Address, Next: true}
	made, err := local.Possession(ctx, next)
	if err != nil {
		t.Fatal(err)
	}
	again, err := local.Possession(ctx, next)
	if err != nil || !bytes.Equal(again.ConsensusKey, made.ConsensusKey) ||
		!bytes.Equal(again.VrfKey, made.VrfKey) {
		t.Errorf("asked again it makes others, %v", err)
	}
	if bytes.Equal(made.ConsensusKey, known.ConsensusKey) ||
		bytes.Equal(made.VrfKey, known.VrfKey) {
		t.Error("the next keys are those that are registered")
	}
	fresh := known
	fresh.ConsensusKey, fresh.VrfKey = made.ConsensusKey, made.VrfKey
	if err := registry.VerifyPossession(chainID, fresh, registryv1.Possession{
		Consensus: made.ConsensusProof, Vrf: made.VrfProof, Host: possession.Host}); err != nil {
		t.Error(err)
	}
	if beat, err = local.Heartbeat(ctx, &registryv1.HeartbeatRequest{Participant: p.Address,
		Epoch: 6}); err != nil {
		t.Fatal(err)
	}
	if o, err = beaconv1.NewQueryClient(conn).Output(ctx,
		&beaconv1.QueryOutputRequest{Height: beat.Height}); err != nil {
		t.Fatal(err)
	}
	if err := registry.VerifyHeartbeat(known, chainID, 6, beat.Height, seed.Seed(o.Output.Value),
		beat.Signature); err != nil {
		t.Errorf("beats with a key that is not registered: %v", err)
	}
	mallory := "cpc1ukpphzhxt0r82kw4zczkk6hej0gkr72j4329ms"
	if _, err := local.Possession(ctx,
		&registryv1.PossessionRequest{Participant: mallory, Next: true}); status.Code(err) !=
		codes.PermissionDenied {
		t.Errorf("possession for somebody else: %v", err)
	}
	if _, err := local.Heartbeat(ctx,
		&registryv1.HeartbeatRequest{Participant: mallory}); status.Code(err) !=
		codes.PermissionDenied {
		t.Errorf("heartbeat for somebody else: %v", err)
	}
	request, err := (&registryv1.PossessionRequest{Participant: p.Address}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := n.Client.ABCIQuery(ctx, "/assay.registry.v1.Local/Possession",
		request); err == nil && r.Response.Code == 0 {
		t.Error("the service answers on the chain's query path")
	}
}

// Two validators take turns; a node without keys follows them from decided blocks
// alone and ends in the same state. It stops and goes on where it was.
func TestFollower(t *testing.T) {
	var dirs []string
	var participants []home.Participant
	for _, name := range []string{"alice", "bob"} {
		dir, p := participant(t, name)
		dirs, participants = append(dirs, dir), append(participants, p)
	}
	join(t, dirs, participants)
	alice, _ := start(t, dirs[0])
	start(t, dirs[1])
	reach(t, alice, 10)

	dir := filepath.Join(folder(t), "follower")
	text, err := os.ReadFile(filepath.Join(dirs[0], home.Genesis))
	if err != nil {
		t.Fatal(err)
	}
	settings := home.Settings{P2P: freePort(t), RPC: freePort(t), GRPC: freePort(t),
		API: freePort(t), BlockTime: 50 * time.Millisecond, Local: true}
	if err := home.Join(dir, text, []string{participants[0].Peer, participants[1].Peer}, settings,
		"follower"); err != nil {
		t.Fatal(err)
	}
	follower, stop := start(t, dir)
	reach(t, follower, 10)
	stop()
	follower, _ = start(t, dir)
	reach(t, follower, alice.App.LastBlockHeight()+5)

	proposers := make(map[string]bool)
	for height := int64(1); height <= 10; height++ {
		var outputs []beaconv1.Output
		for _, n := range []*node.Node{alice, follower} {
			ctx, err := n.App.CreateQueryContextWithCheckHeader(0, false, false)
			if err != nil {
				t.Fatal(err)
			}
			o, err := n.App.Beacon.Output(ctx, height)
			if err != nil {
				t.Fatal(err)
			}
			outputs = append(outputs, o)
		}
		if diff := cmp.Diff(outputs[0], outputs[1]); diff != "" {
			t.Errorf("height %d: %s", height, diff)
		}
		proposers[string(outputs[0].Proposer)] = true
	}
	if len(proposers) != 2 {
		t.Errorf("%d validators proposed ten blocks, want 2", len(proposers))
	}
}

// A stopped node's state can be exported and rolled back.
func TestExportAndRollbackOfAFolder(t *testing.T) {
	dir, p := participant(t, "alice")
	join(t, []string{dir}, []home.Participant{p})
	n, stop := start(t, dir)
	reach(t, n, 3)
	if _, err := node.Export(dir, log.NewNopLogger()); err == nil ||
		!strings.Contains(err.Error(), "uses the node's folder") {
		t.Errorf("exporting a running node: %v", err)
	}
	stop()
	last := n.App.LastBlockHeight()
	g, err := node.Export(dir, log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	if g.InitialHeight != last+1 || g.ChainID != chainID || g.Consensus.Params.Block.MaxGas == 0 {
		t.Errorf("goes on at %d after %d on %q with %+v", g.InitialHeight, last, g.ChainID,
			g.Consensus.Params.Block)
	}
	height, _, err := node.Rollback(dir, false, log.NewNopLogger())
	if err != nil || height != last-1 {
		t.Fatalf("rolled back to %d from %d, %v", height, last, err)
	}
	n, _ = start(t, dir)
	reach(t, n, last+3)
}

func TestNodeExplainsWhatIsMissing(t *testing.T) {
	run := func(dir string) error {
		return node.Run(context.Background(), node.Options{Home: dir, Logger: log.NewNopLogger()})
	}
	if err := run(t.TempDir()); !errors.Is(err, home.ErrHome) ||
		!strings.Contains(err.Error(), "assay init") {
		t.Errorf("an empty folder: %v", err)
	}
	dir, _ := participant(t, "alice")
	if err := run(dir); !errors.Is(err, node.ErrNode) || !strings.Contains(err.Error(), "genesis") {
		t.Errorf("a folder without a genesis: %v", err)
	}
}
