// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"crypto/ed25519"
	"math/big"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

var mpocHost, mpocDevice, mpocNonce = counted(0x11), counted(0x22), counted(0x33)

func privateKey(s seed.Seed) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(s[:]) }

func mpocTerms() mpoc.Terms {
	return mpoc.Offer(mpoc.Terms{
		Chain: "assay-test", HostKey: signed.KeyOf(privateKey(mpocHost)),
		DeviceKey: signed.KeyOf(privateKey(mpocDevice)),
		Shape:     mpoc.Shape(mpoc.Shapes()[0]), DurationMS: 10_000, Issued: 1_800_000_000_000,
		Expiry: 1_800_000_060_000,
		Whole:  3, Picks: 90, Light: 3, MaxLoops: 5000, PayPerTebiop: "1000000000000000000",
		UnlockAfter: 20, BanAfter: 3,
	}, counted(0x44), mpocNonce)
}

type challengeIn struct {
	Host   seed.Seed   `json:"host_ed25519_seed"`
	Device seed.Seed   `json:"device_ed25519_seed"`
	Terms  mpoc.Terms  `json:"terms"`
	Commit mpoc.Commit `json:"commit"`
	Draw   mpoc.Draw   `json:"draw"`
	Index  uint64      `json:"index"` // of a leaf
	Digest hash        `json:"digest"`
}

type challengeOut struct {
	TermsMessage    raw              `json:"terms_message"`
	TermsSignature  signed.Signature `json:"terms_signature"`
	CommitMessage   raw              `json:"commit_message"`
	CommitSignature signed.Signature `json:"commit_signature"`
	DrawMessage     raw              `json:"draw_message"`
	DrawSignature   signed.Signature `json:"draw_signature"`
	Leaf            raw              `json:"leaf"`
	LeafHash        hash             `json:"leaf_hash"`
	Full            bool             `json:"full"`
	Samples         []uint64         `json:"samples"`
	Whole           []uint64         `json:"whole"`
	Picks           []mpoc.Pick      `json:"picks"`
	SecondRound     []mpoc.Pick      `json:"picks_of_round_1"`
	NoProof         raw              `json:"message_of_a_proof_without_openings"`
	Error           string           `json:"error,omitempty"`
}

// Holds spec C-9, M-4, M-7, M-9, M-15.
func TestMPoC(t *testing.T) {
	good := challengeIn{
		Host: mpocHost, Device: mpocDevice, Terms: mpocTerms(),
		Commit: mpoc.Commit{Loops: 1234, ComputeTime: 14_210,
			MerkleRoot: signed.Hash(counted(0x55))},
		Draw: mpoc.Draw{HostNonce: signed.Hash(mpocNonce), AuditQ32: 1 << 32,
			Deadline: 1_800_000_090_000},
		Index: 1000, Digest: hash(counted(0x66)),
	}
	with := func(change func(*challengeIn)) challengeIn {
		c := good
		change(&c)
		return c
	}
	check(t, "mpoc.json", "what is signed about a challenge of loops, and what is checked; hex "+
		"with 0x where the interface has it", []given[challengeIn]{
		{"a full audit", good},
		{"a light audit", with(func(c *challengeIn) { c.Draw.AuditQ32 = 0 })},
		{"one loop", with(func(c *challengeIn) { c.Commit.Loops, c.Index = 1, 0 })},
		{"another seed", with(func(c *challengeIn) { c.Terms.Seed[0]++ })},
		{"another challenge id", with(func(c *challengeIn) { c.Terms.ChallengeID[31]++ })},
		{"another device", with(func(c *challengeIn) { c.Terms.DeviceKey[0]++ })},
		{"no picks", with(func(c *challengeIn) { c.Terms.Picks = 0 })},
		{"more pay than there is", with(func(c *challengeIn) {
			c.Terms.PayPerTebiop = mpoc.Amount("1" + strings.Repeat("0", 38))
		})},
		{"pay is locked for ever", with(func(c *challengeIn) { c.Terms.UnlockAfter = 10_001 })},
		{"banned for nothing", with(func(c *challengeIn) { c.Terms.BanAfter = 0 })},
		{"a cheat forfeits all", with(func(c *challengeIn) { c.Terms.Forfeits = "all" })},
		{"too many loops", with(func(c *challengeIn) { c.Commit.Loops = 5001 })},
		{"no loops", with(func(c *challengeIn) { c.Commit.Loops = 0 })},
		{"another nonce", with(func(c *challengeIn) { c.Draw.HostNonce[0]++ })},
		{"more than certain", with(func(c *challengeIn) { c.Draw.AuditQ32 = 1<<32 + 1 })},
		{"20 loops", with(func(c *challengeIn) { c.Commit.Loops, c.Index = 20, 0 })},
		{"due before it was offered", with(func(c *challengeIn) {
			c.Draw.Deadline = c.Terms.Issued - 1
		})},
	}, func(t testing.TB, in challengeIn) challengeOut {
		host, device := privateKey(in.Host), privateKey(in.Device)
		l := mpoc.Log{Terms: in.Terms, Commit: in.Commit}
		out := challengeOut{
			TermsMessage: in.Terms.SignBytes(), TermsSignature: in.Terms.Sign(host),
			CommitMessage: l.SignBytes(), CommitSignature: l.Sign(device),
			DrawMessage: in.Draw.SignBytes(l), DrawSignature: in.Draw.Sign(l, host),
			Leaf:     in.Terms.AppendLeaf(nil, in.Index, in.Digest),
			LeafHash: hash(in.Terms.LeafHash(in.Index, in.Digest)),
			NoProof:  mpoc.Proof{}.SignBytes(l, in.Draw),
		}
		if err := in.Terms.Verify(out.TermsSignature); err != nil {
			return challengeOut{Error: fault(t, err)}
		}
		if err := l.Verify(out.CommitSignature); err != nil {
			return challengeOut{Error: fault(t, err)}
		}
		if err := in.Draw.Verify(l); err != nil {
			return challengeOut{Error: fault(t, err)}
		}
		q := in.Draw.Questions(l)
		out.Full, out.Samples, out.Whole, out.Picks, out.SecondRound = q.Full(), q.Samples(),
			q.Whole(), q.Picks(0), q.Picks(1)
		return out
	})
}

type fileOut struct {
	Shown  string `json:"shown"` // of evidence its claim, of a receipt its status
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
}

// mpocFiles are a receipt and evidence about a log of two loops, whose second
// is forged where forge says so.
func mpocFiles(t *testing.T, forge bool) (mpoc.Receipt, mpoc.Evidence) {
	terms := mpocTerms()
	host, device := privateKey(mpocHost), privateKey(mpocDevice)
	var tree commit.Log
	var units [][][32]byte
	for i := range uint64(2) {
		tiles, err := matmul.AppendTiles(nil, seed.Seed(terms.Seed), i, terms.Shape.Matmul())
		if err != nil {
			t.Fatal(err)
		}
		for j := range tiles {
			if forge && i == 1 {
				tiles[j][0] ^= 1
			}
		}
		units = append(units, tiles)
		tree.Append(terms.LeafHash(i, matmul.Root(tiles)))
	}
	l := mpoc.Log{Terms: terms, Commit: mpoc.Commit{Loops: 2, ComputeTime: 9_500,
		MerkleRoot: tree.Root()}}
	draw := mpoc.Draw{HostNonce: signed.Hash(mpocNonce), AuditQ32: 1 << 32,
		Deadline: 1_800_000_090_000}
	q := draw.Questions(l)
	var p mpoc.Proof
	for _, index := range q.Samples() {
		s, err := l.OpenSample(&tree, index, matmul.Root(units[index]))
		if err != nil {
			t.Fatal(err)
		}
		p.Samples = append(p.Samples, s)
	}
	for _, pick := range q.Picks(0) {
		o, err := l.OpenTile(&tree, pick, units[pick.Index])
		if err != nil {
			t.Fatal(err)
		}
		p.Tiles = append(p.Tiles, o)
	}
	wrong, err := q.Recompute(t.Context(), mpoc.Reference(), p, 0)
	if err != nil {
		t.Fatal(err)
	}
	o, decided := q.Outcome(1, len(wrong.Samples), len(wrong.Tiles))
	if !decided {
		t.Fatal("undecided")
	}
	r := mpoc.Receipt{
		Version: mpoc.ReceiptVersion, Terms: terms, TermsSignature: terms.Sign(host),
		Commit: l.Commit, CommitSignature: l.Sign(device),
		Draw: &draw, Outcome: o, Reason: "a vector", Committed: terms.Issued + 10_000,
		Proved: terms.Issued + 11_000, Entry: 42,
	}
	r.SetWrong(wrong)
	r.Sign(host)
	signed := r.Countersign(device)
	r.DeviceSignature = &signed
	last := p.Tiles[len(p.Tiles)-1] // of the second loop
	return r, mpoc.Evidence{
		Version: mpoc.EvidenceVersion, Claim: mpoc.Honest,
		Terms:  &mpoc.SignedTerms{Terms: terms, Signature: r.TermsSignature},
		Commit: &mpoc.SignedCommit{Commit: l.Commit, Signature: r.CommitSignature},
		Tile:   &last, Note: "a vector",
	}
}

// Holds spec F-17, F-18, M-16, M-17.
func TestMPoCFiles(t *testing.T) {
	written := func(f interface{ Marshal() ([]byte, error) }) text {
		data, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return text(data)
	}
	accepted, honest := mpocFiles(t, false)
	rejected, forged := mpocFiles(t, true)
	forged.Claim = mpoc.Forged
	slander, whitewash := honest, forged
	slander.Claim, whitewash.Claim = mpoc.Forged, mpoc.Honest
	host := privateKey(mpocHost)

	unproven := accepted
	unproven.Outcome, unproven.DeviceSignature = rejected.Outcome, nil
	unproven.Sign(host)
	few := rejected
	few.WrongTiles, few.DeviceSignature = few.WrongTiles[:2], nil
	few.Sign(host)
	underpaid := accepted
	underpaid.Outcome.Pay, underpaid.DeviceSignature = "1", nil
	underpaid.Sign(host)
	failed := accepted
	failed.Outcome, failed.Proved, failed.DeviceSignature = mpoc.NoAnswer(), 0, nil
	failed.Sign(host)
	late := failed
	late.Outcome, late.Draw, late.Committed = mpoc.TooLate(), nil, late.Terms.Expiry+1
	late.Sign(host)
	altered := accepted
	altered.Entry++

	offer := honest.Terms
	other := offer.Terms
	other.PayPerTebiop = "1"
	longer := offer.Terms
	longer.UnlockAfter++
	draw := *accepted.Draw
	bad := draw
	bad.HostNonce[0]++
	later := draw
	later.Deadline++
	l := accepted.Log()
	evidence := func(claim mpoc.Claim, change func(*mpoc.Evidence)) text {
		e := mpoc.Evidence{Version: mpoc.EvidenceVersion, Claim: claim}
		change(&e)
		return written(e)
	}
	inputs := []given[text]{
		{"accepted", written(accepted)},
		{"rejected", written(rejected)},
		{"failed", written(failed)},
		{"late", written(late)},
		{"rejected without evidence", written(unproven)},
		{"rejected by two tiles", written(few)},
		{"paid less", written(underpaid)},
		{"altered", written(altered)},
		{"another version", text(strings.Replace(string(written(accepted)),
			"receipt/1", "receipt/2", 1))},
		{"a key twice", text(strings.Replace(string(written(accepted)), `"entry": 42,`,
			`"entry": 42, "entry": 42,`, 1))},
		{"honest", written(honest)},
		{"forged", written(forged)},
		{"honest, claimed forged", written(slander)},
		{"forged, claimed honest", written(whitewash)},
		{"two offers", evidence(mpoc.TwoTerms, func(e *mpoc.Evidence) {
			e.Terms, e.OtherTerms = offer,
				&mpoc.SignedTerms{Terms: other, Signature: other.Sign(host)}
		})},
		{"two offers with other rules", evidence(mpoc.TwoTerms, func(e *mpoc.Evidence) {
			e.Terms, e.OtherTerms = offer,
				&mpoc.SignedTerms{Terms: longer, Signature: longer.Sign(host)}
		})},
		{"one offer", evidence(mpoc.TwoTerms,
			func(e *mpoc.Evidence) { e.Terms, e.OtherTerms = offer, offer })},
		{"two commits", evidence(mpoc.TwoCommits, func(e *mpoc.Evidence) {
			e.Terms, e.Commit, e.OtherCommit = offer, honest.Commit, forged.Commit
		})},
		{"a bad draw", evidence(mpoc.BadDraw, func(e *mpoc.Evidence) {
			e.Terms, e.Commit, e.Draw = offer, honest.Commit,
				&mpoc.SignedDraw{Draw: bad, Signature: bad.Sign(l, host)}
		})},
		{"two draws", evidence(mpoc.TwoDraws, func(e *mpoc.Evidence) {
			e.Terms, e.Commit = offer, honest.Commit
			e.Draw, e.OtherDraw = &mpoc.SignedDraw{Draw: draw, Signature: draw.Sign(l, host)},
				&mpoc.SignedDraw{Draw: later, Signature: later.Sign(l, host)}
		})},
		{"two receipts", evidence(mpoc.TwoReceipts,
			func(e *mpoc.Evidence) { e.Receipt, e.OtherReceipt = &accepted, &failed })},
	}
	inputs = append(inputs, moreReceipts(t,
		func(r mpoc.Receipt) text { return written(r) }, accepted, rejected, failed, late)...)
	for _, spelt := range [][2]string{{"seconds with a zero at the end", "9.50"},
		{"seconds with a point and nothing behind it", "9.0"},
		{"seconds of four decimals", "9.5001"}, {"seconds with an exponent", "9.5e0"},
		{"seconds below 0", "-9.5"}, {"a million seconds", "1000000"}} {
		inputs = append(inputs, given[text]{spelt[0],
			text(strings.Replace(string(written(accepted)), `"compute_time": 9.5`,
				`"compute_time": `+spelt[1], 1))})
	}
	check(t, "mpoc_files.json", "receipts and evidence as files: what each shows", inputs,
		func(t testing.TB, in text) fileOut {
			data := []byte(in)
			if strings.Contains(string(in), "assay-mpoc-receipt/") &&
				!strings.Contains(string(in), mpoc.EvidenceVersion) {
				r, err := mpoc.ParseReceipt(data)
				if err == nil {
					err = r.Verify(t.Context(), mpoc.Reference())
				}
				if err != nil {
					return fileOut{Error: fault(t, err)}
				}
				return fileOut{Shown: string(r.Outcome.Status)}
			}
			e, err := mpoc.Parse(data)
			if err != nil {
				return fileOut{Error: fault(t, err)}
			}
			f, err := e.Verify(t.Context(), mpoc.Reference())
			if err != nil {
				return fileOut{Error: fault(t, err)}
			}
			return fileOut{Shown: string(e.Claim), Reason: f.Reason}
		})
}

type auditIn struct {
	Function string `json:"function"`
	// also a rate in operations a second, a total, a gain
	N      uint64    `json:"n,omitempty,string"`
	X      uint64    `json:"x,omitempty,string"` // also what is locked
	Count  int       `json:"count,omitempty"`    // also flags
	Rate   [2]uint64 `json:"rate"`               // a share
	Target [2]uint64 `json:"target"`
	Seed   seed.Seed `json:"seed"`
}

type auditOut struct {
	Decision string   `json:"decision,omitempty"`
	Value    uint64   `json:"value,omitempty,string"`
	Drawn    []uint64 `json:"drawn,omitempty"`
	Shape    string   `json:"shape,omitempty"`
	Duration uint64   `json:"duration_ms,omitempty"`
}

// Holds spec.
func TestMPoCAudit(t *testing.T) {
	var inputs []given[auditIn]
	add := func(name string, in auditIn) { inputs = append(inputs, given[auditIn]{name, in}) }
	for _, c := range [][2]uint64{{0, 0}, {269, 0}, {270, 0}, {392, 1}, {393, 1}, {90, 2}, {90, 3},
		{3, 3}, {4096, 36}, {4097, 4097}, {2, 3}, {97, 3}, {98, 3}} {
		add("sequential, "+big.NewInt(int64(c[1])).String()+" of "+big.NewInt(int64(c[0])).String(),
			auditIn{Function: "sequential", N: c[0], X: c[1]})
	}
	add("adaptive, nothing locked", auditIn{Function: "adaptive", N: 1000})
	add("adaptive, 20 submissions locked", auditIn{Function: "adaptive", N: 1000, X: 20_000})
	add("adaptive, flagged", auditIn{Function: "adaptive", N: 1000, X: 20_000, Count: 1})
	add("adaptive, the floor", auditIn{Function: "adaptive", N: 1, X: 1 << 60})
	add("k for 5 %", auditIn{Function: "k", Rate: [2]uint64{5, 100}, Target: [2]uint64{99, 100}})
	add("k for 1 %", auditIn{Function: "k", Rate: [2]uint64{1, 100}, Target: [2]uint64{99, 100}})
	add("k out of reach", auditIn{Function: "k", Rate: [2]uint64{1, 10_000},
		Target: [2]uint64{99, 100}})
	add("caught, 5 % by 90", auditIn{Function: "caught", N: 90, Rate: [2]uint64{5, 100}})
	add("stratified, 10 of 1234",
		auditIn{Function: "stratified", N: 1234, Count: 10, Seed: counted(1)})
	add("stratified, 10 of 7", auditIn{Function: "stratified", N: 7, Count: 10, Seed: counted(1)})
	add("distinct, 12 of 20", auditIn{Function: "distinct", N: 20, Count: 12, Seed: counted(1)})
	add("distinct, more of them", auditIn{Function: "distinct", N: 20, Count: 25, Seed: counted(1)})
	for _, rate := range []uint64{0, 4_000_000_000, 40_000_000_000, 2_000_000_000_000,
		1_000_000_000_000_000, 1<<64 - 1} {
		add("shape for "+new(big.Int).SetUint64(rate).String()+" a second",
			auditIn{Function: "shape", N: rate})
	}
	check(t, "mpoc_audit.json", "numbers of audits: decisions, probabilities in 2^-32, picks, "+
		"samples, challenges by rate", inputs, func(t testing.TB, in auditIn) auditOut {
		rate, target := audit.Rate{Num: in.Rate[0], Den: in.Rate[1]},
			audit.Rate{Num: in.Target[0], Den: in.Target[1]}
		switch in.Function {
		case "sequential":
			return auditOut{Decision: audit.Flaky().Decide(in.N, in.X).String()}
		case "adaptive":
			return auditOut{Value: audit.DefaultAdaptive().Probability(new(big.Int).SetUint64(in.N),
				new(big.Int).SetUint64(in.X), in.Count)}
		case "k":
			k, _ := audit.KFor(target, rate)
			return auditOut{Value: k}
		case "caught":
			return auditOut{Value: uint64(audit.Caught(rate, in.N))}
		case "stratified":
			return auditOut{Drawn: audit.Stratified(in.Seed, in.N, in.Count)}
		case "distinct":
			return auditOut{Drawn: audit.Distinct(in.Seed, in.N, in.Count)}
		case "shape":
			p := mpoc.ChooseShape(in.N)
			return auditOut{Value: p.Loops, Shape: p.Shape.String(), Duration: p.DurationMS}
		}
		t.Fatalf("no function %q", in.Function)
		return auditOut{}
	})
}
