// SPDX-License-Identifier: Apache-2.0

//go:build nogpu

package device

// Backends are all that this program was built with: the processor.
func Backends() []Backend { return []Backend{Processor()} }
