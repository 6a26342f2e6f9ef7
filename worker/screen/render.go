// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/pool"
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

// Render writes a status in lines for a terminal of the given width in columns, 20
// or more. No line is longer.
func Render(s worker.Status, width int, now time.Time) []string {
	return rendered(s, width, now).lines
}

// Keys is what the keys do, in a line.
const Keys = "p pause  r resume  q quit"

// Text is Render without colours and keys.
func Text(s worker.Status, width int, now time.Time) string {
	return ansi.Strip(strings.Join(rendered(s, width, now).lines, "\n"))
}

func rendered(s worker.Status, width int, now time.Time) *renderer {
	r := &renderer{width: max(width, 20), now: now}
	r.head(s)
	r.devices(s)
	r.earnings(s)
	return r
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
	for _, part := range []struct{ name, value string }{{"chain", s.Chain}, {"node", s.Node},
		{"class", s.Class}} {
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
		line += fmt.Sprintf("  %s units in this segment, %s stored by the host", group(s.Computed),
			group(s.Stored))
	case "building":
		if s.BuildTotal > 0 {
			line += fmt.Sprintf("  %s %d of %d MiB", bar(s.BuildDone, s.BuildTotal, 20),
				s.BuildDone>>20, s.BuildTotal>>20)
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
		r.add("%s", faint.Render(fmt.Sprintf("%-10s %-24s %-10s %5s %5s %7s %10s %12s %9s",
			"DEVICE", "NAME", "STATE", "UTIL", "TEMP", "POWER", "CLOCK", "UNITS/S 1m", "UNITS")))
	}
	for _, d := range s.Devices {
		util, temp, power, clock := gauge(d.UtilisationPercent, 1, "%"),
			gauge(d.TemperatureC, 1, "°C"), gauge(d.PowerMilliwatt, 1000, " W"),
			gauge(d.ClockMHz, 1, " MHz")
		name := d.Name
		if name == "" {
			name = d.Engine
		}
		state := paint(d.State) + strings.Repeat(" ", max(0, 10-len(d.State)))
		if r.width >= wide {
			r.add("%-10s %-24s %s %5s %5s %7s %10s %12s %9s", clip(d.ID, 10), clip(name, 24), state,
				util, temp, power, clock, milli(d.Rate1m), group(d.Computed))
		} else {
			r.add("%-10s %s %s/s", clip(d.ID, 10), state, milli(d.Rate1m))
			r.add("  %s", clip(strings.Join(nonempty(name, util, temp, power), "  "), r.width-2))
		}
		r.why("    ", d.Reason, d.Until, "")
		r.wrap("    ", d.Warning)
		r.pool(d.Pool)
	}
}

// pool shows what a device does for the host between sprints: its challenge, its
// rates, and what became of its submissions.
func (r *renderer) pool(p *pool.Status) {
	if p == nil {
		return
	}
	if c := p.Challenge; c != nil {
		r.wrap("  ", fmt.Sprintf("challenge %s %s %s %s of about %s loops, due %s", clip(c.ID, 10),
			c.Shape, bar(c.Loops, c.Expected, 16), group(c.Loops), group(c.Expected),
			r.left(c.Deadline)))
	} else if p.State == "asking" {
		r.add("  %s", paint("asking for a challenge"))
	} else {
		r.add("  challenge %s", paint(p.State))
	}
	if p.State != "asking" || !p.Connected {
		r.why("    ", p.Reason, p.Until, p.Next)
	}
	since := "since the start"
	if p.Epoch > 0 {
		since = fmt.Sprintf("in epoch %d", p.Epoch)
	}
	r.wrap("  ", fmt.Sprintf("loops/s 1m %s, 15m %s, %s %s; verified %s GOPS", milli(p.Loops1m),
		milli(p.Loops15m), since, milli(p.LoopsEpoch), milli(p.VerifiedRate)))
	r.wrap("  ", counts(p.Counts, true))
	if p.InAll != p.Counts {
		r.wrap("  ", "with earlier starts: "+counts(p.InAll, false))
	}
	if p.Missing > 0 {
		r.wrap("    ", fmt.Sprintf("%d receipts are missing, and asked for again", p.Missing))
	}
	if text := p.Proofs.Text(); text != "" {
		r.wrap("    ", text)
	}
	if waits := pool.PayWaits(p.Still); waits != "" {
		r.wrap("    ", waits)
	}
	if p.LastReason != "" {
		r.wrap("    ", "last: "+p.LastReason)
	}
	if p.EvidenceSaved != "" {
		r.wrap("    ", "the host broke its terms: assay verify "+p.EvidenceSaved)
	}
}

// counts are what became of submissions; without zero, only what there was.
func counts(c pool.Counts, zero bool) string {
	var parts []string
	for _, n := range []struct {
		what string
		n    uint64
	}{
		{"accepted", c.Accepted}, {"late", c.Late}, {"rejected", c.Rejected}, {"faulty", c.Faulty},
		{"no answer", c.Failed},
		{"never committed", c.Dropped}, {"failed self-check", c.FailedSelfChecks},
		{"abstained", c.Abstained},
	} {
		if n.n > 0 || zero {
			parts = append(parts, n.what+" "+group(n.n))
		}
	}
	if !zero {
		parts = append(parts, group(c.Loops)+" loops")
	}
	return strings.Join(parts, ", ")
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

// earnings are what the host owes this machine's devices and has paid, and to
// whom.
func (r *renderer) earnings(s worker.Status) {
	if !slices.ContainsFunc(s.Devices, func(d worker.DeviceStatus) bool { return d.Pool != nil }) {
		return
	}
	r.add("")
	if s.Earnings != nil {
		r.wrap("", "earnings: "+s.Earnings.Text())
	}
	switch {
	case s.Earnings != nil && s.Earnings.Payout != "":
		r.wrap("", "paid to: "+s.Earnings.Payout)
	case s.Payout != "":
		r.wrap("", "paid to: "+s.Payout)
	default:
		r.wrap("", "paid to: -; nothing is transferred until an account is named: start with "+
			"--payout cpc1...")
	}
}

// paint colours a state by its meaning.
func paint(state string) string {
	switch state {
	case "computing", "rerunning", "ready", "building", "testing", "mining",
		"asking for a challenge":
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
