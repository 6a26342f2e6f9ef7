// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package cpu

import "github.com/assaynet/assay/poc/work"

// fast is the engine in assembly, nil where there is none.
func fast() work.Engine { return nil }
