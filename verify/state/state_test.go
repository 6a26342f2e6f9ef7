// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/store/v2/rootmulti"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	ics23 "github.com/cosmos/ics23/go"
	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

var update = flag.Bool("update", false, "write the vectors instead of checking them")

const (
	testChain = "assay-test"
	testEpoch = 7
)

// world is a chain's state in which epoch 7 is archived, and a file about it.
type world struct {
	stores *rootmulti.Store
	keys   map[string]*storetypes.KVStoreKey
	file   evidence.File
	record sprintv1.Archive
}

// newWorld signs a log in which leaf 1 is forged, archives it, and commits a state around it.
func newWorld(t testing.TB) *world {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	seed1, segment := seed.Seed{1}, seed.Seed{2}
	model, err := transformer.Build(context.Background(), transformer.Nano, seed1, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]transformer.Output, 3)
	if err := model.Run(out, seed.Node(testChain, "cpc1host", "gpu-0", "nano"), segment,
		[]uint64{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	out[1].Digest[0] ^= 1
	var log commit.Log
	for i, o := range out {
		log.Append(record.Leaf{Class: 1, Node: "gpu-0", Index: uint64(i), Record: o.Record}.Hash())
	}
	st := commit.Statement{Chain: testChain, Epoch: testEpoch, Segment: 2, Participant: "cpc1host",
		Node: "gpu-0", Class: "nano",
		Seed1: commit.Hash(seed1), SegmentSeed: commit.Hash(segment), Root: log.Root(), Count: 3}
	f := evidence.File{Version: evidence.Version, Claim: evidence.Forged, Chain: testChain,
		Epoch: testEpoch, Class: "nano", Seed1: seed1.String(), SegmentSeed: segment.String(),
		Participant: "cpc1host", Node: "gpu-0", Segment: 2, Nonce: 1, Norm: out[1].Norm,
		Digest: hex.EncodeToString(out[1].Digest[:]), Count: 3,
		Root: hexOf(st.Root), HostKey: hex.EncodeToString(key[32:]),
		Signature: hex.EncodeToString(st.Sign(key)), Path: pathOf(t, &log, 1), Note: "a vector"}

	var archive commit.Log
	for _, p := range []string{"cpc1a", "cpc1b", "cpc1host", "cpc1i"} {
		archive.Append(commit.ArchiveLeaf{Participant: p, Node: "gpu-0", Segment: 2, Root: st.Root,
			Count: 3, HostKey: [32]byte(key[32:])}.Hash())
	}
	root := archive.Root()
	f.Archive = &evidence.Archive{Root: hexOf(root), Commits: 4, Index: 2,
		Path: pathOf(t, &archive, 2)}
	w := &world{file: f, stores: rootmulti.NewStore(dbm.NewMemDB(), nopLogger()),
		keys: map[string]*storetypes.KVStoreKey{},
		record: sprintv1.Archive{Epoch: testEpoch, Class: "nano", Seed1: seed1[:],
			SegmentSeeds: [][]byte{seed1[:], segment[:]}, Commits: 4, Root: root[:]}}
	for _, name := range []string{"acc", "bank", "beacon", "credit", "gov", "registry",
		sprintv1.StoreName, "upgrade"} {
		w.keys[name] = storetypes.NewKVStoreKey(name)
		w.stores.MountStoreWithDB(w.keys[name], storetypes.StoreTypeIAVL, nil)
	}
	if err := w.stores.LoadLatestVersion(); err != nil {
		t.Fatal(err)
	}
	for name, k := range w.keys {
		s := w.stores.GetKVStore(k)
		s.Set([]byte("something"), []byte(name))
		for epoch := uint64(1); epoch < 20; epoch++ {
			r := w.record
			r.Epoch = epoch
			raw, err := r.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			s.Set(sprintv1.ArchiveKey(epoch), raw) // in every store: only one of them counts
		}
	}
	for range 3 {
		w.stores.Commit()
	}
	return w
}

func nopLogger() log.Logger { return log.NewNopLogger() }

func hexOf(h commit.Hash) string { return hex.EncodeToString(h[:]) }

func pathOf(t testing.TB, l *commit.Log, index uint64) []string {
	t.Helper()
	path, err := commit.Inclusion(l, index, l.Size())
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, h := range path {
		out = append(out, hexOf(h))
	}
	return out
}

// header is that of the block after the state.
func (w *world) header() cmttypes.Header {
	hash := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	h := cmttypes.Header{ChainID: testChain, Height: w.stores.LastCommitID().Version + 1,
		Time: time.Unix(1_800_000_000, 5).UTC(),
		LastBlockID: cmttypes.BlockID{Hash: hash(1),
			PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: hash(2)}},
		LastCommitHash: hash(3), DataHash: hash(4), ValidatorsHash: hash(5),
		NextValidatorsHash: hash(6), ConsensusHash: hash(7),
		AppHash: w.stores.LastCommitID().Hash, LastResultsHash: hash(8), EvidenceHash: hash(9),
		ProposerAddress: hash(10)[:20]}
	h.Version.Block, h.Version.App = 11, 2
	return h
}

// state proves a key of a store, under a header.
func (w *world) state(t testing.TB, store string, key []byte, h cmttypes.Header) *evidence.State {
	t.Helper()
	res, err := w.stores.Query(&storetypes.RequestQuery{Path: "/" + store + "/key", Data: key,
		Height: w.stores.LastCommitID().Version, Prove: true})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := h.ToProto().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &evidence.State{Header: hex.EncodeToString(raw),
		App:   hex.EncodeToString(res.ProofOps.Ops[1].Data),
		Store: hex.EncodeToString(res.ProofOps.Ops[0].Data)}
}

type stateCase struct {
	Name string `json:"name"`
	In   struct {
		File string `json:"file"` // of evidence, the exact text
	} `json:"in"`
	Out struct {
		Block  string `json:"block"` // the hash that shows it
		Height int64  `json:"height"`
		// "state": not proven; "other": proven, of something else
		Error string `json:"error,omitempty"`
	} `json:"out"`
}

// C23. What leads from a block's hash to the archive: every step is checked, and no other thing
// that is in the state passes for the epoch's archive. The cases are published as vectors.
// Holds spec F-11.
func TestC23CheckFollowsEveryStep(t *testing.T) {
	w := newWorld(t)
	good, key := w.header(), sprintv1.ArchiveKey(testEpoch)
	headed := func(change func(*cmttypes.Header)) *evidence.State {
		h := good
		change(&h)
		return w.state(t, sprintv1.StoreName, key, h)
	}
	sound := w.state(t, sprintv1.StoreName, key, good)
	with := func(change func(*evidence.State)) *evidence.State {
		s := *sound
		change(&s)
		return &s
	}
	bent := func(text string, at int) string {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		raw[(at+len(raw))%len(raw)] ^= 1
		return hex.EncodeToString(raw)
	}
	bank := w.state(t, "bank", key, good)
	absent := w.state(t, sprintv1.StoreName, sprintv1.ArchiveKey(99), good)
	batch := func() string { // an existence proof as part of a batch: the same, spelt otherwise
		p, err := existence("store", sound.Store)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := (&ics23.CommitmentProof{
			Proof: &ics23.CommitmentProof_Batch{
				Batch: &ics23.BatchProof{Entries: []*ics23.BatchEntry{
					{Proof: &ics23.BatchEntry_Exist{Exist: p.GetExist()}}}}}}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(raw)
	}()
	// crafted has proofs of trees that no chain has, under a header that fits them.
	crafted := func(edit func(app, store *ics23.ExistenceProof)) *evidence.State {
		var proofs []*ics23.CommitmentProof
		for _, text := range []string{sound.App, sound.Store} {
			raw, err := hex.DecodeString(text)
			p := new(ics23.CommitmentProof)
			if err := errors.Join(err, p.Unmarshal(raw)); err != nil {
				t.Fatal(err)
			}
			proofs = append(proofs, p)
		}
		app, store := proofs[0].GetExist(), proofs[1].GetExist()
		edit(app, store)
		var err error
		if app.Value, err = store.Calculate(); err != nil {
			t.Fatal(err)
		}
		root, err := app.Calculate()
		if err != nil {
			t.Fatal(err)
		}
		s := headed(func(h *cmttypes.Header) { h.AppHash = []byte(root) })
		rawApp, err1 := proofs[0].Marshal()
		rawStore, err2 := proofs[1].Marshal()
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		s.App, s.Store = hex.EncodeToString(rawApp), hex.EncodeToString(rawStore)
		return s
	}
	var cases []stateCase
	for _, c := range []struct {
		name  string
		state *evidence.State
		edit  func(*evidence.File)
		want  error
	}{
		{"the archive under its block", sound, nil, nil},
		{"no proof", nil, nil, ErrState},
		{"the header of the block that wrote the state", headed(func(h *cmttypes.Header) {
			h.AppHash = bytes.Repeat([]byte{9}, 32)
		}), nil, ErrState},
		{"a block of another chain", headed(func(h *cmttypes.Header) {
			h.ChainID = "assay-tesu"
		}), nil, ErrState},
		{"a header without validators", headed(func(h *cmttypes.Header) {
			h.ValidatorsHash = nil
		}), nil, ErrState},
		{"a byte after the header", with(func(s *evidence.State) {
			s.Header += "00"
		}), nil, ErrState},
		{"a field after the header", with(func(s *evidence.State) {
			s.Header += "980101"
		}), nil, ErrState},
		{"a bit of the app proof", with(func(s *evidence.State) {
			s.App = bent(s.App, -1)
		}), nil, ErrState},
		{"a bit of the store proof", with(func(s *evidence.State) {
			s.Store = bent(s.Store, -1)
		}), nil, ErrState},
		{"the two proofs swapped", with(func(s *evidence.State) {
			s.App, s.Store = s.Store, s.App
		}), nil, ErrState},
		{"the same record in another store", bank, nil, ErrState},
		{"another store's record under this one's root",
			with(func(s *evidence.State) { s.Store = bank.Store }), nil, ErrState},
		{"the record of another epoch", w.state(t, sprintv1.StoreName, sprintv1.ArchiveKey(8),
			good), nil, ErrState},
		{"something else in the store", w.state(t, sprintv1.StoreName, []byte("something"), good),
			nil, ErrState},
		{"a proof that nothing is there", absent, nil, ErrState},
		{"a batch of one", with(func(s *evidence.State) { s.Store = batch }), nil, ErrState},
		{"a proof of nothing", with(func(s *evidence.State) { s.Store = "00" }), nil, ErrState},
		{"a file of another chain", sound,
			func(f *evidence.File) { f.Chain = "assay-tesu" }, ErrState},
		{"a file of another epoch", sound, func(f *evidence.File) { f.Epoch++ }, ErrState},
		{"a file with another Seed_1", sound,
			func(f *evidence.File) { f.Seed1 = f.SegmentSeed }, ErrOther},
		{"a file with another segment seed", sound,
			func(f *evidence.File) { f.SegmentSeed = f.Seed1 }, ErrOther},
		{"a file about another segment", sound, func(f *evidence.File) { f.Segment = 1 }, ErrOther},
		{"a file about a segment that was not", sound,
			func(f *evidence.File) { f.Segment = 3 }, ErrOther},
		{"a file of another class", sound, func(f *evidence.File) { f.Class = "small" }, ErrOther},
		{"a file with another number of commits", sound,
			func(f *evidence.File) { f.Archive.Commits = 3 }, ErrOther},
		{"a file with another archive", sound,
			func(f *evidence.File) { f.Archive.Root = f.Root }, ErrOther},
		{"a step of another length", crafted(func(app, _ *ics23.ExistenceProof) {
			app.Path[0].Prefix = append([]byte{1}, make([]byte, 5)...)
		}), nil, ErrState},
		{"a step that stands lower than it is", crafted(func(_,
			store *ics23.ExistenceProof) {
			store.Path[1].Prefix[0] = 2
		}), nil, ErrState},
		{"the same record at another key", crafted(func(_,
			store *ics23.ExistenceProof) {
			store.Key = sprintv1.ArchiveKey(8)
		}), nil, ErrState},
	} {
		f := w.file
		archive := *f.Archive
		f.Archive, f.State = &archive, c.state
		if c.edit != nil {
			c.edit(&f)
		}
		block, err := Check(f)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if want := (Block{Hash: good.Hash().String(), Height: good.Height}); err == nil &&
			block != want {
			t.Errorf("%s: block %+v, want %+v", c.name, block, want)
		}
		raw, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		published := stateCase{Name: c.name}
		published.In.File, published.Out.Block, published.Out.Height = string(raw),
			strings.ToLower(block.Hash), block.Height
		published.Out.Error = map[error]string{ErrState: "state", ErrOther: "other"}[c.want]
		cases = append(cases, published)
	}
	vectors(t, cases)
}

// vectors holds cases against the published ones.
func vectors(t *testing.T, cases []stateCase) {
	t.Helper()
	const path = "../../test/vectors/evidence_state.json"
	type document struct {
		About string      `json:"about"`
		Cases []stateCase `json:"cases"`
	}
	want := document{"evidence files that show the chain's state, and the hash of the block that " +
		"they show it by", cases}
	if *update {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := errors.Join(e.Encode(want), os.WriteFile(path, out.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got document
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s differs:\n%s", path, d)
	}
}

// Every field of the header is under its hash, so none can be edited.
// Holds spec F-12, F-13.
func TestC23EveryByteOfTheStateIsBound(t *testing.T) {
	w := newWorld(t)
	f := w.file
	f.State = w.state(t, sprintv1.StoreName, sprintv1.ArchiveKey(testEpoch), w.header())
	trusted, err := Check(f)
	if err != nil {
		t.Fatal(err)
	}
	for part, text := range map[string]*string{"header": &f.State.Header, "app": &f.State.App,
		"store": &f.State.Store} {
		whole := *text
		raw, err := hex.DecodeString(whole)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			for _, bit := range []byte{1, 0x80} {
				raw[i] ^= bit
				*text = hex.EncodeToString(raw)
				if block, err := Check(f); err == nil && block == trusted {
					t.Errorf("byte %d of the %s can be another", i, part)
				}
				raw[i] ^= bit
			}
		}
		*text = whole
	}
}

func FuzzCheck(f *testing.F) {
	w := newWorld(f)
	s := w.state(f, sprintv1.StoreName, sprintv1.ArchiveKey(testEpoch), w.header())
	part := func(text string) []byte {
		raw, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		return raw
	}
	f.Add(part(s.Header), part(s.App), part(s.Store))
	f.Add([]byte{}, []byte{0x0a, 0x00}, []byte{0x0a, 0x00})
	f.Fuzz(func(t *testing.T, header, app, store []byte) {
		file := w.file
		file.State = &evidence.State{Header: hex.EncodeToString(header),
			App: hex.EncodeToString(app), Store: hex.EncodeToString(store)}
		h := w.header()
		if block, err := Check(file); err == nil && block.Hash == h.Hash().String() &&
			*file.State != *s {
			t.Errorf("another proof under the same block: %+v", file.State)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	f := w.file
	f.State = w.state(b, sprintv1.StoreName, sprintv1.ArchiveKey(testEpoch), w.header())
	raw, err := f.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Check(f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(raw)), "file-bytes")
	b.ReportMetric(float64(len(fmt.Sprint(f.State))/2), "state-bytes")
}
