// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"bytes"
	"testing"

	"github.com/assaynet/assay/poc/record"
)

func TestRecordsFollowEachOtherAndAreReadBack(t *testing.T) {
	first, second := record.Record{Norm: 0x0102, Digest: [32]byte{0xaa, 31: 0xbb}},
		record.Record{Norm: 1<<64 - 1, Digest: [32]byte{1}}
	packed := second.Append(first.Append(nil))
	if len(packed) != 2*record.Size || record.Count(packed) != 2 || record.Count(packed[1:]) != 1 {
		t.Fatalf("%d bytes hold %d records", len(packed), record.Count(packed))
	}
	if !bytes.Equal(packed[:10], []byte{2, 1, 0, 0, 0, 0, 0, 0, 0xaa, 0}) {
		t.Errorf("the first begins with %x", packed[:10])
	}
	if record.At(packed, 0) != first || record.At(packed, 1) != second {
		t.Errorf("read back as %v, %v", record.At(packed, 0), record.At(packed, 1))
	}
}
