// SPDX-License-Identifier: Apache-2.0

package marker

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestCheck(t *testing.T) {
	id, dir := New(), t.TempDir()
	if err := Check(dir, id); !errors.Is(err, ErrStranger) {
		t.Errorf("an empty folder: %v", err)
	}
	if err := Check(filepath.Join(dir, "none"), id); !errors.Is(err, ErrStranger) {
		t.Errorf("no folder: %v", err)
	}
	if err := Set(dir, id); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir, id); err != nil {
		t.Error(err)
	}
	if err := Check(dir, New()); !errors.Is(err, ErrStranger) {
		t.Errorf("another store's: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, Name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir, id); !errors.Is(err, ErrStranger) {
		t.Errorf("an empty marker: %v", err)
	}
}
