// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// What the engine makes of one core. Times are the thread's own CPU time, so
// that a busy machine does not falsify them (its caches still do), and rivals
// take turns within one run; a figure is a median over the turns. GOPS are
// 10^9 nominal operations per second, a multiplication and an addition being
// two. Peak is what the inner pair of instructions can issue without memory.

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	const clockThreadCPUTime = 3
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPUTime,
		uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(ts.Nano())
}

// oneCore keeps the benchmark and all that the engine starts on one thread.
func oneCore(b *testing.B) {
	procs := runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	b.Cleanup(func() {
		runtime.UnlockOSThread()
		runtime.GOMAXPROCS(procs)
	})
}

// rivals are timed in turns.
type rivals map[string][]time.Duration

func (r rivals) time(name string, f func()) {
	began := threadTime()
	f()
	r[name] = append(r[name], threadTime()-began)
}

// seconds is the median time of a rival.
func (r rivals) seconds(name string) float64 {
	v := slices.Sorted(slices.Values(r[name]))
	return v[len(v)/2].Seconds()
}

const peakRounds = 1 << 20

// timePeak takes a few turns, which are short.
func (r rivals) timePeak(s *set) {
	for range 5 {
		r.time("peak", func() { s.peak(peakRounds) })
	}
}

// peak is in operations per second.
func (r rivals) peak(s *set) float64 { return float64(peakRounds*s.peakOps) / r.seconds("peak") }

// everySetOf runs a benchmark for each instruction set of this processor.
func everySetOf(b *testing.B, bench func(b *testing.B, s *set)) {
	for _, s := range sets() {
		b.Run(path.Base(s.name), func(b *testing.B) { bench(b, s) })
	}
}

func noise(n int, salt uint32) []int8 {
	v := make([]int8, n)
	x := salt
	for i := range v {
		x = x*1664525 + 1013904223
		v[i] = int8(x >> 24)
	}
	return v
}

// BenchmarkLoop is a whole unit of matmul/1 on one core: its share of the peak,
// and, piece by piece, the parts of the time that are not the product.
func BenchmarkLoop(b *testing.B) {
	everySetOf(b, func(b *testing.B, s *set) {
		for _, n := range []int{1024, 4096} {
			b.Run(fmt.Sprint(n), func(b *testing.B) {
				oneCore(b)
				e, shape := newEngine(s), matmul.Shape{M: n, K: n, Q: n}
				whole := block{rows: n, cols: n}
				var o operands
				w, r := newWorkspace(s), rivals{}
				unit := make([][32]byte, 1)
				turn := func() {
					r.timePeak(s)
					r.time("unit", func() {
						if err := e.Matmul(b.Context(), unit, seed.Seed{1}, shape,
							[]uint64{2}); err != nil {
							b.Fatal(err)
						}
					})
					var expand, product, condense, hash time.Duration
					lap := threadTime()
					add := func(part *time.Duration) {
						now := threadTime()
						*part += now - lap
						lap = now
					}
					o.reset(s, seed.Seed{1}, 2, n, whole, n/itemCols)
					for i := range o.b.panels() {
						o.expandColumns(i, w)
					}
					add(&expand)
					for i := range o.strips {
						for col := 0; col < n; col += itemCols {
							rows, cols := o.rows(i), min(itemCols, n-col)
							a := o.strip(e, i, w)
							add(&expand)
							w.multiply(a, &o.b, rows, col, cols)
							o.release(e, i)
							add(&product)
							tiles := w.condense(s, rows, cols)
							add(&condense)
							w.digests(tiles)
							add(&hash)
						}
					}
					for name, t := range map[string]time.Duration{"expand": expand,
						"product": product, "condense": condense, "hash": hash} {
						r[name] = append(r[name], t)
					}
				}
				turn() // the first one pays for memory
				clear(r)
				for b.Loop() {
					turn()
				}
				ops := float64(shape.Ops())
				pieces := r.seconds("expand") + r.seconds("product") + r.seconds("condense") +
					r.seconds("hash")
				b.ReportMetric(r.peak(s)/1e9, "peak-GOPS")
				b.ReportMetric(ops/r.seconds("product")/1e9, "product-GOPS")
				b.ReportMetric(ops/r.seconds("unit")/1e9, "unit-GOPS")
				b.ReportMetric(100*ops/r.seconds("unit")/r.peak(s), "%peak")
				for _, part := range []string{"expand", "condense", "hash"} {
					b.ReportMetric(100*r.seconds(part)/pieces, "%"+part)
				}
				b.ReportMetric(100*(1-r.seconds("product")/pieces), "%beside-product")
			})
		}
	})
}

// BenchmarkCores is the same unit by the clock on one core and on two; it says
// something on an idle machine only.
func BenchmarkCores(b *testing.B) {
	everySetOf(b, func(b *testing.B, s *set) {
		if runtime.NumCPU() < 2 {
			b.Skip("one core")
		}
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
		for _, n := range []int{1024, 4096} {
			b.Run(fmt.Sprint(n), func(b *testing.B) {
				e, shape := newEngine(s), matmul.Shape{M: n, K: n, Q: n}
				unit := make([][32]byte, 1)
				r := rivals{}
				turn := func() {
					for procs, name := range []string{"one", "two"} {
						runtime.GOMAXPROCS(procs + 1)
						began := time.Now()
						if err := e.Matmul(b.Context(), unit, seed.Seed{1}, shape,
							[]uint64{2}); err != nil {
							b.Fatal(err)
						}
						r[name] = append(r[name], time.Since(began))
					}
				}
				turn()
				clear(r)
				for b.Loop() {
					turn()
				}
				b.ReportMetric(float64(shape.Ops())/r.seconds("two")/1e9, "GOPS-of-two")
				b.ReportMetric(r.seconds("one")/r.seconds("two"), "x-one")
			})
		}
	})
}

// BenchmarkTransformer is full batches of 48 nonces against the bare product of
// the same shapes, operands packed and nothing else done.
func BenchmarkTransformer(b *testing.B) {
	everySetOf(b, func(b *testing.B, s *set) {
		for _, c := range []transformer.Class{transformer.Nano, transformer.Small,
			transformer.Base} {
			b.Run(c.Name, func(b *testing.B) {
				oneCore(b)
				m, err := newEngine(s).Transformer(b.Context(), c, seed.Seed{1}, nil)
				if err != nil {
					b.Fatal(err)
				}
				shapes := map[*bare]int{} // to how often a layer multiplies so
				for _, p := range []struct{ n, k, times int }{{c.D, c.D, 4}, {c.FF, c.D, 2},
					{c.D, c.FF, 1}} {
					shapes[newBare(s, noise(strip*p.k, 1), noise(p.n*p.k, 2),
						strip, p.n, p.k)] = p.times
				}
				out, nonces := make([]transformer.Output, batch), make([]uint64, batch)
				for i := range nonces {
					nonces[i] = uint64(i)
				}
				r := rivals{}
				turn := func() {
					r.timePeak(s)
					r.time("batch", func() {
						if err := m.Run(out, seed.Seed{2}, seed.Seed{3}, nonces); err != nil {
							b.Fatal(err)
						}
					})
					r.time("product", func() {
						for range c.Layers {
							for p, times := range shapes {
								for range times {
									p.multiply()
								}
							}
						}
					})
				}
				turn()
				clear(r)
				for b.Loop() {
					turn()
				}
				ops := float64(c.Ops()) * batch
				b.ReportMetric(batch/r.seconds("batch"), "nonces/s")
				b.ReportMetric(ops/r.seconds("batch")/1e9, "GOPS")
				b.ReportMetric(100*r.seconds("product")/r.seconds("batch"), "%product")
				b.ReportMetric(100*ops/r.seconds("batch")/r.peak(s), "%peak")
			})
		}
	})
}

// BenchmarkLeaves hashes a log: leaves of a usual length and the nodes above.
func BenchmarkLeaves(b *testing.B) {
	oneCore(b)
	leaf := (&record.Leaf{Class: 1, Node: "node-0"}).Append(nil)
	const n = 1 << 12
	leaves := slices.Repeat(leaf, n)
	level, above := make([][32]byte, n), make([][32]byte, n/2)
	r := rivals{}
	for b.Loop() {
		r.time("log", func() {
			for range 16 {
				LeafHashes(level, leaves, len(leaf))
				children, nodes := level, above
				for len(children) > 1 {
					NodeHashes(nodes[:len(children)/2], children)
					children, nodes = nodes[:len(children)/2], children
				}
			}
		})
		r.time("one by one", func() {
			var f commit.Frontier
			for i := range n {
				f.Append(commit.LeafHash(leaves[i*len(leaf) : (i+1)*len(leaf)]))
			}
		})
	}
	b.ReportMetric(16*n/r.seconds("log")/1e6, "Mleaves/s")
	b.ReportMetric(n/r.seconds("one by one")/1e6, "Mleaves/s-one-by-one")
}

// BenchmarkTile is an audit of one tile from nothing but the seed, at K = 4096,
// and what share of a unit of 4096 x 4096 x 4096 that is. The portable unit is 64
// times 64 of its tiles, which have the matrices' keys in common.
func BenchmarkTile(b *testing.B) {
	everySetOf(b, func(b *testing.B, s *set) {
		oneCore(b)
		e, shape, part := newEngine(s), matmul.Shape{M: 4096, K: 4096, Q: 4096},
			matmul.Shape{M: 512, K: 4096, Q: 512}
		r, unit := rivals{}, make([][32]byte, 1)
		check := func(err error) {
			if err != nil {
				b.Fatal(err)
			}
		}
		turn := func() {
			for range 16 {
				r.time("tile", func() {
					_, err := e.Tile(seed.Seed{1}, 2, shape, 3, 4)
					check(err)
				})
			}
			r.time("portable tile", func() {
				_, err := matmul.Tile(seed.Seed{1}, 2, shape, 3, 4)
				check(err)
			})
			r.time("unit", func() {
				check(e.Matmul(b.Context(), unit, seed.Seed{1}, shape, []uint64{2}))
			})
			r.time("portable part", func() {
				_, err := matmul.Unit(seed.Seed{1}, 2, part)
				check(err)
			})
		}
		turn()
		clear(r)
		for b.Loop() {
			turn()
		}
		b.ReportMetric(1e3*r.seconds("tile"), "ms")
		b.ReportMetric(1e3*r.seconds("portable tile"), "ms-portable")
		b.ReportMetric(r.seconds("unit")/r.seconds("tile"), "tiles/unit")
		b.ReportMetric(r.seconds("portable part")*64/r.seconds("portable tile"),
			"tiles/unit-portable")
	})
}
