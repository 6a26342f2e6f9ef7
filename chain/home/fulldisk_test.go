// SPDX-License-Identifier: Apache-2.0

package home

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/internal/fulldisk"
)

// A participant's folder is made on a disk that is full from the k-th write on: the error names the
// disk, no file is half written, and with space the same call goes on with the keys that were made.
// The words of every account were given once.
func TestAHomeFillsAtEachWrite(t *testing.T) {
	run := func(t *testing.T, k int) int {
		dir := filepath.Join(t.TempDir(), "home")
		disk := fulldisk.Below(t, dir)
		if k > 0 {
			disk.Fill(k)
		}
		o := Options{Dir: dir, Chain: "assay-test", Moniker: "alice",
			HostKey: ed25519.NewKeyFromSeed(make([]byte, 32)), KeyringBackend: keyring.BackendTest}
		words := map[string]int{}
		make := func() (Participant, error) {
			made, err := Create(o)
			for name := range made.Mnemonics {
				words[name]++
			}
			if err == nil {
				err = Join(dir, []byte("{}"), nil, Settings{}, "")
			}
			return made.Participant, err
		}
		_, err := make()
		if k > 0 && (!errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) ||
			strings.Contains(err.Error(), ".unfinished-")) {
			t.Errorf("%s: %v", disk.First(), err)
		}
		kept := map[string]string{}
		for _, name := range []string{nodeKey, privKey, app.VRFKeyFile} {
			if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				kept[name] = string(text)
			}
		}
		writes := disk.Writes()
		disk.Free()
		p, err := make()
		if err != nil {
			t.Fatalf("with space again, after %s: %v", disk.First(), err)
		}
		for name, was := range kept {
			if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil ||
				string(text) != was {
				t.Errorf("%s is another one: %v", name, err)
			}
		}
		if stored, err := ReadParticipant(filepath.Join(dir, Public)); err != nil ||
			stored.Address != p.Address || stored.Valid() != nil {
			t.Errorf("%+v, %v", stored, err)
		}
		for _, name := range []string{Operator, Hot} {
			if words[name] != 1 {
				t.Errorf("the words of %s were given %d times, after %s", name,
					words[name], disk.First())
			}
		}
		c, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if key, err := ConsensusKey(c.Comet.PrivValidatorKeyFile(),
			c.Comet.PrivValidatorStateFile()); err != nil ||
			string(public(key)) != string(p.ConsensusKey) {
			t.Errorf("its consensus key: %v", err)
		}
		if _, err := os.Stat(c.Comet.PrivValidatorStateFile()); err != nil {
			t.Error(err)
		}
		return writes
	}
	n := 0
	t.Run("counted", func(t *testing.T) { n = run(t, 0) })
	if n < 50 {
		t.Fatalf("%d writes only", n)
	}
	fulldisk.Each(t, n, 5, func(t *testing.T, k int) { run(t, k) })
}
