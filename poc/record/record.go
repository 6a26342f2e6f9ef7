// SPDX-License-Identifier: Apache-2.0

// Package record has the 40 bytes that a log keeps of a unit of transformer/1, the body of its
// leaf. They are the same in a machine's batch, in a host's log, in an opening on chain and in an
// evidence file.
package record

import "encoding/binary"

// Size is a record's length in bytes.
const Size = 8 + 32

// Record is what a unit gave, or what somebody says that it gave. Its bytes are the norm,
// little-endian, and the digest.
type Record struct {
	Norm   uint64   // squared L2 norm of the last position's final vector
	Digest [32]byte // over all four final vectors; what binds
}

// Append appends the record's Size bytes.
func (r Record) Append(dst []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, r.Norm), r.Digest[:]...)
}

// Pack returns the bytes of records that follow each other.
func Pack(records ...Record) []byte {
	packed := make([]byte, 0, len(records)*Size)
	for _, r := range records {
		packed = r.Append(packed)
	}
	return packed
}

// At reads the i-th of records that follow each other. There must be so many: it panics like an
// index out of range.
func At(packed []byte, i int) Record {
	b := packed[i*Size:][:Size]
	return Record{Norm: binary.LittleEndian.Uint64(b), Digest: [32]byte(b[8:])}
}

// Count is how many whole records so many bytes hold.
func Count(packed []byte) int { return len(packed) / Size }
