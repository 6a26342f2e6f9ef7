// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Inspected is what a look at a log found.
type Inspected struct {
	Path   string
	Bytes  int64
	Leaves uint64
	Mended int   // bits that have changed and are known
	Err    error // wraps ErrDamaged: the leaves from Leaves on cannot be read
}

// Inspect reads every log below a folder, which no store may have open. Errors are
// those of [Open]; it makes no folder.
func Inspect(dir string) ([]Inspected, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	s, err := Open(dir)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var list []Inspected
	for _, key := range s.Keys() {
		list = append(list, inspect(filepath.Join(dir, epochName(key.Epoch), fileName(key)), key))
	}
	return list, nil
}

func inspect(path string, key Key) (found Inspected) {
	found.Path = path
	file, err := os.Open(path)
	if err != nil {
		found.Err = err
		return found
	}
	defer file.Close()
	info, err := file.Stat()
	header := make([]byte, headerSize)
	if err == nil {
		found.Bytes = info.Size()
		_, err = file.ReadAt(header, 0)
	}
	if err != nil {
		found.Err = fmt.Errorf("%w: no header: %w", ErrDamaged, err)
		return found
	}
	have, _, err := parseHeader(header)
	if err != nil { // a changed bit of it is known by what it should be, whatever the class
		for class := range 8 {
			form := formOf(header)
			form.Spec = uint8(class + 1)
			if want := appendHeader(nil, key, form); mendHeader(header, want) {
				have, header, err = key, want, nil
				found.Mended++
				break
			}
		}
	}
	switch {
	case err != nil:
		found.Err = err
		return found
	case have != key:
		found.Err = fmt.Errorf("%w: it holds epoch %d, node %s, segment %d", ErrDamaged, have.Epoch,
			have.Node, have.Segment)
		return found
	}
	f := framesOf(header)
	_, found.Err = f.scan(file, info.Size(), func(_ int64, packed []byte, mended bool) {
		found.Leaves += uint64(f.count(packed))
		if mended {
			found.Mended++
		}
	})
	if found.Err != nil && !errors.Is(found.Err, ErrDamaged) {
		found.Err = fmt.Errorf("%w: %w", ErrDamaged, found.Err)
	}
	return found
}
