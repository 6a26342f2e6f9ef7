// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/assaynet/assay/internal/fulldisk"
)

// A network is made on a disk that is full from the k-th write on: the error names the disk, and
// with space the same command makes it, whole.
func TestANetworksDiskFillsAtEachWrite(t *testing.T) {
	make := func(t *testing.T, k int) int {
		folder := filepath.Join(t.TempDir(), "net")
		disk := fulldisk.Below(t, folder)
		if k > 0 {
			disk.Fill(k)
		}
		o := Options{Home: folder, Participants: 1}
		n, err := New(o)
		writes := disk.Writes()
		if k > 0 {
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), folder) ||
				strings.Contains(err.Error(), ".unfinished-") {
				t.Errorf("%s: %v", disk.First(), err)
			}
			disk.Free()
			if n, err = New(o); err != nil {
				t.Fatalf("with space again, after %s: %v", disk.First(), err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := n.unlock(); err != nil {
			t.Error(err)
		}
		spelled(t, folder)
		return writes
	}
	n := 0
	t.Run("counted", func(t *testing.T) { n = make(t, 0) })
	if n < 60 {
		t.Fatalf("%d writes only", n)
	}
	fulldisk.Each(t, n, 4, func(t *testing.T, k int) { make(t, k) })
}
