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
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/assaynet/assay/internal/local"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/pool"
)

// page is served at /.
const page = `This is a worker of an Assay host.

GET /status   what it does, why not, and what it has earned, as JSON
GET /metrics  the same numbers for Prometheus
PUT /paused   true pauses all computing, false goes on:
              curl -X PUT -d true http://%s/paused
`

// Handler serves what get returns. PUT /paused takes true or false, the owner's word. Nothing of it
// is for a web page of elsewhere (package local).
func Handler(get func() worker.Status, pause func(bool)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintf(w, page, r.Host)
	})
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
	return local.Handler(mux)
}

// Serve serves on a listener until ctx ends, which is no error.
func Serve(ctx context.Context, l net.Listener, get func() worker.Status, pause func(bool)) error {
	server := &http.Server{Handler: Handler(get, pause), ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("monitor: %w", err)
	}
	return nil
}

// States that a worker or a device can be in; each is a series that is 1 or 0.
var states = []string{"testing", "connecting", "registering", "idle", "building", "ready",
	"computing", "rerunning", "mining", "paused", "faulted", "disabled"}

func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("assay_worker_"+name, help, labels, nil)
}

var (
	connected = metric("connected", "1 while the host is connected.")
	state     = metric("state", "1 for the state the worker is in.", "state")
	stored    = metric("segment_units_stored", "Units of the running segment that the host has "+
		"stored.")
	reruns = metric("reruns_total", "Units run again for the host's verdicts.")

	deviceState = metric("device_state", "1 for the state the device is in.",
		"device", "name", "state")
	units       = metric("units_total", "Units of segments computed.", "device")
	unitChecks  = metric("unit_self_checks_total", "Units of segments computed twice.", "device")
	unitsFailed = metric("unit_self_checks_failed_total", "Units of segments that came out "+
		"differently the second time.", "device")
	rate = metric("units_per_second", "Units of segments computed, over the last minute.",
		"device")
	unguarded = metric("device_unguarded", "1 while the device's temperature limit cannot act: "+
		"there is no working sensor.", "device")
	temperature = metric("temperature_celsius", "Temperature.", "device")
	power       = metric("power_watts", "Electrical power.", "device")
	energy      = metric("energy_joules_total", "Energy since the driver was loaded.", "device")
	utilisation = metric("utilisation_ratio", "Share of time in which the device computed.",
		"device")
	memoryUsed = metric("memory_used_bytes", "Device memory in use.", "device")
	clock      = metric("clock_hertz", "Clock.", "device")

	loops    = metric("loops_total", "Loops of challenges computed since the start.", "device")
	loopRate = metric("loops_per_second", "Loops of challenges computed, over the last "+
		"minute, 15 minutes, and since the epoch began.", "device", "over")
	verified = metric("verified_operations_total", "Operations that the host verified since the "+
		"start.", "device")
	speed = metric("verified_operations_per_second", "Operations that the host verified, "+
		"since the start.", "device")
	submissions = metric("submissions_total", "Submissions since the start by what became of them.",
		"device", "status")
	selfChecks = metric("self_checks_total", "Loops computed twice since the start.", "device")
	selfFailed = metric("self_checks_failed_total", "Loops that came out differently the second "+
		"time, since the start.", "device")
	missing = metric("receipts_missing", "Submissions whose receipt is asked for again.",
		"device")
	unpaid = metric("receipts_unpaid", "Receipts with pay that the host has not paid.",
		"device")
	unpaidRoom = metric("receipts_unpaid_room_ratio", "How much of the room for them is taken; "+
		"at 1 nothing more is computed for the host.", "device")
	progress = metric("challenge_progress_ratio", "Loops of the running challenge over those "+
		"expected at its end.", "device")
	deadline = metric("challenge_deadline_seconds", "When the running challenge's next step is "+
		"due, unix time by the host's clock.", "device")
	earnings = metric("earnings_cpc", "What the host owes or paid, in coins: estimated, pending, "+
		"of that pending_locked, settled.", "device", "kind")

	// Of this worker's home, earlier starts included.
	loopsInAll = metric("loops_in_all", "Loops of challenges computed, earlier starts included.",
		"device")
	verifiedInAll = metric("verified_operations_in_all", "Operations that the host verified, "+
		"earlier starts included.", "device")
	submissionsInAll = metric("submissions_in_all", "Submissions by what became of them, earlier "+
		"starts included.", "device", "status")
	selfChecksInAll = metric("self_checks_in_all", "Loops computed twice, earlier starts included.",
		"device")
	selfFailedInAll = metric("self_checks_failed_in_all", "Loops that came out differently the "+
		"second time, earlier starts included.", "device")
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
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
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
	count(reruns, float64(s.Reruns))
	for _, d := range s.Devices {
		d.Name = strings.ToValidUTF8(d.Name, "?") // a label that is no text fails the whole page
		for _, name := range known(states, d.State) {
			gauge(deviceState, is(name == d.State), d.ID, d.Name, name)
		}
		count(units, float64(d.Computed), d.ID)
		count(unitChecks, float64(d.SelfChecks), d.ID)
		count(unitsFailed, float64(d.FailedSelfChecks), d.ID)
		gauge(rate, float64(d.Rate1m)/1000, d.ID)
		gauge(unguarded, is(d.Warning != ""), d.ID)
		for _, g := range []struct {
			d    *prometheus.Desc
			v    *int64
			unit float64
		}{
			{temperature, d.TemperatureC, 1}, {power, d.PowerMilliwatt, 1000},
			{utilisation, d.UtilisationPercent, 100},
			{memoryUsed, d.MemoryUsed, 1}, {clock, d.ClockMHz, 1e-6},
		} {
			if g.v != nil {
				gauge(g.d, float64(*g.v)/g.unit, d.ID)
			}
		}
		if d.EnergyMillijoule != nil {
			out <- prometheus.MustNewConstMetric(energy, prometheus.CounterValue,
				float64(*d.EnergyMillijoule)/1000, d.ID)
		}
		if d.Pool != nil {
			challenges(d.ID, d.Pool, gauge, count)
		}
	}
}

func challenges(id string, p *pool.Status, gauge func(*prometheus.Desc, float64, ...string),
	count func(*prometheus.Desc, float64, ...string)) {
	for _, of := range []struct {
		pool.Counts
		loops, verified, submissions, selfChecks, selfFailed *prometheus.Desc
	}{
		{p.Counts, loops, verified, submissions, selfChecks, selfFailed},
		{p.InAll, loopsInAll, verifiedInAll, submissionsInAll, selfChecksInAll, selfFailedInAll},
	} {
		count(of.loops, float64(of.Loops), id)
		count(of.verified, float64(of.VerifiedOps)*1e6, id)
		count(of.selfChecks, float64(of.SelfChecks), id)
		count(of.selfFailed, float64(of.FailedSelfChecks), id)
		for _, s := range []struct {
			status string
			n      uint64
		}{
			{"accepted", of.Accepted}, {"late", of.Late}, {"faulty", of.Faulty},
			{"rejected", of.Rejected}, {"failed", of.Failed},
			{"abstained", of.Abstained}, {"dropped", of.Dropped},
		} {
			count(of.submissions, float64(s.n), id, s.status)
		}
	}
	gauge(missing, float64(p.Missing), id)
	if k := p.Proofs; k != nil && k.Most > 0 && k.MostBytes > 0 {
		gauge(unpaid, float64(k.Receipts), id)
		gauge(unpaidRoom, max(float64(k.Receipts)/float64(k.Most),
			float64(k.Bytes)/float64(k.MostBytes)), id)
	}
	gauge(speed, float64(p.VerifiedRate)*1e6, id)
	for over, milli := range map[string]uint64{"1m": p.Loops1m, "15m": p.Loops15m,
		"epoch": p.LoopsEpoch} {
		gauge(loopRate, float64(milli)/1000, id, over)
	}
	if c := p.Challenge; c != nil {
		gauge(progress, float64(c.Loops)/float64(max(c.Expected, 1)), id)
		if t, err := time.Parse(time.RFC3339, c.Deadline); err == nil {
			gauge(deadline, float64(t.Unix()), id)
		}
	}
	if a := p.Account; a != nil {
		for kind, v := range map[string]float64{
			"estimated": coins(a.Estimated), "pending": coins(a.Pending),
			"pending_locked": coins(a.Locked), "settled": coins(a.Settled),
		} {
			gauge(earnings, v, id, kind)
		}
	}
}

// coins is an amount for a chart: a double does not hold every digit.
func coins(a mpoc.Amount) float64 {
	f, _ := new(big.Float).SetInt(a.Big()).Float64()
	return f / 1e18
}
