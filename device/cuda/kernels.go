// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	_ "embed"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/prf"
)

//go:generate ./kernels/generate.sh

//go:embed kernels/matmul_sm_75.ptx
var matmul75 string

//go:embed kernels/matmul_sm_80.ptx
var matmul80 string

//go:embed kernels/transformer_sm_75.ptx
var transformer75 string

//go:embed kernels/transformer_sm_80.ptx
var transformer80 string

// ErrCapability reports a device that is too old for the kernels.
var ErrCapability = errors.New("cuda: the device is too old")

// target is a set of kernels, compiled for devices of a compute capability and
// all above it.
type target struct {
	name                string
	matmul, transformer string
	shared              uint32 // dynamic shared memory of a product
}

var (
	turing = target{"sm_75", matmul75, transformer75, 2 * stageBytes}
	ampere = target{"sm_80", matmul80, transformer80, 4 * stageBytes}
)

// targetFor picks the kernels for a device. Errors wrap ErrCapability.
func targetFor(major, minor int) (target, error) {
	switch {
	case major >= 8:
		return ampere, nil
	case major == 7 && minor >= 5:
		return turing, nil
	}
	return target{}, fmt.Errorf("%w: its compute capability is %d.%d, and exact int8 tensor "+
		"cores begin at 7.5 (Turing)", ErrCapability, major, minor)
}

// The shape of a product's CTA, as in kernels/product.h.
const (
	ctaRows, ctaCols = 128, 256
	ctaThreads       = 256
	stageBytes       = (ctaRows + ctaCols) * 64
)

// kernels are those of the modules, by the names they have there.
type kernels struct {
	expand, condensed, summed, bare, tileDigests, leaves, fold handle

	expandWeights, embed, norm, narrow, gated, residual, attend, condense, digests, norms handle

	shared uint32 // of the products
}

func loadKernels(d driver, t target) (*kernels, error) {
	k := &kernels{shared: t.shared}
	for _, m := range []struct {
		name, ptx string
		plain     map[string]*handle
		products  map[string]*handle
	}{
		{"matmul", t.matmul,
			map[string]*handle{"expand": &k.expand, "tileDigests": &k.tileDigests,
				"leaves": &k.leaves, "fold": &k.fold},
			map[string]*handle{"condensed": &k.condensed, "summed": &k.summed, "bare": &k.bare}},
		{"transformer", t.transformer,
			map[string]*handle{"expandWeights": &k.expandWeights, "embed": &k.embed,
				"norm": &k.norm, "attend": &k.attend,
				"condense": &k.condense, "digests": &k.digests, "norms": &k.norms},
			map[string]*handle{"narrow": &k.narrow, "gated": &k.gated, "residual": &k.residual}},
	} {
		module, err := d.load(m.name+" for "+t.name, m.ptx)
		if err != nil {
			return nil, err
		}
		for name, to := range m.plain {
			if *to, err = d.kernel(module, name, 0); err != nil {
				return nil, err
			}
		}
		for name, to := range m.products {
			if *to, err = d.kernel(module, name, t.shared); err != nil {
				return nil, err
			}
		}
	}
	return k, nil
}

// list puts kernels on a slot's stream one after the other and keeps the first
// error.
type list struct {
	*kernels
	slot *slot
	err  error
}

// threads is the size of a CTA of the kernels that are not products.
const threads = 128

// items launches a kernel with a thread for each of n, or more.
func (l *list) items(kernel handle, n int, values ...any) {
	l.launch(kernel, launch{ctas: uint32((n + threads - 1) / threads), threads: threads,
		parameters: parameters(values...)})
}

// warps launches a kernel with a warp for each of n, or more.
func (l *list) warps(kernel handle, n int, values ...any) { l.items(kernel, 32*n, values...) }

// product launches a product's kernel over rows by columns.
func (l *list) product(kernel handle, rows, cols int, values ...any) {
	l.products(kernel, 1, rows, cols, values...)
}

// products launches it over those of several units.
func (l *list) products(kernel handle, units, rows, cols int, values ...any) {
	ctas := units * ((rows + ctaRows - 1) / ctaRows) * ((cols + ctaCols - 1) / ctaCols)
	l.launch(kernel, launch{ctas: uint32(ctas), threads: ctaThreads, shared: l.shared,
		parameters: parameters(values...)})
}

func (l *list) launch(kernel handle, what launch) {
	if l.err == nil {
		l.err = l.slot.driver.launch(l.slot.stream, kernel, what)
	}
}

func (l *list) upload(dst address, src []byte) {
	if l.err == nil {
		l.err = l.slot.driver.upload(l.slot.stream, dst, src)
	}
}

func (l *list) download(dst []byte, src address) {
	if l.err == nil {
		l.err = l.slot.driver.download(l.slot.stream, dst, src)
	}
}

func (l *list) mark() (h handle) {
	if l.err == nil {
		h, l.err = l.slot.driver.mark(l.slot.stream)
	}
	return h
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// words is a key as kernels take it.
func words(key prf.Key) []uint32 { return littleEndian(key[:]) }
