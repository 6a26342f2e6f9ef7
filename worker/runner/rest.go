// SPDX-License-Identifier: Apache-2.0

package runner

import "time"

// rest is a device's pause after two results for one unit. Memory flips bits, so
// one does not put it out of use; it is longer each time, until enough units were
// the same both times, and the last is for good.
type rest struct {
	why   string // "" while it works
	until time.Time
	times int // in a row
	same  int // units since the last
}

const (
	firstRest = time.Minute
	mostRests = 5
	sameUnits = 16
)

// unstable has the device rest, and reports whether it may go on afterwards.
func (r *Runner) unstable(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rest.times++; r.rest.times >= mostRests {
		return false
	}
	d := firstRest << (r.rest.times - 1)
	r.rest.why, r.rest.until, r.rest.same = err.Error(), time.Now().Add(d), 0
	time.AfterFunc(d, func() {
		r.mu.Lock()
		r.rest.why = ""
		r.changed()
		r.mu.Unlock()
		r.Wake()
	})
	r.changed()
	r.logger.Warn("a device rests", "device", r.ID, "reason", err, "for", d)
	return true
}

// halted says why a device takes no work, and until when; "" if it does. The
// caller holds mu.
func (r *Runner) halted() (reason, until string) {
	switch {
	case r.hot != "":
		return r.hot, r.hotUntil
	case r.rest.why != "":
		return "it rests: " + r.rest.why, r.rest.until.UTC().Format(time.RFC3339)
	}
	return "", ""
}
