// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"encoding/binary"
	"testing"
)

func parse(t testing.TB, source string) *Module {
	t.Helper()
	m, err := Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func kernel(t testing.TB, source, name string) *Kernel {
	t.Helper()
	k, err := parse(t, source).Kernel(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// put and get are how tests write and read device memory.
func put[T any](t testing.TB, m *Machine, v []T) uint64 {
	t.Helper()
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		t.Fatal(err)
	}
	at, err := m.Alloc(max(len(b), 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write(at, b); err != nil {
		t.Fatal(err)
	}
	return at
}

func get[T any](t testing.TB, m *Machine, at uint64, n int) []T {
	t.Helper()
	v := make([]T, n)
	b := make([]byte, binary.Size(v))
	if err := m.Read(at, b); err != nil {
		t.Fatal(err)
	}
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		t.Fatal(err)
	}
	return v
}
