// SPDX-License-Identifier: Apache-2.0

// Package simd holds the inner loops of device/cpu: assembly for amd64 with
// AVX2, once more with AVX-512 and its products of bytes; for arm64 with NEON's
// dot products; and for both two lanes of SHA-256 where the processor has
// instructions for it.
//
// The assembly is made by the programs in _asm/amd64 and _asm/arm64, which say how each
// loop works; the Go declarations in stubs_*.go say what it computes, and tests
// hold what is committed against what the programs make. The functions check
// nothing: pointers must have the room that the shapes imply, and AVX2 (or VNNI,
// DotProd or SHA) must have said yes. Package cpu is the only caller and its
// tests hold every function against the plain Go definitions in poc.
package simd

//go:generate go run -C _asm/amd64 . -out ../../kernels_amd64.s -stubs ../../stubs_amd64.go -pkg simd
//go:generate go run ./_asm/arm64
