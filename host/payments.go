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

	"google.golang.org/grpc"

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
			return nil, fmt.Errorf("%w: %s is there and %s is not: put it back from a backup of "+
				"the same time, or move the other one away too and owe nobody anything",
				errMissing, pair[0], pair[1])
		}
	}
	return ledger.Open(books, rules, least)
}

// present: a file is there and was begun.
func present(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// neverUsed reports whether a ledger has no account: it was made by a start that went
// no further.
func neverUsed(path string, rules ledger.Rules, least ledger.Amount) bool {
	l, err := ledger.Open(path, rules, least)
	if err != nil {
		return false
	}
	list, err := l.Accounts(ledger.Device{}, 1)
	return errors.Join(err, l.Close()) == nil && len(list) == 0
}

// payable reports whether an address can be paid: an account of this chain's form, and
// none of the chain's own, which take no transfers.
func (p *payroll) payable(encoding client.Encoding) func(address string) error {
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
		if modules == nil && p.conn != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			// the settler finds out where the node does not answer
			modules = moduleAccounts(ctx, p.conn, encoding)
		}
		if name := modules[address]; name != "" {
			return fmt.Errorf(
				"it is the account of the chain's module %s, which takes no transfers", name)
		}
		return nil
	}
}

func moduleAccounts(ctx context.Context, conn *grpc.ClientConn,
	encoding client.Encoding) map[string]string {
	res, err := authtypes.NewQueryClient(conn).ModuleAccounts(ctx,
		&authtypes.QueryModuleAccountsRequest{})
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
func (p *payroll) openSettler(encoding client.Encoding, c Pool, least ledger.Amount) error {
	address, err := settle.PayAccount(p.keys, encoding, c.PayKey)
	if err != nil {
		return err
	}
	hot, err := settle.PayAccount(p.keys, encoding, p.config.Key)
	if err != nil {
		return err
	}
	for role, other := range map[string]string{
		"the participant's own account": p.config.Participant, "the account of the hot key": hot} {
		if address == other {
			return fmt.Errorf("host: pay_key %q is %s, and the account that pays may have no "+
				"other role: make a key for it with `assay keys add pay --home %s`, send it "+
				"coins, and name it in host.toml, section [pool], pay_key",
				c.PayKey, role, p.home)
		}
	}
	// what pays nothing is not taken
	node := settle.Node{Conn: p.conn, Blocks: submit.NewBlocks(p.conn), Encoding: encoding,
		Keys: p.keys, Key: c.PayKey, Address: address, ID: p.config.Chain,
		GasPrice: max(1, c.GasPrice)}
	p.settler = settle.New(settle.Config{Ledger: p.ledger, Chain: node, Account: address,
		Least: least, Logger: p.log})
	return nil
}

// run credits and pays, once a block, beside the loop of duties and never in its way.
func (p *payroll) run(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	last := int64(0)
	for {
		if now := p.news(); now != nil && now.Height != last {
			last = now.Height
			p.step(ctx, *now)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (p *payroll) step(ctx context.Context, now sprintv1.QueryCurrentResponse) {
	within, cancel := context.WithTimeout(ctx, payTime)
	defer cancel()
	if err := p.books.Step(within, now.Epoch); err != nil && ctx.Err() == nil {
		p.log.Warn("leaves are not credited yet", "epoch", now.Epoch.Number, "err", err)
	}
	if p.settler == nil {
		return
	}
	if err := p.settler.Step(within, now.Height); err != nil {
		p.log.Debug("payment waits", "err", err) // its status says so
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

func (pr *payroll) payments() (p Payments, err error) {
	if pr.ledger == nil {
		return p, errNoPool
	}
	if p.Status = (settle.Status{Doing: "off", Reason: noPayKey}); pr.settler != nil {
		p.Status = pr.settler.Status()
	}
	if p.Settlements, err = pr.ledger.Settlements(shown); err != nil {
		return p, err
	}
	for i := range p.Settlements {
		p.Settlements[i].Raw = nil
	}
	if p.Waiting, err = pr.ledger.Payable(shown); err != nil {
		return p, err
	}
	set, err := pr.ledger.Aside(shown)
	p.Aside = map[string]string{}
	for d, why := range set {
		p.Aside[d.String()] = why
	}
	return p, err
}

const noPayKey = "no pay_key in host.toml, section [pool]: pay is owed, and nothing is transferred"

// pages answers GET /payments, and POST /payments/resolve with the digest of
// a plan.
func (p *payroll) pages(mux *http.ServeMux) {
	mux.HandleFunc("GET /payments", func(w http.ResponseWriter, _ *http.Request) {
		list, err := p.payments()
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(list); err != nil {
			p.log.Debug("payments not delivered", "err", err)
		}
	})
	mux.HandleFunc("POST /payments/resolve", func(w http.ResponseWriter, r *http.Request) {
		err := errors.New(noPayKey)
		switch {
		case p.ledger == nil:
			err = errNoPool
		case p.settler != nil:
			err = p.settler.Resolve(r.URL.Query().Get("plan"), r.URL.Query().Get("became"))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
}
