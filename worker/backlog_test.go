// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"testing"

	"pgregory.net/rapid"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/record"
)

// Whatever order computing, sending, acknowledging, restarting and losing the
// host's memory come in: what is sent next begins where the host asked, records
// are those of their nonce, nothing is sent twice without a restart, and nothing that
// the host does not want.
func TestLedger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l backlog
		stops := rapid.Uint64Range(1, 20_000)
		first := rapid.Uint64Range(0, 50).Draw(t, "first")
		l.restart(first, first+stops.Draw(t, "stop"))
		expect := l.sent // the nonce the host waits for
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				for range rapid.IntRange(1, 2500).Draw(t, "computed") {
					digest := [32]byte{}
					l.records = record.Record{Norm: l.end(), Digest: digest}.Append(l.records)
				}
			case 1:
				if l.ready() == l.sent {
					continue
				}
				first, records := l.batch(workerv1.MaxBatch)
				n := uint64(len(records) / record.Size)
				if first != expect || n == 0 || n > workerv1.MaxBatch || first+n > l.end() ||
					first+n > l.stop {
					t.Fatalf("batch of %d from %d before %d, expected %d", n, first, l.stop, expect)
				}
				for i := range n {
					if nonce := record.At(records, int(i)).Norm; nonce != first+i {
						t.Fatalf("record %d is that of nonce %d", first+i, nonce)
					}
				}
				l.sent += n
				expect += n
			case 2:
				l.drop(rapid.Uint64Range(l.base, l.sent).Draw(t, "acknowledged"))
			case 3:
				expect = rapid.Uint64Range(0, l.end()+10).Draw(t, "restart")
				l.restart(expect, expect+stops.Draw(t, "stop"))
			case 4: // the host wants more
				l.stop += stops.Draw(t, "more")
			}
			if l.base > l.sent || l.sent > l.end() {
				t.Fatalf("base %d, sent %d, end %d", l.base, l.sent, l.end())
			}
		}
	})
}
