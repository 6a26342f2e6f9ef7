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

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/poc/delivery"
)

var update = flag.Bool("update", false, "rewrite testdata")

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

const url = "assay://192.0.2.7:4710#85729cba2ecef1c03f98a969f09fe8e0"

func amount(text string) ledger.Amount {
	a, err := ledger.ParseAmount(text)
	if err != nil {
		panic(err)
	}
	return a
}

func machines(n int) (list []fleet.WorkerStatus) {
	for i := range n {
		list = append(list, fleet.WorkerStatus{Node: fmt.Sprintf("w%02d", i), Connected: true,
			State: "computing", Engine: "cuda/sm_90", Rate1m: 116_000_400})
	}
	return list
}

// statuses by name: what an operator may see.
func statuses() map[string]host.Status {
	left := amount("9700000000000000000")
	busy := host.Status{
		Participant: "cpc1qn6ysxc3rzdk57fq94y9p8ramg6k9m0kxlvx3s", Chain: "assay-1",
		WorkersURL: url, Height: 1204, Reachable: true, Epoch: 12,
		Phase: "compute", Doing: "computing", Reason: "segment 2 of 3", Until: 1240,
		Progress: &host.Progress{From: 1180, To: 1270, BlockMS: 1013},
		Leaves:   map[string]uint64{"w00": 1_234_567, "w01": 1_199_999},
		Queue:    []string{"commit/12/1/w00"},
		Workers:  machines(2), Disk: &host.Disk{Space: disk.Space{Free: 212 << 30,
			Total: 1000 << 30}, Mark: 1 << 30},
		HotKey: &host.HotKey{Address: "cpc1hot", Known: true, Granted: true, Left: &left,
			Balance: amount("0")},
		Outcome: &host.Outcome{Epoch: 11, Result: "RESULT_CREDITED",
			Reason: "credited; judged by its committee", Weight: 3_553_312, Power: 314_159},
	}
	busy.Stream = &host.Stream{Epoch: 12, Proving: true, Reason: "proves between Sprints: log 7, " +
		"until block 17,310", Commits: 12, Leaves: 81_234}
	trouble := busy
	trouble.Stream = &host.Stream{Epoch: 12, Reason: "no leaves are taken: the disk is full"}
	trouble.Doing, trouble.Reason = "computing", "segment 2 of 3"
	trouble.Workers = append(machines(120),
		fleet.WorkerStatus{Node: "rig", State: "away", Reason: "not connected: the connection " +
			"broke off"},
		fleet.WorkerStatus{Node: "m-0123456789ab", State: "away", Reason: "not connected: the " +
			"machine ended the connection"},
		fleet.WorkerStatus{Node: "w200", Connected: true, State: "computing",
			Fault: "data/leaves/12-2-w200.log: no space left on device", Rate1m: 100},
		fleet.WorkerStatus{Node: "w201", Connected: true, State: "faulted",
			Reason: "two results for unit 88,203: unstable at this clock",
			Until:  "it is started again"},
		fleet.WorkerStatus{Node: "w202", Connected: true, State: "idle",
			Reason: "takes part from epoch 13 on: epoch 12 began before the chain knew this " +
				"machine", Until: "epoch 13"},
		fleet.WorkerStatus{Node: "w203", Connected: true, State: "idle",
			Reason: "takes part from epoch 13 on: epoch 12 began before the chain knew this " +
				"machine", Until: "epoch 13"})
	for i := range 30 {
		trouble.Queue = append(trouble.Queue, fmt.Sprintf("commit/12/1/w%d", i))
		trouble.Faults = append(trouble.Faults,
			host.Fault{Epoch: 12, What: "leaves", Node: fmt.Sprintf("w%d", i), Segment: 1,
				Reason: "the record at byte 4096 is damaged; the 102 leaves before it count"})
	}
	trouble.LeftOut = []delivery.LeftOut{{Epoch: 12, Node: "w17", Segment: 1, Leaf: 4112, Wrong: 3,
		Checked: 200, Reason: "3 of 200 leaves are wrong"}}
	trouble.Excess = []host.Excess{{Epoch: 12, Node: "w18", Segment: 1, Stored: 10_000,
		Committed: 9_000, Reason: "the chain takes no more of this segment"}}
	trouble.Disk = &host.Disk{Space: disk.Space{Free: 1 << 29, Total: 20 << 30}, Mark: 1 << 30,
		Full: true, Reason: "the disk of /data is nearly full: 512.0 MiB of 20.0 GiB are free"}
	trouble.LastError = "commit/12/1/w00: out of gas"
	trouble.HotKey = &host.HotKey{Address: "cpc1hot", Known: true, Reason: "its grant for fees " +
		"has ended; to grant again: assay tx feegrant revoke cpc1a cpc1hot"}
	trouble.Pool = &mpocv1.Status{Devices: 412, Live: 1, Accepted: 10_412, Late: 3, Rejected: 1,
		Failed: 2, VerifiedOps: 948_123_456_789_000}
	trouble.Payment = &settle.Status{Account: "cpc1pay", Balance: amount("12500000000000000000"),
		Doing: "stopped", Reason: "the account has made 3 transactions that the ledger does not " +
			"know", Next: 7, Height: 1180}
	away := host.Status{
		Participant: busy.Participant, Chain: "assay-1", WorkersURL: url,
		Doing:  "waiting for the node",
		Reason: "asking the node at 127.0.0.1:9090 which chain it follows: nothing listens there",
		HotKey: &host.HotKey{Address: "cpc1hot", Reason: "the node does not say what it may " +
			"spend: nothing listens at 127.0.0.1:9090"},
	}
	begin := host.Status{Participant: busy.Participant, Chain: "assay-1", WorkersURL: url,
		Doing: "starting", Reason: "asking the node where the chain stands",
		HotKey: &host.HotKey{Address: "cpc1hot"}}
	pool := busy
	pool.Phase, pool.Doing, pool.Reason, pool.Until, pool.Progress = "challenge", "waiting",
		"waiting for the beacon that draws the leaves to open", 0, &host.Progress{BlockMS: 1013}
	pool.Pool, pool.Payment = trouble.Pool,
		&settle.Status{Account: "cpc1pay", Balance: amount("12500000000000000000"), Doing: "paying",
			Reason: "settlement 7 waits for a block", Next: 8, Settlement: 7, Height: 1180}
	pool.Workers = machines(2)
	pool.Workers[1].State, pool.Workers[1].Reason = "idle", "epoch 12, challenge: "+pool.Reason
	pool.Outcome = &host.Outcome{Epoch: 11, Result: "RESULT_FALSE_VERDICT",
		Reason: "its verdict names an honest leaf", Power: 1_000}
	pool.Owed = &host.Owed{Total: amount("12345678900000000000000"),
		Next: amount("2199040000000000000000"), After: 13}
	return map[string]host.Status{"busy": busy, "trouble": trouble, "away": away,
		"begin": begin, "pool": pool}
}

func warnings() []string {
	return []string{"11:59:01 UTC WARN the node does not answer; trying again",
		"11:59:31 UTC ERROR part of this host's work failed; the rest goes on; epoch 12; what " +
			"leaves; node w3"}
}

var sizes = [][2]int{{100, 40}, {80, 24}, {60, 20}}

// The pictures of every status in three sizes, with colour and without.
func TestRender(t *testing.T) {
	for name, s := range statuses() {
		for _, size := range sizes {
			lines := Render(s, warnings(), size[0], size[1]-1, noon)
			plain, colour := "", strings.Join(lines, "\n")+"\n"
			for _, line := range lines {
				if w := lipgloss.Width(line); w > size[0] {
					t.Errorf("%s: %d columns in a width of %d: %q", name, w, size[0], line)
				}
				plain += strings.TrimRight(ansi.Strip(line), " ") + "\n"
			}
			for kind, got := range map[string]string{"txt": plain, "ansi": colour} {
				golden(t, fmt.Sprintf("%s-%dx%d.%s", name, size[0], size[1], kind), got)
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got\n%s", name, d)
	}
}

// In no width from 20 columns on is a line longer, and in no height is anything but lists cut.
func TestEverySize(t *testing.T) {
	for name, s := range statuses() {
		low := len(Render(s, warnings(), 80, 1, noon))
		for height := 1; height < 100; height += 24 {
			if got := len(Render(s, warnings(), 80, height, noon)); got > max(height, low) {
				t.Errorf("%s: %d lines in a height of %d, and it can be %d", name, got, height, low)
			}
		}
		for width := 20; width < 120; width += 11 {
			for _, line := range Render(s, warnings(), width, 30, noon) {
				if got := lipgloss.Width(line); got > width {
					t.Errorf("%s: %d columns in a width of %d: %q", name, got, width, line)
				}
			}
		}
	}
}

// What a list leaves out is counted: shown and left out are all.
func TestCutListsCount(t *testing.T) {
	s := statuses()["trouble"]
	for _, height := range []int{20, 40, 60, 100} {
		text := ansi.Strip(strings.Join(Render(s, nil, 100, height, noon), "\n"))
		shown := strings.Count(text, "cuda/sm_90")
		for _, node := range []string{"  rig ", "  m-0123456789ab ", "  w200 ", "  w201 ",
			"  w202 ", "  w203 "} {
			shown += strings.Count(text, node)
		}
		if rest := fmt.Sprintf("and %d more", len(s.Workers)-shown); !strings.Contains(text, rest) {
			t.Errorf("%d of %d machines are shown in %d lines, and %q is missing:\n%s", shown,
				len(s.Workers), height, rest, text)
		}
		if !strings.Contains(text, "w200 ") {
			t.Errorf("the broken machine is not among those shown in %d lines:\n%s", height, text)
		}
	}
}

// The text of a command has no escape codes, and fits a page.
func TestText(t *testing.T) {
	for name, s := range statuses() {
		text := Text(s, 80, noon)
		if strings.Contains(text, "\x1b") {
			t.Errorf("%s: %q", name, text)
		}
		for _, want := range []string{s.Doing, "chain assay-1", "machines", "hot key", "outcome"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, text)
			}
		}
	}
}

// The last picture is of a host that has stopped: it says what is kept, and nothing is under way.
func TestLast(t *testing.T) {
	s := statuses()["pool"]
	text := ansi.Strip(strings.Join(Last(s, nil, "leaves are kept in /home/a", 80, noon), "\n"))
	for _, want := range []string{"stopped", "leaves are kept in /home/a", "0 of 2 connected, " +
		"0.0 units/s", "looked for on the chain"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, not := range []string{"computing", "paying", "the node answers", "until"} {
		if strings.Contains(text, not) {
			t.Errorf("%q in\n%s", not, text)
		}
	}
	if s.Workers[0].State != "computing" || s.Payment.Doing != "paying" {
		t.Error("the host's own status was changed")
	}
}

func TestCoins(t *testing.T) {
	for acpc, want := range map[string]string{"0": "0", "7": "7 acpc", "1999": "1.999 fCPC",
		"5164874553679": "5.164 µCPC", "1000000000000000000": "1.000000 CPC",
		"81123456789012345678": "81.123456 CPC"} {
		if got := Coins(acpc); got != want {
			t.Errorf("%s: %s, want %s", acpc, got, want)
		}
	}
}
