// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/poc/commit"
)

// Whatever bit of a store has flipped, and wherever a log ends early: a flipped bit costs no leaf,
// a log that ends early no batch before its end, and the other logs nothing. A look at the folder
// names what is damaged. (Each byte in turn: TestChangeEveryByte, TestCutAtEveryByte.)
func TestFlipsInAStore(t *testing.T) {
	whole := t.TempDir()
	s := openStore(t, whole)
	var keys []Key
	// where the file ends after each
	batches, ends, all := []int{40, 3, 200, 1}, []int64{headerSize}, uint64(0)
	for _, n := range batches {
		ends, all = append(ends, ends[len(ends)-1]+int64(frames{body: 40}.len(n))), all+uint64(n)
	}
	for segment := range uint32(3) {
		key := Key{Epoch: testKey.Epoch, Node: testKey.Node, Segment: segment + 1}
		l, err := s.Log(key, testClass)
		if err != nil {
			t.Fatal(err)
		}
		appendAll(t, l, batches...)
		keys = append(keys, key)
	}
	leaves := model(all)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flips.Each(t, whole, 1000, 100, nil,
		func(dir string, d flips.Damage) (outcome flips.Outcome, err error) {
			seen, err := Inspect(dir)
			if err != nil {
				return outcome, err
			}
			s, err := Open(dir)
			if err != nil {
				return outcome, err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			for _, key := range keys {
				hit, want := filepath.Base(d.Path) == fileName(key), all
				if hit && d.Cut {
					want = 0
					for i, n := range batches {
						if int64(d.At) >= ends[i+1] {
							want += uint64(n)
						}
					}
				}
				l, err := s.Log(key, testClass)
				switch {
				case errors.Is(err, ErrDamaged) && hit && d.Cut && d.At < headerSize &&
					strings.Contains(err.Error(), fileName(key)):
					outcome = flips.Refused
					continue
				case err != nil:
					return outcome, err
				case l.Size() != want:
					return outcome, fmt.Errorf("segment %d has %d leaves, and the file holds %d",
						key.Segment, l.Size(), want)
				case want < all || hit && l.Mended() > 0:
					outcome = flips.Mended
				}
				root, err := l.Root(want)
				if wanted, err2 := commit.Root(leaves, want); want > 0 &&
					(err != nil || err2 != nil || root != wanted) {
					return outcome,
						fmt.Errorf("other leaves in silence: %w", errors.Join(err, err2))
				}
			}
			if strings.HasSuffix(d.Path, suffix) && !d.Cut && outcome != flips.Unchanged &&
				!namedBy(seen, filepath.Base(d.Path)) {
				return outcome, fmt.Errorf("a look at the folder says nothing of it: %+v", seen)
			}
			return outcome, nil
		}).Saw(t, "*/*", "lock")
}

func namedBy(seen []Inspected, name string) bool {
	for _, l := range seen {
		if filepath.Base(l.Path) == name && (l.Mended > 0 || l.Err != nil) {
			return true
		}
	}
	return false
}
