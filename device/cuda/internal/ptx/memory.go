// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// What a kernel or its host can do wrong. A Fault wraps one of them.
var (
	ErrBounds     = errors.New("access outside of live memory")
	ErrAlignment  = errors.New("misaligned access")
	ErrUndefined  = errors.New("read of memory that was never written")
	ErrReadOnly   = errors.New("write to constant memory")
	ErrRace       = errors.New("data race in shared memory")
	ErrDiverged   = errors.New("lanes are not together")
	ErrDeadlock   = errors.New("no warp can go on")
	ErrTrap       = errors.New("trap")
	ErrDivision   = errors.New("division by zero")
	ErrBudget     = errors.New("too many steps")
	ErrBadLaunch  = errors.New("ptx: launch refused")
	errSharedHost = errors.New("not device memory")
)

// Windows of the generic address space. Device memory is at its own address,
// the others are in windows far above it, so that a null pointer is never valid.
const (
	sharedWindow = 1 << 52
	localWindow  = 2 << 52
	deviceBase   = 0x7_0000_0000
	// fresh is what memory holds before it is written.
	fresh = 0xa5
)

var windows = map[space]uint64{shared: sharedWindow, local: localWindow}

// narrow finds the space of a generic address and the address in it.
func narrow(a uint64) (space, uint64) {
	switch a >> 52 {
	case sharedWindow >> 52:
		return shared, a - sharedWindow
	case localWindow >> 52:
		return local, a - localWindow
	}
	return global, a
}

// area is memory that knows which of its bytes were written.
type area struct {
	data      []byte
	undefined []byte // 1 where nothing was written
	device    bool
}

func newArea(n int) area {
	a := area{data: make([]byte, n), undefined: make([]byte, n)}
	a.forget()
	return a
}

// forget makes all bytes undefined.
func (a area) forget() {
	fill(a.data, fresh)
	fill(a.undefined, 1)
}

func fill(b []byte, v byte) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// defined reports whether all of n bytes were written.
func (a area) defined(at, n int) bool {
	u := a.undefined[at : at+n]
	switch n {
	case 4:
		return binary.LittleEndian.Uint32(u) == 0
	case 8:
		return binary.LittleEndian.Uint64(u) == 0
	case 16:
		return binary.LittleEndian.Uint64(u)|binary.LittleEndian.Uint64(u[8:]) == 0
	}
	for _, x := range u {
		if x != 0 {
			return false
		}
	}
	return true
}

// allocation is a piece of device memory.
type allocation struct {
	area
	base     uint64
	readOnly bool
	name     string // of a module's variable
}

// Alloc gives n bytes of device memory that nothing was written to. Addresses
// are multiples of 256 and no two allocations touch.
func (m *Machine) Alloc(n int) (uint64, error) {
	if n <= 0 || n > 1<<32 {
		return 0, fmt.Errorf("%w: allocation of %d bytes", ErrBounds, n)
	}
	return m.alloc(n).base, nil
}

func (m *Machine) alloc(n int) *allocation {
	a := &allocation{area: newArea(n), base: m.top}
	a.device = true
	m.top += uint64(n+511) &^ 255
	m.allocs = append(m.allocs, a) // ascending
	return a
}

// Free gives memory back; its address is never used again.
func (m *Machine) Free(address uint64) error {
	i, found := slices.BinarySearchFunc(m.allocs, address, func(a *allocation, x uint64) int {
		switch {
		case a.base < x:
			return -1
		case a.base > x:
			return 1
		}
		return 0
	})
	if !found {
		return fmt.Errorf("%w: free of %#x, where nothing begins", ErrBounds, address)
	}
	m.allocs = slices.Delete(m.allocs, i, i+1)
	m.last = nil
	return nil
}

// find is the allocation that holds n bytes at an address.
func (m *Machine) find(address uint64, n int) *allocation {
	if a := m.last; a != nil && address-a.base <= uint64(len(a.data)-n) && address >= a.base &&
		n <= len(a.data) {
		return a
	}
	low, high := 0, len(m.allocs)
	for low < high {
		mid := (low + high) / 2
		if m.allocs[mid].base <= address {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return nil
	}
	a := m.allocs[low-1]
	if n > len(a.data) || address-a.base > uint64(len(a.data)-n) {
		return nil
	}
	m.last = a
	return a
}

func (m *Machine) host(what string, address uint64, n int) (*allocation, int, error) {
	a := m.find(address, n)
	if a == nil {
		return nil, 0, fmt.Errorf("%w: %s of %d bytes at %#x: %s", ErrBounds, what, n,
			address, m.near(address))
	}
	return a, int(address - a.base), nil
}

// near says what lies around an address.
func (m *Machine) near(address uint64) string {
	if s, _ := narrow(address); s != global {
		return errSharedHost.Error()
	}
	for i := len(m.allocs) - 1; i >= 0; i-- {
		if a := m.allocs[i]; a.base <= address {
			return fmt.Sprintf("the allocation below is %d bytes at %#x", len(a.data), a.base)
		}
	}
	return "no allocation below"
}

// Write copies from the host.
func (m *Machine) Write(address uint64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	a, at, err := m.host("write", address, len(b))
	if err != nil {
		return err
	}
	copy(a.data[at:], b)
	clear(a.undefined[at : at+len(b)])
	return nil
}

// Read copies to the host. What was never written reads as noise.
func (m *Machine) Read(address uint64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	a, at, err := m.host("read", address, len(b))
	if err != nil {
		return err
	}
	copy(b, a.data[at:])
	return nil
}

// Memset writes n equal bytes.
func (m *Machine) Memset(address uint64, v byte, n int) error {
	if n == 0 {
		return nil
	}
	a, at, err := m.host("memset", address, n)
	if err != nil {
		return err
	}
	fill(a.data[at:at+n], v)
	clear(a.undefined[at : at+n])
	return nil
}

// Symbol finds a module's variable in device memory, where it is placed when
// the machine first sees the module.
func (m *Machine) Symbol(of *Module, name string) (address uint64, size int, err error) {
	for _, a := range m.place(of) {
		if a.name == name {
			return a.base, len(a.data), nil
		}
	}
	return 0, 0, fmt.Errorf("ptx: no variable %q in the module", name)
}

// place puts a module's variables into device memory, in their order.
func (m *Machine) place(of *Module) []*allocation {
	placed, ok := m.placed[of]
	if ok {
		return placed
	}
	for _, v := range of.data {
		a := m.alloc(v.size)
		a.name, a.readOnly = v.name, v.space == constBank
		clear(a.data)
		copy(a.data, v.init)
		clear(a.undefined)
		placed = append(placed, a)
	}
	m.placed[of] = placed
	return placed
}

// private is the local memory of a warp's lanes, one after the other.
type private struct {
	area
	each int
}
