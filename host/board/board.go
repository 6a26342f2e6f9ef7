// SPDX-License-Identifier: Apache-2.0

// Package board is what a host shows of itself: the document of its status, and
// what of its work has failed while the rest goes on.
package board

import (
	"log/slog"
	"slices"
	"sync"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/poc/delivery"
)

// Status says what a host does, why not, and until when. It is the same on the terminal, over HTTP
// and in --json.
type Status struct {
	Participant string `json:"participant"`
	Chain       string `json:"chain"`
	WorkersURL  string `json:"workers_url"`
	// Height of the chain as last seen; Reachable is false while the node does not answer.
	Height    int64  `json:"height"`
	Reachable bool   `json:"reachable"`
	Epoch     uint64 `json:"epoch"`
	Phase     string `json:"phase"`
	// Doing is this host's part in the phase; Reason says why it is not more; Until is a block, 0
	// if unknown.
	Doing  string `json:"doing"`
	Reason string `json:"reason,omitempty"`
	Until  int64  `json:"until,omitempty"`
	// Still says why the chain makes no blocks, and what helps; it is empty while it does.
	Still string `json:"still,omitempty"`
	// Progress of the phase, and the time of a block.
	Progress *Progress `json:"progress,omitempty"`
	// Leaves of this epoch on disk, by node.
	Leaves map[string]uint64 `json:"leaves,omitempty"`
	// Queue names messages under way to the chain.
	Queue     []string             `json:"queue,omitempty"`
	LastError string               `json:"last_error,omitempty"`
	Workers   []fleet.WorkerStatus `json:"workers"`
	// LeftOut are logs of this epoch that this host does not commit to.
	LeftOut []delivery.LeftOut `json:"left_out,omitempty"`
	// Excess are logs of this epoch that are not committed as a whole, because the chain takes no
	// more of a segment.
	Excess []Excess `json:"excess,omitempty"`
	// Faults are parts of this host that do not work; the rest does.
	Faults []Fault `json:"faults,omitempty"`
	// Disk is the room where this host writes.
	Disk *Disk `json:"disk,omitempty"`
	// NodeDisk says that the disk of this host's node is nearly full, and what helps, as the node
	// told last.
	NodeDisk string `json:"node_disk,omitempty"`
	// HotKey is what the key that signs for this host may spend, as of the last minute.
	HotKey *HotKey `json:"hot_key,omitempty"`
	// Pool and Payment are there where the host has a pool.
	Pool    *mpocv1.Status `json:"pool,omitempty"`
	Payment *settle.Status `json:"payment,omitempty"`
	// Stream is what machines prove between two Sprints; nil where that is off.
	Stream *Stream `json:"stream,omitempty"`
	// Outcome of the last finalised epoch.
	Outcome *Outcome `json:"outcome,omitempty"`
	// Owed is the participant's pay that has not left yet, as of the last finalised epoch; nil
	// where nothing is owed or the node did not say.
	Owed *Owed `json:"owed,omitempty"`
}

// Owed is pay for past epochs that waits for the end of its lock.
type Owed struct {
	// Total is all of it, Next what is paid first, in acpc.
	Total ledger.Amount `json:"total"`
	Next  ledger.Amount `json:"next"`
	// After is the epoch at whose finalisation Next is paid.
	After uint64 `json:"after"`
}

// Stream is a participant's continuous proof of an epoch.
type Stream struct {
	Epoch uint64 `json:"epoch"`
	// Proving says that machines work on it now; Reason says what on, or why not, and Until is a
	// block, 0 if unknown.
	Proving bool   `json:"proving"`
	Reason  string `json:"reason"`
	Until   int64  `json:"until,omitempty"`
	// Commits and Leaves are on chain; Waiting logs are not yet.
	Commits uint32 `json:"commits"`
	Leaves  uint64 `json:"leaves"`
	Waiting int    `json:"waiting"`
}

// Excess is a log of which the first leaves only are committed, or none.
type Excess struct {
	Epoch     uint64 `json:"epoch"`
	Node      string `json:"node"`
	Segment   uint32 `json:"segment"`
	Stored    uint64 `json:"stored"`
	Committed uint64 `json:"committed"`
	Reason    string `json:"reason"`
}

// Outcome is what an epoch meant for this participant.
type Outcome struct {
	Epoch  uint64 `json:"epoch"`
	Result string `json:"result"`
	Reason string `json:"reason"`
	// Weight in units of 2^20 operations; Power of 1,000,000.
	Weight uint64 `json:"weight"`
	Power  uint64 `json:"power"`
}

// Disk is the room where this host writes; of several disks the one with least.
type Disk struct {
	disk.Space
	// Mark is the free space below which no new work is taken.
	Mark uint64 `json:"mark"`
	// Full is whether that is so now, and Reason what to do.
	Full   bool   `json:"full"`
	Reason string `json:"reason,omitempty"`
}

// HotKey is the key that signs for this host, and what it may spend on fees.
type HotKey struct {
	Address string `json:"address"`
	// Known is false while the node has not said what follows; Reason says why.
	Known bool `json:"known"`
	// Balance is what it holds itself, in acpc.
	Balance ledger.Amount `json:"balance"`
	// Granted says that the participant pays fees for it; Left is up to how much in acpc, nil
	// without a bound.
	Granted bool           `json:"granted"`
	Left    *ledger.Amount `json:"left,omitempty"`
	// Expires is when the grant ends (RFC 3339), empty for never.
	Expires string `json:"expires,omitempty"`
	// Reason says what is amiss, and what to do.
	Reason string `json:"reason,omitempty"`
}

// Progress is how far a phase is, in blocks.
type Progress struct {
	// From is the block before the first one of the phase, and To its last one at the latest; both
	// are 0 where only the beacon decides.
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
	// BlockMS is the time of a block in milliseconds, as this host saw the latest; 0 while it is
	// not known, or no block comes.
	BlockMS int64 `json:"block_ms,omitempty"`
}

// Board holds the status for those who ask while the host works. Safe for concurrent use; the zero
// value is empty.
type Board struct {
	Logger *slog.Logger // optional

	mu     sync.Mutex
	status Status
}

func (b *Board) log() *slog.Logger {
	if b.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return b.Logger
}

// Set changes the status.
func (b *Board) Set(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

// Get is the status of this moment.
func (b *Board) Get() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// Say puts what the host does into the status document.
func (b *Board) Say(now sprintv1.QueryCurrentResponse, doing, reason string) {
	b.Set(func(s *Status) {
		if s.Epoch != now.Epoch.Number {
			s.Leaves, s.Excess = nil, nil
			s.Faults = slices.DeleteFunc(slices.Clone(s.Faults),
				func(f Fault) bool { return f.Epoch < now.Epoch.Number })
		}
		s.Epoch, s.Phase, s.Doing, s.Reason, s.Until = now.Epoch.Number, now.Epoch.Phase.Word(),
			doing, reason, now.Until
	})
}

// One element that fails, a machine's log, a participant's opening, a file of
// evidence, costs what depends on it. Whatever else this host owes is done: loops
// over such elements go on, and the one that failed is named as a Fault until it
// works again or its epoch is past.

// Fault is something that does not work on this host's side.
type Fault struct {
	Epoch uint64 `json:"epoch"`
	// What part of this host's duties it concerns.
	What    string `json:"what"`
	Node    string `json:"node,omitempty"`
	Segment uint32 `json:"segment,omitempty"`
	// Reason names the file, or whoever did not do as it should, and what helps.
	Reason string `json:"reason"`
}

// mostFaults bounds the list in the status; the log has all.
const mostFaults = 100

// same reports whether two faults are about one element.
func (f Fault) same(g Fault) bool {
	return f.Epoch == g.Epoch && f.What == g.What && f.Node == g.Node && f.Segment == g.Segment
}

// Fault names what does not work, in the log and the status.
func (b *Board) Fault(f Fault) {
	b.log().Error("part of this host's work failed; the rest goes on", "epoch", f.Epoch, "what",
		f.What, "node", f.Node, "segment", f.Segment, "err", f.Reason)
	b.Set(func(s *Status) {
		list := slices.DeleteFunc(slices.Clone(s.Faults), f.same)
		list = append(list, f)
		s.Faults = list[max(0, len(list)-mostFaults):]
	})
}

// Works takes a fault off the status.
func (b *Board) Works(f Fault) {
	if slices.ContainsFunc(b.Get().Faults, f.same) {
		b.log().Info("works again", "epoch", f.Epoch, "what", f.What, "node", f.Node,
			"segment", f.Segment)
		b.Set(func(s *Status) { s.Faults = slices.DeleteFunc(slices.Clone(s.Faults), f.same) })
	}
}

// Attempt does one of several things that do not depend on each other.
func (b *Board) Attempt(f Fault, do func() error) (ok bool) {
	if err := do(); err != nil {
		f.Reason = err.Error()
		b.Fault(f)
		return false
	}
	b.Works(f)
	return true
}
