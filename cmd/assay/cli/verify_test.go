// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// published is the file in a case of the vectors.
func published(t *testing.T, file, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../../test/vectors", file))
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Cases []struct{ Name, In string }
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Cases {
		if c.Name == name {
			return c.In
		}
	}
	t.Fatalf("%s has no case %q", file, name)
	return ""
}

// The program ends with the code that scripts read: 0 proven, 1 refuted, 2 taken from the file, 3
// not checked for its cost.
// Holds spec F-10, F-20.
func TestVerifyEndsWithItsCode(t *testing.T) {
	honest := published(t, "evidence.json", "honest")
	large := strings.Replace(honest, `"nano"`, `"large"`, 1)
	for name, c := range map[string]struct {
		text string
		code int
		says string
	}{
		"a receipt that holds": {published(t, "mpoc_files.json", "accepted"), 0, ""},
		"evidence of another epoch": {strings.Replace(honest, `"epoch": 7`, `"epoch": 8`, 1),
			1, "assay: "},
		"evidence without the chain":  {honest, 2, "is taken from the file"},
		"a unit of the largest class": {large, 3, "add --full"},
		"no evidence":                 {"{}", 1, "assay: "},
	} {
		path := filepath.Join(t.TempDir(), "file.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := run(t, "verify", path)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: exit code %d, want %d:\n%s%s", name, code, c.code, out, errs)
		}
	}
}
