// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/internal/local"
)

// What a host shows of itself, by the names under which its users know it.
type (
	Status   = board.Status
	Outcome  = board.Outcome
	Owed     = board.Owed
	Excess   = board.Excess
	Stream   = board.Stream
	Fault    = board.Fault
	Disk     = board.Disk
	HotKey   = board.HotKey
	Progress = board.Progress
)

// serveStatus answers GET /status, /metrics, and /pool with the accounts of its machines, until ctx
// ends. The listener stays on this machine: the documents are for its owner.
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
	mux.HandleFunc("GET /status", func(w http.ResponseWriter,
		_ *http.Request) {
		answer(w, h.Status())
	})
	mux.HandleFunc("GET /pool", func(w http.ResponseWriter, r *http.Request) {
		var after ledger.Device
		if text := r.URL.Query().Get("after"); text != "" {
			if err := after.UnmarshalText([]byte(text)); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		list, err := h.pay.accounts(after)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, list)
	})
	h.pay.pages(mux)
	mux.Handle("GET /metrics", metrics(h.Status))
	server := &http.Server{Handler: local.Handler(mux), ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("host: status server: %w", err)
	}
	return nil
}

// errNoPool answers a question about the pool of a host that has none.
var errNoPool = errors.New("this host has no pool: start it with assay host --pool, or set " +
	"enabled in host.toml, section [pool]")

// refuse answers with an error's sentence: as a refusal where the host is not what was asked about,
// else as a failure.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, errNoPool) {
		code = http.StatusConflict
	}
	http.Error(w, err.Error(), code)
}
