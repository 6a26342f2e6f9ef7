// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/device/telemetry"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// errBench reports a measurement that could not be made.
var errBench = errors.New("bench")

// figures are what bench prints.
type figures struct {
	Version  string          `json:"version"`
	System   string          `json:"system"`
	Complete bool            `json:"complete"`       // not interrupted
	Busy     string          `json:"busy,omitempty"` // why the figures are too low
	Devices  []deviceFigures `json:"devices"`
}

// deviceFigures are one device's. Operations are nominal, a multiplication and an
// addition being two: what is credited.
type deviceFigures struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Driver  string        `json:"driver"`
	Engine  string        `json:"engine"`
	PeakOps float64       `json:"peak_ops_per_s,omitempty"`
	PeakHow string        `json:"peak_how"` // how it is known, or why it is not
	Work    []measurement `json:"work"`
}

type measurement struct {
	Work        string  `json:"work"` // transformer/1 or matmul/1
	Of          string  `json:"of"`   // class or shape
	Units       uint64  `json:"units"`
	Seconds     float64 `json:"seconds"`
	BuildMS     int64   `json:"build_ms,omitempty"` // of the model
	UnitsPerSec float64 `json:"units_per_s"`
	OpsPerSec   float64 `json:"ops_per_s"`
	OfPeak      float64 `json:"of_peak,omitempty"` // 0..1
	// The bare product of matmul/1, one unit's alone, where the engine tells.
	ProductOpsPerSec float64 `json:"product_ops_per_s,omitempty"`
	// Shares of a unit's time, 0..1, of matmul/1 where the engine tells.
	Expand   float64 `json:"expand,omitempty"`
	Product  float64 `json:"product,omitempty"`
	Condense float64 `json:"condense,omitempty"`
	Hash     float64 `json:"hash,omitempty"`
	// Energy by the device's own counter.
	Joules      float64 `json:"joules,omitempty"`
	OpsPerJoule float64 `json:"ops_per_j,omitempty"`
	Failed      string  `json:"failed,omitempty"`
}

func (c Command) bench(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := c.flags("bench", stderr)
	chosen := c.deviceFlag(f)
	classNames := f.String("class", "nano,small", "model classes of transformer/1, with commas; "+
		"empty for none")
	shapeNames := f.String("shape", "1024,4096", "shapes of matmul/1, N or MxKxQ, with commas; "+
		"empty for none")
	seconds := f.Float64("seconds", 3, "time of each measurement")
	home := homeFlag(f)
	asJSON := f.Bool("json", false, "print JSON")
	if err := parse(f, args); err != nil {
		return err
	}
	classes, shapes, err := parseWork(*classNames, *shapeNames)
	if err == nil && !(*seconds > 0) {
		err = fmt.Errorf("--seconds %g is no time", *seconds)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", f.Name(), err)
		return errUsage
	}
	load, _ := os.ReadFile("/proc/loadavg") // before our own; there is none but on Linux
	busy := busy(string(load), runtime.NumCPU())
	if s, _, err := c.running(ctx, *home); err == nil && s.Paused == "" {
		busy = "a worker runs on " + *home + "; " + c.Name + " pause stops it for the time"
	}
	if busy != "" {
		fmt.Fprintf(stderr, "%s: figures are too low: %s\n", c.Name, busy)
	}
	sensors := c.sensors()
	choice, err := c.choose(ctx, *chosen, sensors)
	if err != nil {
		return err
	}
	for _, note := range choice.Notes {
		fmt.Fprintf(stderr, "%s: %s\n", c.Name, note)
	}
	t := figures{Version: version(), Busy: busy,
		System: fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())}
	for _, o := range choice.Use {
		b := &deviceBench{Opened: o, length: time.Duration(*seconds * float64(time.Second)),
			progress: stderr}
		if r, err := reader(sensors, o.Device); err == nil {
			b.sensors = r
		}
		t.Devices = append(t.Devices, b.measure(ctx, classes, shapes))
	}
	t.Complete = ctx.Err() == nil
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(t)
	} else {
		_, err = io.WriteString(stdout, t.String())
	}
	err = errors.Join(err, choice.Close())
	switch {
	case err != nil:
		return err
	case !t.Complete:
		return fmt.Errorf("%w: interrupted; the figures are what was measured until then", errBench)
	case slices.ContainsFunc(t.Devices, func(d deviceFigures) bool {
		return slices.ContainsFunc(d.Work, func(m measurement) bool { return m.Failed != "" })
	}):
		return fmt.Errorf("%w: some measurements failed", errBench)
	}
	return nil
}

// busy says that others use more than half of the cores, by a line of Linux's
// /proc/loadavg; empty where they do not, or where it is not known.
func busy(loadavg string, cores int) string {
	first, _, _ := strings.Cut(loadavg, " ")
	if load, err := strconv.ParseFloat(first, 64); err == nil && load > float64(cores)/2 {
		return fmt.Sprintf("load %.3g on %d cores", load, cores)
	}
	return ""
}

func parseWork(classNames, shapeNames string) (classes []transformer.Class,
	shapes []matmul.Shape, err error) {
	for name := range strings.FieldsFuncSeq(classNames, func(r rune) bool { return r == ',' }) {
		class, err := transformer.ByName(name)
		if err != nil {
			return nil, nil, fmt.Errorf("--class: %w", err)
		}
		classes = append(classes, class)
	}
	for name := range strings.FieldsFuncSeq(shapeNames, func(r rune) bool { return r == ',' }) {
		var sides []int
		for side := range strings.SplitSeq(name, "x") {
			n, err := strconv.Atoi(side)
			if err != nil {
				return nil, nil, fmt.Errorf("--shape %s: want N or MxKxQ", name)
			}
			sides = append(sides, n)
		}
		switch len(sides) {
		case 1:
			sides = []int{sides[0], sides[0], sides[0]}
		case 3:
		default:
			return nil, nil, fmt.Errorf("--shape %s: want N or MxKxQ", name)
		}
		shape := matmul.Shape{M: sides[0], K: sides[1], Q: sides[2]}
		if err := shape.Valid(); err != nil {
			return nil, nil, fmt.Errorf("--shape: %w", err)
		}
		shapes = append(shapes, shape)
	}
	return classes, shapes, nil
}

// deviceBench measures one device.
type deviceBench struct {
	device.Opened
	length   time.Duration
	sensors  *telemetry.Reader // nil where there are none
	progress io.Writer
}

func (b *deviceBench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s: %s\n", b.ID, fmt.Sprintf(format, args...))
}

// measure measures all there is to, until ctx ends.
func (b *deviceBench) measure(ctx context.Context, classes []transformer.Class,
	shapes []matmul.Shape) deviceFigures {
	d := deviceFigures{ID: b.ID, Name: b.Name, Driver: b.Driver, Engine: b.Engine.Name()}
	b.say("its peak ...")
	if peak, err := b.Engine.Peak(ctx); err != nil {
		d.PeakHow = "not known: " + err.Error()
	} else {
		d.PeakOps, d.PeakHow = peak.Ops, peak.How
	}
	done := func(m measurement, ops uint64, err error) {
		if ctx.Err() != nil && (err != nil || m.Units == 0) {
			return // it says nothing of the device
		}
		if err != nil {
			m.Failed = err.Error()
			b.say("%s %s failed: %v", m.Work, m.Of, err)
		} else if m.Seconds > 0 {
			m.UnitsPerSec = float64(m.Units) / m.Seconds
			m.OpsPerSec = m.UnitsPerSec * float64(ops)
			if d.PeakOps > 0 {
				m.OfPeak = m.OpsPerSec / d.PeakOps
			}
			if m.Joules > 0 {
				m.OpsPerJoule = float64(m.Units) * float64(ops) / m.Joules
			}
		}
		d.Work = append(d.Work, m)
	}
	for _, class := range classes {
		m, err := b.transformer(ctx, class)
		done(m, class.Ops(), err)
	}
	for _, shape := range shapes {
		m, err := b.matmul(ctx, shape)
		done(m, shape.Ops(), err)
	}
	return d
}

// timed calls do, which computes n units, until the time is over. Each call gets
// twice the units while it takes less than a tenth of the time, at most limit.
func (b *deviceBench) timed(ctx context.Context, m *measurement, first, limit int,
	do func(from uint64, n int) error) error {
	n := first
	from := uint64(0)
	once := func() (time.Duration, error) {
		began := time.Now()
		err := do(from, n)
		from += uint64(n)
		return time.Since(began), err
	}
	for { // the batch, and a warm engine
		took, err := once()
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if took > b.length/10 || 2*n > limit {
			break
		}
		n *= 2
	}
	energy := b.energy()
	began := time.Now()
	for took := time.Duration(0); took < b.length && ctx.Err() == nil; took = time.Since(began) {
		if _, err := once(); err != nil {
			return err
		}
		m.Units += uint64(n)
		m.Seconds = time.Since(began).Seconds()
	}
	if after := b.energy(); energy != nil && after != nil && *after > *energy {
		m.Joules = float64(*after-*energy) / 1000
	}
	return nil
}

// energy is the device's counter in millijoules, nil where it has none.
func (b *deviceBench) energy() *int64 {
	if b.sensors == nil {
		return nil
	}
	s, err := b.sensors.Read(time.Now())
	if err != nil {
		return nil
	}
	return s.EnergyMillijoule
}

var benchSeed = seed.Seed{'b', 'e', 'n', 'c', 'h'}

// transformer measures a class as the worker computes it.
func (b *deviceBench) transformer(ctx context.Context, class transformer.Class) (measurement,
	error) {
	m := measurement{Work: "transformer/1", Of: class.Name}
	if ctx.Err() != nil {
		return m, ctx.Err()
	}
	b.say("transformer/1 %s: building the model, %d MiB ...", class.Name, class.WeightBytes()>>20)
	began := time.Now()
	model, err := b.Engine.Transformer(ctx, class, benchSeed, nil)
	if err != nil {
		return m, err
	}
	if c, ok := model.(io.Closer); ok {
		defer c.Close()
	}
	m.BuildMS = time.Since(began).Milliseconds()
	b.say("transformer/1 %s: computing ...", class.Name)
	lanes := threads(b.Device)
	err = b.timed(ctx, &m, lanes, 1<<16, func(from uint64, n int) error {
		nonces, out := make([]uint64, n), make([]transformer.Output, n)
		for i := range nonces {
			nonces[i] = from + uint64(i)
		}
		errs := make([]error, lanes)
		var running sync.WaitGroup
		for lane := range lanes {
			a, z := n*lane/lanes, n*(lane+1)/lanes
			running.Go(func() {
				errs[lane] = model.Run(out[a:z], benchSeed, benchSeed, nonces[a:z])
			})
		}
		running.Wait()
		return errors.Join(errs...)
	})
	return m, err
}

// matmul measures the whole loop of a shape, and once where its time goes.
func (b *deviceBench) matmul(ctx context.Context, shape matmul.Shape) (measurement, error) {
	m := measurement{Work: "matmul/1", Of: shape.String()}
	if ctx.Err() != nil {
		return m, ctx.Err()
	}
	b.say("matmul/1 %s: computing ...", m.Of)
	err := b.timed(ctx, &m, 1, 1024, func(from uint64, n int) error {
		units, out := make([]uint64, n), make([][32]byte, n)
		for i := range units {
			units[i] = from + uint64(i)
		}
		return b.Engine.Matmul(ctx, out, benchSeed, shape, units)
	})
	if err != nil || ctx.Err() != nil {
		return m, err
	}
	if p, err := b.parts(ctx, shape); err == nil {
		whole := float64(p.Total())
		if p.Product > 0 {
			m.ProductOpsPerSec = float64(shape.Ops()) / p.Product.Seconds()
		}
		m.Expand, m.Product, m.Condense, m.Hash = float64(p.Expand)/whole, float64(p.Product)/whole,
			float64(p.Condense)/whole, float64(p.Hash)/whole
	}
	return m, nil
}

// parts is the fastest of three measurements: what disturbs one only slows it.
func (b *deviceBench) parts(ctx context.Context, shape matmul.Shape) (best profile.Parts,
	err error) {
	for i := range uint64(3) {
		p, err := b.Engine.Parts(ctx, benchSeed, shape, i)
		if err != nil {
			return p, err
		}
		if best.Total() == 0 || p.Total() < best.Total() {
			best = p
		}
	}
	if best.Total() == 0 {
		return best, fmt.Errorf("%w: no time was measured", errBench)
	}
	return best, nil
}

// String is the table for people.
func (t figures) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "assay-worker %s, %s\n", t.Version, t.System)
	if t.Busy != "" {
		fmt.Fprintf(&b, "figures are too low: %s\n", t.Busy)
	}
	for _, d := range t.Devices {
		fmt.Fprintf(&b, "\n%s  %s, engine %s, driver %s\n", d.ID, d.Name, d.Engine, d.Driver)
		if d.PeakOps > 0 {
			fmt.Fprintf(&b, "peak %s, %s\n", rate(d.PeakOps, "op/s"), d.PeakHow)
		} else {
			fmt.Fprintf(&b, "peak %s\n", d.PeakHow)
		}
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  work\tof\tunits/s\tverified op/s\tof "+
			"peak\texpand\tproduct\tcondense\thash\tenergy")
		for _, m := range d.Work {
			if m.Failed != "" {
				fmt.Fprintf(w, "  %s\t%s\tfailed: %s\n", m.Work, m.Of,
					strings.ReplaceAll(m.Failed, "\n", "; "))
				continue
			}
			energy := "-"
			if m.OpsPerJoule > 0 {
				energy = rate(m.OpsPerJoule, "op/J")
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Work, m.Of,
				rate(m.UnitsPerSec, ""), rate(m.OpsPerSec, "op/s"),
				share(m.OfPeak), share(m.Expand), share(m.Product), share(m.Condense),
				share(m.Hash), energy)
		}
		_ = w.Flush() // to memory
	}
	return b.String()
}

// rate is a number with four digits and a prefix, "12.34 Gop/s".
func rate(n float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T", "P"}
	i := 0
	for n >= 9999.5 && i < len(prefixes)-1 {
		n, i = n/1000, i+1
	}
	return strings.TrimSpace(fmt.Sprintf("%.4g %s%s", n, prefixes[i], unit))
}

// share is a part of 1 in per cent, "-" where it is not known.
func share(part float64) string {
	if part == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*part)
}
