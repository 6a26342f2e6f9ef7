// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// wish is a device to be measured, and with what.
type wish struct {
	device  string // of assay-worker
	classes string
	shapes  string
	limit   time.Duration // at most
}

var wishes = []wish{
	{"cuda:0", "nano,small,base,large", "1024,4096,8192", 100 * time.Second},
	{"opencl:0", "nano,small,base", "1024,4096", 70 * time.Second},
	{"cpu", "nano,small", "1024,4096", 45 * time.Second},
}

// speed is a device's figures. TOPS are 10^12 operations a second, a multiplication and an addition
// being two.
type speed struct {
	Device    string   `json:"device"`
	Name      string   `json:"name,omitempty"`
	Driver    string   `json:"driver,omitempty"`
	Engine    string   `json:"engine,omitempty"`
	Measured  bool     `json:"measured"`
	Why       string   `json:"why,omitempty"`  // it was not, or not all
	Busy      string   `json:"busy,omitempty"` // why the figures are too low
	Datasheet *float64 `json:"datasheet_tops"` // dense int8; null where it is not known here
	PeakTOPS  *float64 `json:"engine_peak_tops"`
	PeakHow   string   `json:"engine_peak_how,omitempty"`
	Loops     []loop   `json:"matmul"`
	Nonces    []nonces `json:"nonces"`
	Seconds   float64  `json:"seconds"`
}

// loop is a shape's: the whole loop, and the bare product in it.
type loop struct {
	Shape         string   `json:"shape"`
	Whole         float64  `json:"whole_loop_tops"`
	Product       float64  `json:"product_tops"`
	WholeShare    *float64 `json:"whole_loop_of_datasheet"` // 0..1
	ProductShare  *float64 `json:"product_of_datasheet"`
	OpsPerJoule   float64  `json:"ops_per_joule,omitempty"`
	ExpandShare   float64  `json:"expand_share"` // of a unit's time
	CondenseShare float64  `json:"condense_share"`
	HashShare     float64  `json:"hash_share"`
}

// nonces is a class's.
type nonces struct {
	Class   string   `json:"class"`
	PerSec  float64  `json:"nonces_per_s"`
	TOPS    float64  `json:"tops"`
	Share   *float64 `json:"of_datasheet"`
	BuildMS int64    `json:"model_build_ms"`
}

// benched is what assay-worker bench --json prints, as far as it is used.
type benched struct {
	Complete bool   `json:"complete"`
	Busy     string `json:"busy"`
	Devices  []struct {
		ID, Name, Driver, Engine string
		PeakOps                  float64 `json:"peak_ops_per_s"`
		PeakHow                  string  `json:"peak_how"`
		Work                     []struct {
			Work, Of         string
			UnitsPerSec      float64 `json:"units_per_s"`
			OpsPerSec        float64 `json:"ops_per_s"`
			ProductOpsPerSec float64 `json:"product_ops_per_s"`
			OpsPerJoule      float64 `json:"ops_per_j"`
			BuildMS          int64   `json:"build_ms"`
			Expand           float64
			Condense, Hash   float64
			Failed           string
		}
	}
}

// measure has the worker measure a device.
func (k kit) measure(ctx context.Context, w wish) speed {
	ctx, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, filepath.Join(k.folder, "assay-worker"), "bench", "--json",
		"--device", w.device,
		"--class", w.classes, "--shape", w.shapes, "--seconds", "4", "--home",
		filepath.Join(k.folder, "no-home"))
	var said strings.Builder
	cmd.Stderr = &said
	// An interrupted bench prints what it has measured until then.
	cmd.Cancel, cmd.WaitDelay = func() error {
		return cmd.Process.Signal(os.Interrupt)
	}, 10*time.Second
	out, err := cmd.Output()
	s := w.read(out)
	s.Seconds = time.Since(began).Seconds()
	if ctx.Err() != nil {
		s.Why = fmt.Sprintf("not everything was measured after %.0f s", s.Seconds)
	} else if err != nil && !s.Measured {
		s.Why = reason(said.String(), err)
	}
	return s
}

// reason is the last line that a program said, or how it ended.
func reason(said string, err error) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}

// read understands what bench printed.
func (w wish) read(out []byte) speed {
	s := speed{Device: w.device, Loops: []loop{}, Nonces: []nonces{}}
	var b benched
	if err := json.Unmarshal(out, &b); err != nil || len(b.Devices) != 1 {
		s.Why = "assay-worker bench printed no figures"
		return s
	}
	d := b.Devices[0]
	s.Name, s.Driver, s.Engine, s.Busy, s.PeakHow = d.Name, d.Driver, d.Engine, b.Busy, d.PeakHow
	if d.PeakOps > 0 {
		tops := d.PeakOps / 1e12
		s.PeakTOPS = &tops
	}
	s.Datasheet = datasheet(d.Name)
	share := func(tops float64) *float64 {
		if s.Datasheet == nil || tops == 0 {
			return nil
		}
		of := tops / *s.Datasheet
		return &of
	}
	var failed error
	for _, m := range d.Work {
		tops := m.OpsPerSec / 1e12
		switch {
		case m.Failed != "":
			failed = errors.Join(failed, fmt.Errorf("%s %s: %s", m.Work, m.Of, m.Failed))
		case m.Work == "matmul/1":
			product := m.ProductOpsPerSec / 1e12
			s.Loops = append(s.Loops, loop{m.Of, tops, product, share(tops), share(product),
				m.OpsPerJoule, m.Expand, m.Condense, m.Hash})
		default:
			s.Nonces = append(s.Nonces, nonces{m.Of, m.UnitsPerSec, tops, share(tops), m.BuildMS})
		}
	}
	s.Measured = len(s.Loops)+len(s.Nonces) > 0
	if failed != nil {
		s.Why = failed.Error()
	}
	return s
}

// peer is what torch makes of the same machine.
type peer struct {
	Version string    `json:"version,omitempty"`
	Device  string    `json:"device,omitempty"`
	Why     string    `json:"why,omitempty"` // there are no figures
	IntMM   []product `json:"int_mm"`
}

type product struct {
	Shape string  `json:"shape"`
	TOPS  float64 `json:"tops"`
	Exact bool    `json:"exact"` // one row of it was compared
}

// torch asks python3.
func (k kit) torch(ctx context.Context) peer {
	ctx, cancel := context.WithTimeout(ctx, 45*time.Second)
	defer cancel()
	p := peer{IntMM: []product{}}
	out, err := exec.CommandContext(ctx, "python3", filepath.Join(k.folder, "int_mm.py")).Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		p.Why = "there is no python3"
	case err != nil:
		p.Why = err.Error()
	default:
		if err := json.Unmarshal(out, &p); err != nil {
			p.Why = "int_mm.py printed no figures: " + err.Error()
		}
	}
	return p
}
