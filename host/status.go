// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/internal/local"
	"github.com/assaynet/assay/poc/delivery"
)

// Status says what a host does, why not, and until when. It is the same on the terminal, over HTTP and in --json.
type Status struct {
	Participant string `json:"participant"`
	Chain       string `json:"chain"`
	WorkersURL  string `json:"workers_url"`
	// Height of the chain as last seen; Reachable is false while the node does not answer.
	Height    int64  `json:"height"`
	Reachable bool   `json:"reachable"`
	Epoch     uint64 `json:"epoch"`
	Phase     string `json:"phase"`
	// Doing is this host's part in the phase; Reason says why it is not more; Until is a block, 0 if unknown.
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
	// Excess are logs of this epoch that are not committed as a whole, because the chain takes no more of a segment.
	Excess []Excess `json:"excess,omitempty"`
	// Faults are parts of this host that do not work; the rest does.
	Faults []Fault `json:"faults,omitempty"`
	// Disk is the room where this host writes.
	Disk *Disk `json:"disk,omitempty"`
	// NodeDisk says that the disk of this host's node is nearly full, and what helps, as the node told last.
	NodeDisk string `json:"node_disk,omitempty"`
	// HotKey is what the key that signs for this host may spend, as of the last minute.
	HotKey *HotKey `json:"hot_key,omitempty"`
	// Pool and Payment are there where the host has a pool.
	Pool    *mpocv1.Status `json:"pool,omitempty"`
	Payment *settle.Status `json:"payment,omitempty"`
	// Outcome of the last finalised epoch.
	Outcome *Outcome `json:"outcome,omitempty"`
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

// board holds the status for those who ask while the host works.
type board struct {
	mu     sync.Mutex
	status Status
}

func (b *board) set(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

func (b *board) get() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// serveStatus answers GET /status, /metrics, and /pool with the accounts of its machines, until ctx ends. The listener
// stays on this machine: the documents are for its owner.
func (h *Host) serveStatus(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			h.log.Debug("status not delivered", "err", err)
		}
	}
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.Status()) })
	mux.HandleFunc("GET /pool", func(w http.ResponseWriter, r *http.Request) {
		var after ledger.Device
		if text := r.URL.Query().Get("after"); text != "" {
			if err := after.UnmarshalText([]byte(text)); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		list, err := h.accounts(after)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, list)
	})
	h.paymentPages(mux)
	mux.Handle("GET /metrics", metrics(h.Status))
	server := &http.Server{Handler: local.Handler(mux), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("host: status server: %w", err)
	}
	return nil
}

// errNoPool answers a question about the pool of a host that has none.
var errNoPool = errors.New("this host has no pool: start it with assay host --pool, or set enabled in host.toml, section [pool]")

// refuse answers with an error's sentence: as a refusal where the host is not what was asked about, else as a failure.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, errNoPool) {
		code = http.StatusConflict
	}
	http.Error(w, err.Error(), code)
}
