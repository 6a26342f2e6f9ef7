// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/delivery"
	files "github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/work"
)

type leftOut struct {
	Claim string `json:"claim,omitempty"`
	Error string `json:"error,omitempty"`
}

// Holds spec F-16.
func TestLeftOutFiles(t *testing.T) {
	raw, err := os.ReadFile("delivery_files.json")
	if err != nil {
		t.Fatal(err)
	}
	var published document[deliveryFile, deliveryFinding]
	if err := json.Unmarshal(raw, &published); err != nil {
		t.Fatal(err)
	}
	// about is the file on the log that a published piece of evidence is about.
	about := func(name string, change func(*delivery.LeftOutFile)) deliveryFile {
		for _, c := range published.Cases {
			if c.Name != name {
				continue
			}
			e, err := delivery.Parse([]byte(c.In.File))
			if err != nil {
				t.Fatal(err)
			}
			found, err := e.Verify(t.Context(), work.NewJudge(nil))
			if err != nil {
				t.Fatal(err)
			}
			f := delivery.FileOf(e, found)
			change(&f)
			out, err := files.Write(f)
			if err != nil {
				t.Fatal(err)
			}
			return deliveryFile{string(out)}
		}
		t.Fatalf("no case %q", name)
		return deliveryFile{}
	}
	with := func(change func(*delivery.LeftOutFile)) deliveryFile {
		return about("a faulty device", change)
	}
	same := func(*delivery.LeftOutFile) {}
	check(t, "left_out.json", "files on logs that a host left out, and what the evidence in them "+
		"shows", []given[deliveryFile]{
		{"fraud", about("fraud", same)},
		{"a faulty device", with(same)},
		{"the host's word", with(func(f *delivery.LeftOutFile) {
			f.Evidence, f.Shows, f.Hidden = nil, delivery.LeftOutHides, "the machine was changed"
			sum, err := f.Sum()
			if err != nil {
				t.Fatal(err)
			}
			f.SHA256 = sum
		})},
		{"another epoch", with(func(f *delivery.LeftOutFile) { f.Epoch++ })},
		{"another node", with(func(f *delivery.LeftOutFile) { f.Node = "gpu-1" })},
		{"another segment", with(func(f *delivery.LeftOutFile) { f.Segment++ })},
		{"another leaf", with(func(f *delivery.LeftOutFile) { f.Leaf++ })},
		{"more wrong leaves", with(func(f *delivery.LeftOutFile) { f.Wrong++ })},
		{"fewer checked", with(func(f *delivery.LeftOutFile) { f.Checked-- })},
		{"other samples", with(func(f *delivery.LeftOutFile) { f.Samples++ })},
		{"other digests", with(func(f *delivery.LeftOutFile) { f.Got, f.Want = f.Want, f.Got })},
		{"another reason", with(func(f *delivery.LeftOutFile) { f.Reason += "." })},
		{"another sentence", with(func(f *delivery.LeftOutFile) {
			f.Shows = delivery.LeftOutHides
		})},
		{"evidence, and something hidden",
			with(func(f *delivery.LeftOutFile) { f.Hidden = "more" })},
		{"evidence, and a sum", with(func(f *delivery.LeftOutFile) {
			f.SHA256 = hex.EncodeToString(make([]byte, 32))
		})},
		{"evidence that the machine did not sign", with(func(f *delivery.LeftOutFile) {
			f.Evidence.Order.Node, f.Node = "gpu-1", "gpu-1"
		})},
		{"version 2", deliveryFile{strings.Replace(with(same).File, "left-out/3",
			"left-out/2", 1)}},
	}, func(t testing.TB, in deliveryFile) leftOut {
		var f delivery.LeftOutFile
		if err := files.Parse([]byte(in.File), &f, 2*delivery.MaxFileSize); err != nil ||
			f.Version != delivery.LeftOutVersion {
			return leftOut{Error: "file"}
		}
		if f.Evidence == nil {
			return leftOut{Error: "nothing"}
		}
		found, err := f.Evidence.Verify(t.Context(), work.NewJudge(nil))
		if err != nil {
			return leftOut{Error: fault(t, err)}
		}
		if err := f.Holds(found); errors.Is(err, delivery.ErrLeftOut) {
			return leftOut{Error: "left-out"}
		}
		return leftOut{Claim: string(found.Claim)}
	})
}
