// SPDX-License-Identifier: Apache-2.0

// Package batch has the changes of a bolt file share their flushes.
//
// A flush takes as long as the disk takes, and a file has one at a time. What
// arrives during one is done in the next, all of it together: a change waits for
// two flushes at most, however many others want one. bolt's own DB.Batch gathers
// for a fixed time instead, and behind a slow disk its batches form a queue.
package batch

import (
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// Writer is safe for concurrent use.
type Writer struct {
	db *bolt.DB

	mu      sync.Mutex
	waiting []*change
	busy    bool // a goroutine is at it
}

type change struct {
	apply func(*bolt.Tx) error
	done  chan error // capacity 1
}

// New returns a writer of an open file, which the caller closes when no call is
// under way.
func New(db *bolt.DB) *Writer { return &Writer{db: db} }

// Do applies a change and returns when it is durable, or with its error, and
// then it has not happened. It may be applied more than once, the last time
// counting: when another change of the same flush fails, all are undone and the
// rest is done again.
func (w *Writer) Do(apply func(*bolt.Tx) error) error {
	c := &change{apply, make(chan error, 1)}
	w.mu.Lock()
	w.waiting = append(w.waiting, c)
	if !w.busy {
		w.busy = true
		go w.run()
	}
	w.mu.Unlock()
	return <-c.done
}

// run works until nobody waits.
func (w *Writer) run() {
	for {
		w.mu.Lock()
		list := w.waiting
		w.waiting = nil
		if len(list) == 0 {
			w.busy = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		for len(list) > 0 {
			list = w.flush(list)
		}
	}
}

// flush does changes in one transaction and answers them. When one fails it is
// answered, and what is left to do comes back.
func (w *Writer) flush(list []*change) []*change {
	failed := -1
	err := w.db.Update(func(tx *bolt.Tx) error {
		for i, c := range list {
			if err := safely(c.apply, tx); err != nil {
				failed = i
				return err
			}
		}
		return nil
	})
	if failed >= 0 {
		list[failed].done <- err
		return append(list[:failed:failed], list[failed+1:]...)
	}
	for _, c := range list {
		c.done <- err
	}
	return nil
}

// safely makes an error of a panic: it is one caller's, and everybody waits.
func safely(apply func(*bolt.Tx) error, tx *bolt.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("batch: panic: %v", p)
		}
	}()
	return apply(tx)
}
