// SPDX-License-Identifier: Apache-2.0

//go:build unix

package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/localnet"
)

// reader is somebody who follows the README on a machine of their own: an empty folder, no
// terminal, nothing on the standard input, and no variable beside PATH, HOME and those that the
// README sets.
type reader struct {
	t    *testing.T
	ctx  context.Context
	home string
	// substitutions are what the reader writes in place of what stands there, in this order.
	substitutions []substitution
	prelude       string // exports
	env           []string
	left          map[string]bool // commands of the README for this test that were not run yet
}

// substitution replaces text of a command.
type substitution struct{ from, to, why string }

// common are those of every reader. The others are placeholders, which only the reader can fill in.
func common() []substitution {
	return []substitution{
		{"go run ./cmd/assay", "assay", "the program is built already"},
		{"go build -o . ./cmd/...", `ln -s "$(command -v assay)" "$(command -v assay-worker)" .`,
			"the same"},
		{"2026-12-01T12:00:00Z", time.Now().UTC().Format(time.RFC3339), "the chain starts now"},
		{"init genesis ", "init genesis --preset localnet ", "an epoch of a minute, where it " +
			"would be half an hour"},
		{"assay-worker start ", "assay-worker start --device cpu --threads 1 --nice 19 ",
			"all machines share two cores"},
		{"1.5cpc --home", "1.5cpc --yes --home", "nobody is there to be asked"},
		{"20cpc --home", "20cpc --yes --home", "the same"},
	}
}

// programs are links to this test's own binary, which is both programs by its name; see TestMain.
func programsFolder(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"assay", "assay-worker"} {
		if err := os.Symlink(exe, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// toRun are the commands of the README that a test runs, none of them run yet. When the test ends,
// all have been.
func toRun(t *testing.T, test string) map[string]bool {
	left := map[string]bool{}
	for _, c := range commandsOfTheREADME(t) {
		if decided[c.text] == test {
			left[c.text] = true
		}
	}
	t.Cleanup(func() {
		for text := range left {
			if !t.Failed() {
				t.Errorf("%q of the README was not run", text)
			}
		}
	})
	return left
}

func newReader(t *testing.T, ctx context.Context, bin string, left map[string]bool,
	own []substitution) *reader {
	home := t.TempDir()
	return &reader{t: t, ctx: ctx, home: home, left: left, substitutions: own,
		env: []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home,
			"TMPDIR=" + t.TempDir()}}
}

// text is a command of the README as this reader types it.
func (r *reader) text(command string, own ...substitution) string {
	r.t.Helper()
	if _, known := decided[command]; !known {
		r.t.Fatalf("%q is not in the README", command)
	}
	delete(r.left, command)
	for _, s := range append(own, r.substitutions...) {
		if placeholder.MatchString(s.from) {
			command = regexp.MustCompile(`\b`+s.from+`\b`).ReplaceAllLiteralString(command, s.to)
		} else {
			command = strings.ReplaceAll(command, s.from, s.to)
		}
	}
	return command
}

// placeholder is a word in capitals, of which a part of another word is none.
var placeholder = regexp.MustCompile(`^[A-Z]+$`)

// shell makes a command's process: in a session of its own, which has no terminal.
func (r *reader) shell(script string) *exec.Cmd {
	cmd := exec.CommandContext(r.ctx, "sh", "-ec", r.prelude+script)
	cmd.Dir, cmd.Env = r.home, r.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// exit runs a command of the README to its end.
func (r *reader) exit(command string, own ...substitution) (code int, stdout, stderr string) {
	r.t.Helper()
	return r.typed(r.text(command, own...))
}

// typed runs what is not in the README, as a reader who knows the program.
func (r *reader) typed(text string) (code int, stdout, stderr string) {
	r.t.Helper()
	var out, errs bytes.Buffer
	cmd := r.shell(text)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
	return code, out.String(), errs.String()
}

// run runs a command of the README, which has to succeed, and returns what it prints.
func (r *reader) run(command string, own ...substitution) string {
	r.t.Helper()
	code, out, errs := r.exit(command, own...)
	if code != 0 {
		r.t.Fatalf("%s: exit %d\n%s%s", r.text(command, own...), code, out, errs)
	}
	return out
}

// must runs what is not in the README.
func (r *reader) must(text string) string {
	r.t.Helper()
	code, out, errs := r.typed(text)
	if code != 0 {
		r.t.Fatalf("%s: exit %d\n%s%s", text, code, out, errs)
	}
	return strings.TrimSpace(out)
}

// terminal is a window in which something runs on.
type terminal struct {
	r      *reader
	script string
	log    string
	pid    int
	ended  chan struct{}
	err    error // once ended
}

// open runs a script until it is closed or the test ends.
func (r *reader) open(name, script string) *terminal {
	r.t.Helper()
	w := &terminal{r: r, script: script, log: filepath.Join(r.home, name+".log"),
		ended: make(chan struct{})}
	f, err := os.Create(w.log)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := r.shell(script)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	w.pid = cmd.Process.Pid
	go func() {
		w.err = cmd.Wait()
		_ = f.Close()
		close(w.ended)
	}()
	r.t.Cleanup(func() {
		w.close(syscall.SIGKILL)
		if r.t.Failed() {
			r.t.Logf("%s:\n%s", script, localnet.Tail(w.log, 40))
		}
	})
	return w
}

// close ends all that was started in it.
func (w *terminal) close(how syscall.Signal) {
	_ = syscall.Kill(-w.pid, how)
	<-w.ended
}

// said waits until the terminal shows a text, and returns all that it shows.
func (w *terminal) said(want *regexp.Regexp) (found []string) {
	w.r.t.Helper()
	if err := localnet.Until(w.r.ctx, fmt.Sprintf("%s to say %s", w.script, want),
		func() (bool, error) {
			f, err := os.Open(w.log)
			if err != nil {
				return false, err
			}
			defer f.Close()
			text, err := io.ReadAll(f)
			if found = want.FindStringSubmatch(string(text)); found != nil || err != nil {
				return found != nil, err
			}
			w.running()
			return false, nil
		}); err != nil {
		w.r.t.Fatal(err)
	}
	return found
}

// running fails the test where what was started has ended.
func (w *terminal) running() {
	w.r.t.Helper()
	select {
	case <-w.ended:
		w.r.t.Fatalf("%s ended: %v\n%s", w.script, w.err, localnet.Tail(w.log, 40))
	default:
	}
}
