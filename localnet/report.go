// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
)

// account prints a network's life. Lines that stand are printed once; on a terminal the running phase is redrawn in
// place, elsewhere it is printed when the phase changes and every heartbeat after that.
type account struct {
	w         io.Writer
	live      bool
	drawn     bool
	phase     string
	epoch     uint64
	lastLine  string
	lastPrint time.Time
}

// heartbeat is how often a running phase is printed where it cannot be redrawn.
const heartbeat = 10 * time.Second

func newAccount(w io.Writer) *account {
	f, ok := w.(*os.File)
	return &account{w: w, live: ok && term.IsTerminal(int(f.Fd()))}
}

// line prints a line that stands.
func (a *account) line(format string, args ...any) {
	if a.drawn {
		fmt.Fprint(a.w, "\r\x1b[K")
		a.drawn = false
	}
	fmt.Fprintf(a.w, format+"\n", args...)
}

// progress shows the running phase.
func (a *account) progress(phase, text string, now time.Time) {
	line := fmt.Sprintf("  %-10s %s", phase, text)
	switch {
	case a.live:
		if phase != a.phase && a.drawn {
			fmt.Fprint(a.w, "\n")
		}
		fmt.Fprintf(a.w, "\r\x1b[K%s", clip(line, a.width()))
		a.drawn = true
	case phase != a.phase || line != a.lastLine && now.Sub(a.lastPrint) >= heartbeat:
		fmt.Fprintln(a.w, line)
		a.lastPrint = now
	}
	a.phase, a.lastLine = phase, line
}

func (a *account) width() int {
	if f, ok := a.w.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			return w - 1
		}
	}
	return 119
}

func clip(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// bar draws done of total in 24 cells.
func bar(done, total int64) string {
	const cells = 24
	if total <= 0 {
		return strings.Repeat("░", cells)
	}
	n := int(min(max(done, 0), total) * cells / total)
	return strings.Repeat("█", n) + strings.Repeat("░", cells-n)
}

// describe says where the running epoch stands, in one line.
func describe(now sprintv1.QueryCurrentResponse, leaves uint64, committed, opened, verdicts int) string {
	e := now.Epoch
	part := func(from, to int64) string {
		return fmt.Sprintf("%s block %d of %d", bar(now.Height-from, to-from), now.Height, to)
	}
	switch e.Phase {
	case sprintv1.PhasePrepare:
		if len(e.Seed1) > 0 && e.ReadyHeight == 0 {
			return part(e.Seed1Height, e.PrepareUntil) + ", workers build the model"
		}
	case sprintv1.PhaseCompute:
		return part(e.ComputeStart-1, e.ComputeEnd) + fmt.Sprintf(", %s leaves, %d logs committed", thousands(leaves), committed)
	case sprintv1.PhaseWrapUp:
		return part(e.ComputeEnd, e.WrapupUntil) + fmt.Sprintf(", %s leaves, %d logs committed", thousands(leaves), committed)
	case sprintv1.PhaseProof:
		return part(e.ChallengeHeight, e.ProofUntil) + fmt.Sprintf(", %d participants opened %d drawn leaves each", opened, e.Samples)
	case sprintv1.PhaseValidate:
		return part(e.Round.DrawHeight, e.Round.ValidateUntil) + fmt.Sprintf(", %d of %d members committed to a verdict", verdicts, e.Round.Members)
	case sprintv1.PhaseReveal:
		return part(e.Round.ValidateUntil, e.Round.RevealUntil) + ", members reveal their verdicts"
	case sprintv1.PhaseCheck:
		if len(e.Round.CheckMix) > 0 {
			return part(e.Round.CheckHeight, e.Round.CheckUntil) + ", members open the middle digests that the beacon drew"
		}
	case sprintv1.PhaseDispute:
		return part(e.Round.DisputeStart, e.Round.DisputeUntil) + ", the chain judges named leaves, and whom nobody judged"
	}
	if now.Until > 0 {
		return fmt.Sprintf("block %d, until %d: %s", now.Height, now.Until, now.Reason)
	}
	return fmt.Sprintf("block %d: %s", now.Height, now.Reason)
}

// ResultName is an outcome's result in the word that people see.
func ResultName(r sprintv1.Result) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(r.String(), "RESULT_"), "_", " "))
}

// table prints what an epoch meant for everyone.
func (a *account) table(e sprintv1.Epoch, outcomes []sprintv1.Outcome, label func(participant, moniker string) string) {
	credited := 0
	for _, o := range outcomes {
		if o.Result == sprintv1.ResultCredited {
			credited++
		}
	}
	head := fmt.Sprintf("%d of %d credited", credited, len(outcomes))
	if e.Void {
		head = "void: " + e.VoidReason + "; weight that was shown stays, the rest is halved"
	}
	a.line("epoch %d finalised at block %d after %d blocks: %s", e.Number, e.FinalisedHeight, e.FinalisedHeight-e.Start, head)
	rows := [][]string{{"participant", "nonces", "samples", "mismatches", "p", "passed by", "verdict", "weight before", "after", "power before", "after"}}
	for _, o := range outcomes {
		passed := "-"
		switch {
		case o.ChainSamples > 0:
			passed = "the chain"
		case o.CommitteeWeight > 0:
			passed = percent(o.PassWeight, o.CommitteeWeight)
		}
		rows = append(rows, []string{
			label(o.Participant, o.Moniker), thousands(o.Count), thousands(o.Samples), thousands(o.Mismatches), audit.Q64(o.P).String(), passed, ResultName(o.Result),
			thousands(o.WeightBefore), thousands(o.WeightAfter), percent(o.PowerBefore, sum(outcomes, true)), percent(o.PowerAfter, sum(outcomes, false)),
		})
	}
	for _, line := range align(rows) {
		a.line("  %s", line)
	}
	for _, o := range outcomes {
		if o.Result != sprintv1.ResultCredited && o.Result != sprintv1.ResultVoid {
			a.line("  %s: %s", label(o.Participant, o.Moniker), o.Reason)
		}
	}
}

func sum(outcomes []sprintv1.Outcome, before bool) (total uint64) {
	for _, o := range outcomes {
		if before {
			total += o.PowerBefore
		} else {
			total += o.PowerAfter
		}
	}
	return total
}

// align pads columns: the first to the left, the others to the right.
func align(rows [][]string) []string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, len(rows))
	for r, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString(cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		lines[r] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

func percent(part, whole uint64) string {
	if whole == 0 {
		return "-"
	}
	p := part * 1000 / whole
	return fmt.Sprintf("%d.%d %%", p/10, p%10)
}

func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
