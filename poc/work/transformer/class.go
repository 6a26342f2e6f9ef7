// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"errors"
	"fmt"
	"math/bits"
)

// ErrClass reports a model class that does not exist.
var ErrClass = errors.New("transformer: unknown class")

const (
	// Tokens is the length of a unit's sequence.
	Tokens = 4
	// HeadDim is the width of one attention head in every class.
	HeadDim = 64
)

// The matrices of a layer. Matrix id of layer l is the prf stream with nonce
// l*8 + id.
const (
	Query  = iota // d x d
	Key           // d x d
	Value         // d x d
	Out           // d x d
	Gating        // 4d x d
	Up            // 4d x d
	Down          // d x 4d
	matrices
)

// Class is a model's dimensions. Every class has heads of 64, a hidden layer
// of 4 D and a D that is a power of two, so that all scales are shifts.
type Class struct {
	ID     uint8  // in leaves and digests; 0 is no class
	Name   string // in seeds, statements and parameters
	D      int    // width of the residual stream
	Heads  int    // D / 64
	FF     int    // width of the hidden layer, 4 D
	Layers int
}

func class(id uint8, name string, d, layers int) Class {
	return Class{ID: id, Name: name, D: d, Heads: d / HeadDim, FF: 4 * d, Layers: layers}
}

// The published classes. Nano is for tests and laptops, small for a CPU or an
// old GPU, base is the smallest sensible one for a GPU fleet.
var (
	Nano  = class(1, "nano", 256, 4)
	Small = class(2, "small", 1024, 8)
	Base  = class(3, "base", 2048, 16)
	Large = class(4, "large", 4096, 32)
)

// Classes returns the published classes by rising ID.
func Classes() []Class { return []Class{Nano, Small, Base, Large} }

// ByName finds a published class. Errors wrap ErrClass.
func ByName(name string) (Class, error) {
	for _, c := range Classes() {
		if c.Name == name {
			return c, nil
		}
	}
	return Class{}, fmt.Errorf("%w: %q", ErrClass, name)
}

// ByID finds a published class. Errors wrap ErrClass.
func ByID(id uint8) (Class, error) {
	for _, c := range Classes() {
		if c.ID == id {
			return c, nil
		}
	}
	return Class{}, fmt.Errorf("%w: id %d", ErrClass, id)
}

// Valid reports whether c is exactly one of the published classes. Errors wrap
// ErrClass.
func (c Class) Valid() error {
	if known, err := ByID(c.ID); err != nil || known != c {
		return fmt.Errorf("%w: %+v", ErrClass, c)
	}
	return nil
}

// Ops is the number of nominal operations of one unit, a multiplication and an
// addition counting as two: 128 D^2 Layers, a power of two. Attention scores
// and everything else (about 0.1 %) are not counted.
func (c Class) Ops() uint64 { return 128 * uint64(c.D) * uint64(c.D) * uint64(c.Layers) }

// MiOps is Ops in units of 2^20 operations, in which weight is counted.
func (c Class) MiOps() uint64 { return c.Ops() >> 20 }

// WeightBytes is the size of the model's expanded weights: 16 D^2 Layers.
func (c Class) WeightBytes() uint64 { return 16 * uint64(c.D) * uint64(c.D) * uint64(c.Layers) }

// Words is the number of 32-bit words that the four final vectors condense to.
func (c Class) Words() int { return Tokens * c.D / HeadDim }

// Matrix returns the shape of a layer's matrix id (Query to Down): rows are
// outputs, columns inputs, and the bytes are row-major.
func (c Class) Matrix(id int) (rows, cols int) {
	switch id {
	case Gating, Up:
		return c.FF, c.D
	case Down:
		return c.D, c.FF
	default:
		return c.D, c.D
	}
}

// Shift is sh(k) of spec W-9, 6 + ceil(log2(k)/2), of a product over k inputs,
// which brings sigma to 26 or 37 of 127.
func Shift(k int) uint { return uint(6 + bits.Len(uint(k))/2) }

// The scales of the residual stream: a product's result is added with
// ResidualScale more bits than int8 outputs keep, and the stream saturates
// (never seen) at MaxResidual.
const (
	ResidualScale = 9
	MaxResidual   = 1<<23 - 1
)

// GateShift is the shift after the gate (spec W-9).
func (c Class) GateShift() uint {
	if bits.TrailingZeros(uint(c.D))%2 == 0 {
		return 7
	}
	return 6
}
