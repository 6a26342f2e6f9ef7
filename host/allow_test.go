// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"google.golang.org/grpc"

	p2p "github.com/cometbft/cometbft/proto/tendermint/p2p"

	"github.com/assaynet/assay/client"
)

// A key that connects again and again has host.toml read once; one that is added to it is admitted
// at once.
func TestStrangersHaveTheSettingsReadOnce(t *testing.T) {
	home, c := t.TempDir(), config()
	if err := c.Save(home); err != nil {
		t.Fatal(err)
	}
	h := newHost(c, Options{Home: home})
	h.pay = h.newPayroll()
	h.machines = h.newMachines()
	key := ed25519.PublicKey(bytes.Repeat([]byte{7}, 32))
	allowed := func() bool { _, ok := h.machines.Allow(key); return ok }
	if allowed() {
		t.Fatal("a stranger is admitted")
	}
	// The same file with the key in the place of another's, which a host that reads it again would
	// find.
	info, err := os.Stat(ConfigPath(home))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(ConfigPath(home))
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), strings.Repeat("ab", 32), hex.EncodeToString(key), 1)
	if err := os.WriteFile(ConfigPath(home), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(ConfigPath(home), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if allowed() {
		t.Error("a file that is as it was is read for each connection")
	}
	if err := os.WriteFile(ConfigPath(home), text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Workers["w2"] = hex.EncodeToString(key)
	if err := c.Save(home); err != nil {
		t.Fatal(err)
	}
	if !allowed() {
		t.Error("a key that was added is not admitted")
	}
}

// otherNode is the node of a chain, as far as a host asks.
type otherNode struct {
	*cmtservice.UnimplementedServiceServer
	chain string
}

func (n otherNode) GetNodeInfo(context.Context,
	*cmtservice.GetNodeInfoRequest) (*cmtservice.GetNodeInfoResponse, error) {
	return &cmtservice.GetNodeInfoResponse{DefaultNodeInfo: &p2p.DefaultNodeInfo{Network: n.chain}},
		nil
}

// A host asks its node which chain it follows, and refuses another one by name.
func TestTheNodeOfAnotherChainIsRefused(t *testing.T) {
	for chain, refused := range map[string]bool{config().Chain: false, "other-net": true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer()
		cmtservice.RegisterServiceServer(server, otherNode{chain: chain})
		go func() { _ = server.Serve(l) }()
		t.Cleanup(server.Stop)
		conn, err := client.DialNode(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		err = compareChain(t.Context(), conn, config())
		if errors.Is(err, ErrOtherChain) != refused || !refused && err != nil {
			t.Errorf("%s: %v", chain, err)
		}
		if refused && (!strings.Contains(err.Error(), `"other-net"`) ||
			!strings.Contains(err.Error(), "host.toml")) {
			t.Errorf("%v", err)
		}
	}
}
