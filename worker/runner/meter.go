// SPDX-License-Identifier: Apache-2.0

package runner

import "time"

// meter counts units in one-second slots over the last minute.
type meter struct {
	slots [60]struct {
		second int64
		units  uint64
	}
	since int64 // the second counting began, or began again after a minute's pause
}

func (r *meter) add(now time.Time, units uint64) {
	second := now.Unix()
	if r.sum(second) == 0 {
		r.since = second
	}
	slot := &r.slots[second%60]
	if slot.second != second {
		slot.second, slot.units = second, 0
	}
	slot.units += units
}

func (r *meter) sum(second int64) (units uint64) {
	for _, s := range r.slots {
		if s.second > second-60 && s.second <= second {
			units += s.units
		}
	}
	return units
}

// milli is units per 1,000 seconds over the last minute, or since counting began.
func (r *meter) milli(now time.Time) uint64 {
	second := now.Unix()
	span := min(60, second-r.since+1)
	if span < 1 {
		return 0 // the clock was set back
	}
	return r.sum(second) * 1000 / uint64(span)
}
