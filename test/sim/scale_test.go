// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
)

// BenchmarkEpoch runs one honest epoch with the parameters of a real network, short windows apart, and reports what
// a participant puts on the chain and how long blocks take: those with messages, of which every window has one with
// all of them, and those without, at whose end the chain draws leaves and committees and settles.
//
//	go test ./test/sim -run xxx -bench Epoch/1000 -benchtime 1x
func BenchmarkEpoch(b *testing.B) {
	for _, members := range []int{4, 100, 1000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			for range b.N {
				scale(b, members)
			}
		})
	}
}

func scale(b *testing.B, members int) {
	n := start(b, members, withParams(func(p *sprintv1.Params) {
		d := sprint.DefaultParams()
		p.Samples, p.Segments, p.Slots, p.Replicas, p.FullCommittee = d.Samples, d.Segments, d.Slots, d.Replicas, d.FullCommittee
		p.OpeningBytesPerBlock = 16 << 20
	}))
	n.unjudged = true
	for _, h := range n.hosts {
		h.cheat.count = func(string, uint32) int { return 400 }
		h.cheat.blind = true // everyone asking about everyone is the hosts' time, not the chain's
	}
	bytes, largest, count := map[string]int{}, map[string]int{}, map[string]int{}
	turn := map[sprintv1.Phase]time.Duration{}
	block := map[sprintv1.Phase]time.Duration{}
	for n.height == 0 || n.now().Epoch.Phase != sprintv1.PhaseFinalised {
		w := n.listen()
		for i, msgs := range w.msgs {
			for _, m := range msgs {
				name := sdk.MsgTypeURL(m)
				size := len(w.txs[i]) / len(msgs)
				bytes[name], largest[name], count[name] = bytes[name]+size, max(largest[name], size), count[name]+1
			}
		}
		phase := n.now().Epoch.Phase
		began := time.Now()
		n.deliver(w)
		took := &turn
		if len(w.txs) > 0 {
			took = &block
		}
		(*took)[phase] = max((*took)[phase], time.Since(began))
	}
	_, out := n.finish(1)
	for name, o := range out {
		if o.Result != sprintv1.ResultCredited {
			b.Fatalf("%s is %s: %s", name, o.Result, o.Reason)
		}
	}
	total := 0
	var names []string
	for name := range bytes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		total += bytes[name]
		fmt.Printf("%-38s %6d messages, %7d bytes each with its transaction, at most %7d; %8d bytes per participant\n", name, count[name], bytes[name]/count[name], largest[name], bytes[name]/members)
	}
	for phase := sprintv1.PhasePrepare; phase <= sprintv1.PhaseDispute; phase++ {
		fmt.Printf("%-16s at most %9v a block with its messages, %9v a block without\n", phase, block[phase].Round(10*time.Microsecond), turn[phase].Round(10*time.Microsecond))
	}
	b.ReportMetric(float64(total)/float64(members), "bytes/participant")
	b.ReportMetric(float64(slices.Max([]time.Duration{turn[sprintv1.PhaseDraw], turn[sprintv1.PhaseDispute], turn[sprintv1.PhaseChallenge]}).Milliseconds()), "ms/largest-turn")
}
