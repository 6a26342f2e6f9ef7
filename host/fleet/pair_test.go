// SPDX-License-Identifier: Apache-2.0

// Workers and a host, in one process, over real connections. The packages never
// import each other; this test is where they meet.
package fleet_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/enginetest"
)

func TestSprintOfOneWorker(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	home, key := newKey(t)
	h.allow(key, "alpha")
	m := startWorker(t, h.URL(), home, work.Reference())

	h.aim(fleet.Goal{Kind: fleet.Idle, Reason: "the Sprint starts later", Until: "height 100"})
	until(t, "the worker says why it is idle", func() bool {
		return m.saw(func(s worker.Status) bool {
			return s.State == "idle" && s.Reason == "the Sprint starts later" &&
				s.Until == "height 100" && s.Node == "alpha"
		})
	})
	prepare := goal(1)
	prepare.Kind = fleet.Prepare
	h.aim(prepare)
	until(t, "the model is built", func() bool { return len(h.Ready(3)) == 1 })
	if diff := cmp.Diff([]string{"alpha"}, h.Ready(3)); diff != "" {
		t.Fatal(diff)
	}
	if got := h.Ready(4); got != nil {
		t.Fatalf("ready for an epoch nobody prepared: %v", got)
	}

	h.aim(goal(1))
	until(t, "leaves arrive", func() bool { return h.log("alpha", 1).Size() >= 3 })
	h.aim(goal(2))
	first := h.log("alpha", 1).Size()
	until(t, "leaves of the next segment arrive",
		func() bool { return h.log("alpha", 2).Size() >= 3 })
	h.aim(fleet.Goal{Kind: fleet.Idle, Reason: "the window is over"})
	second := h.log("alpha", 2).Size()
	until(t, "the worker stops", func() bool {
		s := h.Status()
		return s[0].State == "idle" && s[0].Reason == "the window is over"
	})
	if n := h.log("alpha", 1).Size(); n != first {
		t.Errorf("segment 1 grew from %d to %d after its end", first, n)
	}
	if n := h.log("alpha", 2).Size(); n != second {
		t.Errorf("segment 2 grew from %d to %d after its end", second, n)
	}
	checkLog(t, h.log("alpha", 1), work.Reference())
	checkLog(t, h.log("alpha", 2), work.Reference())

	var proved ed25519.PublicKey
	var signature []byte
	until(t, "the node's proof", func() (ok bool) {
		proved, signature, ok = h.NodeProof("alpha")
		return ok
	})
	statement := seed.Possession(chain, "node/alpha", participant, key)
	if !proved.Equal(key) || !ed25519.Verify(key, statement[:], signature) {
		t.Error("the node proof does not verify")
	}
}

// Only the nodes that a goal is for compute; the others are told why they do not.
// Saying both again disturbs nobody.
func TestAGoalForSomeNodes(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	home, key := newKey(t)
	h.allow(key, "alpha")
	other, otherKey := newKey(t)
	h.allow(otherKey, "beta")
	m := startWorker(t, h.URL(), other, quick)
	startWorker(t, h.URL(), home, quick)
	late := fleet.Goal{Kind: fleet.Idle, Reason: "takes part later", Until: "epoch 4"}
	aim := func(nodes ...string) {
		t.Helper()
		if err := h.SetGoals(nodes, goal(1), late); err != nil {
			t.Fatal(err)
		}
	}
	aim("alpha")
	until(t, "leaves of the one and the other's idleness", func() bool {
		aim("alpha") // as with every block
		return h.log("alpha", 1).Size() >= 3 && m.saw(func(s worker.Status) bool {
			return s.Reason == late.Reason && s.Until == late.Until
		})
	})
	if n := h.log("beta", 1).Size(); n != 0 {
		t.Errorf("%d leaves of a node that was told to compute nothing", n)
	}
	aim("alpha", "beta")
	until(t, "leaves of both", func() bool { return h.log("beta", 1).Size() >= 3 })
	if err := h.SetGoals(nil, goal(1), fleet.Goal{Kind: 9}); !errors.Is(err, fleet.ErrGoal) {
		t.Errorf("senseless goal of the others: %v", err)
	}
}

// A worker that dies in the middle of a segment is replaced by another process
// with the same key, which goes on where the durable log ends.
func TestWorkerReplacedMidSegment(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	home, key := newKey(t)
	h.allow(key, "alpha")
	h.aim(goal(1))
	m := startWorker(t, h.URL(), home, quick)
	log := h.log("alpha", 1)
	until(t, "the first worker's leaves", func() bool { return log.Size() > 0 })
	m.stop()
	until(t, "the host notices", func() bool { return !h.Status()[0].Connected })
	if s := h.Status()[0]; s.State != "away" || s.Reason == "" {
		t.Errorf("status of a worker that is gone: %+v", s)
	}
	before := log.Size()
	startWorker(t, h.URL(), home, quick)
	until(t, "the second worker's leaves", func() bool { return log.Size() > before+5 })
	h.aim(fleet.Goal{Kind: fleet.Idle})
	checkLog(t, log, quick)
	if s := h.Status()[0]; s.Accepted != log.Size()-before {
		t.Errorf("%d leaves accepted on the second connection, want %d",
			s.Accepted, log.Size()-before)
	}
}

// A newer connection of the same key takes over; the log stays one.
func TestSecondConnectionTakesOver(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	home, key := newKey(t)
	h.allow(key, "alpha")
	h.aim(goal(1))
	older := startWorker(t, h.URL(), home, quick)
	log := h.log("alpha", 1)
	until(t, "the first worker's leaves", func() bool { return log.Size() > 0 })
	copied := t.TempDir() // another machine, with a copy of the key
	text, err := os.ReadFile(filepath.Join(home, worker.KeyFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, worker.KeyFile), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	newer := startWorker(t, h.URL(), copied, quick)
	until(t, "the newer is connected", func() bool {
		return newer.saw(func(s worker.Status) bool { return s.Connected })
	})
	until(t, "the older says why it is not", func() bool {
		return older.saw(func(s worker.Status) bool {
			return strings.Contains(s.Trouble, "another machine connected with this machine's key")
		})
	})
	// The older goes on behind what it has signed, and not within it: it signs no leaf in two ways.
	signed := log.Size() + 2*workerv1.MaxBatch
	until(t, "the newer's leaves", func() bool { return log.Size() > signed })
	newer.stop() // the older comes back and goes on
	at := log.Size()
	until(t, "the older's leaves", func() bool { return log.Size() > at })
	h.aim(fleet.Goal{Kind: fleet.Idle})
	checkLog(t, log, quick)
}

// A host that restarts in the middle of a segment has everything it
// acknowledged, and its worker comes back by itself.
func TestHostRestartMidSegment(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, dir, "127.0.0.1:0")
	home, key := newKey(t)
	h.allow(key, "alpha")
	h.aim(goal(1))
	m := startWorker(t, h.URL(), home, quick)
	until(t, "leaves arrive", func() bool { return h.log("alpha", 1).Size() > 0 })
	address, err := link.ParseAddress(h.URL())
	if err != nil {
		t.Fatal(err)
	}
	log := h.log("alpha", 1)
	h.stop()
	acked := log.Size()
	until(t, "the worker says that its host is away", func() bool {
		return m.saw(func(s worker.Status) bool {
			return s.State == "computing" && strings.Contains(s.Reason, "away")
		})
	})

	h = newHost(t, dir, address.HostPort)
	h.allow(key, "alpha")
	if n := h.log("alpha", 1).Size(); n < acked {
		t.Fatalf("%d leaves acknowledged, %d left", acked, n)
	}
	h.aim(goal(1))
	until(t, "leaves arrive again", func() bool { return h.log("alpha", 1).Size() > acked+5 })
	h.aim(fleet.Goal{Kind: fleet.Idle})
	checkLog(t, h.log("alpha", 1), quick)
}

// Two machines, of which one is ten times as fast as the other, fill a bound to the last leaf and
// then say why they are idle. More of it has them go on, and a host that restarts grants nothing
// twice.
func TestMachinesShareABound(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, dir, "127.0.0.1:0")
	address, err := link.ParseAddress(h.URL())
	if err != nil {
		t.Fatal(err)
	}
	keys, machines := map[string]ed25519.PublicKey{}, map[string]*machine{}
	engines := map[string]work.Engine{"fast": &enginetest.Engine{Rounds: 100},
		"slow": &enginetest.Engine{Rounds: 1000}}
	for node, engine := range engines {
		home, key := newKey(t)
		keys[node] = key
		h.allow(key, node)
		machines[node] = startWorker(t, h.URL(), home, engine)
	}
	until(t, "both are connected", func() bool { return len(h.Status()) == 2 })
	full := func(most uint64) {
		t.Helper()
		g := bounded(most)
		h.aim(g)
		until(t, fmt.Sprintf("%d leaves, and both are idle", most), func() bool {
			stored := uint64(0)
			for _, s := range h.Status() {
				if stored += s.Size; s.State != "idle" || s.Reason != g.Spent ||
					s.Until != g.Until || s.Size != s.Granted {
					return false
				}
			}
			return stored >= most
		})
		if fast, slow := h.log("fast", 1).Size(), h.log("slow", 1).Size(); fast+slow != most {
			t.Errorf("%d and %d leaves are stored, want %d", fast, slow, most)
		}
		for node, m := range machines {
			until(t, "the worker's own word", func() bool {
				return m.saw(func(s worker.Status) bool {
					return s.State == "idle" && s.Reason == g.Spent && s.Until == g.Until
				})
			})
			checkLog(t, h.log(node, 1), engines[node])
		}
	}
	full(20_000)
	full(20_001)
	full(30_000)
	h.stop()
	h = newHost(t, dir, address.HostPort)
	for node, key := range keys {
		h.allow(key, node)
	}
	full(30_000)
	full(31_000)
}

func TestWrongFingerprint(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	home, key := newKey(t)
	h.allow(key, "alpha")
	address, err := link.ParseAddress(h.URL())
	if err != nil {
		t.Fatal(err)
	}
	address.Fingerprint[0]++
	err = worker.Run(t.Context(), worker.Config{URL: address.String(), Home: home, Engine: quick})
	if !errors.Is(err, link.ErrFingerprint) ||
		!strings.Contains(err.Error(), "copy the worker URL from the host again") {
		t.Fatalf("wrong fingerprint: %v", err)
	}
	if s := h.Status(); len(s) != 0 {
		t.Fatalf("the host met the worker: %+v", s)
	}
}

func TestUnknownKey(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	home, key := newKey(t)
	m := startWorker(t, h.URL(), home, quick)
	until(t, "the worker says what to do", func() bool {
		return m.saw(func(s worker.Status) bool {
			return s.State == "registering" &&
				strings.Contains(s.Reason, "does not know this machine's key") &&
				strings.Contains(s.Next, "assay host allow ")
		})
	})
	h.allow(key, "alpha") // and from then on it is welcome, without a restart
	until(t, "the worker is admitted", func() bool {
		return m.saw(func(s worker.Status) bool { return s.Connected && s.Node == "alpha" })
	})
}

// A machine that only asks whether it is known gets a true answer, be it yes or no.
func TestAdmitted(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	key := keyOf(90)
	if node, refusal, err := worker.Admitted(t.Context(), h.URL(), key); err != nil || node != "" ||
		!refusal.Stranger {
		t.Errorf("a stranger: %q, %+v, %v", node, refusal, err)
	}
	h.allow(key.Public().(ed25519.PublicKey), "w7")
	if node, refusal, err := worker.Admitted(t.Context(), h.URL(), key); err != nil ||
		node != "w7" {
		t.Errorf("a node: %q, %+v, %v", node, refusal, err)
	}
}

// While the chain stands still every machine learns why, those that compute too, and loses nothing
// by it; afterwards the goal's end is a block again.
func TestMachinesLearnThatTheChainStandsStill(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	home, key := newKey(t)
	h.allow(key, "alpha")
	other, otherKey := newKey(t)
	h.allow(otherKey, "beta")
	computing, idle := startWorker(t, h.URL(), home, quick), startWorker(t, h.URL(), other, quick)
	g := goal(1)
	g.Until = "block 46"
	aim := func() {
		t.Helper()
		if err := h.SetGoals([]string{"alpha"}, g,
			fleet.Goal{Kind: fleet.Idle, Reason: "takes part later",
				Until: "epoch 4"}); err != nil {
			t.Fatal(err)
		}
	}
	aim()
	until(t, "leaves", func() bool { return h.log("alpha", 1).Size() >= 3 })
	const why = "no block since 14:41:55 UTC"
	h.Halt(why)
	said := func(state string) func(worker.Status) bool {
		return func(s worker.Status) bool {
			return s.State == state && strings.Contains(s.Until+s.Reason, why)
		}
	}
	until(t, "both machines to learn it", func() bool {
		aim() // stating the goals again takes nothing back
		return computing.saw(said("computing")) && idle.saw(said("idle"))
	})
	before := h.log("alpha", 1).Size()
	until(t, "more leaves", func() bool { return h.log("alpha", 1).Size() > before })
	h.Halt("")
	last := func(m *machine) worker.Status {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.seen[len(m.seen)-1]
	}
	until(t, "the goal's end to be a block again", func() bool {
		return last(computing).Until == "block 46" && last(idle).Until == "epoch 4" &&
			last(idle).Reason == "takes part later"
	})
}
