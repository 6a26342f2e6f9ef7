// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/internal/terminal"
	"github.com/assaynet/assay/poc/audit"
)

// account prints a network's life. Lines that stand are printed once. On a terminal the running
// phase is redrawn in place below them; elsewhere it is printed at every heartbeat of a phase that
// takes long.
type account struct {
	w         io.Writer
	live      bool
	colours   bool
	drawn     bool
	phase     string
	epoch     uint64
	lastLine  string
	lastPrint time.Time
}

// heartbeat is how often a running phase is printed where it cannot be redrawn.
const heartbeat = 10 * time.Second

func newAccount(w io.Writer) *account {
	a := &account{w: w}
	if f, ok := w.(*os.File); ok {
		_, a.live = terminal.Usable(f, os.Environ())
	}
	a.colours = a.live && os.Getenv("NO_COLOR") == ""
	return a
}

// paint gives a text a colour, where there are any.
func (a *account) paint(code, text string) string {
	if !a.colours {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (a *account) strong(text string) string { return a.paint("1", text) }
func (a *account) faint(text string) string  { return a.paint("2", text) }
func (a *account) good(text string) string   { return a.paint("32", text) }
func (a *account) warn(text string) string   { return a.paint("33", text) }
func (a *account) bad(text string) string    { return a.paint("31", text) }

// clear takes the running phase off the terminal.
func (a *account) clear() {
	if a.drawn {
		fmt.Fprint(a.w, "\r\x1b[K")
		a.drawn = false
	}
}

// line prints a line that stands.
func (a *account) line(format string, args ...any) {
	a.clear()
	fmt.Fprintf(a.w, format+"\n", args...)
}

// progress shows the running phase.
func (a *account) progress(phase, text string, now time.Time) {
	line := fmt.Sprintf("  %-10s %s", phase, text)
	begins := phase != a.phase
	switch {
	case a.live:
		fmt.Fprintf(a.w, "\r\x1b[K%s", clip(line, a.width()-1))
		a.drawn = true
	case a.lastPrint.IsZero(), !begins && line != a.lastLine && now.Sub(a.lastPrint) >= heartbeat:
		fmt.Fprintln(a.w, line)
		a.lastPrint = now
	case begins: // its end is a line; until then only what takes long is
		a.lastPrint = now
	}
	a.phase, a.lastLine = phase, line
}

// over ends a phase as a line.
func (a *account) over(phase, text string) {
	a.line("  %-10s %s", phase, a.faint(text))
	a.lastPrint = time.Now()
}

// plainWidth is what tables have where no terminal says how wide it is.
const plainWidth = 80

func (a *account) width() int {
	if f, ok := a.w.(*os.File); ok && a.live {
		if w, ok := terminal.Usable(f, os.Environ()); ok && w > 20 {
			return w
		}
	}
	return plainWidth
}

func clip(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// bar draws done of total in 16 cells, with which most phases fit 80 columns.
func bar(done, total int64) string {
	const cells = 16
	if total <= 0 {
		return strings.Repeat("░", cells)
	}
	n := int(min(max(done, 0), total) * cells / total)
	return strings.Repeat("█", n) + strings.Repeat("░", cells-n)
}

// describe says where the running epoch stands, in one line.
func describe(now sprintv1.QueryCurrentResponse, leaves uint64, committed, opened,
	verdicts int) string {
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
		return part(e.ComputeStart-1, e.ComputeEnd) + fmt.Sprintf(", %s leaves, %s committed",
			thousands(leaves), count(committed, "log"))
	case sprintv1.PhaseWrapUp:
		return part(e.ComputeEnd, e.WrapupUntil) + fmt.Sprintf(", %s leaves, %s committed",
			thousands(leaves), count(committed, "log"))
	case sprintv1.PhaseProof:
		return part(e.ChallengeHeight, e.ProofUntil) + fmt.Sprintf(", %s opened %d drawn leaves "+
			"each", count(opened, "participant"), e.Samples)
	case sprintv1.PhaseValidate:
		return part(e.Round.DrawHeight,
			e.Round.ValidateUntil) + fmt.Sprintf(", %d of %d members committed to a verdict",
			verdicts, e.Round.Members)
	case sprintv1.PhaseReveal:
		return part(e.Round.ValidateUntil, e.Round.RevealUntil) + ", members reveal their verdicts"
	case sprintv1.PhaseCheck:
		if len(e.Round.CheckMix) > 0 {
			return part(e.Round.CheckHeight, e.Round.CheckUntil) + ", members open the middle " +
				"digests that the beacon drew"
		}
	case sprintv1.PhaseDispute:
		return part(e.Round.DisputeStart, e.Round.DisputeUntil) + ", the chain judges named " +
			"leaves, and whom nobody judged"
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
func (a *account) table(e sprintv1.Epoch, outcomes []sprintv1.Outcome,
	label func(participant, moniker string) string) {
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
	a.line("epoch %d finalised at block %d after %d blocks: %s", e.Number, e.FinalisedHeight,
		e.FinalisedHeight-e.Start, head)
	left := a.rows(outcomes, label)
	for _, o := range outcomes {
		if o.Result != sprintv1.ResultCredited && o.Result != sprintv1.ResultVoid {
			a.wrapped("  ", label(o.Participant, o.Moniker)+": "+o.Reason)
		}
	}
	if len(left) > 0 && e.Number == 1 {
		slices.Reverse(left)
		a.wrapped("  ", "a wider terminal shows "+strings.Join(left, ", ")+" too")
	}
}

// column is one of a table. Of columns that do not fit the one with the highest rank is left out
// first; those of rank 0 stay.
type column struct {
	head string
	rank int
	cell func(sprintv1.Outcome) string
}

// rows prints outcomes in as many columns as fit, and returns the heads of the others.
func (a *account) rows(outcomes []sprintv1.Outcome,
	label func(participant, moniker string) string) (left []string) {
	before, after := sum(outcomes, true), sum(outcomes, false)
	columns := []column{
		{"participant", 0, func(o sprintv1.Outcome) string {
			return label(o.Participant, o.Moniker)
		}},
		{"nonces", 0, func(o sprintv1.Outcome) string { return thousands(o.Count) }},
		{"samples", 2, func(o sprintv1.Outcome) string { return thousands(o.Samples) }},
		{"mismatches", 1, func(o sprintv1.Outcome) string { return thousands(o.Mismatches) }},
		{"p", 4, func(o sprintv1.Outcome) string { return audit.Q64(o.P).String() }},
		{"passed by", 3, passedBy},
		{"verdict", 0, func(o sprintv1.Outcome) string { return ResultName(o.Result) }},
		{"weight before", 6, func(o sprintv1.Outcome) string { return thousands(o.WeightBefore) }},
		{"weight", 0, func(o sprintv1.Outcome) string { return thousands(o.WeightAfter) }},
		{"power before", 5, func(o sprintv1.Outcome) string {
			return percent(o.PowerBefore, before)
		}},
		{"power", 0, func(o sprintv1.Outcome) string { return percent(o.PowerAfter, after) }},
	}
	for {
		lines := align(cells(columns, outcomes))
		if widest := slices.MaxFunc(columns, func(x, y column) int {
			return cmp.Compare(x.rank, y.rank)
		}); widest.rank > 0 && 2+longest(lines) > a.width() {
			columns = slices.DeleteFunc(columns,
				func(c column) bool { return c.rank == widest.rank })
			left = append(left, widest.head)
			continue
		}
		for i, line := range lines {
			switch {
			case i == 0:
				line = a.faint(line)
			case outcomes[i-1].Result == sprintv1.ResultCredited,
				outcomes[i-1].Result == sprintv1.ResultVoid:
			default:
				line = a.bad(line)
			}
			a.line("  %s", line)
		}
		return left
	}
}

func passedBy(o sprintv1.Outcome) string {
	switch {
	case o.ChainSamples > 0:
		return "the chain"
	case o.CommitteeWeight > 0:
		return percent(o.PassWeight, o.CommitteeWeight)
	}
	return "-"
}

func cells(columns []column, outcomes []sprintv1.Outcome) [][]string {
	rows := make([][]string, 1+len(outcomes))
	for _, c := range columns {
		rows[0] = append(rows[0], c.head)
		for i, o := range outcomes {
			rows[1+i] = append(rows[1+i], c.cell(o))
		}
	}
	return rows
}

func longest(lines []string) (n int) {
	for _, line := range lines {
		n = max(n, utf8.RuneCountInString(line))
	}
	return n
}

// wrapped prints a text in lines that fit, the later ones further in.
func (a *account) wrapped(indent, text string) {
	line := indent
	for i, word := range strings.Fields(text) {
		if i > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > a.width() {
			a.line("%s", line)
			line = indent + "  " + word
			continue
		}
		if i > 0 {
			line += " "
		}
		line += word
	}
	a.line("%s", line)
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
