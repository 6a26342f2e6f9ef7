// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// The layout of a bolt file, version 2 (go.etcd.io/bbolt, internal/common). Bolt
// trusts its pages, and what it does with a bad one cannot be caught: it looks at
// them in goroutines of its own. So they are checked here first, without trust.
// Numbers are in the machine's order of bytes, as bolt writes them.
const (
	pageHeader  = 16 // id (8), flags (2), count (2), overflow (4)
	element     = 16
	pageBranch  = 0x01
	pageLeaf    = 0x02
	leafBucket  = 0x01 // flag of an element
	bucketBytes = 16   // root (8), sequence (8); then a page, where root is 0
	boltMagic   = 0xED0CDAED
	boltVersion = 2
	// magic, version, page size, flags (4 each), root, sequence, freelist, pages, change, checksum
	// (8 each)
	metaBytes = 64
	maxDepth  = 32
)

var native = binary.NativeEndian

// pages is a bolt file that is read without bolt.
type pages struct {
	file io.ReaderAt
	size int64
	page int64 // bytes
	high uint64
	root uint64
	seen map[uint64]bool
	torn bool // one of the two pages that tell the state is damaged: it may have been the later one
	// a page begins with another key than the one that leads to it: bolt must not write there
	bent bool
}

// readMeta finds the file's latest state.
func readMeta(file io.ReaderAt, size int64) (*pages, error) {
	var best *pages
	var latest uint64
	look := func(at int64) (page int64) {
		raw := make([]byte, pageHeader+metaBytes)
		if _, err := file.ReadAt(raw, at); err != nil {
			return 0
		}
		m := raw[pageHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaBytes-8])
		if native.Uint32(m) != boltMagic || native.Uint32(m[4:]) != boltVersion ||
			native.Uint64(m[56:]) != sum.Sum64() {
			return 0
		}
		p := &pages{file: file, size: size, page: int64(native.Uint32(m[8:])),
			root: native.Uint64(m[16:]), high: native.Uint64(m[40:])}
		if p.page < 512 || p.page > 1<<20 || p.page&(p.page-1) != 0 {
			return 0
		}
		if change := native.Uint64(m[48:]); best == nil || change > latest {
			best, latest = p, change
		}
		return p.page
	}
	torn := false
	if look(0) == 0 { // then the second one tells where it is by being found
		for page := int64(512); page <= 1<<20; page <<= 1 {
			if look(page) == page {
				break
			}
		}
		torn = true
	} else {
		torn = look(best.page) == 0
	}
	if best == nil {
		return nil, errors.New("no page tells the state of the file")
	}
	// an older state may fit; bolt would not take that one
	if best.high > uint64(size)/uint64(best.page) {
		return nil, fmt.Errorf("it ends after %d bytes, and has %d pages of %d",
			size, best.high, best.page)
	}
	best.torn = torn
	best.seen = map[uint64]bool{0: true, 1: true}
	return best, nil
}

// visit is what a walk does at a record: of which bucket, with key and value.
type visit func(bucket string, key, value []byte) error

// walk visits every record of the file's buckets, in order. Buckets within buckets
// are an error: none of these files has them.
func (p *pages) walk(do visit) error {
	return p.tree(p.root, nil, nil, 0, func(flags uint32, key, value []byte) error {
		if flags != leafBucket {
			return fmt.Errorf("%q is no bucket", key)
		}
		if len(value) < bucketBytes {
			return fmt.Errorf("bucket %q has %d bytes", key, len(value))
		}
		name := string(key)
		records := func(flags uint32, key, value []byte) error {
			if flags != 0 {
				return fmt.Errorf("a record of bucket %q has flags %x", name, flags)
			}
			return do(name, key, value)
		}
		if root := native.Uint64(value); root != 0 {
			return p.tree(root, nil, nil, 0, records)
		}
		return p.leaf(value[bucketBytes:], nil, nil, records)
	})
}

// read returns a page with what overflows it.
func (p *pages) read(id uint64) ([]byte, error) {
	if id < 2 || id >= p.high {
		return nil, fmt.Errorf("page %d of %d", id, p.high)
	}
	head := make([]byte, pageHeader)
	if _, err := p.file.ReadAt(head, int64(id)*p.page); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	over := uint64(native.Uint32(head[12:]))
	if native.Uint64(head) != id || over >= p.high-id {
		return nil, fmt.Errorf("page %d calls itself page %d, with %d more", id,
			native.Uint64(head), over)
	}
	for i := id; i <= id+over; i++ {
		if p.seen[i] {
			return nil, fmt.Errorf("page %d is in two places", i)
		}
		p.seen[i] = true
	}
	raw := make([]byte, int64(over+1)*p.page)
	if _, err := p.file.ReadAt(raw, int64(id)*p.page); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return raw, nil
}

// tree walks a tree of pages, whose keys are from a first one on and below a last.
func (p *pages) tree(id uint64, from, below []byte, depth int,
	do func(flags uint32, key, value []byte) error) error {
	raw, err := p.read(id)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("page %d is %d deep", id, depth)
	}
	switch flags := native.Uint16(raw[8:]); flags {
	case pageLeaf:
		return p.leaf(raw, from, below, do)
	case pageBranch:
	default:
		return fmt.Errorf("page %d has flags %x", id, flags)
	}
	n := int(native.Uint16(raw[10:]))
	if n == 0 {
		return fmt.Errorf("page %d leads nowhere", id)
	}
	keys, children := make([][]byte, n), make([]uint64, n)
	for i := range n {
		at := pageHeader + i*element
		if at+element > len(raw) {
			return fmt.Errorf("page %d has no room for %d branches", id, n)
		}
		e := raw[at:]
		if keys[i], err = part(raw, at, native.Uint32(e), native.Uint32(e[4:])); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
		children[i] = native.Uint64(e[8:])
		p.bent = p.bent || i == 0 && from != nil && !bytes.Equal(keys[i], from)
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 || i == 0 &&
			bytes.Compare(keys[i], from) < 0 || below != nil && bytes.Compare(keys[i], below) >= 0 {
			return fmt.Errorf("page %d is out of order", id)
		}
	}
	for i, child := range children {
		end := below
		if i+1 < n {
			end = keys[i+1]
		}
		if err := p.tree(child, keys[i], end, depth+1, do); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) leaf(raw, from, below []byte,
	do func(flags uint32, key, value []byte) error) error {
	if len(raw) < pageHeader {
		return errors.New("a bucket within a page is cut short")
	}
	n := int(native.Uint16(raw[10:]))
	// of a bucket within a page too: bolt takes no other
	if flags := native.Uint16(raw[8:]); flags != pageLeaf {
		return fmt.Errorf("a page of records has flags %x", flags)
	}
	if pageHeader+n*element > len(raw) {
		return fmt.Errorf("a page has no room for %d records", n)
	}
	last := from
	for i := range n {
		at := pageHeader + i*element
		e := raw[at:]
		ksize, vsize := native.Uint32(e[8:]), native.Uint32(e[12:])
		both, err := part(raw, at, native.Uint32(e[4:]), ksize)
		if err != nil {
			return err
		}
		key := both
		start := uint64(at) + uint64(native.Uint32(e[4:])) + uint64(ksize)
		if start+uint64(vsize) > uint64(len(raw)) {
			return fmt.Errorf("a value of %d bytes leaves its page", vsize)
		}
		if i > 0 && bytes.Compare(last, key) >= 0 || i == 0 && bytes.Compare(key, from) < 0 ||
			below != nil && bytes.Compare(key, below) >= 0 {
			return errors.New("a page's records are out of order")
		}
		p.bent = p.bent || i == 0 && from != nil && !bytes.Equal(key, from)
		last = key
		if err := do(native.Uint32(e), key, raw[start:start+uint64(vsize)]); err != nil {
			return err
		}
	}
	return nil
}

// part is what an element of a page points to.
func part(raw []byte, at int, pos, n uint32) ([]byte, error) {
	start := uint64(at) + uint64(pos)
	if end := start + uint64(n); end <= uint64(len(raw)) && n > 0 {
		return raw[start:end], nil
	}
	return nil, fmt.Errorf("a key of %d bytes leaves its page", n)
}
