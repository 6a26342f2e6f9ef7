// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// giver writes the receipts of one key, all of them with entry 0.
type giver struct {
	t   *testing.T
	s   *state
	key signed.Key
	d   device
}

func (g *giver) id(n uint64) signed.Hash { return signed.Hash{byte(n), byte(n >> 8), g.key[0]} }

func (g *giver) give(at uint64) {
	g.t.Helper()
	g.d.Judged++
	r := record{Phase: judged, Number: g.d.Judged, Terms: mpoc.Terms{ChallengeID: g.id(g.d.Judged),
		DeviceKey: g.key, Shape: mpoc.Shape(mpoc.Shapes()[0])}}
	r.Receipt = &mpoc.Receipt{Terms: r.Terms, Committed: at}
	if err := g.s.save(g.key, &g.d, &r); err != nil {
		g.t.Fatal(err)
	}
}

// list pages through the receipts and returns the challenges in order.
func (g *giver) list() (ids []signed.Hash) {
	g.t.Helper()
	for from := uint64(0); ; {
		page, next, err := g.s.receipts(g.key, from, pageReceipts)
		if err != nil {
			g.t.Fatal(err)
		}
		for _, r := range page {
			ids = append(ids, r.Terms.ChallengeID)
		}
		if from = next; next == 0 {
			return ids
		}
	}
}

func (g *giver) want(first, last uint64) {
	g.t.Helper()
	var want []signed.Hash
	for n := first; n <= last; n++ {
		want = append(want, g.id(n))
	}
	if diff := cmp.Diff(want, g.list()); diff != "" {
		g.t.Errorf("receipts %d to %d: %s", first, last, diff)
	}
}

// Every receipt is kept and found, up to the stated number of a key and the
// stated age, and with a key that is forgotten its receipts go.
// Holds spec M-20.
func TestReceiptsAreKept(t *testing.T) {
	fast := options
	fast.NoSync = true
	s, _, _, err := openStateAs(filepath.Join(t.TempDir(), "pool"), func([]byte) {}, fast)
	if err != nil {
		t.Fatal(err)
	}
	defer s.file.Close()
	size := func(bucket string) (n int64) {
		n, err := s.file.Records(bucket)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	proven, stranger := &giver{t: t, s: s, key: signed.Key{1}, d: device{Accepted: 1}},
		&giver{t: t, s: s, key: signed.Key{2}}
	if _, err := s.register(stranger.key, &stranger.d, 0); err != nil {
		t.Fatal(err)
	}
	for at := range uint64(keepReceipts + 5) {
		proven.give(at)
	}
	for range keepUnprovenReceipts {
		stranger.give(10)
	}
	proven.want(6, keepReceipts+5)
	stranger.want(1, keepUnprovenReceipts)
	stranger.give(11)
	stranger.want(2, keepUnprovenReceipts+1)
	for _, bucket := range []string{bucketChallenges, bucketReceipts, bucketEnds} {
		if n := size(bucket); n != keepReceipts+keepUnprovenReceipts {
			t.Errorf("%d in %s, want %d", n, bucket, keepReceipts+keepUnprovenReceipts)
		}
	}

	old := uint64(keepJudged.Milliseconds())
	// and with them the stranger, who was here first
	if _, more, err := s.prune(old + 9); err != nil || more {
		t.Fatal(more, err)
	}
	proven.want(10, keepReceipts+5)
	stranger.want(1, 0)
	if _, more, err := s.prune(old + keepReceipts + 5); err != nil || more {
		t.Fatal(more, err)
	}
	for _, bucket := range []string{bucketChallenges, bucketReceipts, bucketEnds} {
		if n := size(bucket); n != 0 {
			t.Errorf("%d are left in %s", n, bucket)
		}
	}
}
