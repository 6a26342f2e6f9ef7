// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/internal/kept"
)

// signs is what an account of a keyring is known by: its public key, and a signature that holds.
func signs(home, backend, name string) ([]byte, error) {
	ring, err := Open(home, backend, strings.NewReader("correct horse\n"), testCodec())
	if err != nil {
		return nil, err
	}
	record, err := ring.Key(name)
	if err != nil {
		return nil, err
	}
	address, err := record.GetAddress()
	if err != nil {
		return nil, err
	}
	if _, err := ring.KeyByAddress(address); err != nil {
		return nil, err
	}
	signature, key, err := ring.Sign(name, []byte("text"), 1)
	if err == nil && !key.VerifySignature([]byte("text"), signature) {
		err = errors.New("its signature does not hold")
	}
	if err != nil {
		return nil, err
	}
	return key.Bytes(), nil
}

// Whatever bit of a keyring's files has flipped, and wherever one ends early: the account signs as
// before, or the file is named. It is never taken for one that is not there, in whose place another
// would be made.
func TestFlipsInAKeyring(t *testing.T) {
	t.Setenv(Variable, "")
	if faults := kept.Faults(Kept()); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
	flips.Held(t, "..", Kept())
	// a passphrase takes its time
	for backend, many := range map[string]int{keyring.BackendTest: 600, keyring.BackendFile: 40} {
		t.Run(backend, func(t *testing.T) {
			whole := t.TempDir()
			ring, err := Open(whole, backend, strings.NewReader("correct horse\n"), testCodec())
			if err == nil {
				_, _, err = ring.NewMnemonic("hot", keyring.English,
					hd.CreateHDPath(118, 0, 0).String(), "", hd.Secp256k1)
			}
			if err != nil {
				t.Fatal(err)
			}
			want, err := signs(whole, backend, "hot")
			if err != nil {
				t.Fatal(err)
			}
			flips.Each(t, whole, many, many/10, nil,
				func(home string, d flips.Damage) (flips.Outcome, error) {
					switch key, err := signs(home, backend, "hot"); {
					case err != nil && !d.Explains(err, "put it back"):
						return flips.Refused, err
					case err != nil && !errors.Is(err, ErrDamaged) &&
						!errors.Is(err, ErrPassphrase):
						return flips.Refused, fmt.Errorf("it is said to be no damage: %w", err)
					case err != nil:
						return flips.Refused, nil
					case !bytes.Equal(key, want):
						return flips.Unchanged, errors.New("another key is taken silently")
					}
					return flips.Unchanged, nil
				}).Saw(t, filepath.Join(Folder, "keyring-*/*"))
		})
	}
}
