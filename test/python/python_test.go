// SPDX-License-Identifier: Apache-2.0

package python

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
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

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/work/transformer"
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

// python runs a script and returns what it printed and its exit code. Without a python3 that can
// run it the test is skipped.
func python(t *testing.T, args ...string) (string, int) {
	t.Helper()
	name, why := interpreter()
	if why != "" {
		t.Skip("skipped: " + why + "; the second implementation needs 3.10")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
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

// notOfAVerifier are files of vectors that the second implementation does not read, and why: it
// takes the pages W, A, C, F and M (docs/spec/README.md).
var notOfAVerifier = map[string]string{
	"vrf.json":           "proofs of proposers are checked by chains alone",
	"verdict.json":       "verdicts are in blocks and in no document",
	"mpoc_requests.json": "what a device asks its host for is in no document",
}

// takeLong are files that it reads with --full.
var takeLong = map[string]string{
	"transformer_small.json": "20 seconds",
	"transformer_base.json":  "4 minutes",
}

// vectors reads all files of vectors, by name, but for those of chains.
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
		if notOfAVerifier[filepath.Base(name)] == "" {
			all[filepath.Base(name)] = f
		}
	}
	return all
}

// An implementation that was written from docs/spec alone gives what the Go code gives, file by
// file and case by case: spec W-1, C-1, F-1.
func TestItPassesEveryVector(t *testing.T) {
	t.Parallel()
	args := []string{program, "vectors", folder}
	if long {
		args = append(args, "--full")
	}
	out, code := python(t, args...)
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	for name, f := range vectors(t) {
		if takeLong[name] != "" && !long {
			continue
		}
		said := regexp.MustCompile(regexp.QuoteMeta(name) +
			`: (\d+) ok, 0 failed`).FindStringSubmatch(out)
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
	for _, name := range []string{"evidence", "evidence_state", "delivery_files", "left_out",
		"mpoc_files", "mpoc_transfer"} {
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
			if err := json.Unmarshal(c.In, &s.text); err != nil &&
				json.Unmarshal(c.In, &in) == nil && in.File != "" {
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

// Every document is judged offline as the vectors say, with the exit codes of assay verify: spec
// F-7, F-9, F-10.
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

// One file: the exit code of each kind of answer, and --trust with the right block and with
// another: spec F-10, F-11.
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
	wrong := write(t, dir, "wrong.json",
		strings.Replace(state.In.File, `"epoch": 7`, `"epoch": 8`, 1))
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

// largeUnit is a file on a leaf of the largest class, sound as far as it goes without the unit.
func largeUnit(t *testing.T) string {
	t.Helper()
	class, key := transformer.Large, ed25519.NewKeyFromSeed(make([]byte, 32))
	text := strings.Repeat("0a", 32)
	leaf := record.Leaf{Class: class.ID, Node: "gpu-0"}
	var log commit.Log
	log.Append(leaf.Hash())
	s := commit.Statement{Chain: "assay-test", Epoch: 7, Segment: 1, Participant: "cpc1host",
		Node: "gpu-0", Class: class.Name,
		Seed1:       commit.Hash(bytes.Repeat([]byte{10}, 32)),
		SegmentSeed: commit.Hash(bytes.Repeat([]byte{10}, 32)), Root: log.Root(), Count: 1}
	kept := commit.ArchiveLeaf{Participant: s.Participant, Node: s.Node, Segment: 1, Root: s.Root,
		Count: 1, HostKey: [32]byte(key.Public().(ed25519.PublicKey))}
	archive := kept.Hash()
	f := evidence.File{Version: evidence.Version, Claim: evidence.Honest, Chain: s.Chain,
		Epoch: s.Epoch, Class: s.Class, Seed1: text,
		SegmentSeed: text, Participant: s.Participant, Node: s.Node, Segment: 1,
		Digest: strings.Repeat("00", 32), Count: 1,
		Root: hex.EncodeToString(s.Root[:]), HostKey: hex.EncodeToString(kept.HostKey[:]),
		Signature: hex.EncodeToString(s.Sign(key)),
		Archive:   &evidence.Archive{Root: hex.EncodeToString(archive[:]), Commits: 1}}
	data, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A file that asks for hours of work is not checked unasked, and says so; what is wrong without the
// unit is found all the same. Of several files the gravest code counts: spec F-10, F-20.
func TestWhatTakesLongIsNotChecked(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), largeUnit(t)
	large := write(t, dir, "large.json", text)
	wrong := write(t, dir, "wrong.json", strings.Replace(text, `"epoch": 7`, `"epoch": 8`, 1))
	receipt, held := "", ""
	for _, s := range samples(t) {
		switch s.name {
		case "mpoc_files: accepted":
			receipt = write(t, dir, "receipt.json", s.text)
		case "evidence: honest":
			held = write(t, dir, "held.json", s.text)
		}
	}
	for _, c := range []struct {
		code  int
		files []string
	}{
		{3, []string{large}},
		{3, []string{receipt, large, held}},
		{1, []string{large, wrong}},
	} {
		out, code := python(t, append([]string{program, "verify"}, c.files...)...)
		if code != c.code || !strings.Contains(out,
			large+": not checked: recomputing takes about") || !strings.Contains(out, "--full") {
			t.Errorf("%v: exit code %d, want %d:\n%s", c.files, code, c.code, out)
		}
	}
}

// The file stays one that a person reads from end to end, and that runs wherever Python 3.10 does.
const (
	mostLines   = 1390
	mostColumns = 100
)

// One file of bounded size that imports the standard library alone.
func TestItIsOneFileOfTheStandardLibrary(t *testing.T) {
	raw, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	if len(lines) > mostLines {
		t.Errorf("%d lines, at most %d", len(lines), mostLines)
	}
	for i, l := range lines {
		if n := len([]rune(l)); n > mostColumns {
			t.Errorf("line %d has %d columns, at most %d", i+1, n, mostColumns)
		}
	}
	names, err := os.ReadDir(filepath.Dir(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range names {
		if strings.HasSuffix(f.Name(), ".py") && f.Name() != filepath.Base(program) {
			t.Errorf("%s lies beside the one file", f.Name())
		}
	}
	const imports = `
import ast, sys
for node in ast.walk(ast.parse(open(sys.argv[1], encoding="utf-8").read(), feature_version=(3, 10))):
    names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or "."] if isinstance(node, ast.ImportFrom) else []
    for name in names:
        if name.split(".")[0] not in sys.stdlib_module_names:
            print("imports", name)
`
	if out, code := python(t, "-c", imports, program); out != "" || code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// What a person waits for: evidence on a leaf of class nano, from the command line to the answer.
func BenchmarkEvidenceOfClassNano(b *testing.B) {
	name, why := interpreter()
	if why != "" {
		b.Skip(why)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "evidence.json"))
	if err != nil {
		b.Fatal(err)
	}
	var f struct{ Cases []struct{ In string } }
	if err := json.Unmarshal(raw, &f); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "honest.json")
	if err := os.WriteFile(path, []byte(f.Cases[0].In), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		out, err := exec.Command(name, "-B", program, "verify", path).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 { // taken from the file alone
			b.Fatalf("%v: %s", err, out)
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
