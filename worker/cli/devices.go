// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/device/telemetry"
	"github.com/assaynet/assay/worker"
)

// deviceList is --device: repeated, or several with commas.
type deviceList []string

func (l *deviceList) String() string { return strings.Join(*l, ",") }

func (l *deviceList) Set(s string) error {
	for id := range strings.SplitSeq(s, ",") {
		if id = strings.TrimSpace(id); id == "" {
			return fmt.Errorf("an empty device name")
		}
		if !slices.Contains(*l, id) {
			*l = append(*l, id)
		}
	}
	return nil
}

func (c Command) deviceFlag(f *flag.FlagSet) *deviceList {
	l := new(deviceList)
	f.Var(l, "device", "device to use, repeated or with commas: "+
		strings.Join(device.Names(c.backends()), ", ")+", all; default every GPU that passes its "+
		"self-test, the cpu where there is none")
	return l
}

// backends are where devices come from; an Engine stands for the processor.
func (c Command) backends() []device.Backend {
	if c.Engine == nil {
		return c.Backends
	}
	return []device.Backend{{
		Name: device.CPU,
		Devices: func() ([]profile.Device, error) {
			return []profile.Device{{Name: c.Engine.Name(), Driver: "none"}}, nil
		},
		Open: func(context.Context, int) (profile.Engine, error) {
			if known, ok := c.Engine.(profile.Engine); ok {
				return known, nil
			}
			return device.Plain(c.Engine), nil
		},
	}}
}

// choose opens the devices that are wanted.
func (c Command) choose(ctx context.Context, wishes []string,
	sensors *telemetry.Sensors) (device.Choice, error) {
	return device.Choose(ctx, c.backends(), wishes, sensors.Cards())
}

// lookTime is how often devices that are not there are looked for.
const lookTime = 5 * time.Second

// await is choose for a worker, which may be started before the driver of its devices is: it looks
// for devices that are not there until they are, or ctx ends. tell gets the reason, once while it
// stays the same.
func (c Command) await(ctx context.Context, wishes []string, sensors *telemetry.Sensors,
	tell func(error)) (device.Choice, error) {
	for told := ""; ; {
		choice, err := c.choose(ctx, wishes, sensors)
		if !errors.Is(err, device.ErrAbsent) || ctx.Err() != nil {
			return choice, err
		}
		if err.Error() != told {
			tell(err)
			told = err.Error()
		}
		select {
		case <-ctx.Done():
			return choice, ctx.Err()
		case <-time.After(cmp.Or(c.look, lookTime)):
		}
	}
}

// sensors are those of this machine.
func (c Command) sensors() *telemetry.Sensors { return telemetry.Open(cmp.Or(c.Sys, "/sys")) }

// reader finds a device's sensors.
func reader(sensors *telemetry.Sensors, d device.Device) (*telemetry.Reader, error) {
	if !d.GPU() {
		return sensors.CPU()
	}
	return sensors.GPU(d.PCI)
}

// threads is how many slices a device wants at a time: a GPU spreads one over all
// of it, an engine of the processor stays on a core.
func threads(d device.Device) int {
	if d.GPU() {
		return 1
	}
	return runtime.GOMAXPROCS(0)
}

// limits are temperatures in °C.
type limits struct {
	limit, resume int64
	asked         bool // for processors too, which regulate themselves
}

// devices makes the worker's of what was chosen.
func devices(choice device.Choice, sensors *telemetry.Sensors, slices int,
	hot limits) (all []worker.Device) {
	for _, o := range choice.Use {
		d := worker.Device{ID: o.ID, Name: o.Name, Engine: o.Engine, Threads: threads(o.Device)}
		if slices > 0 && !o.GPU() {
			d.Threads = slices
		}
		r, err := reader(sensors, o.Device)
		if err != nil {
			d.NoGauges = err.Error()
		} else {
			d.Gauges = func(now time.Time) (worker.Gauges, error) {
				s, err := r.Read(now)
				return worker.Gauges(s), err
			}
		}
		if o.GPU() || hot.asked {
			d.TempLimit, d.TempResume = hot.limit, hot.resume
		}
		all = append(all, d)
	}
	for _, r := range choice.Out {
		all = append(all, worker.Device{ID: r.ID, Name: r.Name, Fault: r.Err.Error()})
	}
	return all
}
