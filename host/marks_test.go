// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/internal/kept"
)

// A folder that vanished, or is another home's, is not taken for a fresh start: the
// host names it, what it held and how to go on.
// Holds spec H-8.
func TestAFolderThatVanishedIsNoFreshStart(t *testing.T) {
	begun := func(t *testing.T) string {
		home := t.TempDir()
		for range 2 {
			if err := checkMarks(home); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := kept.Unlisted(home, Kept()); err != nil || len(list) > 0 {
			t.Fatalf("not in the table: %v, %v", list, err)
		}
		return home
	}
	remove := func(t *testing.T, home, name string) {
		if err := os.RemoveAll(filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		lose string
		want string
	}{
		"the leaves are not mounted": {"data/leaves", "leaves of the epochs under way"},
		"the data is gone":           {"data", "what machines are owed"},
		"the mark alone is gone":     {leavesMark, "mount it or move it back"},
	} {
		t.Run(name, func(t *testing.T) {
			home := begun(t)
			remove(t, home, c.lose)
			err := checkMarks(home)
			if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "remove "+filepath.Join(home, homeMark)) {
				t.Fatalf("got %v", err)
			}
			if _, err := os.Stat(filepath.Join(home, c.lose)); err == nil {
				t.Error("an empty one was made in its place")
			}
			remove(t, home, homeMark) // as it says
			if err := checkMarks(home); err != nil {
				t.Errorf("the way out does not lead on: %v", err)
			}
		})
	}
	t.Run("another home's", func(t *testing.T) {
		home, other := begun(t), begun(t)
		remove(t, home, "data/leaves")
		if err := os.Rename(filepath.Join(other, "data/leaves"),
			filepath.Join(home, "data/leaves")); err != nil {
			t.Fatal(err)
		}
		if err := checkMarks(home); !errors.Is(err, ErrLost) ||
			!strings.Contains(err.Error(), "another home's") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the first start was interrupted", func(t *testing.T) {
		home := begun(t)
		remove(t, home, homeMark)
		remove(t, home, leavesMark)
		if err := checkMarks(home); err != nil {
			t.Error(err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		home := begun(t)
		if err := os.WriteFile(filepath.Join(home, dataMark), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := checkMarks(home); !errors.Is(err, ErrLost) ||
			!strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a copy of a whole home", func(t *testing.T) {
		home := begun(t)
		moved := filepath.Join(t.TempDir(), "moved")
		if err := os.CopyFS(moved, os.DirFS(home)); err != nil {
			t.Fatal(err)
		}
		if err := checkMarks(moved); err != nil {
			t.Error(err)
		}
	})
}
