// SPDX-License-Identifier: Apache-2.0

// Package signed builds the bytes that are signed. A message is a tag and every field, each behind
// its length as LE32, integers as 8 bytes little-endian, as package seed has it before its hash. No
// two lists of fields share their bytes.
package signed

import "encoding/binary"

// Message is what was said so far. Its methods append, and return it so that they chain.
type Message []byte

// Say begins a message. The tag names what is signed and its version.
func Say(tag string) *Message {
	m := make(Message, 0, 512)
	return m.Text(tag)
}

// Part appends bytes of any length.
func (m *Message) Part(p []byte) *Message {
	*m = binary.LittleEndian.AppendUint32(*m, uint32(len(p)))
	*m = append(*m, p...)
	return m
}

// Text appends a string's bytes.
func (m *Message) Text(s string) *Message { return m.Part([]byte(s)) }

// Number appends an integer.
func (m *Message) Number(v uint64) *Message {
	return m.Part(binary.LittleEndian.AppendUint64(nil, v))
}

// Hash appends a hash or a key.
func (m *Message) Hash(h [32]byte) *Message { return m.Part(h[:]) }
