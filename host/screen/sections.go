// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/internal/disk"
)

// work is what the host works with: messages, disk, machines.
func (r *renderer) work(s host.Status) {
	if n := len(s.Queue); n > 0 {
		shown := s.Queue[:min(n, 2*r.most)]
		text := fmt.Sprintf("%d %s under way to the chain: %s", n, plural(n, "message", "messages"),
			strings.Join(shown, ", "))
		if rest := n - len(shown); rest > 0 {
			text += fmt.Sprintf(" and %d more", rest)
		}
		r.row("queue", text)
	} else {
		r.row("queue", "empty")
	}
	if s.LastError != "" {
		r.more(waits.Render("last error:") + " " + s.LastError)
	}
	if d := s.Disk; d != nil {
		r.row("disk", fmt.Sprintf("%s of %s free; new work is refused below %s", disk.Size(d.Free),
			disk.Size(d.Total), disk.Size(d.Mark)))
		if d.Full {
			r.more(bad.Render("full:") + " " + d.Reason)
		}
	}
	if s.NodeDisk != "" {
		r.row("node", bad.Render("its disk:")+" "+s.NodeDisk)
	}
	r.machines(s)
}

// machines are those that work for this host, the worst first.
func (r *renderer) machines(s host.Status) {
	connected, rate, leaves := 0, uint64(0), uint64(0)
	for _, w := range s.Workers {
		if w.Connected {
			connected++
			rate += w.Rate1m
		}
	}
	for _, n := range s.Leaves {
		leaves += n
	}
	if len(s.Workers) == 0 {
		r.row("machines", "none has connected")
	} else {
		r.row("machines", fmt.Sprintf("%d of %d connected, %s units/s, %s leaves this epoch",
			connected, len(s.Workers), milli(rate), group(leaves)))
	}
	r.more(r.fits("assay-worker start --host '"+s.WorkersURL+"'", "at "+s.WorkersURL,
		"assay host url prints where they connect"))
	if len(s.Workers) == 0 {
		return
	}
	all := slices.Clone(s.Workers)
	slices.SortStableFunc(all, worse)
	engine := func(name string) string { // the first that a narrow window does without
		if r.width < 68 {
			return ""
		}
		return "  " + name
	}
	r.add(faint.Render(fmt.Sprintf("  %-16s %-10s %12s %12s%s", "NODE", "STATE", "UNITS/S 1m",
		"LEAVES", engine("ENGINE"))))
	shown, reason := r.shown(len(all)), ""
	for _, w := range all[:shown] {
		state := paint(w.State) + strings.Repeat(" ", max(0, 10-len(w.State)))
		r.add(fmt.Sprintf("  %-16s %s %12s %12s%s", clip(w.Node, 16), state, milli(w.Rate1m),
			group(s.Leaves[w.Node]), engine(w.Engine)))
		why := whyNot(w)
		if s.Reason != "" && strings.Contains(why, s.Reason) { // the host waits for the same
			why = ""
		}
		if why != reason { // what many have in common is said once
			reason = why
			r.wrap("    ", why)
		}
	}
	r.rest(len(all) - shown)
}

// fits is the first of several texts that fits behind a name, or the last.
func (r *renderer) fits(texts ...string) string {
	for _, text := range texts {
		if label+len(text) <= r.width {
			return text
		}
	}
	return texts[len(texts)-1]
}

// worse orders machines: what is broken, what does nothing, what is away, what works; guests that
// left are last.
func worse(a, b fleet.WorkerStatus) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(whyNot(a), whyNot(b)),
		cmp.Compare(a.Node, b.Node))
}

func rank(w fleet.WorkerStatus) int {
	switch {
	case w.Fault != "" || w.State == "faulted":
		return 0
	case !w.Connected && strings.HasPrefix(w.Node, "m-"):
		// a pool's machine, which owes nobody its presence
		return 4
	case !w.Connected:
		return 1
	case working(w):
		return 3
	}
	return 2
}

func working(w fleet.WorkerStatus) bool {
	return slices.Contains([]string{"computing", "rerunning", "building", "ready"}, w.State)
}

// whyNot is why a machine does not work, and until when.
func whyNot(w fleet.WorkerStatus) string {
	switch {
	case w.Fault != "":
		return w.Fault
	case working(w):
		return ""
	case w.Until != "":
		return w.Reason + ", until " + w.Until
	}
	return w.Reason
}

// money is the pool, its payments, the hot key, the last epoch's outcome, and what is owed for
// epochs.
func (r *renderer) money(s host.Status) {
	if p := s.Pool; p != nil {
		r.row("pool", fmt.Sprintf("%s %s registered, %s %s open, %s GOP verified", group(p.Devices),
			plural(int(p.Devices), "device", "devices"),
			group(p.Live), plural(int(p.Live), "challenge", "challenges"),
			group(p.VerifiedOps/1_000_000_000)))
		r.more(fmt.Sprintf("accepted %s, late %s, faulty %s, rejected %s, no answer %s",
			group(p.Accepted), group(p.Late), group(p.Faulty), group(p.Rejected), group(p.Failed)))
	}
	r.payment(s)
	r.hotKey(s)
	if o := s.Outcome; o != nil {
		result := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(o.Result, "RESULT_"),
			"_", " "))
		what := o.Reason // which begins with the result, as a rule
		if !strings.HasPrefix(what, result) {
			what = strings.TrimSuffix(result+": "+what, ": ")
		}
		text := fmt.Sprintf("epoch %d: weight %s, power %d.%d %%; %s", o.Epoch, group(o.Weight),
			o.Power/10_000, o.Power%10_000/1000, what)
		r.row("outcome", text)
	} else {
		r.row("outcome", "none yet: no epoch was finalised since this host started")
	}
	if o := s.Owed; o != nil {
		r.row("owed", fmt.Sprintf("%s; %s of it is paid once epoch %d is finalised",
			Coins(o.Total.String()), Coins(o.Next.String()), o.After))
	}
}

func (r *renderer) payment(s host.Status) {
	p := s.Payment
	if p == nil {
		return
	}
	text := paint(p.Doing)
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	r.row("pay", text)
	if p.Account != "" {
		text = fmt.Sprintf("account %s holds %s", p.Account, Coins(p.Balance.String()))
		if p.Next > 0 {
			text += fmt.Sprintf("; next settlement %s", group(p.Next))
		}
		if p.Height > 0 {
			text += fmt.Sprintf("; last settled in block %s", group(p.Height))
		}
		r.more(text)
	}
	if p.Doing == "stopped" {
		r.more("next: assay host payments shows what differs, and assay host payments resolve " +
			"settles it")
	}
}

func (r *renderer) hotKey(s host.Status) {
	k := s.HotKey
	if k == nil {
		return
	}
	text := ""
	switch {
	case !k.Known && k.Reason == "":
		text = "the node is asked what it may spend"
	case !k.Known:
		text = waits.Render("not known")
	case !k.Granted:
		text = bad.Render("no fees are paid for it")
	case k.Left == nil:
		text = "may spend without a bound on fees"
	default:
		text = fmt.Sprintf("may spend %s on fees", Coins(k.Left.String()))
	}
	if k.Known {
		if at, err := time.Parse(time.RFC3339, k.Expires); err == nil {
			text += at.Format(" until 2006-01-02 15:04 MST")
		}
		text += fmt.Sprintf(", holds %s itself", Coins(k.Balance.String()))
	}
	r.row("hot key", text)
	r.more(k.Reason)
}

// Coins writes an amount in acpc for people: in CPC, or in the millionth,
// billionth ... of one that it takes not to look like nothing. It is rounded down.
func Coins(acpc string) string {
	if acpc == "0" {
		return "0"
	}
	for _, u := range []struct {
		name                 string
		from, unit, decimals int // digits
	}{{"CPC", 15, 18, 6}, {"µCPC", 12, 12, 3}, {"nCPC", 9, 9, 3}, {"pCPC", 6, 6, 3},
		{"fCPC", 3, 3, 3}} {
		if len(acpc) <= u.from {
			continue
		}
		padded := strings.Repeat("0", max(0, u.unit+1-len(acpc))) + acpc
		point := len(padded) - u.unit
		return padded[:point] + "." + padded[point:point+u.decimals] + " " + u.name
	}
	return acpc + " acpc"
}
