// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
)

// Options are how a machine runs. The zero value checks all there is.
type Options struct {
	// Seed decides the order of blocks and how warps take turns. Faults print it.
	Seed uint64
	// Resident is how many blocks run in turns with each other; 2 if zero. A
	// kernel whose blocks wait for each other needs them all.
	Resident int
	// AllowUndefined lets kernels read device memory that was never written, for
	// those that load whole tiles and do not use what lies past the end.
	AllowUndefined bool
	// AllowRaces turns the detection of races in shared memory off.
	AllowRaces bool
	// Budget is how many warp instructions a launch may take; none if zero.
	Budget uint64
}

// Machine is a device: memory, and modules' variables in it. It is for one
// goroutine at a time.
type Machine struct {
	options Options
	random  *rand.Rand
	allocs  []*allocation // by address
	last    *allocation   // that find found
	top     uint64
	placed  map[*Module][]*allocation

	steps, laneSteps, products uint64
}

// New gives a machine with empty memory.
func New(o Options) *Machine {
	if o.Resident <= 0 {
		o.Resident = 2
	}
	return &Machine{options: o, random: rand.New(rand.NewPCG(o.Seed, 0)), top: deviceBase,
		placed: map[*Module][]*allocation{}}
}

// Work is what a machine did so far: instructions of warps, the same counted
// by lane, and multiply-adds of matrix instructions.
type Work struct{ Steps, LaneSteps, Products uint64 }

// Work tells what was done.
func (m *Machine) Work() Work { return Work{m.steps, m.laneSteps, m.products} }

// Fault is what a kernel did wrong, and where.
type Fault struct {
	Err    error // one of this package's sentinels
	Detail string
	Kernel string
	Line   int // of the source
	Text   string
	Block  [3]int
	Thread [3]int // the first one concerned
	Seed   uint64 // that repeats it
}

func (f *Fault) Error() string {
	return fmt.Sprintf("ptx: kernel %s, line %d (%s), block %v, thread %v, seed %d: %v: %s",
		f.Kernel, f.Line, f.Text, f.Block, f.Thread, f.Seed, f.Err, f.Detail)
}

func (f *Fault) Unwrap() error { return f.Err }

// fault describes what the first lane of a mask did where the warp stands.
func (w *warp) fault(err error, m uint32, format string, args ...any) error {
	k := w.block.kernel
	f := &Fault{Err: err, Detail: fmt.Sprintf(format, args...), Kernel: k.Name,
		Block: w.block.index, Seed: w.block.machine.options.Seed}
	f.Thread = w.block.thread(w.index*32 + bits.TrailingZeros32(m)&31)
	if n := len(w.stack); n > 0 && len(k.code) > 0 {
		f.Line = k.code[min(w.stack[n-1].pc, len(k.code)-1)].line
		f.Text = strings.TrimSpace(k.source[f.Line-1])
	}
	return f
}

// block is a block of threads that runs.
type block struct {
	machine *Machine
	kernel  *Kernel
	grid    [3]int
	size    [3]int
	index   [3]int
	params  []byte
	shared  area
	races   *detector
	warps   []*warp
	live    int     // warps that are not done
	woken   []*warp // by a barrier, since the schedule last looked

	bars [16]gathering
}

func (b *block) thread(i int) [3]int {
	return [3]int{i % b.size[0], i / b.size[0] % b.size[1], i / (b.size[0] * b.size[1])}
}

// Launch runs a kernel over a grid of blocks, with sharedBytes of dynamic
// shared memory. Arguments are the kernel's parameters: integers of the right
// size, or bytes for structures. An error is a *Fault or wraps ErrBadLaunch.
func (m *Machine) Launch(k *Kernel, grid, size [3]int, sharedBytes int, args ...any) error {
	params, err := k.pack(args)
	if err != nil {
		return err
	}
	return m.LaunchPacked(k, grid, size, sharedBytes, params)
}

func (k *Kernel) pack(args []any) ([]byte, error) {
	if len(args) != len(k.Params) {
		return nil, fmt.Errorf("%w: kernel %s has %d parameters, not %d", ErrBadLaunch, k.Name,
			len(k.Params), len(args))
	}
	block := make([]byte, k.paramBytes)
	for i, p := range k.Params {
		b, ok := args[i].([]byte)
		if !ok {
			var err error
			if b, err = binary.Append(nil, binary.LittleEndian, args[i]); err != nil {
				return nil, fmt.Errorf("%w: parameter %s of kernel %s: %w", ErrBadLaunch,
					p.Name, k.Name, err)
			}
		}
		if len(b) != p.Size {
			return nil, fmt.Errorf("%w: parameter %s of kernel %s has %d bytes, not %d",
				ErrBadLaunch, p.Name, k.Name, p.Size, len(b))
		}
		copy(block[p.Offset:], b)
	}
	return block, nil
}

// LaunchPacked is Launch with the parameters laid out as Params tell.
func (m *Machine) LaunchPacked(k *Kernel, grid, size [3]int, sharedBytes int, params []byte) error {
	threads := size[0] * size[1] * size[2]
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: kernel %s: %s", ErrBadLaunch, k.Name, fmt.Sprintf(format, args...))
	}
	most := k.MaxThreads[0] * k.MaxThreads[1] * k.MaxThreads[2]
	switch {
	case min(grid[0], grid[1], grid[2]) < 1 || grid[0] > 1<<31-1 || max(grid[1], grid[2]) > 65535:
		return refuse("grid %v", grid)
	case min(size[0], size[1], size[2]) < 1 || threads > 1024:
		return refuse("block %v", size)
	case k.ReqThreads != [3]int{} && k.ReqThreads != size:
		return refuse("block %v where %v is required", size, k.ReqThreads)
	case most > 0 && threads > most:
		return refuse("%d threads in a block where %d are the most", threads, most)
	case len(params) != k.paramBytes:
		return refuse("%d bytes of parameters, not %d", len(params), k.paramBytes)
	case sharedBytes < 0 || k.dynamic+sharedBytes > maxShared:
		return refuse("%d bytes of shared memory", k.dynamic+sharedBytes)
	}
	m.place(k.module)
	run := &launch{machine: m, kernel: k, grid: grid, size: size, shared: k.dynamic + sharedBytes,
		params: params}
	return run.run()
}
