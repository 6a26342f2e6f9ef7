// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/evidence"
)

type spelling struct {
	File   raw `json:"file"`             // not all of them are UTF-8
	Spaces int `json:"spaces,omitempty"` // that follow the file
}

type read struct {
	Error string `json:"error"`
}

// The one spelling of a document: spec F-1, F-2, F-3, F-4 and F-5.
func TestSpelling(t *testing.T) {
	sample := sampleFile(t)
	text := func(f evidence.File) []byte {
		out, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	noted := func(note string) spelling {
		f := sample
		f.Note = note
		return spelling{File: text(f)}
	}
	good := string(text(sample))
	replaced := func(old, new string) spelling {
		if !strings.Contains(good, old) {
			t.Fatalf("the sample has no %q", old)
		}
		return spelling{File: []byte(strings.Replace(good, old, new, 1))}
	}
	note := func(literal string) spelling {
		return spelling{File: []byte(strings.Replace(string(noted("?").File), `"note": "?"`,
			`"note": `+literal, 1))}
	}
	var dense bytes.Buffer
	for _, line := range strings.Split(good, "\n") {
		dense.WriteString(strings.Replace(strings.TrimSpace(line), `": `, `":`, 1))
	}
	check(t, "spelling.json", "evidence files, as hex, by their spelling alone: what they prove "+
		"is not checked", []given[spelling]{
		{"as written", spelling{File: []byte(good)}},
		{"without white space", spelling{File: dense.Bytes()}},
		{"with other white space", replaced(`"epoch": `, "\r\n\t\"epoch\" \t: ")},
		{"a note of ASCII", noted(`plain / <b> & "quoted" \ back`)},
		{"a note of controls", noted("\x00\x01\b\t\n\v\f\r\x1f\x7f")},
		{"a note beyond ASCII", noted("é ß 漢 😀 \u0085 \u2028 \u2029 \ufeff \ufffd")},
		{"65,536 bytes", spelling{File: []byte(good), Spaces: evidence.MaxFileSize - len(good)}},
		{"65,537 bytes", spelling{File: []byte(good),
			Spaces: evidence.MaxFileSize + 1 - len(good)}},
		{"an escape that need not be", note(`"\u0041"`)},
		{"an escaped slash", note(`"\/"`)},
		{"an escape in capitals", note(`"\u001F"`)},
		{"a backspace by number", note(`"\u0008"`)},
		{"é by number", note(`"\u00e9"`)},
		{"U+2028 as it is", note("\"\u2028\"")},
		{"a lone surrogate", note(`"\ud800"`)},
		{"a pair of surrogates", note(`"\ud83d\ude00"`)},
		{"a raw line feed", note("\"\n\"")},
		{"invalid UTF-8", note("\"\xff\"")},
		{"an overlong slash", note("\"\xc0\xaf\"")},
		{"an empty note", note(`""`)},
		{"no note, as null", note(`null`)},
		{"a key in capitals", replaced(`"epoch"`, `"Epoch"`)},
		{"a key with an escape", replaced(`"epoch"`, `"\u0065poch"`)},
		{"an unknown key", replaced(`"epoch"`, `"extra": 1, "epoch"`)},
		{"a key twice", replaced(`"epoch": 7`, `"epoch": 7, "epoch": 7`)},
		{"a number with a point", replaced(`"epoch": 7`, `"epoch": 7.0`)},
		{"a number with an exponent", replaced(`"epoch": 7`, `"epoch": 7e0`)},
		{"a number with a leading zero", replaced(`"epoch": 7`, `"epoch": 07`)},
		{"minus zero", replaced(`"epoch": 7`, `"epoch": -0`)},
		{"2^64", replaced(`"epoch": 7`, `"epoch": 18446744073709551616`)},
		{"2^64 - 1", replaced(`"epoch": 7`, `"epoch": 18446744073709551615`)},
		{"a number in quotes", replaced(`"epoch": 7`, `"epoch": "7"`)},
		{"a norm without quotes", replaced(`"norm": "1"`, `"norm": 1`)},
		{"a norm with a leading zero", replaced(`"norm": "1"`, `"norm": "01"`)},
		{"hex in capitals", replaced(`"seed1": "0a`, `"seed1": "0A`)},
		{"an empty path as null", replaced(`"path": []`, `"path": null`)},
		{"a byte order mark", spelling{File: []byte("\ufeff" + good)}},
		{"something behind", spelling{File: []byte(good + "{}")}},
		{"nothing", spelling{}},
		{"an unknown key at the end", replaced("]\n  }\n}", "]\n  },\n  \"other\": 1\n}")},
	}, func(t testing.TB, in spelling) read {
		f, err := evidence.Parse(slices.Concat(in.File, bytes.Repeat([]byte(" "), in.Spaces)))
		if err == nil && f.Note == "" && f.Epoch == 0 {
			t.Error("an empty file")
		}
		return read{fault(t, err)}
	})
}

// sampleFile is a file of one leaf in its form, which proves nothing.
func sampleFile(t testing.TB) evidence.File {
	h := strings.Repeat("0a", 32)
	f := evidence.File{Version: evidence.Version, Claim: evidence.Forged, Chain: "assay-test",
		Epoch: 7, Class: "nano", Seed1: h, SegmentSeed: h,
		Participant: "cpc1example", Node: "gpu-0", Segment: 1, Norm: 1, Digest: h, Count: 1,
		Root: h, HostKey: h,
		Signature: h + h, Archive: &evidence.Archive{Root: h, Commits: 1}}
	if _, err := f.Marshal(); err != nil {
		t.Fatal(err)
	}
	return f
}
