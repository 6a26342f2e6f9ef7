// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// matrices are the factors of one size in the forms that contestants take, all
// rows of n, and room for results.
type matrices struct {
	n              int
	a, b           []int8
	bColumns       []int8  // b, columns one after the other
	a7             []uint8 // a without its sign bit
	a128           []uint8 // a + 128
	aFloat, bFloat []float32
	c              []int32
	cFloat         []float32
}

func newMatrices(n int) *matrices {
	bytes := func() []int8 { return make([]int8, n*n) }
	floats := func() []float32 { return make([]float32, n*n) }
	return &matrices{
		n: n, a: bytes(), b: bytes(), bColumns: bytes(),
		a7: make([]uint8, n*n), a128: make([]uint8, n*n),
		aFloat: floats(), bFloat: floats(),
		c: make([]int32, n*n), cFloat: floats(),
	}
}

// random is a byte of the whole range.
func random(r *rand.Rand) int8 { return int8(r.Uint32()) }

// large is a byte near the upper limit: sums of products of such are past what
// int16 holds at two and, odd as they are, past what a float holds at 1,100.
func large(r *rand.Rand) int8 { return int8(120 + r.Uint32()%8) }

// fill makes both factors of such bytes. Results of earlier ones are forgotten.
func (m *matrices) fill(value func(*rand.Rand) int8) {
	r := rand.New(rand.NewPCG(1, uint64(m.n)))
	n := m.n
	for i := range m.a {
		m.a[i], m.b[i] = value(r), value(r)
		m.a7[i], m.a128[i] = uint8(m.a[i])&127, uint8(m.a[i])+128
		m.aFloat[i], m.bFloat[i] = float32(m.a[i]), float32(m.b[i])
		m.bColumns[i%n*n+i/n] = m.b[i]
	}
	clear(m.c)
	clear(m.cFloat)
}

// row computes a row of the product of a, or of a7, in plain Go.
func (m *matrices) row(i int, sevenBits bool) []int32 {
	sum := make([]int32, m.n)
	for k, a := range m.a[i*m.n:][:m.n] {
		x := int32(a)
		if sevenBits {
			x = int32(m.a7[i*m.n+k])
		}
		for j, b := range m.b[k*m.n:][:m.n] {
			sum[j] += x * int32(b)
		}
	}
	return sum
}

// contestant is one way to multiply. Its functions are called from one thread.
type contestant struct {
	name, given string
	// use says how many threads it may use from now on.
	use func(threads int) error
	// load is called when matrices were filled; nil where there is nothing to do.
	load func(m *matrices) error
	// multiply does so a number of times and returns the seconds that all took.
	multiply func(m *matrices, threads, times int) (float64, error)
	// row is a row of the product; nil for the loop, which gives none.
	row func(m *matrices, i int) ([]int32, error)
}

// here times what runs in this process.
func here(f func(m *matrices) error) func(m *matrices, threads, times int) (float64, error) {
	return func(m *matrices, threads, times int) (float64, error) {
		now := threadTime
		if threads > 1 {
			start := time.Now()
			now = func() time.Duration { return time.Since(start) }
		}
		if err := rest(); err != nil {
			return 0, err
		}
		began := now()
		for range times {
			if err := f(m); err != nil {
				return 0, err
			}
		}
		return (now() - began).Seconds(), nil
	}
}

func clockName(threads int) string {
	if threads == 1 {
		return "CPU"
	}
	return "wall"
}

func clock(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		panic(err) // both clocks have been there since Linux 2.6.12
	}
	return time.Duration(t.Nano())
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

// rest waits until no thread of this process computes any longer.
func rest() error {
	const look = 2 * time.Millisecond
	for range 2500 {
		before := clock(unix.CLOCK_PROCESS_CPUTIME_ID)
		time.Sleep(look)
		if clock(unix.CLOCK_PROCESS_CPUTIME_ID)-before < look/10 {
			return nil
		}
	}
	return fmt.Errorf("a library's threads have not come to rest in %v", 2500*look)
}

// measure asks everybody for the product of one size, right and fast.
func measure(ctx context.Context, all []contestant, n int, counts []int, turns int,
	progress io.Writer) ([]result, error) {
	m := newMatrices(n)
	results := make([]result, len(all))
	for i, c := range all {
		results[i] = result{N: n, Name: c.name, Given: c.given}
		if c.row != nil {
			results[i].Exact = &exact{FullRange: c.given != given7Bits}
		}
	}
	// Large ones first: the random ones stay for the turns.
	for _, kind := range []struct {
		name  string
		value func(*rand.Rand) int8
		wrong func(*exact) *int
	}{
		{"large", large, func(e *exact) *int { return &e.WrongLarge }},
		{"random", random, func(e *exact) *int { return &e.WrongRandom }},
	} {
		fmt.Fprintf(progress, "n = %d: who is exact, on %s bytes\n", n, kind.name)
		m.fill(kind.value)
		for i, c := range all {
			if err := check(ctx, c, m, counts[len(counts)-1], results[i].Exact,
				kind.wrong); err != nil {
				return nil, fmt.Errorf("%s at n = %d: %w", c.name, n, err)
			}
		}
	}
	times := max(1, 1<<32/(n*n*n)) // a turn is four products of 1024, one of larger ones
	for _, threads := range counts {
		runtime.GOMAXPROCS(threads)
		seconds := make([][]float64, len(all))
		for _, c := range all {
			if err := c.use(threads); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
		for turn := range turns {
			fmt.Fprintf(progress, "n = %d, threads %d: turn %d of %d\n", n, threads, turn+1, turns)
			for next := range all {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				i := (next + turn) % len(all) // nobody always follows the same one
				c := all[i]
				s, err := c.multiply(m, threads, times)
				if err != nil {
					return nil, fmt.Errorf("%s at n = %d: %w", c.name, n, err)
				}
				seconds[i] = append(seconds[i], s/float64(times))
			}
		}
		for i := range all {
			results[i].Timings = append(results[i].Timings,
				newTiming(n, threads, clockName(threads), seconds[i]))
		}
	}
	return results, nil
}

// checkedRows are compared with plain Go, spread from the first to the last.
const checkedRows = 32

// check counts the elements that are wrong; e is nil for who gives none. It is
// also the first turn, which pays for memory and threads.
func check(ctx context.Context, c contestant, m *matrices, threads int, e *exact,
	wrong func(*exact) *int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	runtime.GOMAXPROCS(threads)
	if err := c.use(threads); err != nil {
		return err
	}
	if c.load != nil {
		if err := c.load(m); err != nil {
			return err
		}
	}
	if _, err := c.multiply(m, threads, 1); err != nil || e == nil {
		return err
	}
	rows := min(checkedRows, m.n)
	e.Elements = rows * m.n
	for i := range rows {
		at := i * (m.n - 1) / max(1, rows-1)
		got, err := c.row(m, at)
		if err != nil {
			return err
		}
		for j, want := range m.row(at, !e.FullRange) {
			if got[j] != want {
				*wrong(e)++
			}
		}
	}
	return nil
}
