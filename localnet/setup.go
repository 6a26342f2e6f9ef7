// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/adversary"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/host"
	hostcli "github.com/assaynet/assay/host/cli"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/worker"
)

// What the faucet, and the account from which the first participant's pool pays,
// start with, in CPC.
const (
	faucetCoins = 1_000_000
	payCoins    = 10_000
)

// creatable reports why no network of these options can be made in the folder.
func (n *Network) creatable(o Options) error {
	if o.Participants < 1 || o.Participants > 16 {
		return fmt.Errorf("localnet: %d participants; choose 1 to 16", o.Participants)
	}
	if err := adversary.Valid(cmp.Or(o.Cheat, adversary.None)); err != nil {
		return err
	}
	entries, err := os.ReadDir(n.Home)
	if err == nil && slices.ContainsFunc(entries,
		func(e os.DirEntry) bool { return e.Name() != lockFile }) {
		return fmt.Errorf(
			"localnet: %s is neither empty nor a local network; choose another --home", n.Home)
	}
	return nil
}

// create makes keys, genesis and folders of a new network.
func (n *Network) create(o Options) error {
	var tag [4]byte
	if _, err := rand.Read(tag[:]); err != nil {
		return err
	}
	n.Chain = "assay-localnet-" + hex.EncodeToString(tag[:])
	var participants []home.Participant
	for i := range o.Participants {
		m := &Member{Name: fmt.Sprintf("p%d", i+1), Cheat: adversary.None}
		m.Home = filepath.Join(n.Home, m.Name)
		if i == o.Participants-1 && o.Participants > 1 {
			m.Cheat = cmp.Or(o.Cheat, adversary.None)
		}
		n.Members = append(n.Members, m)
	}
	if err := n.choosePorts(); err != nil {
		return err
	}
	for i := range n.Members {
		p, err := n.createMember(i)
		if err != nil {
			return err
		}
		participants = append(participants, p)
	}
	balances, err := n.createAccounts()
	if err != nil {
		return err
	}
	preset := genesis.Presets()["localnet"]
	if o.Params != nil {
		preset.Sprint = *o.Params
	}
	if o.Stream != nil {
		preset.Stream = *o.Stream
	}
	g, err := genesis.Build(genesis.Options{Chain: n.Chain, Time: time.Now(), Preset: preset,
		Participants: participants, Balances: balances})
	if err != nil {
		return err
	}
	raw, err := genesis.Encode(g)
	if err != nil {
		return err
	}
	return n.join(raw)
}

// createMember makes a participant's folder: its own keys, its host's and its one worker's. Keys
// that exist are kept.
func (n *Network) createMember(i int) (home.Participant, error) {
	m := n.Members[i]
	hostKey, err := link.LoadKey(filepath.Join(m.Home, hostcli.HostKeyFile))
	if err != nil {
		return home.Participant{}, err
	}
	device, err := worker.Key(filepath.Join(m.Home, "worker"))
	if err != nil {
		return home.Participant{}, err
	}
	o := home.Options{Dir: m.Home, Chain: n.Chain, Moniker: m.Name, HostKey: hostKey,
		KeyringBackend: keyring.BackendTest,
		Settings: home.Settings{P2P: m.P2P, RPC: m.RPC, GRPC: m.GRPC, API: m.API,
			MinGasPrice: "0" + app.Denom, BlockTime: n.blockTime, Local: true}}
	made, err := home.Create(o)
	if err != nil {
		return home.Participant{}, err
	}
	m.Address, m.Peer = made.Participant.Address, made.Participant.Peer
	// the device proves itself to the address that was just made
	o.Nodes = []registryv1.Node{registry.ProveNode(n.Chain, m.Address, NodeID, device)}
	if made, err = home.Create(o); err != nil {
		return home.Participant{}, err
	}
	return made.Participant, n.configureHost(m, device)
}

// configureHost writes host.toml; workers that were allowed by hand stay.
func (n *Network) configureHost(m *Member, device ed25519.PrivateKey) error {
	c, err := host.Load(m.Home)
	if err != nil {
		c = host.Config{Chain: n.Chain, Participant: m.Address, Key: home.Hot,
			KeyringBackend: keyring.BackendTest, Workers: map[string]string{}}
	}
	c.GRPC, c.Listen, c.Status = m.GRPC, m.Workers, m.StatusAddress
	if n.pool && m == n.Members[0] && c.Pool == nil {
		p := host.DefaultPool()
		p.Enabled, p.PayKey, p.GasPrice, p.Least, p.UnlockAfter, p.DurationMS = true,
			PayKey, 1, "1", 2, 5_000
		c.Pool = &p
	}
	c.Workers[NodeID] = hex.EncodeToString(device.Public().(ed25519.PublicKey))
	return c.Save(m.Home)
}

// join gives every member the genesis and its peers.
func (n *Network) join(genesis []byte) error {
	for i, m := range n.Members {
		var peers []string
		for j, other := range n.Members {
			if j != i {
				peers = append(peers, other.Peer)
			}
		}
		if err := home.Join(m.Home, genesis, peers, home.Settings{}, m.Name); err != nil {
			return err
		}
	}
	n.Genesis = sumOf(genesis)
	return n.save()
}

// refresh makes sure that the ports are free, and writes the settings again when one had to be
// changed.
func (n *Network) refresh() error {
	before := n.ports()
	if err := n.choosePorts(); err != nil || slices.Equal(before, n.ports()) {
		return err
	}
	genesis, err := os.ReadFile(filepath.Join(n.Members[0].Home, home.Genesis))
	if err != nil {
		return fmt.Errorf("localnet: genesis: %w", err)
	}
	for i, m := range n.Members {
		for _, name := range []string{"config/config.toml", "config/app.toml"} {
			if err := os.Remove(filepath.Join(m.Home, name)); err != nil {
				return err
			}
		}
		if _, err := n.createMember(i); err != nil {
			return err
		}
	}
	return n.join(genesis)
}

func (n *Network) ports() (all []string) {
	for _, m := range n.Members {
		for _, at := range m.addresses() {
			all = append(all, *at)
		}
	}
	return all
}

// createAccounts puts funded accounts into the first participant's keyring: the faucet, and the one
// that pays its pool's machines and does nothing else.
func (n *Network) createAccounts() ([]genesis.Balance, error) {
	keys, err := home.OpenKeyring(n.Members[0].Home, keyring.BackendTest, nil)
	if err != nil {
		return nil, err
	}
	var balances []genesis.Balance
	for _, a := range []struct {
		key   string
		coins int64
	}{{FaucetKey, faucetCoins}, {PayKey, payCoins}} {
		record, _, err := keys.NewMnemonic(a.key, keyring.English,
			hd.CreateHDPath(sdk.CoinType, 0, 0).String(), keyring.DefaultBIP39Passphrase,
			hd.Secp256k1)
		if err != nil {
			return nil, fmt.Errorf("localnet: account %s: %w", a.key, err)
		}
		raw, err := record.GetAddress()
		if err != nil {
			return nil, err
		}
		address, err := app.Addresses().BytesToString(raw)
		if err != nil {
			return nil, err
		}
		if a.key == FaucetKey {
			n.Faucet = address
		}
		balances = append(balances,
			genesis.Balance{Address: address,
				Amount: math.NewInt(a.coins).Mul(math.NewIntWithDecimal(1, 18))})
	}
	return balances, nil
}

// choosePorts keeps the addresses of the last start, so that a node that joined finds its peers
// again, unless something else took one of them meanwhile. All are held while choosing, so that
// none is chosen twice.
func (n *Network) choosePorts() error {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for _, m := range n.Members {
		for _, at := range m.addresses() {
			l, err := net.Listen("tcp", *at)
			if err != nil || *at == "" {
				if l != nil {
					_ = l.Close()
				}
				if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
					return fmt.Errorf("localnet: a free port: %w", err)
				}
			}
			held = append(held, l)
			*at = l.Addr().String()
		}
	}
	return nil
}

// addresses lists where a member's processes listen, in the order of their choosing.
func (m *Member) addresses() []*string {
	return []*string{&m.P2P, &m.RPC, &m.GRPC, &m.API, &m.Workers, &m.StatusAddress}
}
