// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrFull says that the room is taken by messages that are being answered.
	ErrFull = errors.New("gate: too many large messages at once")
	// ErrSlow says that a message came too slowly, or was the one longest under way
	// when the room was full.
	ErrSlow = errors.New("gate: the message came too slowly")
)

const (
	// small is what a message has without asking for room.
	small = 16 << 10
	// A message must grow by step, or end, within stall.
	step  = 64 << 10
	stall = 5 * time.Second
)

// Room bounds the memory that large messages hold while they arrive and are
// answered. When it is full the message longest under way is cut off: who sends
// slowly, in order to hold memory, goes before who sends as fast as he can. It is
// safe for concurrent use.
type Room struct {
	mu       sync.Mutex
	left     int64
	arriving []*message // that hold room, the longest under way first
}

type message struct {
	began time.Time
	bytes int64 // held; under Room.mu
	cut   bool  // under Room.mu
	abort func()
}

// NewRoom makes room for so many bytes.
func NewRoom(bytes int64) *Room { return &Room{left: bytes} }

// chunks are what messages beyond step are read into: most of what is sent to hold
// memory is never joined, and leaves no garbage.
var chunks = sync.Pool{New: func() any { return new([step]byte) }}

// Read reads a message to its end. A large one takes from the room that choose
// names, which is asked once, and holds it until free is called, which an error
// has done. abort makes a read under way fail; it is called from elsewhere, and
// perhaps when the read is over. Errors wrap ErrFull or ErrSlow, or are from's.
func Read(from io.Reader, choose func() *Room, abort func()) (body []byte, free func(), err error) {
	var (
		room  *Room
		slow  atomic.Bool
		parts []*[step]byte // full but for the last, which is read into
		m     = &message{began: time.Now(), abort: abort}
	)
	timer := time.AfterFunc(stall, func() { slow.Store(true); abort() })
	defer timer.Stop()
	free = func() {
		if room != nil {
			room.free(m)
		}
	}
	defer func() {
		for _, part := range parts {
			chunks.Put(part)
		}
	}()
	hold := func(bytes int) error {
		if bytes <= small {
			return nil
		}
		if room == nil {
			room = choose()
		}
		return room.take(m, int64(bytes))
	}
	body = make([]byte, 0, 512) // the last part's, or all there is
	size := 0                   // of the full parts
	for next := step; ; {
		if len(body) == cap(body) {
			if cap(body) < step {
				grown := 2 * cap(body)
				if err = hold(grown); err != nil {
					break
				}
				body = append(make([]byte, 0, grown), body...)
			} else {
				if err = hold(size + len(body) + step); err != nil {
					break
				}
				if parts == nil {
					first := chunks.Get().(*[step]byte)
					copy(first[:], body)
					parts = append(parts, first)
				}
				size += len(body)
				parts = append(parts, chunks.Get().(*[step]byte))
				body = parts[len(parts)-1][:0]
			}
		}
		n, failed := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if failed == io.EOF {
			if room != nil && !room.arrived(m) {
				err = ErrSlow
				break
			}
			if parts == nil {
				return body, free, nil
			}
			whole := make([]byte, 0, size+len(body))
			for _, part := range parts[:len(parts)-1] {
				whole = append(whole, part[:]...)
			}
			return append(whole, body...), free, nil
		}
		if err = failed; err != nil {
			if slow.Load() || room != nil && room.wasCut(m) {
				err = ErrSlow
			}
			break
		}
		if size+len(body) >= next {
			next = size + len(body) + step
			timer.Reset(stall)
		}
	}
	free()
	return nil, func() {}, err
}

// take makes a message hold so many bytes in all.
func (r *Room) take(m *message, bytes int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.cut {
		return ErrSlow
	}
	if m.bytes == 0 {
		at, _ := slices.BinarySearchFunc(r.arriving, m, func(a,
			b *message) int {
			return a.began.Compare(b.began)
		})
		r.arriving = slices.Insert(r.arriving, at, m)
	}
	for need := bytes - m.bytes; r.left < need; {
		oldest := r.arriving[0] // m is there
		if oldest == m {
			r.remove(m)
			if len(r.arriving) == 0 {
				return ErrFull
			}
			return ErrSlow
		}
		oldest.cut = true
		r.remove(oldest)
		oldest.abort()
	}
	r.left -= bytes - m.bytes
	m.bytes = bytes
	return nil
}

// remove gives back what a message that is arriving holds. The caller holds mu.
func (r *Room) remove(m *message) {
	if at := slices.Index(r.arriving, m); at >= 0 {
		r.arriving = slices.Delete(r.arriving, at, at+1)
	}
	r.left += m.bytes
	m.bytes = 0
}

// arrived ends a message's time among those that can be cut, and reports whether it
// was not.
func (r *Room) arrived(m *message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := slices.Index(r.arriving, m); at >= 0 {
		r.arriving = slices.Delete(r.arriving, at, at+1)
	}
	return !m.cut
}

func (r *Room) wasCut(m *message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.cut
}

func (r *Room) free(m *message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(m)
}
