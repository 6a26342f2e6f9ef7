// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/assaynet/assay/poc/commit"
)

// A log keeps the bodies of any kind of work, of one length a log, and looks into none.
// Holds spec C-17.
func TestALogKeepsBodiesOfAnyKindOfWork(t *testing.T) {
	for _, form := range []Form{{Kind: 3, Spec: 1, Body: 8},
		{Kind: 200, Spec: 255, Body: commit.MaxBody}, {Kind: 3, Spec: 1, Body: 1}, Transformer(2)} {
		dir := t.TempDir()
		body := func(i uint64) []byte {
			return append(binary.LittleEndian.AppendUint64(nil, i),
				make([]byte, commit.MaxBody)...)[:form.Body]
		}
		var model commit.Log
		var packed []byte
		const leaves = 2*blockSize + 7
		for i := range uint64(leaves) {
			packed = append(packed, body(i)...)
			model.Append(commit.Leaf{Kind: form.Kind, Spec: form.Spec, Node: testKey.Node, Index: i,
				Body: body(i)}.Hash())
		}
		s := openStore(t, dir)
		l, err := s.LogOf(testKey, form)
		if err != nil {
			t.Fatalf("%+v: %v", form, err)
		}
		for first := 0; first < leaves; first += 900 {
			if err := l.Append(uint64(first),
				packed[first*form.Body:min(first+900, leaves)*form.Body],
				signature(uint64(first))); err != nil {
				t.Fatalf("%+v: %v", form, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, dir) // and is read again
		other := form
		other.Kind = 9
		if _, err := s.LogOf(testKey, other); form.Body != 40 && !errors.Is(err, ErrOrder) {
			t.Errorf("%+v is opened as %+v: %v", form, other, err)
		}
		if l, err = s.LogOf(testKey, form); err != nil {
			t.Fatalf("%+v: %v", form, err)
		}
		root, err := l.Root(leaves)
		if err != nil || root != model.Root() || l.Size() != leaves || l.Form() != form {
			t.Errorf("%+v: %d leaves, root %x, %v", form, l.Size(), root, err)
		}
		for _, i := range []uint64{0, 899, 900, blockSize, leaves - 1} {
			b, err := l.Batch(i)
			if got, err := l.Body(i); err != nil || !bytes.Equal(got, body(i)) {
				t.Errorf("%+v: leaf %d is %x, %v", form, i, got, err)
			}
			if err != nil || !bytes.Equal(b.Records[int(i-b.First)*form.Body:][:form.Body],
				body(i)) {
				t.Errorf("%+v: the batch of leaf %d: %v", form, i, err)
			}
		}
	}
	s := openStore(t, t.TempDir())
	for _, bad := range []Form{{}, {Kind: 1, Spec: 1, Body: 39}, {Kind: 2, Spec: 1, Body: 32},
		{Kind: 3, Body: 8}, {Kind: 3, Spec: 1}, {Kind: 3, Spec: 1, Body: 65},
		{Kind: 3, Spec: 1, Body: -1}} {
		if _, err := s.LogOf(testKey, bad); err == nil {
			t.Errorf("a log of %+v", bad)
		}
	}
}

// The file of a log of transformer/1 is what it was when there was no other kind.
func TestTheFirstKindsFilesAreAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	appendAll(t, openTestLog(t, openStore(t, dir)), 1)
	raw, err := os.ReadFile(logPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	want := append([]byte("ASAYLVS2"), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint64(want[8:], testKey.Epoch)
	want = binary.LittleEndian.AppendUint32(want, testKey.Segment)
	want = append(append(want, testClass, byte(len(testKey.Node))), testKey.Node...)
	want = append(want, make([]byte, headerSize-4-len(want))...)
	if !bytes.Equal(raw[:headerSize-4], want) || len(raw) != headerSize+frameHead+40+frameTail {
		t.Errorf("%d bytes, the header is\n%x, and was\n%x", len(raw), raw[:headerSize-4], want)
	}
}
