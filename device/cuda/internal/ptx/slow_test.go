// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"encoding/binary"
	"math/big"
)

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// wideProduct is a product without limits, shifted down.
func wideProduct(a, b *big.Int, shift uint) uint64 {
	p := new(big.Int).Mul(a, b)
	p.Rsh(p, shift)
	return p.And(p, new(big.Int).SetUint64(1<<64-1)).Uint64()
}

func unsigned(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

func slow3(table uint32, a, b, c uint32) (d uint32) {
	for i := range 32 {
		d |= table >> (a>>i&1<<2 | b>>i&1<<1 | c>>i&1) & 1 << i
	}
	return d
}

func sat(v, low, high int64) uint64 {
	if v < low {
		v = low
	}
	if v > high {
		v = high
	}
	return uint64(v)
}

func bytesOf(v uint64) (b [8]byte) {
	binary.LittleEndian.PutUint64(b[:], v)
	return b
}

// slowField follows the pseudocode of the PTX ISA bit by bit.
func slowField(a uint64, width int, isSigned bool, pos, length uint64) (d uint64) {
	pos, length = pos&255, length&255
	msb := uint64(width - 1)
	sign := uint64(0)
	if isSigned && length > 0 {
		sign = a >> min(pos+length-1, msb) & 1
	}
	for i := uint64(0); i <= msb; i++ {
		bit := sign
		if i < length && pos+i <= msb {
			bit = a >> (pos + i) & 1
		}
		d |= bit << i
	}
	return d
}

func slowInsert(a, b uint64, width int, pos, length uint64) (d uint64) {
	for i := range uint64(width) {
		bit := b >> i & 1
		if i >= pos && i < pos+length {
			bit = a >> (i - pos) & 1
		}
		d |= bit << i
	}
	return d
}

func slowFind(a uint64, width int, isSigned, amount bool) uint64 {
	want := uint64(1)
	if isSigned && a>>(width-1)&1 == 1 {
		want = 0
	}
	for i := width - 1; i >= 0; i-- {
		if a>>i&1 == want {
			if amount {
				return uint64(width - 1 - i)
			}
			return uint64(i)
		}
	}
	return 0xffffffff
}

func slowDot(a, b, c uint64, sa, sb bool) uint64 {
	sum := int32(c)
	for i := range 4 {
		x, y := int32(bytesOf(a)[i]), int32(bytesOf(b)[i])
		if sa {
			x = int32(int8(x))
		}
		if sb {
			y = int32(int8(y))
		}
		sum += x * y
	}
	return uint64(uint32(sum))
}
