// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"bytes"
	"errors"
	"testing"
)

type body struct {
	Text string
	N    uint64
}

// No bit of a file can change without being noticed, and no end be missing, apart from the newline.
// Holds spec H-8.
func TestEveryBitCounts(t *testing.T) {
	want := body{"a <b> & ü", 1 << 60}
	text, err := Marshal("thing/1", want)
	if err != nil {
		t.Fatal(err)
	}
	var got body
	if err := Unmarshal(text, "thing/1", &got); err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	for at := range len(text) - 1 {
		for bit := range 8 {
			bad := bytes.Clone(text)
			bad[at] ^= 1 << bit
			var got body
			if err := Unmarshal(bad, "thing/1", &got); err == nil && got != want {
				t.Fatalf("bit %d of byte %d makes %+v", bit, at, got)
			}
		}
		if err := Unmarshal(text[:at], "thing/1", &got); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", at, err)
		}
	}
	if err := Unmarshal(text, "thing/2", &got); !errors.Is(err, ErrVersion) {
		t.Errorf("another version: %v", err)
	}
	if err := Unmarshal([]byte(`{"Text":"old"}`), "thing/1", &got); !errors.Is(err, ErrUnsealed) {
		t.Errorf("an unsealed one: %v", err)
	}
}

func TestLines(t *testing.T) {
	record := []byte(`{"n":1}`)
	line := bytes.TrimSuffix(Line("book 3", record), []byte("\n"))
	if got, sealed, err := Unline("book 3", line); !bytes.Equal(got, record) ||
		!sealed || err != nil {
		t.Fatalf("%s, %v, %v", got, sealed, err)
	}
	if _, _, err := Unline("book 4", line); !errors.Is(err, ErrDamaged) {
		t.Errorf("at another place: %v", err)
	}
	if got, sealed, err := Unline("book 3", record); !bytes.Equal(got, record) ||
		sealed || err != nil {
		t.Errorf("an old line: %s, %v, %v", got, sealed, err)
	}
	for at := range line {
		for bit := range 8 {
			bad := bytes.Clone(line)
			bad[at] ^= 1 << bit
			if got, sealed, err := Unline("book 3", bad); sealed && err == nil {
				t.Fatalf("bit %d of byte %d: %s", bit, at, got)
			}
		}
	}
}
