// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	var r meter
	at := func(s int64) time.Time { return time.Unix(1_000_000+s, 0) }
	if got := r.milli(at(0)); got != 0 {
		t.Errorf("before anything: %d", got)
	}
	for s := range int64(10) {
		r.add(at(s), 5)
		r.add(at(s), 5)
	}
	if got := r.milli(at(9)); got != 10_000 {
		t.Errorf("10 units a second for 10 seconds: %d per 1,000 s", got)
	}
	if got := r.milli(at(39)); got != 100_000/40 {
		t.Errorf("after 30 seconds of nothing: %d", got)
	}
	if got := r.milli(at(100)); got != 0 {
		t.Errorf("a minute later: %d", got)
	}
	r.add(at(200), 3)
	if got := r.milli(at(200)); got != 3000 {
		t.Errorf("counting again: %d", got)
	}
	if got := r.milli(at(-50)); got != 0 {
		t.Errorf("clock set back: %d", got)
	}
}
