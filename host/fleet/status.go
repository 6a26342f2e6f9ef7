// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"slices"
)

// WorkerStatus is what the host knows of one worker.
type WorkerStatus struct {
	Node      string   `json:"node"`
	Key       string   `json:"key"` // hex
	Connected bool     `json:"connected"`
	Agent     string   `json:"agent"`
	Engine    string   `json:"engine"`
	Devices   []string `json:"devices,omitempty"`
	// State is one of the protocol's states in lower case, or "away".
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // why, always there when nothing is computed
	Until  string `json:"until,omitempty"`
	// Fault is what keeps the host from storing its leaves, with the file; for the
	// host's owner.
	Fault string `json:"fault,omitempty"`

	Epoch   uint64 `json:"epoch,omitempty"`
	Segment uint32 `json:"segment,omitempty"`
	// Rate1m is the worker's own figure, units per 1,000 seconds over a minute.
	Rate1m uint64 `json:"rate_1m_milli"`
	Size   uint64 `json:"stored"` // durable leaves of the segment
	// Granted is how many leaves of the segment it may have so far.
	Granted uint64 `json:"granted,omitempty"`
	LoadMS  uint64 `json:"load_ms,omitempty"`
	// Accepted counts leaves stored over this connection, Late those that came
	// after their segment, Reruns samples run again.
	Accepted uint64 `json:"accepted"`
	Late     uint64 `json:"late"`
	Reruns   uint64 `json:"reruns"`
}

// Status lists all nodes that were ever connected, in order.
func (f *Fleet) Status() []WorkerStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]WorkerStatus, 0, len(f.nodes))
	for _, n := range f.nodes {
		if n.conn != nil {
			all = append(all, n.conn.status())
		} else {
			all = append(all, n.last)
		}
	}
	slices.SortFunc(all, func(a, b WorkerStatus) int { return cmp.Compare(a.Node, b.Node) })
	return all
}
