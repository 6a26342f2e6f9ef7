// SPDX-License-Identifier: Apache-2.0

// Package plain reads files that people write or hand over: settings, a genesis, a
// participant's file. A pipe or a folder in a file's place is an error that says so
// and keeps nobody waiting, and the byte order mark that editors on Windows put in
// front of a text is no part of it.
package plain

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrKind reports something else than a file.
var ErrKind = errors.New("a file is needed")

var mark = []byte("\xef\xbb\xbf")

// Read returns a file's text. Errors name the path; they wrap ErrKind, or are those of
// [os.ReadFile].
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() {
		return nil, fmt.Errorf("%s is %s: %w", path, kind(mode), ErrKind)
	}
	text, err := os.ReadFile(path)
	return bytes.TrimPrefix(text, mark), err
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
