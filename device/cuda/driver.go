// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"encoding/binary"
	"fmt"
)

// driver is one device as the engine sees it. What is started on a stream goes on
// by itself, in order; nothing may be said of its results, and no memory that it
// uses may be touched, before wait. A failure of a kernel may show only then.
//
// Methods may be called on several goroutines, each of them locked to a thread on
// which bind was called first. close needs no such thread; it is the last call.
type driver interface {
	bind() error

	// memory is what is free now and what there is, in bytes.
	memory() (free, total uint64, err error)
	// alloc's errors wrap errMemory where there is not enough.
	alloc(bytes uint64) (address, error)
	free(address) error
	// pin gives memory of the host's that upload and download can use.
	pin(bytes int) ([]byte, error)
	unpin([]byte) error

	// load compiles a module. Its kernels live until close.
	load(name, ptx string) (module handle, err error)
	// kernel finds one and lets it use so much dynamic shared memory.
	kernel(module handle, name string, shared uint32) (handle, error)

	stream() (handle, error)
	launch(stream, kernel handle, l launch) error
	upload(stream handle, dst address, src []byte) error
	download(stream handle, dst []byte, src address) error
	wait(stream handle) error

	// mark notes the moment when what was started before it is done; elapsed is
	// the seconds between two, once both have passed.
	mark(stream handle) (event handle, err error)
	elapsed(from, to handle) (seconds float64, err error)

	// close gives everything back.
	close() error
}

// address is one in a device's memory.
type address uint64

// handle is a thing of the driver's.
type handle uintptr

// launch is a grid of one dimension.
type launch struct {
	ctas, threads, shared uint32
	parameters            []byte // laid out as in C
}

// parameters lays out a kernel's: addresses and integers at multiples of their
// size, arrays of words (a struct by value) at multiples of four.
func parameters(values ...any) []byte {
	var block []byte
	align := func(n int) {
		for len(block)%n != 0 {
			block = append(block, 0)
		}
	}
	le := binary.LittleEndian
	for _, value := range values {
		switch v := value.(type) {
		case address:
			align(8)
			block = le.AppendUint64(block, uint64(v))
		case uint64:
			align(8)
			block = le.AppendUint64(block, v)
		case uint32:
			align(4)
			block = le.AppendUint32(block, v)
		case []uint32:
			align(4)
			for _, word := range v {
				block = le.AppendUint32(block, word)
			}
		default:
			panic(fmt.Sprintf("cuda: a kernel takes no %T", value))
		}
	}
	return block
}
