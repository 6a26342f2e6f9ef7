// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"fmt"
	"strings"
	"time"

	"github.com/assaynet/assay/worker/pool"
)

// Event is something that happened, or a state that was entered. Its type says
// which of the other fields there are: see [Events].
type Event struct {
	Time   time.Time `json:"time"`
	Device string    `json:"device,omitempty"`
	pool.Event

	Host    string  `json:"host,omitempty"`
	Chain   string  `json:"chain,omitempty"`
	Node    string  `json:"node,omitempty"`
	Epoch   uint64  `json:"epoch,omitempty"`
	Segment uint32  `json:"segment,omitempty"`
	Class   string  `json:"class,omitempty"`
	Status  *Status `json:"status,omitempty"`
}

// Events says for people what types there are, and with which fields.
const Events = `
snapshot           status: everything, at the start and once a minute
testing            reason
connecting         reason, next: the host is not reached
registering        reason, next: the host does not know this machine yet
connected          host
joined             chain, node: this machine is a node of the host in the Sprint
disconnected       host, reason, next
idle, mining       reason, until: what the Sprint is at; mining computes loops meanwhile
building, ready    epoch, class, until
computing          epoch, segment, class, until; reason where it waits for the host
rerunning          samples of others, for the host's verdicts
paused, resumed    reason, until; with a device, of that one alone
faulted, disabled  reason; with a device, of that one alone
warning            device, reason: a temperature limit that cannot act, or a chain without blocks
registered         device: its key is the pool's
rules              device, reason: what the host pays from the next challenge on
challenge          device, challenge, shape, deadline
progress           and loops, expected: at most every 10 seconds
committed          and loops, deadline: the log is the host's, and cannot be changed
accepted           and verified_ops, pay, receipt
late, faulty, rejected, unanswered
                   and reason, receipt where there is one
dropped            and reason: nothing was committed, or a copy of the key committed first
receipt_missing    and reason: the host's answer was lost; it is asked again, and told then
self_check_failed  device, loops (the one that differs), reason, next
abstained          device, challenge, reason: nothing was sent
unstable           device, reason, until, next: it rests
waiting            device, reason, next: the pool has nothing for it, or does not answer
ended              device, reason: it takes no more challenges
host_cheats        device, challenge, reason: what shows it was kept
paid               device, pay, account
missed             reason: the reader was too slow, and some were left out
stopped            reason where it is an error, next: what is kept and owed
`

func event(kind, reason, until, next string) Event {
	return Event{Event: pool.Event{Type: kind, Reason: reason, Until: until, Next: next}}
}

// history finds what happened between two statuses. Its zero value has seen none.
type history struct {
	begun bool
	last  Status
	// What a device was last told to be, "" while it does what the worker does, and
	// the same of its challenges.
	devices, pools, warned, still map[string]string
	built                         uint64 // the epoch whose build was told
}

// follow returns what happened since the last call, in order.
func (j *history) follow(s Status) (events []Event) {
	last := j.last
	if !j.begun {
		j.begun, j.devices, j.pools, j.warned, j.still = true, map[string]string{},
			map[string]string{}, map[string]string{}, map[string]string{}
	}
	j.last = s
	told := "" // a reason that need not be said again
	switch {
	case s.Connected && !last.Connected:
		e := event("connected", "", "", "")
		e.Host = s.Host
		events = append(events, e)
	case !s.Connected && last.Connected:
		e := event("disconnected", s.Trouble, "", s.Next)
		e.Host, told = s.Host, s.Trouble
		events = append(events, e)
	}
	if s.Node != last.Node && s.Node != "" {
		e := event("joined", "", "", "")
		e.Chain, e.Node = s.Chain, s.Node
		events = append(events, e)
	}
	if last.State == "paused" && s.State != "paused" {
		events = append(events, event("resumed", "", "", ""))
	}
	if j.entered(last, s) && !(s.State == "connecting" && s.Reason == told && told != "") {
		e := event(s.State, s.Reason, s.Until, s.Next)
		e.Epoch, e.Segment, e.Class = s.Epoch, s.Segment, s.Class
		events = append(events, e)
	}
	for _, d := range s.Devices {
		events = append(events, j.device(s, d)...)
	}
	return events
}

// entered reports whether a state is worth an event: another one than before, or
// for another reason. Most models are built in a moment.
func (j *history) entered(last, s Status) bool {
	if s.State == "building" {
		if tenths(s.BuildDone, s.BuildTotal) == 0 || j.built == s.Epoch {
			return false
		}
		j.built = s.Epoch
		return true
	}
	if s.State == "paused" { // whatever the Sprint is at meanwhile
		return last.State != s.State || s.Reason != last.Reason
	}
	return s.State != last.State || s.Reason != last.Reason || s.Epoch != last.Epoch ||
		s.Segment != last.Segment
}

// device is what happened to one device alone.
func (j *history) device(s Status, d DeviceStatus) (events []Event) {
	add := func(e Event) {
		e.Device = d.ID
		events = append(events, e)
	}
	state := ""
	switch d.State {
	case "paused", "faulted", "disabled":
		if d.Reason != "" && len(s.Devices) > 1 || d.State != s.State {
			state = d.State + d.Reason
		}
	}
	if was := j.devices[d.ID]; was != state {
		j.devices[d.ID] = state
		if state != "" {
			add(event(d.State, d.Reason, d.Until, ""))
		} else if strings.HasPrefix(was, "paused") {
			add(event("resumed", "", "", ""))
		}
	}
	if j.warned[d.ID] != d.Warning {
		if j.warned[d.ID] = d.Warning; d.Warning != "" {
			add(event("warning", d.Warning, "", ""))
		}
	}
	still := ""
	if d.Pool != nil {
		still = d.Pool.Still
	}
	if j.still[d.ID] != still {
		if j.still[d.ID] = still; still != "" {
			add(event("warning", pool.PayWaits(still), "", ""))
		}
	}
	state = ""
	kind := ""
	if p := d.Pool; p != nil {
		switch {
		case p.State == "unstable", p.State == "ended" && p.Reason != pool.Stopped:
			kind = p.State
		case p.State == "idle", !p.Connected && p.Next != "" && s.Connected:
			kind = "waiting"
		}
		if kind != "" {
			state = kind + p.Reason
		}
	}
	if j.pools[d.ID] != state {
		j.pools[d.ID] = state
		if state != "" {
			add(event(kind, d.Pool.Reason, d.Pool.Until, d.Pool.Next))
		}
	}
	return events
}

// left is what stays when the worker stops: a challenge that goes on at the next
// start, and what the host owes; empty where there is neither.
func (s Status) left() string {
	var parts []string
	for _, d := range s.Devices {
		if d.Pool != nil && d.Pool.Challenge != nil {
			c := d.Pool.Challenge
			parts = append(parts, fmt.Sprintf("challenge %.10s is kept and goes on at the next "+
				"start before %s", c.ID, local(c.Deadline)))
		}
	}
	if s.Earnings != nil {
		parts = append(parts, s.Earnings.Text())
	}
	return strings.Join(parts, "; ")
}

// Text is the event as a line of a log, "" for what a person need not read.
func (e Event) Text() string {
	text := strings.ReplaceAll(e.Type, "_", " ")
	because := because(e.Reason, e.Until, e.Next)
	switch e.Type {
	case pool.InProgress, pool.Commitment:
		return ""
	case "snapshot":
		return e.Status.Line()
	case "connected":
		text += " to " + e.Host
	case "disconnected":
		text += " from " + e.Host + because
	case "joined":
		text = "joined the Sprints of chain " + e.Chain + " as node " + e.Node
	case pool.Registered:
		text += " with the host's pool"
	case pool.Begun:
		text += fmt.Sprintf(" %.10s, loops of %s, to be committed by %s", e.Challenge,
			e.Shape, local(e.Deadline))
	case pool.WasAccepted:
		text += fmt.Sprintf(" %.10s: %d loops, %d GOP verified, %s more pending", e.Challenge,
			e.Loops, e.Ops/1e9, pool.Coins(e.Pay.Big()))
	case pool.WasLate, pool.WasFaulty, pool.WasRejected, pool.NoAnswer, pool.WasDropped:
		text = fmt.Sprintf("%s %.10s, %d loops%s", strings.ToUpper(text),
			e.Challenge, e.Loops, because)
		if e.Receipt != "" {
			text += "; assay verify " + e.Receipt
		}
	case pool.ReceiptMissing:
		text = fmt.Sprintf("%s %.10s, %d loops%s", text, e.Challenge, e.Loops, because)
	case pool.TheRules:
		text = "the host pays " + e.Reason
	case pool.SelfCheckFailed, pool.HostCheats:
		text = strings.ToUpper(text) + because
	case pool.HasAbstained:
		text = e.Reason
	case pool.Paid:
		text += " " + pool.Coins(e.Pay.Big()) + " in transaction " + e.TxHash +
			": " + e.Account.Text()
	case "building", "ready", "computing":
		text += Status{Epoch: e.Epoch, Segment: e.Segment, Class: e.Class}.order() + because
	case "mining":
		text = "loops for the pool (" + strings.TrimPrefix(because, ": ") + ")"
	default:
		text += because
	}
	if e.Device != "" {
		text = e.Device + ": " + text
	}
	return text
}

// local is a time of the host's clock as this machine's owner reads clocks.
func local(t string) string {
	if at, err := time.Parse(time.RFC3339, t); err == nil {
		return at.Local().Format(time.TimeOnly)
	}
	return t
}
