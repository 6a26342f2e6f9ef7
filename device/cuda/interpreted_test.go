// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assaynet/assay/device/cuda/internal/ptx"
)

// interpreted is a device that executes the shipped PTX on the CPU: what is
// started is done at once.
type interpreted struct {
	mu       sync.Mutex
	machine  *ptx.Machine
	total    uint64
	used     map[address]uint64
	modules  []*ptx.Module
	kernels  []*ptx.Kernel
	marks    []time.Time
	launches map[string]int
	closed   bool
	failAt   int // which call of the driver fails, counted from 1; none if 0
	made     int
}

const interpretedMemory = 4 << 30

// interpret gives a device whose schedule follows the seed.
func interpret(seed uint64) *interpreted {
	return &interpreted{
		// Products read whole CTAs' worth of operands of which the end was never
		// written; noise comes from there, and must not show.
		machine: ptx.New(ptx.Options{Seed: seed, AllowUndefined: true}),
		total:   interpretedMemory,
		used:    map[address]uint64{}, launches: map[string]int{},
	}
}

var errFault = errors.New("interpreter: a fault, as asked for")

// enter locks the device and counts a call, which fails if its turn has come.
func (d *interpreted) enter() error {
	d.mu.Lock()
	d.made++
	switch {
	case d.closed:
		return errors.New("interpreter: used after close")
	case d.made == d.failAt:
		return errFault
	}
	return nil
}

func (d *interpreted) bind() error {
	defer d.mu.Unlock()
	return d.enter()
}

func (d *interpreted) memory() (free, total uint64, err error) {
	defer d.mu.Unlock()
	err = d.enter()
	return d.left(), d.total, err
}

func (d *interpreted) left() uint64 {
	free := d.total
	for _, n := range d.used {
		free -= n
	}
	return free
}

func (d *interpreted) alloc(bytes uint64) (address, error) {
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return 0, err
	}
	if bytes > d.left() {
		return 0, fmt.Errorf("interpreter: %w", ErrMemory)
	}
	at, err := d.machine.Alloc(int(bytes))
	if err != nil {
		return 0, err
	}
	d.used[address(at)] = bytes
	return address(at), nil
}

func (d *interpreted) free(at address) error {
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return err
	}
	delete(d.used, at)
	return d.machine.Free(uint64(at))
}

func (d *interpreted) pin(bytes int) ([]byte, error) {
	defer d.mu.Unlock()
	return make([]byte, bytes), d.enter()
}

func (d *interpreted) unpin(b []byte) error {
	for i := range b {
		b[i] = 0xdb // whoever still reads it shall notice
	}
	return nil
}

func (d *interpreted) load(name, source string) (handle, error) {
	m, err := ptx.Parse(source)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return 0, err
	}
	d.modules = append(d.modules, m)
	return handle(len(d.modules) - 1), nil
}

func (d *interpreted) kernel(module handle, name string, shared uint32) (handle, error) {
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return 0, err
	}
	k, err := d.modules[module].Kernel(name)
	if err != nil {
		return 0, err
	}
	d.kernels = append(d.kernels, k)
	return handle(len(d.kernels) - 1), nil
}

func (d *interpreted) stream() (handle, error) {
	defer d.mu.Unlock()
	return 0, d.enter()
}

func (d *interpreted) launch(_, kernel handle, l launch) error {
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return err
	}
	k := d.kernels[kernel]
	d.launches[k.Name]++
	return d.machine.LaunchPacked(k, [3]int{int(l.ctas), 1, 1}, [3]int{int(l.threads), 1, 1},
		int(l.shared), l.parameters)
}

func (d *interpreted) upload(_ handle, dst address, src []byte) error {
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return err
	}
	return d.machine.Write(uint64(dst), src)
}

func (d *interpreted) download(_ handle, dst []byte, src address) error {
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return err
	}
	return d.machine.Read(uint64(src), dst)
}

func (d *interpreted) wait(handle) error {
	defer d.mu.Unlock()
	return d.enter()
}

func (d *interpreted) mark(handle) (handle, error) {
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return 0, err
	}
	d.marks = append(d.marks, time.Now())
	return handle(len(d.marks) - 1), nil
}

func (d *interpreted) elapsed(from, to handle) (float64, error) {
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		return 0, err
	}
	return d.marks[to].Sub(d.marks[from]).Seconds(), nil
}

func (d *interpreted) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}
