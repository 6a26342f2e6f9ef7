// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"fmt"
	"testing"
	"time"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	"github.com/assaynet/assay/chain/x/credit"
)

// BenchmarkSettlementBlock settles epochs of many participants over the bank and a database in
// memory, commit included, with the pay of three epochs open. Beside the block that settles it
// reports one that makes 256 payments and one in which nothing is due, each with its commit.
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
				began := time.Now()
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
				return time.Since(began)
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
			b.ReportMetric(ms(settling), "ms/settlement")
			b.ReportMetric(ms(paying), "ms/256-payments")
			b.ReportMetric(ms(quiet), "ms/ordinary")
			b.ReportMetric(0, "ns/op")
		})
	}
}
