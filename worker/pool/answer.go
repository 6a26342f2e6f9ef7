// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// commit sends the root and takes the draw.
func (m *Machine) commit(ctx context.Context) error {
	m.is("answering", "sending the commit", clock(m.current.Terms.Expiry), "")
	c := m.current
	l := c.log()
	// Sent before, perhaps: asked for as long as an answer to it may be waited for.
	within, cancel := m.client.until(ctx, c.Terms.Expiry+3*60_000)
	defer cancel()
	a, err := post[mpocv1.CommitAnswer](within, m, mpocv1.PathCommits, func() any {
		return mpocv1.CommitRequest{
			ChallengeID: c.Terms.ChallengeID, Token: c.Token, Seed: c.Terms.Seed, Commit: c.Commit,
			DeviceSignature: l.Sign(m.c.Key),
		}
	})
	if code(err) == mpocv1.CodeOutOfBounds && ctx.Err() == nil {
		// Not taken, and no other commit is signed for this challenge: two would convict
		// this machine. The host has a smaller one next.
		return m.end(WasDropped, dropped, reason(err))
	}
	if err != nil {
		return m.lost(ctx, err)
	}
	if err := a.Draw.VerifySignature(l, a.HostSignature); err != nil {
		return m.show(c, "draw", a, fmt.Errorf("%w: %w", mpoc.ErrHost, err))
	}
	if err := a.Draw.Verify(l); err != nil {
		e := mpoc.Evidence{
			Version: mpoc.EvidenceVersion, Claim: mpoc.BadDraw,
			Terms:  &mpoc.SignedTerms{Terms: c.Terms, Signature: c.Signature},
			Commit: &mpoc.SignedCommit{Commit: c.Commit, Signature: l.Sign(m.c.Key)},
			Draw:   &mpoc.SignedDraw{Draw: a.Draw, Signature: a.HostSignature},
		}
		text, merr := e.Marshal()
		return m.cheated(c, "bad-draw", text, merr, fmt.Errorf("%w: %w", mpoc.ErrHost, err))
	}
	if q := a.Draw.Questions(l); !slices.Equal(a.Indices, q.Samples()) ||
		!slices.Equal(a.Picks, q.Picks(0)) {
		return m.show(c, "questions", a, fmt.Errorf("%w: it asks other loops or tiles than "+
			"follow from its nonce", mpoc.ErrHost))
	}
	c.Draw, c.DrawSignature, c.Phase = a.Draw, a.HostSignature, Drawn
	if err := m.save(); err != nil {
		return err
	}
	m.tell(m.current, Event{Type: Commitment, Deadline: clock(c.Draw.Deadline)})
	return nil
}

// lost is what becomes of a submission that the host does not take.
func (m *Machine) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch code(err) {
	case mpocv1.CodeUnknownDevice, mpocv1.CodeBanned:
		return err
	}
	if code(err) == mpocv1.CodeNoChallenge { // so it has no receipt either
		return m.end(WasLate, late, err.Error())
	}
	return m.over(ReceiptMissing, nothing, err.Error())
}

// findTime is how long a receipt is asked for at a time.
const findTime = 30 * time.Second

// find asks for the receipt of a submission, and takes it.
func (m *Machine) find(ctx context.Context, c *challenge) error {
	within, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	a, err := post[mpocv1.FindAnswer](within, m, mpocv1.PathFind, func() any {
		q, sig := m.ask(mpoc.AskReceipt, &c.Terms.ChallengeID)
		return mpocv1.FindRequest{Asking: q, Signature: sig}
	})
	switch {
	case err == nil:
		return m.receive(ctx, c, a.Receipt)
	case code(err) == mpocv1.CodeUnknownDevice:
		return err
	case code(err) != "" || within.Err() != nil:
		return fmt.Errorf("%w: %w", errUnheard, err)
	}
	return err
}

// collect asks for the receipts that are missing. What this host does not say now
// waits for the next time.
func (m *Machine) collect(ctx context.Context) error {
	if c := m.current; m.resumed && c != nil && (c.Phase == Committed || c.Phase == Drawn) {
		// Perhaps it was judged before this program died, and nothing has to be
		// opened again.
		if err := m.find(ctx, c); err != nil && !errors.Is(err, errUnheard) {
			return err
		}
	}
	m.resumed = false
	for _, c := range slices.Clone(m.missing) {
		if c.Terms.HostKey != m.host || c.Terms.DeviceKey != signed.KeyOf(m.c.Key) {
			continue
		}
		err := m.find(ctx, &c)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case code(err) == mpocv1.CodeNoChallenge:
			m.count(func(n *Counts) { n.Failed++ })
			m.change(func(s *Status) { s.LastReason = err.Error() })
			m.log.Warn("no receipt", "challenge", c.Terms.ChallengeID.String(), "reason", err)
			m.tell(&c, Event{Type: NoAnswer, Reason: reason(err)})
			err = m.settled(&c)
		case errors.Is(err, errUnheard):
			m.log.Info("the receipt is still missing", "challenge", c.Terms.ChallengeID.String(),
				"reason", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// prove answers every round and takes the receipt.
func (m *Machine) prove(ctx context.Context) error {
	c := m.current
	l, tree := c.log(), m.tree()
	if uint64(len(m.digests)) != c.Commit.Loops || tree.Root() != c.Commit.MerkleRoot {
		return m.over(ReceiptMissing, nothing, "the file of its digests was damaged after the "+
			"commit")
	}
	q := c.Draw.Questions(l)
	deadline := c.Draw.Deadline
	for round := uint32(0); ; {
		m.is("answering", fmt.Sprintf("opening what round %d asks", round), clock(deadline), "")
		p, err := m.open(ctx, q, tree, round)
		if err != nil {
			return err
		}
		a, err := m.send(ctx, mpocv1.ProofRequest{
			ChallengeID: c.Terms.ChallengeID, Token: c.Token, Seed: c.Terms.Seed, Commit: c.Commit,
			Round: p.Round, Samples: p.Samples, Tiles: p.Tiles,
			DeviceSignature: p.Sign(l, c.Draw, m.c.Key),
		}, deadline)
		switch {
		case err != nil:
			return m.lost(ctx, err)
		case a.Receipt != nil:
			return m.receive(ctx, c, *a.Receipt)
		case a.More.Round <= round || a.More.Round >= c.Terms.MaxRounds() ||
			!slices.Equal(a.More.Picks, q.Picks(a.More.Round)):
			return m.show(c, "questions", a, fmt.Errorf("%w: round %d after round %d asks other "+
				"tiles than follow from its nonce", mpoc.ErrHost, a.More.Round, round))
		}
		round, deadline = a.More.Round, a.More.Deadline
	}
}

// send sends the answer to a round until it is taken: for some time after the
// deadline, since the host may be rounds ahead of what was known before a restart,
// and for as long as the host says that the wait is its own.
func (m *Machine) send(ctx context.Context, q mpocv1.ProofRequest,
	deadline uint64) (mpocv1.ProofAnswer, error) {
	for {
		within, cancel := m.client.until(ctx, max(deadline, m.client.now())+60_000)
		a, err := post[mpocv1.ProofAnswer](within, m, mpocv1.PathProofs, func() any { return q })
		cancel()
		if code(err) != mpocv1.CodeBusy || ctx.Err() != nil {
			return a, err
		}
	}
}

// open makes the openings of a round. Loops of which tiles are opened are
// computed again. It does not wait for the gate.
func (m *Machine) open(ctx context.Context, q mpoc.Questions, tree *commit.Log,
	round uint32) (mpoc.Proof, error) {
	t, l := m.current.Terms, m.current.log()
	// Lists, also where they are empty: null is no list.
	p := mpoc.Proof{Round: round, Samples: []mpoc.Sample{}, Tiles: []mpoc.TileOpening{}}
	if round == 0 {
		for _, index := range q.Samples() {
			s, err := l.OpenSample(tree, index, m.digests[index])
			if err != nil {
				return p, err
			}
			p.Samples = append(p.Samples, s)
		}
	}
	tiles := make([][32]byte, t.Shape.Matmul().Tiles())
	for i, pick := range q.Picks(round) { // rising, so a loop's tiles follow each other
		if i == 0 || pick.Index != p.Tiles[i-1].Index {
			if err := m.again(ctx, tiles, pick.Index); err != nil {
				return p, err
			}
		}
		o, err := l.OpenTile(tree, pick, tiles)
		if err != nil {
			return p, err
		}
		p.Tiles = append(p.Tiles, o)
	}
	return p, nil
}

// again computes the tiles of a loop that was committed. Where they stay others
// than they were the loop cannot be opened.
func (m *Machine) again(ctx context.Context, tiles [][32]byte, unit uint64) error {
	t := m.current.Terms
	var err error
	for range tries {
		if err = m.c.Engine.Tiles(ctx, tiles, seed.Seed(t.Seed), t.Shape.Matmul(),
			unit); ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			if err = m.check(unit, matmul.Root(tiles)); err == nil {
				return nil
			}
		} else {
			err = fmt.Errorf("%w: %s: computing the tiles of loop %d: %w", ErrUnstable,
				m.c.Device.ID, unit, err)
		}
	}
	return m.unstable(err)
}

// receive checks the receipt of a challenge, keeps it and signs it back.
func (m *Machine) receive(ctx context.Context, c *challenge, r mpoc.Receipt) error {
	if r.Log().Digest() != c.log().Digest() {
		if r.Terms.Digest() == c.Terms.Digest() && r.Log().Verify(r.CommitSignature) == nil {
			return m.copied(c) // the host did as it has to: the first commit stands
		}
		return m.show(c, "receipt", r,
			fmt.Errorf("%w: the receipt is about another submission", mpoc.ErrHost))
	}
	if r.Draw != nil && c.DrawSignature != (signed.Signature{}) && *r.Draw != c.Draw {
		return m.show(c, "receipt", struct {
			Draw    mpoc.SignedDraw `json:"draw"`
			Receipt mpoc.Receipt    `json:"receipt"`
		}{mpoc.SignedDraw{Draw: c.Draw, Signature: c.DrawSignature}, r},
			fmt.Errorf("%w: the receipt has another draw than the host answered with",
				mpoc.ErrHost))
	}
	switch err := r.Verify(ctx, mpoc.Reference()); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, mpoc.ErrHost):
		text, merr := r.Marshal()
		return m.cheated(c, "receipt", text, merr, err)
	case err != nil:
		return m.show(c, "receipt", r, fmt.Errorf("%w: %w", mpoc.ErrHost, err))
	}
	switch first, err := m.kept(c.Terms.ChallengeID); {
	case err != nil:
		return err
	case first != nil && first.Digest() != r.Digest():
		e := mpoc.Evidence{Version: mpoc.EvidenceVersion, Claim: mpoc.TwoReceipts, Receipt: first,
			OtherReceipt: &r}
		text, merr := e.Marshal()
		return m.cheated(c, "two-receipts", text, merr, fmt.Errorf("%w: two receipts for one "+
			"submission", mpoc.ErrHost))
	}
	sig := r.Countersign(m.c.Key)
	r.DeviceSignature = &sig
	path, err := m.receipt(r)
	if err != nil {
		return err
	}
	status, why := r.Outcome.Status, r.Reason
	kind := map[mpoc.Status]string{mpoc.Accepted: WasAccepted, mpoc.Late: WasLate,
		mpoc.Faulty: WasFaulty, mpoc.Rejected: WasRejected}[status]
	if kind == "" {
		kind = NoAnswer
	}
	m.log.Info("receipt", "status", string(status), "loops", c.Commit.Loops, "pay",
		string(r.Outcome.Pay), "reason", why)
	_, err = post[mpocv1.ReceiptAnswer](ctx, m, mpocv1.PathReceipts, func() any {
		return mpocv1.ReceiptRequest{ChallengeID: c.Terms.ChallengeID, Receipt: r.Digest(),
			DeviceSignature: sig}
	})
	switch {
	case ctx.Err() != nil: // it is sent after a restart
		return ctx.Err()
	case err != nil:
		m.log.Warn("the host did not take the countersignature", "err", err)
	}
	return m.judged(c, r, kind, path)
}

// judged ends a challenge whose receipt is kept. It is counted with the state in which the
// challenge is over, so never twice.
func (m *Machine) judged(c *challenge, r mpoc.Receipt, kind, path string) error {
	status, why := r.Outcome.Status, r.Reason
	mops := m.verified(r.Outcome.Ops)
	if err := m.counting(func(n *Counts) {
		n.VerifiedOps += mops
		switch status {
		case mpoc.Accepted:
			n.Accepted++
		case mpoc.Late:
			n.Late++
		case mpoc.Faulty:
			n.Faulty++
		case mpoc.Rejected:
			n.Rejected++
		default:
			n.Failed++
		}
	}, func() error { return m.settled(c) }); err != nil {
		return err
	}
	m.change(func(s *Status) {
		s.LastReceipt = path
		if status != mpoc.Accepted {
			s.LastReason = why
		}
	})
	m.tell(c, Event{Type: kind, Reason: why, Ops: r.Outcome.Ops, Pay: r.Outcome.Pay, Receipt: path})
	if status == mpoc.Faulty || status == mpoc.Rejected { // and the receipt shows it
		return fmt.Errorf("%w: %s (%s): %s", ErrUnstable, m.c.Device.ID, m.c.Device.Name, why)
	}
	m.resting = 0
	m.look = time.Time{}
	return nil
}

// copied ends a challenge to which this key signed another commit, which stands.
func (m *Machine) copied(c *challenge) error {
	if err := m.counting(dropped, func() error { return m.settled(c) }); err != nil {
		return err
	}
	m.change(func(s *Status) { s.LastReason = ErrCopied.Error() })
	m.tell(c, Event{Type: WasDropped, Reason: ErrCopied.Error(), Next: next(ErrCopied)})
	return fmt.Errorf("%w; challenge %.10s has its commit and not this one's", ErrCopied,
		c.Terms.ChallengeID.String())
}
