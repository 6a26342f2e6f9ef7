// SPDX-License-Identifier: Apache-2.0

package kept

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnlisted(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"key", "receipts/1.json", "receipts/1.tmp", "devices/a/key"} {
		path := filepath.Join(home, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Unlisted(home, []Thing{{Where: "key"}, {Where: "receipts/*.json"},
		{Where: "devices/*/key"}})
	if diff := cmp.Diff([]string{"receipts/1.tmp"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestFaults(t *testing.T) {
	good := Thing{What: "keys", Where: "*.key", Record: 65, Most: 1, Per: "home",
		Pruner: "none is needed", Damaged: "a.TestA"}
	if f := Faults([]Thing{good}); len(f) != 0 {
		t.Error(f)
	}
	for name, edit := range map[string]func(*Thing){
		"place": func(t *Thing) {
			t.Where, t.Damaged = "", ""
		}, "pattern": func(t *Thing) {
			t.Where = "["
		}, "two places": func(t *Thing) { t.Memory = "a.b" },
		"bound": func(t *Thing) {
			t.Most = 0
		}, "pruner": func(t *Thing) { t.Pruner = "" }, "size": func(t *Thing) { t.Record = 0 },
		"a test": func(t *Thing) { t.Damaged = "" },
	} {
		bad := good
		edit(&bad)
		if len(Faults([]Thing{bad})) != 1 {
			t.Errorf("without %s: %v", name, Faults([]Thing{bad}))
		}
	}
}
