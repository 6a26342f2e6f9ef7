// SPDX-License-Identifier: Apache-2.0

// Package simd holds the inner loops of device/cpu: assembly for amd64 with
// AVX2, once more with AVX-512 and its products of bytes, and two lanes of
// SHA-256 where the processor has instructions for it.
//
// The assembly is made by the program in gen, which says how each loop works;
// the Go declarations in stubs_amd64.go say what it computes, and a test holds
// what is committed against what gen makes. The functions check nothing:
// pointers must have the room that the shapes imply, and AVX2 (or VNNI, or SHA)
// must have said yes. Package cpu is the only caller and its tests hold every
// function against the plain Go definitions in poc.
package simd

//go:generate go run -C gen . -out ../kernels_amd64.s -stubs ../stubs_amd64.go -pkg simd
