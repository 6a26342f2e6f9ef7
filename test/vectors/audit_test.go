// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

type drawIn struct {
	Seed     seed.Seed `json:"seed"`
	Total    uint64    `json:"total,string"` // of an assignment, the number of slots
	N        int       `json:"n"`
	Index    *uint64   `json:"index,omitempty"`    // makes it an assignment
	Function string    `json:"function,omitempty"` // picks, shuffle or lottery; a draw without it
	Held     []quoted  `json:"held,omitempty"`     // of a lottery: what each ticket holds
}

// quoted is an integer that may exceed 2^53.
type quoted uint64

func (q quoted) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(q), 10), nil }

func (q *quoted) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	*q = quoted(n)
	return err
}

// Holds spec.
func TestDraw(t *testing.T) {
	index := uint64(77)
	by := func(function string, total uint64, n int, held ...quoted) drawIn {
		return drawIn{Seed: counted(5), Total: total, N: n, Function: function, Held: held}
	}
	check(t, "draw.json", "samples, and with an index the slots of a committee that re-run it",
		[]given[drawIn]{
			{"3 of 10", drawIn{Seed: counted(1), Total: 10, N: 3}},
			{"20 of 50,000", drawIn{Seed: counted(1), Total: 50_000, N: 20}},
			{"another seed", drawIn{Seed: counted(2), Total: 50_000, N: 20}},
			{"all", drawIn{Seed: counted(1), Total: 5, N: 200}},
			{"of the largest log", drawIn{Seed: counted(1), Total: commit.MaxSize, N: 10}},
			{"every other word is refused", drawIn{Seed: counted(3), Total: 1<<63 + 9, N: 6}},
			{"none asked for", drawIn{Seed: counted(1), Total: 10, N: 0}},
			{"nothing there", drawIn{Seed: counted(1), Total: 0, N: 10}},
			{"16 of 64 slots", drawIn{Seed: counted(4), Total: 64, N: 16, Index: &index}},
			{"more than there are slots", drawIn{Seed: counted(4), Total: 3, N: 16, Index: &index}},
			{"12 picks of 5", by("picks", 5, 12)},
			{"picks of which every other word is refused", by("picks", 1<<63+9, 6)},
			{"picks of nothing", by("picks", 0, 3)},
			{"no picks", by("picks", 5, 0)},
			{"an order of 12", by("shuffle", 0, 12)},
			{"an order of 1", by("shuffle", 0, 1)},
			{"an order of none", by("shuffle", 0, 0)},
			{"4 of 6 tickets, one of them empty", by("lottery", 0, 4, 5, 0, 1<<40, 3, 1<<41, 7)},
			{"more than there are tickets that hold something",
				by("lottery", 0, 9, 1, 0, 2, 1, 0, 1)},
			{"tickets of which the first hold most", by("lottery", 0, 5, 1<<62, 1<<61, 1, 1, 1)},
			{"tickets of 2^64 - 1", by("lottery", 0, 2, 1<<63, 1<<63-1)},
			{"tickets of 2^64", by("lottery", 0, 2, 1<<63, 1<<63)},
			{"empty tickets", by("lottery", 0, 2, 0, 0)},
			{"no tickets", by("lottery", 0, 2)},
		}, func(t testing.TB, in drawIn) (out []uint64) {
			switch {
			case in.Function == "picks":
				return audit.Picks(in.Seed, in.Total, in.N)
			case in.Function == "shuffle":
				return positions(audit.Shuffle(in.Seed, in.N))
			case in.Function == "lottery":
				held := make([]uint64, len(in.Held))
				for i, h := range in.Held {
					held[i] = uint64(h)
				}
				return positions(audit.Lottery(in.Seed, held, in.N))
			case in.Index == nil:
				return audit.Draw(in.Seed, in.Total, in.N)
			}
			for slot := range int(in.Total) {
				if audit.Works(int(in.Total), in.N, slot, int(*in.Index)) {
					out = append(out, uint64(slot))
				}
			}
			return out
		})
}

func positions(in []int) (out []uint64) {
	for _, i := range in {
		out = append(out, uint64(i))
	}
	return out
}

type statIn struct {
	Function string    `json:"function"`
	Total    uint64    `json:"total,omitempty,string"`
	Forged   uint64    `json:"forged,omitempty,string"`
	N        uint64    `json:"n"`
	X        uint64    `json:"x"`
	Rate     [2]uint64 `json:"rate"`  // p0 or eps
	Bound    [2]uint64 `json:"bound"` // threshold only
}

type statOut struct {
	Value uint64 `json:"value,string"` // units of 2^-64, or a threshold
	Text  string `json:"text,omitempty"`
}

// Holds spec.
func TestStatistics(t *testing.T) {
	p0, eps, bound := [2]uint64{1, 10_000}, [2]uint64{1, 20}, [2]uint64{1, 100_000}
	none := [2]uint64{}
	check(t, "statistics.json", "exact statistics as fractions of 2^64; 2^64-1 stands for 1",
		[]given[statIn]{
			{"tail, 1 of 200", statIn{"tail", 0, 0, 200, 1, p0, none}},
			{"tail, 2 of 200", statIn{"tail", 0, 0, 200, 2, p0, none}},
			{"tail, 3 of 200", statIn{"tail", 0, 0, 200, 3, p0, none}},
			{"tail, 200 of 200", statIn{"tail", 0, 0, 200, 200, p0, none}},
			{"tail, 0 of 200", statIn{"tail", 0, 0, 200, 0, p0, none}},
			{"tail, 201 of 200", statIn{"tail", 0, 0, 200, 201, p0, none}},
			{"tail, a half", statIn{"tail", 0, 0, 1, 1, [2]uint64{1, 2}, none}},
			{"tail, not a rate", statIn{"tail", 0, 0, 200, 5, [2]uint64{1, 0}, none}},
			{"tail, sample too large", statIn{"tail", 0, 0, 4097, 5, p0, none}},
			{"threshold, 200", statIn{"threshold", 0, 0, 200, 0, p0, bound}},
			{"threshold, 1000", statIn{"threshold", 0, 0, 1000, 0, p0, bound}},
			{"threshold, 1", statIn{"threshold", 0, 0, 1, 0, p0, bound}},
			{"upper, 0 of 200", statIn{"upper", 0, 0, 200, 0, eps, none}},
			{"upper, 1 of 200", statIn{"upper", 0, 0, 200, 1, eps, none}},
			{"upper, 2 of 200", statIn{"upper", 0, 0, 200, 2, eps, none}},
			{"upper, 5 of 5", statIn{"upper", 0, 0, 5, 5, eps, none}},
			{"upper, no sample", statIn{"upper", 0, 0, 0, 0, eps, none}},
			{"upper, eps 1", statIn{"upper", 0, 0, 200, 0, [2]uint64{1, 1}, none}},
			{"detection, 1 %", statIn{"detection", 1_000_000, 10_000, 200, 3, none, none}},
			{"detection, 2 %", statIn{"detection", 1_000_000, 20_000, 200, 3, none, none}},
			{"detection, 5 %", statIn{"detection", 1_000_000, 50_000, 200, 3, none, none}},
			{"detection, 3 of 10 looked at, 1 forged",
				statIn{"detection", 10, 1, 3, 1, none, none}},
			{"detection, nothing forged", statIn{"detection", 10, 0, 3, 1, none, none}},
			{"detection, 0.99999949",
				statIn{"detection", 100_000_000, 99_999_949, 1, 1, none, none}},
			{"detection, 0.0999994", statIn{"detection", 10_000_000, 999_994, 1, 1, none, none}},
			{"detection, 0.0999996", statIn{"detection", 10_000_000, 999_996, 1, 1, none, none}},
			{"detection, 0.00010001", statIn{"detection", 100_000_000, 10_001, 1, 1, none, none}},
			{"detection, 0.000099999",
				statIn{"detection", 1_000_000_000, 99_999, 1, 1, none, none}},
			{"detection, 0.0000999996",
				statIn{"detection", 10_000_000_000, 999_996, 1, 1, none, none}},
			{"threshold, a bound of 1", statIn{"threshold", 0, 0, 200, 0, p0, [2]uint64{1, 1}}},
			{"threshold, a bound above 1", statIn{"threshold", 0, 0, 200, 0, p0, [2]uint64{3, 2}}},
			{"threshold, a bound of 0", statIn{"threshold", 0, 0, 200, 0, p0, [2]uint64{0, 1}}},
			{"threshold, faults that are certain",
				statIn{"threshold", 0, 0, 200, 0, [2]uint64{1, 1}, bound}},
			{"threshold, not a rate", statIn{"threshold", 0, 0, 200, 0, [2]uint64{2, 1}, bound}},
			{"threshold, sample too large", statIn{"threshold", 0, 0, 4097, 0, p0, bound}},
			{"tail, a rate above 1", statIn{"tail", 0, 0, 200, 5, [2]uint64{2, 1}, none}},
			{"tail, 201 of 200 of a rate that is none",
				statIn{"tail", 0, 0, 200, 201, [2]uint64{1, 0}, none}},
			{"upper, eps 0", statIn{"upper", 0, 0, 200, 1, [2]uint64{0, 1}, none}},
		}, func(t testing.TB, in statIn) statOut {
			rate := audit.Rate{Num: in.Rate[0], Den: in.Rate[1]}
			var q audit.Q64
			switch in.Function {
			case "tail":
				q = audit.Tail(in.N, in.X, rate)
			case "upper":
				q = audit.Upper(in.X, in.N, rate)
			case "detection":
				q = audit.Detection(in.Total, in.Forged, int(in.N), int(in.X))
			case "threshold":
				return statOut{Value: audit.Threshold(in.N, rate,
					audit.Rate{Num: in.Bound[0], Den: in.Bound[1]})}
			default:
				t.Fatalf("no function %q", in.Function)
			}
			return statOut{Value: uint64(q), Text: q.String()}
		})
}

type share struct {
	ID     string `json:"id"`
	Weight uint64 `json:"weight,string"`
}

type powersIn struct {
	Count  uint64  `json:"count,omitempty,string"` // with bound: credited
	Bound  uint64  `json:"bound,omitempty,string"`
	Old    []share `json:"old,omitempty"`
	Target []share `json:"target,omitempty"`
}

type powersOut struct {
	Credited uint64  `json:"credited,omitempty,string"`
	Powers   []share `json:"powers,omitempty"`
}

// Holds spec A-11, P-3, P-4, P-5.
func TestPowers(t *testing.T) {
	check(t, "powers.json", "credited counts, or powers under the default rules: share = min(L, "+
		"s * own) with a cap of 2,500 bps and lambda 12,000 bps, a tenth moves, total 1,000,000",
		[]given[powersIn]{
			{"credit", powersIn{Count: 50_000,
				Bound: uint64(audit.Upper(0, 200, audit.Rate{Num: 1, Den: 20}))}},
			{"credit, bound 1", powersIn{Count: 50_000, Bound: 1<<64 - 1}},
			{"genesis", powersIn{Target: []share{{"a", 7}, {"b", 7}, {"c", 7}}}},
			{"cap", powersIn{Target: []share{{"a", 60}, {"b", 30}, {"c", 3}, {"d", 3}, {"e", 2},
				{"f", 1}, {"g", 1}}}},
			{"move limit", powersIn{Old: []share{{"a", 500_000}, {"b", 500_000}},
				Target: []share{{"c", 10}, {"d", 11}}}},
			{"cap, the others lifted by less than lambda",
				powersIn{Target: []share{{"a", 28}, {"b", 18}, {"c", 18}, {"d", 18}, {"e", 18}}}},
			{"lambda, two at the level",
				powersIn{Target: []share{{"a", 45}, {"b", 45}, {"c", 10}}}},
			{"one large, four dust",
				powersIn{Target: []share{{"a", 1}, {"b", 1 << 40}, {"c", 1}, {"d", 1}, {"e", 1}}}},
			{"both", powersIn{Old: []share{{"a", 700_000}, {"b", 200_000}, {"c", 100_000}},
				Target: []share{{"c", 1 << 50}, {"d", 1}, {"a", 5}}}},
			{"no target", powersIn{Old: []share{{"a", 700_000}, {"b", 300_000}}}},
		}, func(t testing.TB, in powersIn) powersOut {
			if in.Count > 0 {
				return powersOut{Credited: credit.Credited(in.Count, audit.Q64(in.Bound))}
			}
			of := func(in []share) (out []credit.Share) {
				for _, s := range in {
					out = append(out, credit.Share(s))
				}
				return out
			}
			var out powersOut
			for _, s := range credit.Powers(of(in.Old), of(in.Target), credit.DefaultRules()) {
				out.Powers = append(out.Powers, share(s))
			}
			return out
		})
}

// text is a whole file as one string: its exact bytes matter.
type text string

type evidenceOut struct {
	Forged     bool   `json:"forged"`
	Unbound    bool   `json:"unbound"` // version 1: shows nothing against the participant
	WantNorm   uint64 `json:"want_norm,string"`
	WantDigest hash   `json:"want_digest"`
	Error      string `json:"error,omitempty"`
}

// Holds spec F-8, F-9.
func TestEvidence(t *testing.T) {
	seed1, segment := counted(1), counted(3)
	model, err := transformer.Build(t.Context(), transformer.Nano, seed1, nil)
	if err != nil {
		t.Fatal(err)
	}
	build := func(class transformer.Class, s seed.Seed) (transformer.Model, error) {
		if s != seed1 {
			return transformer.Build(context.Background(), class, s, nil)
		}
		return model, nil
	}
	file := func(version, claim string, forge func(*record.Leaf)) string {
		var out [1]transformer.Output
		node := seed.Node("assay-test", "cpc1host", "gpu-0", "nano")
		if err := model.Run(out[:], node, segment, []uint64{2}); err != nil {
			t.Fatal(err)
		}
		leaf := record.Leaf{Class: 1, Node: "gpu-0", Index: 2, Record: out[0].Record}
		forge(&leaf)
		var log commit.Log
		for i := range uint64(5) {
			if i == 2 {
				log.Append(leaf.Hash())
			} else {
				log.Append(numberLeaf(i))
			}
		}
		root := log.Root()
		path, err := commit.Inclusion(&log, 2, 5)
		if err != nil {
			t.Fatal(err)
		}
		s := commit.Statement{
			Chain: "assay-test", Epoch: 7, Segment: 1, Participant: "cpc1host",
			Node: "gpu-0", Class: "nano", Seed1: commit.Hash(seed1),
			SegmentSeed: commit.Hash(segment), Root: root, Count: 5,
		}
		key := ed25519.NewKeyFromSeed(segment[:])
		f := evidence.File{
			Version: version, Claim: claim, Chain: s.Chain, Epoch: s.Epoch, Class: s.Class,
			Seed1: seed1.String(), SegmentSeed: segment.String(), Participant: s.Participant,
			Node:    s.Node,
			Segment: 1, Nonce: 2, Norm: leaf.Norm, Digest: hex.EncodeToString(leaf.Digest[:]),
			Count:     5,
			Root:      hex.EncodeToString(root[:]),
			HostKey:   hex.EncodeToString(key.Public().(ed25519.PublicKey)),
			Signature: hex.EncodeToString(s.Sign(key)), Note: "a vector",
		}
		for _, h := range path {
			f.Path = append(f.Path, hex.EncodeToString(h[:]))
		}
		if version == evidence.Version1 {
			f.Signature = hex.EncodeToString(ed25519.Sign(key, s.SignBytes1()))
		} else { // the epoch has three commits, and this is the first
			leaf := commit.ArchiveLeaf{Participant: f.Participant, Node: f.Node, Segment: 1,
				Root: root, Count: 5, HostKey: [32]byte(key.Public().(ed25519.PublicKey))}
			second, third := numberLeaf(1), numberLeaf(2)
			archive := commit.NodeHash(commit.NodeHash(leaf.Hash(), second), third)
			f.Archive = &evidence.Archive{Root: hex.EncodeToString(archive[:]), Commits: 3,
				Path: []string{hex.EncodeToString(second[:]), hex.EncodeToString(third[:])}}
		}
		data, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	honest := file(evidence.Version, evidence.Honest, func(*record.Leaf) {})
	first := file(evidence.Version1, evidence.Honest, func(*record.Leaf) {})
	forged := file(evidence.Version, evidence.Forged, func(l *record.Leaf) { l.Digest[0] ^= 1 })
	value := func(file, key string) string {
		_, v, _ := strings.Cut(file, `"`+key+`": "`)
		v, _, _ = strings.Cut(v, `"`)
		return v
	}
	norm, neutral := value(honest, "norm"), "01"+strings.Repeat("00", 31)
	replace := func(in, old, with string) text {
		if !strings.Contains(in, old) {
			t.Fatalf("no %s in the file", old)
		}
		return text(strings.Replace(in, old, with, 1))
	}
	inputs := []given[text]{
		{"honest", text(honest)},
		{"forged digest", text(forged)},
		{"forged norm", text(file(evidence.Version, evidence.Forged,
			func(l *record.Leaf) { l.Norm++ }))},
		{"version 1", text(first)},
		{"version 1, edited into a conviction",
			text(strings.NewReplacer(`"honest"`, `"forged"`, seed1.String(),
				segment.String()).Replace(first))},
		{"the same of version 2",
			text(strings.NewReplacer(`"honest"`, `"forged"`, seed1.String(),
				segment.String()).Replace(honest))},
		{"another index in the archive", replace(honest, `"index": 0`, `"index": 1`)},
		{"version 2 without its archive", replace(first, "evidence/1", "evidence/2")},
		{"honest, claimed forged", replace(honest, `"honest"`, `"forged"`)},
		{"forged, claimed honest", replace(forged, `"forged"`, `"honest"`)},
		{"another epoch", replace(honest, `"epoch": 7`, `"epoch": 8`)},
		{"another index", replace(honest, `"nonce": 2`, `"nonce": 3`)},
		{"index = count", replace(honest, `"nonce": 2`, `"nonce": 5`)},
		{"another version", replace(honest, "evidence/2", "evidence/3")},
		{"unknown key", replace(honest, "{", `{"extra": 1,`)},
		{"missing key", replace(honest, `"epoch": 7,`, "")},
		{"repeated key", replace(honest, `"epoch": 7,`, `"epoch": 7, "epoch": 7,`)},
		{"unknown claim", replace(honest, `"honest"`, `"maybe"`)},
		{"norm as a number", replace(honest, `"norm": "`+norm+`"`, `"norm": `+norm)},
		{"a key of small order, under which this signature holds for everything",
			text(strings.NewReplacer(
				value(first, "host_key"), neutral, value(first, "signature"),
				neutral+strings.Repeat("00", 32)).Replace(first))},
	}
	check(t, "evidence.json", "evidence files, as text, and what they show", inputs,
		func(t testing.TB, in text) evidenceOut {
			f, err := evidence.Parse([]byte(in))
			if err != nil {
				return evidenceOut{Error: fault(t, err)}
			}
			finding, err := evidence.Verify(f, build)
			if err != nil {
				return evidenceOut{Error: fault(t, err)}
			}
			return evidenceOut{
				Forged: finding.Forged, Unbound: finding.Unbound,
				WantNorm: finding.WantNorm, WantDigest: finding.WantDigest,
			}
		})
}
