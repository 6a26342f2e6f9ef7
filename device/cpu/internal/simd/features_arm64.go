// SPDX-License-Identifier: Apache-2.0

package simd

import "golang.org/x/sys/cpu"

// DotProd reports whether the processor has the dot products of FEAT_DotProd, as
// far as the operating system says; all else that the loops need comes with
// every arm64 processor.
func DotProd() bool { return cpu.ARM64.HasASIMDDP }

// SHA reports whether the processor has FEAT_SHA256, which Hash2 uses.
func SHA() bool { return cpu.ARM64.HasSHA2 }
