// SPDX-License-Identifier: Apache-2.0

package voter

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAVerdictSurvivesTheProcess(t *testing.T) {
	f := Folder(t.TempDir())
	if v, err := f.Load(3); err != nil || v != nil {
		t.Fatalf("got %v, %v before any was stored", v, err)
	}
	want := &Verdict{Epoch: 3, Salt: []byte("salt"), Body: []byte{1, 0, 255},
		Middles: make([]byte, 16)}
	if err := f.Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := f.Load(3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(f.Path(3), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(3); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}

// A verdict from before there were checksums is read; one of another epoch, or of a later form, is
// not.
func TestVerdictsOfOldForm(t *testing.T) {
	f := Folder(t.TempDir())
	if err := f.Save(&Verdict{Epoch: 4}); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(f.Path(4), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"epoch":4,"salt":"AQ==","body":"Ag==","middles":null}`)
	if v, err := f.Load(4); err != nil || !bytes.Equal(v.Salt, []byte{1}) ||
		!bytes.Equal(v.Body, []byte{2}) {
		t.Errorf("%+v, %v", v, err)
	}
	for _, text := range []string{`{"epoch":5,"salt":"AQ=="}`, `{"epoch":4,"salt":`,
		`{"version":"assay-host-verdict/2","sha256":"","body":{}}`} {
		write(text)
		if v, err := f.Load(4); err == nil || !strings.Contains(err.Error(), f.Path(4)) {
			t.Errorf("%s is read: %+v, %v", text, v, err)
		}
	}
}
