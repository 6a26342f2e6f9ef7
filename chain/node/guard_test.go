// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"cosmossdk.io/log/v2"
	cmtdb "github.com/cometbft/cometbft-db"
	cmtcfg "github.com/cometbft/cometbft/config"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
)

// fullDB takes no writes any longer.
type fullDB struct{ cmtdb.DB }

var errFull = fmt.Errorf("write: %w", syscall.ENOSPC)

func (fullDB) Set(_, _ []byte) error     { return errFull }
func (fullDB) SetSync(_, _ []byte) error { return errFull }
func (fullDB) Delete(_ []byte) error     { return errFull }
func (fullDB) DeleteSync(_ []byte) error { return errFull }
func (d fullDB) NewBatch() cmtdb.Batch   { return fullBatch{d.DB.NewBatch()} }

type fullBatch struct{ cmtdb.Batch }

func (fullBatch) Write() error     { return errFull }
func (fullBatch) WriteSync() error { return errFull }

// N5: whichever way CometBFT writes, a disk that is full ends the node.
func TestEveryRefusedWriteEndsTheNode(t *testing.T) {
	bare, err := app.Bare()
	if err != nil {
		t.Fatal(err)
	}
	config := home.Config{Comet: cmtcfg.DefaultConfig().SetRoot(t.TempDir())}
	key := []byte("key")
	for name, write := range map[string]func(cmtdb.DB) error{
		"set":               func(db cmtdb.DB) error { return db.Set(key, key) },
		"set and sync":      func(db cmtdb.DB) error { return db.SetSync(key, key) },
		"delete":            func(db cmtdb.DB) error { return db.Delete(key) },
		"delete and sync":   func(db cmtdb.DB) error { return db.DeleteSync(key) },
		"a batch":           func(db cmtdb.DB) error { return db.NewBatch().Write() },
		"a batch, and sync": func(db cmtdb.DB) error { return db.NewBatch().WriteSync() },
	} {
		t.Run(name, func(t *testing.T) {
			good := newGuard(config, bare, log.NewNopLogger())
			if err := write(watchedDB{cmtdb.NewMemDB(), good}); err != nil || good.reason() != nil {
				t.Fatalf("a disk with space: %v, %v", err, good.reason())
			}
			g := newGuard(config, bare, log.NewNopLogger())
			if err := write(watchedDB{fullDB{cmtdb.NewMemDB()}, g}); !errors.Is(err,
				syscall.ENOSPC) {
				t.Errorf("the write: %v", err)
			}
			if exit := g.reason(); exit == nil || exit.Code != Disk ||
				!errors.Is(exit, syscall.ENOSPC) {
				t.Errorf("the node: %v", exit)
			}
		})
	}
}

// Every code is another one and stands in the help.
func TestCodes(t *testing.T) {
	seen := map[Code]bool{2: true} // the Go runtime's
	for _, c := range codes {
		if seen[c.code] || !strings.Contains(Codes(), fmt.Sprintf("  %d  %s", c.code, c.meaning)) {
			t.Errorf("code %d stands twice, or nowhere", c.code)
		}
		seen[c.code] = true
	}
	for code := range Release + 1 {
		if !seen[code] {
			t.Errorf("code %d has no meaning", code)
		}
	}
}
