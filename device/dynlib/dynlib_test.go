// SPDX-License-Identifier: Apache-2.0

//go:build linux && !nogpu && (amd64 || arm64)

package dynlib

import (
	"errors"
	"strings"
	"testing"
)

func TestOpenAndBind(t *testing.T) {
	c, err := Open("libno-such-thing.so.7", "libc.so.6")
	if err != nil {
		t.Skipf("no C library: %v", err)
	}
	if c.Name != "libc.so.6" {
		t.Errorf("opened %s", c.Name)
	}
	var abs func(int32) int32
	var labs func(int64) int64
	if err := c.Bind(map[string]any{"abs": &abs, "labs": &labs}); err != nil {
		t.Fatal(err)
	}
	if abs(-7) != 7 || labs(-1<<40) != 1<<40 {
		t.Errorf("abs(-7) = %d, labs(-2^40) = %d", abs(-7), labs(-1<<40))
	}
	var nothing func()
	abs = nil
	err = c.Bind(map[string]any{"abs": &abs, "no_such_b": &nothing, "no_such_a": &nothing})
	if !errors.Is(err, ErrSymbol) || !strings.Contains(err.Error(), "no_such_a, no_such_b") {
		t.Errorf("missing functions: %v", err)
	}
	if abs != nil || nothing != nil {
		t.Error("something was bound all the same")
	}
}

func TestOpenNamesWhatItTried(t *testing.T) {
	_, err := Open("libno-such-thing.so.7", "libnor-this.so.1")
	if !errors.Is(err, ErrNotFound) {
		t.Fatalf("%v, want ErrNotFound", err)
	}
	for _, name := range []string{"libno-such-thing.so.7", "libnor-this.so.1"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}
