// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/worker"
)

// layOut lays the published documents out as hosts and workers keep them, and returns them by path.
func layOut(t *testing.T) (folder string, all map[string]file) {
	t.Helper()
	folder, all = t.TempDir(), map[string]file{}
	for i, f := range documents(t) {
		name := fmt.Sprintf("devices/cpu/receipts/%012d.json", i)
		switch {
		case strings.HasPrefix(f.kind, "evidence with"), strings.HasPrefix(f.kind, "evidence of"):
			name = fmt.Sprintf("%s/epoch-%d-p-w1-segment-1-leaf-7-forged.json",
				host.EvidenceName, i)
		case strings.HasPrefix(f.kind, "log left out"):
			name = fmt.Sprintf("%s/left-out-epoch-%d-w1-segment-1.json", host.EvidenceName, i)
		case strings.HasPrefix(f.kind, "mpoc evidence"):
			name = fmt.Sprintf("devices/cpu/evidence/%016d-forged.json", i)
		case strings.HasPrefix(f.kind, "evidence about leaves"):
			name = fmt.Sprintf("%s/left-out-%012d-00001-w1-host.json", worker.ReceiptsName, i)
		}
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700),
			os.WriteFile(path, []byte(f.text), 0o600)); err != nil {
			t.Fatal(err)
		}
		all[name] = f
	}
	return folder, all
}

// Whatever bit of a file of evidence or of a receipt has flipped, and wherever one ends early: it
// proves nothing and accuses nobody, or it is the same but for what is for people and for what it
// says to be taken from it.
func TestFlipsInEvidence(t *testing.T) {
	whole, all := layOut(t)
	table := slices.Concat(host.Kept(), worker.Kept(),
		[]kept.Thing{{Where: "devices/cpu/receipts/*.json", Damaged: "verify.TestFlipsInEvidence"}})
	flips.Each(t, whole, 1000, 100, nil,
		func(folder string, d flips.Damage) (flips.Outcome, error) {
			f := all[d.Path]
			path := filepath.Join(folder, d.Path)
			r := look(t.Context(), work.Reference(), path, f.by, true)
			switch {
			case errors.Is(r.err, ErrTaken):
				if accuses(r.report) {
					return flips.Unchanged, fmt.Errorf("it is no proof, and yet %+v", r.report)
				}
				return flips.Unchanged, nil
			case r.err != nil && accuses(r.report):
				return flips.Refused, fmt.Errorf("it is refused (%w), and yet %+v", r.err, r.report)
			case r.err != nil:
				return flips.Refused, nil
			case f.unproven:
				return flips.Unchanged, errors.New("it is proven, and was not")
			case !d.Space() && !onlyNote(d):
				return flips.Unchanged, fmt.Errorf("it is proven still: %+v", r.report)
			}
			return flips.Unchanged, nil
		}).Covers(t, "verify", table)
}

var noteName = regexp.MustCompile(`"note": *"`)

// onlyNote reports damage within the text for people: all else is the same to the byte.
func onlyNote(d flips.Damage) bool {
	without := func(text []byte) []byte {
		name := noteName.FindIndex(text)
		if name == nil {
			return text
		}
		before, rest, at := text[:name[1]], text[name[1]:], 0
		for ; at < len(rest) && rest[at] != '"'; at++ {
			if rest[at] == '\\' {
				at++
			}
		}
		return append(bytes.Clone(before), rest[min(at, len(rest)):]...)
	}
	return bytes.Equal(without(d.Was), without(d.Is))
}
