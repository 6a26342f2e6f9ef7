// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// spoil makes every tile of a loop wrong.
func spoil(_ int, tiles [][32]byte) {
	for i := range tiles {
		tiles[i][0] ^= 1
	}
}

// attacks are those of notes H1-H22 that a machine can try. Each starts with a
// registered key that has one accepted submission, whose pay is locked.
var attacks = []struct {
	name string
	try  func(t *testing.T, n *network, h *hand)
}{
	{"H1 the receipt prints the true detection", func(t *testing.T, _ *network, h *hand) {
		if r := h.judged(h.compute(12, nil)); r.Outcome.Checked != mpoc.DefaultPicks ||
			r.Outcome.Detection < "0.99" {
			t.Errorf("detection %s by %d tiles", r.Outcome.Detection, r.Outcome.Checked)
		}
	}},
	{"H2 chosen samples", func(t *testing.T, _ *network, h *hand) {
		s := h.compute(15, nil)
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		p := h.opened(s, 0)
		for at, mine := range p.Samples { // the first loop that was not asked
			if mine.Index != uint64(at) {
				p.Samples[at] = must[mpoc.Sample](h)(s.OpenSample(&s.tree, uint64(at),
					p.Samples[at].Digest))
				break
			}
		}
		_, err := h.send(s, p)
		refused(t, mpocv1.CodeBadOpening, err)
		p = h.opened(s, 0)
		p.Tiles[0] = p.Tiles[1]
		_, err = h.send(s, p)
		refused(t, mpocv1.CodeBadOpening, err)
	}},
	{"H3 unsampled forgeries", func(t *testing.T, n *network, h *hand) {
		s := h.compute(30, func(loop int, tiles [][32]byte) {
			if loop%2 == 1 {
				spoil(loop, tiles)
			}
		})
		if r := h.judged(s); r.Outcome.Status != mpoc.Rejected || len(r.WrongTiles) == 0 {
			t.Errorf("half forged: %+v", r.Outcome)
		}
		if a := n.standing(h.key); a.Strikes != 1 || !a.Locked.IsZero() {
			t.Errorf("standing %+v", a)
		}
	}},
	{"H5 truncated path", func(t *testing.T, _ *network, h *hand) {
		s := h.compute(12, nil)
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		for _, cut := range []func(p *mpoc.Proof){
			func(p *mpoc.Proof) { p.Samples[3].Proof = p.Samples[3].Proof[1:] },
			func(p *mpoc.Proof) {
				p.Samples[3].Proof = append(slices.Clone(p.Samples[3].Proof), signed.Hash{})
			},
			func(p *mpoc.Proof) { p.Tiles[3].TileProof = p.Tiles[3].TileProof[:5] },
			func(p *mpoc.Proof) { p.Tiles[3].Proof = nil },
			func(p *mpoc.Proof) { p.Samples = p.Samples[:len(p.Samples)-1] },
			func(p *mpoc.Proof) { p.Tiles = p.Tiles[:len(p.Tiles)-1] },
		} {
			p := h.opened(s, 0)
			cut(&p)
			_, err := h.send(s, p)
			refused(t, mpocv1.CodeBadOpening, err)
		}
	}},
	{"H6 swapped index", func(t *testing.T, _ *network, h *hand) {
		s := h.compute(12, nil)
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		p := h.opened(s, 0)
		a, b := &p.Samples[0], &p.Samples[1]
		a.Leaf, b.Leaf, a.Digest, b.Digest, a.Proof, b.Proof = b.Leaf, a.Leaf, b.Digest,
			a.Digest, b.Proof, a.Proof
		_, err := h.send(s, p)
		refused(t, mpocv1.CodeBadOpening, err)
	}},
	{"H7 count mismatch", func(t *testing.T, _ *network, h *hand) {
		s := h.compute(12, nil)
		s.Commit.Loops = 13
		if err := h.commit(s); err != nil {
			t.Fatal(err) // the host cannot know yet
		}
		s.Commit.Loops = 12
		p := h.opened(s, 0)
		s.Commit.Loops = 13
		_, err := h.send(s, p)
		refused(t, mpocv1.CodeBadOpening, err)
	}},
	{"H7 more loops than the terms allow", func(t *testing.T, _ *network, h *hand) {
		s := h.compute(1, nil)
		s.Commit.Loops = s.Terms.MaxLoops + 1
		refused(t, mpocv1.CodeOutOfBounds, h.commit(s))
		s.Commit.Loops = 0
		refused(t, mpocv1.CodeMalformed, h.commit(s))
	}},
	{"H7 duplicate leaves", func(t *testing.T, n *network, h *hand) {
		var first [][32]byte
		s := h.compute(12, func(loop int, tiles [][32]byte) {
			if loop == 0 {
				first = slices.Clone(tiles)
			}
			copy(tiles, first)
		})
		if r := h.judged(s); r.Outcome.Status != mpoc.Rejected {
			t.Errorf("one loop twelve times: %+v", r.Outcome)
		}
		if a := n.standing(h.key); a.Strikes != 1 {
			t.Errorf("standing %+v", a)
		}
	}},
	{"H8 replay of a submission", func(t *testing.T, n *network, h *hand) {
		s := h.compute(12, nil)
		r := h.judged(s)
		before := n.standing(h.key)
		for range 2 {
			refused(t, mpocv1.CodeReplayed, h.commit(&submission{Log: s.Log, token: s.token}))
			again := must[mpocv1.ProofAnswer](h)(h.send(s, h.opened(s, 0)))
			if again.Receipt == nil || again.Receipt.Digest() != r.Digest() {
				t.Error("another receipt for the same submission")
			}
			n.restart()
		}
		if a := n.standing(h.key); a.Entries != before.Entries {
			t.Errorf("paid again: %+v", a)
		}
	}},
	{"H8 replay for another challenge", func(t *testing.T, _ *network, h *hand) {
		old := h.compute(12, nil)
		h.judged(old)
		s := h.compute(0, nil)
		s.tree, s.tiles, s.Commit = old.tree, old.tiles, old.Commit
		for i, tiles := range s.tiles { // the measured rate may ask for units of more tiles
			for len(tiles) < s.Terms.Shape.Matmul().Tiles() {
				tiles = append(tiles, tiles[0])
			}
			s.tiles[i] = tiles
		}
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		_, err := h.send(s, h.opened(s, 0))
		refused(t, mpocv1.CodeBadOpening, err)
	}},
	{"H8 replay for another host", func(t *testing.T, _ *network, h *hand) {
		other := newNetwork(t, func(n *network) { n.config.HostKey = keyOf(9) })
		s := h.compute(12, nil)
		away := other.hand(h.key).register()
		refused(t, mpocv1.CodeNoChallenge, away.commit(s))
		_, err := post[mpocv1.RegisterAnswer](away, mpocv1.PathDevices, h.registration())
		refused(t, mpocv1.CodeBadSignature, err)
	}},
	{"H8 an asking twice", func(t *testing.T, _ *network, h *hand) {
		q, sig := h.asking(mpoc.AskChallenge)
		body := mpocv1.ChallengeRequest{Asking: q, Signature: sig}
		must[mpocv1.Challenge](h)(post[mpocv1.Challenge](h, mpocv1.PathChallenge, body))
		_, err := post[mpocv1.Challenge](h, mpocv1.PathChallenge, body)
		refused(t, mpocv1.CodeReplayed, err)
		q.Time -= 10 * 60_000
		_, err = post[mpocv1.Challenge](h, mpocv1.PathChallenge,
			mpocv1.ChallengeRequest{Asking: q, Signature: q.Sign(h.key)})
		refused(t, mpocv1.CodeClockSkew, err)
	}},
	{"H8 stale challenge", func(t *testing.T, n *network, h *hand) {
		s := h.compute(12, nil)
		n.clock.Pass(time.Duration(s.Terms.Expiry-s.Terms.Issued+5) * time.Millisecond)
		err := h.commit(s)
		// swept already
		if e, ok := err.(*mpocv1.Error); !ok || e.Code != mpocv1.CodeLate &&
			e.Code != mpocv1.CodeNoChallenge {
			t.Fatalf("a commit after the expiry: %v", err)
		}
		if fresh := must[mpocv1.Challenge](h)(h.ask()); fresh.ChallengeID == s.Terms.ChallengeID {
			t.Error("the challenge lives for ever")
		}
	}},
	{"H9 stale, foreign and made-up tokens", func(t *testing.T, n *network, h *hand) {
		old := h.compute(12, nil)
		h.judged(old)
		s := h.compute(12, nil)
		other := n.hand(keyOf(8)).register().compute(1, nil)
		own := s.token
		for _, token := range []signed.Hash{old.token, other.token, {}, {1}} {
			s.token = token
			refused(t, mpocv1.CodeBadToken, h.commit(s))
		}
		s.token = own
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		s.token = old.token
		_, err := h.send(s, h.opened(s, 0))
		refused(t, mpocv1.CodeBadToken, err)
	}},
	{"another's receipt", func(t *testing.T, n *network, h *hand) {
		s := h.compute(12, nil)
		r := h.judged(s)
		thief := n.hand(keyOf(7)).register()
		_, err := thief.find(r.Terms.ChallengeID)
		refused(t, mpocv1.CodeNoChallenge, err)
		_, unknown := thief.find(signed.Hash{1})
		refused(t, mpocv1.CodeNoChallenge, unknown)
		if text := strings.ReplaceAll(err.Error(), r.Terms.ChallengeID.String(),
			(signed.Hash{1}).String()); text != unknown.Error() {
			t.Errorf("another's is told from an unknown one: %v, %v", err, unknown)
		}
		asked := h.finding(r.Terms.ChallengeID)
		for _, change := range []func(q *mpocv1.FindRequest){
			func(q *mpocv1.FindRequest) { q.Signature = q.Asking.Sign(thief.key) },
			func(q *mpocv1.FindRequest) { q.Asking.DeviceKey = signed.KeyOf(thief.key) },
			func(q *mpocv1.FindRequest) { q.Asking.ChallengeID = &signed.Hash{1} },
		} {
			q := asked
			change(&q)
			_, err := post[mpocv1.FindAnswer](thief, mpocv1.PathFind, q)
			refused(t, mpocv1.CodeBadSignature, err)
		}
		must[mpocv1.FindAnswer](h)(post[mpocv1.FindAnswer](h, mpocv1.PathFind, asked))
		_, err = post[mpocv1.FindAnswer](thief, mpocv1.PathFind, asked) // overheard
		refused(t, mpocv1.CodeReplayed, err)
	}},
	{"H10 wrong key", func(t *testing.T, n *network, h *hand) {
		thief := n.hand(keyOf(7))
		_, err := thief.ask()
		refused(t, mpocv1.CodeUnknownDevice, err)
		thief.register()
		s := h.compute(12, nil)
		refused(t, mpocv1.CodeBadSignature, thief.commit(s)) // even with the token
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		_, err = thief.send(s, h.opened(s, 0))
		refused(t, mpocv1.CodeBadSignature, err)
		// Registering somebody else's key, or with another's nonce.
		r := h.registration()
		r.Signature = r.Registration.Sign(thief.key)
		_, err = post[mpocv1.RegisterAnswer](thief, mpocv1.PathDevices, r)
		refused(t, mpocv1.CodeBadSignature, err)
		r.Registration.DeviceKey = signed.KeyOf(thief.key)
		r.Signature = r.Registration.Sign(thief.key)
		_, err = post[mpocv1.RegisterAnswer](thief, mpocv1.PathDevices, r)
		refused(t, mpocv1.CodeReplayed, err)
	}},
	{"H11 false compute_time", func(t *testing.T, _ *network, h *hand) {
		s := h.compute(12, nil)
		s.Commit.ComputeTime = 1
		fast := h.judged(s)
		s = h.compute(12, nil)
		s.Commit.ComputeTime = 999_000_000
		slow := h.judged(s)
		if fast.Outcome.Pay != fast.Terms.Pay(fast.Outcome.Ops) ||
			slow.Outcome.Pay != slow.Terms.Pay(slow.Outcome.Ops) ||
			fast.Outcome.Status != mpoc.Accepted || slow.Outcome.Status != mpoc.Accepted {
			t.Errorf("claimed fast %+v, slow %+v", fast.Outcome, slow.Outcome)
		}
	}},
	{"H16 three strikes", func(t *testing.T, n *network, h *hand) {
		for range n.config.Rules.Strikes {
			if r := h.judged(h.compute(12, spoil)); r.Outcome.Status != mpoc.Rejected ||
				r.Outcome.Pay != "0" {
				t.Fatalf("forged: %+v", r.Outcome)
			}
		}
		_, err := h.ask()
		refused(t, mpocv1.CodeBanned, err)
		n.restart()
		_, err = h.ask()
		refused(t, mpocv1.CodeBanned, err)
		_, err = post[mpocv1.RegisterAnswer](h, mpocv1.PathDevices, h.registration())
		refused(t, mpocv1.CodeBanned, err)
	}},
	{"H17 small shapes", func(t *testing.T, _ *network, h *hand) {
		// The shape is the terms'. A log of others has other leaves.
		s := h.compute(12, nil)
		small := s.Terms
		if small.Shape = mpoc.Shape(mpoc.Shapes()[1]); small.Shape == s.Terms.Shape {
			small.Shape = mpoc.Shape(mpoc.Shapes()[0])
		}
		s.tree = treeOf(small, s.tiles)
		s.Commit.MerkleRoot = s.tree.Root()
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		_, err := h.send(s, h.opened(s, 0))
		refused(t, mpocv1.CodeBadOpening, err)
	}},
	{"H19 withheld opening", func(t *testing.T, n *network, h *hand) {
		s := h.compute(12, nil)
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		n.clock.Pass(time.Duration(s.draw.Deadline-s.Terms.Issued+5) * time.Millisecond)
		if r := h.answer(s); r.Outcome.Status != mpoc.Failed || r.Outcome.Pay != "0" {
			t.Errorf("answered too late: %+v", r.Outcome)
		}
		if a := n.standing(h.key); !a.Forfeited.IsZero() || a.Clean != 0 || a.Strikes != 0 {
			t.Errorf("standing %+v", a)
		}
	}},
	{"H21 a body without end", func(t *testing.T, _ *network, h *hand) {
		_, err := post[mpocv1.ProofAnswer](h, mpocv1.PathProofs, bytes.Repeat([]byte(" "), 5<<20))
		refused(t, mpocv1.CodeTooLarge, err)
		_, err = post[mpocv1.CommitAnswer](h, mpocv1.PathCommits, bytes.Repeat([]byte("["), 1<<20))
		refused(t, mpocv1.CodeTooLarge, err)
		_, err = post[mpocv1.CommitAnswer](h, mpocv1.PathCommits, bytes.Repeat([]byte("["), 1<<10))
		refused(t, mpocv1.CodeMalformed, err)
	}},
	{"grinding the root", func(t *testing.T, _ *network, h *hand) {
		s := h.compute(12, nil)
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		first := s.draw
		ground := *s
		ground.Commit.ComputeTime++
		refused(t, mpocv1.CodeTwoFaces, h.commit(&ground))
		ground.Commit.MerkleRoot[0] ^= 1
		refused(t, mpocv1.CodeTwoFaces, h.commit(&ground))
		if err := h.commit(s); err != nil || s.draw != first {
			t.Errorf("the same commit got %+v, then %+v, %v", first, s.draw, err)
		}
		if r := h.answer(s); r.Outcome.Status != mpoc.Accepted {
			t.Errorf("the first commit stands: %+v", r.Outcome)
		}
	}},
	{"copied submission", func(t *testing.T, n *network, h *hand) {
		s := h.compute(12, nil)
		h.judged(s)
		thief := n.hand(keyOf(7)).register()
		own := thief.compute(0, nil)
		own.tree, own.tiles, own.Commit = s.tree, s.tiles, s.Commit
		if err := thief.commit(own); err != nil {
			t.Fatal(err)
		}
		_, err := thief.send(own, thief.opened(own, 0))
		refused(t, mpocv1.CodeBadOpening, err)
		// With leaves made for the thief's key the log holds, and the work is not its.
		again := thief.compute(0, nil)
		if again.Terms.ChallengeID != own.Terms.ChallengeID {
			t.Error("two live challenges for one key")
		}
	}},
	{"copied digests under the thief's own leaves", func(t *testing.T, n *network, h *hand) {
		s := h.compute(12, nil)
		h.judged(s)
		thief := n.hand(keyOf(7)).register()
		if r := thief.judged(thief.compute(12, func(loop int,
			tiles [][32]byte) {
			copy(tiles, s.tiles[loop])
		})); r.Outcome.Status != mpoc.Rejected {
			t.Errorf("another's digests: %+v", r.Outcome)
		}
	}},
}

func TestAttacks(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			n := newNetwork(t, nil)
			h := n.hand(keyOf(2)).register()
			if r := h.judged(h.compute(12, nil)); r.Outcome.Status != mpoc.Accepted {
				t.Fatalf("honest: %+v", r.Outcome)
			}
			a.try(t, n, h)
		})
	}
}

// A challenge is good for its time only, also for the host's own sweeping.
func TestUnansweredIsSwept(t *testing.T) {
	n := newNetwork(t, nil)
	h := n.hand(keyOf(2)).register()
	s := h.compute(12, nil)
	if err := h.commit(s); err != nil {
		t.Fatal(err)
	}
	n.clock.Pass(10 * time.Minute)
	n.events.wait(t, "the sweep", func() bool { return n.status().Failed == 1 })
}
