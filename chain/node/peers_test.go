// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cosmossdk.io/log/v2"
	cmtcfg "github.com/cometbft/cometbft/config"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/p2p/pex"

	"github.com/assaynet/assay/internal/plain"
)

// An address book that CometBFT would panic over is put aside; one that it wrote is
// left alone.
func TestADamagedAddressBookIsPutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), cmtcfg.DefaultAddrBookName)
	start := func() {
		t.Helper()
		if err := checkPeers(path, log.NewNopLogger()); err != nil {
			t.Fatal(err)
		}
		book := pex.NewAddrBook(path, true)
		book.SetLogger(cmtlog.NewNopLogger())
		if err := book.Start(); err != nil { // panics over what is damaged
			t.Fatal(err)
		}
		address, err := p2p.NewNetAddressString(
			"0123456789abcdef0123456789abcdef01234567@8.8.8.8:26656")
		if err != nil {
			t.Fatal(err)
		}
		_ = book.AddAddress(address, address)
		book.Save()
		if err := book.Stop(); err != nil {
			t.Fatal(err)
		}
		book.(interface{ Wait() }).Wait() // it saves once more
	}
	start()
	someone := func(buckets string) string {
		return `{"addr":{"id":"a","ip":"1.2.3.4","port":1},"src":{"id":"a","ip":"1.2.3.4","port":1},"buckets":` + buckets + `,"bucket_type":1}`
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start()
	if _, err := os.Stat(path + ".damaged"); err == nil {
		t.Fatal("a book that CometBFT wrote is put aside")
	}
	for name, text := range map[string]string{
		"empty": "", "cut": string(good[:len(good)/2]), "no JSON": "peers",
		"no address":          `{"key":"a","addrs":[{"buckets":[1]}]}`,
		"nothing":             `{"addrs":[null]}`,
		"a bucket too far":    `{"addrs":[{"addr":{"id":"a","ip":"1.2.3.4","port":1},"src":{"id":"a","ip":"1.2.3.4","port":1},"buckets":[256],"bucket_type":1}]}`,
		"no bucket":           `{"addrs":[` + someone(`[]`) + `]}`,
		"twice the same node": `{"addrs":[` + someone(`[1]`) + `,` + someone(`[2]`) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			start()
			if aside, err := os.ReadFile(path + ".damaged"); err != nil || string(aside) != text {
				t.Errorf("put aside is %q, %v", aside, err)
			}
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := checkPeers(path, log.NewNopLogger()); !errors.Is(err, plain.ErrKind) {
		t.Errorf("a folder: %v", err)
	}
}
