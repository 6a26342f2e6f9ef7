// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
)

// A leaf of transformer/1 is a log's leaf whose body is its record, in the bytes of the first
// version.
// Holds spec C-8.
func TestLeafIsALogsLeafWithARecordForItsBody(t *testing.T) {
	l := record.Leaf{Class: 2, Node: "gpu-0", Index: 258,
		Record: record.Record{Norm: 1 << 40, Digest: [32]byte{1, 31: 9}}}
	opaque := commit.Leaf{Kind: record.Kind, Spec: 2, Node: "gpu-0", Index: 258,
		Body: l.Record.Append(nil)}
	if !bytes.Equal(l.Append([]byte("x")), opaque.Append([]byte("x"))) ||
		l.Hash() != opaque.Hash() || l.Append(nil)[0] != 1 {
		t.Errorf("%x, and a log has %x", l.Append(nil), opaque.Append(nil))
	}
	if back, err := record.ParseLeaf(l.Append(nil)); err != nil || back != l {
		t.Errorf("read back as %+v, %v", back, err)
	}
	if n := testing.AllocsPerRun(100, func() { l.Hash() }); n != 0 {
		t.Errorf("%v allocations per leaf hash", n)
	}
	other := opaque
	other.Kind = 3
	for name, b := range map[string][]byte{"another kind": other.Append(nil), "nothing": nil,
		"cut": l.Append(nil)[1:]} {
		if got, err := record.ParseLeaf(b); !errors.Is(err, commit.ErrLeaf) ||
			got != (record.Leaf{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, bad := range map[string]record.Leaf{"class 0": {Node: "a"}, "no node": {Class: 1},
		"long node": {Class: 1, Node: strings.Repeat("a", 33)},
		"index":     {Class: 1, Node: "a", Index: commit.MaxSize}} {
		if err := bad.Valid(); !errors.Is(err, commit.ErrLeaf) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
