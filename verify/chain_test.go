// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cometbft/cometbft/proto/tendermint/p2p"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/codec"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/verify/leaves"
)

// fakeChain is what a node answers; what is nil is not found.
type fakeChain struct {
	id          string
	archive     *sprintv1.Archive
	commit      *sprintv1.QueryCommitPathResponse
	pruned      bool
	epoch       *sprintv1.Epoch
	participant *registryv1.Participant
}

type (
	fakeSprint struct {
		sprintv1.UnimplementedQueryServer
		*fakeChain
	}
	fakeRegistry struct {
		registryv1.UnimplementedQueryServer
		*fakeChain
	}
	fakeComet struct {
		cmtservice.UnimplementedServiceServer
		*fakeChain
	}
)

var errNothing = status.Error(codes.NotFound, "nothing")

func (f fakeSprint) Archive(context.Context,
	*sprintv1.QueryArchiveRequest) (*sprintv1.QueryArchiveResponse, error) {
	if f.archive == nil {
		return nil, errNothing
	}
	return &sprintv1.QueryArchiveResponse{Archive: *f.archive}, nil
}

func (f fakeSprint) CommitPath(context.Context,
	*sprintv1.QueryCommitPathRequest) (*sprintv1.QueryCommitPathResponse, error) {
	switch {
	case f.pruned:
		return nil, status.Error(codes.FailedPrecondition, "pruned")
	case f.commit == nil:
		return nil, errNothing
	}
	return f.commit, nil
}

func (f fakeSprint) Epoch(context.Context,
	*sprintv1.QueryEpochRequest) (*sprintv1.QueryEpochResponse, error) {
	if f.epoch == nil {
		return nil, errNothing
	}
	return &sprintv1.QueryEpochResponse{Epoch: *f.epoch}, nil
}

func (f fakeRegistry) Participant(context.Context,
	*registryv1.QueryParticipantRequest) (*registryv1.QueryParticipantResponse, error) {
	if f.participant == nil {
		return nil, errNothing
	}
	return &registryv1.QueryParticipantResponse{Participant: *f.participant}, nil
}

func (f fakeComet) GetNodeInfo(context.Context,
	*cmtservice.GetNodeInfoRequest) (*cmtservice.GetNodeInfoResponse, error) {
	return &cmtservice.GetNodeInfoResponse{DefaultNodeInfo: &p2p.DefaultNodeInfo{Network: f.id}},
		nil
}

// serve answers for f until the test ends, and returns the address.
func serve(t *testing.T, f *fakeChain) string {
	t.Helper()
	encoding, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.ForceServerCodec(codec.NewProtoCodec(encoding.Registry).GRPCCodec()))
	sprintv1.RegisterQueryServer(s, &fakeSprint{fakeChain: f})
	registryv1.RegisterQueryServer(s, &fakeRegistry{fakeChain: f})
	cmtservice.RegisterServiceServer(s, &fakeComet{fakeChain: f})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// verified runs the command on a file.
func verified(t *testing.T, text string, args ...string) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return execute(t, append(args, path)...)
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// C23. A node answers for an epoch of any age with its archive alone. What it holds otherwise
// refutes the file, and what it cannot say leaves it unproven; a file of version 1 is never proven.
// Holds spec C-14, F-10.
func TestC23AgainstANodeThatHasTheArchiveOnly(t *testing.T) {
	files := published(t, "evidence.json")
	f, err := evidence.Parse([]byte(files["forged digest"]))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*fakeChain)
		file   string
		want   error // nil: proven
		said   string
	}{
		"the archive": {func(*fakeChain) {}, "forged digest", nil, "as the node answers"},
		"another chain": {func(c *fakeChain) {
			c.id = "assay-other"
		}, "forged digest", ErrChain, "the chain is assay-test in the file"},
		"another Seed_1": {func(c *fakeChain) {
			c.archive.Seed1 = make([]byte, 32)
		}, "forged digest", ErrChain, "Seed_1"},
		"another segment seed": {func(c *fakeChain) {
			c.archive.SegmentSeeds[0] = make([]byte, 32)
		}, "forged digest", ErrChain, "segment seed"},
		"no such segment": {func(c *fakeChain) {
			c.archive.SegmentSeeds = nil
		}, "forged digest", ErrChain, "0 segments"},
		"another class": {func(c *fakeChain) {
			c.archive.Class = "small"
		}, "forged digest", ErrChain, "class"},
		"other commits": {func(c *fakeChain) {
			c.archive.Root = make([]byte, 32)
		}, "forged digest", ErrChain, "root over all commits"},
		"a commit more": {func(c *fakeChain) {
			c.archive.Commits++
		}, "forged digest", ErrChain, "number of commits"},
		"no archive": {func(c *fakeChain) {
			c.archive = nil
		}, "forged digest", errNothing, "asking"},
		"version 1": {func(*fakeChain) {}, "version 1", ErrTaken, "the signature binds no seeds"},
		"version 1, a forgery": {func(*fakeChain) {}, "version 1, edited into a conviction",
			ErrTaken, "It convicts nobody"},
		"version 2, the same": {func(*fakeChain) {}, "the same of version 2", errNothing,
			"the signature is not this key's"},
		"an honest one as such": {func(*fakeChain) {}, "honest", ErrChain, "root over all commits"},
	} {
		chain := &fakeChain{id: "assay-test", archive: &sprintv1.Archive{Epoch: 7, Class: "nano",
			Seed1: unhex(t, f.Seed1), SegmentSeeds: [][]byte{unhex(t, f.SegmentSeed)},
			Commits: f.Archive.Commits, Root: unhex(t, f.Archive.Root)}}
		c.change(chain)
		address := serve(t, chain)
		said, err := verified(t, files[c.file], "--node", address)
		if err != nil {
			said += err.Error()
		}
		if (err == nil) != (c.want == nil) || c.want != nil && c.want != errNothing &&
			!errors.Is(err, c.want) || c.want == errNothing && errors.Is(err, ErrTaken) ||
			!strings.Contains(said, c.said) {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}

// A trusted hash needs no node; another hash, or a file without the proof, proves nothing.
// Holds spec F-10.
func TestC23AgainstATrustedBlock(t *testing.T) {
	states := publishedStates(t)
	sound := states["the archive under its block"]
	for name, c := range map[string]struct {
		file, trust string
		want        error
		said        string
	}{
		"its block":   {sound.text, sound.block, nil, "as block 4 shows"},
		"in capitals": {sound.text, strings.ToUpper(sound.block), nil, "as block 4 shows"},
		"another block": {sound.text, strings.Repeat("0", 64), ErrChain, "not the one that you " +
			"trust"},
		"nothing in it": {states["no proof"].text, sound.block, ErrTaken, "no proof of the " +
			"chain's state"},
		"trust in nothing": {sound.text, "", ErrTaken,
			"if that block has the hash " + strings.ToUpper(sound.block)},
		"half a hash": {sound.text, sound.block[:32], errors.ErrUnsupported, "64 hex digits"},
		"a receipt of loops": {published(t, "mpoc_files.json")["accepted"], sound.block,
			errors.ErrUnsupported, "nothing to compare"},
		"one for leaves": {published(t, "delivery_files.json")["a receipt"], sound.block,
			errors.ErrUnsupported, "nothing to compare"},
	} {
		said, err := verified(t, c.file, "--trust", c.trust)
		if err != nil {
			said += err.Error()
		}
		if (err == nil) != (c.want == nil) || c.want != nil && c.want != errors.ErrUnsupported &&
			!errors.Is(err, c.want) || !strings.Contains(said, c.said) {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}

// What a machine and its host signed is compared with the archive always, and with what else the
// chain still has.
func TestLeavesAgainstANode(t *testing.T) {
	text := published(t, "delivery_files.json")["fraud"]
	e, err := delivery.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := e.Order
	for name, c := range map[string]struct {
		change func(*fakeChain)
		proven bool
		said   string
	}{
		"all of it": {func(*fakeChain) {}, true, "the host committed to 0 leaves"},
		"another seed": {func(c *fakeChain) {
			c.archive.Seed1 = make([]byte, 32)
		}, false, "Seed_1"},
		"another chain": {func(c *fakeChain) { c.id = "assay-other" }, false, "chain is"},
		"no such segment": {func(c *fakeChain) {
			c.archive.SegmentSeeds = nil
		}, false, "has no segment"},
		"a commit": {func(c *fakeChain) {
			c.commit = &sprintv1.QueryCommitPathResponse{Count: 9, HostKey: o.HostKey[:]}
		}, true, "committed to 9 leaves"},
		"another's commit": {func(c *fakeChain) {
			c.commit = &sprintv1.QueryCommitPathResponse{Count: 9, HostKey: make([]byte, 32)}
		}, false, "key of the host"},
		"pruned": {func(c *fakeChain) {
			c.pruned = true
		}, true, "class and seeds are those of the chain"},
		"no epoch's record": {func(c *fakeChain) {
			c.epoch = nil
		}, true, "whether enough leaves were checked remains open"},
		"more to be looked": {func(c *fakeChain) {
			c.epoch.Params.Samples = 200
		}, false, "number of leaves looked at"},
		"gone": {func(c *fakeChain) { c.participant = nil }, true, "whose key it is remains open"},
		"another machine": {func(c *fakeChain) {
			c.participant.Nodes[0].Key = make([]byte, 32)
		}, false, "key of node"},
		"the host has moved": {func(c *fakeChain) {
			c.participant.HostKey = make([]byte, 32)
		}, false, "key of the host"},
	} {
		a := &sprintv1.Archive{Epoch: o.Epoch, Class: o.Class, Seed1: o.Seed1[:]}
		for range o.Segment {
			a.SegmentSeeds = append(a.SegmentSeeds, o.SegmentSeed[:])
		}
		chain := &fakeChain{id: o.Chain, archive: a,
			epoch: &sprintv1.Epoch{Number: o.Epoch, Params: sprintv1.Params{Samples: e.Samples}},
			participant: &registryv1.Participant{Address: o.Participant, HostKey: o.HostKey[:],
				Nodes: []registryv1.Node{{Id: o.Node, Key: o.DeviceKey[:]}}}}
		c.change(chain)
		address := serve(t, chain)
		said, err := verified(t, text, "--node", address)
		if err != nil {
			said += err.Error()
		}
		if (err == nil) != c.proven || !strings.Contains(said, c.said) {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
		said, _ = verified(t, text, "--node", address, "--json")
		var r leaves.Report
		if err := json.Unmarshal([]byte(said), &r); err != nil || r.Proven != c.proven {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
