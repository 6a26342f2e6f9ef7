// SPDX-License-Identifier: Apache-2.0

// Package store is a bolt file that knows its format and notices damage.
//
// A host decides over money by what its files say, and disks and restores do not
// keep bits for ever. So every record carries its checksum, which covers its key
// and its bucket too: bits that changed, and a record that stands where another
// belongs, are found when it is read. What a checksum cannot find is a record
// that is gone, because a page says that it holds one less; so the file counts
// its records, and [Open] counts them again. It also knows its kind and version,
// which no other program's file has.
//
// Damage to a record is that record's ([ErrRecord]): the caller sets one machine
// aside, and the others go on. Damage to the file itself is found by [Open], which
// refuses it ([ErrDamaged]); reading it never ends the program. [Salvage] looks
// through the bytes of such a file for records and makes a new one of the latest
// version of each.
//
// A record is
//
//	magic (4) | bucket (1) | length of key (2) | length of value (4) | change (8) | CRC-32C (4) | value
//
// behind its key, as bolt stores them, little-endian. change is the number of the
// bolt transaction that wrote it. CRC-32C over bucket, key, change and value
// finds any damage to up to three bits, and any burst of 32.
package store
