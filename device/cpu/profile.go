// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// errNone reports a device that is not there.
var errNone = errors.New("cpu: no such device")

// Devices are all cores as one device, whose driver is the engines that it has
// instructions for; or none where the reference is all there is.
func Devices() ([]profile.Device, error) {
	var names []string
	for _, s := range sets() {
		names = append(names, s.name)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return []profile.Device{{Name: brand(), Driver: strings.Join(names, ", "),
		Units: runtime.NumCPU()}}, nil
}

// Open gives the fastest engine of device 0, not yet self-tested; see New.
func Open(_ context.Context, index int) (profile.Engine, error) {
	engines := Engines()
	if index != 0 || len(engines) == 0 {
		return nil, fmt.Errorf("%w: %d", errNone, index)
	}
	return engines[0], nil
}

// part names what a core's time goes into.
type part int

const (
	expanding part = iota
	multiplying
	condensing
	hashing
	parts
)

// meter adds up all cores' time. A nil one measures nothing.
type meter [parts]atomic.Int64

func (m *meter) start() (t time.Time) {
	if m != nil {
		t = time.Now()
	}
	return t
}

// add counts the time since the start, which moves on.
func (m *meter) add(p part, start *time.Time) {
	if m != nil {
		now := time.Now()
		m[p].Add(int64(now.Sub(*start)))
		*start = now
	}
}

// Parts measures one unit on all cores: what each of them spent on a part, on
// average.
func (e *engine) Parts(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) (profile.Parts, error) {
	if err := shape.Valid(); err != nil {
		return profile.Parts{}, err
	}
	var m meter
	tiles := make([][32]byte, shape.Tiles())
	if err := e.tiles(ctx, tiles, challenge, shape, unit, &m); err != nil {
		return profile.Parts{}, err
	}
	cores := time.Duration(runtime.GOMAXPROCS(0))
	share := func(p part) time.Duration { return time.Duration(m[p].Load()) / cores }
	start := time.Now()
	Root(tiles) // on one core
	return profile.Parts{
		Expand:   share(expanding),
		Product:  share(multiplying),
		Condense: share(condensing),
		Hash:     share(hashing) + time.Since(start),
	}, nil
}

// Peak measures what all cores issue together when nothing keeps them waiting:
// the sum of the best of a few short runs on each.
func (e *engine) Peak(ctx context.Context) (profile.Peak, error) {
	const runs, rounds = 5, 1 << 21
	cores := runtime.GOMAXPROCS(0)
	best := make([]float64, cores)
	var running sync.WaitGroup
	for i := range best {
		running.Go(func() {
			for range runs {
				if ctx.Err() != nil {
					return
				}
				start := time.Now()
				e.set.peak(rounds)
				best[i] = max(best[i], float64(rounds*e.set.peakOps)/time.Since(start).Seconds())
			}
		})
	}
	running.Wait()
	if err := ctx.Err(); err != nil {
		return profile.Peak{}, err
	}
	p := profile.Peak{How: fmt.Sprintf("measured just now: %s alone, on %d cores",
		e.set.issues, cores)}
	for _, ops := range best {
		p.Ops += ops
	}
	return p, nil
}
