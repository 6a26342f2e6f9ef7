// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"crypto/ed25519"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Whatever a worker may not do closes its connection, says why, and stores
// nothing.
func TestViolationsCloseTheConnection(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	h.aim(goal(1))
	encode := func(e *workerv1.Envelope) []byte {
		b, err := workerv1.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	resigned := func(by ed25519.PrivateKey, s delivery.Statement) []byte {
		e := batch(3, 1, 0, 1)
		sig := s.Sign(by)
		e.GetBatch().Signature = sig[:]
		return encode(e)
	}
	records := batch(3, 1, 0, 1).GetBatch().Records
	unsigned := batch(3, 1, 0, 1)
	unsigned.GetBatch().Signature = nil
	short := batch(3, 1, 0, 1)
	short.GetBatch().Records = short.GetBatch().Records[:39]
	status := &workerv1.Envelope{
		Message: &workerv1.Envelope_Status{
			Status: &workerv1.Status{State: workerv1.State_STATE_IDLE, Reason: "\x1b[2J"}}}
	cases := []struct {
		name    string
		message []byte
		reason  string
	}{
		{"garbage", []byte{0xff, 1, 2}, "not protobuf"},
		{"empty", nil, "empty envelope"},
		{"unknown field", protowire.AppendVarint(protowire.AppendTag(encode(batch(3, 1, 0, 1)), 99,
			protowire.VarintType), 1), "unknown"},
		{"host's message",
			encode(&workerv1.Envelope{Message: &workerv1.Envelope_Idle{Idle: &workerv1.Idle{}}}),
			"other direction"},
		{"second hello", encode((&puppet{key: keyOf(2)}).hello()), "after the first message"},
		{"terminal codes", encode(status), "do not print"},
		{"half a record", encode(short), "39 bytes"},
		{"too many records", encode(batch(3, 1, 0, 1001)), "1..1000"},
		{"another epoch", encode(batch(4, 1, 0, 1)), "not told to compute"},
		{"another segment", encode(batch(3, 2, 0, 1)), "not told to compute"},
		{"a gap", encode(batch(3, 1, 1, 1)), "begins at leaf 1"},
		{"beyond its stop", encode(batch(3, 1, 1<<18, 1)), "beyond its stop at 262144"},
		{"not signed", encode(unsigned), "batch.signature"},
		{"signed by another key", resigned(keyOf(3), statement(3, 1, 0, records)),
			"not signed by this key"},
		{"signed for another segment", resigned(keyOf(2), statement(3, 2, 0, records)),
			"leaves 0..0 of epoch 3 segment 1: not signed by this key"},
		{"signed for other leaves",
			resigned(keyOf(2), statement(3, 1, 0, append(records[:39:39], 9))),
			"not signed by this key"},
		{"too large", make([]byte, workerv1.MaxMessage+1), ""},
		{"unasked proof",
			encode(&workerv1.Envelope{
				Message: &workerv1.Envelope_NodeProof{
					NodeProof: &workerv1.NodeProof{Signature: make([]byte, 64)}}}),
			"nobody asked for"},
		{"unknown job",
			encode(&workerv1.Envelope{
				Message: &workerv1.Envelope_RerunResult{RerunResult: &workerv1.RerunResult{Job: 7,
					Error: "no"}}}), "job 7"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := join(t, h, 2, "alpha")
			hearUntil(p, (*workerv1.Envelope).GetCompute)
			p.sayRaw(c.message)
			if reason := p.closed(); !strings.Contains(reason, c.reason) {
				t.Errorf("closed with %q, want it to say %q", reason, c.reason)
			}
		})
	}
	if n := h.log("alpha", 1).Size(); n != 0 {
		t.Errorf("%d leaves of violators were stored", n)
	}
}

// A machine stores what it was granted, to the last leaf, and not one more.
func TestLeavesBeyondTheGrantCloseTheConnection(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	h.aim(bounded(10))
	for _, c := range []struct {
		first  uint64
		leaves int
	}{{0, 11}, {0, 10}, {10, 1}} {
		p := join(t, h, 2, "alpha")
		if c.first == 0 {
			if o := hearUntil(p, (*workerv1.Envelope).GetCompute); o.First != 0 || o.Stop != 10 {
				t.Fatalf("order: %v", o)
			}
		} else if i := hearUntil(p,
			(*workerv1.Envelope).GetIdle); i.Reason != "all leaves are computed" ||
			i.Until != "height 120" {
			t.Fatalf("with nothing left: %v", i)
		}
		p.say(batch(3, 1, c.first, c.leaves))
		if c.leaves == 10 { // the receipt goes before the word that there is no more
			if a := p.hear().GetAck(); a.GetSize() != 10 {
				t.Fatalf("acknowledged: %v", a)
			}
			if i := p.hear().GetIdle(); i.GetReason() != "all leaves are computed" {
				t.Fatalf("after the last leaf: %v", i)
			}
			p.Abort()
			continue
		}
		if reason := p.closed(); !strings.Contains(reason, "beyond its stop at 10") {
			t.Errorf("%d leaves from %d on: closed with %q", c.leaves, c.first, reason)
		}
	}
	if n := h.log("alpha", 1).Size(); n != 10 {
		t.Errorf("%d leaves are stored of 10", n)
	}
}

// bounded is a goal of which so many leaves may be had.
func bounded(most uint64) fleet.Goal {
	g := goal(1)
	g.Most, g.Spent = most, "all leaves are computed"
	return g
}

// What a machine was granted and has not stored goes to the others as it leaves; what it has stored
// it keeps.
func TestAnUnusedGrantReturns(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	h.aim(bounded(100))
	p := join(t, h, 2, "alpha")
	if o := hearUntil(p, (*workerv1.Envelope).GetCompute); o.Stop != 100 {
		t.Fatalf("order: %v", o)
	}
	other := join(t, h, 3, "beta")
	if i := hearUntil(other, (*workerv1.Envelope).GetIdle); i.Reason != "all leaves are computed" {
		t.Fatalf("with nothing left: %v", i)
	}
	p.say(batch(3, 1, 0, 30))
	hearUntil(p, (*workerv1.Envelope).GetAck)
	p.Abort()
	if o := hearUntil(other, (*workerv1.Envelope).GetCompute); o.First != 0 || o.Stop != 70 {
		t.Errorf("of 100 leaves, 30 of them stored by another: %v", o)
	}
	p = join(t, h, 2, "alpha") // it comes back to what it has
	if i := hearUntil(p, (*workerv1.Envelope).GetIdle); i.Reason != "all leaves are computed" {
		t.Errorf("back with 30 leaves: %v", i)
	}
}

func TestFirstWords(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	h.allow(keyOf(2).Public().(ed25519.PublicKey), "alpha")
	for name, c := range map[string]struct {
		change func(*workerv1.Hello) *workerv1.Envelope
		reason string
	}{
		"not hello": {func(*workerv1.Hello) *workerv1.Envelope {
			return batch(3, 1, 0, 1)
		}, "must be Hello"},
		"other protocol": {func(h *workerv1.Hello) *workerv1.Envelope {
			h.Protocol = 1
			return nil
		}, "protocol"},
		"somebody's key": {func(h *workerv1.Hello) *workerv1.Envelope {
			h.Key = make([]byte, 32)
			return nil
		}, "not the connection's"},
		"failed self-test": {func(h *workerv1.Hello) *workerv1.Envelope {
			h.SelfTestOk = false
			return nil
		}, "self-test"},
		"no engine": {func(h *workerv1.Hello) *workerv1.Envelope {
			h.Engine = ""
			return nil
		}, "hello.engine"},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, h, keyOf(2))
			e := p.hello()
			if other := c.change(e.GetHello()); other != nil {
				e = other
			}
			p.say(e)
			if r := p.hear().GetRefuse(); !strings.Contains(r.GetReason(), c.reason) {
				t.Errorf("refused with %v, want %q", r, c.reason)
			}
			p.closed()
		})
	}
}

// A machine hears of a log that was left out, the latest, also when it was away.
func TestLeftOutIsTold(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	h.LeftOut("alpha", &workerv1.LeftOut{Epoch: 1, Segment: 1, Reason: "nobody is there"})
	p := join(t, h, 2, "alpha")
	hearUntil(p, (*workerv1.Envelope).GetIdle)
	for i, reason := range []string{"some are wrong", "more are wrong"} {
		if i == 1 {
			p.Abort()
			until(t, "the end of the connection", func() bool { return !h.Status()[0].Connected })
		}
		h.LeftOut("alpha", &workerv1.LeftOut{Epoch: 3, Segment: uint32(i) + 1, Reason: reason,
			Evidence: []byte("evidence")})
		if i == 1 {
			p = join(t, h, 2, "alpha")
		}
		if l := hearUntil(p, (*workerv1.Envelope).GetLeftOut); l.Epoch != 3 ||
			l.Segment != uint32(i)+1 || l.Reason != reason || string(l.Evidence) != "evidence" {
			t.Errorf("told %v, want %q", l, reason)
		}
	}
}

// Batches that were on their way when their segment ended are not a fault, and
// not stored. A batch whose acknowledgement was lost may be repeated.
// Holds spec H-2.
func TestLateAndRepeatedBatches(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	h.aim(goal(1))
	p := join(t, h, 2, "alpha")
	if c := hearUntil(p, (*workerv1.Envelope).GetCompute); c.First != 0 || c.Segment != 1 ||
		c.Until != "height 120" {
		t.Fatalf("order: %v", c)
	}
	p.say(batch(3, 1, 0, 5))
	hearAck := func(segment uint32, size uint64) {
		t.Helper()
		a := hearUntil(p, (*workerv1.Envelope).GetAck)
		if a.Segment != segment || a.Size != size || a.Epoch != 3 {
			t.Fatalf("acknowledged %v, want size %d", a, size)
		}
		b := batch(3, segment, 0, int(size)).GetBatch()
		r := delivery.Receipt{Version: delivery.ReceiptVersion,
			DeviceSignature: signed.Signature(b.Signature),
			HostSignature:   signed.Signature(a.Signature)}
		s := statement(3, segment, 0, b.Records)
		r.Order, r.Batch = s.Order, s.Batch
		if err := r.Verify(); err != nil {
			t.Fatalf("the receipt for %d leaves: %v", size, err)
		}
	}
	hearAck(1, 5)
	p.say(batch(3, 1, 0, 5))
	hearAck(1, 5)

	h.aim(goal(2))
	p.say(batch(3, 1, 5, 5))
	hearUntil(p, (*workerv1.Envelope).GetCompute)
	p.say(batch(3, 2, 0, 1))
	hearAck(2, 1)
	s := h.Status()[0]
	if h.log("alpha", 1).Size() != 5 || s.Late != 5 || s.Accepted != 6 {
		t.Errorf("log of segment 1 has %d leaves, status %+v", h.log("alpha", 1).Size(), s)
	}

	// The same goal again does not disturb the worker; the reason of idleness does.
	h.aim(goal(2))
	h.aim(fleet.Goal{Kind: fleet.Idle, Reason: strings.Repeat("long\n", 100)})
	if i := p.hear().GetIdle(); i == nil || len(i.Reason) > workerv1.MaxText {
		t.Errorf("told %v, want Idle with a clipped reason", i)
	}
}

// A proof must be this key's, over this node.
func TestForgedNodeProof(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	p := join(t, h, 2, "alpha")
	if _, _, ok := h.NodeProof("alpha"); ok {
		t.Fatal("a proof before the worker gave one")
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() { // asks again and again, as a host does: the worker is welcomed before it is one
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			h.NodeProof("alpha")
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	for _, node := range []string{"beta", "alpha"} {
		hearUntil(p, (*workerv1.Envelope).GetProveNode)
		statement := seed.Possession(chain, "node/"+node, participant,
			p.key.Public().(ed25519.PublicKey))
		p.say(&workerv1.Envelope{
			Message: &workerv1.Envelope_NodeProof{
				NodeProof: &workerv1.NodeProof{Signature: ed25519.Sign(p.key, statement[:])}}})
		if node == "beta" {
			if reason := p.closed(); !strings.Contains(reason, "does not verify") {
				t.Fatalf("closed with %q", reason)
			}
			p = join(t, h, 2, "alpha") // the honest one; it is asked again
		}
	}
	var signature []byte
	until(t, "the proof", func() (ok bool) {
		_, signature, ok = h.NodeProof("alpha")
		return ok
	})
	if len(signature) != 64 {
		t.Fatalf("proof: %x", signature)
	}
	if _, _, ok := h.NodeProof("nobody"); ok {
		t.Fatal("proof of a node that never came")
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	if _, err := fleet.New(fleet.Config{}); !errors.Is(err, fleet.ErrConfig) {
		t.Errorf("empty configuration: %v", err)
	}
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	noSegment, noClass, noLeaf := goal(0), goal(1), goal(1)
	noClass.Class, noLeaf.Most = transformer.Class{Name: "nano"}, 0
	for _, g := range []fleet.Goal{noSegment, noClass, noLeaf, {Kind: 9}} {
		if err := h.SetGoal(g); !errors.Is(err, fleet.ErrGoal) {
			t.Errorf("goal %+v: %v", g, err)
		}
	}
	if err := h.SetGoals(nil, goal(1), goal(1)); !errors.Is(err, fleet.ErrGoal) {
		t.Errorf("all others compute too: %v", err)
	}
	if _, err := h.Rerun(t.Context(), []fleet.Unit{{}}); !errors.Is(err, fleet.ErrRerun) {
		t.Errorf("units without a class: %v", err)
	}
	if out, err := h.Rerun(t.Context(), nil); err != nil || len(out) != 0 {
		t.Errorf("no units: %v, %v", out, err)
	}
}

// A key that is taken off the list loses its connection, not only the next one.
// Holds spec H-4.
func TestRecheck(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	p, other := join(t, h, 2, "alpha"), join(t, h, 3, "beta")
	h.mu.Lock()
	delete(h.nodes, string(p.key.Public().(ed25519.PublicKey)))
	h.mu.Unlock()
	h.Recheck()
	if reason := p.closed(); !strings.Contains(reason, "off the list") {
		t.Errorf("closed with %q", reason)
	}
	h.aim(fleet.Goal{Kind: fleet.Idle, Reason: "still here"})
	hearUntil(other, func(e *workerv1.Envelope) *workerv1.Idle {
		if i := e.GetIdle(); i.GetReason() == "still here" {
			return i
		}
		return nil
	})
}

// A host that listens everywhere names an address that others reach, where the machine has one
// (N4).
func TestTheURLIsForOthers(t *testing.T) {
	h := newHost(t, t.TempDir(), "0.0.0.0:0")
	out, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		t.Skip("this machine has no way out, so its address is the loopback's")
	}
	defer out.Close()
	want := out.LocalAddr().(*net.UDPAddr).IP.String()
	if !strings.Contains(h.URL(), "://"+want+":") {
		t.Errorf("workers are told %s; others reach this machine at %s", h.URL(), want)
	}
}
