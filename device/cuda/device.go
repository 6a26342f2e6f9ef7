// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
)

var (
	// ErrClosed reports the use of an engine or a model after its Close.
	ErrClosed = errors.New("cuda: closed")
	// ErrMemory reports a device with too little memory left.
	ErrMemory = errors.New("cuda: not enough device memory")
)

// slots is how many calls are under way on a device at a time, each on a thread,
// in a stream and in memory of its own: the end of one, which leaves most of the
// device idle, overlaps with the beginning of the next. One thread for all could
// not wait for one call and start another.
const slots = 2

// device owns a driver and the goroutines that alone talk to it, each locked to
// a thread, as threads are what a driver's context is bound to.
type device struct {
	driver driver
	memory uint64 // in all
	calls  chan call
	served sync.WaitGroup // the slots' goroutines
	result error          // of closing, once they have ended

	mu     sync.RWMutex // held to send to calls
	closed bool
}

// call is something to do on a device: start puts it on the slot's stream,
// finish runs when that is through.
type call struct {
	start, finish func(*slot) error
	done          chan<- error
}

// slot is a stream with its memory, which grows to what was needed most.
type slot struct {
	*device
	stream handle
	at     address
	bytes  uint64
	pinned []byte
}

// openDevice starts a device's goroutines.
func openDevice(driver driver) (*device, error) {
	d := &device{driver: driver, calls: make(chan call)}
	ready := make(chan error)
	for range slots {
		d.served.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with its context
			s := &slot{device: d}
			err := s.open()
			ready <- err
			if err == nil {
				s.serve()
			}
		})
	}
	var err error
	for range slots {
		err = errors.Join(err, <-ready)
	}
	if err == nil {
		err = d.do(func(s *slot) (err error) {
			_, d.memory, err = s.driver.memory()
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (s *slot) open() (err error) {
	if err = s.driver.bind(); err == nil {
		s.stream, err = s.driver.stream()
	}
	return err
}

// serve runs calls until there can be no more.
func (s *slot) serve() {
	for c := range s.calls {
		err := c.start(s)
		// Also after an error: what was started before it still runs.
		if werr := s.driver.wait(s.stream); err == nil {
			err = werr
		}
		if err == nil {
			err = c.finish(s)
		}
		c.done <- err
	}
}

// begin has a call done and gives where its error will be. It returns when a slot
// is free. Everything that the two functions use is the device's until the error
// is there.
func (d *device) begin(start, finish func(*slot) error) <-chan error {
	done := make(chan error, 1)
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		done <- ErrClosed
	} else {
		d.calls <- call{start, finish, done}
	}
	return done
}

// do has a call done and waits for it.
func (d *device) do(start func(*slot) error) error {
	return <-d.begin(start, func(*slot) error { return nil })
}

// each has n calls done, as many at a time as there are slots, and gives their
// errors in order to see, which returns whether to go on.
func (d *device) each(n int, begin func(i int) <-chan error, see func(i int, err error) bool) {
	var pending []<-chan error
	wanted := true
	for i := range n {
		if len(pending) == slots {
			wanted = see(i-slots, <-pending[0])
			pending = pending[1:]
		}
		if !wanted {
			break
		}
		pending = append(pending, begin(i))
		n = i + 1
	}
	for j, p := range pending {
		see(n-len(pending)+j, <-p)
	}
}

// close ends the goroutines when the calls before it are done, and frees all that
// the device holds.
func (d *device) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.calls)
		d.served.Wait()
		d.result = d.driver.close()
	}
	return d.result
}

// room returns device memory for what a call needs. what says for whom.
func (s *slot) room(bytes uint64, what string) (address, error) {
	if bytes <= s.bytes {
		return s.at, nil
	}
	if s.bytes > 0 {
		if err := s.driver.free(s.at); err != nil {
			return 0, err
		}
		s.bytes = 0
	}
	at, err := s.alloc(bytes, what)
	if err != nil {
		return 0, err
	}
	s.at, s.bytes = at, bytes
	return at, nil
}

// alloc is the driver's, with the figures in the error. Only in a call.
func (d *device) alloc(bytes uint64, what string) (address, error) {
	at, err := d.driver.alloc(bytes)
	if !errors.Is(err, ErrMemory) {
		return at, err
	}
	free, total, merr := d.driver.memory()
	if merr != nil {
		return 0, errors.Join(err, merr)
	}
	return 0, fmt.Errorf("%w: %s needs %d MiB, %d of %d MiB are free: end what else uses the "+
		"device, or use a smaller class",
		err, what, bytes>>20, free>>20, total>>20)
}

// host returns pinned memory.
func (s *slot) host(bytes int) ([]byte, error) {
	if bytes <= len(s.pinned) {
		return s.pinned[:bytes], nil
	}
	if len(s.pinned) > 0 {
		if err := s.driver.unpin(s.pinned); err != nil {
			return nil, err
		}
		s.pinned = nil
	}
	var err error
	if s.pinned, err = s.driver.pin(bytes); err != nil {
		return nil, err
	}
	return s.pinned, nil
}

// layout cuts a piece of device memory into parts.
type layout struct{ size uint64 }

// take adds a part and returns its offset. Parts begin at multiples of 256.
func (l *layout) take(bytes int) uint64 {
	at := l.size
	l.size += (uint64(bytes) + 255) &^ 255
	return at
}
