// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/mpoc"
)

// wide is the least width at which a device fits one line.
const wide = 100

// Colours by meaning. A terminal shows them as far as it can.
var (
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	waits  = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	strong = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
)

// Render writes a status for a terminal of the given width in columns, 20 or
// more. No line is longer.
func Render(s worker.Status, width int, now time.Time) string {
	r := renderer{width: max(width, 20), now: now}
	r.head(s)
	r.devices(s)
	r.earnings(s)
	r.foot(s)
	return strings.Join(r.lines, "\n")
}

type renderer struct {
	width int
	now   time.Time
	lines []string
}

// add writes a line, cut to the width.
func (r *renderer) add(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if lipgloss.Width(line) > r.width {
		line = lipgloss.NewStyle().MaxWidth(r.width-1).Render(line) + "…"
	}
	r.lines = append(r.lines, line)
}

// wrap writes a text over as many lines as it takes, behind an indent.
func (r *renderer) wrap(indent, text string) {
	room := r.width - len(indent)
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case lipgloss.Width(line)+1+lipgloss.Width(word) <= room:
			line += " " + word
		default:
			r.add("%s%s", indent, line)
			line = word
		}
	}
	if line != "" {
		r.add("%s%s", indent, line)
	}
}

func (r *renderer) head(s worker.Status) {
	link := bad.Render("not connected")
	if s.Connected {
		link = good.Render("connected")
	}
	r.add("%s  %s  %s", strong.Render("assay worker"), s.Host, link)
	var where []string
	for _, part := range []struct{ name, value string }{{"chain", s.Chain}, {"node", s.Node}, {"class", s.Class}} {
		if part.value != "" {
			where = append(where, part.name+" "+part.value)
		}
	}
	if s.Epoch > 0 {
		where = append(where, fmt.Sprintf("epoch %d", s.Epoch))
	}
	if s.Segment > 0 {
		where = append(where, fmt.Sprintf("segment %d", s.Segment))
	}
	if len(where) > 0 {
		r.add("%s", strings.Join(where, " · "))
	}
	r.state(s)
	r.add("")
}

// state is the one line that everybody looks for: what it does, or why not.
func (r *renderer) state(s worker.Status) {
	line := paint(s.State)
	switch s.State {
	case "computing", "rerunning":
		line += fmt.Sprintf("  %s units in this segment, %s stored by the host", group(s.Computed), group(s.Stored))
	case "building":
		if s.BuildTotal > 0 {
			line += fmt.Sprintf("  %s %d of %d MiB", bar(s.BuildDone, s.BuildTotal, 20), s.BuildDone>>20, s.BuildTotal>>20)
		}
	}
	r.add("%s", line)
	r.why("  ", s.Reason, s.Until, s.Next)
}

// why explains: the reason, until when, and what to do.
func (r *renderer) why(indent, reason, until, next string) {
	if until != "" {
		reason += ", until " + until
	}
	if reason != "" {
		r.wrap(indent, strings.TrimPrefix(reason, ", "))
	}
	if next != "" {
		r.wrap(indent, "next: "+next)
	}
}

func (r *renderer) devices(s worker.Status) {
	if r.width >= wide {
		r.add("%s", faint.Render(fmt.Sprintf("%-10s %-24s %-10s %5s %5s %7s %10s %12s %9s", "DEVICE", "NAME", "STATE", "UTIL", "TEMP", "POWER", "CLOCK", "UNITS/S 1m", "UNITS")))
	}
	for _, d := range s.Devices {
		util, temp, power, clock := gauge(d.UtilisationPercent, 1, "%"), gauge(d.TemperatureC, 1, "°C"), gauge(d.PowerMilliwatt, 1000, " W"), gauge(d.ClockMHz, 1, " MHz")
		name := d.Name
		if name == "" {
			name = d.Engine
		}
		state := paint(d.State) + strings.Repeat(" ", max(0, 10-len(d.State)))
		if r.width >= wide {
			r.add("%-10s %-24s %s %5s %5s %7s %10s %12s %9s", clip(d.ID, 10), clip(name, 24), state, util, temp, power, clock, milli(d.Rate1m), group(d.Computed))
		} else {
			r.add("%-10s %s %s/s", clip(d.ID, 10), state, milli(d.Rate1m))
			r.add("  %s", clip(strings.Join(nonempty(name, util, temp, power), "  "), r.width-2))
		}
		r.why("    ", d.Reason, d.Until, "")
		r.pool(d.Pool)
	}
}

// pool shows what a device does for the host between sprints: its challenge, its
// rates, and what became of its submissions.
func (r *renderer) pool(p *mpoc.Status) {
	if p == nil {
		return
	}
	if c := p.Challenge; c != nil {
		r.wrap("  ", fmt.Sprintf("challenge %s %s %s %s of about %s loops, due %s", clip(c.ID, 10), c.Shape, bar(c.Loops, c.Expected, 16), group(c.Loops), group(c.Expected), r.left(c.Deadline)))
	} else {
		r.add("  challenge %s", paint(p.State))
	}
	r.why("    ", p.Reason, p.Until, p.Next)
	r.wrap("  ", fmt.Sprintf("loops/s 1m %s, 15m %s, all %s; verified %s GOPS", milli(p.Loops1m), milli(p.Loops15m), milli(p.LoopsStart), milli(p.VerifiedMOPS)))
	r.wrap("  ", fmt.Sprintf("accepted %d, late %d, rejected %d, faulty %d, no answer %d, failed self-check %d, abstained %d",
		p.Accepted, p.Late, p.Rejected, p.Faulty, p.Failed, p.FailedSelfChecks, p.Abstained))
	if p.LastReason != "" {
		r.wrap("    ", "last: "+p.LastReason)
	}
	if p.EvidenceSaved != "" {
		r.wrap("    ", "the host broke its terms: assay verify "+p.EvidenceSaved)
	}
}

// left is how long it is until a time of the host's clock.
func (r *renderer) left(deadline string) string {
	t, err := time.Parse(time.RFC3339, deadline)
	if err != nil {
		return "-"
	}
	if left := t.Sub(r.now).Round(time.Second); left > 0 {
		return "in " + left.String()
	}
	return "now"
}

// earnings adds up what the host owes this machine's devices. The sums never mix.
func (r *renderer) earnings(s worker.Status) {
	var estimated, pending, settled big.Int
	known := false
	for _, d := range s.Devices {
		if d.Pool == nil || d.Pool.Account == nil {
			continue
		}
		known = true
		a := d.Pool.Account
		estimated.Add(&estimated, a.Estimated.Big())
		pending.Add(pending.Add(&pending, a.Locked.Big()), a.Pending.Big())
		settled.Add(&settled, a.Settled.Big())
	}
	if known {
		r.add("")
		r.wrap("", fmt.Sprintf("earnings: estimated %s, pending %s, settled %s CPC", coins(&estimated), coins(&pending), coins(&settled)))
	}
}

func (r *renderer) foot(worker.Status) {
	r.add("")
	r.add("%s", faint.Render("p pause  r resume  q quit"))
}

// paint colours a state by its meaning.
func paint(state string) string {
	switch state {
	case "computing", "rerunning", "ready", "building", "testing", "proving":
		return good.Render(state)
	case "faulted", "disabled":
		return bad.Render(state)
	}
	return waits.Render(state)
}

// bar is a picture of done out of total.
func bar(done, total uint64, width int) string {
	full := 0
	if total > 0 {
		full = int(min(done, total) * uint64(width) / total)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]"
}

// gauge is a reading divided by unit, or a dash where there is none.
func gauge(v *int64, unit int64, suffix string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%d%s", *v/unit, suffix)
}

// milli is a number given in thousandths, with one decimal.
func milli(v uint64) string { return fmt.Sprintf("%s.%d", group(v/1000), v%1000/100) }

// group writes thousands apart.
func group(v uint64) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// coins writes base units as coins with six decimals, rounded down. Every digit
// stands in --json.
func coins(acpc *big.Int) string {
	micro := new(big.Int).Quo(acpc, big.NewInt(1_000_000_000_000))
	whole, part := micro.QuoRem(micro, big.NewInt(1_000_000), new(big.Int))
	return fmt.Sprintf("%s.%06d", whole, part)
}

func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:max(n-1, 0)]) + "…"
	}
	return s
}

// nonempty drops what there is no reading of.
func nonempty(parts ...string) (kept []string) {
	for _, p := range parts {
		if p != "" && p != "-" {
			kept = append(kept, p)
		}
	}
	return kept
}
