// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"cmp"
	"fmt"
	"time"
)

// heat is why a device pauses for its temperature. It belongs to Runner.mu.
type heat struct {
	hot      string // why it pauses
	hotUntil string
	// felt says that its temperature could be read, blind since when it cannot be any longer, and
	// unguarded why not.
	felt      bool
	blind     time.Time
	unguarded string
	gauges    Gauges
}

// Sense reads the device's sensors, and reports whether it pauses or resumes for what they say. One
// goroutine at a time calls it.
func (r *Runner) Sense(now time.Time) (turned bool) {
	if r.Device.Gauges == nil {
		return false
	}
	g, err := r.Device.Gauges(now)
	if err != nil {
		g = Gauges{} // nothing is known now; a device that was too hot stays paused
	}
	return r.feel(g, err, now)
}

// blindTime is how long a device computes on when its temperature cannot be read any longer.
const blindTime = time.Minute

// readable ends the pause of a device whose temperature cannot be read.
const readable = "it can be read again"

// feel takes a reading, or why there is none, and reports whether it pauses or resumes the device.
func (r *Runner) feel(g Gauges, why error, now time.Time) (turned bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gauges = g
	if r.TempLimit == 0 {
		return false
	}
	hot, until := r.hot, fmt.Sprintf("it is below %d °C", r.TempResume)
	t := g.TemperatureC
	switch {
	case t == nil && !r.felt:
		r.unguarded = cmp.Or(reasonOf(why), "its sensors do not show a temperature")
	case t == nil && r.blind.IsZero():
		r.blind = now
		r.unguarded = fmt.Sprintf("its temperature cannot be read since %s%s",
			now.Format(time.TimeOnly), inBrackets(why))
		r.logger.Warn("temperature", "device", r.ID, "lost", true, "reason", r.unguarded,
			"pauses in", blindTime)
	case t == nil && now.Sub(r.blind) >= blindTime && hot == "":
		hot, until = r.unguarded+", so its limit could not act", readable
	case t == nil:
		until = r.hotUntil
	case *t >= r.TempLimit:
		hot = fmt.Sprintf("%s reached %d °C, the limit is %d °C", cmp.Or(g.Hottest, "it"),
			*t, r.TempLimit)
	case *t < r.TempResume || r.hotUntil == readable:
		hot = ""
	}
	if t != nil {
		r.felt, r.blind, r.unguarded = true, time.Time{}, ""
	}
	turned = (hot == "") != (r.hot == "")
	r.hot, r.hotUntil = hot, until
	if turned {
		r.logger.Warn("temperature", "device", r.ID, "paused", hot != "", "reason", hot)
	}
	return turned
}

// tooHot says why a device pauses. The caller holds mu.
func (r *Runner) tooHot() string {
	if r.hotUntil == readable {
		return r.ID + ": " + r.hot
	}
	return r.ID + " is too hot: " + r.hot
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func inBrackets(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// warning is what protects a device less than its owner may think; empty is nothing. The caller
// holds mu.
func (r *Runner) warning() string {
	if r.TempLimit == 0 || r.Engine == nil {
		return ""
	}
	why := r.unguarded
	if r.Device.Gauges == nil {
		why = cmp.Or(r.NoGauges, "no sensors are known")
	}
	if why == "" {
		return ""
	}
	return fmt.Sprintf("its limit of %d °C cannot act: %s", r.TempLimit, why)
}
