// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"strings"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	workerpool "github.com/assaynet/assay/worker/pool"
)

// A submission of fewer loops than a fifth of the plan is refused with the number,
// and costs the host nothing. The challenge stays open for one that is long enough,
// and each refused one makes the next smaller, down to the slowest plan's fifth.
// Holds spec M-8.
func TestSubmissionsHaveALeastSize(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = time.Second })
	h := n.hand(keyOf(7))
	q := h.registration()
	q.Registration.RateOps = 1 << 40
	q.Signature = q.Registration.Sign(h.key)
	must[mpocv1.RegisterAnswer](h)(post[mpocv1.RegisterAnswer](h, mpocv1.PathDevices, q))
	var shapes []uint64
	for range 8 {
		s := h.compute(1, nil)
		shapes = append(shapes, s.Terms.Shape.Matmul().Ops())
		again := 0
		for range 3 { // once is enough to be slower
			err := h.commit(s)
			if err == nil {
				break
			}
			refused(t, mpocv1.CodeOutOfBounds, err)
			if e := err.(*mpocv1.Error); !strings.Contains(e.NextStep, "loops or more") ||
				!strings.Contains(e.Message, "too few") {
				t.Fatalf("it does not say what is missing: %s; %s", e.Message, e.NextStep)
			}
			again++
		}
		if again != 0 && again != 3 {
			t.Fatalf("refused %d times, then taken", again)
		}
	}
	if shapes[1] >= shapes[0] || shapes[7] != mpoc.Shapes()[0].Ops() {
		t.Errorf("the challenges' loops have %d operations; want them smaller and smaller", shapes)
	}
	if s := n.status(); s.Accepted != 0 {
		t.Errorf("a submission that is too short is accepted: %+v", s)
	}
	// the floor is 16.6 loops in a second, so three are enough and one is not
	s := h.compute(1, nil)
	refused(t, mpocv1.CodeOutOfBounds, h.commit(s))
	more := h.more(s, 4)
	if r := h.judged(more); r.Outcome.Status != mpoc.Accepted ||
		r.Terms.Digest() != s.Terms.Digest() {
		t.Errorf("the same challenge with enough loops ends as %s", r.Outcome.Status)
	}
}

// more computes a challenge further.
func (h *hand) more(s *submission, loops int) *submission {
	h.t.Helper()
	out := &submission{Log: mpoc.Log{Terms: s.Terms}, token: s.token}
	for i := range loops {
		tiles := make([][32]byte, s.Terms.Shape.Matmul().Tiles())
		if err := engine().Tiles(h.t.Context(), tiles, seed.Seed(s.Terms.Seed),
			s.Terms.Shape.Matmul(), uint64(i)); err != nil {
			h.t.Fatal(err)
		}
		out.tiles = append(out.tiles, tiles)
	}
	out.tree = treeOf(s.Terms, out.tiles)
	out.Commit = mpoc.Commit{Loops: uint64(loops), ComputeTime: 20, MerkleRoot: out.tree.Root()}
	return out
}

// slow is an engine that makes a gigaop a second.
type slow struct{ work.Engine }

func (s slow) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	units []uint64) error {
	select {
	case <-time.After(time.Duration(uint64(len(units)) * shape.Ops())):
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Engine.Matmul(ctx, dst, challenge, shape, units)
}

// A machine that has become much slower than the host remembers it is refused, drops
// the challenge with the host's reason, and has one that suits it soon. It signs no
// second commit for a challenge.
func TestASlowerMachineIsNotLockedOut(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = 500 * time.Millisecond })
	key := keyOf(3)
	fast := n.hand(key)
	q := fast.registration()
	q.Registration.RateOps = 1 << 36
	q.Signature = q.Registration.Sign(key)
	must[mpocv1.RegisterAnswer](fast)(post[mpocv1.RegisterAnswer](fast, mpocv1.PathDevices, q))
	for range 2 {
		if r := fast.judged(fast.compute(60, nil)); r.Outcome.Status != mpoc.Accepted {
			t.Fatal(r.Outcome.Status)
		}
	}
	var why string
	m := n.work(key, t.TempDir(), func(c *workerpool.Config) {
		// it thinks that little is expected of it
		c.Engine, c.Device.RateOps = slow{engine()}, 1_000_000
		c.Event = func(e workerpool.Event) {
			if e.Type == workerpool.WasDropped && why == "" {
				why = e.Reason
			}
			n.events.poke()
		}
	})
	n.events.wait(t, "an accepted submission",
		func() bool { return m.Snapshot().InAll.Accepted >= 1 })
	if s := m.Snapshot(); s.InAll.Dropped > 6 || s.InAll.Dropped == 0 || s.Missing != 0 {
		t.Errorf("dropped %d challenges before one suited it, %d receipts are missing",
			s.InAll.Dropped, s.Missing)
	}
	m.kill()
	if !strings.Contains(why, "too few to be worth an audit") {
		t.Errorf("dropped because of %q", why)
	}
}

// A machine that claims more than it can goes on beyond the planned time until its
// work is worth a commit.
func TestASlowMachineComputesOn(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = 300 * time.Millisecond })
	m := n.work(keyOf(4), t.TempDir(), func(c *workerpool.Config) {
		c.Engine, c.Device.RateOps = slow{engine()}, 13_000_000_000
		c.Event = func(workerpool.Event) { n.events.poke() }
	})
	n.events.wait(t, "an accepted submission",
		func() bool { return m.Snapshot().InAll.Accepted >= 1 })
	if s := m.Snapshot(); s.InAll.Dropped != 0 {
		t.Errorf("%d challenges were dropped", s.InAll.Dropped)
	}
	m.kill()
}
