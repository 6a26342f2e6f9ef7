// SPDX-License-Identifier: Apache-2.0

// Package document reads and writes the files that people hand to each other as
// proof: JSON with one accepted spelling, apart from white space, so that one piece
// of evidence is one text. What is in a file is its own package's business.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

var errSpelling = errors.New("keys unknown, missing, repeated or out of order, or values spelt " +
	"unusually")

// Parse reads at most so many bytes into v (spec F-1 to F-5), and demands the spelling that Write
// gives v: unknown, missing, repeated and reordered keys are refused.
func Parse(data []byte, v any, most int) error {
	if len(data) > most {
		return fmt.Errorf("%d bytes, at most %d", len(data), most)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	var given bytes.Buffer
	if err := json.Compact(&given, data); err != nil {
		return err
	}
	want, err := compact(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(given.Bytes(), want) {
		return errSpelling
	}
	return nil
}

// Write gives the text of v, indented for people, with a newline at the end.
func Write(v any) ([]byte, error) {
	text, err := compact(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func compact(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
