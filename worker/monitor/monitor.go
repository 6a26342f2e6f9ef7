// SPDX-License-Identifier: Apache-2.0

// Package monitor serves a worker's status to programs: as JSON at /status, and
// for Prometheus at /metrics. Both are made of one [worker.Status] at the moment
// of the request, so they cannot disagree with each other or with the screen.
//
// What is served names devices, keys and earnings and is for the machine's
// owner: the address should stay on the machine or in its own network.
package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	poc "github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/mpoc"
)

// Handler serves what get returns. PUT /paused takes true or false, the owner's
// word: a web page cannot send it without asking first.
func Handler(get func() worker.Status, pause func(bool)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(get()) // who is gone does not read it
	})
	mux.HandleFunc("PUT /paused", func(w http.ResponseWriter, r *http.Request) {
		var paused bool
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64)).Decode(&paused); err != nil {
			http.Error(w, "the body is true or false", http.StatusBadRequest)
			return
		}
		pause(paused)
		w.WriteHeader(http.StatusNoContent)
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{get})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// Serve serves on a listener until ctx ends, which is no error.
func Serve(ctx context.Context, l net.Listener, get func() worker.Status, pause func(bool)) error {
	server := &http.Server{Handler: Handler(get, pause), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("monitor: %w", err)
	}
	return nil
}

// States that a worker or a device can be in; each is a series that is 1 or 0.
var states = []string{"testing", "connecting", "idle", "building", "ready", "computing", "rerunning", "proving", "paused", "faulted", "disabled"}

func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("assay_worker_"+name, help, labels, nil)
}

var (
	connected = metric("connected", "1 while the host is connected.")
	state     = metric("state", "1 for the state the worker is in.", "state")
	stored    = metric("segment_units_stored", "Units of the running segment that the host has stored.")
	reruns    = metric("reruns_total", "Units run again for the host's verdicts.")

	deviceState = metric("device_state", "1 for the state the device is in.", "device", "name", "state")
	units       = metric("units_total", "Units of segments computed.", "device")
	rate        = metric("units_per_second", "Units of segments computed, over the last minute.", "device")
	temperature = metric("temperature_celsius", "Temperature.", "device")
	power       = metric("power_watts", "Electrical power.", "device")
	energy      = metric("energy_joules_total", "Energy since the driver was loaded.", "device")
	utilisation = metric("utilisation_ratio", "Share of time in which the device computed.", "device")
	memoryUsed  = metric("memory_used_bytes", "Device memory in use.", "device")
	clock       = metric("clock_hertz", "Clock.", "device")

	loops       = metric("loops_total", "Loops of challenges computed.", "device")
	loopRate    = metric("loops_per_second", "Loops of challenges computed, over the last minute.", "device")
	verified    = metric("verified_operations_total", "Operations that the host verified.", "device")
	submissions = metric("submissions_total", "Submissions by what became of them.", "device", "status")
	selfChecks  = metric("self_checks_total", "Loops computed twice.", "device")
	selfFailed  = metric("self_checks_failed_total", "Loops that came out differently the second time.", "device")
	earnings    = metric("earnings_cpc", "What the host owes or paid, in coins.", "device", "kind")
)

type collector struct{ get func() worker.Status }

// Describe sends nothing: which series there are depends on the devices.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect makes the metrics of one status.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.get()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	is := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	known := func(all []string, now string) []string {
		if slices.Contains(all, now) {
			return all
		}
		return append(slices.Clone(all), now)
	}
	gauge(connected, is(s.Connected))
	for _, name := range known(states, s.State) {
		gauge(state, is(name == s.State), name)
	}
	gauge(stored, float64(s.Stored))
	count(reruns, s.Reruns)
	for _, d := range s.Devices {
		for _, name := range known(states, d.State) {
			gauge(deviceState, is(name == d.State), d.ID, d.Name, name)
		}
		count(units, d.Computed, d.ID)
		gauge(rate, float64(d.Rate1m)/1000, d.ID)
		for _, g := range []struct {
			d    *prometheus.Desc
			v    *int64
			unit float64
		}{
			{temperature, d.TemperatureC, 1}, {power, d.PowerMilliwatt, 1000}, {utilisation, d.UtilisationPercent, 100},
			{memoryUsed, d.MemoryUsed, 1}, {clock, d.ClockMHz, 1e-6},
		} {
			if g.v != nil {
				gauge(g.d, float64(*g.v)/g.unit, d.ID)
			}
		}
		if d.EnergyMillijoule != nil {
			out <- prometheus.MustNewConstMetric(energy, prometheus.CounterValue, float64(*d.EnergyMillijoule)/1000, d.ID)
		}
		if d.Pool != nil {
			pool(d.ID, d.Pool, gauge, count)
		}
	}
}

func pool(id string, p *mpoc.Status, gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64, ...string)) {
	count(loops, p.Loops, id)
	gauge(loopRate, float64(p.Loops1m)/1000, id)
	count(verified, p.VerifiedOps, id)
	count(selfChecks, p.SelfChecks, id)
	count(selfFailed, p.FailedSelfChecks, id)
	for _, s := range []struct {
		status string
		n      uint64
	}{
		{"accepted", p.Accepted}, {"late", p.Late}, {"faulty", p.Faulty}, {"rejected", p.Rejected}, {"failed", p.Failed},
		{"abstained", p.Abstained}, {"dropped", p.Dropped},
	} {
		count(submissions, s.n, id, s.status)
	}
	if a := p.Account; a != nil {
		for kind, v := range map[string]float64{
			"estimated": coins(a.Estimated), "locked": coins(a.Locked), "pending": coins(a.Pending), "settled": coins(a.Settled),
		} {
			gauge(earnings, v, id, kind)
		}
	}
}

// coins is an amount for a chart: a double does not hold every digit.
func coins(a poc.Amount) float64 {
	f, _ := new(big.Float).SetInt(a.Big()).Float64()
	return f / 1e18
}
