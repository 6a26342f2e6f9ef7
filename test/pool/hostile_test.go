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

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	poc "github.com/assaynet/assay/poc/mpoc"
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
			if a := *new(A); answer.Code == http.StatusOK && json.Unmarshal(answer.Body.Bytes(), &a) == nil {
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
func logOf(terms poc.Terms, request []byte) poc.Log {
	var q mpocv1.CommitRequest
	_ = json.Unmarshal(request, &q)
	return poc.Log{Terms: terms, Commit: q.Commit}
}

func TestHostileHosts(t *testing.T) {
	host := keyOf(1)
	var terms poc.Terms // of the challenge under way; requests follow each other
	remember := bent(mpocv1.PathChallenge, func(_ []byte, a *mpocv1.Challenge) { terms = a.Terms })
	commit := func(bend func(l poc.Log, a *mpocv1.CommitAnswer)) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return remember(bent(mpocv1.PathCommits, func(q []byte, a *mpocv1.CommitAnswer) { bend(logOf(terms, q), a) })(h))
		}
	}
	receipt := func(bend func(r *poc.Receipt)) func(http.Handler) http.Handler {
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
		{"changed picks", commit(func(_ poc.Log, a *mpocv1.CommitAnswer) { a.Picks[0].Tile ^= 1 }), "questions", nil},
		{"changed samples", commit(func(_ poc.Log, a *mpocv1.CommitAnswer) { a.Indices = a.Indices[1:] }), "questions", nil},
		{"a nonce that was not announced", commit(func(l poc.Log, a *mpocv1.CommitAnswer) {
			a.HostNonce[0] ^= 1
			a.HostSignature = a.Draw.Sign(l, host)
		}), "bad-draw", func(t *testing.T, text []byte) {
			e, err := poc.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			f, err := e.Verify(t.Context(), poc.Reference())
			if err != nil || !f.Host || f.Accused != poc.KeyOf(host) {
				t.Errorf("%+v, %v", f, err)
			}
		}},
		{"an unsigned draw", commit(func(_ poc.Log, a *mpocv1.CommitAnswer) { a.Deadline++ }), "draw", nil},
		{"a rejection without evidence", receipt(func(r *poc.Receipt) {
			r.Outcome.Status, r.Outcome.CreditedLoops, r.Outcome.Ops, r.Outcome.Pay = poc.Rejected, 0, 0, "0"
		}), "receipt", broken},
		{"less pay than the terms say", receipt(func(r *poc.Receipt) { r.Outcome.Pay = "1" }), "receipt", broken},
		{"another draw in the receipt", receipt(func(r *poc.Receipt) { r.Draw.AuditQ32-- }), "receipt", nil},
		{"a receipt for another submission", receipt(func(r *poc.Receipt) { r.Commit.Loops-- }), "receipt", nil},
		{"an unsigned receipt", bent(mpocv1.PathProofs, func(_ []byte, a *mpocv1.ProofAnswer) { a.Receipt.Entry++ }), "receipt", nil},
		{"more questions than follow", bent(mpocv1.PathProofs, func(_ []byte, a *mpocv1.ProofAnswer) {
			*a = mpocv1.ProofAnswer{More: &mpocv1.More{Round: 1, Picks: []poc.Pick{{}}, Deadline: a.Receipt.Draw.Deadline}}
		}), "questions", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, func(n *network) { n.bend = c.bend })
			w := n.work(keyOf(2), t.TempDir(), nil)
			if err := n.over(w); !errors.Is(err, poc.ErrHost) || !strings.Contains(err.Error(), "kept as ") {
				t.Fatalf("the machine ended with %v", err)
			}
			s := w.Snapshot()
			if s.State != "ended" || !strings.Contains(s.Next, "assay verify") || s.Accepted != 0 {
				t.Errorf("%+v", s)
			}
			files, _ := filepath.Glob(filepath.Join(w.home, "evidence", "*"))
			if len(files) != 1 || files[0] != s.EvidenceSaved || !strings.HasSuffix(files[0], "-"+c.file+".json") {
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
	r, err := poc.ParseReceipt(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(t.Context(), poc.Reference()); !errors.Is(err, poc.ErrHost) {
		t.Errorf("whoever verifies it finds %v", err)
	}
}

// Terms that are not acceptable are not worked on.
func TestHostileTerms(t *testing.T) {
	host := keyOf(1)
	for name, bend := range map[string]func(a *mpocv1.Challenge){
		"unsigned":        func(a *mpocv1.Challenge) { a.DurationMS++ },
		"another chain":   func(a *mpocv1.Challenge) { a.Chain = "elsewhere"; a.HostSignature = a.Terms.Sign(host) },
		"a chosen seed":   func(a *mpocv1.Challenge) { a.Seed[0] ^= 1; a.HostSignature = a.Terms.Sign(host) },
		"another machine": func(a *mpocv1.Challenge) { a.DeviceKey = poc.KeyOf(keyOf(5)); a.HostSignature = a.Terms.Sign(host) },
		"without end":     func(a *mpocv1.Challenge) { a.DurationMS = 1 << 40; a.HostSignature = a.Terms.Sign(host) },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, func(n *network) {
				n.bend = bent(mpocv1.PathChallenge, func(_ []byte, a *mpocv1.Challenge) { bend(a) })
			})
			w := n.work(keyOf(2), t.TempDir(), nil)
			if err := n.over(w); !errors.Is(err, poc.ErrHost) || w.Snapshot().Loops != 0 {
				t.Errorf("the machine ended with %v after %d loops", err, w.Snapshot().Loops)
			}
		})
	}
}
