// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaynet/assay/worker/pool"
)

// A device that gives two results now and then rests, longer each time, and works
// on; one that does so again and again is out of use.
func TestUnstableDevicesRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet(Device{ID: "cuda:0"})
		flip := func(want time.Duration, on bool) {
			t.Helper()
			began := time.Now()
			if got := r.unstable(pool.ErrUnstable); got != on {
				t.Errorf("it goes on: %t", got)
			}
			reason := r.State(time.Now(), nil).Halted
			if !on {
				return
			}
			if reason == "" {
				t.Error("it does not rest")
			}
			<-r.wake
			if got := time.Since(began); got != want {
				t.Errorf("it rested %s, want %s", got, want)
			}
			if r.State(time.Now(), nil).Halted != "" {
				t.Error("it rests still")
			}
		}
		flip(time.Minute, true)
		flip(2*time.Minute, true)
		r.rest.times = 0 // as after sameUnits
		for i := range mostRests - 1 {
			flip(time.Minute<<i, true)
		}
		flip(0, false)
	})
}
