// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/assaynet/assay/device/dynlib"
)

// bind opens a library and binds what is needed of it.
func bind(name, debian string, files []string, functions map[string]any) error {
	l, err := dynlib.Open(files...)
	if err == nil {
		err = l.Bind(functions)
	}
	if errors.Is(err, dynlib.ErrNotFound) {
		return &missing{name: name, debian: debian, err: err}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// floatRow is a row of a result in float32, whose values are whole.
func floatRow(m *matrices, i int) ([]int32, error) {
	row := make([]int32, m.n)
	for j, x := range m.cFloat[i*m.n:][:m.n] {
		row[j] = int32(x)
	}
	return row, nil
}

// intRow is a row of a result in int32.
func intRow(m *matrices, i int) ([]int32, error) { return m.c[i*m.n:][:m.n], nil }

// openBLAS has a product of floats only.
func openBLAS() (library, []contestant, error) {
	const rowMajor, noTrans = 101, 111 // of cblas.h
	var (
		sgemm func(order, transA, transB, m, n, k int32, alpha float32, a *float32,
			lda int32, b *float32, ldb int32, beta float32, c *float32, ldc int32)
		setThreads   func(int32)
		getThreads   func() int32
		config, core func() string
	)
	err := bind("OpenBLAS", "^libopenblas0-pthread$", []string{"libopenblas.so.0"}, map[string]any{
		"cblas_sgemm": &sgemm, "openblas_set_num_threads": &setThreads,
		"openblas_get_num_threads": &getThreads,
		"openblas_get_config":      &config, "openblas_get_corename": &core,
	})
	if err != nil {
		return library{}, nil, err
	}
	version := strings.TrimPrefix(config(), "OpenBLAS ")
	return library{Name: "OpenBLAS", Version: version, Kernel: core()}, []contestant{{
		name: openBLASName, given: givenFloat,
		use: func(threads int) error {
			setThreads(int32(threads))
			if n := int(getThreads()); n != threads {
				return fmt.Errorf("uses %d threads, not %d", n, threads)
			}
			return nil
		},
		multiply: here(func(m *matrices) error {
			n := int32(m.n)
			sgemm(rowMajor, noTrans, noTrans, n, n, n, 1, &m.aFloat[0], n, &m.bFloat[0],
				n, 0, &m.cFloat[0], n)
			return nil
		}),
		row: floatRow,
	}}, nil
}

// oneDNN is asked through its functions that look like BLAS; its threads are
// OpenMP's.
func oneDNN() (library, []contestant, error) {
	var (
		sgemm func(transA, transB byte, m, n, k int64, alpha float32, a *float32, lda int64,
			b *float32, ldb int64, beta float32, c *float32, ldc int64) int32
		s8 func(transA, transB, offsetC byte, m, n, k int64, alpha float32, a *int8, lda int64,
			ao int8, b *int8, ldb int64, bo int8, beta float32, c *int32,
			ldc int64, co *int32) int32
		u8 func(transA, transB, offsetC byte, m, n, k int64, alpha float32, a *uint8,
			lda int64, ao uint8, b *int8, ldb int64, bo int8, beta float32, c *int32,
			ldc int64, co *int32) int32
		version func() *struct{ major, minor, patch int32 }
		isa     func() uint32

		setThreads func(int32)
		getThreads func() int32
	)
	err := bind("oneDNN", "^libdnnl[0-9.]+$", []string{"libdnnl.so.3", "libdnnl.so.2"},
		map[string]any{
			"dnnl_sgemm": &sgemm, "dnnl_gemm_s8s8s32": &s8, "dnnl_gemm_u8s8s32": &u8,
			"dnnl_version": &version, "dnnl_get_effective_cpu_isa": &isa,
		})
	if err != nil {
		return library{}, nil, err
	}
	err = bind("OpenMP, for oneDNN", "^libgomp1$", []string{"libgomp.so.1"}, map[string]any{
		"omp_set_num_threads": &setThreads, "omp_get_max_threads": &getThreads,
	})
	if err != nil {
		return library{}, nil, err
	}
	use := func(threads int) error {
		setThreads(int32(threads))
		if n := int(getThreads()); n != threads {
			return fmt.Errorf("OpenMP uses %d threads, not %d", n, threads)
		}
		return nil
	}
	status := func(code int32) error {
		if code != 0 {
			return fmt.Errorf("status %d", code)
		}
		return nil
	}
	unsigned := func(name, given string, factor func(*matrices) []uint8, offset uint8) contestant {
		return contestant{
			name: name, given: given, use: use,
			multiply: here(func(m *matrices) error {
				n := int64(m.n)
				return status(u8('N', 'N', 'F', n, n, n, 1, &factor(m)[0], n, offset, &m.b[0], n, 0,
					0, &m.c[0], n, new(int32)))
			}),
			row: intRow,
		}
	}
	v := version()
	return library{Name: "oneDNN", Version: fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch),
			Kernel: isaName(isa())}, []contestant{
			{
				name: "oneDNN sgemm", given: givenFloat, use: use,
				multiply: here(func(m *matrices) error {
					n := int64(m.n)
					return status(sgemm('N', 'N', n, n, n, 1, &m.aFloat[0], n, &m.bFloat[0],
						n, 0, &m.cFloat[0], n))
				}),
				row: floatRow,
			},
			{
				name: "oneDNN s8s8s32", given: givenInt8, use: use,
				multiply: here(func(m *matrices) error {
					n := int64(m.n)
					return status(s8('N', 'N', 'F', n, n, n, 1, &m.a[0], n, 0, &m.b[0], n, 0, 0,
						&m.c[0], n, new(int32)))
				}),
				row: intRow,
			},
			unsigned("oneDNN u8s8s32", given7Bits, func(m *matrices) []uint8 { return m.a7 }, 0),
			unsigned("oneDNN u8s8s32, offset 128", givenUint8,
				func(m *matrices) []uint8 { return m.a128 }, 128),
		}, nil
}

// isaName is what dnnl_types.h calls a set of instructions.
func isaName(isa uint32) string {
	names := map[uint32]string{
		0x1: "sse41", 0x3: "avx", 0x7: "avx2", 0xf: "avx2_vnni", 0x1f: "avx2_vnni_2",
		0x27: "avx512_core", 0x67: "avx512_core_vnni",
		0xe7: "avx512_core_bf16", 0x1ef: "avx512_core_fp16", 0xfef: "avx512_core_amx",
		0x1fef: "avx512_core_amx_fp16",
	}
	if name, ok := names[isa]; ok {
		return name
	}
	return fmt.Sprintf("%#x", isa)
}
