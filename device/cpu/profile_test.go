// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

func TestDevices(t *testing.T) {
	devices, err := Devices()
	if err != nil {
		t.Fatal(err)
	}
	engines := Engines()
	if len(engines) == 0 {
		if _, err := Open(t.Context(), 0); len(devices) != 0 || !errors.Is(err, errNone) {
			t.Errorf("without an engine: %v, %v", devices, err)
		}
		return
	}
	if len(devices) != 1 || devices[0].Name == "" || devices[0].Units != runtime.NumCPU() ||
		!strings.HasPrefix(devices[0].Driver, engines[0].Name()) {
		t.Errorf("devices %+v", devices)
	}
	if e, err := Open(t.Context(), 0); err != nil || e.Name() != engines[0].Name() {
		t.Errorf("device 0: %v, %v; want %s", e, err, engines[0].Name())
	}
	for _, index := range []int{-1, 1} {
		if _, err := Open(t.Context(), index); !errors.Is(err, errNone) {
			t.Errorf("device %d: %v", index, err)
		}
	}
}

func TestParts(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		shape := matmul.Shape{M: 512, K: 1024, Q: 512}
		start := time.Now()
		p, err := e.Parts(t.Context(), seed.Seed{1}, shape, 2)
		took := time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		if p.Expand <= 0 || p.Product <= 0 || p.Condense <= 0 || p.Hash <= 0 || p.Total() > took {
			t.Errorf("parts %+v, %v of %v", p, p.Total(), took)
		}
	})
}

func TestPeak(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		p, err := e.Peak(t.Context())
		if err != nil || p.Ops <= 0 || !strings.Contains(p.How, e.set.issues) {
			t.Errorf("%+v, %v", p, err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Peak(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}
