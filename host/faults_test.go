// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/leaflog/leaflogtest"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/host/voter"
	"github.com/assaynet/assay/host/voter/votertest"
	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
)

var three = []string{"w1", "w2", "w3"}

// delivered is a host whose three machines have delivered 20 leaves each, in batches of 8 and 12.
// It is closed, so that a test may change its files.
func delivered(t *testing.T) (home string, workers map[string]string) {
	t.Helper()
	home = t.TempDir()
	h, closeAll := poolHost(t, home)
	now := votertest.SegmentOver()
	goal, model := sprint.Computing(now.Epoch, transformer.Nano, now.Epoch.Segments[0]),
		reference(t)
	workers = map[string]string{}
	for i, node := range three {
		machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32))
		workers[node] = hex.EncodeToString(machine.Public().(ed25519.PublicKey))
		log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: node, Segment: 1}, transformer.Nano.ID)
		if err != nil {
			t.Fatal(err)
		}
		out, nonces := make([]transformer.Output, 20), make([]uint64, 20)
		for i := range nonces {
			nonces[i] = uint64(i)
		}
		if err := model.Run(out, seed.Node(h.config.Chain, h.config.Participant, node, "nano"),
			seed.Seed{3}, nonces); err != nil {
			t.Fatal(err)
		}
		order := goal.Order(h.o.HostKey, h.config.Chain, h.config.Participant, node,
			signed.KeyOf(machine))
		leaflogtest.Deliver(t, log, order, machine, out[:8])
		leaflogtest.Deliver(t, log, order, machine, out[8:])
	}
	closeAll()
	return home, workers
}

func leavesPath(home, node string) string {
	return filepath.Join(home, leavesName, "1", node+".1.leaves")
}

// edit changes a file.
func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(raw), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secondBatch is the offset of a byte in the second batch of a log.
const secondBatch = 64 + 16 + 8*40 + 64 + 4 + 100

// spoiled are the ways in which a log goes bad, and how many of its 20 leaves can still be
// committed.
var spoiled = map[string]struct {
	change func(raw []byte) []byte // nil: a folder is in its place
	left   int
	says   string
}{
	"one bit has changed": {func(raw []byte) []byte { raw[secondBatch] ^= 4; return raw }, 20, ""},
	"its second half is broken": {func(raw []byte) []byte {
		raw[secondBatch] ^= 0xff
		return raw
	}, 8, "damaged"},
	"its begin is broken": {func(raw []byte) []byte { raw[200] ^= 0xff; return raw }, 0, "damaged"},
	"of another format": {func(raw []byte) []byte {
		copy(raw, "ASAYLVS9")
		return raw
	}, 0, "not a leaf log"},
	"empty":      {func([]byte) []byte { return nil }, 0, "no header"},
	"not a file": {nil, 0, "directory"},
}

func spoil(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	if change != nil {
		edit(t, path, change)
		return
	}
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
}

// Whatever is wrong with one machine's log, the leaves of the others are committed, and those of
// its own that can be read; and the status names the file.
// Holds spec H-1.
func TestOneLogKeepsNoOtherFromTheChain(t *testing.T) {
	home, workers := delivered(t)
	for k, name := range slices.Sorted(maps.Keys(spoiled)) {
		c := spoiled[name]
		for i, sick := range three {
			if c.left != 8 && i != k%3 { // one kind at every place, of the others one each
				continue
			}
			t.Run(name+"/"+sick, func(t *testing.T) {
				here := t.TempDir()
				if err := os.CopyFS(here, os.DirFS(home)); err != nil {
					t.Fatal(err)
				}
				spoil(t, leavesPath(here, sick), c.change)
				h, _ := poolHost(t, here)
				h.owns(workers)
				g := new(errgroup.Group)
				for range 2 {
					if err := h.duties.Commits.Commit(t.Context(), g, votertest.SegmentOver(),
						transformer.Nano, three, 1000); err != nil {
						t.Fatal(err)
					}
					_ = g.Wait()
				}
				var want []string
				for j, node := range three {
					if n := map[bool]int{true: c.left, false: 20}[i == j]; n > 0 {
						want = append(want, "commit/1/"+node+"/1")
					}
				}
				got, _ := h.queue.Status()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("to be committed (-want +got):\n%s", diff)
				}
				if n := h.board.Get().Leaves[sick]; n != uint64(c.left) {
					t.Errorf("%d of its leaves count, want %d", n, c.left)
				}
				faults := h.board.Get().Faults
				if c.says == "" {
					if len(faults) > 0 {
						t.Errorf("faults: %+v", faults)
					}
				} else if len(faults) != 1 || faults[0].Node != sick ||
					!strings.Contains(faults[0].Reason, leavesPath(here, sick)) ||
					!strings.Contains(faults[0].Reason, c.says) {
					t.Errorf("the fault does not name node and file: %+v", faults)
				}
			})
		}
	}
}

// One changed bit keeps no opening back, and what else is lost is computed again: the opening
// follows, and fits what was committed. Where that cannot be, each log is named with its file.
func TestAnOpeningNamesTheLogsThatAreLost(t *testing.T) {
	home, _ := delivered(t)
	h, closeAll := poolHost(t, home)
	e := votertest.SegmentOver().Epoch
	var commits []sprintv1.Commit
	var drawn []courtv1.LeafRef
	for _, node := range three {
		log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: node, Segment: 1}, transformer.Nano.ID)
		if err != nil {
			t.Fatal(err)
		}
		root, err := log.Root(20)
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, sprintv1.Commit{Node: node, Segment: 1, Count: 20, Root: root[:]})
		for _, nonce := range []uint64{3, 11} {
			drawn = append(drawn, courtv1.LeafRef{Node: node, Segment: 1, Nonce: nonce})
		}
	}
	closeAll()
	for name, c := range spoiled {
		t.Run(name, func(t *testing.T) {
			here := t.TempDir()
			if err := os.CopyFS(here, os.DirFS(home)); err != nil {
				t.Fatal(err)
			}
			for _, sick := range three[1:] {
				spoil(t, leavesPath(here, sick), c.change)
			}
			h, _ := poolHost(t, here)
			g := new(errgroup.Group)
			msg, err := h.duties.Openings.Opening(t.Context(), g, e, drawn, commits)
			if faults := h.board.Get().Faults; c.left == 20 {
				if err != nil || len(faults) > 0 {
					t.Fatalf("%v, faults %+v", err, faults)
				}
			} else {
				if err == nil || client.Away(err) || msg != nil {
					t.Errorf("an opening that cannot be made: %v", err)
				}
				var names []string
				for _, f := range faults {
					if names = append(names, f.Node); !strings.Contains(f.Reason,
						leavesPath(here, f.Node)) {
						t.Errorf("the file is not named: %+v", f)
					}
				}
				if diff := cmp.Diff(three[1:], names); diff != "" {
					t.Errorf("named (-want +got):\n%s", diff)
				}
			}
			_ = g.Wait()
			msg, err = h.duties.Openings.Opening(t.Context(), g, e, drawn, commits)
			if c.change == nil { // nothing is there to be read
				if f := h.board.Get().Faults; err == nil || len(f) != 2 ||
					!strings.Contains(f[0].Reason, "from a copy") {
					t.Errorf("%v, %+v", err, f)
				}
				return
			}
			if f := h.board.Get().Faults; err != nil || len(f) > 0 {
				t.Fatalf("after it was computed again: %v, %+v", err, f)
			}
			for i, o := range msg.Logs {
				hashes, proof := make([]commit.Hash, 2), make([]commit.Hash, len(o.Proof)/32)
				for j, nonce := range []uint64{3, 11} {
					hashes[j] = record.Leaf{Class: transformer.Nano.ID, Node: o.Node, Index: nonce,
						Record: record.At(o.Leaves, j)}.Hash()
				}
				for j := range proof {
					proof[j] = commit.Hash(o.Proof[32*j:])
				}
				if err := commit.VerifyMulti(commit.Hash(commits[i].Root), 20, []uint64{3, 11},
					hashes, proof); err != nil {
					t.Errorf("log of %s: %v", o.Node, err)
				}
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		here := t.TempDir()
		h, _ := poolHost(t, here)
		if _, err := h.duties.Openings.Opening(t.Context(), new(errgroup.Group), e, drawn,
			commits); err == nil || len(h.board.Get().Faults) != 3 {
			t.Errorf("logs that are gone: %v, %+v", err, h.board.Get().Faults)
		}
		if _, err := os.Stat(leavesPath(here, "w1")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an empty file is in the place of the one that is gone: %v", err)
		}
	})
}

// contested is a chain that judged one leaf of each of three participants.
type contested struct {
	courtv1.QueryClient
}

func (contested) Judgements(context.Context, *courtv1.QueryJudgementsRequest,
	...grpc.CallOption) (*courtv1.QueryJudgementsResponse, error) {
	res := new(courtv1.QueryJudgementsResponse)
	for _, target := range votertest.Targets {
		res.Judgements = append(res.Judgements,
			courtv1.Judgement{Leaf: votertest.Leaves(target)[0], Mismatch: true})
	}
	return res, nil
}

// Evidence on one leaf that cannot be made or written keeps none on another back, and is made once
// it can be.
// Holds spec H-1.
func TestOneEvidenceKeepsNoOtherBack(t *testing.T) {
	for _, bad := range votertest.Targets {
		home := t.TempDir()
		h, _ := poolHost(t, home)
		conn, err := grpc.NewClient("127.0.0.1:1",
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		node := &proving{votertest.Judging{Bad: bad}}
		h.conn, h.court, h.sprint = conn, contested{}, node
		h.duties = h.newDuties()
		e := votertest.SegmentOver().Epoch
		name := func(target string) string {
			return filepath.Join(home, EvidenceName,
				sprint.EvidenceFile(1,
					courtv1.Judgement{Leaf: votertest.Leaves(target)[0], Mismatch: true}))
		}
		blocked := votertest.Targets[(slices.Index(votertest.Targets, bad)+1)%3]
		if err := os.MkdirAll(name(blocked), 0o700); err != nil { // a folder where a file belongs
			t.Fatal(err)
		}
		if err := h.duties.Evidence.Write(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		for _, target := range votertest.Targets {
			info, err := os.Stat(name(target))
			if written := err == nil && info.Mode().IsRegular(); written != (target != bad &&
				target != blocked) {
				t.Errorf("%s is bad and %s blocked; of %s written: %t", bad,
					blocked, target, written)
			}
		}
		if f := h.board.Get().Faults; len(f) != 2 || h.duties.Evidence.Done(1) {
			t.Errorf("faults %+v, all done: %t", f, h.duties.Evidence.Done(1))
		}
		node.Bad = ""
		if err := os.Remove(name(blocked)); err != nil {
			t.Fatal(err)
		}
		if err := h.duties.Evidence.Write(t.Context(), e); err != nil ||
			!h.duties.Evidence.Done(1) || len(h.board.Get().Faults) != 0 {
			t.Errorf("after it was mended: %v, %+v", err, h.board.Get().Faults)
		}
	}
}

// Claimant leaves this member a budget.
func (contested) Claimant(context.Context, *courtv1.QueryClaimantRequest,
	...grpc.CallOption) (*courtv1.QueryClaimantResponse, error) {
	return &courtv1.QueryClaimantResponse{Budget: 100}, nil
}

// proving adds the proofs of a tree of eight leaves to the openings.
type proving struct{ votertest.Judging }

func (p proving) Opening(ctx context.Context, q *sprintv1.QueryOpeningRequest,
	o ...grpc.CallOption) (*sprintv1.QueryOpeningResponse, error) {
	res, err := p.Judging.Opening(ctx, q, o...)
	if err == nil && len(res.Opening.Logs) > 0 {
		res.Opening.Logs[0].Proof = make([]byte, 3*32)
	}
	return res, err
}

// stepping is a chain that stands at a block of an epoch of which this host is no member, and whose
// node cannot say why.
type stepping struct {
	sprintv1.QueryClient
	now    sprintv1.QueryCurrentResponse
	member error
}

func (s stepping) Current(context.Context, *sprintv1.QueryCurrentRequest,
	...grpc.CallOption) (*sprintv1.QueryCurrentResponse, error) {
	now := s.now
	return &now, nil
}

func (s stepping) Member(context.Context, *sprintv1.QueryMemberRequest,
	...grpc.CallOption) (*sprintv1.QueryMemberResponse, error) {
	return nil, s.member
}

// Where this host cannot do its part of a block, old leaves are deleted before, what is wanted
// already is sent after, and the node is not blamed. One old file that cannot be deleted keeps no
// other.
func TestAStepGoesOnBehindWhatFails(t *testing.T) {
	home := t.TempDir()
	h, _ := poolHost(t, home)
	conn, err := grpc.NewClient("127.0.0.1:1",
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	encoding, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	if h.queue, err = submit.New(submit.Config{Conn: conn, Encoding: encoding, Keys: h.o.Keys,
		Key: "hot", Participant: h.config.Participant, Chain: h.config.Chain}); err != nil {
		t.Fatal(err)
	}
	for epoch := range uint64(9) {
		if _, err := h.leaves.Log(leaflog.Key{Epoch: epoch + 1, Node: "w1", Segment: 1},
			transformer.Nano.ID); err != nil {
			t.Fatal(err)
		}
		if err := verdicts(h.o.Home).Save(&voter.Verdict{Epoch: epoch + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(verdicts(h.o.Home).Path(1)),
		os.MkdirAll(filepath.Join(verdicts(h.o.Home).Path(1), "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	now := votertest.SegmentOver()
	now.Height, now.Epoch.Number, now.Epoch.Params.KeepEpochs = 100, 9, 2
	h.sprint = stepping{now: now, member: status.Error(codes.Internal, "a broken record")}
	h.duties = h.newDuties()
	g := new(errgroup.Group)
	if err := h.step(t.Context(), g); err != nil {
		t.Errorf("a failure that is not the node's absence: %v", err)
	}
	whats := func() (list []string) {
		for _, f := range h.board.Get().Faults {
			list = append(list, f.What)
		}
		return list
	}
	if diff := cmp.Diff([]string{"deleting verdicts of old epochs",
		"this block's part of the epoch"}, whats()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	for epoch := range uint64(9) {
		_, err := os.Stat(verdicts(h.o.Home).Path(epoch + 1))
		if kept := err == nil; kept != (epoch+1 >= 6 || epoch == 0) {
			t.Errorf("the verdict of epoch %d is kept: %t", epoch+1, kept)
		}
	}
	if first := h.leaves.Keys()[0].Epoch; first != 6 {
		t.Errorf("leaves of epoch %d are the oldest, want 6", first)
	}
	// What is wanted is sent although the part of the block fails again.
	if err := os.RemoveAll(verdicts(h.o.Home).Path(1)); err != nil {
		t.Fatal(err)
	}
	h.queue.Want("ready/9", 200, &sprintv1.MsgReady{Participant: h.config.Participant, Epoch: 9})
	now.Height++
	h.sprint = stepping{now: now, member: status.Error(codes.Internal, "a broken record")}
	h.duties = h.newDuties()
	if err := h.step(t.Context(), g); !client.Away(err) {
		t.Errorf("the queue was not asked to send: %v", err)
	}
	if diff := cmp.Diff([]string{"this block's part of the epoch"}, whats()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	// An absence of the node is no fault of this host's.
	h.sprint = stepping{now: now, member: status.Error(codes.Unavailable, "gone")}
	h.duties = h.newDuties()
	if err := h.step(t.Context(), g); !client.Away(err) {
		t.Errorf("a node that is gone: %v", err)
	}
}

// Below the mark of free space no leaves are taken and old ones are deleted early; what is owed is
// done, and with room the work goes on.
// Holds spec H-9.
func TestDutiesGoOnWithoutRoom(t *testing.T) {
	home, workers := delivered(t)
	h, _ := poolHost(t, home)
	h.owns(workers)
	space := disk.Space{Free: 1, Total: 1 << 40}
	h.disks.list = []*disk.Watch{disk.NewWatch(home, func(string) (disk.Space,
		error) {
		return space, nil
	})}
	h.disks.look()
	now := votertest.SegmentOver()
	now.Epoch.Segments = append(now.Epoch.Segments, sprintv1.Segment{Index: 2, Start: 10, End: 20,
		CommitUntil: 30, Seed: bytes.Repeat([]byte{4}, 32)})
	me := &sprintv1.Member{Participant: h.config.Participant, Role: sprintv1.RoleHolder,
		Nodes: three, Credited: 1 << 40}
	g := new(errgroup.Group)
	for range 2 {
		if err := h.duties.Compute(t.Context(), g, now, transformer.Nano, me); err != nil {
			t.Fatal(err)
		}
		_ = g.Wait()
	}
	if got, _ := h.queue.Status(); len(got) != 3 {
		t.Errorf("committed without room: %v", got)
	}
	s := h.board.Get()
	if s.Doing != "waiting" || !strings.Contains(s.Reason, home+" is nearly full") ||
		s.Disk == nil || !s.Disk.Full || s.Disk.Free != 1 {
		t.Errorf("%s: %s, %+v", s.Doing, s.Reason, s.Disk)
	}
	if why := h.disks.fullFor(); !strings.Contains(why, "goes on by itself") ||
		strings.Contains(why, home) {
		t.Errorf("machines are told %q", why)
	}
	for epoch := range uint64(7) {
		if _, err := h.leaves.Log(leaflog.Key{Epoch: epoch + 1, Node: "old", Segment: 1},
			transformer.Nano.ID); err != nil {
			t.Fatal(err)
		}
	}
	h.duties.Forget(sprintv1.Epoch{Number: 7, Params: sprintv1.Params{KeepEpochs: 4}})
	if first := h.leaves.Keys()[0].Epoch; first != 5 { // a stream is opened in the next
		t.Errorf("leaves of epoch %d are the oldest, want 5", first)
	}
	space.Free = space.Total
	h.disks.look()
	if err := h.duties.Compute(t.Context(), g, now, transformer.Nano, me); err != nil {
		t.Fatal(err)
	}
	if s := h.board.Get(); s.Doing != "computing" || s.Disk.Full {
		t.Errorf("with room again: %s, %s", s.Doing, s.Reason)
	}
}

// A node that is not there is told from one that answers something else: the first is not
// reachable, and of both the status has the reason.
func TestTheNodeIsBlamedForItsAbsenceOnly(t *testing.T) {
	h, _ := poolHost(t, t.TempDir())
	for _, c := range []struct {
		err       error
		reachable bool
		says      string
	}{
		{fmt.Errorf("asking: %w",
			status.Error(codes.Unavailable, `connection error: desc = "dial: refused"`)), false,
			"does not answer (dial: refused)"},
		{fmt.Errorf("asking: %w", status.Error(codes.DeadlineExceeded, "slow")), false, "slow"},
		{fmt.Errorf("asking: %w", status.Error(codes.Internal, "broken")), true, "broken"},
		{&fs.PathError{Op: "write", Path: "/a", Err: os.ErrPermission}, true,
			"write /a: permission denied"},
	} {
		h.still.noAnswer(c.err)
		if s := h.board.Get(); s.Reachable != c.reachable || !strings.Contains(s.Reason, c.says) {
			t.Errorf("%v: reachable %t, %s", c.err, s.Reachable, s.Reason)
		}
	}
}
