// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	"github.com/assaynet/assay/chain/x/credit"
)

// BenchmarkSettlementBlock settles epochs of many participants over the bank and a database in
// memory, commit included, with the pay of three epochs open. Beside the block that settles it
// reports the next one, which makes up to 256 payments, and one in which nothing is due, each with
// its commit. Times are those of all processors together, so other work on the machine counts
// little.
//
//	go test ./chain/x/credit -run xxx -bench SettlementBlock -benchtime 3x
func BenchmarkSettlementBlock(b *testing.B) {
	for _, members := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			weights := map[string]uint64{}
			var all []credit.Settlement
			for i := range members {
				name := fmt.Sprintf("p%05d", i)
				weights[name] = uint64(1_000_000 + i)
				all = append(all, credit.Settlement{Participant: name,
					ConsensusKey: consensusKey(name), Weight: weights[name], Powerable: true})
			}
			c := earn(b, credit.LocalnetParams(), acpc(1_000), weights)
			store := c.ctx.MultiStore().(storetypes.CommitMultiStore)
			block := func(settles bool) time.Duration {
				began := cpuTime(b)
				ctx, write := c.ctx.CacheContext()
				if settles {
					if err := c.Finalise(ctx, c.number, all, 1); err != nil {
						b.Fatal(err)
					}
					c.number++
				}
				if _, err := c.EndBlock(ctx); err != nil {
					b.Fatal(err)
				}
				write()
				store.Commit()
				c.ctx = c.ctx.WithBlockHeight(c.ctx.BlockHeight() + 1)
				return cpuTime(b) - began
			}
			for range 4 { // fill the lock
				block(true)
			}
			var settling, paying, quiet time.Duration
			b.ResetTimer()
			for range b.N {
				for range members/256 + 310 { // all enter, all are paid
					block(false)
				}
				settling += block(true)
				paying += block(false)
				for range members / 256 {
					block(false)
				}
				quiet += block(false)
			}
			ms := func(d time.Duration) float64 {
				return float64(d.Microseconds()) / 1000 / float64(b.N)
			}
			b.ReportMetric(ms(settling), "cpu-ms/settlement")
			b.ReportMetric(ms(paying), "cpu-ms/256-payments")
			b.ReportMetric(ms(quiet), "cpu-ms/ordinary")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpuTime is what the process has used.
func cpuTime(t testing.TB) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
