// SPDX-License-Identifier: Apache-2.0

package python

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	program = "../../client/python/assay.py"
	folder  = "../vectors"
)

// long asks for what takes minutes.
var long = os.Getenv("ASSAY_LONG") != ""

// file is a file of vectors, as far as these tests read it.
type file struct {
	About string            `json:"about"`
	Cases []json.RawMessage `json:"cases"`
}

// interpreter is the python3 of this machine, or why there is none to use.
var interpreter = sync.OnceValues(func() (name, why string) {
	name, err := exec.LookPath("python3")
	if err != nil {
		return "", "this machine has no python3"
	}
	if exec.Command(name, "-c", "import sys; sys.exit(sys.version_info < (3, 10))").Run() != nil {
		return "", "this machine's python3 is older than 3.10"
	}
	return name, ""
})

// python runs a script and returns what it printed and its exit code. Without a python3 that can run it the test is skipped.
func python(t *testing.T, args ...string) (string, int) {
	t.Helper()
	name, why := interpreter()
	if why != "" {
		t.Skip("skipped: " + why + "; the second implementation needs 3.10")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, append([]string{"-B"}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("Traceback")) {
		t.Fatalf("%v broke off:\n%s", args, out)
	}
	if exit != nil {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// vectors reads all files of vectors, by name.
func vectors(t *testing.T) map[string]file {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(names) < 20 {
		t.Fatalf("%d files of vectors: %v", len(names), err)
	}
	all := map[string]file{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f file
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[filepath.Base(name)] = f
	}
	return all
}

// An implementation that was written from docs/spec alone gives what the Go code gives, file by file and case by case:
// spec W-1, C-1, F-1.
func TestItPassesEveryVector(t *testing.T) {
	t.Parallel()
	out, code := python(t, program, "vectors", folder)
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	for name, f := range vectors(t) {
		said := regexp.MustCompile(regexp.QuoteMeta(name) + `: (\d+) ok, 0 failed`).FindStringSubmatch(out)
		if said == nil {
			t.Errorf("%s was not checked", name)
		} else if want := len(f.Cases); said[1] != strconv.Itoa(want) {
			t.Errorf("%s has %d cases, %s were checked", name, want, said[1])
		}
	}
}

// sample is a document that a vector holds, with the exit code that it calls for.
type sample struct {
	name, text string
	code       int
}

// samples are the documents in the vectors, good and bad.
func samples(t *testing.T) []sample {
	t.Helper()
	var out []sample
	all := vectors(t)
	for _, name := range []string{"evidence", "evidence_state", "delivery_files", "left_out", "mpoc_files", "mpoc_transfer"} {
		for _, raw := range all[name+".json"].Cases {
			var c struct {
				Name string
				In   json.RawMessage
				Out  struct{ Error, File string }
			}
			if err := json.Unmarshal(raw, &c); err != nil {
				t.Fatal(err)
			}
			s := sample{name: name + ": " + c.Name, text: c.Out.File}
			var in struct{ File string }
			if err := json.Unmarshal(c.In, &s.text); err != nil && json.Unmarshal(c.In, &in) == nil && in.File != "" {
				s.text = in.File
			}
			switch {
			case s.name == "evidence_state: no proof": // it shows no state; the rest of it holds
				s.code = 2
			case c.Out.Error != "":
				s.code = 1
			case strings.HasPrefix(name, "evidence"):
				s.code = 2
			}
			if s.text != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// Every document is judged offline as the vectors say, with the exit codes of assay verify: spec F-7, F-9, F-10.
func TestItJudgesEveryDocument(t *testing.T) {
	t.Parallel()
	dir, all := t.TempDir(), samples(t)
	if len(all) < 60 {
		t.Fatalf("the vectors hold %d documents", len(all))
	}
	args := []string{program, "verify"}
	for i, s := range all {
		args = append(args, write(t, dir, fmt.Sprintf("%d.json", i), s.text))
	}
	out, code := python(t, args...)
	if code != 1 {
		t.Errorf("files of which some prove nothing: exit code %d", code)
	}
	says := map[int]string{0: "proven: ", 1: "not proven: ", 2: "holds: "}
	for i, s := range all {
		if want := fmt.Sprintf("%s: %s", args[2+i], says[s.code]); !strings.Contains(out, want) {
			t.Errorf("%s: want %q, got %s", s.name, says[s.code], line(out, args[2+i]))
		}
	}
}

// One file: the exit code of each kind of answer, and --trust with the right block and with another: spec F-10, F-11.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	var state struct {
		In  struct{ File string }
		Out struct{ Block string }
	}
	if err := json.Unmarshal(vectors(t)["evidence_state.json"].Cases[0], &state); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	shown := write(t, dir, "state.json", state.In.File)
	marked := write(t, dir, "marked.json", "\ufeff"+state.In.File)
	wrong := write(t, dir, "wrong.json", strings.Replace(state.In.File, `"epoch": 7`, `"epoch": 8`, 1))
	receipt, bare := "", ""
	for _, s := range samples(t) {
		switch s.name {
		case "mpoc_files: accepted":
			receipt = write(t, dir, "receipt.json", s.text)
		case "evidence_state: no proof":
			bare = write(t, dir, "bare.json", s.text)
		}
	}
	other := strings.Repeat("0", 64)
	for _, c := range []struct {
		code int
		args []string
	}{
		{2, []string{"verify", marked}},
		{2, []string{"verify", "--trust", other, bare}},
		{0, []string{"verify", "--trust", strings.ToUpper(state.Out.Block), shown}},
		{1, []string{"verify", "--trust", other, shown}},
		{1, []string{"verify", "--trust", "00", shown}},
		{1, []string{"verify", "--trust", other, receipt}},
		{0, []string{"verify", receipt}},
		{2, []string{"verify", receipt, shown}},
		{1, []string{"verify", wrong, shown}},
		{1, []string{"verify", filepath.Join(dir, "none.json")}},
		{1, []string{"verify"}},
		{1, nil},
	} {
		if out, code := python(t, append([]string{program}, c.args...)...); code != c.code {
			t.Errorf("%v: exit code %d, want %d:\n%s", c.args, code, c.code, out)
		}
	}
}

// Each wrong implementation fails a vector. With ASSAY_LONG=1 it is all of them, else 30 by chance.
func TestWrongImplementationsFail(t *testing.T) {
	t.Parallel()
	which := "long"
	if !long {
		which = strconv.FormatInt(time.Now().UnixNano(), 10)
	}
	out, code := python(t, "wrong.py", folder, which)
	t.Logf("seed %s\n%s", which, out)
	if code != 0 {
		t.Error("a wrong implementation passes every vector that should fail it: add the vector")
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// line is the line of a text that begins with a word.
func line(text, word string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, word) {
			return l
		}
	}
	return "nothing"
}
