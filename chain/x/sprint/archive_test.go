// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"cosmossdk.io/collections"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/commit"
)

// bare is a keeper with a store and nothing around it.
func bare(t testing.TB) (*Keeper, sdk.Context, *storetypes.KVStoreKey) {
	t.Helper()
	key := storetypes.NewKVStoreKey(Name)
	ctx := testutil.DefaultContext(key, storetypes.NewTransientStoreKey("transient"))
	return NewKeeper(codec.NewProtoCodec(codectypes.NewInterfaceRegistry()),
		runtime.NewKVStoreService(key), "", nil, nil, nil, nil, nil), ctx, key
}

// committed is an epoch with so many participants, each of which committed one log in each segment.
func committed(t testing.TB, k *Keeper, ctx sdk.Context, participants,
	segments int) sprintv1.Epoch {
	t.Helper()
	e := sprintv1.Epoch{Number: 3, Seed1: bytes.Repeat([]byte{1}, 32),
		Params: sprintv1.Params{Class: "small"}}
	for s := range segments {
		e.Segments = append(e.Segments,
			sprintv1.Segment{Index: uint32(s + 1), Seed: bytes.Repeat([]byte{byte(s + 2)}, 32)})
	}
	for p := range participants {
		m := sprintv1.Member{Participant: fmt.Sprintf("cpc1%038d", p),
			HostKey: binary.BigEndian.AppendUint64(make([]byte, 24), uint64(p))}
		if err := k.setMember(ctx, e.Number, m); err != nil {
			t.Fatal(err)
		}
		for s := range segments {
			c := sprintv1.Commit{Participant: m.Participant, Node: "w1", Segment: uint32(s + 1),
				Count: uint64(p) + 1, Root: bytes.Repeat([]byte{byte(p)}, 32),
				Signature: make([]byte, 64)}
			if err := k.commits.Set(ctx, collections.Join4(e.Number, c.Participant, c.Node,
				c.Segment), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	return e
}

// The record lies where proofs of the state look for it, and holds the root over all commits in the
// order of their keys.
// Holds spec S-14.
func TestArchiveIsWhereProofsLook(t *testing.T) {
	k, ctx, key := bare(t)
	e := committed(t, k, ctx, 5, 2)
	if err := k.archive(ctx, e); err != nil {
		t.Fatal(err)
	}
	var log commit.Log
	for p := range 5 {
		for s := range 2 {
			l := commit.ArchiveLeaf{Participant: fmt.Sprintf("cpc1%038d", p), Node: "w1",
				Segment: uint32(s + 1), Count: uint64(p) + 1,
				Root: commit.Hash(bytes.Repeat([]byte{byte(p)}, 32))}
			l.HostKey[31] = byte(p)
			log.Append(l.Hash())
		}
	}
	root := log.Root()
	want := sprintv1.Archive{Epoch: 3, Class: "small", Seed1: e.Seed1,
		SegmentSeeds: [][]byte{e.Segments[0].Seed, e.Segments[1].Seed}, Commits: 10, Root: root[:]}
	raw, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got := ctx.KVStore(key).Get(sprintv1.ArchiveKey(3)); !bytes.Equal(got, raw) {
		t.Errorf("under %x: %x, want %x", sprintv1.ArchiveKey(3), got, raw)
	}
}

func TestGenesisRefusesArchives(t *testing.T) {
	good := func() sprintv1.GenesisState {
		g := DefaultGenesis()
		g.Epoch, g.Epochs = 3, []sprintv1.Epoch{{Number: 3, Params: DefaultParams(),
			Phase: sprintv1.PhasePrepare}}
		g.Progress = &sprintv1.Progress{}
		for epoch := uint64(1); epoch <= 3; epoch++ {
			a := sprintv1.Archive{Epoch: epoch, Class: "nano", Seed1: make([]byte, 32),
				SegmentSeeds: [][]byte{make([]byte, 32)}, Commits: 1, Root: make([]byte, 32)}
			g.Archives = append(g.Archives, a)
		}
		return *g
	}
	if err := ValidateGenesis(good()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func([]sprintv1.Archive)
		want   string
	}{
		"epoch 0":        {func(a []sprintv1.Archive) { a[0].Epoch = 0 }, "out of place"},
		"an epoch twice": {func(a []sprintv1.Archive) { a[1].Epoch = 1 }, "out of place"},
		"out of order": {func(a []sprintv1.Archive) {
			a[0], a[1] = a[1], a[0]
		}, "out of place"},
		"an epoch to come": {func(a []sprintv1.Archive) { a[2].Epoch = 4 }, "out of place"},
		"no such class":    {func(a []sprintv1.Archive) { a[1].Class = "tiny" }, "tiny"},
		"a short Seed_1": {func(a []sprintv1.Archive) {
			a[1].Seed1 = a[1].Seed1[1:]
		}, "31 bytes"},
		"a long segment seed": {func(a []sprintv1.Archive) {
			a[1].SegmentSeeds[0] = make([]byte, 33)
		}, "33 bytes"},
		"no root": {func(a []sprintv1.Archive) { a[1].Root = nil }, "0 bytes"},
		"no commits but a root": {func(a []sprintv1.Archive) {
			a[1].Commits = 0
		}, "0 commits under the root"},
		"commits under no root": {func(a []sprintv1.Archive) {
			a[1].Root = commit.EmptyRoot[:]
		}, "1 commits under the root"},
		"an empty segment seed": {func(a []sprintv1.Archive) {
			a[1].SegmentSeeds = [][]byte{nil}
		}, "0 bytes"},
	} {
		g := good()
		c.change(g.Archives)
		if err := ValidateGenesis(g); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// BenchmarkArchive is what the turn that draws the leaves pays for the archive, and what it leaves
// for ever.
func BenchmarkArchive(b *testing.B) {
	for _, participants := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(participants), func(b *testing.B) {
			k, ctx, _ := bare(b)
			e := committed(b, k, ctx, participants, 5)
			for b.Loop() {
				if err := k.archive(ctx, e); err != nil {
					b.Fatal(err)
				}
			}
			a, err := k.archives.Get(ctx, e.Number)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(a.Size()+len(sprintv1.ArchiveKey(e.Number))), "bytes/epoch")
		})
	}
}
