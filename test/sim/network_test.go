// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	abci "github.com/cometbft/cometbft/abci/types"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// cpc is so many coins in base units.
func cpc(n int64) math.Int { return math.NewIntWithDecimal(n, 18) }

const chainID = "assay-sim"

// maxBlocks is how long a test waits for anything, in blocks.
const maxBlocks = 400

// simParams are the shortest windows that ValidateParams lets through.
func simParams() sprintv1.Params {
	p := sprint.LocalnetParams()
	p.Samples, p.Segments, p.SegmentBlocks, p.CommitBlocks = 32, 2, 2, 2
	p.PrepareBlocks, p.ProofBlocks, p.ValidateBlocks, p.RevealBlocks,
		p.DisputeBlocks = 4, 3, 3, 3, 2
	p.Slots, p.Replicas, p.SilenceEpochs, p.MinClaimLeaves = 16, 4, 2, 16
	p.EpochBlocks = 0
	return p
}

// network is a chain with its hosts.
type network struct {
	t      testing.TB
	app    *app.App
	engine units
	params sprintv1.Params
	court  courtv1.Params
	cover  collateralv1.Params
	stream streamv1.Params
	hosts  []*host
	byAddr map[string]*host

	height int64
	value  seed.Seed // of the beacon at height
	// sets[i] is the validator set of height+1+i
	sets [2]*cmttypes.ValidatorSet
	// powers CometBFT was told, by key and by participant
	byKey, told map[string]int64

	// of the start: machines of those that do not have just gpu-1, and whether hot keys sign
	nodes   map[string][]string
	jailed  map[string]uint64
	hotKeys bool
	// strangers have an account in genesis and nothing else
	strangers []string

	// absent hosts' nodes are down; signed is the set of the last block
	absent map[string]outage
	signed *cmttypes.ValidatorSet
	// misbehaviour goes into the next block.
	misbehaviour []abci.Misbehavior
	// queue of transactions for the next block beside those of the hosts.
	queue [][]byte
	// last block's results, by transaction, without the beacon's
	results []*abci.ExecTxResult
	updates []abci.ValidatorUpdate
	events  []abci.Event
	// took is how long FinalizeBlock was about the last block
	took time.Duration
	// accounts so far
	accounts uint64

	// what was asked before: members as of a height, openings of an epoch
	membersAt int64
	membersOf uint64
	roster    map[string]sprintv1.Member
	shownIn   uint64
	shown     map[string]shown

	// home and gas of a block, of a network whose app fills blocks itself
	home   string
	maxGas int64

	// unjudged blocks skip ProcessProposal: a benchmark puts more into one than a block may carry
	unjudged bool

	// money as of the last block that was audited, and what the bank said since that it minted and
	// burned
	audited        creditv1.QueryAuditResponse
	coined, burned math.Int
}

type option func(*network)

func withParams(f func(*sprintv1.Params)) option { return func(n *network) { f(&n.params) } }

// withJudging sets how many units the chain recomputes in a block; the class is nano.
func withJudging(units uint64) option {
	return func(n *network) { n.court.JudgeMiopsPerBlock = units * transformer.Nano.MiOps() }
}

// withPrice sets what covers a unit of weight, in acpc.
func withPrice(price int64) option {
	return func(n *network) { n.cover.CollateralPerUnit = math.NewInt(price) }
}

// withUnits replaces the stand-in engine.
func withUnits(u units) option { return func(n *network) { n.engine = u } }

// withNodes gives a member these machines.
func withNodes(name string, nodes ...string) option {
	return func(n *network) { n.nodes[name] = nodes }
}

// withJailed starts with a member in jail until an epoch.
func withJailed(name string, until uint64) option {
	return func(n *network) { n.jailed[name] = until }
}

// withHotKeys has every host sign with a second key; it may do so once grant has run.
func withHotKeys() option { return func(n *network) { n.hotKeys = true } }

// start makes a network whose members have equal weight in genesis.
func start(t testing.TB, members int, options ...option) *network {
	t.Helper()
	names := make([]string, members)
	for i := range names {
		names[i] = fmt.Sprintf("p%d", i+1)
	}
	return startNamed(t, names, func(string) uint64 { return 1000 }, options...)
}

// startNamed makes a network of named members with weights of their own.
func startNamed(t testing.TB, names []string, weight func(name string) uint64,
	options ...option) *network {
	t.Helper()
	n := &network{t: t, params: simParams(), court: court.LocalnetParams(),
		cover: collateral.LocalnetParams(), stream: stream.DefaultParams(), engine: &standIn{},
		byAddr: map[string]*host{}, nodes: map[string][]string{}, jailed: map[string]uint64{},
		told: map[string]int64{}, absent: map[string]outage{}}
	for _, o := range options {
		o(n)
	}
	n.newApp()
	for _, name := range names {
		h := newHost(name, "gpu-1")
		if nodes := n.nodes[name]; nodes != nil {
			h = newHost(name, nodes...)
		}
		n.addHost(h)
		if n.hotKeys {
			h.hot = &hotKey{key: &secp256k1.PrivKey{Key: secret("hot", name)}, account: n.accounts}
			n.accounts++
		}
	}
	members := slices.Clone(n.hosts)
	for _, name := range n.strangers {
		n.addHost(newHost(name, "gpu-1"))
	}
	n.initChain(n.genesis(members, weight), 1)
	return n
}

type appOptions map[string]any

func (o appOptions) Get(key string) any { return o[key] }

func (n *network) newApp() {
	n.t.Helper()
	a, err := app.New(log.NewTestLoggerError(n.t), dbm.NewMemDB(), n.engine,
		appOptions{"home": n.home}, baseapp.SetChainID(chainID))
	if err != nil {
		n.t.Fatalf("app: %v", err)
	}
	n.app = a
}

func (n *network) addHost(h *host) {
	h.net, h.account = n, n.accounts
	n.accounts++
	n.hosts = append(n.hosts, h)
	n.byAddr[h.addr] = h
}

// genesis is a state whose members are registered, equal in power as far as their weights are.
func (n *network) genesis(members []*host,
	weight func(name string) uint64) map[string]json.RawMessage {
	n.t.Helper()
	cdc := n.app.Encoding().Codec
	state := n.app.DefaultGenesis()

	accounts := []authtypes.GenesisAccount{}
	purse := banktypes.DefaultGenesisState()
	open := func(address sdk.AccAddress, number uint64) {
		accounts = append(accounts, authtypes.NewBaseAccount(address, nil, number, 0))
		coins := sdk.NewCoins(sdk.NewCoin(app.Denom, cpc(1_000)))
		purse.Balances = append(purse.Balances,
			banktypes.Balance{Address: address.String(), Coins: coins})
		purse.Supply = purse.Supply.Add(coins...)
	}
	for _, h := range n.hosts {
		open(h.account32(), h.account)
		if h.hot != nil {
			open(sdk.AccAddress(h.hot.key.PubKey().Address()), h.hot.account)
		}
	}
	state[banktypes.ModuleName] = cdc.MustMarshalJSON(purse)
	state[authtypes.ModuleName] =
		cdc.MustMarshalJSON(authtypes.NewGenesisState(authtypes.DefaultParams(), accounts))

	slices.SortFunc(members, func(a, b *host) int { return strings.Compare(a.addr, b.addr) })
	reg := registryv1.GenesisState{Params: registry.LocalnetParams()}
	cred := creditv1.GenesisState{Params: credit.LocalnetParams()}
	var total uint64
	seated := map[string]bool{} // as many sit in the set as after an epoch
	for _, h := range members {
		if w := weight(h.name); w > 0 && len(seated) < int(cred.Params.MaxValidators) {
			total += w
			seated[h.name] = true
		}
	}
	for _, h := range members {
		msg := h.registration()
		reg.Participants = append(reg.Participants,
			registryv1.Participant{Address: h.addr, Moniker: h.name,
				ConsensusKey: msg.ConsensusKey, VrfKey: msg.VrfKey, HostKey: msg.HostKey,
				Nodes: msg.Nodes, JailedUntil: n.jailed[h.name],
				// as if it had registered before the first epoch
				ReviewEpoch: 1 + reg.Params.LapseEpochs})
		reg.Possessions = append(reg.Possessions, msg.Possession)
		if w := weight(h.name); w > 0 {
			holding := creditv1.Holding{Participant: h.addr, Weight: w}
			if seated[h.name] {
				holding.Power, holding.ConsensusKey = w*credit.TotalPower/total, msg.ConsensusKey
			}
			cred.Holdings = append(cred.Holdings, holding)
		}
	}
	state[govtypes.ModuleName] = cdc.MustMarshalJSON(governance())
	state[registry.Name] = cdc.MustMarshalJSON(&reg)
	state[credit.Name] = cdc.MustMarshalJSON(&cred)
	state[beacon.Name] = cdc.MustMarshalJSON(beacon.DefaultGenesis())
	state[collateral.Name] = cdc.MustMarshalJSON(&collateralv1.GenesisState{Params: n.cover})
	state[court.Name] = cdc.MustMarshalJSON(&courtv1.GenesisState{Params: n.court})
	state[stream.Name] = cdc.MustMarshalJSON(&streamv1.GenesisState{Params: n.stream})
	state[sprint.Name] = cdc.MustMarshalJSON(&sprintv1.GenesisState{Params: n.params,
		NextParams: n.params})
	return state
}

// governance is that of a localnet: votes of a minute.
func governance() *govv1.GenesisState {
	voting, expedited := time.Minute, 30*time.Second
	p := govv1.DefaultParams()
	p.MinDeposit = sdk.NewCoins(sdk.NewCoin(app.Denom, cpc(1)))
	p.ExpeditedMinDeposit = sdk.NewCoins(sdk.NewCoin(app.Denom, cpc(5)))
	p.VotingPeriod, p.ExpeditedVotingPeriod, p.MaxDepositPeriod = &voting, &expedited, &voting
	g := govv1.NewGenesisState(govv1.DefaultStartingProposalID, p)
	g.Constitution = app.Constitution{MinVoting: voting / 2, MinExpedited: expedited / 2,
		UpgradeNotice: 20}.String()
	return g
}

// initChain starts the chain from a state, at a height.
func (n *network) initChain(state map[string]json.RawMessage, initial int64) {
	n.t.Helper()
	if err := n.app.ValidateGenesis(state); err != nil {
		n.t.Fatalf("genesis: %v", err)
	}
	raw, err := json.Marshal(state)
	if err != nil {
		n.t.Fatal(err)
	}
	params := cmttypes.DefaultConsensusParams().ToProto()
	// the largest that governance may choose
	params.Block.MaxBytes, params.Block.MaxGas = 21<<20, cmp.Or(n.maxGas, 10_000_000_000)
	res, err := n.app.InitChain(&abci.RequestInitChain{ChainId: chainID, Time: blockTime(initial),
		InitialHeight: initial, AppStateBytes: raw, ConsensusParams: &params})
	if err != nil {
		n.t.Fatalf("InitChain: %v", err)
	}
	n.byKey = map[string]int64{}
	var vals []*cmttypes.Validator
	for _, u := range res.Validators {
		vals = append(vals, cmttypes.NewValidator(cmted25519.PubKey(u.PubKey.GetEd25519()),
			u.Power))
		n.told[n.owner(u)] = u.Power
		n.byKey[string(u.PubKey.GetEd25519())] = u.Power
	}
	set := cmttypes.NewValidatorSet(vals)
	n.sets = [2]*cmttypes.ValidatorSet{set, set.CopyIncrementProposerPriority(1)}
	n.signed, n.height = nil, initial-1
}

func (n *network) owner(u abci.ValidatorUpdate) string { return n.ownerOf(u.PubKey.GetEd25519()) }

func (n *network) ownerOf(key []byte) string {
	for _, h := range n.hosts {
		if string(h.consensusKey()) == string(key) || h.keyOf(key) != nil {
			return h.name
		}
	}
	n.t.Fatalf("the key of a validator is nobody's: %x", key)
	return ""
}

func blockTime(height int64) time.Time { return time.Unix(1_700_000_000+height, 0).UTC() }

// ctx reads (and, in a scratch copy, writes) the committed state as of the next block.
func (n *network) ctx() sdk.Context {
	//lint:ignore SA1019 the others give contexts of a block, and this is between two
	return n.app.NewUncachedContext(false, cmtproto.Header{ChainID: chainID, Height: n.height,
		Time: blockTime(n.height)})
}

// scratch is a copy of the state as the messages of the next block find it; nothing written there
// is kept.
func (n *network) scratch() sdk.Context {
	ctx, _ := n.ctx().WithBlockHeight(n.height + 1).CacheContext()
	return ctx
}

// handle gives a message to its handler, without a transaction around it.
func (n *network) handle(ctx sdk.Context, msg sdk.Msg) error {
	n.t.Helper()
	handler := n.app.MsgServiceRouter().Handler(msg)
	if handler == nil {
		n.t.Fatalf("no handler for %T", msg)
	}
	_, err := handler(ctx, msg)
	return err
}

// exported is all of x/sprint's state.
func (n *network) exported(ctx sdk.Context) []byte {
	n.t.Helper()
	g, err := n.app.Sprint.ExportGenesis(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	raw, err := g.Marshal()
	if err != nil {
		n.t.Fatal(err)
	}
	return raw
}

// state is all that our modules hold that a message may change.
func (n *network) state(ctx sdk.Context) []byte {
	n.t.Helper()
	raw := n.exported(ctx)
	add := func(g interface{ Marshal() ([]byte, error) }, err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatal(err)
		}
		b, err := g.Marshal()
		if err != nil {
			n.t.Fatal(err)
		}
		raw = append(raw, b...)
	}
	add(n.app.Court.ExportGenesis(ctx))
	add(n.app.Registry.ExportGenesis(ctx))
	add(n.app.Credit.ExportGenesis(ctx))
	add(n.app.Collateral.ExportGenesis(ctx))
	add(n.app.Stream.ExportGenesis(ctx))
	return raw
}

// proposer of the next block.
func (n *network) proposer() *host {
	key := n.sets[0].GetProposer().PubKey.Bytes()
	for _, h := range n.hosts {
		if string(h.consensusKey()) == string(key) || h.keyOf(key) != nil {
			return h
		}
	}
	n.t.Fatal("the proposer has no host")
	return nil
}

// block makes the next block of these transactions. Its results are in n.results.
func (n *network) block(txs ...[]byte) {
	n.t.Helper()
	if n.stands() {
		n.t.Fatalf("no block %d: a third of the power is absent", n.height+1)
	}
	for n.absent[n.proposer().name] > 0 { // a round without a proposal
		n.sets[0].IncrementProposerPriority(1)
	}
	height, p := n.height+1, n.proposer()
	address := n.sets[0].GetProposer().Address
	alpha := seed.BeaconAlpha(chainID, uint64(height), n.value)
	name, err := app.Addresses().BytesToString(address)
	if err != nil {
		n.t.Fatal(err)
	}
	proof, err := beacon.EncodeTx(&beaconv1.MsgPublish{Proposer: name,
		Proof: vrf.Prove(p.vrf, alpha[:])})
	if err != nil {
		n.t.Fatal(err)
	}
	all := append([][]byte{proof}, txs...)
	if !n.unjudged {
		judged, err := n.app.ProcessProposal(&abci.RequestProcessProposal{Height: height,
			Time: blockTime(height), Txs: all, ProposerAddress: address,
			Misbehavior: n.misbehaviour, ProposedLastCommit: n.commit()})
		if err != nil {
			n.t.Fatalf("ProcessProposal %d: %v", height, err)
		}
		if judged.Status != abci.ResponseProcessProposal_ACCEPT {
			n.t.Fatalf("block %d was rejected", height)
		}
	}
	began := time.Now()
	res, err := n.app.FinalizeBlock(&abci.RequestFinalizeBlock{Height: height,
		Time: blockTime(height), Txs: all, ProposerAddress: address, Misbehavior: n.misbehaviour,
		DecidedLastCommit: n.commit()})
	n.took = time.Since(began)
	if err != nil {
		n.t.Fatalf("FinalizeBlock %d: %v", height, err)
	}
	if _, err := n.app.Commit(); err != nil {
		n.t.Fatalf("Commit %d: %v", height, err)
	}
	n.height, n.misbehaviour = height, nil
	n.results, n.updates, n.events = res.TxResults[1:], res.ValidatorUpdates, res.Events
	latest, err := n.app.Beacon.Value(n.ctx(), height)
	if err != nil {
		n.t.Fatal(err)
	}
	n.value = latest
	if n.count(res); len(n.hosts) <= 200 {
		n.conserved()
	}
	n.rotate()
	n.takeKeys()
}

// rotate applies what the last block said about validators to the block after the next, as CometBFT
// does.
func (n *network) rotate() {
	n.t.Helper()
	var changes []*cmttypes.Validator
	for _, u := range n.updates {
		changes = append(changes,
			cmttypes.NewValidator(cmted25519.PubKey(u.PubKey.GetEd25519()), u.Power))
		if n.byKey[string(u.PubKey.GetEd25519())] = u.Power; u.Power == 0 {
			delete(n.byKey, string(u.PubKey.GetEd25519()))
		}
	}
	clear(n.told)
	for key, power := range n.byKey {
		n.told[n.ownerOf([]byte(key))] += power
	}
	sum := int64(0)
	for _, p := range n.told {
		sum += p
	}
	if sum != credit.TotalPower {
		n.t.Fatalf("after block %d the validators have %d of power in all, want %d in every set",
			n.height, sum, credit.TotalPower)
	}
	next := n.sets[1].Copy()
	if len(changes) > 0 {
		if err := next.UpdateWithChangeSet(changes); err != nil {
			n.t.Fatalf("validator updates of block %d: %v", n.height, err)
		}
	}
	next.IncrementProposerPriority(1)
	n.signed, n.sets[0], n.sets[1] = n.sets[0], n.sets[1], next
}

// words are the transactions of hosts for one block, after those in the queue.
type words struct {
	txs  [][]byte
	from []*host
	msgs [][]sdk.Msg
}

// step lets every host act on the committed state and makes the next block.
func (n *network) step() {
	n.t.Helper()
	n.deliver(n.listen())
}

// listen lets every host act on the committed state.
func (n *network) listen() (w words) {
	n.t.Helper()
	now := n.now()
	for _, h := range n.hosts {
		if n.absent[h.name] == gone {
			continue
		}
		msgs := h.act(now)
		if len(msgs) == 0 {
			continue
		}
		w.txs, w.from, w.msgs = append(w.txs, h.tx(msgs...)), append(w.from, h),
			append(w.msgs, msgs)
	}
	return w
}

// deliver makes the next block. A message of an honest host that the chain refuses fails the test.
func (n *network) deliver(w words) {
	n.t.Helper()
	queue := n.queue
	n.queue = nil
	n.block(append(queue, w.txs...)...)
	for i, h := range w.from {
		if r := n.results[len(queue)+i]; r.Code != 0 && h.cheat.refused == nil {
			n.t.Fatalf("block %d refused %s of %s: %s", n.height, sdk.MsgTypeURL(w.msgs[i][0]),
				h.name, r.Log)
		} else if r.Code != 0 {
			h.cheat.refused(w.msgs[i][0], r.Log)
		}
	}
}

// until makes blocks until the committed state is as wanted.
func (n *network) until(what string, wanted func(e sprintv1.Epoch) bool) sprintv1.Epoch {
	n.t.Helper()
	for i := 0; i < maxBlocks; i++ {
		if e := n.now().Epoch; wanted(e) {
			return e
		}
		n.step()
	}
	now := n.now()
	n.t.Fatalf("after %d blocks there is no %s: epoch %d is in %s, %s", maxBlocks, what,
		now.Epoch.Number, now.Epoch.Phase, now.Reason)
	return sprintv1.Epoch{}
}

// phase makes blocks until an epoch is in a phase.
func (n *network) phase(epoch uint64, p sprintv1.Phase) sprintv1.Epoch {
	n.t.Helper()
	return n.until(fmt.Sprintf("%s of epoch %d", p, epoch), func(e sprintv1.Epoch) bool {
		if e.Number > epoch {
			n.t.Fatalf("epoch %d is over before it was in %s", epoch, p)
		}
		return e.Number == epoch && e.Phase == p
	})
}

// finish makes blocks until an epoch is finalised and returns its record and what it meant, by
// name.
func (n *network) finish(epoch uint64) (sprintv1.Epoch, map[string]sprintv1.Outcome) {
	n.t.Helper()
	e := n.phase(epoch, sprintv1.PhaseFinalised)
	return e, n.outcomes(epoch)
}

func (n *network) now() sprintv1.QueryCurrentResponse {
	n.t.Helper()
	res, err := n.query().Current(context.Background(), &sprintv1.QueryCurrentRequest{})
	if err != nil {
		n.t.Fatal(err)
	}
	return *res
}

// query asks the committed state through the routes that gRPC uses.
func (n *network) query() sprintv1.QueryClient {
	return sprintv1.NewQueryClient(conn{n.app, n.ctx()})
}
