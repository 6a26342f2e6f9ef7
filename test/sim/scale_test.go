// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
)

// BenchmarkEpoch runs one honest epoch with the parameters of a real network, short windows apart,
// and the next ones, in which nobody says anything, until the first is pruned. It reports what a
// participant puts on the chain, what each message takes for its gas, and what blocks take: those
// at whose end a phase turns, with the last message of a phase alone in its block, and ordinary
// ones without a message; their EndBlock, and in brackets the whole of FinalizeBlock, with the
// writing of the state.
//
//	go test ./test/sim -run xxx -bench Epoch/1000$ -benchtime 1x
//	go test ./test/sim -run xxx -bench Epoch/10000 -benchtime 1x -timeout 2h
func BenchmarkEpoch(b *testing.B) {
	for _, members := range []int{4, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			if members > 1000 && !strings.Contains(benchmarks(), "10000") {
				b.Skip("takes half an hour: name it")
			}
			for range b.N {
				scale(b, members)
			}
		})
	}
}

// ends notes how long EndBlock was in the last block; the SDK tells it as a span.
type ends struct{ took time.Duration }

func (e *ends) OnEnd(s trace.ReadOnlySpan) {
	if s.Name() == "Manager.EndBlock" {
		e.took = s.EndTime().Sub(s.StartTime())
	}
}

func (*ends) OnStart(context.Context, trace.ReadWriteSpan) {}
func (*ends) Shutdown(context.Context) error               { return nil }
func (*ends) ForceFlush(context.Context) error             { return nil }

// said is what the chain was told in messages of one kind.
type said struct {
	count, bodies, bytes, largest int
	gas                           int64
	took                          time.Duration
}

func (w words) part(from, to int) words {
	return words{w.txs[from:to], w.from[from:to], w.msgs[from:to]}
}

func scale(b *testing.B, members int) {
	n := start(b, members, withParams(func(p *sprintv1.Params) {
		d := sprint.DefaultParams()
		p.Samples, p.Segments, p.Slots, p.Replicas, p.FullCommittee = d.Samples, d.Segments,
			d.Slots, d.Replicas, d.FullCommittee
		p.OpeningBytesPerBlock = 16 << 20
		p.KeepEpochs = 1
	}), func(n *network) {
		n.unjudged = true
	})
	for _, h := range n.hosts {
		// what all of them keep fits into memory
		h.cheat.count = func(string, uint32) int { return min(400, 1_000_000/members) }
		h.cheat.blind = true // everyone asking about everyone is the hosts' time, not the chain's
		h.cheat.absent = func(epoch uint64) bool { return epoch > 1 }
	}
	kinds := map[string]*said{}
	var end ends
	was := otel.GetTracerProvider()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(&end)))
	defer otel.SetTracerProvider(was)
	turns, order := map[string][2]time.Duration{}, []string{}
	var ordinary, whole []time.Duration
	// block delivers words in one block, and notes what turned at its end
	block := func(w words) {
		was := n.now().Epoch
		n.deliver(w)
		if is := n.now().Epoch; is.Phase != was.Phase {
			name := fmt.Sprintf("%s -> %s", was.Phase.Word(), is.Phase.Word())
			if is.Number > 1 {
				name += ", nobody there"
			}
			if turns[name][0] == 0 {
				order = append(order, name)
			}
			turns[name] = [2]time.Duration{max(turns[name][0], end.took),
				max(turns[name][1], n.took)}
		} else if len(w.txs) == 0 {
			ordinary, whole = append(ordinary, end.took), append(whole, n.took)
		}
	}
	for n.height == 0 || n.now().Epoch.Number <= 4 {
		w := n.listen()
		last := max(0, len(w.txs)-1)
		for from := 0; from < last; {
			to, gas := from, uint64(0)
			for ; to < last && gas < 9_000_000_000; to++ { // what a block may use
				gas += sprintv1.GasBound(w.msgs[to]...)
			}
			block(w.part(from, to))
			kind := kinds[sdk.MsgTypeURL(w.msgs[from][0])]
			if kind == nil {
				kind = &said{}
				kinds[sdk.MsgTypeURL(w.msgs[from][0])] = kind
			}
			kind.took += n.took
			for i := from; i < to; i++ {
				kind.gas += n.results[i-from].GasUsed
				kind.bytes += len(w.txs[i])
				kind.count += len(w.msgs[i])
				for _, m := range w.msgs[i] {
					kind.bodies += sprintv1.MsgSize(m)
					kind.largest = max(kind.largest, sprintv1.MsgSize(m))
				}
			}
			from = to
		}
		block(w.part(last, len(w.txs))) // the last one alone: its block has little but the turn
	}
	for name, o := range n.outcomes(1) {
		if o.Result != sprintv1.ResultCredited {
			b.Fatalf("%s is %s: %s", name, o.Result, o.Reason)
		}
	}
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	bodies, verdicts := 0, 0
	for _, name := range names {
		k := kinds[name]
		if bodies += k.bodies; strings.Contains(name, "Verdict") ||
			strings.Contains(name, "Middles") {
			verdicts += k.bodies
		}
		fmt.Printf("%-34s %6d messages of %6d bytes, at most %6d, %6d with the transaction; %6v "+
			"and %8d gas each, %5.2f ns a gas\n",
			strings.TrimPrefix(name, "/assay."), k.count, k.bodies/k.count,
			k.largest, k.bytes/k.count,
			(k.took / time.Duration(k.count)).Round(time.Microsecond), int(k.gas)/k.count,
			float64(k.took)/float64(k.gas))
	}
	for _, name := range order {
		fmt.Printf("%-40s %9v (%9v)\n", name, turns[name][0].Round(10*time.Microsecond),
			turns[name][1].Round(10*time.Microsecond))
	}
	slices.Sort(ordinary)
	slices.Sort(whole)
	at := func(part int) string {
		return fmt.Sprintf("%v (%v)", ordinary[len(ordinary)*part/100].Round(10*time.Microsecond),
			whole[len(whole)*part/100].Round(10*time.Microsecond))
	}
	fmt.Printf("%d ordinary blocks: median %s, the slowest in a hundred %s, the slowest %v\n",
		len(ordinary), at(50), at(99), ordinary[len(ordinary)-1].Round(10*time.Microsecond))
	b.ReportMetric(float64(bodies)/float64(members), "bytes/participant")
	b.ReportMetric(float64(verdicts)/float64(members), "verdict-bytes/participant")
}

// benchmarks is the pattern of those that are run.
func benchmarks() string { return flag.Lookup("test.bench").Value.String() }
