// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 && !arm64

package cpu

import "runtime"

// sets are the instruction sets that this processor has, the fastest first.
func sets() []*set { return nil }

// brand is what the processor calls itself.
func brand() string { return runtime.GOARCH }
