// SPDX-License-Identifier: Apache-2.0

package crowd

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/poc/mpoc"
)

// mine plays honest machines at the pool.
func mine(ctx context.Context, to port) error {
	engine, err := cpu.New(ctx)
	if err != nil {
		return err
	}
	return play(ctx, to, func(ctx context.Context, plan crowdPlan, m machine, d *diary,
		ready func()) error {
		x, err := m.miner(ctx, plan.Host.Pool)
		if err != nil {
			return err
		}
		defer x.conn.CloseNow()
		begin := time.Now()
		if err := x.register(ctx); err != nil {
			return err
		}
		d.took("register", begin)
		ready()
		for pause(ctx, plan.Every) {
			before := x.sent
			outcome, err := x.submit(ctx, engine, plan.Loops, plan.Pace, d)
			if err != nil {
				return err
			}
			if outcome.Status != mpoc.Accepted {
				return fmt.Errorf("%s", outcome.Status)
			}
			d.note(func(w *window) { w.Done++; w.Sent += x.sent - before })
		}
		return nil
	})
}

// look asks a client process what it saw.
func look(c *child) window {
	c.t.Helper()
	c.tell(struct{}{})
	w := hear[window](c)
	for i, f := range w.Failures {
		if i == 10 {
			c.t.Errorf("... %d in all", len(w.Failures))
			break
		}
		c.t.Errorf("honest, and not served: %s", f)
	}
	return w
}

func (c *child) figures(q question) figures {
	c.t.Helper()
	c.tell(q)
	return hear[figures](c)
}

// quantile is a value that a share of all is not above.
func quantile(all []float64, share float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[min(len(all)-1, int(share*float64(len(all))))]
}

// load is the machine's load average, which every figure is to be read with.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg") // for the report only
	return strings.Join(strings.Fields(string(text))[:1], "")
}

// kernelMemory is what the kernel holds in socket buffers, and in all its
// structures, in bytes. Others on the machine count too.
func kernelMemory() (buffers, slab uint64) {
	text, _ := os.ReadFile("/proc/net/sockstat")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "TCP:"); ok {
			fields := strings.Fields(rest)
			_, _ = fmt.Sscan(fields[len(fields)-1], &buffers)
		}
	}
	text, _ = os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Slab:"); ok {
			_, _ = fmt.Sscan(rest, &slab)
		}
	}
	return buffers * uint64(os.Getpagesize()), slab << 10
}

// TestIdle connects workers that have nothing to do.
func TestIdle(t *testing.T) {
	n, processes, watch := 200, 2, time.Duration(0)
	if long {
		n, processes, watch = 10_000, 5, time.Minute
	}
	for _, at := range []string{"fleet", "pool"} {
		t.Run(at, func(t *testing.T) {
			host := start(t, "host", hostPlan{Dir: t.TempDir(), Members: map[string]int{"idle": n},
				Engine: "reference"})
			to := hear[address](host)
			empty := host.figures(question{Collect: true})
			buffers, slab := kernelMemory()
			begin := time.Now()
			var clients []*child
			for i := range processes {
				clients = append(clients,
					start(t, "idle", crowdPlan{Host: to, Kind: "idle", From: i * n / processes,
						N: n / processes, Pool: at == "pool"}))
			}
			for _, c := range clients {
				hear[bool](c)
			}
			elapsed := time.Since(begin)
			busy := host.figures(question{})
			var connect []float64
			for _, c := range clients {
				connect = append(connect, look(c).Took["connect"]...)
			}
			if len(connect) != n {
				t.Errorf("%d of %d machines connected", len(connect), n)
			}
			if at == "fleet" && busy.Connected != n {
				t.Errorf("the host has %d of %d workers", busy.Connected, n)
			}
			rest := host.figures(question{Collect: true, Profile: os.Getenv("ASSAY_CROWD_PROFILE")})
			buffers1, slab1 := kernelMemory()
			before := host.figures(question{})
			if !pause(t.Context(), watch) {
				return
			}
			after := host.figures(question{})
			for _, c := range clients {
				look(c) // nobody was dropped
			}
			if at == "fleet" && after.Connected != n {
				t.Errorf("the host has %d of %d workers", after.Connected, n)
			}
			each := func(now, then uint64) float64 {
				return (float64(now) - float64(then)) / float64(n) / 1024
			}
			t.Logf("%s: %d workers in %.1f s, %.2f ms of the host's CPU each; connecting p50 "+
				"%.0f ms p99 %.0f ms; load %s",
				at, n, elapsed.Seconds(), (busy.CPU-empty.CPU).Seconds()*1000/float64(n),
				quantile(connect, .5), quantile(connect, .99), load())
			t.Logf("%s: KiB per worker: resident %.1f when all have come, %.1f after a "+
				"collection (heap %.1f, stacks %.1f); %.1f goroutines; kernel buffers %.1f, "+
				"structures %.1f (both ends)",
				at, each(busy.RSS, empty.RSS), each(rest.RSS, empty.RSS),
				each(rest.Heap, empty.Heap), each(rest.Stacks, empty.Stacks),
				float64(rest.Goroutines-empty.Goroutines)/float64(n), each(buffers1, buffers),
				each(slab1, slab))
			if watch > 0 {
				t.Logf("%s: %.2f %% of a core while all idle; resident afterwards %.1f KiB per "+
					"worker; load %s", at, 100*(after.CPU-before.CPU).Seconds()/watch.Seconds(),
					each(after.RSS, empty.RSS), load())
			}
			for _, c := range append(clients, host) {
				c.stop()
			}
		})
	}
}

// batchEvery and submitEvery are how often an honest machine says something.
const (
	batchEvery  = time.Second
	submitEvery = 10 * time.Second
	// pace is what 12 of the smallest loops take a machine of 16 GOPS.
	pace = 100 * time.Millisecond
)

func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

func steps(w window) string {
	var b strings.Builder
	for _, step := range []string{"register", "challenge", "(computing)", "commit", "proof",
		"receipt", "batch"} {
		if took := w.Took[step]; len(took) > 0 {
			fmt.Fprintf(&b, "\n    %-12s %6d  p50 %8.1f ms  p99 %8.1f ms", step, len(took),
				quantile(took, .5), quantile(took, .99))
		}
	}
	return b.String()
}

// TestSubmissions has machines submit as fast as they can.
func TestSubmissions(t *testing.T) {
	engines, n, loops, length := []string{"fast"}, 10, uint64(12), 0*time.Second
	if long {
		engines, n, length = []string{"fast", "reference"}, 300, 30*time.Second
	}
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			host := start(t, "host", hostPlan{Dir: t.TempDir(), Engine: engine})
			to := hear[address](host)
			unit := host.figures(question{Unit: true}).Unit
			miners := start(t, "miners", crowdPlan{Host: to, Kind: "miners", N: n, Loops: loops})
			hear[bool](miners)
			before := host.figures(question{})
			begin := time.Now()
			done, w := 0, window{}
			for done == 0 || time.Since(begin) < length || done < n && !long {
				wait(t, 200*time.Millisecond)
				part := look(miners)
				if t.Failed() {
					return
				}
				if w.Took == nil {
					w.Took = map[string][]float64{}
				}
				for step, took := range part.Took {
					w.Took[step] = append(w.Took[step], took...)
				}
				w.Sent += part.Sent
				done += part.Done
			}
			after := host.figures(question{})
			elapsed := time.Since(begin)
			miners.stop()
			if after.Refused > 0 || after.Accepted < uint64(done) {
				t.Errorf("%d were accepted and %d not; the machines know of %d accepted",
					after.Accepted, after.Refused, done)
			}
			cost := (after.CPU - before.CPU).Seconds() * 1000 / float64(
				after.Accepted-before.Accepted)
			t.Logf("%s: %d machines, %d loops each: %.1f submissions a second; %.2f ms of the "+
				"host's CPU each, %.2f times 3 loops recomputed whole, and %.0f bytes; load %s%s",
				engine, n, loops, float64(after.Accepted-before.Accepted)/elapsed.Seconds(), cost,
				cost/(3*unit.Seconds()*1000), float64(w.Sent)/float64(done), load(), steps(w))
			if long {
				large(t, host, to, unit)
			}
			host.stop()
		})
	}
}

// large has one machine make submissions of 1,000 loops, and compares what they
// cost with what they spare.
func large(t *testing.T, host *child, to address, unit time.Duration) {
	t.Helper()
	const loops, whole = 1000, 3
	miner := start(t, "miners", crowdPlan{Host: to, Kind: "miners", From: 1 << 14, N: 1,
		Loops: loops, Every: time.Second})
	hear[bool](miner)
	var w window
	until := func(done int) {
		for w.Done < done && !t.Failed() {
			wait(t, 50*time.Millisecond)
			part := look(miner)
			w.Done, w.Sent = w.Done+part.Done, w.Sent+part.Sent
		}
	}
	until(1) // what others had under way is over by then
	before := host.figures(question{})
	until(6)
	after := host.figures(question{})
	miner.stop()
	cost := (after.CPU - before.CPU) / time.Duration(max(1, after.Accepted-before.Accepted))
	leaves := float64(loops * len(`"0x",`+strings.Repeat("0", 64)))
	t.Logf("%d loops: %.2f ms of the host's CPU, %.2f times %d loops recomputed whole, %.4f "+
		"times all; %.0f bytes, %.2f of all leaves; load %s",
		loops, cost.Seconds()*1000, float64(cost)/float64(whole*unit), whole,
		float64(cost)/float64(loops*unit), float64(w.Sent)/float64(w.Done),
		float64(w.Sent)/float64(w.Done)/leaves, load())
}

// group is a host with its honest machines.
type group struct {
	host, members, miners *child
	at                    address
}

func (g group) stop() {
	for _, c := range []*child{g.members, g.miners, g.host} {
		c.stop()
	}
}

// TestHonestBesideHostile compares how long honest machines wait for the host
// when they are alone and when hostile ones are there too. A second host on this
// machine, which the hostile ones leave alone, shows what they and everybody
// else do to the machine; what is beyond that they do to the host.
func TestHonestBesideHostile(t *testing.T) {
	honest, hostile, length, mean := 10, 60, time.Duration(0), 200*time.Millisecond
	batches, submits := 50*time.Millisecond, 200*time.Millisecond
	if long {
		honest, hostile, length, mean = 100, 1000, time.Minute, 2*time.Second
		batches, submits = batchEvery, submitEvery
	}
	begin := func(from, n int) (g group) {
		g.host = start(t, "host",
			hostPlan{Dir: t.TempDir(), Members: map[string]int{"batches": from + n,
				"hostile": hostile}, Compute: true})
		g.at = hear[address](g.host)
		g.members = start(t, "batches", crowdPlan{Host: g.at, Kind: "batches", From: from,
			N: n, Every: batches})
		hear[bool](g.members)
		g.miners = start(t, "miners", crowdPlan{Host: g.at, Kind: "miners", From: from, N: n,
			Every: submits, Pace: pace, Loops: 12})
		hear[bool](g.miners)
		return g
	}
	groups := map[string]group{"host": begin(0, honest)}
	names := []string{"host"}
	if long {
		groups["control"] = begin(honest, honest/4)
		names = append(names, "control")
	}
	watch := func(when string) map[string]window {
		from, all := map[string]figures{}, map[string]window{}
		for name, g := range groups {
			look(g.members)
			look(g.miners)
			from[name], all[name] = g.host.figures(question{}), window{Took: map[string][]float64{}}
		}
		begin := time.Now()
		for mine := all["host"].Took; time.Since(begin) < length || len(mine["batch"]) < 5*honest ||
			len(mine["receipt"]) < 2*honest; {
			wait(t, 100*time.Millisecond)
			for name, g := range groups {
				for _, c := range []*child{g.members, g.miners} {
					for step, took := range look(c).Took {
						all[name].Took[step] = append(all[name].Took[step], took...)
					}
				}
			}
			if t.Failed() {
				t.FailNow()
			}
		}
		for _, name := range names {
			from, to := from[name], groups[name].host.figures(question{})
			t.Logf("%s, %s: %.0f %% of a core, %.0f MiB resident, %d sockets; judged %d "+
				"accepted, %d not; load %s%s", when, name,
				100*(to.CPU-from.CPU).Seconds()/time.Since(begin).Seconds(),
				float64(to.RSS)/(1<<20), to.Sockets, to.Accepted-from.Accepted,
				to.Refused-from.Refused, load(), steps(all[name]))
		}
		return all
	}
	alone := watch("alone")
	foes := start(t, "hostile", crowdPlan{Host: groups["host"].at, Kind: "hostile",
		N: hostile, Every: mean})
	hear[bool](foes)
	if long {
		wait(t, 10*time.Second) // until all are at it
		look(foes)
	}
	beside := watch("beside")
	acts := look(foes).Acts
	var did []string
	for _, a := range attacks {
		did = append(did, fmt.Sprintf("%s %d", a.name, acts[a.name]))
	}
	t.Logf("hostile acts: %s", strings.Join(did, ", "))
	for _, name := range names {
		grew := func(step string, share float64) float64 {
			return quantile(beside[name].Took[step], share) / quantile(alone[name].Took[step],
				share)
		}
		t.Logf("%s: batches grow by %.2f at p50 and %.2f at p99; commits by %.2f and %.2f; plain "+
			"computing by %.2f and %.2f", name,
			grew("batch", .5), grew("batch", .99), grew("commit", .5), grew("commit", .99),
			grew("(computing)", .5), grew("(computing)", .99))
	}
	foes.stop()
	for _, g := range groups {
		g.stop()
	}
}
