// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/poc/work"
)

// quiet is a Runner that nobody looks at.
func quiet(d Device) *Runner {
	return New(Config{Device: d, Changed: func() {}, Logger: slog.New(slog.DiscardHandler)})
}

func TestFeel(t *testing.T) {
	r, free := quiet(Device{ID: "x", TempLimit: 85, TempResume: 75}), quiet(Device{ID: "y"})
	now := time.Now()
	for i, c := range []struct {
		t    *int64
		hot  bool
		turn bool
	}{
		{new(int64(84)), false, false}, {new(int64(85)), true, true}, {new(int64(90)), true, false},
		{nil, true, false},
		{new(int64(75)), true, false}, {new(int64(74)), false, true}, {nil, false, false},
		{new(int64(84)), false, false},
	} {
		if turn := r.feel(Gauges{TemperatureC: c.t}, nil, now); turn != c.turn ||
			(r.hot != "") != c.hot {
			t.Errorf("reading %d: turned %v, hot %q", i, turn, r.hot)
		}
	}
	if free.feel(Gauges{TemperatureC: new(int64(150))}, nil, now) {
		t.Error("a limit where none is set")
	}
}

// A limit that cannot act is said: where there never was a temperature, and from the moment when it
// is lost. Then the device pauses after a minute, until it can be read again.
func TestALimitWithoutASensor(t *testing.T) {
	sensors := func(time.Time) (Gauges, error) { return Gauges{}, nil }
	lost := quiet(Device{ID: "lost", Engine: work.Reference(), TempLimit: 85, TempResume: 75,
		Gauges: sensors})
	none := quiet(Device{ID: "none", Engine: work.Reference(), TempLimit: 85, TempResume: 75,
		NoGauges: "no driver"})
	dark := quiet(Device{ID: "dark", Engine: work.Reference(), TempLimit: 85, TempResume: 75,
		Gauges: sensors})
	free := quiet(Device{ID: "free", Engine: work.Reference(), NoGauges: "no driver"})
	began := time.Now()
	broken := errors.New("the card fell off the bus")
	for i, c := range []struct {
		after time.Duration
		t     *int64
		hot   string // part of it
		warns bool
	}{
		{0, new(int64(60)), "", false},
		{time.Second, nil, "", true},
		{60 * time.Second, nil, "", true},
		{61 * time.Second, nil, "cannot be read since", true},
		{62 * time.Second, new(int64(80)), "", false}, // below the limit
		{63 * time.Second, new(int64(90)), "reached 90 °C", false},
		{64 * time.Second, nil, "reached 90 °C", true},
		{300 * time.Second, nil, "reached 90 °C", true},
		{301 * time.Second, new(int64(80)), "reached 90 °C", false},
		{302 * time.Second, new(int64(70)), "", false},
	} {
		var why error
		if c.t == nil {
			why = broken
		}
		lost.feel(Gauges{TemperatureC: c.t, Hottest: "junction"}, why, began.Add(c.after))
		if (c.hot == "") != (lost.hot == "") || !strings.Contains(lost.hot, c.hot) ||
			(lost.warning() != "") != c.warns {
			t.Errorf("step %d: hot %q, until %q, warning %q", i, lost.hot,
				lost.hotUntil, lost.warning())
		}
		if c.warns && !strings.Contains(lost.warning(), "its limit of 85 °C cannot act") {
			t.Errorf("step %d: %q", i, lost.warning())
		}
	}
	for range 3 { // minutes
		dark.feel(Gauges{PowerMilliwatt: new(int64(9))}, nil, began.Add(10*time.Minute))
	}
	if dark.hot != "" || !strings.Contains(dark.warning(), "do not show a temperature") {
		t.Errorf("never a temperature: hot %q, %q", dark.hot, dark.warning())
	}
	if none.warning() != "its limit of 85 °C cannot act: no driver" || free.warning() != "" {
		t.Errorf("%q, %q", none.warning(), free.warning())
	}
}
