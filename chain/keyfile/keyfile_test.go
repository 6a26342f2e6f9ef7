// SPDX-License-Identifier: Apache-2.0

package keyfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/chain/keyfile"
)

func create(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config", "vrf_key.json")
	if _, err := keyfile.Create(path, bytes.NewReader(bytes.Repeat([]byte{7}, 32))); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCreateThenLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config", "vrf_key.json")
	made, err := keyfile.Create(path, bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	read, err := keyfile.Load(path)
	if err != nil || !read.Equal(made) {
		t.Fatalf("read another key, %v", err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

func TestCreateKeepsWhatIsThere(t *testing.T) {
	path := create(t)
	before, _ := os.ReadFile(path)
	if _, err := keyfile.Create(path, bytes.NewReader(make([]byte, 32))); !errors.Is(err,
		fs.ErrExist) {
		t.Errorf("%v, want %v", err, fs.ErrExist)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, damage := range map[string]func(string) string{
		"not JSON":     func(s string) string { return s[1:] },
		"another type": func(s string) string { return strings.Replace(s, "ed25519", "rsa", 1) },
		"another seed": func(s string) string { return strings.Replace(s, "0707", "0708", 1) },
		"short seed":   func(s string) string { return strings.Replace(s, "0707", "", 1) },
		"unknown member": func(s string) string {
			return strings.Replace(s, `"type"`, `"more": 1, "type"`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := create(t)
			text, _ := os.ReadFile(path)
			if err := os.WriteFile(path, []byte(damage(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := keyfile.Load(path); !errors.Is(err, keyfile.ErrFile) {
				t.Errorf("%v, want %v", err, keyfile.ErrFile)
			}
		})
	}
	t.Run("readable by others", func(t *testing.T) {
		path := create(t)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.Load(path); !errors.Is(err, keyfile.ErrFile) {
			t.Errorf("%v, want %v", err, keyfile.ErrFile)
		}
	})
	t.Run("absent", func(t *testing.T) {
		if _, err := keyfile.Load(filepath.Join(t.TempDir(), "none")); !keyfile.Missing(err) {
			t.Errorf("%v", err)
		}
	})
}
