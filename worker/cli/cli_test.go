// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/enginetest"
)

func run(c Command, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = c.Run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// nobody listens on port 1.
const nobody = "assay://127.0.0.1:1#00112233445566778899aabbccddeeff"

func TestCommandLine(t *testing.T) {
	t.Setenv("ASSAY_HOST", "")
	home := t.TempDir()
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string // parts of them
	}{
		{"", 2, "", "start --host URL"},
		{"help", 0, "start --host URL", ""},
		{"dance", 2, "", `no command "dance"`},
		{"start", 2, "", "--host is missing"},
		{"start -h", 0, "", "-nice"},
		{"start --host x --home " + home, 1, "", "not a host address"},
		{"start --host assay://h:1#0 --home " + home, 1, "", "needs the fingerprint after #"},
		{"start --warp 9", 2, "", "no flag --warp; see assay-worker start -h"},
		{"start --hots x", 2, "", "no flag --hots, perhaps --host; see"},
		{"start --threads many", 2, "", `--threads "many": want a number`},
		{"start --host", 2, "", "--host needs a value"},
		{"start --plain=perhaps", 2, "", "want true or false"},
		{"strat", 2, "", `no command "strat", perhaps start; see assay-worker help`},
		{"completion tcsh", 2, "", "bash, fish, zsh"},
		{"start now", 2, "", `takes no argument, and "now" is one`},
		{"id --home " + home, 0, "assay host allow ", ""},
		{"start --temp-limit 60 --host " + nobody, 2, "", "--temp-resume 75 is not below " +
			"--temp-limit 60"},
		{"start --threads -3 --host " + nobody, 2, "", "--threads must be 0 (all cores) or more"},
		{"start --listen 99999 --host " + nobody, 2, "", "such as 127.0.0.1:4780"},
		{"status -h", 0, "", "prints what the worker that runs does"},
		{"pause -h", 0, "", "until resume, or until it is started again"},
		{"resume -h", 0, "", "lets a paused worker go on"},
		{"id -h", 0, "", "prints this machine's key"},
		{"bench -h", 0, "", "measures how fast"},
		{"doctor --help", 0, "", "says what is wrong"},
		{"--version", 0, "assay-worker ", ""},
		{"start -h", 0, "", "self_check_failed"},
		{"start --payout alice --host " + nobody, 1, "",
			`--payout "alice" is no account on the chain: it does not begin with cpc1`},
		{"start --host '" + nobody + "' --payout x", 1, "", "--payout"}, // the quotes are no matter
		{"status --home " + home, 1, "", "no worker runs on " + home},
		{"pause --home " + home, 1, "", "no worker runs on " + home},
		{"start --device banana --host " + nobody, 1, "", "--device banana"},
		{"start --device , --host " + nobody, 2, "", "an empty device name"},
		{"start --device cuda:7 --home " + home + " --host " + nobody, 1, "",
			"--device cuda:7; this program offers all, cpu"},
		{"bench --class giant", 2, "", "unknown class"},
		{"bench --shape 100", 2, "", "--shape"},
		{"bench --shape 512x512", 2, "", "want N or MxKxQ"},
		{"bench --shape big", 2, "", "want N or MxKxQ"},
		{"bench --seconds 0", 2, "", "no time"},
		{"bench --device opencl", 1, "", "this program offers all, cpu"},
		{"bench --device cpu:7", 1, "", "--device cpu:7; this machine has cpu (test)"},
		{"doctor --warp", 2, "", "no flag --warp"},
	} {
		code, stdout, stderr := run(Command{Name: "assay-worker", Engine: new(enginetest.Engine)},
			strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) ||
			!strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
			t.Errorf("%q: code %d\nstdout: %s\nstderr: %s", c.args, code, stdout, stderr)
		}
		if code != ok && strings.Count(stderr, "\n") > 2 && c.args != "" && c.args != "help" {
			t.Errorf("%q is answered by a page:\n%s", c.args, stderr)
		}
	}
}

// The machine's identity is made once.
func TestID(t *testing.T) {
	home := t.TempDir()
	ids := make([]map[string]string, 2)
	for i := range ids {
		code, stdout, _ := run(Command{Name: "w"}, "id", "--json", "--home", home)
		if err := json.Unmarshal([]byte(stdout), &ids[i]); code != 0 || err != nil {
			t.Fatalf("code %d, %s, %v", code, stdout, err)
		}
	}
	if ids[0]["key"] != ids[1]["key"] || len(ids[0]["key"]) != 64 ||
		len(ids[0]["fingerprint"]) != 32 {
		t.Errorf("identities %v", ids)
	}
}

type broken struct{ work.Engine }

func (broken) Transformer(context.Context, transformer.Class, seed.Seed,
	func(done, total uint64)) (transformer.Model, error) {
	return new(enginetest.Engine).Transformer(context.Background(), transformer.Nano,
		seed.Seed{}, nil)
}

func TestBrokenEngine(t *testing.T) {
	c := Command{Name: "w", Engine: broken{new(enginetest.Engine)}}
	for _, args := range [][]string{{"bench"},
		{"start", "--home", filepath.Join(t.TempDir(), "home"), "--host", nobody}} {
		if code, _, stderr := run(c, args...); code != 1 ||
			!strings.Contains(stderr, "cpu (test) gives wrong answers") {
			t.Errorf("%s: code %d, %s", args[0], code, stderr)
		}
	}
}

// With --json every line is one event, in the order in which things happen, and
// the first says everything. The worker that runs is asked, paused and resumed
// from another process, and nobody else gets its home.
func TestStartJSON(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, in := io.Pipe()
	done := make(chan int, 1)
	home := t.TempDir()
	if _, err := worker.Key(home); err != nil {
		t.Fatal(err)
	}
	// an earlier worker left its socket
	killed, err := net.Listen("unix", filepath.Join(home, socketFile))
	if err != nil {
		t.Fatal(err)
	}
	killed.(*net.UnixListener).SetUnlinkOnClose(false)
	killed.Close()
	go func() {
		c := Command{Name: "w", Engine: new(enginetest.Engine)}
		done <- c.Run(ctx, []string{"start", "--json", "--home", home, "--host", nobody},
			nil, in, io.Discard)
		in.Close()
	}()
	lines := json.NewDecoder(out)
	next := func() (e worker.Event) {
		t.Helper()
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "" || e.Time.IsZero() {
			t.Errorf("%+v", e)
		}
		return e
	}
	if e := next(); e.Type != "snapshot" || e.Status.State == "" || e.Status.Reason == "" ||
		len(e.Status.Devices) != 1 {
		t.Errorf("%+v", e)
	}
	for e := next(); e.Type != "connecting" ||
		!strings.Contains(e.Next, "check that the host runs"); e = next() {
		if e.Type != "connecting" && e.Type != "testing" {
			t.Errorf("%+v", e)
		}
	}
	w := Command{Name: "w", Engine: new(enginetest.Engine)}
	if code, text, _ := run(w, "status", "--home", home); code != 0 ||
		!strings.Contains(text, "nothing listens at 127.0.0.1:1") ||
		strings.Contains(text, "\x1b") || strings.Contains(text, "q quit") {
		t.Errorf("status: code %d\n%s", code, text)
	}
	if code, _, stderr := run(w, "start", "--home", home, "--host", nobody); code != 1 ||
		!strings.Contains(stderr, fmt.Sprintf("another worker (process %d) works with %s",
			os.Getpid(), home)) {
		t.Errorf("a second worker: code %d, %s", code, stderr)
	}
	for _, c := range []struct {
		command, event,
		again string
	}{{"pause", "paused", "paused already, at "}, {"resume", "resumed", "it was not paused"}} {
		said := make(chan string, 1)
		go func() {
			_, stdout, stderr := run(w, c.command, "--home", home)
			said <- stdout + stderr
		}()
		e := next()
		for e.Type != c.event {
			e = next()
		}
		if c.event == "paused" && (!strings.HasPrefix(e.Reason, "by its owner at ") ||
			!strings.HasSuffix(e.Next, " resume --home "+home)) {
			t.Errorf("%+v", e)
		}
		if text := <-said; !strings.HasPrefix(text, c.event+" at ") ||
			(c.command == "pause") != strings.HasSuffix(text,
				"; w resume --home "+home+" goes on\n") {
			t.Errorf("%s: %s", c.command, text)
		}
		if _, text, _ := run(w, c.command, "--home", home); !strings.HasPrefix(text, c.again) {
			t.Errorf("%s again: %s", c.command, text)
		}
	}
	cancel()
	last := ""
	for {
		var e worker.Event
		if err := lines.Decode(&e); err != nil {
			break
		}
		last = e.Type
	}
	if code := <-done; code != 0 || last != "stopped" {
		t.Errorf("stopped with code %d, last event %q", code, last)
	}
	if code, _, stderr := run(w, "status", "--home", home); code != 1 ||
		!strings.Contains(stderr, "no worker runs on") {
		t.Errorf("after it: code %d, %s", code, stderr)
	}
}

// What is no terminal gets log lines: a time, and what happened, each once.
func TestStartPlain(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, in := io.Pipe()
	done := make(chan int, 1)
	go func() {
		c := Command{Name: "w", Engine: new(enginetest.Engine)}
		done <- c.Run(ctx, []string{"start", "--home", filepath.Join(t.TempDir(), "home"), "--host",
			"'" + nobody + "'"}, nil, in, io.Discard)
		in.Close()
	}()
	seen := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		at, text, found := strings.Cut(lines.Text(), "  ")
		if _, err := time.Parse("2006-01-02T15:04:05Z07:00 INFO", at); err != nil ||
			!found || seen[text] {
			t.Errorf("%q, seen before: %v", lines.Text(), seen[text])
		}
		seen[text] = true
		if strings.Contains(text, "connecting: nothing listens at 127.0.0.1:1; check that the "+
			"host runs") {
			cancel()
		}
	}
	if code := <-done; code != 0 || !seen["stopped"] {
		t.Errorf("code %d, %v", code, seen)
	}
}

// A log without -v names no phases of the network.
func TestPhasesAreQuiet(t *testing.T) {
	var b between
	var told []string
	for _, kind := range strings.Fields("connected idle mining idle accepted mining computing " +
		"mining mining") {
		var e worker.Event
		if e.Type = kind; !b.again(e) {
			told = append(told, kind)
		}
	}
	if got, want := strings.Join(told, " "),
		"connected idle accepted computing mining"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

// The table of events in the package's documentation is the one that -h prints.
func TestEventsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("cli.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.TrimSpace(worker.Events)) {
		if !strings.Contains(string(source), "//\t"+line) {
			t.Errorf("not in the package's documentation: %s", line)
		}
	}
}

// An empty folder that is there may be a disk that is not mounted: no new machine is made in it.
func TestStartInAnEmptyFolder(t *testing.T) {
	home := t.TempDir()
	c := Command{Name: "w", Engine: new(enginetest.Engine)}
	code, _, stderr := run(c, "start", "--home", home, "--host", nobody)
	if code != 1 || !strings.Contains(stderr, "not mounted") ||
		!strings.Contains(stderr, "w id --home "+home) {
		t.Errorf("code %d: %s", code, stderr)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
