// SPDX-License-Identifier: Apache-2.0

// Package explain is `assay audit explain`: what an audit of a log of loops can see, and how much
// of the compute the chain withstands, in numbers that are computed exactly and never rounded in
// its favour.
package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/mpoc"
)

// ErrFlag reports a flag that is out of its range.
var ErrFlag = errors.New("audit explain: bad flag")

// Question is what the flags say.
type Question struct {
	Loops   uint64 `json:"loops"`
	Shape   string `json:"shape"`
	Samples uint64 `json:"samples"`
	Audited uint64 `json:"audited"`
	Picks   uint64 `json:"picks"`
	Share   string `json:"share_percent"`
	Target  string `json:"target_percent"`
}

// Answer is what follows, as --json prints it. Detection is in percent and rounded down; the
// formula of samples alone has three decimals.
type Answer struct {
	Question
	Tiles    uint64 `json:"tiles"`         // of the log
	Forged   uint64 `json:"forged_tiles"`  // the share of them, rounded up
	Detected string `json:"detected"`      // by the picks over all tiles
	RuleS    int    `json:"rule_samples"`  // s by the rule for so many loops
	KFor     []K    `json:"k_for_target"`  // picks for the target
	Formula  []Row  `json:"seed_formula"`  // of samples alone, for X forged among them
	Chosen   string `json:"chosen_detect"` // the same where who works chooses the samples
	Adaptive string `json:"adaptive_rule"`
	Security Budget `json:"security"`
}

// K is how many picks a share needs.
type K struct {
	Share string `json:"share_percent"`
	K     uint64 `json:"k"` // 0: none up to 4,096 will do
}

// Row is one line of the formula of samples alone.
type Row struct {
	Forged   uint64 `json:"forged"`
	Detected string `json:"detected"`
}

// rule is what package audit, Adaptive, does.
const rule = "a = max(1/20, 2 * 4^flags * g/(g+S)), at most 1; g = what the submission pays, S = " +
	"what its key has locked"

// New returns the command group `audit`.
func New() *cobra.Command {
	q, node, asJSON := Question{}, "", false
	explain := &cobra.Command{
		Use: "explain", Short: "Print what an audit detects and what the chain withstands, exactly",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := q.Answer()
			if err != nil {
				return err
			}
			if node != "" {
				if a.Security, err = atNode(cmd.Context(), node); err != nil {
					return err
				}
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(a)
			}
			a.Text(cmd.OutOrStdout())
			return nil
		},
	}
	f := explain.Flags()
	f.Uint64Var(&q.Loops, "loops", 3000, "loops of a submission, at most 100,000")
	f.StringVar(&q.Shape, "shape", mpoc.Shapes()[0].String(), "shape of a loop, from the "+
		"published list")
	f.Uint64Var(&q.Samples, "samples", 10, "s of the formula of samples alone: how many there are")
	f.Uint64Var(&q.Audited, "audited", 3, "m of the formula of samples alone: how many of them "+
		"are recomputed")
	f.Uint64Var(&q.Picks, "picks", mpoc.DefaultPicks, "k, tiles that the host picks over the "+
		"whole log")
	f.StringVar(&q.Share, "share", "5", "forged share of all tiles, in percent")
	f.StringVar(&q.Target, "target", "99", "detection to reach, in percent")
	f.StringVar(&node, "node", "", "gRPC address of a node, host:port, whose network's security "+
		"budget is printed")
	f.BoolVar(&asJSON, "json", false, "print the answer as JSON")
	cmd := &cobra.Command{Use: "audit", Short: "What audits can and cannot see"}
	cmd.AddCommand(explain)
	return cmd
}

// percent reads a decimal percentage with at most six decimals, above 0 and at most 100, as an
// exact rate.
func percent(text string) (audit.Rate, error) {
	whole, part, point := strings.Cut(text, ".")
	r := audit.Rate{Den: 100}
	ok := len(whole) > 0 && len(whole) <= 3 && len(part) <= 6 && point == (len(part) > 0)
	for _, c := range whole + part {
		ok = ok && c >= '0' && c <= '9'
		r.Num = r.Num*10 + uint64(c-'0')
	}
	for range part {
		r.Den *= 10
	}
	if !ok || r.Num == 0 || r.Num > r.Den {
		return audit.Rate{}, fmt.Errorf("%w: %.20q is not a percentage above 0 and up to 100 "+
			"with at most six decimals", ErrFlag, text)
	}
	return r, nil
}

// show writes a probability as a percentage with at most four decimals, rounded down.
func show(q audit.Q64) string {
	if q == audit.One {
		return "100 %"
	}
	// q is itself rounded down: what lies below q+1 is what is known.
	v := new(big.Int).SetUint64(uint64(q) + 1)
	v.Rsh(v.Mul(v, big.NewInt(1_000_000)), 64)
	n := v.Uint64()
	text := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%04d", n/10_000, n%10_000), "0"),
		".")
	return text + " %"
}

// three writes a probability as 0.300: three decimals, to the nearest.
func three(q audit.Q64) string {
	v := new(big.Int).SetUint64(uint64(q))
	v.Add(v.Mul(v, big.NewInt(1000)), new(big.Int).Lsh(big.NewInt(1), 63))
	n := v.Rsh(v, 64).Uint64()
	return fmt.Sprintf("%d.%03d", n/1000, n%1000)
}

// Answer computes what follows from the flags. Errors wrap ErrFlag.
func (q Question) Answer() (Answer, error) {
	var shape mpoc.Shape
	if err := shape.UnmarshalText([]byte(q.Shape)); err != nil {
		var list []string
		for _, s := range mpoc.Shapes() {
			list = append(list, s.String())
		}
		return Answer{}, fmt.Errorf("%w: --shape %.20q: choose one of %s", ErrFlag, q.Shape,
			strings.Join(list, ", "))
	}
	switch {
	case q.Loops == 0 || q.Loops > mpoc.MaxLoops:
		return Answer{}, fmt.Errorf("%w: --loops is 1 to %d", ErrFlag, mpoc.MaxLoops)
	case q.Samples == 0 || q.Samples > audit.MaxSample || q.Audited == 0 || q.Audited > q.Samples:
		return Answer{}, fmt.Errorf("%w: --samples is 1 to %d and --audited 1 to --samples",
			ErrFlag, audit.MaxSample)
	case q.Picks == 0 || q.Picks > audit.MaxSample:
		return Answer{}, fmt.Errorf("%w: --picks is 1 to %d", ErrFlag, audit.MaxSample)
	}
	share, err := percent(q.Share)
	if err != nil {
		return Answer{}, fmt.Errorf("--share: %w", err)
	}
	target, err := percent(q.Target)
	if err != nil {
		return Answer{}, fmt.Errorf("--target: %w", err)
	}
	a := Answer{Question: q, Tiles: q.Loops * uint64(shape.Matmul().Tiles()),
		RuleS: mpoc.Samples(q.Loops), Chosen: "0 %", Adaptive: rule,
		Security: budget(credit.DefaultRules(), minLiveBps)}
	forged := new(big.Int).Mul(new(big.Int).SetUint64(a.Tiles), new(big.Int).SetUint64(share.Num))
	forged.Add(forged, new(big.Int).SetUint64(share.Den-1))
	a.Forged = forged.Quo(forged, new(big.Int).SetUint64(share.Den)).Uint64()
	a.Detected = show(audit.Detection(a.Tiles, a.Forged, int(q.Picks), 1))
	for _, f := range []string{"1", "5", "10", "20", "50"} {
		r, err := percent(f)
		if err != nil {
			return Answer{}, err
		}
		k, _ := audit.KFor(target, r)
		a.KFor = append(a.KFor, K{f, k})
	}
	for x := uint64(1); x <= min(q.Samples, 10); x++ {
		a.Formula = append(a.Formula,
			Row{x, three(audit.Detection(q.Samples, x, int(q.Audited), 1))})
	}
	return a, nil
}

// Text prints the answer for people.
func (a Answer) Text(out io.Writer) {
	fmt.Fprintf(out, "A log of %d loops of %s has %d tiles. %s %% of them forged are %d.\n\n",
		a.Loops, a.Shape, a.Tiles, a.Share, a.Forged)
	fmt.Fprintf(out, "The host picks %d tiles over the whole log, after the root is committed:\n "+
		" forging %s %% is detected with %s\n\n", a.Picks, a.Share, a.Detected)
	fmt.Fprintf(out, "Picks for a detection of %s %%, 1-(1-f)^k:\n", a.Target)
	for _, k := range a.KFor {
		if k.K == 0 {
			fmt.Fprintf(out, "  f = %2s %%   more than %d\n", k.Share, audit.MaxSample)
			continue
		}
		fmt.Fprintf(out, "  f = %2s %%   k = %d\n", k.Share, k.K)
	}
	fmt.Fprintf(out, "\nThe formula of the M-PoC document, 1 - C(s-X,m)/C(s,m), with s = %d "+
		"samples and m = %d of them audited:\n", a.Samples, a.Audited)
	for _, r := range a.Formula {
		fmt.Fprintf(out, "  X = %2d forged samples   %s\n", r.Forged, r.Detected)
	}
	fmt.Fprintf(out, `
X counts forged loops among the samples. Where the one who works chooses the samples, X is 0 whatever it forged, and
detection is %s. Here samples and picks follow from the host's nonce, whose hash is in the signed terms and which is
shown after the root is committed: nobody chooses. For so many loops the rule is s = %d samples, one of each part of the
log; the detection that is promised rests on the picks.

How often a submission is audited in full (else lightly, %d tiles):
  %s
A key with nothing locked is always audited in full.

`, a.Chosen, a.RuleS, mpoc.DefaultLight, a.Adaptive)
	a.Security.Text(out)
}
