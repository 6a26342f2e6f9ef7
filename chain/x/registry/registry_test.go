// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/seed"
)

const (
	chain     = "registry-test"
	authority = "the authority"
	denom     = "acpc"
	minter    = "mint"
	epoch     = uint64(7)
)

var addresses = addresscodec.NewBech32Codec("cpc")

// world is a registry with its services, over deposits and a bank, each in a store of its own.
type world struct {
	*registry.Keeper
	ctx        sdk.Context
	collateral *collateral.Keeper
	bank       bankkeeper.BaseKeeper
	network    *network
	msg        registryv1.MsgServer
	qry        registryv1.QueryServer
}

// network stands in for the modules that know epochs and weights.
type network struct {
	epoch, keep uint64
	holders     map[string]bool
}

func (n *network) CurrentEpoch(context.Context) (uint64, error) { return n.epoch, nil }
func (n *network) KeepEpochs(context.Context) (uint64, error)   { return n.keep, nil }
func (n *network) Holds(_ context.Context, participant string, _ ...[]byte) (bool, error) {
	return n.holders[participant], nil
}

// services catches what a module registers.
type services struct{ w *world }

func (s services) RegisterService(_ *grpc.ServiceDesc, impl any) {
	switch impl := impl.(type) {
	case registryv1.MsgServer:
		s.w.msg = impl
	case registryv1.QueryServer:
		s.w.qry = impl
	}
}

// emptyWorld has had no genesis yet.
func emptyWorld(t testing.TB) *world {
	t.Helper()
	keys := storetypes.NewKVStoreKeys(authtypes.StoreKey, banktypes.StoreKey,
		collateral.Name, registry.Name)
	ctx := testutil.DefaultContextWithKeys(keys, map[string]*storetypes.TransientStoreKey{},
		map[string]*storetypes.MemoryStoreKey{})
	store := func(name string) corestore.KVStoreService {
		return runtime.NewKVStoreService(keys[name])
	}
	types := codectypes.NewInterfaceRegistry()
	authtypes.RegisterInterfaces(types)
	cdc := codec.NewProtoCodec(types)
	accounts := authkeeper.NewAccountKeeper(cdc, store(authtypes.StoreKey),
		authtypes.ProtoBaseAccount,
		map[string][]string{collateral.Name: {authtypes.Burner}, minter: {authtypes.Minter}},
		addresses, "cpc", authority)
	w := &world{ctx: ctx.WithChainID(chain).WithBlockHeight(1).WithBlockTime(time.Unix(1_000_000,
		0)), network: &network{epoch: epoch, keep: 2, holders: map[string]bool{}}}
	w.bank = bankkeeper.NewBaseKeeper(cdc, store(banktypes.StoreKey), accounts, map[string]bool{},
		account("authority"), log.NewNopLogger())
	var err error
	if w.collateral, err = collateral.NewKeeper(cdc, store(collateral.Name), addresses, "gov",
		accounts, w.bank, denom); err != nil {
		t.Fatal(err)
	}
	if w.Keeper, err = registry.NewKeeper(cdc, store(registry.Name), addresses, authority,
		w.collateral, w.network); err != nil {
		t.Fatal(err)
	}
	if err := registry.NewAppModule(w.Keeper).RegisterServices(services{w}); err != nil {
		t.Fatal(err)
	}
	return w
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := emptyWorld(t)
	if err := errors.Join(w.collateral.InitGenesis(w.ctx, collateral.DefaultGenesis()),
		w.InitGenesis(w.ctx, registry.DefaultGenesis())); err != nil {
		t.Fatal(err)
	}
	return w
}

// cpc is so many coins.
func cpc(n int64) math.Int { return math.NewInt(n).Mul(math.NewIntWithDecimal(1, 18)) }

// fund gives an account coins.
func (w *world) fund(t testing.TB, name string, amount math.Int) {
	t.Helper()
	raw, err := addresses.StringToBytes(account(name))
	coins := sdk.NewCoins(sdk.NewCoin(denom, amount))
	if err := errors.Join(err, w.bank.MintCoins(w.ctx, minter, coins),
		w.bank.SendCoinsFromModuleToAccount(w.ctx, minter, raw, coins)); err != nil {
		t.Fatal(err)
	}
}

// balance is what an account holds outside its deposit.
func (w *world) balance(t testing.TB, name string) math.Int {
	t.Helper()
	b, err := w.collateral.Balance(w.ctx, account(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(name string) ed25519.PrivateKey {
	s := seed.Possession("test key", name, "", nil)
	return ed25519.NewKeyFromSeed(s[:])
}

func account(name string) string {
	addr, err := addresses.BytesToString(key("account " + name)[32:52])
	if err != nil {
		panic(err)
	}
	return addr
}

// registration is a valid message of a participant with two nodes.
func registration(name string) *registryv1.MsgRegister {
	addr := account(name)
	consensus, vrfKey, host := key(name+" consensus"), key(name+" vrf"), key(name+" host")
	return &registryv1.MsgRegister{
		Address: addr, Moniker: name,
		ConsensusKey: consensus[32:], VrfKey: vrfKey[32:], HostKey: host[32:],
		Possession: registry.ProvePossession(chain, addr, consensus, vrfKey, host),
		Nodes:      []registryv1.Node{node(name, "gpu-0"), node(name, "gpu-1")},
	}
}

func node(name, id string) registryv1.Node {
	return registry.ProveNode(chain, account(name), id, key(name+" "+id))
}

func (w *world) register(t testing.TB, name string) registryv1.Participant {
	t.Helper()
	w.fund(t, name, cpc(10))
	if _, err := w.msg.Register(w.ctx, registration(name)); err != nil {
		t.Fatal(err)
	}
	p, err := w.Get(w.ctx, account(name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	got := w.register(t, "alice")
	m := registration("alice")
	want := registryv1.Participant{
		Address: m.Address, Moniker: "alice", ConsensusKey: m.ConsensusKey, VrfKey: m.VrfKey,
		HostKey: m.HostKey,
		Nodes:   m.Nodes, JoinedEpoch: epoch, NodesEpoch: epoch, IdleSince: epoch,
		ReviewEpoch: epoch + 101, Deposit: cpc(10),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	byAddress, found, err := w.ByConsensusAddress(w.ctx, registry.ConsensusAddress(m.ConsensusKey))
	if err != nil || !found || byAddress.Address != m.Address {
		t.Errorf("by consensus address: %v, %v, %v", byAddress.Address, found, err)
	}
	if _, found, _ := w.ByConsensusAddress(w.ctx, make([]byte, 20)); found {
		t.Error("found a consensus address nobody registered")
	}
}

// Holds spec C-16, R-1.
func TestRegisterRefuses(t *testing.T) {
	small := append([]byte{1}, make([]byte, 31)...)
	other := registration("other")
	for name, c := range map[string]struct {
		damage func(*registryv1.MsgRegister)
		want   error
	}{
		"no address": {func(m *registryv1.MsgRegister) { m.Address = "" }, registry.ErrInvalid},
		"another prefix": {func(m *registryv1.MsgRegister) {
			m.Address = "cosmos1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqnrql8a"
		}, registry.ErrInvalid},
		"upper-case address": {func(m *registryv1.MsgRegister) {
			m.Address = strings.ToUpper(m.Address)
		}, registry.ErrInvalid},
		"no moniker": {func(m *registryv1.MsgRegister) { m.Moniker = "" }, registry.ErrInvalid},
		"long moniker": {func(m *registryv1.MsgRegister) {
			m.Moniker = strings.Repeat("é", 65)
		}, registry.ErrInvalid},
		"line in moniker": {func(m *registryv1.MsgRegister) {
			m.Moniker = "a\nb"
		}, registry.ErrInvalid},
		"broken moniker": {func(m *registryv1.MsgRegister) {
			m.Moniker = "a\xff"
		}, registry.ErrInvalid},
		"space before moniker": {func(m *registryv1.MsgRegister) {
			m.Moniker = " a"
		}, registry.ErrInvalid},
		"direction in moniker": {func(m *registryv1.MsgRegister) {
			m.Moniker = "a\u202eb"
		}, registry.ErrInvalid},
		"no consensus key": {func(m *registryv1.MsgRegister) {
			m.ConsensusKey = nil
		}, registry.ErrInvalid},
		"low-order consensus": {func(m *registryv1.MsgRegister) {
			m.ConsensusKey = small
		}, registry.ErrInvalid},
		"low-order vrf": {func(m *registryv1.MsgRegister) {
			m.VrfKey = small
		}, registry.ErrInvalid},
		"low-order host": {func(m *registryv1.MsgRegister) {
			m.HostKey = small
		}, registry.ErrInvalid},
		"low-order device": {func(m *registryv1.MsgRegister) {
			m.Nodes[1].Key = small
		}, registry.ErrInvalid},
		"long host key": {func(m *registryv1.MsgRegister) {
			m.HostKey = append(bytes.Clone(m.HostKey), 0)
		}, registry.ErrInvalid},
		"one key in two roles": {func(m *registryv1.MsgRegister) {
			m.HostKey = m.VrfKey
		}, registry.ErrInvalid},
		"device is host key": {func(m *registryv1.MsgRegister) {
			m.Nodes[0].Key = m.HostKey
		}, registry.ErrInvalid},
		"one device twice": {func(m *registryv1.MsgRegister) {
			m.Nodes[1].Key = m.Nodes[0].Key
		}, registry.ErrInvalid},
		"node without id": {func(m *registryv1.MsgRegister) {
			m.Nodes[0].Id = ""
		}, registry.ErrInvalid},
		"node with odd id": {func(m *registryv1.MsgRegister) {
			m.Nodes[0].Id = "GPU 0"
		}, registry.ErrInvalid},
		"node with long id": {func(m *registryv1.MsgRegister) {
			m.Nodes[0].Id = strings.Repeat("a", 33)
		}, registry.ErrInvalid},
		"one node id twice": {func(m *registryv1.MsgRegister) {
			m.Nodes[1].Id = m.Nodes[0].Id
		}, registry.ErrInvalid},
		"short node proof": {func(m *registryv1.MsgRegister) {
			m.Nodes[0].Proof = m.Nodes[0].Proof[:63]
		}, registry.ErrInvalid},
		"too many nodes": {func(m *registryv1.MsgRegister) {
			for i := range registry.DefaultParams().MaxNodes {
				m.Nodes = append(m.Nodes, node("alice", fmt.Sprint("more-", i)))
			}
		}, registry.ErrInvalid},
		"no possession": {func(m *registryv1.MsgRegister) {
			m.Possession = registryv1.Possession{}
		}, registry.ErrPossession},
		"another's consensus proof": {func(m *registryv1.MsgRegister) {
			m.Possession.Consensus = other.Possession.Consensus
		}, registry.ErrPossession},
		"another's vrf proof": {func(m *registryv1.MsgRegister) {
			m.Possession.Vrf = other.Possession.Vrf
		}, registry.ErrPossession},
		"another's host proof": {func(m *registryv1.MsgRegister) {
			m.Possession.Host = other.Possession.Host
		}, registry.ErrPossession},
		"proofs in swapped roles": {func(m *registryv1.MsgRegister) {
			m.Possession.Consensus, m.Possession.Host = m.Possession.Host, m.Possession.Consensus
		}, registry.ErrPossession},
		"stolen consensus key": {func(m *registryv1.MsgRegister) {
			m.ConsensusKey = other.ConsensusKey
		}, registry.ErrPossession},
		"replayed consensus proof": {func(m *registryv1.MsgRegister) {
			m.ConsensusKey, m.Possession.Consensus = other.ConsensusKey, other.Possession.Consensus
		}, registry.ErrPossession},
		"device proof of another node": {func(m *registryv1.MsgRegister) {
			m.Nodes[0].Proof = m.Nodes[1].Proof
		}, registry.ErrPossession},
		"renamed node": {func(m *registryv1.MsgRegister) {
			m.Nodes[0].Id = "gpu-9"
		}, registry.ErrPossession},
		"device of another's list": {func(m *registryv1.MsgRegister) {
			m.Nodes[0] = other.Nodes[0]
		}, registry.ErrPossession},
		"proofs for another chain": {func(m *registryv1.MsgRegister) {
			m.Possession = registry.ProvePossession("elsewhere", m.Address, key("alice consensus"),
				key("alice vrf"), key("alice host"))
		}, registry.ErrPossession},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fund(t, "alice", cpc(10))
			m := registration("alice")
			c.damage(m)
			if _, err := w.msg.Register(w.ctx, m); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// Holds spec R-1.
func TestKeysAreUnique(t *testing.T) {
	// bob proves possession of keys that he holds, but that alice registered.
	alice := func(role string) ed25519.PrivateKey { return key("alice " + role) }
	for name, take := range map[string]func(*registryv1.MsgRegister){
		"consensus": func(m *registryv1.MsgRegister) {
			m.ConsensusKey = alice("consensus")[32:]
			m.Possession = registry.ProvePossession(chain, m.Address, alice("consensus"),
				key("bob vrf"), key("bob host"))
		},
		"vrf": func(m *registryv1.MsgRegister) {
			m.VrfKey = alice("vrf")[32:]
			m.Possession = registry.ProvePossession(chain, m.Address, key("bob consensus"),
				alice("vrf"), key("bob host"))
		},
		"host": func(m *registryv1.MsgRegister) {
			m.HostKey = alice("host")[32:]
			m.Possession = registry.ProvePossession(chain, m.Address, key("bob consensus"),
				key("bob vrf"), alice("host"))
		},
		"host as a device": func(m *registryv1.MsgRegister) {
			m.Nodes[0] = registry.ProveNode(chain, m.Address, "gpu-0", alice("host"))
		},
		"device": func(m *registryv1.MsgRegister) {
			m.Nodes[1] = registry.ProveNode(chain, m.Address, "gpu-1", alice("gpu-0"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.register(t, "alice")
			m := registration("bob")
			take(m)
			w.fund(t, "bob", cpc(10))
			if _, err := w.msg.Register(w.ctx, m); !errors.Is(err, registry.ErrTaken) {
				t.Errorf("%v, want %v", err, registry.ErrTaken)
			}
		})
	}
	t.Run("account", func(t *testing.T) {
		w := newWorld(t)
		w.register(t, "alice")
		if _, err := w.msg.Register(w.ctx, registration("alice")); !errors.Is(err,
			registry.ErrTaken) {
			t.Errorf("%v, want %v", err, registry.ErrTaken)
		}
	})
}

func TestSetNodes(t *testing.T) {
	w := newWorld(t)
	w.register(t, "alice")
	w.register(t, "bob")
	set := func(name string, nodes ...registryv1.Node) error {
		_, err := w.msg.SetNodes(w.ctx,
			&registryv1.MsgSetNodes{Address: account(name), Nodes: nodes})
		return err
	}
	moved := registry.ProveNode(chain, account("bob"), "gpu-7", key("alice gpu-1"))
	if err := set("bob", moved); !errors.Is(err, registry.ErrTaken) {
		t.Errorf("a device in use: %v", err)
	}
	if err := set("alice", node("alice", "gpu-0"), node("alice", "gpu-2")); err != nil {
		t.Fatal(err)
	}
	p, err := w.Get(w.ctx, account("alice"))
	if err != nil || len(p.Nodes) != 2 || p.Nodes[1].Id != "gpu-2" {
		t.Fatalf("%v, %v", p.Nodes, err)
	}
	if err := set("bob", moved); err != nil {
		t.Errorf("a device that was given up: %v", err)
	}
	if err := set("alice", registryv1.Node{Id: "gpu-0", Key: node("alice", "gpu-0").Key,
		Proof: make([]byte, 64)}); !errors.Is(err, registry.ErrPossession) {
		t.Errorf("a known key with another proof: %v", err)
	}
	if err := set("carol"); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("a stranger: %v", err)
	}
	if err := set("alice"); err != nil {
		t.Errorf("no nodes at all: %v", err)
	}
}

// Governance changes the parameters of the next epoch, within bounds.
func TestUpdateParams(t *testing.T) {
	change := func(f func(*registryv1.Params)) registryv1.Params {
		p := registry.DefaultParams()
		f(&p)
		return p
	}
	nodes := func(n uint32) registryv1.Params {
		return change(func(p *registryv1.Params) { p.MaxNodes = n })
	}
	deposit := func(n math.Int) registryv1.Params {
		return change(func(p *registryv1.Params) { p.RegistrationDeposit = n })
	}
	lapse := func(n uint64) registryv1.Params {
		return change(func(p *registryv1.Params) { p.LapseEpochs = n })
	}
	w := newWorld(t)
	for _, c := range []struct {
		from   string
		params registryv1.Params
		want   error
	}{
		{"somebody", nodes(8), registry.ErrAuthority},
		{authority, nodes(0), registry.ErrParams},
		{authority, nodes(registry.MaxNodes + 1), registry.ErrParams},
		{authority, deposit(math.Int{}), registry.ErrParams},
		{authority, deposit(cpc(-1)), registry.ErrParams},
		{authority, deposit(cpc(1).QuoRaw(10).SubRaw(1)), registry.ErrParams},
		{authority, deposit(cpc(100_000).AddRaw(1)), registry.ErrParams},
		{authority, lapse(2), registry.ErrParams},
		{authority, lapse(10_001), registry.ErrParams},
		{authority, deposit(cpc(100_000)), nil},
		{authority, deposit(cpc(1).QuoRaw(10)), nil},
		{authority, lapse(3), nil},
		{authority, lapse(10_000), nil},
		{authority, nodes(8), nil},
	} {
		_, err := w.msg.UpdateParams(w.ctx,
			&registryv1.MsgUpdateParams{Authority: c.from, Params: c.params})
		if !errors.Is(err, c.want) {
			t.Errorf("%s, %v: %v, want %v", c.from, c.params, err, c.want)
		}
	}
	r, err := w.qry.Params(w.ctx, &registryv1.QueryParamsRequest{})
	if err != nil || r.Params.MaxNodes != registry.DefaultParams().MaxNodes || r.Pending == nil ||
		r.Pending.MaxNodes != 8 {
		t.Errorf("before the next epoch: %v, %v", r, err)
	}
	if err := errors.Join(w.Adopt(w.ctx), w.Adopt(w.ctx)); err != nil {
		t.Fatal(err)
	}
	if r, err := w.qry.Params(w.ctx, &registryv1.QueryParamsRequest{}); err != nil ||
		r.Params.MaxNodes != 8 || r.Pending != nil {
		t.Errorf("in the next epoch: %v, %v", r, err)
	}
}

// Holds spec R-5.
func TestMarks(t *testing.T) {
	w := newWorld(t)
	addr := w.register(t, "alice").Address
	for _, err := range []error{
		w.Jail(w.ctx, addr, 12, "fraud"), w.Jail(w.ctx, addr, 9, "silence"),
		w.Mark(w.ctx, addr, func(p *registryv1.Participant) {
			p.HeartbeatEpoch, p.SilentEpochs, p.CreditedEpoch, p.LotteryFrom,
				p.UnopenedEpoch = 8, 2, 6, 105, 5
			p.ConsensusKey, p.Deposit = nil, math.ZeroInt() // are not for others to change
		}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := w.Get(w.ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	if p.JailedUntil != 12 || p.JailReason != "fraud" || p.HeartbeatEpoch != 8 ||
		p.SilentEpochs != 2 || p.CreditedEpoch != 6 || p.LotteryFrom != 105 ||
		p.UnopenedEpoch != 5 {
		t.Errorf("marks: %v", p)
	}
	if len(p.ConsensusKey) != 32 || !p.Deposit.IsPositive() {
		t.Errorf("a mark changed the key to %x and the deposit to %s", p.ConsensusKey, p.Deposit)
	}
	if err := w.Jail(w.ctx, account("nobody"), 1, ""); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("jailing nobody: %v", err)
	}
}

// Holds spec S-5.
func TestHeartbeat(t *testing.T) {
	w := newWorld(t)
	p := w.register(t, "alice")
	value := seed.Seed{1}
	sig, err := registry.Beat(key("alice consensus"), chain, p.Address, 3, 40, value)
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.VerifyHeartbeat(p, chain, 3, 40, value, sig); err != nil {
		t.Error(err)
	}
	bob := w.register(t, "bob")
	for name, err := range map[string]error{
		"another chain":       registry.VerifyHeartbeat(p, "elsewhere", 3, 40, value, sig),
		"another epoch":       registry.VerifyHeartbeat(p, chain, 4, 40, value, sig),
		"another height":      registry.VerifyHeartbeat(p, chain, 3, 41, value, sig),
		"no height":           registry.VerifyHeartbeat(p, chain, 3, 0, value, sig),
		"another value":       registry.VerifyHeartbeat(p, chain, 3, 40, seed.Seed{2}, sig),
		"another participant": registry.VerifyHeartbeat(bob, chain, 3, 40, value, sig),
		"no signature":        registry.VerifyHeartbeat(p, chain, 3, 40, value, nil),
	} {
		if !errors.Is(err, registry.ErrHeartbeat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := registry.Beat(key("alice consensus"), chain, p.Address, 1, 0, value); err == nil {
		t.Error("signed a heartbeat about no block")
	}
}

func TestQueries(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"alice", "bob", "carol"} {
		w.register(t, name)
	}
	var seen []string
	page := &query.PageRequest{Limit: 2}
	for {
		r, err := w.qry.Participants(w.ctx, &registryv1.QueryParticipantsRequest{Pagination: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Participants {
			seen = append(seen, p.Address)
		}
		if len(r.Pagination.NextKey) == 0 {
			break
		}
		page = &query.PageRequest{Limit: 2, Key: r.Pagination.NextKey}
	}
	want := []string{account("alice"), account("bob"), account("carol")}
	slices.Sort(want)
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if _, err := w.qry.Participants(w.ctx,
		&registryv1.QueryParticipantsRequest{
			Pagination: &query.PageRequest{Limit: 1 << 20}}); err == nil {
		t.Error("gave a page without bounds")
	}
	if _, err := w.qry.Participant(w.ctx,
		&registryv1.QueryParticipantRequest{Address: account("dave")}); err == nil {
		t.Error("found a stranger")
	}
	if vrf.ValidKey(registration("alice").VrfKey) != nil {
		t.Error("the tests' own keys are not valid")
	}
}
