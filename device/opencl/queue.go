// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// queue is a command queue, in order: a command starts when the ones before it
// are done, so buffers may be used again as soon as the next command is queued.
// It is not safe for concurrent use.
type queue struct {
	api    *api
	handle handle
	timed  bool // keep an event for each kernel
	events []timedEvent
}

type timedEvent struct {
	kernel string
	event  handle
}

// kernel is a function of the program.
type kernel struct {
	name   string
	handle handle
}

// buffer is device memory.
type buffer struct {
	handle handle
	size   uint64
}

// run queues a kernel; global and local are work-items, local 0 leaves the size
// of groups to the driver. Arguments are buffers, uint32, int32, uint64 and
// arrays of four or eight uint32, as the kernel declares them.
func (q *queue) run(k *kernel, global [2]int, local int, args ...any) error {
	for i, arg := range args {
		var size uintptr
		var value unsafe.Pointer
		switch v := arg.(type) {
		case buffer:
			size, value = unsafe.Sizeof(v.handle), unsafe.Pointer(&v.handle)
		case uint32:
			size, value = 4, unsafe.Pointer(&v)
		case int32:
			size, value = 4, unsafe.Pointer(&v)
		case uint64:
			size, value = 8, unsafe.Pointer(&v)
		case [4]uint32:
			size, value = 16, unsafe.Pointer(&v)
		case [8]uint32:
			size, value = 32, unsafe.Pointer(&v)
		default:
			panic(fmt.Sprintf("opencl: argument %d of %s is a %T", i, k.name, arg))
		}
		if c := q.api.setArg(k.handle, uint32(i), size, value); c != 0 {
			return failed(fmt.Sprintf("argument %d of %s", i, k.name), c)
		}
	}
	sizes := [2]uintptr{uintptr(global[0]), uintptr(global[1])}
	groups := [2]uintptr{uintptr(local), 1}
	var localSize *uintptr
	if local > 0 {
		localSize = &groups[0]
	}
	var event *handle
	if q.timed {
		event = new(handle)
	}
	dimensions := uint32(2)
	if global[1] == 1 {
		dimensions = 1
	}
	if c := q.api.run(q.handle, k.handle, dimensions, nil, &sizes[0], localSize,
		0, 0, event); c != 0 {
		return failed("starting "+k.name, c)
	}
	if q.timed {
		q.events = append(q.events, timedEvent{k.name, *event})
	}
	return nil
}

// transfer is what one call copies to the device and back. What it copies stays
// where it is until wait or abandon has returned, one of which is called once.
type transfer struct {
	queue *queue
	event handle
	pins  runtime.Pinner
}

// write queues the copying of src to a buffer's start; src must not change
// until wait has returned.
func write[T any](t *transfer, to buffer, src []T) error {
	t.pins.Pin(&src[0])
	size := uintptr(len(src)) * unsafe.Sizeof(src[0])
	return failed("writing inputs", t.queue.api.writeBuffer(t.queue.handle, to.handle, 0, 0, size,
		unsafe.Pointer(&src[0]), 0, 0, nil))
}

// read queues the copying of a buffer's start to dst, the last command of a
// transfer, and starts the device on all of them.
func read[T any](t *transfer, dst []T, from buffer) error {
	t.pins.Pin(&dst[0])
	size := uintptr(len(dst)) * unsafe.Sizeof(dst[0])
	if c := t.queue.api.readBuffer(t.queue.handle, from.handle, 0, 0, size, unsafe.Pointer(&dst[0]),
		0, 0, &t.event); c != 0 {
		return failed("reading results", c)
	}
	return failed("starting the queue", t.queue.api.flush(t.queue.handle))
}

// wait returns when the transfer's read is done.
func (t *transfer) wait() error {
	defer t.pins.Unpin()
	c := t.queue.api.waitForEvents(1, &t.event)
	t.queue.api.releaseEvent(t.event)
	return failed("waiting for the device", c)
}

// abandon returns when nothing of the transfer is under way any longer.
func (t *transfer) abandon() {
	defer t.pins.Unpin()
	t.queue.api.finish(t.queue.handle)
	if t.event != 0 {
		t.queue.api.releaseEvent(t.event)
	}
}

// times waits for all that is queued and adds up the time of each kernel.
func (q *queue) times() (map[string]time.Duration, error) {
	c := q.api.finish(q.handle)
	sum := make(map[string]time.Duration)
	for _, e := range q.events {
		var began, ended uint64
		if c == 0 {
			c = q.api.getProfilingInfo(e.event, profilingStart, 8, &began, nil)
		}
		if c == 0 {
			c = q.api.getProfilingInfo(e.event, profilingEnd, 8, &ended, nil)
		}
		sum[e.kernel] += time.Duration(ended - began)
		q.api.releaseEvent(e.event)
	}
	q.events = nil
	return sum, failed("timing kernels", c)
}

// ptr is for values that C reads while it is called.
func ptr[T any](v *T) unsafe.Pointer { return unsafe.Pointer(v) }
