// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"crypto/ed25519"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/seed"
)

const chainID = "assay-test"

// key derives a private key from a name.
func key(name string) ed25519.PrivateKey {
	s := seed.Possession("test key", name, "", nil)
	return ed25519.NewKeyFromSeed(s[:])
}

// freePort finds a port of this machine that nobody listens at.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
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
		Dir: dir, Chain: chainID, Moniker: name, HostKey: key(name + " host"), KeyringBackend: keyring.BackendTest,
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
	o.Nodes = []registryv1.Node{registry.ProveNode(chainID, made.Participant.Address, "gpu-0", key(name+" gpu-0"))}
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
		Chain: chainID, Time: time.Now(), Preset: genesis.Presets()["localnet"], Participants: participants,
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
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan *node.Node, 1), make(chan error, 1)
	go func() {
		ended <- node.Run(ctx, node.Options{Home: dir, Logger: log.NewNopLogger(), Started: func(n *node.Node) { started <- n }})
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
	for deadline := time.Now().Add(30 * time.Second); n.App.LastBlockHeight() < height; time.Sleep(5 * time.Millisecond) {
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
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec.NewProtoCodec(n.App.Encoding().Registry).GRPCCodec())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
