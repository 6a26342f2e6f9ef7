// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
	workerpool "github.com/assaynet/assay/worker/pool"
)

// bent changes the answers to one path. The host behind is a real one; what
// bends them has its key, as a cheating host would.
func bent[A any](path string, bend func(request []byte, a *A)) func(http.Handler) http.Handler {
	return func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path {
				honest.ServeHTTP(w, r)
				return
			}
			request, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(request))
			answer := httptest.NewRecorder()
			honest.ServeHTTP(answer, r)
			if a := *new(A); answer.Code == http.StatusOK &&
				json.Unmarshal(answer.Body.Bytes(), &a) == nil {
				bend(request, &a)
				_ = json.NewEncoder(w).Encode(a)
				return
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		})
	}
}

// logOf reads the log that a machine commits to under terms.
func logOf(terms mpoc.Terms, request []byte) mpoc.Log {
	var q mpocv1.CommitRequest
	_ = json.Unmarshal(request, &q)
	return mpoc.Log{Terms: terms, Commit: q.Commit}
}

func TestHostileHosts(t *testing.T) {
	host := keyOf(1)
	var terms mpoc.Terms // of the challenge under way; requests follow each other
	remember := bent(mpocv1.PathChallenge, func(_ []byte, a *mpocv1.Challenge) { terms = a.Terms })
	commit := func(bend func(l mpoc.Log, a *mpocv1.CommitAnswer)) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return remember(bent(mpocv1.PathCommits, func(q []byte,
				a *mpocv1.CommitAnswer) {
				bend(logOf(terms, q), a)
			})(h))
		}
	}
	receipt := func(bend func(r *mpoc.Receipt)) func(http.Handler) http.Handler {
		return bent(mpocv1.PathProofs, func(_ []byte, a *mpocv1.ProofAnswer) {
			bend(a.Receipt)
			a.Receipt.Sign(host)
		})
	}
	for _, c := range []struct {
		name string
		bend func(http.Handler) http.Handler
		file string // of the evidence
		// check, if set, is how anybody verifies it.
		check func(t *testing.T, text []byte)
	}{
		{"changed picks", commit(func(_ mpoc.Log,
			a *mpocv1.CommitAnswer) {
			a.Picks[0].Tile ^= 1
		}), "questions", nil},
		{"changed samples", commit(func(_ mpoc.Log,
			a *mpocv1.CommitAnswer) {
			a.Indices = a.Indices[1:]
		}), "questions", nil},
		{"a nonce that was not announced", commit(func(l mpoc.Log, a *mpocv1.CommitAnswer) {
			a.HostNonce[0] ^= 1
			a.HostSignature = a.Draw.Sign(l, host)
		}), "bad-draw", func(t *testing.T, text []byte) {
			e, err := mpoc.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			f, err := e.Verify(t.Context(), mpoc.Reference())
			if err != nil || !f.Host || f.Accused != signed.KeyOf(host) {
				t.Errorf("%+v, %v", f, err)
			}
		}},
		{"an unsigned draw", commit(func(_ mpoc.Log,
			a *mpocv1.CommitAnswer) {
			a.Deadline++
		}), "draw", nil},
		{"a rejection without evidence", receipt(func(r *mpoc.Receipt) {
			r.Outcome.Status, r.Outcome.CreditedLoops, r.Outcome.Ops,
				r.Outcome.Pay = mpoc.Rejected, 0, 0, "0"
		}), "receipt", broken},
		{"less pay than the terms say", receipt(func(r *mpoc.Receipt) {
			r.Outcome.Pay = "1"
		}), "receipt", broken},
		{"another draw in the receipt", receipt(func(r *mpoc.Receipt) {
			r.Draw.AuditQ32--
		}), "receipt", nil},
		{"a receipt for another submission",
			receipt(func(r *mpoc.Receipt) { r.Commit.Loops-- }), "receipt", nil},
		{"an unsigned receipt", bent(mpocv1.PathProofs, func(_ []byte,
			a *mpocv1.ProofAnswer) {
			a.Receipt.Entry++
		}), "receipt", nil},
		{"more questions than follow",
			bent(mpocv1.PathProofs, func(_ []byte, a *mpocv1.ProofAnswer) {
				*a = mpocv1.ProofAnswer{More: &mpocv1.More{Round: 1, Picks: []mpoc.Pick{{}},
					Deadline: a.Receipt.Draw.Deadline}}
			}), "questions", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, func(n *network) { n.bend = c.bend })
			w := n.work(keyOf(2), t.TempDir(), nil)
			if err := n.over(w); !errors.Is(err, mpoc.ErrHost) ||
				!strings.Contains(err.Error(), "kept as ") {
				t.Fatalf("the machine ended with %v", err)
			}
			s := w.Snapshot()
			if s.State != "ended" || !strings.Contains(s.Next, "assay verify") || s.Accepted != 0 {
				t.Errorf("%+v", s)
			}
			files, _ := filepath.Glob(filepath.Join(w.home, "evidence", "*.json"))
			if len(files) != 1 || files[0] != s.EvidenceSaved ||
				!strings.HasSuffix(files[0], "-"+c.file+".json") {
				t.Fatalf("evidence %q, shown %q", files, s.EvidenceSaved)
			}
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if c.check != nil {
				c.check(t, text)
			}
		})
	}
}

// broken checks a receipt that its host signed and that breaks the terms.
func broken(t *testing.T, text []byte) {
	r, err := mpoc.ParseReceipt(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(t.Context(), mpoc.Reference()); !errors.Is(err, mpoc.ErrHost) {
		t.Errorf("whoever verifies it finds %v", err)
	}
}

// Terms that are not acceptable are not worked on.
func TestHostileTerms(t *testing.T) {
	host := keyOf(1)
	for name, bend := range map[string]func(a *mpocv1.Challenge){
		"unsigned": func(a *mpocv1.Challenge) { a.DurationMS++ },
		"another chain": func(a *mpocv1.Challenge) {
			a.Chain = "elsewhere"
			a.HostSignature = a.Terms.Sign(host)
		},
		"a chosen seed": func(a *mpocv1.Challenge) {
			a.Seed[0] ^= 1
			a.HostSignature = a.Terms.Sign(host)
		},
		"another machine": func(a *mpocv1.Challenge) {
			a.DeviceKey = signed.KeyOf(keyOf(5))
			a.HostSignature = a.Terms.Sign(host)
		},
		"without end": func(a *mpocv1.Challenge) {
			a.DurationMS = 1 << 40
			a.HostSignature = a.Terms.Sign(host)
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, func(n *network) {
				n.bend = bent(mpocv1.PathChallenge, func(_ []byte, a *mpocv1.Challenge) { bend(a) })
			})
			w := n.work(keyOf(2), t.TempDir(), nil)
			if err := n.over(w); !errors.Is(err, mpoc.ErrHost) || w.Snapshot().Loops != 0 {
				t.Errorf("the machine ended with %v after %d loops", err, w.Snapshot().Loops)
			}
		})
	}
}

// A host that offers the open challenge again on worse terms is not worked for, and
// the two offers show it.
func TestWorseTerms(t *testing.T) {
	host := keyOf(1)
	for name, worsen := range map[string]func(t *mpoc.Terms){
		"locked for longer": func(t *mpoc.Terms) { t.UnlockAfter++ },
		"banned sooner":     func(t *mpoc.Terms) { t.BanAfter-- },
		"paid less":         func(t *mpoc.Terms) { t.PayPerTebiop = "1" },
	} {
		t.Run(name, func(t *testing.T) {
			offers := 0
			n := newNetwork(t, func(n *network) {
				n.bend = func(h http.Handler) http.Handler {
					again := bent(mpocv1.PathChallenge, func(_ []byte, a *mpocv1.Challenge) {
						if offers++; offers > 1 {
							worsen(&a.Terms)
							a.HostSignature = a.Terms.Sign(host)
						}
					})(h)
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						// so the machine asks again while it is open
						if r.URL.Path == mpocv1.PathCommits {
							w.WriteHeader(http.StatusUnprocessableEntity)
							_ = json.NewEncoder(w).Encode(mpocv1.Error{Code: mpocv1.CodeOutOfBounds,
								NextStep: "none"})
							return
						}
						again.ServeHTTP(w, r)
					})
				}
			})
			w := n.work(keyOf(2), t.TempDir(), nil)
			if err := n.over(w); !errors.Is(err, mpoc.ErrHost) {
				t.Fatalf("the machine ended with %v", err)
			}
			text, err := os.ReadFile(w.Snapshot().EvidenceSaved)
			if err != nil {
				t.Fatal(err)
			}
			e, err := mpoc.Parse(text)
			if err != nil || e.Claim != mpoc.TwoTerms {
				t.Fatalf("%s, %v", e.Claim, err)
			}
			if f, err := e.Verify(t.Context(), mpoc.Reference()); err != nil || !f.Host {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}

// A host may change its rules for what it offers next. What is open, and what is
// locked, keeps those it was made under.
func TestRulesChange(t *testing.T) {
	n := newNetwork(t, nil) // due after 2, banned at 3
	h := n.hand(keyOf(2)).register()
	first := h.judged(h.compute(12, nil))
	open := h.compute(12, nil)
	n.config.Rules = ledger.Rules{Unlock: 50, Strikes: 1}
	n.restart()
	second := h.judged(open)
	next := h.judged(h.compute(12, nil))
	for i, c := range []struct {
		r           mpoc.Receipt
		unlock, ban uint32
		state       ledger.State
	}{{first, 2, 3, ledger.Due}, {second, 2, 3, ledger.Locked}, {next, 50, 1, ledger.Locked}} {
		e, found, err := n.ledger.Entry(ledger.Device(signed.KeyOf(h.key)), ledger.Loops,
			c.r.Terms.ChallengeID.String())
		if err != nil || !found || e.State != c.state ||
			e.Rules != (ledger.Rules{Unlock: uint64(c.unlock), Strikes: int(c.ban)}) ||
			c.r.Terms.UnlockAfter != c.unlock || c.r.Terms.BanAfter != c.ban {
			t.Errorf("submission %d: %+v, %v", i, e, err)
		}
	}
	// A cheat is judged by the rules it was offered.
	n.config.Rules = ledger.Rules{Unlock: 2, Strikes: 3}
	n.restart()
	forged := h.compute(12, spoil)
	n.config.Rules.Strikes = 1
	n.restart()
	h.judged(forged)
	if a := n.standing(h.key); a.Banned || a.Strikes != 1 {
		t.Errorf("one of three: %+v", a)
	}
	h.judged(h.compute(12, spoil))
	if a := n.standing(h.key); !a.Banned {
		t.Errorf("one of one: %+v", a)
	}
}

// The owner sees the rules that a challenge is computed under.
func TestRulesAreShown(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = time.Minute })
	e := &counted{Engine: engine(), before: func(int64) { n.events.poke() }}
	w := n.work(keyOf(2), t.TempDir(), func(c *workerpool.Config) { c.Engine = e })
	n.events.wait(t, "a challenge", func() bool { return w.Snapshot().Challenge != nil })
	r := w.Snapshot().Challenge.Rules
	if r.UnlockAfter != 2 || r.BanAfter != 3 || r.Forfeits != mpoc.ForfeitsLocked ||
		r.PayPerTebiop != "1000000000000" ||
		!strings.Contains(r.String(), "due after 2 more clean submissions") {
		t.Errorf("%+v: %s", r, r)
	}
}
