// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"fmt"
	"os"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/worker/enginetest"
)

func TestBench(t *testing.T) {
	args := strings.Fields("bench --class nano --shape 512x256x512 --seconds 0.02 --device " +
		"cpu,cuda:0")
	c := rig(new(enginetest.Engine), nil)
	code, stdout, stderr := run(c, args...)
	for _, part := range []string{"cuda:0  Good Card, engine test, driver CUDA 12.4",
		"transformer/1  nano", "matmul/1       512x256x512", "peak not known"} {
		if code != 0 || !strings.Contains(stdout, part) {
			t.Errorf("code %d, %q is not in\n%s", code, part, stdout)
		}
	}
	if !strings.Contains(stderr, "cuda:0: transformer/1 nano: building the model") {
		t.Errorf("progress %s", stderr)
	}
	code, stdout, _ = run(c, append(args, "--json")...)
	var f figures
	if err := json.Unmarshal([]byte(stdout), &f); code != 0 || err != nil || !f.Complete ||
		len(f.Devices) != 2 {
		t.Fatalf("code %d, %v, %s", code, err, stdout)
	}
	for _, d := range f.Devices {
		if len(d.Work) != 2 {
			t.Errorf("%+v", d)
		}
		for _, m := range d.Work {
			if m.Units == 0 || m.UnitsPerSec <= 0 || m.OpsPerSec < m.UnitsPerSec*1e6 ||
				m.Failed != "" {
				t.Errorf("%s: %+v", d.ID, m)
			}
		}
	}
	if d := f.Devices[0]; d.PeakOps > 0 {
		if m := d.Work[1]; m.OfPeak <= 0 || m.OfPeak > 1.5 || m.ProductOpsPerSec <= 0 ||
			m.Expand+m.Product+m.Condense+m.Hash < 0.999 ||
			m.Expand+m.Product+m.Condense+m.Hash > 1.001 {
			t.Errorf("%+v", m)
		}
	}
}

// What else the machine does is said beside the figures.
func TestBenchOnABusyMachine(t *testing.T) {
	for load, want := range map[string]string{
		"8.00 7.5 3.1 2/300 17\n": "load 8 on 2 cores", "1.25 0 0 1/3 4\n": "load 1.25 on 2 cores",
		"1.00 9 9 1/3 4\n": "", "": "", "much": "",
	} {
		if got := busy(load, 2); got != want {
			t.Errorf("%q: %q, want %q", load, got, want)
		}
	}
	if text := (figures{Busy: "load 8 on 2 cores"}).String(); !strings.Contains(text,
		"figures are too low: load 8 on 2 cores\n") {
		t.Error(text)
	}
}

// interrupted ends its command when a line of progress says so.
type interrupted struct {
	bytes.Buffer
	at     string
	cancel func()
}

// Ctrl-C ends a measurement, and what was measured is printed.
func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stdout bytes.Buffer
	stderr := &interrupted{at: "matmul/1 512x256x512: computing", cancel: cancel}
	code := rig(new(enginetest.Engine), nil).Run(ctx, strings.Fields("bench --json --device "+
		"cpu,cuda --class nano --shape 512x256x512,4096 --seconds 0.01"), nil, &stdout, stderr)
	var f figures
	if err := json.Unmarshal(stdout.Bytes(), &f); code != 1 || err != nil || f.Complete ||
		!strings.Contains(stderr.String(), "interrupted") {
		t.Fatalf("code %d, %v, %s, %s", code, err, &stdout, stderr)
	}
	if w := f.Devices[0].Work; len(w) != 1 || w[0].Of != "nano" || w[0].Units == 0 {
		t.Errorf("measured %+v", w)
	}
}

// hungry is an engine that uses a joule for every unit of matmul/1, as the
// processor's counter tells.
type hungry struct {
	*enginetest.Engine
	counter string
	units   *int
}

func TestBenchEnergy(t *testing.T) {
	root := sys(t, map[string]string{counter: "0"})
	c := Command{Name: "w", Sys: root,
		Engine: hungry{new(enginetest.Engine), filepath.Join(root, counter), new(int)}}
	code, stdout, _ := run(c, strings.Fields("bench --json --class , --shape 512x256x512 "+
		"--seconds 0.01")...)
	var f figures
	if err := json.Unmarshal([]byte(stdout), &f); code != 0 || err != nil {
		t.Fatalf("code %d, %v, %s", code, err, stdout)
	}
	if m := f.Devices[0].Work[0]; m.Joules != float64(m.Units) || m.OpsPerJoule != 2*512*256*512 {
		t.Errorf("%+v", m)
	}
}

func (w *interrupted) Write(b []byte) (int, error) {
	if strings.Contains(string(b), w.at) {
		w.cancel()
	}
	return w.Buffer.Write(b)
}

func (e hungry) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	units []uint64) error {
	*e.units += len(units)
	if err := os.WriteFile(e.counter, fmt.Append(nil, 1_000_000*(*e.units)), 0o600); err != nil {
		return err
	}
	return e.Engine.Matmul(ctx, dst, challenge, shape, units)
}
