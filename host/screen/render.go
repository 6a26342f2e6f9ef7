// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/assaynet/assay/host"
)

// Colours by meaning, those of the worker's screen.
var (
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	waits  = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	strong = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
)

const (
	// shortest and longest are how many entries of a list are shown at least and at most.
	shortest, longest = 2, 50
	// label is the width of the names at the left.
	label = 10
	// Keys is what the keys do, in a line.
	Keys = "q stop the host"
)

// Render writes a status in lines for a terminal of the given width in columns, 20 or more, and
// height in lines. No line is longer than width; lists are cut until the picture has at most height
// lines, but none below two entries. Warnings are the last lines of the log that a person should
// see, oldest first.
func Render(s host.Status, warnings []string, width, height int, now time.Time) (lines []string) {
	lines = picture(s, warnings, width, shortest, now)
	// more entries make no fewer lines
	for fits, tooMany := shortest, longest+1; fits+1 < tooMany; {
		most := (fits + tooMany) / 2
		if more := picture(s, warnings, width, most, now); len(more) > height {
			tooMany = most
		} else {
			fits, lines = most, more
		}
	}
	return lines
}

// Text is Render without colours, for a page of the given width.
func Text(s host.Status, width int, now time.Time) string {
	return ansi.Strip(strings.Join(picture(s, nil, width, textMost, now), "\n"))
}

// textMost is how many entries of a list a text has.
const textMost = 20

func picture(s host.Status, warnings []string, width, most int, now time.Time) []string {
	r := &renderer{width: max(width, 20), most: most, now: now}
	r.head(s)
	r.trouble(s)
	r.work(s)
	r.money(s)
	r.list("warnings", len(warnings), "",
		func(i int) string { return warnings[len(warnings)-r.shown(len(warnings))+i] })
	return r.lines
}

type renderer struct {
	width, most int
	now         time.Time
	lines       []string
}

// add writes a line, cut to the width.
func (r *renderer) add(line string) {
	if lipgloss.Width(line) > r.width {
		line = lipgloss.NewStyle().MaxWidth(r.width-1).Render(line) + "…"
	}
	r.lines = append(r.lines, line)
}

// wrap writes a text over as many lines as it takes: the first behind one text, the others behind
// spaces as wide.
func (r *renderer) wrap(before, text string) {
	indent := strings.Repeat(" ", lipgloss.Width(before))
	room := r.width - len(indent)
	line, begin := "", before
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case lipgloss.Width(line)+1+lipgloss.Width(word) <= room:
			line += " " + word
		default:
			r.add(begin + line)
			line, begin = word, indent
		}
	}
	if line != "" {
		r.add(begin + line)
	}
}

// named is the name of what follows in its line.
func named(name string) string {
	return faint.Render(name) + strings.Repeat(" ", max(1, label-len(name)))
}

// row writes a named text.
func (r *renderer) row(name, text string) { r.wrap(named(name), text) }

// more writes a text below a row.
func (r *renderer) more(text string) { r.wrap(strings.Repeat(" ", label), text) }

// shown is how many of n entries are shown.
func (r *renderer) shown(n int) int { return min(n, r.most) }

// list writes the entries of a list, cut, below its name. What says what they are, empty for
// nothing.
func (r *renderer) list(name string, n int, what string, entry func(i int) string) {
	if n == 0 {
		return
	}
	shown := r.shown(n)
	r.row(name, strings.TrimSpace(fmt.Sprintf("%d %s", n, what)))
	for i := range shown {
		r.wrap("  ", entry(i))
	}
	r.rest(n - shown)
}

// rest says how many entries of a list are not shown.
func (r *renderer) rest(n int) {
	if n > 0 {
		r.add(faint.Render(fmt.Sprintf("  and %d more", n)))
	}
}

// head is who this is, where the chain stands, what the host does, and what it waits for.
func (r *renderer) head(s host.Status) {
	node := bad.Render("the node does not answer")
	switch {
	case s.Doing == stoppedWord:
		node = bad.Render(stoppedWord)
	case s.Reachable:
		node = good.Render("the node answers")
	case s.Height == 0 && s.Doing == "starting":
		node = waits.Render("asking the node")
	}
	room := r.width - len("assay host") - lipgloss.Width(node) - 4
	r.add(strong.Render("assay host") + "  " + clip(s.Participant, max(room, 8)) + "  " + node)
	where := []string{"chain " + s.Chain}
	if s.Epoch > 0 {
		where = append(where, fmt.Sprintf("epoch %d", s.Epoch))
	}
	if s.Height > 0 {
		where = append(where, "block "+group(s.Height))
	}
	r.add(strings.Join(where, " · "))
	r.add("")
	r.phase(s)
	doing := paint(s.Doing)
	if s.Doing != "" && strings.HasPrefix(s.Reason, s.Doing) { // "waiting: waiting for ..."
		doing, s.Reason = paint(s.Doing)+strings.TrimPrefix(s.Reason, s.Doing), ""
	}
	r.row("doing", doing+r.because(s))
	r.stream(s)
}

// stream is what machines prove between two Sprints, or why they do not.
func (r *renderer) stream(s host.Status) {
	st := s.Stream
	if st == nil {
		return
	}
	text := "idle: " + st.Reason
	if st.Proving {
		text = good.Render("proving") + strings.TrimPrefix(st.Reason, "proves")
	}
	if st.Commits > 0 {
		text += fmt.Sprintf("; %s in %d %s of epoch %d on chain", plural(int(st.Leaves),
			group(st.Leaves)+" leaf", group(st.Leaves)+" leaves"), st.Commits,
			plural(int(st.Commits), "log", "logs"), st.Epoch)
	}
	r.row("stream", text)
}

// phase is how far the phase is.
func (r *renderer) phase(s host.Status) {
	p := s.Progress
	if s.Phase == "" {
		return
	}
	if p == nil || p.To == 0 {
		r.row("phase", s.Phase)
		return
	}
	all, done := p.To-p.From, min(max(s.Height-p.From, 0), p.To-p.From)
	text := fmt.Sprintf("%s %s %s of %s blocks", s.Phase,
		bar(done, all, min(24, max(4, r.width-label-42))), group(done), group(all))
	if left := all - done; left > 0 && p.BlockMS > 0 {
		text += fmt.Sprintf(", %s left", r.about(left, p.BlockMS))
	}
	r.row("phase", text)
}

// because is why the host does what it does, and until when.
func (r *renderer) because(s host.Status) string {
	text := ""
	if s.Reason != "" {
		text = ": " + s.Reason
	}
	if s.Until == 0 {
		return text
	}
	text += fmt.Sprintf(", until block %s", group(s.Until))
	if p := s.Progress; p != nil && p.BlockMS > 0 && s.Until > s.Height {
		at := r.now.UTC().Add(time.Duration((s.Until-s.Height)*p.BlockMS) * time.Millisecond)
		text += at.Format(" (about 15:04:05 MST)")
	}
	return text
}

// about is the time that blocks take, to the second.
func (r *renderer) about(blocks, each int64) string {
	return "about " + max(time.Second,
		(time.Duration(blocks*each)*time.Millisecond).Round(time.Second)).String()
}

// trouble is what needs the operator.
func (r *renderer) trouble(s host.Status) {
	r.list("faults", len(s.Faults), "of this host's parts do not work; the rest does",
		func(i int) string {
			f := s.Faults[i]
			where := f.What
			if f.Node != "" {
				where += " of " + f.Node
			}
			if f.Segment > 0 {
				where += fmt.Sprintf(", segment %d", f.Segment)
			}
			return fmt.Sprintf("%s in epoch %d: %s", bad.Render(where), f.Epoch, f.Reason)
		})
	r.list("left out", len(s.LeftOut), plural(len(s.LeftOut), "log has wrong leaves and is",
		"logs have wrong leaves and are")+" not committed", func(i int) string {
		l := s.LeftOut[i]
		return fmt.Sprintf("%s, segment %d of epoch %d: %d of %d checked leaves are wrong, the "+
			"first is %s; %s", bad.Render(l.Node), l.Segment, l.Epoch, l.Wrong, l.Checked,
			group(l.Leaf), l.Reason)
	})
	r.list("excess", len(s.Excess),
		plural(len(s.Excess), "log is", "logs are")+" not committed as a whole",
		func(i int) string {
			x := s.Excess[i]
			return fmt.Sprintf("%s, segment %d of epoch %d: %s of %s leaves; %s", x.Node, x.Segment,
				x.Epoch, group(x.Committed), group(x.Stored), x.Reason)
		})
}

// paint colours what a host or a machine does by its meaning.
func paint(state string) string {
	switch {
	case slices.Contains([]string{"computing", "rerunning", "ready", "building", "preparing",
		"mining", "validating", "proving", "opening", "paying", "reporting ready"}, state):
		return good.Render(state)
	case slices.Contains([]string{"faulted", "jailed", "blocked", "stopped", "waiting for the node",
		"waiting: the chain stands still"}, state):
		return bad.Render(state)
	}
	return waits.Render(state)
}

// bar is a picture of done out of total.
func bar(done, total int64, width int) string {
	full := 0
	if total > 0 {
		full = int(min(max(done, 0), total) * int64(width) / total)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]"
}

// group writes thousands apart.
func group[N int | int64 | uint64](v N) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// milli is a number given in thousandths, with one decimal.
func milli(v uint64) string { return fmt.Sprintf("%s.%d", group(v/1000), v%1000/100) }

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:max(n-1, 0)]) + "…"
	}
	return s
}
