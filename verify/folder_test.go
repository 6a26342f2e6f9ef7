// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/work"
)

// vectors reads a file of test vectors.
func vectors(t *testing.T, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "test", "vectors", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

// published are files of the test vectors, by name.
func published(t *testing.T, file string) map[string]string {
	t.Helper()
	var v struct {
		Cases []struct {
			Name string
			In   json.RawMessage // the file, or an object with it
		}
	}
	vectors(t, file, &v)
	files := map[string]string{}
	for _, c := range v.Cases {
		var in struct{ File string }
		if json.Unmarshal(c.In, &in.File) != nil {
			if err := json.Unmarshal(c.In, &in); err != nil {
				t.Fatal(err)
			}
		}
		files[c.Name] = in.File
	}
	return files
}

// stateFile is evidence with a proof of the chain's state, and the hash of the block that it holds
// under.
type stateFile struct{ text, block string }

// publishedStates are those of the test vectors, by name.
func publishedStates(t *testing.T) map[string]stateFile {
	t.Helper()
	var v struct {
		Cases []struct {
			Name string
			In   struct{ File string }
			Out  struct{ Block string }
		}
	}
	vectors(t, "evidence_state.json", &v)
	files := map[string]stateFile{}
	for _, c := range v.Cases {
		files[c.Name] = stateFile{c.In.File, c.Out.Block}
	}
	return files
}

// execute runs the command and returns what it printed.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := New(work.Reference())
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// A folder of receipts and evidence is summed up; one file that does not hold is
// named, does not hide the others, and makes the answer no.
func TestFolder(t *testing.T) {
	receipts, evidence, deliveries := published(t, "mpoc_files.json"),
		published(t, "evidence.json"), published(t, "delivery_files.json")
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if text == "" {
			t.Fatalf("no published file for %s", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := func(args ...string) (string, error) {
		t.Helper()
		out, err := execute(t, append(args, dir)...)
		return strings.ReplaceAll(out, dir, "DIR"), err
	}
	if got, err := text(); err == nil ||
		!strings.Contains(err.Error(), "has no file that ends in .json") {
		t.Errorf("an empty folder: %v, %s", err, got)
	}
	write("a.json", receipts["accepted"])
	write("b.json", receipts["accepted"])
	write("d.json", deliveries["a receipt"])
	write("notes.txt", "not looked at")
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := text()
	if err != nil {
		t.Error(err)
	}
	want := `DIR: 3 of 3 files prove their claim (leaf-receipt: received 1, receipt: accepted 2)
  receipts credit OPS operations and PAY acpc together (10^18 to a CPC)
  1 other files, which do not end in .json, were not looked at
`
	var s Sum
	sums, err := text("--json")
	if err != nil {
		t.Error(err)
	}
	for d := json.NewDecoder(strings.NewReader(sums)); d.More(); {
		s = Sum{}
		if err := d.Decode(&s); err != nil {
			t.Fatal(err)
		}
	}
	if s.Folder == "" || s.Ops == "0" || s.Pay == "0" {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff(strings.NewReplacer("OPS", s.Ops, "PAY", s.Pay).Replace(want), got); d != "" {
		t.Error(d)
	}
	// What holds, but for what is taken from it, is no proof, and no refutation.
	write("c.json", evidence["honest"])
	if got, err := text(); !errors.Is(err, ErrTaken) ||
		!strings.Contains(got, "NOT PROVEN  DIR/c.json: holds, but") ||
		!strings.Contains(got, "3 of 4 files prove") {
		t.Errorf("a file that holds: %v\n%s", err, got)
	}
	write("said.json", `{"version":"something/1"}`)
	if got, err := text(); err == nil ||
		!strings.Contains(got, "of no kind that proves something by itself") {
		t.Errorf("a file of no known kind: %v\n%s", err, got)
	}
	if err := os.Remove(filepath.Join(dir, "said.json")); err != nil {
		t.Fatal(err)
	}
	write("b2.json", strings.Replace(receipts["accepted"], `"loops": `, `"loops": 1`, 1))
	got, err = text()
	if err == nil || !strings.Contains(err.Error(), "3 of 5 files") ||
		!strings.Contains(got, "NOT PROVEN  DIR/b2.json: ") ||
		!strings.Contains(got, "receipt: accepted 2") {
		t.Errorf("%v\n%s", err, got)
	}
}
