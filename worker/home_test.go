// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/internal/marker"
)

// A home of which a part is missing is no fresh start: it is refused with what was lost and how to
// go on. Once the loss is accepted it is whole again.
func TestLostHome(t *testing.T) {
	in := func(dir string, path ...string) string {
		return filepath.Join(append([]string{dir}, path...)...)
	}
	for name, c := range map[string]struct {
		lose func(dir string) error
		says string
	}{
		"no key": {func(dir string) error { return os.Remove(in(dir, KeyFile)) }, "no device.key"},
		"no key in an old home": {func(dir string) error {
			return errors.Join(os.Remove(in(dir, KeyFile)), os.Remove(in(dir, HomeFile)))
		}, "no device.key"},
		"another key": {func(dir string) error {
			other := filepath.Join(filepath.Dir(dir), "other")
			if _, err := Key(other); err != nil {
				return err
			}
			return os.Rename(in(other, KeyFile), in(dir, KeyFile))
		}, "was the machine"},
		"no books": {func(dir string) error {
			return os.RemoveAll(in(dir, SignedName))
		}, "sign the same leaf twice"},
		"the books' disk is away": {func(dir string) error {
			return errors.Join(os.RemoveAll(in(dir, SignedName)),
				os.Mkdir(in(dir, SignedName), 0o700))
		}, "holds no .assay-id"},
		"no receipts": {func(dir string) error {
			return os.RemoveAll(in(dir, ReceiptsName))
		}, "receipts for leaves"},
		"no devices": {func(dir string) error {
			return os.RemoveAll(in(dir, devicesName))
		}, "keys and receipts of its devices"},
		"a device is gone": {func(dir string) error {
			return os.RemoveAll(in(dir, devicesName, "cuda-0"))
		}, "of device cuda-0"},
		"a device of another home": {func(dir string) error {
			return marker.Set(in(dir, devicesName, "cuda-0"), marker.New())
		}, "is another one's"},
		"an empty list of parts": {func(dir string) error {
			return os.Truncate(in(dir, HomeFile), 0)
		}, "home.json"},
	} {
		dir := filepath.Join(t.TempDir(), "home")
		open := func(accept bool) error {
			key, err := loadKey(dir, accept)
			if err != nil {
				return err
			}
			h, err := openHome(dir, key, accept)
			if err != nil {
				return err
			}
			return h.folder(devicesName + "/cuda-0")
		}
		for range 2 {
			if err := open(false); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.lose(dir); err != nil {
			t.Fatal(err)
		}
		if err := open(false); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), c.says) ||
			!strings.Contains(err.Error(), "--accept-loss") {
			t.Errorf("%s: %v", name, err)
		}
		for _, accept := range []bool{true, false} {
			if err := open(accept); err != nil {
				t.Errorf("%s, accepted: %v", name, err)
				break
			}
		}
	}
}

// A home from before parts were named becomes one that names them.
func TestOldHome(t *testing.T) {
	dir := t.TempDir()
	key, err := Key(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, SignedName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(dir, key, false); err != nil {
		t.Fatal(err)
	}
	h, err := openHome(dir, key, false)
	if err != nil || h.Key == "" || len(h.Folders) != 3 || len(key) != ed25519.PrivateKeySize {
		t.Errorf("%+v, %v", h, err)
	}
}
