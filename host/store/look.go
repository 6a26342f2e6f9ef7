// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/assaynet/assay/internal/durable"
)

// Damage is a record that is damaged. Its key may be part of what is.
type Damage struct {
	Bucket string
	Key    []byte
}

// State reports damage to one of the two pages that tell the state of the file. The other one may
// be older: then what was changed last is missing.
func (d Damage) State() bool { return d.Bucket == metaBucket }

// String names the record.
func (d Damage) String() string {
	if d.State() {
		return "one of the two pages that tell the state of the file is damaged: what was " +
			"changed last may be missing"
	}
	return fmt.Sprintf("%s %x", d.Bucket, d.Key)
}

// Found is what a look at a file found.
type Found struct {
	Records map[string]int64 // of each bucket
	Damaged []Damage
	Bytes   int64
	sets    map[string]uint64
	last    map[string]uint64
	bent    bool
	empty   bool
	old     bool // of version 1
}

// Look reads all of a file and changes nothing. Errors are those of [Open].
func Look(path string, o Options) (Found, error) {
	if _, err := os.Stat(path); err != nil {
		return Found{}, err
	}
	return look(path, o)
}

func look(path string, o Options) (Found, error) {
	found := Found{Records: map[string]int64{}, sets: map[string]uint64{}}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found.empty = true
		return found, nil
	case err != nil:
		return found, err
	case !info.Mode().IsRegular():
		return found, fmt.Errorf("store: %s is not a file", path)
	case info.Size() == 0: // made, and not begun
		found.empty = true
		return found, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return found, err
	}
	err = errors.Join(found.read(file, info.Size(), o), file.Close())
	if err == nil {
		return found, nil
	}
	// and is being written to
	if lock, held := openBolt(path, true, false); errors.Is(held, ErrInUse) {
		return found, held
	} else if held == nil {
		err = errors.Join(err, lock.Close())
	}
	if errors.Is(err, ErrVersion) {
		return found, fmt.Errorf("%s: %w", path, err)
	}
	return found, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
}

func (found *Found) read(file *os.File, size int64, o Options) error {
	found.Bytes = size
	p, err := readMeta(file, size)
	if err != nil {
		return err
	}
	buckets, names, hurt := numbers(o), map[string]bool{}, map[string]bool{}
	have, want, sealed := format{}, newTotals(), false
	err = p.walk(func(bucket string, key, r []byte) error {
		names[bucket] = true
		sealed = sealed || bytes.HasPrefix(r, magic)
		value, _, err := unseal(buckets[bucket], key, r)
		if bucket == metaBucket { // without it nothing of the file is sure
			switch {
			case err != nil:
				return err
			case bytes.Equal(key, keyFormat):
				return json.Unmarshal(value, &have)
			}
			return json.Unmarshal(value, want)
		}
		found.Records[bucket]++
		found.sets[bucket] ^= mark(r)
		if err != nil {
			hurt[bucket] = true
			found.Damaged = append(found.Damaged, Damage{bucket, bytes.Clone(key)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	found.last, found.bent = want.Last, p.bent
	if p.torn {
		found.Damaged = append(found.Damaged, Damage{Bucket: metaBucket})
	}
	if have == (format{}) {
		if sealed {
			return errors.New("what it is cannot be read")
		}
		found.old, found.empty = len(names) > 0, len(names) == 0
		found.Damaged = nil // version 1 has no checksums
		return nil
	}
	if have != (format{o.Kind, o.Version}) {
		return fmt.Errorf("%w: it is a %s of version %d, and this program reads a %s of version "+
			"%d: use the program that wrote it, or a newer one", ErrVersion, have.Kind,
			have.Version, o.Kind, o.Version)
	}
	for name := range names {
		if _, known := buckets[name]; !known {
			return fmt.Errorf("it has records of a bucket %q", name)
		}
	}
	for name := range buckets {
		if want.Records[name] != found.Records[name] {
			return fmt.Errorf("it counts %d records of %s, and there are %d", want.Records[name],
				name, found.Records[name])
		}
		if want.Sets[name] != found.sets[name] && !hurt[name] {
			return fmt.Errorf("records of %s are missing, or older than they were", name)
		}
	}
	return nil
}

// rewrite makes a new file of the records that are not damaged, and puts it in the
// place of the old one, which keeps its bytes under another name.
func rewrite(path string, o Options, found Found) error {
	raw, _, err := setAside(path)
	if err != nil {
		return err
	}
	p, err := readMeta(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return err
	}
	return replace(path, o, func(tx *Tx) error {
		for bucket, n := range found.last {
			if err := tx.Skip(bucket, n); err != nil {
				return err
			}
		}
		return p.walk(func(bucket string, key, r []byte) error {
			value, _, err := unseal(tx.buckets[bucket], key, r)
			if err != nil || bucket == metaBucket {
				return nil
			}
			return tx.PutRaw(bucket, key, value)
		})
	})
}

// replace makes a new file and gives it the path.
func replace(path string, o Options, fill func(*Tx) error) error {
	fresh := path + ".fresh"
	// of an attempt that was cut short
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := begin(fresh, o, Found{empty: true})
	if err == nil {
		err = errors.Join(f.Update(fill), f.Close())
	}
	if err == nil {
		err = durable.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh) // what there is of it takes room
	}
	return err
}

// Salvage looks for records in the bytes of a file, whatever holds them together,
// and makes a new file of the latest version of each. Records that were deleted,
// and whose bytes are still there, come back: the caller says which to keep, and
// may look at the others of the file to decide. mend, if there is one, puts in order
// what it holds then, before it takes the old one's place. That keeps its bytes under
// another name, which Salvage returns. Nothing may have the file open.
func Salvage(path string, o Options, keep func(bucket string, key, value []byte) bool,
	mend func(*Tx) error) (records int, old string, err error) {
	raw, old, err := setAside(path)
	if err != nil {
		return 0, old, err
	}
	type id struct {
		bucket byte
		key    string
	}
	type version struct {
		value  []byte
		change uint64
	}
	latest := map[id]version{}
	for at := 0; ; at++ {
		next := bytes.Index(raw[at:], magic)
		if next < 0 {
			break
		}
		at += next
		key, value, bucket, change, ok := recordAt(raw, at)
		if !ok {
			continue
		}
		i := id{bucket, string(key)}
		if have, known := latest[i]; !known || change > have.change {
			latest[i] = version{value, change}
		}
	}
	ids := make([]id, 0, len(latest))
	for i := range latest {
		ids = append(ids, i)
	}
	slices.SortFunc(ids, func(a, b id) int {
		return bytes.Compare(append([]byte{a.bucket}, a.key...), append([]byte{b.bucket}, b.key...))
	})
	err = replace(path, o, func(tx *Tx) error {
		for _, i := range ids {
			if i.bucket == 0 || int(i.bucket) > len(o.Buckets) {
				continue
			}
			name := o.Buckets[i.bucket-1]
			if !keep(name, []byte(i.key), latest[i].value) {
				continue
			}
			records++
			if err := tx.PutRaw(name, []byte(i.key), latest[i].value); err != nil {
				return err
			}
		}
		if mend == nil {
			return nil
		}
		return mend(tx)
	})
	return records, old, err
}

// recordAt reads a record whose header begins at a place; its key stands before it.
func recordAt(raw []byte, at int) (key, value []byte, bucket byte, change uint64, ok bool) {
	if at+header > len(raw) {
		return nil, nil, 0, 0, false
	}
	r := raw[at:]
	k, v := int(binary.LittleEndian.Uint16(r[5:])), uint64(binary.LittleEndian.Uint32(r[7:]))
	if k > at || v > uint64(len(r)-header) || v > maxValue {
		return nil, nil, 0, 0, false
	}
	key, r = raw[at-k:at], r[:header+int(v)]
	value, change, err := unseal(r[4], key, r)
	return key, value, r[4], change, err == nil
}

// keepAs copies a file, durably, and returns its bytes.
func keepAs(path, name string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return raw, durable.WriteFile(name, raw, 0o600)
}

// setAside copies a damaged file under a free name.
func setAside(path string) (raw []byte, name string, err error) {
	for i := 1; i < 1000; i++ {
		name := fmt.Sprintf("%s.damaged%d", path, i)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			raw, err := keepAs(path, name)
			return raw, name, err
		}
	}
	return nil, "", fmt.Errorf("store: there are a thousand damaged files beside %s: look at "+
		"them and remove them", path)
}
