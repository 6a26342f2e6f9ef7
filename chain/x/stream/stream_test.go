// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math"
	"testing"

	"cosmossdk.io/collections"
	"github.com/google/go-cmp/cmp"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
)

const testChain = "streams"

// chain is x/stream alone, with stand-ins for the modules it asks.
type chain struct {
	*Keeper
	ctx     sdk.Context
	store   *storetypes.KVStoreKey
	current uint64
	epoch   sprintv1.Epoch
	members map[string]sprintv1.Member
	leaves  uint64 // of each node's Sprint
	host    ed25519.PrivateKey
}

func (c *chain) CurrentEpoch(context.Context) (uint64, error) { return c.current, nil }
func (c *chain) EpochOf(_ context.Context, n uint64) (sprintv1.Epoch, bool, error) {
	return c.epoch, n > 0 && n == c.epoch.Number, nil
}
func (c *chain) MemberOf(_ context.Context, _ uint64, who string) (sprintv1.Member, bool, error) {
	m, ok := c.members[who]
	return m, ok, nil
}
func (c *chain) NodeLeaves(context.Context, uint64, string, string) (uint64, error) {
	return c.leaves, nil
}
func (c *chain) Value(_ context.Context, height int64) (seed.Seed, error) {
	return seed.Seed(sha256.Sum256(fmt.Append(nil, height))), nil
}

// Of the epoch of a test: its window was 100 to 149, and it is block 200.
const (
	testEpoch  = 7
	testHeight = 200
)

// begin is a chain in an epoch with streams on, with one participant of two nodes.
func begin(t testing.TB) *chain {
	t.Helper()
	c := &chain{store: storetypes.NewKVStoreKey(Name), current: testEpoch, leaves: 5_000,
		host: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))}
	c.epoch = sprintv1.Epoch{Number: testEpoch, Start: 80, ComputeStart: 100, ComputeEnd: 149,
		WrapupUntil: 152, Phase: sprintv1.PhaseServe, Seed1: bytes.Repeat([]byte{1}, 32),
		Seed2: bytes.Repeat([]byte{2}, 32)}
	c.epoch.Params.Class, c.epoch.Params.EpochBlocks = "nano", 1_000
	c.members = map[string]sprintv1.Member{"alice": {Participant: "alice",
		Nodes: []string{"a", "b"}, HostKey: c.host.Public().(ed25519.PublicKey)}}
	c.ctx = testutil.DefaultContext(c.store, storetypes.NewTransientStoreKey("transient")).
		WithChainID(testChain).WithBlockHeight(testHeight)
	c.Keeper = NewKeeper(codec.NewProtoCodec(codectypes.NewInterfaceRegistry()),
		runtime.NewKVStoreService(c.store), "gov", c, c)
	p := DefaultParams()
	p.EnableContinuousPoc = true
	if err := c.InitGenesis(c.ctx, streamv1.GenesisState{Params: p}); err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(c.ctx, testEpoch); err != nil {
		t.Fatal(err)
	}
	return c
}

// state is all that the module stores.
func (c *chain) state() map[string][]byte {
	out := map[string][]byte{}
	all := c.ctx.KVStore(c.store).Iterator(nil, nil)
	defer all.Close()
	for ; all.Valid(); all.Next() {
		out[string(all.Key())] = bytes.Clone(all.Value())
	}
	return out
}

// message is a commit that is taken in block 200.
func (c *chain) message() *streamv1.MsgSubmitContinuousPoCCommit {
	return &streamv1.MsgSubmitContinuousPoCCommit{Creator: "alice", EpochIndex: testEpoch,
		NonceCount: 100, RootHash: bytes.Repeat([]byte{9}, 32), InferenceCount: 4,
		GpuUtilizationBps: 2_500, Node: "a", Number: 4, SeedHeight: 190}
}

// statement is what the host key signs of a commit.
func (c *chain) statement(m *streamv1.MsgSubmitContinuousPoCCommit) commit.Statement {
	value, _ := c.Value(c.ctx, m.SeedHeight)
	segment := 1000 + m.Number
	st := commit.Statement{Chain: testChain, Epoch: m.EpochIndex, Segment: segment,
		Participant: m.Creator, Node: m.Node, Class: "nano", Count: uint64(m.NonceCount),
		SegmentSeed: commit.Hash(seed.Segment(seed.From(c.epoch.Seed2), segment, value))}
	copy(st.Seed1[:], c.epoch.Seed1)
	copy(st.Root[:], m.RootHash)
	return st
}

func (c *chain) sign(m *streamv1.MsgSubmitContinuousPoCCommit) {
	m.Signature = c.statement(m).Sign(c.host)
}

func (c *chain) send(m *streamv1.MsgSubmitContinuousPoCCommit) error {
	_, err := msgServer{c.Keeper}.SubmitContinuousPoCCommit(c.ctx, m)
	return err
}

// node sets how far node a is.
func (c *chain) node(t testing.TB, n streamv1.Node) {
	t.Helper()
	n.Participant, n.Node = "alice", "a"
	if err := c.nodes.Set(c.ctx, collections.Join3(uint64(testEpoch), "alice", "a"),
		n); err != nil {
		t.Fatal(err)
	}
}

// The bound is exact beyond 64 bits, rounds down, and is nothing for no time and for devices that
// were busy all the time.
// Holds spec T-4.
func TestBound(t *testing.T) {
	p := DefaultParams()
	most := p
	most.GrowthBps, most.PocUtilizationTargetBps = 30_000, 10_000
	for _, c := range []struct {
		name           string
		p              streamv1.Params
		leaves, window uint64
		blocks         int64
		utilization    uint32
		want           uint64
	}{
		{"a minute of an idle machine", p, 60_000, 60, 12, 0, 17_910}, // 12,000 x 1.5 x 0.995
		{"half busy", p, 60_000, 60, 12, 5_000, 8_955},
		{"one part in 10,000 idle", p, 60_000, 60, 12, 9_999, 1}, // 1.791
		{"busy", p, 60_000, 60, 12, 10_000, 0},
		{"more than busy", p, 60_000, 60, 12, math.MaxUint32, 0},
		{"no time", p, 60_000, 60, 0, 0, 0},
		{"less than no time", p, 60_000, 60, -5, 0, 0},
		{"no window", p, 60_000, 0, 12, 0, 0},
		{"nothing in the Sprint", p, 0, 60, 12, 0, 0},
		{"just below one", p, 1, 199, 133, 0, 0}, // 0.997...
		{"just above one", p, 1, 199, 134, 0, 1}, // 1.005...
		{"exactly", most, 7, 1, 11, 0, 231},      // 7 x 3 x 11
		{"a product of 83 bits", most, 1 << 47, 60, 1_000, 0, 7_036_874_417_766_400},
		{"a product of more", most, 1<<63 - 1, 9, 3, 0, 1<<63 - 1},
		{"a result beyond 64 bits", most, math.MaxUint64, 1, math.MaxInt64, 0, math.MaxUint64},
	} {
		if got := streamv1.MayCommit(c.p, c.leaves, c.window, c.blocks,
			c.utilization); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// A part of what is credited counts, and never more than a part of the Sprint.
// Holds spec T-7.
func TestCounts(t *testing.T) {
	p := DefaultParams() // a tenth, at most twice
	for _, c := range []struct{ credited, sprint, counts, most uint64 }{
		{0, 100, 0, 200}, {9, 100, 0, 200}, {10, 100, 1, 200}, {1_999, 100, 199, 200},
		{2_000, 100, 200, 200}, {1 << 60, 100, 200, 200}, {1 << 60, 0, 0, 0},
		{math.MaxUint64, math.MaxUint64, math.MaxUint64 / 10, math.MaxUint64},
	} {
		if got := counts(p, c.credited, c.sprint); got != c.counts {
			t.Errorf("%d credited beside %d count %d, want %d", c.credited, c.sprint, got, c.counts)
		}
		if got := capOf(p, c.sprint); got != c.most {
			t.Errorf("beside %d count at most %d, want %d", c.sprint, got, c.most)
		}
	}
	p.StreamCapBps, p.NonceWeight = 3_333, 1
	if got := counts(p, 1_000, 100); got != 33 {
		t.Errorf("a third of 100 is %d", got)
	}
	if p.StreamCapBps = 0; counts(p, 1_000, 100) != 0 {
		t.Error("with a cap of nothing something counts")
	}
}

// No vote passes the bounds of a parameter, which are these.
func TestParamsAtAndBeyondTheirBounds(t *testing.T) {
	for _, c := range []struct {
		name                      string
		field                     func(*streamv1.Params) *uint32
		main, localnet, low, high uint32
	}{
		{"poc_utilization_target_bps", func(p *streamv1.Params) *uint32 {
			return &p.PocUtilizationTargetBps
		}, 9_950, 9_950, 1, 10_000},
		{"nonce_weight", func(p *streamv1.Params) *uint32 { return &p.NonceWeight }, 10, 10, 1,
			1_000_000},
		{"max_commits_per_epoch", func(p *streamv1.Params) *uint32 {
			return &p.MaxCommitsPerEpoch
		}, 100, 100, 1, 1_000},
		{"min_nonces_per_commit", func(p *streamv1.Params) *uint32 {
			return &p.MinNoncesPerCommit
		}, 10, 10, 1, 1_000_000},
		{"stream_samples", func(p *streamv1.Params) *uint32 { return &p.StreamSamples }, 200, 200,
			60, 1_000},
		{"max_seed_age_blocks", func(p *streamv1.Params) *uint32 { return &p.MaxSeedAgeBlocks },
			120, 20, 10, 1_000},
		{"growth_bps", func(p *streamv1.Params) *uint32 { return &p.GrowthBps }, 15_000, 15_000,
			10_000, 30_000},
		{"stream_cap_bps", func(p *streamv1.Params) *uint32 { return &p.StreamCapBps }, 20_000,
			20_000, 0, 100_000},
	} {
		main, local := DefaultParams(), LocalnetParams()
		if *c.field(&main) != c.main || *c.field(&local) != c.localnet {
			t.Errorf("%s is %d, of a localnet %d", c.name, *c.field(&main), *c.field(&local))
		}
		try := func(v uint32, fits bool) {
			t.Helper()
			p := DefaultParams()
			*c.field(&p) = v
			if err := ValidateParams(p); (err == nil) != fits || err != nil &&
				!bytes.Contains([]byte(err.Error()), []byte(c.name)) {
				t.Errorf("%s = %d: %v", c.name, v, err)
			}
		}
		try(c.low, true)
		try(c.high, true)
		try(c.high+1, false)
		try(math.MaxUint32, false)
		if c.low > 0 {
			try(c.low-1, false)
			try(0, false)
		}
	}
	if DefaultParams().EnableContinuousPoc || !LocalnetParams().EnableContinuousPoc {
		t.Error("streams are off until a vote turns them on, and on in a localnet")
	}
}

// A vote acts with the next epoch; the terms of one that runs stay.
// Holds spec T-1, T-10.
func TestParametersActFromTheNextEpochOn(t *testing.T) {
	c := begin(t)
	p := DefaultParams()
	p.NonceWeight = 33
	set := func(authority string, p streamv1.Params) error {
		_, err := msgServer{c.Keeper}.UpdateParams(c.ctx,
			&streamv1.MsgUpdateParams{Authority: authority, Params: p})
		return err
	}
	was := c.state()
	bad := p
	bad.GrowthBps = 9_999
	if set("alice", p) == nil || set("gov", bad) == nil {
		t.Error("a stranger, or a value out of bounds, changes parameters")
	}
	if d := cmp.Diff(was, c.state()); d != "" {
		t.Errorf("a refused change writes:\n%s", d)
	}
	if err := set("gov", p); err != nil {
		t.Fatal(err)
	}
	weight := func(epoch uint64) uint32 {
		t.Helper()
		p, err := c.termsOf(c.ctx, epoch)
		if err != nil {
			t.Fatal(err)
		}
		return p.NonceWeight
	}
	if weight(testEpoch) != 10 {
		t.Error("a vote changes the epoch that runs")
	}
	if err := c.Begin(c.ctx, testEpoch+1); err != nil {
		t.Fatal(err)
	}
	if weight(testEpoch+1) != 33 || weight(testEpoch) != 10 || weight(testEpoch+2) != 10 {
		t.Errorf("terms %d, %d before, %d of an epoch that did not begin", weight(testEpoch+1),
			weight(testEpoch), weight(testEpoch+2))
	}
}
