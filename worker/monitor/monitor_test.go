// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/pool"
)

func of(v int64) *int64 { return &v }

func fetch(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", url, res.Status, err, raw)
	}
	return string(raw)
}

// The two documents hold the numbers of one status.
func TestBothDocumentsHoldTheNumbersOfOneStatus(t *testing.T) {
	s := worker.Status{
		State: "computing", Connected: true, Stored: 900, Reruns: 7, Host: "h:1",
		Devices: []worker.DeviceStatus{
			{ID: "cuda:0", Name: "GPU", State: "computing", Computed: 1000, Rate1m: 12_500,
				SelfChecks: 4, FailedSelfChecks: 1,
				Gauges: worker.Gauges{TemperatureC: of(71), PowerMilliwatt: of(650_500),
					EnergyMillijoule: of(9_000)},
				Pool: &pool.Status{
					Counts: pool.Counts{Accepted: 4, Rejected: 1, Loops: 50, FailedSelfChecks: 2,
						VerifiedOps: 7},
					InAll:   pool.Counts{Accepted: 9, Loops: 500, VerifiedOps: 70},
					Missing: 3, Proofs: &pool.Proofs{Receipts: 30, Pay: "1", Bytes: 100, Most: 100,
						MostBytes: 500}, Loops1m: 1_500, Loops15m: 1_250, LoopsEpoch: 1_125,
					VerifiedRate: 2_500,
					Challenge: &pool.Progress{ID: "0x1", Phase: pool.Computing, Loops: 40,
						Expected: 160, Deadline: "2026-12-01T12:00:17Z"},
					Account: &pool.Money{Estimated: "0", Pending: "750000000000000000",
						Locked: "500000000000000000", Settled: "2000000000000000000"},
				}},
			{ID: "cpu", State: "disabled", Warning: "its limit of 85 °C cannot act"},
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	var paused []bool
	go func() {
		served <- Serve(ctx, l, func() worker.Status {
			return s
		}, func(p bool) { paused = append(paused, p) })
	}()
	base := "http://" + l.Addr().String()

	var got worker.Status
	if err := json.Unmarshal([]byte(fetch(t, base+"/status")), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s, got); d != "" {
		t.Error(d)
	}
	metrics := fetch(t, base+"/metrics")
	for _, line := range []string{
		`assay_worker_connected 1`,
		`assay_worker_state{state="computing"} 1`,
		`assay_worker_state{state="idle"} 0`,
		`assay_worker_segment_units_stored 900`,
		`assay_worker_device_state{device="cpu",name="",state="disabled"} 1`,
		`assay_worker_units_total{device="cuda:0"} 1000`,
		`assay_worker_unit_self_checks_total{device="cuda:0"} 4`,
		`assay_worker_unit_self_checks_failed_total{device="cuda:0"} 1`,
		`assay_worker_receipts_missing{device="cuda:0"} 3`,
		`assay_worker_units_per_second{device="cuda:0"} 12.5`,
		`assay_worker_receipts_unpaid{device="cuda:0"} 30`,
		`assay_worker_receipts_unpaid_room_ratio{device="cuda:0"} 0.3`,
		`assay_worker_device_unguarded{device="cuda:0"} 0`,
		`assay_worker_device_unguarded{device="cpu"} 1`,
		`assay_worker_temperature_celsius{device="cuda:0"} 71`,
		`assay_worker_power_watts{device="cuda:0"} 650.5`,
		`assay_worker_energy_joules_total{device="cuda:0"} 9`,
		`assay_worker_submissions_total{device="cuda:0",status="accepted"} 4`,
		`assay_worker_submissions_total{device="cuda:0",status="rejected"} 1`,
		`assay_worker_self_checks_failed_total{device="cuda:0"} 2`,
		`assay_worker_submissions_in_all{device="cuda:0",status="accepted"} 9`,
		`assay_worker_loops_total{device="cuda:0"} 50`,
		`assay_worker_loops_in_all{device="cuda:0"} 500`,
		`assay_worker_verified_operations_total{device="cuda:0"} 7e+06`,
		`assay_worker_verified_operations_in_all{device="cuda:0"} 7e+07`,
		`assay_worker_verified_operations_per_second{device="cuda:0"} 2.5e+09`,
		`assay_worker_loops_per_second{device="cuda:0",over="1m"} 1.5`,
		`assay_worker_loops_per_second{device="cuda:0",over="15m"} 1.25`,
		`assay_worker_loops_per_second{device="cuda:0",over="epoch"} 1.125`,
		`assay_worker_challenge_progress_ratio{device="cuda:0"} 0.25`,
		`assay_worker_challenge_deadline_seconds{device="cuda:0"} 1.796126417e+09`,
		`assay_worker_earnings_cpc{device="cuda:0",kind="pending"} 0.75`,
		`assay_worker_earnings_cpc{device="cuda:0",kind="pending_locked"} 0.5`,
		`assay_worker_earnings_cpc{device="cuda:0",kind="settled"} 2`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	if strings.Contains(metrics, `temperature_celsius{device="cpu"}`) {
		t.Error("a temperature that nobody reads")
	}
	if page := fetch(t, base+"/"); !strings.Contains(page, "/status") ||
		!strings.Contains(page, "/metrics") || !strings.Contains(page, "PUT /paused") {
		t.Errorf("the first page: %s", page)
	}
	if res, err := http.Get(base + "/nowhere"); err != nil ||
		res.StatusCode != http.StatusNotFound {
		t.Errorf("/nowhere: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	for body, want := range map[string]int{"true": http.StatusNoContent,
		"maybe": http.StatusBadRequest} {
		q, err := http.NewRequest(http.MethodPut, base+"/paused", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s", body, res.Status)
		}
	}
	if len(paused) != 1 || !paused[0] {
		t.Errorf("paused: %v", paused)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A name that is no text does not take the page with it.
func TestMetricsOfABadName(t *testing.T) {
	h := Handler(func() worker.Status {
		return worker.Status{State: "idle",
			Devices: []worker.DeviceStatus{{ID: "cuda:0", Name: "bad \xff name", State: "idle"}}}
	}, nil)
	r := httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `name="bad ? name"`) {
		t.Errorf("%d: %.200s", w.Code, w.Body)
	}
}

// A page of elsewhere in the owner's browser reads nothing of a worker, and pauses nothing.
func TestOnlyTheOwnerAsks(t *testing.T) {
	paused := 0
	h := Handler(func() worker.Status {
		return worker.Status{State: "idle"}
	}, func(bool) { paused++ })
	ask := func(method, path, host, origin string) int {
		r := httptest.NewRequest(method, "http://127.0.0.1:4780"+path, strings.NewReader("true"))
		if host != "" {
			r.Host = host
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for _, page := range [][2]string{{"GET", "/"}, {"GET", "/status"}, {"GET", "/metrics"},
		{"PUT", "/paused"}} {
		if code := ask(page[0], page[1], "", ""); code/100 != 2 {
			t.Errorf("%v: the owner is answered %d", page, code)
		}
		for _, from := range [][2]string{{"rebound.example:4780", ""},
			{"", "http://page.example"}} {
			if code := ask(page[0], page[1], from[0], from[1]); code != http.StatusForbidden {
				t.Errorf("%v for %v: %d", page, from, code)
			}
		}
	}
	if paused != 1 {
		t.Errorf("it was paused %d times, and the owner did it once", paused)
	}
}
