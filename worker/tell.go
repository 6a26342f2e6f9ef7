// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"fmt"
	"sync"
	"time"
)

// teller tells who listens what happens, one by one and in order.
type teller struct {
	event    func(Event) // nil: nobody listens
	snapshot func(time.Time) Status

	mu      sync.Mutex // taken before the desk's
	history history    // of what was told
	missed  int        // events that found no room
	events  chan Event // for who listens
}

func newTeller(event func(Event), snapshot func(time.Time) Status) *teller {
	return &teller{event: event, snapshot: snapshot, events: make(chan Event, eventRoom)}
}

// follow tells what happened, and with full everything.
func (t *teller) follow(full bool) {
	if t.event == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.catchUp(full)
}

// tell tells of one event, after all that happened before. The caller holds no
// lock.
func (t *teller) tell(e Event) {
	if t.event == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.catchUp(false)
	e.Time = time.Now().UTC()
	t.hand(e)
}

// catchUp is follow for who holds mu.
func (t *teller) catchUp(full bool) {
	now := time.Now()
	s := t.snapshot(now)
	full = full || !t.history.begun
	events := t.history.follow(s)
	if full {
		e := event("snapshot", "", "", "")
		e.Status = &s
		events = append([]Event{e}, events...)
	}
	for _, e := range events {
		e.Time = now.UTC()
		t.hand(e)
	}
}

// eventRoom is how many events wait for who takes them.
const eventRoom = 1024

// hand puts an event into the queue. What listens may be slow, or stand still: no
// device waits for it, and what finds no room is counted. The caller holds mu.
func (t *teller) hand(e Event) {
	if t.missed > 0 {
		lost := event("missed", fmt.Sprintf("%d events before this one were not taken in time",
			t.missed), "", "")
		lost.Time = e.Time
		select {
		case t.events <- lost:
			t.missed = 0
		default:
		}
	}
	select {
	case t.events <- e:
	default:
		t.missed++
	}
}

// listener hands events to who takes them until they end, which over tells.
func (t *teller) listener() (over <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range t.events {
			t.event(e)
		}
	}()
	return done
}

// stopped tells the end, after all that tells has ended.
func (t *teller) stopped(err error) {
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	s := t.snapshot(time.Now())
	t.tell(event("stopped", reason, "", s.left()))
	close(t.events)
}
