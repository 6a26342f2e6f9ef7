// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/pool"
)

var update = flag.Bool("update", false, "rewrite testdata")

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func of(v int64) *int64 { return &v }

// statuses by name: what an owner may see.
func statuses() map[string]worker.Status {
	busy := worker.Status{
		State: "computing", Host: "pool.example:4711", Connected: true, Chain: "assay-1",
		Participant: "cpc1q", Node: "m-0123456789ab",
		Epoch: 12, Segment: 2, Class: "base", Computed: 1_234_567, Stored: 1_230_000,
		Until: "block 1,204",
		Earnings: &pool.Money{Payout: "cpc1qqqqqq", Estimated: "120000000000000000",
			Pending: "2340000000000000000", Locked: "2000000000000000000", UnlockAfter: 8,
			Settled: "81123456789012345678"},
		Devices: []worker.DeviceStatus{{
			ID: "cuda:0", Name: "NVIDIA H200", Engine: "cuda/sm_80", State: "computing",
			Computed: 1_000_000, Rate1m: 116_000_400,
			Gauges: worker.Gauges{TemperatureC: of(71), PowerMilliwatt: of(652_300),
				UtilisationPercent: of(98), ClockMHz: of(1755)},
			Pool: &pool.Status{
				State: "computing", Challenge: &pool.Progress{ID: "0x89ab01f2cd",
					Phase: "computing", Shape: "4096x4096x4096", Loops: 61_234, Expected: 100_000,
					Deadline: "2026-12-01T12:00:17Z"},
				Counts:  pool.Counts{Accepted: 412, Late: 1},
				InAll:   pool.Counts{Accepted: 10_412, Late: 3, Rejected: 1, Loops: 123_456_789},
				Loops1m: 7_123_900, Loops15m: 7_001_000, Epoch: 12, LoopsEpoch: 6_900_123,
				VerifiedRate: 948_123_456,
			},
		}, {
			ID: "cuda:1", Name: "NVIDIA H200", Engine: "cuda/sm_80", State: "paused",
			Reason: "88 °C, its limit is 85", Until: "it is below 75 °C",
			Gauges: worker.Gauges{TemperatureC: of(88), PowerMilliwatt: of(120_000),
				UtilisationPercent: of(0)},
			Pool: &pool.Status{
				State: "paused", Reason: "the device is paused",
				Counts: pool.Counts{Accepted: 399, Rejected: 1, FailedSelfChecks: 2,
					Abstained: 2},
				InAll: pool.Counts{Accepted: 399, Rejected: 1, FailedSelfChecks: 2,
					Abstained: 2},
				Still:         "no block since 14:41:55 UTC, a third of the power or more is away",
				LastReason:    "3 of 90 tiles are wrong: forged",
				EvidenceSaved: "receipts/against-host-1.json",
			},
		}, {
			ID: "opencl:0", Name: "a card with a name that is much too long for its column",
			State: "disabled", Reason: "the engine failed its self-test: unit digest 00ff; " +
				"nothing is computed with it",
		}},
	}
	// At the first start: not known to the host, no account to be paid to.
	guest := worker.Status{
		State: "mining", Reason: "the host takes this machine into its Sprints after the first " +
			"accepted proof", Host: "pool.example:4711", Connected: true,
		Earnings: &pool.Money{Estimated: "4164874553678", Pending: "0", Settled: "0"},
		Devices: []worker.DeviceStatus{{ID: "cpu", Engine: "cpu/avx2", State: "mining",
			Pool: &pool.Status{
				State: "asking", Connected: true, Loops1m: 3_400,
			}}},
	}
	away := worker.Status{
		State: "connecting", Reason: "nothing listens at 192.0.2.7:4711",
		Next: "check that the host runs: assay host status", Host: "192.0.2.7:4711",
		Devices: []worker.DeviceStatus{{ID: "cpu", Engine: "cpu/avx2", State: "connecting"}},
	}
	building := worker.Status{
		State: "building", Reason: "the epoch's model is being built", Host: "127.0.0.1:4711",
		Connected: true, Chain: "localnet", Node: "w1", Epoch: 3, Class: "small",
		BuildDone: 50 << 20, BuildTotal: 128 << 20,
		Devices: []worker.DeviceStatus{{ID: "cpu", Engine: "cpu/avx512vnni", State: "building"}},
	}
	return map[string]worker.Status{"busy": busy, "away": away, "building": building,
		"guest": guest}
}

func TestRender(t *testing.T) {
	for name, s := range statuses() {
		for _, width := range []int{120, 80, 40} {
			t.Run(fmt.Sprint(name, "-", width), func(t *testing.T) {
				coloured := strings.Join(Render(s, width, noon), "\n")
				for _, line := range strings.Split(coloured, "\n") {
					if w := lipgloss.Width(line); w > width {
						t.Errorf("%d columns: %q", w, line)
					}
				}
				got := ansi.Strip(coloured) + "\n"
				if got == coloured {
					t.Error("no colour at all")
				}
				path := filepath.Join("testdata", fmt.Sprint(name, "-", width, ".txt"))
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), got); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

// Whatever is not computing says why: nothing that stands in a status is left out.
func TestEveryReasonIsShown(t *testing.T) {
	for name, s := range statuses() {
		text := strings.Join(strings.Fields(ansi.Strip(strings.Join(Render(s, 40, noon), "\n"))),
			" ")
		want := []string{s.Reason, s.Next, s.Until}
		for _, d := range s.Devices {
			want = append(want, d.ID, d.State, d.Reason, d.Until)
			if d.Pool != nil {
				want = append(want, d.Pool.Reason, d.Pool.LastReason)
			}
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q:\n%s", name, w, text)
			}
		}
	}
}

// The picture that stays on the terminal says that nothing computes.
func TestLastPicture(t *testing.T) {
	s := worker.Status{State: "computing",
		Devices: []worker.DeviceStatus{{ID: "cpu", State: "computing"},
			{ID: "cuda:0", State: "disabled", Reason: "wrong answers"}}}
	last := strings.Join(Render(stopped(s), 120, noon), "\n")
	if strings.Contains(last, "computing") || !strings.Contains(last, "stopped") ||
		!strings.Contains(last, "wrong answers") {
		t.Errorf("after: %s", last)
	}
	if s.Devices[0].State != "computing" {
		t.Error("the worker's own status was changed")
	}
}
