// SPDX-License-Identifier: Apache-2.0

package prf_test

import (
	"fmt"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
)

// Row 5 of matrix A of unit 0, columns 1000 to 1003, without the bytes before.
func ExampleFill() {
	key := prf.Key(seed.Matrix(seed.Seed{1}, 0, 'A'))
	var part [4]byte
	prf.Fill(part[:], &key, 5, 1000)
	fmt.Printf("%x\n", part)
	// Output: 03c11d1e
}
