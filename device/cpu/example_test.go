// SPDX-License-Identifier: Apache-2.0

package cpu_test

import (
	"context"
	"fmt"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Anyone who computes asks for an engine once, and hears about a faulty one.
func Example() {
	ctx := context.Background()
	engine, err := cpu.New(ctx)
	if err != nil {
		fmt.Println(err) // and the engine is the reference
	}
	var digest [1][32]byte
	if err := engine.Matmul(ctx, digest[:], seed.Seed{1}, matmul.Shape{M: 512, K: 256, Q: 512},
		[]uint64{0}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%x...\n", digest[0][:4])
	// Output: c28ad280...
}

func ExampleSums() {
	var digests [2][32]byte
	cpu.Sums(digests[:], []byte("abcabd"), 3)
	fmt.Printf("%x...\n", digests[0][:4])
	// Output: ba7816bf...
}
