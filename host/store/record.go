// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// ErrRecord reports a record that is damaged: one that somebody else's do not
// depend on.
var ErrRecord = errors.New("store: a record is damaged")

var magic = []byte{0xa5, 0x5a, 0xc3, 0x01}

const header = 4 + 1 + 2 + 4 + 8 + 4

// maxValue bounds a record's value.
const maxValue = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal makes a record of a value.
func seal(bucket byte, key, value []byte, change uint64) []byte {
	r := make([]byte, header, header+len(value))
	copy(r, magic)
	r[4] = bucket
	binary.LittleEndian.PutUint16(r[5:], uint16(len(key)))
	binary.LittleEndian.PutUint32(r[7:], uint32(len(value)))
	binary.LittleEndian.PutUint64(r[11:], change)
	binary.LittleEndian.PutUint32(r[19:], sum(r[4:19], key, value))
	return append(r, value...)
}

func sum(head, key, value []byte) uint32 {
	return crc32.Update(crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, key),
		castagnoli, value)
}

// unseal returns a record's value, which is good as long as the record's bytes.
func unseal(bucket byte, key, r []byte) (value []byte, change uint64, err error) {
	if len(r) < header || !bytes.Equal(r[:4], magic) || r[4] != bucket ||
		int(binary.LittleEndian.Uint16(r[5:])) != len(key) ||
		uint64(binary.LittleEndian.Uint32(r[7:])) != uint64(len(r)-header) ||
		binary.LittleEndian.Uint32(r[19:]) != sum(r[4:19], key, r[header:]) {
		return nil, 0, ErrRecord
	}
	return r[header:], binary.LittleEndian.Uint64(r[11:]), nil
}

// Tx is a transaction of a [File].
type Tx struct {
	tx      *bolt.Tx
	buckets map[string]byte
	totals  *totals // as they are to be written; nil while nothing is
	wrote   bool
}

// totals are what a file should hold.
type totals struct {
	Records map[string]int64  `json:"records"`
	Sets    map[string]uint64 `json:"sets"` // exclusive or of every record's mark
	Last    map[string]uint64 `json:"last"` // number that Next gave
}

func newTotals() *totals {
	return &totals{map[string]int64{}, map[string]uint64{}, map[string]uint64{}}
}

// mark stands for a stored record in its bucket's set. Sets that differ by a
// record, or by an older version of one, differ.
func mark(r []byte) uint64 {
	if len(r) < header {
		return uint64(len(r)) + 1
	}
	return uint64(binary.LittleEndian.Uint32(
		r[19:]))*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(r[11:])
}

// change counts a record in or out.
func (t *Tx) change(bucket string, before, after []byte) error {
	if bucket == metaBucket {
		return nil
	}
	if err := t.load(); err != nil {
		return err
	}
	if before != nil {
		t.totals.Records[bucket]--
		t.totals.Sets[bucket] ^= mark(before)
	}
	if after != nil {
		t.totals.Records[bucket]++
		t.totals.Sets[bucket] ^= mark(after)
	}
	return nil
}

// load makes the totals this transaction's to change.
func (t *Tx) load() (err error) {
	if t.totals == nil {
		t.totals, err = t.stored()
	}
	return err
}

// stored are the totals as they stand.
func (t *Tx) stored() (*totals, error) {
	if t.totals != nil {
		return t.totals, nil
	}
	now := newTotals()
	if _, err := t.Get(metaBucket, keyTotals, now); err != nil {
		return nil, err
	}
	return now, nil
}

// Get decodes a record into v and reports whether there is one. Errors wrap ErrRecord.
func (t *Tx) Get(bucket string, key []byte, v any) (found bool, err error) {
	raw, found, err := t.Raw(bucket, key)
	if err != nil || !found {
		return found, err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return true, fmt.Errorf("%w: %s %x: %w", ErrRecord, bucket, key, err)
	}
	return true, nil
}

// Raw returns a record's bytes, which are good while the transaction is, and tells
// whether there is one. Errors wrap ErrRecord.
func (t *Tx) Raw(bucket string, key []byte) (value []byte, found bool, err error) {
	r := t.tx.Bucket([]byte(bucket)).Get(key)
	if r == nil {
		return nil, false, nil
	}
	value, _, err = unseal(t.buckets[bucket], key, r)
	if err != nil {
		return nil, true, fmt.Errorf("%w: %s %x", err, bucket, key)
	}
	return value, true, nil
}

// Has reports whether there is a record, without looking at it.
func (t *Tx) Has(bucket string, key []byte) bool {
	return t.tx.Bucket([]byte(bucket)).Get(key) != nil
}

// Put writes v as JSON.
func (t *Tx) Put(bucket string, key []byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.PutRaw(bucket, key, raw)
}

// PutRaw writes bytes.
func (t *Tx) PutRaw(bucket string, key, value []byte) error {
	b := t.tx.Bucket([]byte(bucket))
	if len(value) > maxValue {
		return fmt.Errorf("store: a record of %d bytes; the most is %d", len(value), maxValue)
	}
	r := seal(t.buckets[bucket], key, value, uint64(t.tx.ID()))
	if err := t.change(bucket, b.Get(key), r); err != nil {
		return err
	}
	t.wrote = true
	return b.Put(key, r)
}

// Delete removes a record, if there is one.
func (t *Tx) Delete(bucket string, key []byte) error {
	b := t.tx.Bucket([]byte(bucket))
	before := b.Get(key)
	if before == nil {
		return nil
	}
	if err := t.change(bucket, before, nil); err != nil {
		return err
	}
	t.wrote = true
	return b.Delete(key)
}

// Clear removes all records of a bucket.
func (t *Tx) Clear(bucket string) error {
	var keys [][]byte
	err := t.Each(bucket, nil, func(r Record) (bool,
		error) {
		keys = append(keys, bytes.Clone(r.Key))
		return true, nil
	})
	for _, k := range keys {
		err = errors.Join(err, t.Delete(bucket, k))
	}
	return err
}

// Next gives a bucket's numbers, from 1.
func (t *Tx) Next(bucket string) (uint64, error) {
	if err := t.load(); err != nil {
		return 0, err
	}
	t.totals.Last[bucket]++
	return t.totals.Last[bucket], nil
}

// Last is the latest that Next gave, 0 if none.
func (t *Tx) Last(bucket string) (uint64, error) {
	now, err := t.stored()
	if err != nil {
		return 0, err
	}
	return now.Last[bucket], nil
}

// Skip makes Next go on behind a number, if it has not come to it.
func (t *Tx) Skip(bucket string, number uint64) error {
	if err := t.load(); err != nil {
		return err
	}
	t.totals.Last[bucket] = max(t.totals.Last[bucket], number)
	return nil
}

// Record is one that [Tx.Each] comes to.
type Record struct {
	Key   []byte
	value []byte
	err   error
}

// Raw returns the bytes. Errors wrap ErrRecord.
func (r Record) Raw() ([]byte, error) { return r.value, r.err }

// Decode fills v. Errors wrap ErrRecord.
func (r Record) Decode(v any) error {
	if r.err != nil {
		return r.err
	}
	if err := json.Unmarshal(r.value, v); err != nil {
		return fmt.Errorf("%w: %x: %w", ErrRecord, r.Key, err)
	}
	return nil
}

// Each calls f for the records of a bucket in the order of their keys, from a key
// on, until it says no more. f may not write to the bucket.
func (t *Tx) Each(bucket string, from []byte, f func(Record) (more bool, err error)) error {
	c := t.tx.Bucket([]byte(bucket)).Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if more, err := f(t.record(bucket, k, v)); err != nil || !more {
			return err
		}
	}
	return nil
}

// Back is Each in the other order, from the last key below one.
func (t *Tx) Back(bucket string, below []byte, f func(Record) (more bool, err error)) error {
	c := t.tx.Bucket([]byte(bucket)).Cursor()
	var v []byte
	k, _ := c.Seek(below)
	if k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	for ; k != nil; k, v = c.Prev() {
		if more, err := f(t.record(bucket, k, v)); err != nil || !more {
			return err
		}
	}
	return nil
}

func (t *Tx) record(bucket string, k, v []byte) Record {
	r := Record{Key: k}
	if r.value, _, r.err = unseal(t.buckets[bucket], k, v); r.err != nil {
		r.err = fmt.Errorf("%w: %s %x", r.err, bucket, k)
	}
	return r
}
