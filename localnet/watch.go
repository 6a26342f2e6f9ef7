// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

const (
	// lookEvery is how often a network is checked, and answerTime how long a node may take to
	// answer.
	lookEvery  = 500 * time.Millisecond
	answerTime = 2 * time.Second
	// askStill is how long a height may stand before the nodes are asked why.
	askStill = 3 * time.Second
	// askDisks is how often nodes are asked how their disks do.
	askDisks = 10 * time.Second
)

// begin starts every process, and waits for the first node that answers: others may be down, and
// are in the account.
func (n *Network) begin(ctx context.Context, a *account) error {
	a.progress("starting", "a node, a host and a worker for each participant", time.Now())
	if err := n.crew.Serve(ctx, n.Home); err != nil {
		return err
	}
	if err := n.launch(Node, Host, Worker); err != nil {
		return err
	}
	begun := time.Now()
	return Until(ctx, "the first node", func() (bool, error) {
		if err := n.tend(a); err != nil {
			return true, err
		}
		if i, _ := n.ask(ctx); i >= 0 {
			return true, nil
		}
		a.progress("starting", fmt.Sprintf("%s since %s: nodes read their state, then dial each "+
			"other", count(len(n.Members), "node"), time.Since(begun).Round(time.Second)),
			time.Now())
		return false, nil
	})
}

// tend gives the account what happened to processes. It is an error when none is left.
func (n *Network) tend(a *account) error {
	for _, line := range n.crew.Tend(time.Now()) {
		a.line("%s", a.warn(line))
	}
	if n.crew.Over() {
		return fmt.Errorf("localnet: no process is left; go on with: %s localnet --home %s",
			program(), n.Home)
	}
	return nil
}

// ask returns where the chain stands, as the node says that is ahead of the others, and which one
// that is; -1 if none answers.
func (n *Network) ask(ctx context.Context) (ahead int, now *sprintv1.QueryCurrentResponse) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answers := make([]*sprintv1.QueryCurrentResponse, len(n.Members))
	var all sync.WaitGroup
	for i, m := range n.Members {
		if n.crew.Of(m.Name, string(Node)).PID() == 0 {
			continue
		}
		all.Go(func() {
			if q, err := n.Sprint(i); err == nil {
				answers[i], _ = q.Current(ctx, &sprintv1.QueryCurrentRequest{})
			}
		})
	}
	all.Wait()
	ahead = -1
	for i, r := range answers {
		if r != nil && (now == nil || r.Height > now.Height) {
			ahead, now = i, r
		}
	}
	return ahead, now
}

// whyStill is what a node says of a chain that stands still; empty where it goes on.
func (n *Network) whyStill(ctx context.Context, i int) string {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := n.Conn(i)
	if err != nil {
		return ""
	}
	p, err := registryv1.NewLocalClient(conn).Progress(ctx, &registryv1.ProgressRequest{})
	if err != nil {
		return ""
	}
	return p.Reason
}

// nodeDisks are what nodes say of their disks that are nearly full.
func (n *Network) nodeDisks(ctx context.Context) (all []string) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	says := make([]string, len(n.Members))
	var asked sync.WaitGroup
	for i, m := range n.Members {
		if n.crew.Of(m.Name, string(Node)).PID() == 0 {
			continue
		}
		asked.Go(func() {
			conn, err := n.Conn(i)
			if err != nil {
				return
			}
			if p, err := registryv1.NewLocalClient(conn).Progress(ctx,
				&registryv1.ProgressRequest{}); err == nil && p.Disk != "" {
				says[i] = m.Name + " node: " + p.Disk
			}
		})
	}
	asked.Wait()
	return slices.DeleteFunc(says, func(s string) bool { return s == "" })
}

// disks says that nodes' disks are nearly full, once a minute at most, and that they have room
// again.
func (w *watch) disks(ctx context.Context) {
	now := time.Now()
	if now.Sub(w.disksAsked) < askDisks {
		return
	}
	w.disksAsked = now
	switch all := w.n.nodeDisks(ctx); {
	case ctx.Err() != nil:
	case len(all) > 0 && now.Sub(w.disksSaid) >= time.Minute:
		w.disksSaid = now
		text := all[0]
		if more := len(all) - 1; more > 0 {
			text += fmt.Sprintf("; %d more nodes say the same of theirs", more)
		}
		w.a.line("%s", w.a.warn(text))
	case len(all) == 0 && !w.disksSaid.IsZero():
		w.disksSaid = time.Time{}
		w.a.line("%s", w.a.good("the nodes' disks have room again"))
	}
}

// watch is what the account knows of the chain from one look to the next.
type watch struct {
	n *Network
	a *account

	epochs             uint64 // to report; 0: no end
	known              bool
	reported, finished uint64
	tries              int // to report the next one

	height int64
	moved  time.Time
	still  string // why it stands still, up to what helps

	disksAsked, disksSaid time.Time // of nodes
	part                  part
}

// part is the phase that runs.
type part struct {
	epoch  uint64
	phase  sprintv1.Phase
	begun  time.Time
	height int64
}

// account follows the chain and prints what happens, until enough epochs are final.
func (n *Network) account(ctx context.Context, a *account, epochs uint64) error {
	w := &watch{n: n, a: a, epochs: epochs, moved: time.Now()}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		over, err := w.look(ctx)
		if over || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// look looks once, and reports whether enough was seen.
func (w *watch) look(ctx context.Context) (over bool, err error) {
	if err := w.n.tend(w.a); err != nil {
		return false, err
	}
	i, now := w.n.ask(ctx)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if now == nil {
		w.disksAsked = time.Time{} // those that come back are asked at once
		w.a.progress("waiting", fmt.Sprintf("no node answers; the last block was seen at %s; "+
			"down: %s", w.moved.Format(time.TimeOnly), orNone(w.n.crew.Down(string(Node)))),
			time.Now())
		return false, nil
	}
	w.disks(ctx)
	if w.stands(ctx, i, now) {
		return false, nil
	}
	if over, err := w.epoch(ctx, i, now); over || err != nil {
		return over, err
	}
	if now.Epoch.Number > 0 {
		w.phase(ctx, i, now)
	}
	return false, nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// stands reports whether the chain stands still, and says why, and when it goes on.
func (w *watch) stands(ctx context.Context, i int, now *sprintv1.QueryCurrentResponse) bool {
	if now.Height > w.height {
		if w.still != "" {
			w.a.line("%s", w.a.good(fmt.Sprintf("the chain goes on with block %d, after %s",
				now.Height, time.Since(w.moved).Round(time.Second))))
		}
		w.height, w.moved, w.still = now.Height, time.Now(), ""
		return false
	}
	if time.Since(w.moved) < askStill {
		return false
	}
	reason := w.n.whyStill(ctx, i)
	if reason == "" {
		return w.still != ""
	}
	if why, _, _ := strings.Cut(reason, "; "); why != w.still {
		w.still = why
		w.a.line("%s", w.a.warn(reason))
	}
	w.a.progress("halted", fmt.Sprintf("for %s at block %d; nodes down: %s",
		time.Since(w.moved).Round(time.Second), now.Height, orNone(w.n.crew.Down(string(Node)))),
		time.Now())
	return true
}

// patientTries is how often the report of an epoch is tried: a node that comes back may lack it for
// a while.
const patientTries = 20

// epoch reports what is final, and whether that was enough.
func (w *watch) epoch(ctx context.Context, i int, now *sprintv1.QueryCurrentResponse) (over bool,
	err error) {
	if !w.known { // a resumed network reports from here on
		w.known, w.reported = true, now.Epoch.Number-min(now.Epoch.Number, 1)
	}
	for e := w.reported + 1; e < now.Epoch.Number || e == now.Epoch.Number &&
		now.Epoch.Phase >= sprintv1.PhaseFinalised; e++ {
		w.close(ctx, i, now)
		if err := w.n.report(ctx, w.a, i, e); ctx.Err() != nil {
			return false, context.Cause(ctx)
		} else if err != nil {
			if w.tries++; w.tries < patientTries {
				return false, nil
			}
			w.a.line("%s",
				w.a.warn(fmt.Sprintf("epoch %d is final, and no node has its outcome: %v", e, err)))
		}
		w.reported, w.tries = e, 0
		w.finished++
	}
	return w.epochs > 0 && w.finished >= w.epochs, nil
}

// phase shows the running phase, and ends the one before it as a line.
func (w *watch) phase(ctx context.Context, i int, now *sprintv1.QueryCurrentResponse) {
	e := now.Epoch
	if e.Number != w.part.epoch || e.Phase != w.part.phase {
		w.close(ctx, i, now)
		if e.Number != w.a.epoch {
			w.a.epoch = e.Number
			w.a.line("%s", w.a.strong(fmt.Sprintf("epoch %d", e.Number)))
		}
		w.part = part{epoch: e.Number, phase: e.Phase, begun: time.Now(), height: now.Height}
	}
	switch e.Phase {
	case sprintv1.PhaseFinalised: // its table is there
		return
	case sprintv1.PhaseServe:
		w.a.progress(e.Phase.Word(), now.Reason, time.Now())
		return
	}
	q, err := w.n.Sprint(i)
	if err != nil {
		return
	}
	leaves, committed, opened, verdicts := w.n.counts(ctx, q, *now)
	text := describe(*now, leaves, committed, opened, verdicts)
	w.a.progress(e.Phase.Word(), text, time.Now())
}

// close ends a phase as a line: what was done, and how long it took.
func (w *watch) close(ctx context.Context, i int, now *sprintv1.QueryCurrentResponse) {
	p := w.part
	if p.epoch == 0 || p.phase >= sprintv1.PhaseFinalised || now.Epoch.Number == p.epoch &&
		now.Epoch.Phase == p.phase {
		return
	}
	w.part = part{}
	text := fmt.Sprintf("%s, %s", count(int(now.Height-p.height), "block"),
		time.Since(p.begun).Round(100*time.Millisecond))
	if done := w.n.done(ctx, i, p); done != "" {
		text += ": " + done
	}
	w.a.over(p.phase.Word(), text)
}

// done says what a phase has brought, as the chain has it now.
func (n *Network) done(ctx context.Context, i int, p part) string {
	q, err := n.Sprint(i)
	if err != nil {
		return ""
	}
	switch p.phase {
	case sprintv1.PhasePrepare:
		return "the model is built"
	case sprintv1.PhaseCompute, sprintv1.PhaseWrapUp:
		res, err := q.Commits(ctx, &sprintv1.QueryCommitsRequest{Epoch: p.epoch})
		if err != nil {
			return ""
		}
		leaves := uint64(0)
		for _, c := range res.Commits {
			leaves += c.Count
		}
		return fmt.Sprintf("%s leaves in %s committed so far", thousands(leaves),
			count(len(res.Commits), "log"))
	case sprintv1.PhaseProof:
		return count(n.opened(ctx, q, p.epoch), "participant") + " opened the drawn leaves"
	case sprintv1.PhaseValidate, sprintv1.PhaseReveal:
		res, err := q.Verdicts(ctx, &sprintv1.QueryVerdictsRequest{Epoch: p.epoch})
		if err != nil {
			return ""
		}
		if p.phase == sprintv1.PhaseValidate {
			return fmt.Sprintf("%d members committed to a verdict", hashed(res.Records))
		}
		revealed := 0
		for _, r := range res.Records {
			if r.RevealHeight > 0 {
				revealed++
			}
		}
		return fmt.Sprintf("%d members revealed their verdict", revealed)
	case sprintv1.PhaseDispute:
		return "the chain has judged"
	}
	return ""
}
