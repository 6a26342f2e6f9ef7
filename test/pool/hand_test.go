// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// hand speaks to the host step by step, honestly or not.
type hand struct {
	t     testing.TB
	n     *network
	key   ed25519.PrivateKey
	http  *http.Client
	count uint64
}

func (n *network) hand(key ed25519.PrivateKey) *hand {
	n.t.Helper()
	address, err := link.ParseAddress(n.address())
	if err != nil {
		n.t.Fatal(err)
	}
	config, err := link.ClientTLS(key, address.Fingerprint)
	if err != nil {
		n.t.Fatal(err)
	}
	// A connection that a restarted host has closed must not be tried.
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	return &hand{t: n.t, n: n, key: key, http: &http.Client{Transport: transport}}
}

// post sends a body, raw or not, and returns the answer or the host's error.
func post[A any](h *hand, path string, q any) (A, error) {
	h.t.Helper()
	var a A
	text, raw := q.([]byte)
	if !raw {
		var err error
		if text, err = json.Marshal(q); err != nil {
			h.t.Fatal(err)
		}
	}
	r, err := h.http.Post("https://"+h.n.at+path, "application/json", bytes.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		e, err := mpocv1.Read[mpocv1.Error](r.Body)
		if err != nil || e.NextStep == "" {
			h.t.Fatalf("%s: status %d, %+v, %v", path, r.StatusCode, e, err)
		}
		return a, &e
	}
	if a, err = mpocv1.Read[A](r.Body); err != nil {
		h.t.Fatalf("%s: %v", path, err)
	}
	return a, nil
}

// refused checks that an attack was met with an error of the given code.
func refused(t testing.TB, code string, err error) {
	t.Helper()
	var e *mpocv1.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func must[A any](h *hand) func(A, error) A {
	return func(a A, err error) A {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
		return a
	}
}

func (h *hand) registration() mpocv1.RegisterRequest {
	h.t.Helper()
	n := must[mpocv1.NonceAnswer](h)(post[mpocv1.NonceAnswer](h, mpocv1.PathNonce,
		mpocv1.NonceRequest{DeviceKey: signed.KeyOf(h.key)}))
	r := mpoc.Registration{
		Chain: n.Chain, HostKey: n.HostKey, DeviceKey: signed.KeyOf(h.key), Nonce: n.Nonce,
		Agent: "hand", Engine: "hand",
		Devices: []mpoc.Claimed{{ID: "hand-0", Engine: "hand"}}, RateOps: 2_000_000_000,
	}
	return mpocv1.RegisterRequest{Registration: r, Signature: r.Sign(h.key)}
}

func (h *hand) register() *hand {
	h.t.Helper()
	must[mpocv1.RegisterAnswer](h)(post[mpocv1.RegisterAnswer](h, mpocv1.PathDevices,
		h.registration()))
	return h
}

func (h *hand) asking(what string) (mpoc.Asking, signed.Signature) {
	h.count++
	q := mpoc.Asking{
		HostKey: signed.KeyOf(h.n.config.HostKey), DeviceKey: signed.KeyOf(h.key), What: what,
		Time: uint64(h.n.clock.Wall().UnixMilli()), Count: h.count,
	}
	return q, q.Sign(h.key)
}

func (h *hand) ask() (mpocv1.Challenge, error) {
	h.t.Helper()
	q, sig := h.asking(mpoc.AskChallenge)
	return post[mpocv1.Challenge](h, mpocv1.PathChallenge,
		mpocv1.ChallengeRequest{Asking: q, Signature: sig})
}

// submission is a log, forged or not, and the challenge it is for.
type submission struct {
	mpoc.Log
	token signed.Hash
	tree  commit.Log
	tiles [][][32]byte
	draw  mpoc.Draw
}

// compute asks for a challenge and computes loops of it; forge may change a
// loop's tiles.
func (h *hand) compute(loops int, forge func(loop int, tiles [][32]byte)) *submission {
	h.t.Helper()
	c := must[mpocv1.Challenge](h)(h.ask())
	s := &submission{Log: mpoc.Log{Terms: c.Terms}, token: c.Token}
	for i := range loops {
		tiles := make([][32]byte, c.Shape.Matmul().Tiles())
		if err := engine().Tiles(h.t.Context(), tiles, seed.Seed(c.Seed), c.Shape.Matmul(),
			uint64(i)); err != nil {
			h.t.Fatal(err)
		}
		if forge != nil {
			forge(i, tiles)
		}
		s.tiles = append(s.tiles, tiles)
	}
	s.tree = treeOf(c.Terms, s.tiles)
	s.Commit = mpoc.Commit{Loops: uint64(loops), ComputeTime: 20, MerkleRoot: s.tree.Root()}
	return s
}

// treeOf is the log of loops with these tiles.
func treeOf(terms mpoc.Terms, tiles [][][32]byte) (tree commit.Log) {
	for i := range tiles {
		tree.Append(terms.LeafHash(uint64(i), matmul.Root(tiles[i])))
	}
	return tree
}

func (h *hand) committing(s *submission) mpocv1.CommitRequest {
	return mpocv1.CommitRequest{
		ChallengeID: s.Terms.ChallengeID, Token: s.token, Seed: s.Terms.Seed, Commit: s.Commit,
		DeviceSignature: s.Sign(h.key),
	}
}

func (h *hand) commit(s *submission) error {
	h.t.Helper()
	a, err := post[mpocv1.CommitAnswer](h, mpocv1.PathCommits, h.committing(s))
	s.draw = a.Draw
	return err
}

// opened answers a round truthfully; in the log, that is.
func (h *hand) opened(s *submission, round uint32) mpoc.Proof {
	h.t.Helper()
	q := s.draw.Questions(s.Log)
	p := mpoc.Proof{Round: round, Samples: []mpoc.Sample{}, Tiles: []mpoc.TileOpening{}}
	if round == 0 {
		for _, i := range q.Samples() {
			p.Samples = append(p.Samples,
				must[mpoc.Sample](h)(s.OpenSample(&s.tree, i, matmul.Root(s.tiles[i]))))
		}
	}
	for _, pick := range q.Picks(round) {
		p.Tiles = append(p.Tiles,
			must[mpoc.TileOpening](h)(s.OpenTile(&s.tree, pick, s.tiles[pick.Index])))
	}
	return p
}

func (h *hand) proving(s *submission, p mpoc.Proof) mpocv1.ProofRequest {
	return mpocv1.ProofRequest{
		ChallengeID: s.Terms.ChallengeID, Token: s.token, Seed: s.Terms.Seed, Commit: s.Commit,
		Round: p.Round, Samples: p.Samples, Tiles: p.Tiles,
		DeviceSignature: p.Sign(s.Log, s.draw, h.key),
	}
}

func (h *hand) send(s *submission, p mpoc.Proof) (mpocv1.ProofAnswer, error) {
	h.t.Helper()
	return post[mpocv1.ProofAnswer](h, mpocv1.PathProofs, h.proving(s, p))
}

// judged commits and answers until there is a receipt.
func (h *hand) judged(s *submission) mpoc.Receipt {
	h.t.Helper()
	if err := h.commit(s); err != nil {
		h.t.Fatal(err)
	}
	return h.answer(s)
}

func (h *hand) answer(s *submission) mpoc.Receipt {
	h.t.Helper()
	for round := uint32(0); ; {
		a := must[mpocv1.ProofAnswer](h)(h.send(s, h.opened(s, round)))
		if a.Receipt != nil {
			if err := a.Receipt.Verify(h.t.Context(), new(looker)); err != nil {
				h.t.Fatalf("the receipt of %s does not hold: %v", a.Receipt.Outcome.Status, err)
			}
			return *a.Receipt
		}
		round = a.More.Round
	}
}
