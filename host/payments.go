// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/internal/durable"
)

// errMissing reports one of the pool's two files without the other.
var errMissing = errors.New("host: a file of the pool is missing")

// openLedger opens the ledger below a home. The pool's two files are made together:
// where one is gone, an empty one in its place would forget what is owed, or what
// was credited.
func openLedger(home string, rules ledger.Rules, least ledger.Amount) (*ledger.Ledger, error) {
	books, state := filepath.Join(home, ledgerName), filepath.Join(home, poolName)
	if err := durable.MkdirAll(filepath.Dir(books), 0o700); err != nil {
		return nil, err
	}
	for _, pair := range [][2]string{{books, state}, {state, books}} {
		here, gone := present(pair[0]), !present(pair[1])
		if here && gone && !(pair[0] == books && neverUsed(books, rules, least)) {
			return nil, fmt.Errorf("%w: %s is there and %s is not: put it back from a backup of the same time, or move the other one away too and owe nobody anything", errMissing, pair[0], pair[1])
		}
	}
	return ledger.Open(books, rules, least)
}

// present: a file is there and was begun.
func present(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// neverUsed tells whether a ledger has no account: it was made by a start that went
// no further.
func neverUsed(path string, rules ledger.Rules, least ledger.Amount) bool {
	l, err := ledger.Open(path, rules, least)
	if err != nil {
		return false
	}
	list, err := l.Accounts(ledger.Device{}, 1)
	return errors.Join(err, l.Close()) == nil && len(list) == 0
}

// payable tells whether an address can be paid: an account of this chain's form, and
// none of the chain's own, which take no transfers.
func (h *Host) payable(encoding client.Encoding) func(address string) error {
	var mu sync.Mutex
	var modules map[string]string // address -> name; nil until the node has answered
	return func(address string) error {
		raw, err := encoding.Addresses.StringToBytes(address)
		if err == nil && len(raw) != 20 {
			err = fmt.Errorf("%d bytes, want 20", len(raw))
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if modules == nil && h.conn != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			modules = moduleAccounts(ctx, h, encoding) // the settler finds out where the node does not answer
		}
		if name := modules[address]; name != "" {
			return fmt.Errorf("it is the account of the chain's module %s, which takes no transfers", name)
		}
		return nil
	}
}

func moduleAccounts(ctx context.Context, h *Host, encoding client.Encoding) map[string]string {
	res, err := authtypes.NewQueryClient(h.conn).ModuleAccounts(ctx, &authtypes.QueryModuleAccountsRequest{})
	if err != nil {
		return nil
	}
	modules := map[string]string{}
	for _, any := range res.Accounts {
		var a sdk.ModuleAccountI
		if encoding.Registry.UnpackAny(any, &a) != nil {
			continue
		}
		if text, err := encoding.Addresses.BytesToString(a.GetAddress()); err == nil {
			modules[text] = a.GetName()
		}
	}
	return modules
}

// openSettler finds the paying account. Its key has no other role: what else it
// signs would use the numbers by which a payment is known to be there or not.
func (h *Host) openSettler(encoding client.Encoding, c Pool, least ledger.Amount) error {
	address, err := settle.PayAccount(h.o.Keys, encoding, c.PayKey)
	if err != nil {
		return err
	}
	hot, err := settle.PayAccount(h.o.Keys, encoding, h.config.Key)
	if err != nil {
		return err
	}
	for role, other := range map[string]string{"the participant's own account": h.config.Participant, "the account of the hot key": hot} {
		if address == other {
			return fmt.Errorf("host: pay_key %q is %s, and the account that pays may have no other role: make a key for it with `assay keys add pay --home %s`, send it coins, and name it in host.toml, section [pool], pay_key",
				c.PayKey, role, h.o.Home)
		}
	}
	node := settle.Node{Conn: h.conn, Blocks: submit.NewBlocks(h.conn), Encoding: encoding, Keys: h.o.Keys, Key: c.PayKey, Address: address, ID: h.config.Chain, GasPrice: max(1, c.GasPrice)} // what pays nothing is not taken
	h.settler = settle.New(settle.Config{Ledger: h.ledger, Chain: node, Account: address, Least: least, Logger: h.log})
	return nil
}

// pay credits and pays, once a block, beside the loop of duties and never in its way.
func (h *Host) pay(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	last := int64(0)
	for {
		if now := h.news.Load(); now != nil && now.Height != last {
			last = now.Height
			h.payStep(ctx, *now)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (h *Host) payStep(ctx context.Context, now sprintv1.QueryCurrentResponse) {
	within, cancel := context.WithTimeout(ctx, payTime)
	defer cancel()
	if err := h.books.Step(within, now.Epoch); err != nil && ctx.Err() == nil {
		h.log.Warn("leaves are not credited yet", "epoch", now.Epoch.Number, "err", err)
	}
	if h.settler == nil {
		return
	}
	if err := h.settler.Step(within, now.Height); err != nil {
		h.log.Debug("payment waits", "err", err) // its status says so
	}
}

// Payments is what a host has paid, and what keeps it from paying.
type Payments struct {
	Status settle.Status `json:"status"`
	// Settlements are the latest, the newest first.
	Settlements []ledger.Settlement `json:"settlements"`
	// Waiting are the next to be paid, who waits longest first.
	Waiting []ledger.Payment `json:"waiting"`
	// Aside are accounts that do not add up, with the reason; they are paid nothing.
	Aside map[string]string `json:"aside,omitempty"`
}

// shown is how many of each are shown.
const shown = 20

func (h *Host) payments() (p Payments, err error) {
	if h.ledger == nil {
		return p, errNoPool
	}
	if p.Status = (settle.Status{Doing: "off", Reason: noPayKey}); h.settler != nil {
		p.Status = h.settler.Status()
	}
	if p.Settlements, err = h.ledger.Settlements(shown); err != nil {
		return p, err
	}
	for i := range p.Settlements {
		p.Settlements[i].Raw = nil
	}
	if p.Waiting, err = h.ledger.Payable(shown); err != nil {
		return p, err
	}
	set, err := h.ledger.Aside(shown)
	p.Aside = map[string]string{}
	for d, why := range set {
		p.Aside[d.String()] = why
	}
	return p, err
}

const noPayKey = "no pay_key in host.toml, section [pool]: pay is owed, and nothing is transferred"

// paymentPages answers GET /payments, and POST /payments/resolve with the digest of
// a plan.
func (h *Host) paymentPages(mux *http.ServeMux) {
	mux.HandleFunc("GET /payments", func(w http.ResponseWriter, _ *http.Request) {
		p, err := h.payments()
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(p); err != nil {
			h.log.Debug("payments not delivered", "err", err)
		}
	})
	mux.HandleFunc("POST /payments/resolve", func(w http.ResponseWriter, r *http.Request) {
		err := errors.New(noPayKey)
		switch {
		case h.ledger == nil:
			err = errNoPool
		case h.settler != nil:
			err = h.settler.Resolve(r.URL.Query().Get("plan"), r.URL.Query().Get("became"))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
}
