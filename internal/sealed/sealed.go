// SPDX-License-Identifier: Apache-2.0

// Package sealed is the form of Assay's own small JSON files: a version, a checksum and a body.
//
//	{"version":"assay-worker-state/1","sha256":"…","body":{…}}
//
// A flipped bit in a file that decides over money must not decide, and a file of another version
// must not be misread. The checksum covers version and body as they are spelled, so the file may
// not be edited by hand. [Line] and [Unline] do the same for the lines of a file that is appended
// to.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

var (
	// ErrDamaged reports content that is not what was written.
	ErrDamaged = errors.New("damaged: its checksum does not match")
	// ErrVersion reports a file of another version, which is whole.
	ErrVersion = errors.New("written by another version of this program")
	// ErrUnsealed reports JSON without version and checksum, as files had before there were any.
	ErrUnsealed = errors.New("without version and checksum")
)

type file struct {
	Version string          `json:"version"`
	SHA256  string          `json:"sha256"`
	Body    json.RawMessage `json:"body"`
}

func sum(version string, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(version), version)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// Marshal writes v as the body of a file, in one line.
func Marshal(version string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(file{version, sum(version, body), body})
	return append(text, '\n'), err
}

// Unmarshal reads what [Marshal] wrote into v, which it leaves alone after an error. Errors wrap
// ErrDamaged, ErrVersion or ErrUnsealed.
func Unmarshal(data []byte, version string, v any) error {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	if f.Version == "" && f.SHA256 == "" && f.Body == nil {
		return ErrUnsealed
	}
	if f.SHA256 != sum(f.Version, f.Body) {
		return ErrDamaged
	}
	if f.Version != version {
		return fmt.Errorf("%w: it is %.60q, and this one reads %q", ErrVersion, f.Version, version)
	}
	if err := json.Unmarshal(f.Body, v); err != nil {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return nil
}

// lineSum is how many bytes of SHA-256 a line carries, in hexadecimal digits behind a tab.
const lineSum = 8

// Line seals one record of a file that is appended to: the record, a tab, sixteen digits and a
// newline. Place says where in its file the record stands, so that lines cannot be exchanged or
// left out. The record holds neither tab nor newline.
func Line(place string, record []byte) []byte {
	h := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(place), place, record))
	return fmt.Appendf(bytes.Clone(record), "\t%x\n", h[:lineSum])
}

// Unline returns the record of a line, which comes without its newline. Sealed says that it carries
// a checksum. The error is ErrDamaged.
func Unline(place string, line []byte) (record []byte, sealed bool, err error) {
	at := bytes.LastIndexByte(line, '\t')
	if at < 0 {
		return line, false, nil
	}
	if record = line[:at]; !bytes.Equal(Line(place, record), append(bytes.Clone(line), '\n')) {
		return nil, true, ErrDamaged
	}
	return record, true, nil
}
