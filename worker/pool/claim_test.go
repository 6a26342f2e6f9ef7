// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"io/fs"
	"math/big"
	"os"
	"testing"
)

// A receipt that this machine's own disk does not give, paid or not, is no silence of its host's.
func TestAMachinesOwnDiskIsNotItsHosts(t *testing.T) {
	for _, settled := range []string{"1", "10"} { // one that is too little, and one that pays
		p := proofsOf(t, t.TempDir())
		r := judged(1, 1, "10", 1)
		if _, err := p.receipt(r); err != nil {
			t.Fatal(err)
		}
		if _, err := p.transfer(paid(1, 1, settled), new(big.Int)); err != nil {
			t.Fatal(err)
		}
		path := p.home + "/" + receiptsDir + "/" + p.names[r.Terms.ChallengeID]
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		m := &Machine{host: r.Terms.HostKey, client: &client{}, store: &store{proofs: p}}
		var disk *fs.PathError
		if err := m.reclaim(t.Context()); !errors.As(err, &disk) || disk.Path != path {
			t.Errorf("after a transfer of %s: %v", settled, err)
		}
	}
}
