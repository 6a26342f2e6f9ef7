// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/internal/oddhome"
	"github.com/assaynet/assay/poc/delivery"
)

// A worker's keys, books and receipts are written, read again and pruned whatever its home is
// called.
func TestAnyHome(t *testing.T) {
	oddhome.Each(t, func(t *testing.T, home string) {
		s := served(t, home)
		r, err := readHome(home, s)
		if err != nil || len(r.Batches) == 0 {
			t.Fatalf("read again: %+v, %v", r, err)
		}
		k := newReceipts(home)
		old := delivery.Receipt{Version: delivery.ReceiptVersion, Order: s.Order,
			Batch: delivery.Batch{Count: 1}}
		at := time.Now().Add(-time.Hour)
		for i := range keepReceipts {
			old.Order.Epoch = 1<<30 + uint64(i)
			path := filepath.Join(home, ReceiptsName, name(receivedName, old.Order))
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		old.Order.Epoch = 1 << 31
		if err := k.write(document{name(receivedName, old.Order), old.Marshal}); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadDir(filepath.Join(home, ReceiptsName))
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, e := range list {
			if strings.HasPrefix(e.Name(), receivedName+"-") {
				left++
			}
		}
		if left != keepReceipts {
			t.Errorf("%d receipts are left, and %d may be", left, keepReceipts)
		}
	})
}
